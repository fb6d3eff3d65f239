//! Variable envelope return path: a sender address that names the recipient (VERP_README).

use bstr::BString;
use posthaste_address::Address;

/// `owner@list` and `user@domain` with delimiters `+=` give `owner+user=domain@list`. Delimiters that are not two characters leave the sender
/// as it is, and so does an empty sender.
pub fn expand(sender: &Address, recipient: &Address, delimiters: &[u8]) -> Address {
    let &[first, second] = delimiters else { return sender.clone() };
    if sender.is_empty() {
        return sender.clone();
    }
    let mut text = BString::from(sender.local());
    text.push(first);
    text.extend_from_slice(recipient.local());
    if let Some(domain) = recipient.domain() {
        text.push(second);
        text.extend_from_slice(domain);
    }
    if let Some(domain) = sender.domain() {
        text.push(b'@');
        text.extend_from_slice(domain);
    }
    Address::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// VERP_README: undeliverable mail for user@domain is returned to owner-listname+user=domain@your.domain.
    #[test]
    fn the_manual_s_example() {
        let owner = Address::new("owner-listname@your.domain");
        assert_eq!(expand(&owner, &Address::new("user@domain"), b"+="), Address::new("owner-listname+user=domain@your.domain"));
        assert_eq!(expand(&owner, &Address::new("user"), b"-="), Address::new("owner-listname-user@your.domain"));
    }

    #[test]
    fn nothing_to_expand() {
        assert_eq!(expand(&Address::empty(), &Address::new("u@d"), b"+="), Address::empty());
        assert_eq!(expand(&Address::new("o@l"), &Address::new("u@d"), b""), Address::new("o@l"));
    }
}
