//! To the proxymap services: lookups in tables that they have open for others (`proxymap_service_name`), and changes
//! (`proxywrite_service_name`).

use crate::wire::{Wire, WireError};
use crate::wire_struct;
use bstr::BString;

/// A request, answered by [`Answer`], or by [`Listed`]s. Frame kind [`Query::FRAME`]. Requests on a connection are answered in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The table, without `proxy:`.
    pub table: String,
    /// The key is not folded to lower case.
    pub keep_case: bool,
    /// Keys and values need not be UTF-8.
    pub raw_bytes: bool,
    /// The table is one that only proxymap can open, written without `proxy:`. It is answered if the configuration names it;
    /// `proxy_read_maps` does not apply.
    pub implicit: bool,
    /// What is wanted.
    pub ask: Ask,
    /// What is looked up or changed.
    pub key: BString,
    /// The new value.
    pub value: BString,
}

/// What a [`Query`] wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// To know whether the table may be used. There is no key.
    Check,
    /// That the key is removed: [`Found::Value`] if it was there.
    Delete,
    /// All entries. There is no key.
    List,
    /// The value of the key.
    Lookup,
    /// That the key gets the value.
    Update,
}

impl Query {
    /// The frame kind.
    pub const FRAME: u8 = 50;
}

/// How a lookup ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The table is not in `proxy_read_maps`, or for changes not in `proxy_write_maps`.
    Denied,
    /// The table could not be asked.
    Failed,
    /// Not found.
    Nothing,
    /// Found.
    Value,
}

/// The answer to [`Query`]. Frame kind [`Answer::FRAME`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How the lookup ended.
    pub result: Found,
    /// The value, or why it failed.
    pub text: BString,
}

impl Answer {
    /// The frame kind.
    pub const FRAME: u8 = 51;
}

/// Some entries of a table, in the answer to [`Ask::List`]: one after the other until one has no entries. An [`Answer`] in their place says why
/// there are no more. Frame kind [`Listed::FRAME`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Keys and values.
    pub entries: Vec<Entry>,
}

/// One entry of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: BString,
    /// Its value.
    pub value: BString,
}

impl Listed {
    /// The frame kind.
    pub const FRAME: u8 = 52;
}

impl Wire for Ask {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Ask::Check => 0,
            Ask::Lookup => 1,
            Ask::Update => 2,
            Ask::Delete => 3,
            Ask::List => 4,
        });
    }
    fn take(input: &mut &[u8]) -> Result<Self, WireError> {
        Ok(match u8::take(input)? {
            0 => Ask::Check,
            1 => Ask::Lookup,
            2 => Ask::Update,
            3 => Ask::Delete,
            4 => Ask::List,
            _ => return Err(WireError("not a request for a table")),
        })
    }
}

impl Wire for Found {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Found::Denied => 0,
            Found::Failed => 1,
            Found::Nothing => 2,
            Found::Value => 3,
        });
    }
    fn take(input: &mut &[u8]) -> Result<Self, WireError> {
        Ok(match u8::take(input)? {
            0 => Found::Denied,
            1 => Found::Failed,
            2 => Found::Nothing,
            3 => Found::Value,
            _ => return Err(WireError("not a lookup result")),
        })
    }
}

wire_struct!(Query { table, keep_case, raw_bytes, implicit, ask, key, value });
wire_struct!(Answer { result, text });
wire_struct!(Entry { key, value });
wire_struct!(Listed { entries });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::round_trip;

    #[test]
    fn round_trips() {
        for ask in [Ask::Check, Ask::Lookup, Ask::Update, Ask::Delete, Ask::List] {
            let query = Query {
                table: "unix:passwd.byname".into(),
                keep_case: true,
                raw_bytes: false,
                implicit: true,
                ask,
                key: "root".into(),
                value: "x".into(),
            };
            assert_eq!(round_trip(&query), query);
        }
        let listed = Listed { entries: vec![Entry { key: "k".into(), value: "v".into() }] };
        assert_eq!(round_trip(&listed), listed);
        for result in [Found::Denied, Found::Failed, Found::Nothing, Found::Value] {
            let answer = Answer { result, text: "x".into() };
            assert_eq!(round_trip(&answer), answer);
        }
        assert!(Found::take(&mut &[4u8][..]).is_err());
        assert!(Ask::take(&mut &[5u8][..]).is_err());
    }
}
