//! To the proxymap service (`proxymap_service_name`): lookups in tables that it has open for others.

use crate::wire::{Wire, WireError};
use crate::wire_struct;
use bstr::BString;

/// A lookup, answered by [`Answer`]. Frame kind [`Query::FRAME`]. Requests on a connection are answered in their order.
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
    /// Only asks whether the table may be used; there is no key.
    pub check: bool,
    /// What is looked up.
    pub key: BString,
}

impl Query {
    /// The frame kind.
    pub const FRAME: u8 = 50;
}

/// How a lookup ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The table is not in `proxy_read_maps`.
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

wire_struct!(Query { table, keep_case, raw_bytes, implicit, check, key });
wire_struct!(Answer { result, text });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::round_trip;

    #[test]
    fn round_trips() {
        let query = Query {
            table: "unix:passwd.byname".into(),
            keep_case: true,
            raw_bytes: false,
            implicit: true,
            check: false,
            key: "root".into(),
        };
        assert_eq!(round_trip(&query), query);
        for result in [Found::Denied, Found::Failed, Found::Nothing, Found::Value] {
            let answer = Answer { result, text: "x".into() };
            assert_eq!(round_trip(&answer), answer);
        }
        assert!(Found::take(&mut &[4u8][..]).is_err());
    }
}
