//! The codec: values to bytes and back.

use bstr::BString;

/// A message that does not decode; the connection is closed.
#[derive(Debug, thiserror::Error)]
#[error("malformed message from another process: {0}")]
pub struct WireError(pub &'static str);

/// A value that crosses a process border.
pub trait Wire: Sized {
    /// Appends the encoded value.
    fn put(&self, out: &mut Vec<u8>);
    /// Takes a value from the front of `input`.
    fn take(input: &mut &[u8]) -> Result<Self, WireError>;
}

fn split<'a>(input: &mut &'a [u8], n: usize) -> Result<&'a [u8], WireError> {
    let (head, tail) = input.split_at_checked(n).ok_or(WireError("too short"))?;
    *input = tail;
    Ok(head)
}

macro_rules! integer {
    ($($t:ty),*) => { $(impl Wire for $t {
        fn put(&self, out: &mut Vec<u8>) { out.extend_from_slice(&self.to_be_bytes()); }
        fn take(input: &mut &[u8]) -> Result<Self, WireError> {
            let bytes = split(input, size_of::<$t>())?;
            Ok(<$t>::from_be_bytes(bytes.try_into().map_err(|_| WireError("too short"))?))
        }
    })* };
}
integer!(u8, u16, u32, u64, i64);

impl Wire for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn take(input: &mut &[u8]) -> Result<Self, WireError> {
        match u8::take(input)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(WireError("not a boolean")),
        }
    }
}

impl Wire for BString {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u32).put(out);
        out.extend_from_slice(self);
    }
    fn take(input: &mut &[u8]) -> Result<Self, WireError> {
        let n = u32::take(input)? as usize;
        Ok(BString::from(split(input, n)?))
    }
}

impl Wire for String {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u32).put(out);
        out.extend_from_slice(self.as_bytes());
    }
    fn take(input: &mut &[u8]) -> Result<Self, WireError> {
        let n = u32::take(input)? as usize;
        String::from_utf8(split(input, n)?.to_vec()).map_err(|_| WireError("not UTF-8"))
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }
    fn take(input: &mut &[u8]) -> Result<Self, WireError> {
        Ok(if bool::take(input)? { Some(T::take(input)?) } else { None })
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u32).put(out);
        self.iter().for_each(|value| value.put(out));
    }
    fn take(input: &mut &[u8]) -> Result<Self, WireError> {
        let n = u32::take(input)? as usize;
        // A hostile length must not reserve memory: let the vector grow with what is really there.
        let mut values = Vec::with_capacity(n.min(1024));
        for _ in 0..n {
            values.push(T::take(input)?);
        }
        Ok(values)
    }
}

/// Implements [`Wire`] for a struct with named fields, in the order given.
#[macro_export]
macro_rules! wire_struct {
    ($name:ty { $($field:ident),* $(,)? }) => {
        impl $crate::wire::Wire for $name {
            fn put(&self, out: &mut Vec<u8>) { $( self.$field.put(out); )* }
            fn take(input: &mut &[u8]) -> Result<Self, $crate::wire::WireError> {
                $( let $field = $crate::wire::Wire::take(input)?; )*
                Ok(Self { $($field),* })
            }
        }
    };
}
