//! The seam behind which a TLS library stands; smtpd and smtp know only what is here.
//!
//! A [`Session`] does no I/O: ciphertext goes in and comes out as bytes, and so does plain text. The shell that owns the socket moves them
//! (`fill` what was read, write what `take_output` gives). So one socket type, one set of timers and one connection cache serve plain and
//! encrypted sessions alike, and another library can be put in without touching either end.
//!
//! A [`Backend`] makes sessions. Which certificates are believed, which names they must have, which protocols and ciphers are used, is the
//! backend's to decide from the [`ClientPolicy`] or its own settings; *what follows from a failed check* (go on, defer) is the caller's,
//! by [`Peer::verified`].

use std::fmt;

/// A TLS library, set up with keys, certificates and settings of one service. Cheap to call from many sessions at a time.
pub trait Backend {
    /// Begins a session as client. The first bytes to send are in its output at once.
    fn client(&self, policy: &ClientPolicy) -> Result<Box<dyn Session>, TlsError>;

    /// Begins a session as server.
    fn server(&self) -> Result<Box<dyn Session>, TlsError>;
}

/// One TLS connection, without its socket. After an error it is of no use; what `take_output` still gives (an alert) should be sent.
pub trait Session {
    /// Takes ciphertext from the peer. Empty input says that the peer closed the connection.
    fn fill(&mut self, ciphertext: &[u8]) -> Result<(), TlsError>;

    /// Appends the ciphertext that is to be sent; says whether there was any.
    fn take_output(&mut self, out: &mut Vec<u8>) -> bool;

    /// Whether the handshake is still going on.
    fn is_handshaking(&self) -> bool;

    /// Appends received plain text; says how much. 0 with the peer's close seen is the end: [`Session::is_closed`].
    fn read(&mut self, out: &mut Vec<u8>) -> Result<usize, TlsError>;

    /// Encrypts plain text. All of it is taken; the ciphertext waits in the output.
    fn write(&mut self, text: &[u8]) -> Result<(), TlsError>;

    /// Whether the peer has properly closed its side. An end of the connection without this is a truncation.
    fn is_closed(&self) -> bool;

    /// Closes our side: puts the closing alert into the output.
    fn close(&mut self);

    /// What is known of the session and the peer once the handshake is done.
    fn peer(&self) -> Peer;

    /// Keying material for channel binding (RFC 5705, RFC 9266).
    fn export(&self, label: &str, out: &mut [u8]) -> Result<(), TlsError>;
}

/// What a client asks of a session, made from the policy of the destination (TLS_README, "Client TLS security levels").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientPolicy {
    /// How strict.
    pub level: Level,
    /// Name to send in SNI; `None` sends none.
    pub server_name: Option<String>,
    /// Names one of which the certificate must have, as `smtp_tls_secure_cert_match` and the like give them, or fingerprints.
    pub matches: Vec<String>,
    /// TLSA records: usage, selector, matching type, data (RFC 6698).
    pub tlsa: Vec<(u8, u8, u8, Vec<u8>)>,
    /// Sessions with the same key may be resumed; empty for none.
    pub cache_key: String,
}

/// TLS security levels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are those of smtp_tls_security_level")]
pub enum Level {
    #[default]
    None,
    May,
    Encrypt,
    Dane,
    DaneOnly,
    Fingerprint,
    Verify,
    Secure,
}

impl Level {
    /// From a setting's value.
    pub fn parse(word: &str) -> Option<Level> {
        Some(match word.to_ascii_lowercase().as_str() {
            "none" => Level::None,
            "may" => Level::May,
            "encrypt" => Level::Encrypt,
            "dane" => Level::Dane,
            "dane-only" => Level::DaneOnly,
            "fingerprint" => Level::Fingerprint,
            "verify" => Level::Verify,
            "secure" => Level::Secure,
            _ => return None,
        })
    }

    /// Whether mail may not go out in the clear. (`Dane` comes down to `May` before it is used, where there are no usable records.)
    pub fn is_mandatory(self) -> bool {
        self >= Level::Encrypt
    }
}

/// What a finished handshake told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// `TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) …`, as logged.
    pub summary: String,
    /// `TLSv1.3`.
    pub protocol: String,
    /// Name of the cipher suite.
    pub cipher: String,
    /// Subject common name, of the peer's certificate.
    pub subject: String,
    /// Issuer common name.
    pub issuer: String,
    /// The certificate's fingerprint by the configured digest, and that of its public key, in upper-case hexadecimal with colons.
    pub fingerprints: Option<(String, String)>,
    /// A certificate was shown.
    pub certificate: bool,
    /// Its chain ends at a trusted authority.
    pub trusted: bool,
    /// All that the policy asks of the peer holds.
    pub verified: bool,
    /// The session was resumed.
    pub resumed: bool,
}

/// Why TLS failed. `Display` is what goes to the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsError(pub String);

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// TLS_README: from `encrypt` on, mail does not go out in the clear.
    #[test]
    fn levels() {
        let mandatory = |word| Level::parse(word).map(Level::is_mandatory);
        for word in ["encrypt", "dane-only", "fingerprint", "verify", "SECURE"] {
            assert_eq!(mandatory(word), Some(true), "{word}");
        }
        assert_eq!((mandatory("none"), mandatory("may"), mandatory("always")), (Some(false), Some(false), None));
    }
}
