//! TLS to database servers, by rustls: what the settings `tls_ca_cert_file`, `tls_cert` and so on make of it.

use crate::Source;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Where systems keep the certificates of the authorities they trust.
const SYSTEM: &[&str] =
    &["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"];

/// How sessions are made. Everything is read when it is made, since the process enters its sandbox later.
#[derive(Clone)]
pub struct Tls(Arc<ClientConfig>);

/// The settings; empty texts are not set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// A file of certificates of authorities, in PEM.
    pub ca_file: String,
    /// A folder of such files; without either the system's are believed.
    pub ca_dir: String,
    /// This client's certificate.
    pub cert: String,
    /// Its key.
    pub key: String,
    /// OpenSSL's names of cipher suites; others mean nothing here.
    pub ciphers: String,
    /// Whether the server's certificate must be good and in its name.
    pub verify: bool,
    /// Whether a good certificate will do whatever name is in it.
    pub any_name: bool,
}

impl TlsSettings {
    /// From the settings that ldap_table(5) names.
    pub fn read(source: &Source, verify: bool) -> Result<TlsSettings, String> {
        Ok(TlsSettings {
            ca_file: source.text("tls_ca_cert_file", "")?,
            ca_dir: source.text("tls_ca_cert_dir", "")?,
            cert: source.text("tls_cert", "")?,
            key: source.text("tls_key", "")?,
            ciphers: source.text("tls_cipher_suite", "")?,
            verify: source.bool("tls_require_cert", verify)?,
            any_name: false,
        })
    }
}

/// OpenSSL's names of the suites that have others there.
const SUITES: &[(&str, &str)] = &[
    ("ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
    ("ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
    ("ECDHE-ECDSA-CHACHA20-POLY1305", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
    ("ECDHE-RSA-AES128-GCM-SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
    ("ECDHE-RSA-AES256-GCM-SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
    ("ECDHE-RSA-CHACHA20-POLY1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
    ("TLS_AES_128_GCM_SHA256", "TLS13_AES_128_GCM_SHA256"),
    ("TLS_AES_256_GCM_SHA384", "TLS13_AES_256_GCM_SHA384"),
    ("TLS_CHACHA20_POLY1305_SHA256", "TLS13_CHACHA20_POLY1305_SHA256"),
];

impl Tls {
    /// Reads certificates and keys. The error names the file.
    pub fn new(settings: &TlsSettings) -> Result<Tls, String> {
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        let wanted: Vec<&str> = settings
            .ciphers
            .split([':', ',', ' '])
            .filter_map(|name| SUITES.iter().find(|(openssl, _)| openssl.eq_ignore_ascii_case(name)).map(|(_, ours)| *ours))
            .collect();
        // Words such as HIGH or NORMAL name no single suite: then all are good, since none of those here is weak.
        if !wanted.is_empty() {
            provider.cipher_suites.retain(|suite| wanted.contains(&format!("{:?}", suite.suite()).as_str()));
        }
        let provider = Arc::new(provider);
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("tls_cipher_suite: {error}"))?;
        let builder = if settings.verify && settings.any_name {
            let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots(settings)?), provider);
            let inner = inner.build().map_err(|error| format!("certificates of authorities: {error}"))?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyName(inner)))
        } else if settings.verify {
            builder.with_root_certificates(roots(settings)?)
        } else {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        };
        let config = if settings.cert.is_empty() {
            builder.with_no_client_auth()
        } else {
            let key = if settings.key.is_empty() { &settings.cert } else { &settings.key };
            let chain = certificates(Path::new(&settings.cert))?;
            let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| format!("{key}: {error}"))?;
            builder.with_client_auth_cert(chain, secret).map_err(|error| format!("{}: {error}", settings.cert))?
        };
        Ok(Tls(Arc::new(config)))
    }

    /// How sessions are made, for libraries that make them.
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0)
    }

    /// A new session with a server of this name.
    pub fn session(&self, host: &str) -> io::Result<ClientConnection> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "bad server name"))?;
        ClientConnection::new(Arc::clone(&self.0), name).map_err(io::Error::other)
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let fault = |error: rustls::pki_types::pem::Error| match error {
        rustls::pki_types::pem::Error::Io(error) => format!("open {}: {}", path.display(), posthaste_config::system_reason(&error)),
        other => format!("{}: {other}", path.display()),
    };
    CertificateDer::pem_file_iter(path).map_err(fault)?.collect::<Result<Vec<_>, _>>().map_err(fault)
}

fn roots(settings: &TlsSettings) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    if !settings.ca_file.is_empty() {
        roots.add_parsable_certificates(certificates(Path::new(&settings.ca_file))?);
    } else if !settings.ca_dir.is_empty() {
        let folder = std::fs::read_dir(&settings.ca_dir)
            .map_err(|error| format!("open {}: {}", settings.ca_dir, posthaste_config::system_reason(&error)))?;
        // Other files may lie there too.
        let found = folder.flatten().filter_map(|entry| certificates(&entry.path()).ok()).flatten();
        roots.add_parsable_certificates(found);
    } else if let Some(bundle) = SYSTEM.iter().find(|path| Path::new(path).exists()) {
        roots.add_parsable_certificates(certificates(Path::new(bundle))?);
    }
    Ok(roots)
}

/// `tls_require_cert = no`: encrypted, to whoever answers.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Believes a certificate of a known authority whatever name is in it: PostgreSQL's `sslmode=verify-ca`.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        cert: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.0.verify_server_cert(cert, chain, name, ocsp, now) {
            // The name is looked at last, when everything else was found good.
            Err(rustls::Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. })) => {
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_not_there_are_named() {
        let error = |settings: TlsSettings| Tls::new(&settings).err().unwrap();
        let missing = TlsSettings { ca_file: "/nosuch/ca.pem".into(), verify: true, ..TlsSettings::default() };
        assert_eq!(error(missing), "open /nosuch/ca.pem: No such file or directory");
        let missing = TlsSettings { ca_dir: "/nosuch".into(), verify: true, ..TlsSettings::default() };
        assert_eq!(error(missing), "open /nosuch: No such file or directory");
        let missing = TlsSettings { cert: "/nosuch/cert.pem".into(), ..TlsSettings::default() };
        assert_eq!(error(missing), "open /nosuch/cert.pem: No such file or directory");
    }

    #[test]
    fn cipher_names_choose_suites() {
        let suites = |ciphers: &str| {
            let tls = Tls::new(&TlsSettings { ciphers: ciphers.into(), ..TlsSettings::default() }).unwrap();
            tls.0.crypto_provider().cipher_suites.len()
        };
        assert_eq!(suites(""), 9);
        assert_eq!(suites("HIGH:!aNULL"), 9);
        assert_eq!(suites("ECDHE-RSA-AES256-GCM-SHA384:TLS_AES_256_GCM_SHA384"), 2);
    }

    #[test]
    fn a_bad_host_name_is_an_error() {
        assert!(Tls::new(&TlsSettings::default()).unwrap().session("not a name").is_err());
    }
}
