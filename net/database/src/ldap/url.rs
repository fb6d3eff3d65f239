//! LDAP URLs (RFC 4516): those of servers, and those in entries that stand for a search.

/// Which entries below the base a search is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of ldap_table(5)")]
pub enum Scope {
    Base = 0,
    One = 1,
    Sub = 2,
}

impl Scope {
    /// From its name in settings and URLs.
    pub fn parse(text: &str) -> Option<Scope> {
        Some(match text.to_ascii_lowercase().as_str() {
            "base" => Scope::Base,
            "one" => Scope::One,
            "sub" => Scope::Sub,
            _ => return None,
        })
    }
}

/// A URL in parts, decoded. What is missing is empty or `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// `ldap`, `ldaps` or `ldapi`.
    pub scheme: &'static str,
    /// Host, or with `ldapi` the path of the socket.
    pub host: String,
    /// Port, if one is given.
    pub port: Option<u16>,
    /// Base of the search.
    pub dn: String,
    /// Attributes that are asked for.
    pub attributes: Vec<String>,
    /// Scope of the search.
    pub scope: Option<Scope>,
    /// The filter.
    pub filter: Option<String>,
}

/// Whether a value is a URL rather than a name.
pub fn is_url(text: &str) -> bool {
    scheme(text).is_some()
}

fn scheme(text: &str) -> Option<(&'static str, &str)> {
    let (name, rest) = text.split_once("://")?;
    ["ldap", "ldaps", "ldapi"].into_iter().find(|known| known.eq_ignore_ascii_case(name)).map(|known| (known, rest))
}

impl Url {
    /// Takes a URL apart; `None` is not one.
    pub fn parse(text: &str) -> Option<Url> {
        let (scheme, rest) = scheme(text)?;
        let (server, search) = match rest.find(['/', '?']) {
            Some(at) if rest[at..].starts_with('/') => (&rest[..at], &rest[at + 1..]),
            Some(at) => (&rest[..at], &rest[at..]),
            None => (rest, ""),
        };
        let (host, port) = if scheme == "ldapi" {
            (decoded(server)?, None)
        } else {
            let (host, port) = match server.strip_prefix('[') {
                Some(rest) => {
                    let (host, after) = rest.split_once(']')?;
                    (host, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
                }
                None => match server.split_once(':') {
                    Some((host, port)) => (host, Some(port)),
                    None => (server, None),
                },
            };
            (decoded(host)?, port.map(|port| port.parse().ok().filter(|port| *port > 0)).map_or(Some(None), |port| port.map(Some))?)
        };
        let mut parts = search.split('?');
        let dn = decoded(parts.next().unwrap_or_default())?;
        let attributes = parts.next().unwrap_or_default().split(',').filter(|name| !name.is_empty()).map(decoded).collect::<Option<_>>()?;
        let scope = match parts.next().unwrap_or_default() {
            "" => None,
            name => Some(Scope::parse(name)?),
        };
        let filter = parts.next().filter(|text| !text.is_empty()).map(decoded).map_or(Some(None), |text| text.map(Some))?;
        // Critical extensions that are not known make the URL useless (RFC 4516 §2); none is known here.
        if parts.next().unwrap_or_default().split(',').any(|extension| extension.starts_with('!')) || parts.next().is_some() {
            return None;
        }
        Some(Url { scheme, host, port, dn, attributes, scope, filter })
    }
}

/// Without `%xx`.
fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(c) = bytes.next() {
        if c != b'%' {
            out.push(c);
            continue;
        }
        let digit = |c: Option<u8>| char::from(c?).to_digit(16);
        let byte = digit(bytes.next())? * 16 + digit(bytes.next())?;
        out.push(byte as u8);
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 4516 §4.
    #[test]
    fn examples_of_rfc_4516() {
        let parse = |text: &str| Url::parse(text).unwrap();
        let url = parse("ldap:///o=University%20of%20Michigan,c=US");
        assert_eq!((url.scheme, &*url.host, url.port, &*url.dn), ("ldap", "", None, "o=University of Michigan,c=US"));
        let url = parse("ldap://ldap1.example.net/o=University%20of%20Michigan,c=US?postalAddress");
        assert_eq!((&*url.host, url.attributes), ("ldap1.example.net", vec!["postalAddress".to_owned()]));
        let url = parse("ldap://ldap1.example.net:6666/o=University%20of%20Michigan,c=US??sub?(cn=Babs%20Jensen)");
        assert_eq!((url.port, url.scope, url.filter.as_deref()), (Some(6666), Some(Scope::Sub), Some("(cn=Babs Jensen)")));
        assert_eq!(parse("LDAP://ldap1.example.com/c=GB?objectClass?ONE").scope, Some(Scope::One));
        assert_eq!(parse("ldap://ldap2.example.com/o=Question%3f,c=US?mail").dn, "o=Question?,c=US");
        assert_eq!(
            parse(r"ldap://ldap3.example.com/o=Babsco,c=US???(four-octet=%5c00%5c00%5c00%5c04)").filter.unwrap(),
            r"(four-octet=\00\00\00\04)"
        );
        assert_eq!(parse("ldap:///??sub??e-bindname=cn=Manager%2cdc=example%2cdc=com").scope, Some(Scope::Sub));
        assert_eq!(Url::parse("ldap:///??sub??!e-bindname=cn=Manager%2cdc=example%2cdc=com"), None);
        assert_eq!(parse("ldap://ldap.example.net").dn, "");
        assert_eq!(parse("ldap://ldap.example.net/?").dn, "");
    }

    #[test]
    fn servers() {
        let server = |text: &str| Url::parse(text).map(|url| (url.scheme, url.host, url.port));
        assert_eq!(server("ldapi://%2Fsome%2Fpath"), Some(("ldapi", "/some/path".into(), None)));
        assert_eq!(server("ldaps://ldap.example.com:636"), Some(("ldaps", "ldap.example.com".into(), Some(636))));
        assert_eq!(server("ldap://[::1]:1389/"), Some(("ldap", "::1".into(), Some(1389))));
        for bad in [
            "http://x",
            "ldap://x:/",
            "ldap://x:0",
            "ldap://x:port",
            "ldap://http://x:1",
            "ldap://[::1",
            "ldapi://%2",
            "ldap:x",
            "ldap:///?a?wide",
        ] {
            assert_eq!(server(bad), None, "{bad}");
        }
    }
}
