//! What a server offers in its reply to EHLO or LHLO.

use super::Reply;
use bstr::{BStr, BString, ByteSlice};

/// Extensions that the client uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// The session speaks ESMTP (EHLO or LHLO was accepted).
    pub esmtp: bool,
    /// RFC 2920.
    pub pipelining: bool,
    /// RFC 1870.
    pub size: bool,
    /// The limit of SIZE; 0 where none is told.
    pub size_limit: u64,
    /// RFC 6152.
    pub eight_bit_mime: bool,
    /// It follows from SMTPUTF8 alone: the server's fault, worth a line in the log.
    pub implied_eight_bit: bool,
    /// RFC 3461.
    pub dsn: bool,
    /// RFC 6531.
    pub smtputf8: bool,
    /// RFC 3207.
    pub starttls: bool,
    /// RFC 8689.
    pub requiretls: bool,
    /// What stands after SIZE in the place of a number: the server's fault, worth a warning.
    pub bad_size: Option<BString>,
    /// Mechanisms of AUTH (RFC 4954), as sent.
    pub auth: Option<BString>,
    /// Attributes of XFORWARD that the server takes.
    pub xforward: Xforward,
}

/// Attributes of XFORWARD (XFORWARD_README).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the attributes")]
pub struct Xforward {
    pub name: bool,
    pub addr: bool,
    pub port: bool,
    pub proto: bool,
    pub helo: bool,
    pub ident: bool,
    pub source: bool,
}

/// Keywords that are to be ignored (`smtp_discard_ehlo_keywords`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discard {
    words: Vec<&'static str>,
    silent: bool,
}

/// What can be discarded, in the order in which Postfix lists it in the log.
const DISCARDABLE: [&str; 15] = [
    "8BITMIME",
    "AUTH",
    "ETRN",
    "PIPELINING",
    "SIZE",
    "VERP",
    "VRFY",
    "XCLIENT",
    "XFORWARD",
    "STARTTLS",
    "ENHANCEDSTATUSCODES",
    "DSN",
    "SMTPUTF8",
    "CHUNKING",
    "REQUIRETLS",
];

impl Discard {
    /// From a list separated by blanks or commas. Words that name no extension are ignored.
    pub fn parse(list: &str) -> Discard {
        let given = |word: &str| list.split([' ', '\t', '\r', '\n', ',']).any(|given| given.eq_ignore_ascii_case(word));
        Discard { words: DISCARDABLE.into_iter().filter(|word| given(word)).collect(), silent: given("silent-discard") }
    }

    /// Whether nothing is discarded.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Whether to say nothing about it in the log. As in the server, Postfix's log does not know ENHANCEDSTATUSCODES.
    pub fn is_silent(&self) -> bool {
        self.silent || self.words.contains(&"ENHANCEDSTATUSCODES")
    }

    /// The words, for the log, with Postfix's odd name for one of them.
    pub fn words(&self) -> String {
        let words: Vec<&str> = self.words.iter().map(|word| if *word == "SMTPUTF8" { "EHLO_MASK_SMTPUTF8" } else { word }).collect();
        words.join(" ")
    }

    fn has(&self, word: &BStr) -> bool {
        self.words.iter().any(|w| word.eq_ignore_ascii_case(w.as_bytes()))
    }
}

impl Features {
    /// From a positive reply. Returns also the name by which the server calls itself.
    pub fn parse<'a>(reply: &'a Reply, discard: &Discard) -> (Features, &'a BStr) {
        let mut features = Features { esmtp: true, ..Features::default() };
        let mut own_name = b"".as_bstr();
        for (i, line) in reply.lines().enumerate() {
            // `AUTH=LOGIN` is what servers said before RFC 2554.
            let mut words = line.split(|&c| matches!(c, b' ' | b'\t' | b'=')).filter(|word| !word.is_empty());
            let Some(word) = words.next() else { continue };
            if i == 0 {
                own_name = word.as_bstr();
                continue;
            }
            if discard.has(word.as_bstr()) {
                continue;
            }
            match word.to_ascii_uppercase().as_slice() {
                b"PIPELINING" => features.pipelining = true,
                b"SIZE" => {
                    features.size = true;
                    if let Some(word) = words.next() {
                        let limit = word.to_str().ok().and_then(|n| n.parse().ok());
                        features.bad_size = limit.is_none().then(|| word.into());
                        features.size_limit = limit.unwrap_or(0);
                    }
                }
                b"8BITMIME" => features.eight_bit_mime = true,
                b"DSN" => features.dsn = true,
                b"SMTPUTF8" => features.smtputf8 = true,
                b"STARTTLS" => features.starttls = true,
                b"REQUIRETLS" => features.requiretls = true,
                b"AUTH" => features.auth = Some(line[word.len()..].trim_start_with(|c| c == '=' || c.is_ascii_whitespace()).into()),
                b"XFORWARD" => {
                    for word in words {
                        match word.to_ascii_uppercase().as_slice() {
                            b"NAME" => features.xforward.name = true,
                            b"ADDR" => features.xforward.addr = true,
                            b"PORT" => features.xforward.port = true,
                            b"PROTO" => features.xforward.proto = true,
                            b"HELO" => features.xforward.helo = true,
                            b"IDENT" => features.xforward.ident = true,
                            b"SOURCE" => features.xforward.source = true,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        // RFC 6531 3.1 item 8: a server with SMTPUTF8 takes 8-bit content, also where it does not say so.
        features.implied_eight_bit = features.smtputf8 && !features.eight_bit_mime;
        features.eight_bit_mime |= features.smtputf8;
        (features, own_name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::ReplyReader;

    fn parse(text: &str, discard: &str) -> (Features, String) {
        let mut reader = ReplyReader::new(2048);
        reader.feed(text.as_bytes());
        let reply = reader.next_reply().unwrap();
        let (features, name) = Features::parse(&reply, &Discard::parse(discard));
        (features, name.to_string())
    }

    const EHLO: &str = "250-mx.example greets you\r\n250-pipelining\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-AUTH PLAIN LOGIN\r\n\
        250-XFORWARD NAME ADDR\r\n250 DSN\r\n";

    #[test]
    fn keywords() {
        let (features, name) = parse(EHLO, "");
        assert_eq!(name, "mx.example");
        assert!(features.pipelining && features.size && features.eight_bit_mime && features.dsn && !features.smtputf8);
        assert_eq!(features.size_limit, 1000);
        assert_eq!(features.auth.unwrap(), "PLAIN LOGIN");
        assert_eq!(features.xforward, Xforward { name: true, addr: true, ..Xforward::default() });
        assert_eq!(parse("250-x\r\n250 AUTH=LOGIN\r\n", "").0.auth.unwrap(), "LOGIN");
    }

    #[test]
    fn smtputf8_implies_8bitmime() {
        let (features, _) = parse("250-x\r\n250 SMTPUTF8\r\n", "");
        assert!(features.eight_bit_mime && features.implied_eight_bit);
        let (features, _) = parse("250-x\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n", "");
        assert!(features.eight_bit_mime && !features.implied_eight_bit);
    }

    #[test]
    fn discarded_keywords() {
        let (features, _) = parse(EHLO, "dsn, 8BitMime pipelining silent-discard");
        assert!(!features.pipelining && !features.eight_bit_mime && !features.dsn && features.size);
        let discard = Discard::parse("dsn, nonsense starttls silent-discard");
        assert!(discard.is_silent());
        assert_eq!(discard.words(), "STARTTLS DSN");
    }
}
