//! `postfix tls`: keys and certificates of the SMTP server, and TLS that is used where the other side has it (postfix-tls(1)). All cryptography is
//! openssl(1)'s (`openssl_path`).

use crate::{Failed, Place, install, print};
use posthaste_cli::Getopt;
use posthaste_config::network::check_hostname;
use posthaste_config::parameters::PARAMETERS;
use posthaste_config::{Config, system_reason};
use posthaste_log::{Logger, error, fatal, info, warn};
use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const COMMANDS: &str = "enable-client (or enable-server, new-server-key, new-server-cert, deploy-server-cert, output-server-csr, \
                        output-server-tlsa, all-default-client, all-default-server)";

/// A self-signed certificate that nobody checks by its date may as well last.
const DAYS: &str = "36525";

/// A kind of key: its name, what file names begin with, the parameters, how `openssl genpkey` is told.
struct Algorithm {
    name: &'static str,
    prefix: &'static str,
    key_file: &'static str,
    certificate_file: &'static str,
    /// Size of a new key.
    bits: &'static str,
    kind: &'static str,
    size_option: &'static str,
    /// How a public key of this kind says so: its object identifier.
    mark: &'static [u8],
}

const ALGORITHMS: [Algorithm; 2] = [
    Algorithm {
        name: "rsa",
        prefix: "",
        key_file: "smtpd_tls_key_file",
        certificate_file: "smtpd_tls_cert_file",
        bits: "2048",
        kind: "RSA",
        size_option: "rsa_keygen_bits",
        mark: &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01],
    },
    Algorithm {
        name: "ecdsa",
        prefix: "ec",
        key_file: "smtpd_tls_eckey_file",
        certificate_file: "smtpd_tls_eccert_file",
        bits: "prime256v1",
        kind: "EC",
        size_option: "ec_paramgen_curve",
        mark: &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01],
    },
];

/// Does one subcommand.
pub fn run(place: &Place, words: &[String]) -> Result<(), Failed> {
    let log = Logger::program(&place.config, "postfix-tls-script").map_err(|error| {
        fatal!(place.log, "{error}");
        Failed
    })?;
    let tls = Tls { place, config: &place.config, log };
    let (command, words) = words.split_first().map_or(("", &[][..]), |(command, words)| (command.as_str(), words));
    match command {
        "all-default-client" => tls.all_default("smtp_"),
        "all-default-server" => tls.all_default("smtpd_"),
        "deploy-server-cert" => tls.deploy(words),
        "enable-client" => tls.enable_client(words),
        "enable-server" => tls.enable_server(words),
        "new-server-cert" => tls.new_server("new-server-cert", words).map(drop),
        "new-server-key" => tls.new_server("new-server-key", words).map(drop),
        "output-server-csr" => tls.output_csr(words),
        "output-server-tlsa" => tls.output_tlsa(words),
        other => {
            error!(tls.log, "unknown tls command: '{other}'");
            Err(tls.fail(format!("usage: postfix tls {COMMANDS}")))
        }
    }
}

struct Tls<'a> {
    place: &'a Place,
    config: &'a Config,
    log: Logger,
}

/// The options of a subcommand, by letter, and its operands.
struct Given {
    options: Vec<(u8, String)>,
    operands: Vec<String>,
}

impl Given {
    fn value(&self, letter: u8) -> Option<&str> {
        self.options.iter().rev().find(|(given, _)| *given == letter).map(|(_, value)| value.as_str())
    }
}

/// A new key and certificate.
struct Pair {
    algorithm: &'static Algorithm,
    key: PathBuf,
    certificate: PathBuf,
}

impl Tls<'_> {
    fn fail(&self, text: impl std::fmt::Display) -> Failed {
        fatal!(self.log, "{text}");
        Failed
    }

    fn tell(&self, lines: &str) {
        for line in lines.lines() {
            info!(self.log, "{line}");
        }
    }

    fn text(&self, name: &str) -> Result<String, Failed> {
        self.config.text(name).map_err(|error| self.fail(error))
    }

    fn options(&self, letters: &'static str, usage: &str, words: &[String]) -> Result<Given, Failed> {
        let arguments = std::iter::once(OsString::from("postfix tls")).chain(words.iter().map(OsString::from)).collect();
        let mut getopt = Getopt::new(arguments, letters);
        let mut options = Vec::new();
        for option in getopt.by_ref() {
            let (letter, value) = option.map_err(|_| self.fail(format!("usage: postfix tls {usage}")))?;
            options.push((letter, value.unwrap_or_default().to_string_lossy().into_owned()));
        }
        Ok(Given { options, operands: getopt.operands().into_iter().map(|word| word.to_string_lossy().into_owned()).collect() })
    }

    /// Parameters of the client or server that have to do with TLS and are set.
    fn is_default(&self, prefix: &str) -> bool {
        PARAMETERS
            .iter()
            .filter(|row| row.name.strip_prefix(prefix).is_some_and(|rest| rest.contains("tls") && !rest.starts_with("sasl")))
            .all(|row| !self.config.is_set(row.name))
    }

    fn all_default(&self, prefix: &str) -> Result<(), Failed> {
        if self.is_default(prefix) { Ok(()) } else { Err(Failed) }
    }

    /// Sets parameters in main.cf.
    fn set(&self, settings: &[(&str, String)]) -> Result<(), Failed> {
        install::set_parameters(self.place, settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())))
    }

    fn client_settings(&self) -> Result<Vec<(&'static str, String)>, Failed> {
        Ok(vec![
            ("smtp_tls_security_level", "may".into()),
            ("smtp_tls_session_cache_database", format!("lmdb:{}/smtp_scache", self.text("data_directory")?)),
            ("smtp_tls_loglevel", "1".into()),
        ])
    }

    fn server_settings(&self) -> Vec<(&'static str, String)> {
        vec![("smtpd_tls_security_level", "may".into()), ("smtpd_tls_received_header", "yes".into()), ("smtpd_tls_loglevel", "1".into())]
    }

    fn enable_client(&self, words: &[String]) -> Result<(), Failed> {
        let given = self.options("r:", "enable-client [-r devrandom]", words)?;
        let mut settings = self.client_settings()?;
        if !self.is_default("smtp_") {
            return self.suggest("client", &settings);
        }
        settings.extend(given.value(b'r').map(|source| ("tls_random_source", source.to_owned())));
        self.set(&settings)?;
        self.tell("Enabled opportunistic TLS in the Postfix SMTP client.");
        self.reload_hint();
        Ok(())
    }

    fn enable_server(&self, words: &[String]) -> Result<(), Failed> {
        let usage = "enable-server [-r devrandom] [-a algorithm] [-b bits ] [hostname ...]";
        let given = self.options("a:b:r:", usage, words)?;
        let mut settings = self.server_settings();
        if !self.is_default("smtpd_") {
            return self.suggest("server", &settings);
        }
        let pair = self.make("new-server-key", &given)?;
        settings.extend(pair.settings());
        settings.extend(given.value(b'r').map(|source| ("tls_random_source", source.to_owned())));
        self.set(&settings)?;
        self.tell("Enabled opportunistic TLS in the Postfix SMTP server");
        self.reload_hint();
        self.certificate_hints(&pair, false);
        Ok(())
    }

    fn suggest(&self, side: &str, settings: &[(&str, String)]) -> Result<(), Failed> {
        self.tell(&format!(
            "*** Non-default SMTP {side} TLS settings detected, no changes made.\n\
             For opportunistic TLS in the Postfix SMTP {side}, the below settings\nare typical:"
        ));
        settings.iter().for_each(|(name, value)| info!(self.log, "  {name} = {value}"));
        Ok(())
    }

    fn reload_hint(&self) {
        self.tell("Run the command:\n  # postfix reload\nif you want the new settings to take effect immediately.");
    }

    fn certificate_hints(&self, pair: &Pair, deploy: bool) {
        let (key, certificate) = (pair.key.display(), pair.certificate.display());
        self.tell(&format!("To generate a CSR run:\n  # postfix tls output-server-csr -k {key} [<hostname> ...]"));
        let then = if deploy { ", and deploy as above." } else { "." };
        info!(self.log, "Save the signed certificate chain in {certificate}{then}");
        self.tell(&format!("To generate TLSA records run:\n  # postfix tls output-server-tlsa [-h <hostname>] {key}"));
    }

    fn new_server(&self, command: &str, words: &[String]) -> Result<(), Failed> {
        let given = self.options("a:b:", &format!("{command} [-a algorithm] [-b bits ] [hostname ...]"), words)?;
        let pair = self.make(command, &given)?;
        let (key, certificate) = (pair.key.display(), pair.certificate.display());
        self.tell(&format!(
            "New private key and self-signed certificate created. To deploy run:\n  # postfix tls deploy-server-cert {certificate} {key}"
        ));
        self.certificate_hints(&pair, true);
        Ok(())
    }

    /// A key, new or the one in use, and a certificate for it that it has signed itself.
    fn make(&self, command: &str, given: &Given) -> Result<Pair, Failed> {
        let name = given.value(b'a').unwrap_or("rsa");
        let algorithm = ALGORITHMS
            .iter()
            .find(|algorithm| algorithm.name == name)
            .ok_or_else(|| self.fail(format!("Unsupported public key algorithm: {name}")))?;
        let hosts = self.hosts(&given.operands)?;
        let in_use = if command == "new-server-cert" { self.configured(algorithm)? } else { None };
        let key = match in_use {
            Some(file) => std::fs::read(&file).map_err(|error| self.fail(format!("open {}: {}", file.display(), system_reason(&error))))?,
            None => {
                let bits = given.value(b'b').unwrap_or(algorithm.bits);
                // The curve's name in the standard is unknown to older versions.
                let size = format!("{}:{}", algorithm.size_option, if bits == "secp256r1" { "prime256v1" } else { bits });
                self.openssl(&["genpkey", "-quiet", "-algorithm", algorithm.kind, "-pkeyopt", &size], b"")
                    .or_else(|_| self.openssl(&["genpkey", "-algorithm", algorithm.kind, "-pkeyopt", &size], b""))
                    .map_err(|reasons| {
                        reasons.iter().for_each(|reason| warn!(self.log, "{reason}"));
                        self.fail(format!("error generating new {name} {bits} private key"))
                    })?
            }
        };
        let stamp = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S");
        let file = |what: &str| self.config.directory().join(format!("{}{what}-{stamp}.pem", algorithm.prefix));
        let pair = Pair { algorithm, key: file("key"), certificate: file("cert") };
        self.write(&pair.key, 0o600, &key)?;
        let path = pair.key.to_string_lossy();
        let arguments = ["req", "-new", "-x509", "-sha256", "-days", DAYS, "-key", &path, "-config", "/dev/stdin", "-extensions", "more"];
        let certificate = self.openssl(&arguments, request(&hosts).as_bytes()).map_err(|reasons| {
            reasons.iter().for_each(|reason| warn!(self.log, "{reason}"));
            self.fail(format!("error generating self-signed certificate for {}", pair.key.display()))
        })?;
        self.write(&pair.certificate, 0o644, &certificate)?;
        Ok(pair)
    }

    /// The names of a certificate; that of this host when none is given.
    fn hosts(&self, given: &[String]) -> Result<Vec<String>, Failed> {
        if given.is_empty() {
            return Ok(vec![self.text("myhostname")?]);
        }
        for host in given {
            check_hostname(host.strip_prefix("*.").unwrap_or(host))
                .map_err(|reason| self.fail(format!("bad hostname {host}: {reason}")))?;
        }
        Ok(given.to_vec())
    }

    fn write(&self, path: &Path, mode: u32, text: &[u8]) -> Result<(), Failed> {
        let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
        made.and_then(|mut file| file.write_all(text).and_then(|()| file.sync_all()))
            .map_err(|error| self.fail(format!("write {}: {}", path.display(), system_reason(&error))))
    }

    /// The key file that main.cf names for this kind of key.
    fn configured(&self, algorithm: &Algorithm) -> Result<Option<PathBuf>, Failed> {
        let name = self.text(algorithm.key_file)?;
        Ok((!name.is_empty() && !name.eq_ignore_ascii_case("none")).then(|| self.config.directory().join(name)))
    }

    fn deploy(&self, words: &[String]) -> Result<(), Failed> {
        let [certificate, key] = words else { return Err(self.fail("usage: postfix tls deploy-server-cert certfile keyfile")) };
        let (certificate, key) = (self.config.directory().join(certificate), self.config.directory().join(key));
        let public = self.public_key(&key)?;
        let algorithm = ALGORITHMS
            .iter()
            .find(|algorithm| public.windows(algorithm.mark.len()).any(|piece| piece == algorithm.mark))
            .ok_or_else(|| self.fail(format!("Unsupported public key algorithm in {}", key.display())))?;
        let path = certificate.to_string_lossy();
        let theirs = self
            .openssl(&["x509", "-noout", "-pubkey", "-in", &path], b"")
            .and_then(|pem| self.openssl(&["pkey", "-pubin", "-outform", "DER"], &pem))
            .map_err(|_| self.fail(format!("no certificate found in file: {path}")))?;
        if theirs != public {
            return Err(self.fail(format!("Certificate in {path} does not match key in {}", key.display())));
        }
        self.set(&Pair { algorithm, key, certificate }.settings())?;
        self.tell("New TLS private key and certificate deployed.");
        self.reload_hint();
        Ok(())
    }

    /// The public key of a file, in binary.
    fn public_key(&self, key: &Path) -> Result<Vec<u8>, Failed> {
        self.openssl(&["pkey", "-pubout", "-outform", "DER", "-in", &key.to_string_lossy()], b"")
            .map_err(|_| self.fail(format!("no private key found in file: {}", key.display())))
    }

    /// A key file given by its name, or by the name of an algorithm.
    fn key(&self, word: &str) -> Result<Option<PathBuf>, Failed> {
        match ALGORITHMS.iter().find(|algorithm| algorithm.name == word) {
            Some(algorithm) => self.configured(algorithm),
            None => Ok(Some(self.config.directory().join(word))),
        }
    }

    fn output_csr(&self, words: &[String]) -> Result<(), Failed> {
        let given = self.options("k:", "output-server-csr [-k keyfile] [hostname ...]", words)?;
        let hosts = self.hosts(&given.operands)?;
        let key = self.key(given.value(b'k').unwrap_or("rsa"))?.filter(|file| file.is_file());
        let key = key.ok_or_else(|| self.fail("No usable keyfile specified or configured"))?;
        let path = key.to_string_lossy();
        let csr = self
            .openssl(&["req", "-new", "-sha256", "-key", &path, "-config", "/dev/stdin", "-reqexts", "more"], request(&hosts).as_bytes());
        let csr = csr.map_err(|reasons| {
            reasons.iter().for_each(|reason| warn!(self.log, "{reason}"));
            self.fail(format!("error generating a certificate signing request for {path}"))
        })?;
        print(&String::from_utf8_lossy(&csr));
        Ok(())
    }

    fn output_tlsa(&self, words: &[String]) -> Result<(), Failed> {
        let given = self.options("h:", "output-server-tlsa [-h hostname] [keyfile ...]", words)?;
        let host = match given.value(b'h') {
            Some(host) => self.hosts(&[host.to_owned()])?.remove(0),
            None => self.text("myhostname")?,
        };
        let all = ["rsa", "ecdsa"].map(String::from);
        let words = if given.operands.is_empty() { &all[..] } else { &given.operands };
        let mut found = false;
        for word in words {
            let Some(key) = self.key(word)? else { continue };
            let digest = self.openssl(&["dgst", "-sha256", "-r"], &self.public_key(&key)?);
            let digest = digest.map_err(|_| self.fail(format!("cannot compute the digest of {}", key.display())))?;
            let hexadecimal = String::from_utf8_lossy(&digest).split_whitespace().next().unwrap_or_default().to_owned();
            print(&format!("; {}\n_25._tcp.{host}. IN TLSA 3 1 1 {hexadecimal}\n", key.display()));
            found = true;
        }
        if found { Ok(()) } else { Err(self.fail("No usable keyfile specified or configured")) }
    }

    /// What openssl(1) writes, or the lines of its complaint. A configuration file of the machine is not needed, and may not be there.
    fn openssl(&self, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>, Vec<String>> {
        let program = self.config.text("openssl_path").map_err(|error| vec![error.to_string()])?;
        let run = || {
            let mut command = Command::new(&program);
            command.args(arguments).env("OPENSSL_CONF", "/dev/null").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn()?;
            if let Some(mut stdin) = child.stdin.take() {
                // It may have found something wrong before it has read everything.
                let _ = stdin.write_all(input);
            }
            child.wait_with_output()
        };
        match run() {
            Ok(output) if output.status.success() => Ok(output.stdout),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).lines().map(str::to_owned).collect()),
            Err(error) => Err(vec![format!("cannot run {program}: {}", system_reason(&error))]),
        }
    }
}

impl Pair {
    fn settings(&self) -> [(&'static str, String); 2] {
        let name = |path: &Path| path.to_string_lossy().into_owned();
        [(self.algorithm.certificate_file, name(&self.certificate)), (self.algorithm.key_file, name(&self.key))]
    }
}

/// What openssl-req(1) asks for: the names, in its own configuration language.
fn request(hosts: &[String]) -> String {
    // A common name has at most 64 characters (RFC 5280, appendix A.1); then the alternative names alone have to do.
    let common = hosts.iter().find(|host| host.len() <= 64).map_or("mail server", String::as_str);
    let names = hosts.iter().map(|host| format!("DNS:{host}")).collect::<Vec<_>>().join(",");
    format!(
        "[req]\nprompt = no\ndistinguished_name = name\n[name]\nCN = {common}\n[more]\nbasicConstraints = CA:FALSE\n\
         extendedKeyUsage = serverAuth, clientAuth\nsubjectAltName = {names}\n"
    )
}
