//! A sender that asks for variable envelope return paths in qmail's way: `list-@example.org-@[]`.

use bstr::{BStr, BString, ByteSlice};

/// The sender without the request, and its two delimiters; `None` when the sender asks for nothing.
///
/// Before the `@` of `list-@example.org-@[]` stands the delimiter; that in the place of the recipient's `@` is `=`.
pub fn request(sender: &BStr) -> Option<(BString, [u8; 2])> {
    let address = sender.strip_suffix(b"-@[]")?;
    let (local, domain) = address.split_at(address.rfind_byte(b'@')?);
    let (delimiter, local) = local.split_last().filter(|(_, rest)| !rest.is_empty())?;
    Some(([local, domain].concat().into(), [*delimiter, b'=']))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Postfix took them.
    #[test]
    fn senders() {
        let verp = |sender: &str| request(sender.into()).map(|(address, delimiters)| format!("{address} {}", delimiters.as_bstr()));
        assert_eq!(verp("list-@example.org-@[]").as_deref(), Some("list@example.org -="));
        assert_eq!(verp("list+@example.org-@[]").as_deref(), Some("list@example.org +="));
        assert_eq!(verp("a-@b-@[]").as_deref(), Some("a@b -="));
        for plain in [
            "",
            "@[]",
            "-@[]",
            "x-@[]",
            "a--@[]",
            "list-@example.org@[]",
            "list-@example.org-@[]x",
            "@example.org-@[]",
            "=@example.org-@[]",
        ] {
            assert_eq!(verp(plain), None, "{plain}");
        }
    }
}
