//! The client's side of SASL (RFC 4422), for LDAP and MongoDB: EXTERNAL, PLAIN, LOGIN, CRAM-MD5, DIGEST-MD5, SCRAM-SHA-1, SCRAM-SHA-256.

use crate::md5::{hex, hmac_md5, md5, md5_hex};
use aws_lc_rs::{digest, hmac, pbkdf2, rand};
use bstr::ByteSlice;
use posthaste_table::base64;
use std::num::NonZeroU32;

/// Who logs in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The name that the password belongs to.
    pub user: String,
    /// The password, as the mechanism takes it.
    pub password: String,
    /// The name to act as; empty for the same.
    pub authzid: String,
    /// The realm; empty for the one that the server offers first.
    pub realm: String,
    /// `service/host`, for DIGEST-MD5.
    pub uri: String,
}

/// The mechanisms, the best first.
pub const MECHANISMS: &[&str] = &["EXTERNAL", "SCRAM-SHA-256", "SCRAM-SHA-1", "DIGEST-MD5", "CRAM-MD5", "PLAIN", "LOGIN"];

/// One authentication.
pub struct Client {
    state: State,
    credentials: Credentials,
    nonce: String,
}

enum State {
    External,
    Plain,
    LoginName,
    LoginPassword,
    Cram,
    Digest,
    /// What the server must answer at the end.
    DigestEnd(String),
    Scram(Hash),
    ScramFinal(Vec<u8>),
    Done,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Hash {
    Sha1,
    Sha256,
}

impl Hash {
    fn digest(self, text: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Hash::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Hash::Sha256 => &digest::SHA256,
        };
        digest::digest(algorithm, text).as_ref().to_vec()
    }

    fn hmac(self, key: &[u8], text: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Hash::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Hash::Sha256 => hmac::HMAC_SHA256,
        };
        hmac::sign(&hmac::Key::new(algorithm, key), text).as_ref().to_vec()
    }

    fn salted(self, password: &[u8], salt: &[u8], rounds: NonZeroU32) -> Vec<u8> {
        let (algorithm, length) = match self {
            Hash::Sha1 => (pbkdf2::PBKDF2_HMAC_SHA1, 20),
            Hash::Sha256 => (pbkdf2::PBKDF2_HMAC_SHA256, 32),
        };
        let mut out = vec![0; length];
        pbkdf2::derive(algorithm, rounds, salt, password, &mut out);
        out
    }
}

/// More rounds than this are an attack on our time.
const MOST_ROUNDS: u32 = 1_000_000;

/// The server's part makes no sense, or it does not know the password.
pub type Fault = String;

impl Client {
    /// Begins; `None`: a mechanism that is not known here.
    pub fn new(mechanism: &str, credentials: Credentials) -> Option<Client> {
        let state = match mechanism.to_ascii_uppercase().as_str() {
            "EXTERNAL" => State::External,
            "PLAIN" => State::Plain,
            "LOGIN" => State::LoginName,
            "CRAM-MD5" => State::Cram,
            "DIGEST-MD5" => State::Digest,
            "SCRAM-SHA-1" => State::Scram(Hash::Sha1),
            "SCRAM-SHA-256" => State::Scram(Hash::Sha256),
            _ => return None,
        };
        let mut random = [0; 18];
        rand::fill(&mut random).ok()?;
        Some(Client { state, credentials, nonce: base64::encode(&random).to_string() })
    }

    /// What is sent with the name of the mechanism; `None`: the server speaks first.
    pub fn initial(&mut self) -> Option<Vec<u8>> {
        let who = &self.credentials;
        match self.state {
            State::External => {
                let response = who.authzid.clone().into_bytes();
                self.state = State::Done;
                Some(response)
            }
            State::Plain => {
                let response = format!("{}\0{}\0{}", who.authzid, who.user, who.password).into_bytes();
                self.state = State::Done;
                Some(response)
            }
            State::Scram(_) => Some(format!("{}{}", self.header(), self.first()).into_bytes()),
            _ => None,
        }
    }

    /// GS2 header (RFC 5802 §7): no channel binding.
    fn header(&self) -> String {
        match self.credentials.authzid.as_str() {
            "" => "n,,".into(),
            name => format!("n,a={},", scram_name(name)),
        }
    }

    fn first(&self) -> String {
        format!("n={},r={}", scram_name(&self.credentials.user), self.nonce)
    }

    /// Answers a challenge.
    pub fn answer(&mut self, challenge: &[u8]) -> Result<Vec<u8>, Fault> {
        let who = &self.credentials;
        match std::mem::replace(&mut self.state, State::Done) {
            State::LoginName => {
                self.state = State::LoginPassword;
                Ok(who.user.clone().into_bytes())
            }
            State::LoginPassword => Ok(who.password.clone().into_bytes()),
            State::Cram => Ok(format!("{} {}", who.user, hex(&hmac_md5(who.password.as_bytes(), challenge))).into_bytes()),
            State::Digest => self.digest(challenge),
            State::DigestEnd(expected) => match field(challenge, "rspauth") {
                Some(found) if found == expected => Ok(Vec::new()),
                _ => Err("the server does not know the password".into()),
            },
            State::Scram(hash) => self.scram(hash, challenge),
            State::ScramFinal(expected) => {
                let signature = challenge.strip_prefix(b"v=").and_then(base64::decode);
                match signature {
                    Some(found) if found == expected => Ok(Vec::new()),
                    _ => Err("the server does not know the password".into()),
                }
            }
            // An empty challenge where nothing is left to say.
            State::Done if challenge.is_empty() => Ok(Vec::new()),
            State::Done | State::External | State::Plain => Err("unexpected challenge".into()),
        }
    }

    /// Whether all is said, and the server has proved itself where the mechanism has it do so.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// RFC 5802 §5.1.
    fn scram(&mut self, hash: Hash, challenge: &[u8]) -> Result<Vec<u8>, Fault> {
        let bad = || "malformed challenge".to_owned();
        let text = challenge.to_str().map_err(|_| bad())?;
        let part = |name: &str| text.split(',').find_map(|part| part.strip_prefix(name));
        let nonce = part("r=").filter(|nonce| nonce.starts_with(&self.nonce) && nonce.len() > self.nonce.len()).ok_or_else(bad)?;
        let salt = part("s=").and_then(|text| base64::decode(text.as_bytes())).ok_or_else(bad)?;
        let rounds: NonZeroU32 = part("i=").and_then(|text| text.parse().ok()).ok_or_else(bad)?;
        if rounds.get() > MOST_ROUNDS {
            return Err("too many rounds".into());
        }
        let bare = format!("c={},r={nonce}", base64::encode(self.header().as_bytes()));
        let all = format!("{},{text},{bare}", self.first());
        let salted = hash.salted(self.credentials.password.as_bytes(), &salt, rounds);
        let key = hash.hmac(&salted, b"Client Key");
        let signature = hash.hmac(&hash.digest(&key), all.as_bytes());
        let proof: Vec<u8> = key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        let server = hash.hmac(&hash.hmac(&salted, b"Server Key"), all.as_bytes());
        self.state = State::ScramFinal(server);
        Ok(format!("{bare},p={}", base64::encode(&proof)).into_bytes())
    }

    /// RFC 2831 §2.1.2.
    fn digest(&mut self, challenge: &[u8]) -> Result<Vec<u8>, Fault> {
        let who = &self.credentials;
        let nonce = field(challenge, "nonce").ok_or("malformed challenge")?;
        let offered = fields(challenge, "realm");
        // As Cyrus SASL's clients choose: where there is one realm it is that one, whatever is wanted.
        let realm = match &offered[..] {
            [one] => one,
            [first, ..] if who.realm.is_empty() => first,
            _ => &who.realm,
        };
        if field(challenge, "qop").is_some_and(|qop| !qop.split(',').any(|word| word.trim() == "auth")) {
            return Err("the server wants a security layer".into());
        }
        let secret = md5(format!("{}:{realm}:{}", who.user, who.password).as_bytes());
        let cnonce = &self.nonce;
        let mut a1 = secret.to_vec();
        a1.extend_from_slice(format!(":{nonce}:{cnonce}").as_bytes());
        if !who.authzid.is_empty() {
            a1.extend_from_slice(format!(":{}", who.authzid).as_bytes());
        }
        let response = |a2: String| {
            let middle = format!("{nonce}:00000001:{cnonce}:auth");
            md5_hex(format!("{}:{middle}:{}", md5_hex(&a1), md5_hex(a2.as_bytes())).as_bytes())
        };
        let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        let mut out = format!("charset=utf-8,username=\"{}\"", escaped(&who.user));
        if !realm.is_empty() {
            out.push_str(&format!(",realm=\"{}\"", escaped(realm)));
        }
        let answer = response(format!("AUTHENTICATE:{}", who.uri));
        out.push_str(&format!(",nonce=\"{nonce}\",nc=00000001,cnonce=\"{cnonce}\",digest-uri=\"{}\",response={answer},qop=auth", who.uri));
        if !who.authzid.is_empty() {
            out.push_str(&format!(",authzid=\"{}\"", escaped(&who.authzid)));
        }
        self.state = State::DigestEnd(response(format!(":{}", who.uri)));
        Ok(out.into_bytes())
    }
}

/// RFC 5802 §5.1: `saslname`.
fn scram_name(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

/// The first value of a name in a list `name=value, name="value"` (RFC 2831 §7.1).
fn field(text: &[u8], wanted: &str) -> Option<String> {
    fields(text, wanted).into_iter().next()
}

/// All values of a name, as far as the list makes sense.
fn fields(text: &[u8], wanted: &str) -> Vec<String> {
    let mut found = Vec::new();
    let _ = each_field(text, |name, value| {
        if name.eq_ignore_ascii_case(wanted) {
            found.push(value);
        }
    });
    found
}

/// `None`: it does not make sense to its end.
fn each_field(text: &[u8], mut take: impl FnMut(&str, String)) -> Option<()> {
    let text = text.to_str().ok()?;
    let mut rest = text.trim_start_matches([',', ' ', '\t']);
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let (value, tail) = match after.strip_prefix('"') {
            Some(quoted) => {
                let mut value = String::new();
                let mut chars = quoted.char_indices();
                let mut end = None;
                while let Some((at, c)) = chars.next() {
                    match c {
                        '"' => {
                            end = Some(at + 1);
                            break;
                        }
                        '\\' => value.push(chars.next()?.1),
                        _ => value.push(c),
                    }
                }
                (value, &quoted[end?..])
            }
            None => {
                let end = after.find(',').unwrap_or(after.len());
                (after[..end].trim().to_owned(), &after[end..])
            }
        };
        take(name.trim(), value);
        rest = tail.trim_start_matches([',', ' ', '\t']);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(mechanism: &str, user: &str, password: &str, nonce: &str) -> Client {
        let credentials = Credentials { user: user.into(), password: password.into(), ..Credentials::default() };
        Client { nonce: nonce.into(), ..Client::new(mechanism, credentials).unwrap() }
    }

    fn answer(client: &mut Client, challenge: &str) -> Result<String, Fault> {
        client.answer(challenge.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    /// RFC 5802 §5.
    #[test]
    fn scram_sha_1() {
        let mut it = client("SCRAM-SHA-1", "user", "pencil", "fyko+d2lbbFgONRv9qkxdawL");
        assert_eq!(it.initial().unwrap(), b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL");
        assert_eq!(
            answer(&mut it, "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096").unwrap(),
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="
        );
        assert!(!it.is_done());
        assert_eq!(answer(&mut it, "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="), Ok(String::new()));
        assert!(it.is_done());
    }

    /// RFC 7677 §3.
    #[test]
    fn scram_sha_256() {
        let mut it = client("SCRAM-SHA-256", "user", "pencil", "rOprNGfwEbeRWgbNEkqO");
        assert_eq!(it.initial().unwrap(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        assert_eq!(
            answer(&mut it, "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096").unwrap(),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(answer(&mut it, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), Ok(String::new()));
    }

    #[test]
    fn a_server_that_does_not_know_the_password_is_told_from_one_that_does() {
        let challenge = "r=abcdef,s=QSXCR+Q6sek8bf92,i=4096";
        let mut it = client("SCRAM-SHA-1", "user", "pencil", "abc");
        answer(&mut it, challenge).unwrap();
        assert!(answer(&mut it, "v=AAAA").is_err());
        for bad in ["", "r=abc,s=QSXCR+Q6sek8bf92,i=1", "r=xyz,s=QSXC,i=1", "r=abcd,s=QSXC,i=0", "r=abcd,s=QSXC,i=4000000000", "r=abcd,i=1"]
        {
            assert!(answer(&mut client("SCRAM-SHA-1", "user", "pencil", "abc"), bad).is_err(), "{bad}");
        }
    }

    /// RFC 2195 §3.
    #[test]
    fn cram_md5() {
        let mut it = client("CRAM-MD5", "tim", "tanstaaftanstaaf", "");
        assert_eq!(it.initial(), None);
        assert_eq!(answer(&mut it, "<1896.697170952@postoffice.reston.mci.net>").unwrap(), "tim b913a602c7eda7a495b4e6e7334d3890");
    }

    /// RFC 2831 §4.
    #[test]
    fn digest_md5() {
        let mut it = client("DIGEST-MD5", "chris", "secret", "OA6MHXh6VqTrRk");
        it.credentials.uri = "imap/elwood.innosoft.com".into();
        let reply = answer(&mut it, "realm=\"elwood.innosoft.com\",nonce=\"OA6MG9tEQGm2hh\",qop=\"auth\",algorithm=md5-sess,charset=utf-8");
        assert!(reply.unwrap().contains("response=d388dad90d4bbd760a152321f2143af7"));
        assert!(!it.is_done());
        assert_eq!(answer(&mut it, "rspauth=ea40f60335c427b5527b84dbabcdfffd"), Ok(String::new()));
    }

    #[test]
    fn the_realm_is_one_that_the_server_offers() {
        let realm = |wanted: &str, offered: &str| {
            let mut it = client("DIGEST-MD5", "u", "p", "n");
            it.credentials.realm = wanted.into();
            let reply = answer(&mut it, &format!("{offered}nonce=\"x\",qop=\"auth\"")).unwrap();
            field(reply.as_bytes(), "realm").unwrap_or_default()
        };
        assert_eq!(realm("", "realm=\"a\","), "a");
        assert_eq!(realm("b", "realm=\"a\","), "a");
        assert_eq!(realm("b", "realm=\"a\",realm=\"b\","), "b");
        assert_eq!(realm("", "realm=\"a\",realm=\"b\","), "a");
        assert_eq!(realm("b", ""), "b");
        assert_eq!(realm("", ""), "");
    }

    #[test]
    fn simple_mechanisms() {
        assert_eq!(client("PLAIN", "u", "p", "").initial().unwrap(), b"\0u\0p");
        assert_eq!(client("external", "u", "p", "").initial().unwrap(), b"");
        let mut it = client("LOGIN", "u", "p", "");
        assert_eq!(it.initial(), None);
        assert_eq!((answer(&mut it, "Username:").unwrap(), answer(&mut it, "Password:").unwrap()), ("u".into(), "p".into()));
        assert!(Client::new("GSSAPI", Credentials::default()).is_none());
        assert!(MECHANISMS.iter().all(|name| Client::new(name, Credentials::default()).is_some()));
    }
}
