//! Connection strings: `mongodb://user:password@host:port,host/database?option=value` and `mongodb+srv://name/…`
//! (<https://www.mongodb.com/docs/manual/reference/connection-string/>).

use crate::connection::Endpoint;
use crate::tls::TlsSettings;
use std::time::Duration;

/// Which members of a replica set are asked (`readPreference`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preference {
    /// The one that is written to.
    #[default]
    Primary,
    /// It, or another while there is none.
    PrimaryPreferred,
    /// The others.
    Secondary,
    /// They, or the primary while there are none.
    SecondaryPreferred,
    /// Any.
    Nearest,
}

impl Preference {
    /// Its name in the protocol.
    pub fn name(self) -> &'static str {
        match self {
            Preference::Primary => "primary",
            Preference::PrimaryPreferred => "primaryPreferred",
            Preference::Secondary => "secondary",
            Preference::SecondaryPreferred => "secondaryPreferred",
            Preference::Nearest => "nearest",
        }
    }

    fn parse(text: &str) -> Option<Preference> {
        use Preference::{Nearest, Primary, PrimaryPreferred, Secondary, SecondaryPreferred};
        [Primary, PrimaryPreferred, Secondary, SecondaryPreferred, Nearest].into_iter().find(|each| each.name() == text)
    }
}

/// How to log in (`authMechanism`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// The better one of the two SCRAM mechanisms that the server offers for the user.
    Scram,
    /// SCRAM-SHA-1
    ScramSha1,
    /// SCRAM-SHA-256
    ScramSha256,
    /// PLAIN: the server asks LDAP.
    Plain,
    /// The certificate is the login.
    X509,
}

/// Where the hosts come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// They are these.
    Listed(Vec<Endpoint>),
    /// The SRV records of `_service._tcp.name` tell.
    Srv {
        /// What stands in the place of the hosts.
        name: String,
        /// `srvServiceName`
        service: String,
    },
}

/// All that a connection string says.
#[derive(Clone, PartialEq, Eq)]
pub struct Uri {
    pub hosts: Hosts,
    pub user: Option<String>,
    pub password: String,
    /// The database that knows the user: `authSource`, else the one in the path; `None` where the mechanism's own default holds.
    pub auth_source: Option<String>,
    pub mechanism: Option<Mechanism>,
    pub replica_set: Option<String>,
    pub preference: Preference,
    /// Ask this host and no other, whatever its role (`directConnection`).
    pub direct: bool,
    /// `None`: not wanted.
    pub tls: Option<TlsSettings>,
    pub connect_timeout: Duration,
    pub socket_timeout: Duration,
    pub app_name: String,
    /// What of it has no effect.
    pub warnings: Vec<String>,
}

const PORT: u16 = 27017;

/// Options that concern writing, pools or what is not done here, and change no answer.
const NO_EFFECT: &[&str] = &[
    "appname",
    "compressors",
    "heartbeatfrequencyms",
    "journal",
    "loadbalanced",
    "localthresholdms",
    "maxconnecting",
    "maxidletimems",
    "maxpoolsize",
    "maxstalenessseconds",
    "minpoolsize",
    "readconcernlevel",
    "retryreads",
    "retrywrites",
    "safe",
    "servermonitoringmode",
    "serverselectiontimeoutms",
    "serverselectiontryonce",
    "socketcheckintervalms",
    "srvmaxhosts",
    "tlsdisablecertificaterevocationcheck",
    "tlsdisableocspendpointcheck",
    "uuidrepresentation",
    "w",
    "waitqueuemultiple",
    "waitqueuetimeoutms",
    "wtimeoutms",
    "zlibcompressionlevel",
];

impl Uri {
    /// Reads one. The error does not show it, since a password may be in it.
    pub fn parse(text: &str) -> Result<Uri, String> {
        let (srv, rest) = match (text.strip_prefix("mongodb://"), text.strip_prefix("mongodb+srv://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return Err("it must begin with mongodb:// or mongodb+srv://".into()),
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, names) = match authority.rsplit_once('@') {
            Some((login, names)) => (Some(login), names),
            None => (None, authority),
        };
        let (user, password) = match login.map(|login| login.split_once(':').unwrap_or((login, ""))) {
            Some((user, password)) if user.contains('@') || password.contains([':', '@']) => {
                return Err("in user and password, : / ? # [ ] @ are written as %3A %2F %3F %23 %5B %5D %40".into());
            }
            Some((user, password)) => (Some(decoded(user)?), decoded(password)?),
            None => (None, String::new()),
        };
        let hosts = if srv {
            if names.contains([':', ',']) || names.split('.').filter(|label| !label.is_empty()).count() < 3 {
                return Err("mongodb+srv:// takes one name with a host and a domain, and no port".into());
            }
            Hosts::Srv { name: names.to_owned(), service: "mongodb".into() }
        } else {
            Hosts::Listed(names.split(',').map(host).collect::<Result<_, _>>()?)
        };
        let path = decoded(path)?;
        let mut uri = Uri {
            hosts,
            user,
            password,
            auth_source: Some(path).filter(|path| !path.is_empty()),
            mechanism: None,
            replica_set: None,
            preference: Preference::Primary,
            direct: false,
            tls: srv.then(|| TlsSettings { verify: true, ..TlsSettings::default() }),
            connect_timeout: Duration::from_secs(10),
            socket_timeout: Duration::from_secs(30),
            app_name: String::new(),
            warnings: Vec::new(),
        };
        let mut direct = None;
        let mut tls = Tls { wanted: None, settings: TlsSettings { verify: true, ..TlsSettings::default() } };
        for pair in query.split(['&', ';']).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(|| format!("option \"{pair}\" has no value"))?;
            let value = decoded(value)?;
            match name.to_ascii_lowercase().as_str() {
                "directconnection" => direct = Some(flag(name, &value)?),
                "srvservicename" => match &mut uri.hosts {
                    Hosts::Srv { service, .. } => *service = value,
                    Hosts::Listed(_) => return Err("srvServiceName needs mongodb+srv://".into()),
                },
                lower => {
                    if !tls.option(lower, name, &value)? {
                        uri.option(lower, name, &value)?;
                    }
                }
            }
        }
        match tls.wanted {
            Some(false) => uri.tls = None,
            Some(true) => uri.tls = Some(tls.settings),
            None if uri.tls.is_some() => uri.tls = Some(tls.settings),
            None => {}
        }
        if uri.mechanism == Some(Mechanism::X509) && uri.tls.is_none() {
            return Err("MONGODB-X509 needs tls=true".into());
        }
        let one = matches!(&uri.hosts, Hosts::Listed(hosts) if hosts.len() == 1);
        if direct == Some(true) && !one {
            return Err("directConnection takes one host".into());
        }
        uri.direct = direct.unwrap_or(one && uri.replica_set.is_none());
        Ok(uri)
    }

    /// An option that a TXT record may set too.
    fn option(&mut self, lower: &str, name: &str, value: &str) -> Result<(), String> {
        let wrong = || format!("bad value of {name}: {value}");
        let time = || -> Result<Duration, String> {
            let milliseconds: u64 = value.parse().map_err(|_| wrong())?;
            // No limit at all would hold up the mail system.
            Ok(if milliseconds == 0 { Duration::from_secs(3600) } else { Duration::from_millis(milliseconds) })
        };
        match lower {
            "authsource" => self.auth_source = Some(value.to_owned()),
            "replicaset" => self.replica_set = Some(value.to_owned()),
            "connecttimeoutms" => self.connect_timeout = time()?,
            "sockettimeoutms" => self.socket_timeout = time()?,
            "readpreference" => self.preference = Preference::parse(value).ok_or_else(wrong)?,
            "appname" => self.app_name = value.to_owned(),
            "authmechanism" => {
                self.mechanism = Some(match value {
                    "DEFAULT" => Mechanism::Scram,
                    "SCRAM-SHA-1" => Mechanism::ScramSha1,
                    "SCRAM-SHA-256" => Mechanism::ScramSha256,
                    "PLAIN" => Mechanism::Plain,
                    "MONGODB-X509" => Mechanism::X509,
                    _ => {
                        return Err(format!(
                            "authMechanism={value} is not supported (SCRAM-SHA-256, SCRAM-SHA-1, PLAIN and MONGODB-X509 are)"
                        ));
                    }
                });
            }
            known if NO_EFFECT.contains(&known) => {}
            _ => self.warnings.push(format!("uri: unsupported option \"{name}\" is ignored")),
        }
        Ok(())
    }

    /// What the TXT record of a `mongodb+srv` name says, which counts less than the string itself.
    pub fn with_txt(&self, text: &str) -> Result<Uri, String> {
        let mut uri = self.clone();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("authSource", value)) => uri.auth_source = uri.auth_source.or_else(|| Some(value.to_owned())),
                Some(("replicaSet", value)) => uri.replica_set = uri.replica_set.or_else(|| Some(value.to_owned())),
                Some(("loadBalanced", _)) => {}
                _ => return Err("TXT record: only authSource, replicaSet and loadBalanced may be set".into()),
            }
        }
        Ok(uri)
    }
}

struct Tls {
    wanted: Option<bool>,
    settings: TlsSettings,
}

impl Tls {
    /// `false`: not an option of TLS.
    fn option(&mut self, lower: &str, name: &str, value: &str) -> Result<bool, String> {
        let settings = &mut self.settings;
        match lower {
            "tls" | "ssl" => {
                let on = flag(name, value)?;
                if self.wanted.is_some_and(|before| before != on) {
                    return Err("tls and ssl contradict each other".into());
                }
                self.wanted = Some(on);
                return Ok(true);
            }
            "tlscafile" => settings.ca_file = value.to_owned(),
            "tlscertificatekeyfile" => settings.cert = value.to_owned(),
            "tlscertificatekeyfilepassword" => return Err(format!("{name}: keys with a password are not supported")),
            "tlsallowinvalidhostnames" => settings.any_name = flag(name, value)?,
            "tlsallowinvalidcertificates" | "tlsinsecure" => settings.verify = !flag(name, value)?,
            _ => return Ok(false),
        }
        // An option of TLS asks for it.
        self.wanted = self.wanted.or(Some(true));
        Ok(true)
    }
}

fn flag(name: &str, value: &str) -> Result<bool, String> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("bad value of {name}: {value} (true or false)")),
    }
}

fn host(text: &str) -> Result<Endpoint, String> {
    let text = decoded(text)?;
    if text.ends_with(".sock") {
        return Ok(Endpoint::Unix(text.into()));
    }
    Endpoint::parse(&text, PORT).map_err(|_| format!("bad host \"{text}\": expected host, host:port, [address]:port or %2Fpath%2Fof.sock"))
}

/// Without `%` and two digits for a byte.
fn decoded(text: &str) -> Result<String, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&c, after)) = rest.split_first() {
        rest = after;
        if c != b'%' {
            out.push(c);
            continue;
        }
        let byte =
            after.get(..2).and_then(|pair| std::str::from_utf8(pair).ok()).filter(|pair| pair.bytes().all(|c| c.is_ascii_hexdigit()));
        out.push(byte.and_then(|pair| u8::from_str_radix(pair, 16).ok()).ok_or("a % that is no %XX")?);
        rest = &after[2..];
    }
    String::from_utf8(out).map_err(|_| "not UTF-8".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(uri: &Uri) -> String {
        match &uri.hosts {
            Hosts::Listed(hosts) => hosts.iter().map(Endpoint::to_string).collect::<Vec<_>>().join(" "),
            Hosts::Srv { name, service } => format!("{service}:{name}"),
        }
    }

    fn uri(text: &str) -> Uri {
        Uri::parse(text).unwrap_or_else(|fault| panic!("{text}: {fault}"))
    }

    // The examples of https://www.mongodb.com/docs/manual/reference/connection-string/ and its specification.
    #[test]
    fn connection_strings() {
        let local = uri("mongodb://localhost");
        assert_eq!(
            (listed(&local).as_str(), local.direct, local.user.as_deref(), local.tls.is_some()),
            ("localhost:27017", true, None, false)
        );
        let set =
            uri("mongodb://u%40x:p%3Aw@mongodb0.example.com:27017,mongodb1.example.com,[::1]:27018/?authSource=admin&replicaSet=myRepl");
        assert_eq!(listed(&set), "mongodb0.example.com:27017 mongodb1.example.com:27017 [::1]:27018");
        assert_eq!((set.user.as_deref(), set.password.as_str(), set.auth_source.as_deref()), (Some("u@x"), "p:w", Some("admin")));
        assert_eq!((set.replica_set.as_deref(), set.direct), (Some("myRepl"), false));
        let srv = uri("mongodb+srv://server.example.com/?connectTimeoutMS=300&authSource=aDifferentAuthDB");
        assert_eq!(
            (listed(&srv).as_str(), srv.tls.is_some(), srv.connect_timeout),
            ("mongodb:server.example.com", true, Duration::from_millis(300))
        );
        assert!(uri("mongodb+srv://server.example.com/?tls=false").tls.is_none());
        assert_eq!(
            uri("mongodb://%2Ftmp%2Fmongodb-27017.sock/mail").hosts,
            Hosts::Listed(vec![Endpoint::Unix("/tmp/mongodb-27017.sock".into())])
        );
        assert_eq!(uri("mongodb://u:p@h/mail").auth_source.as_deref(), Some("mail"));
        assert!(!uri("mongodb://h/?directConnection=false").direct);
        assert_eq!(uri("mongodb://h/?readPreference=secondaryPreferred").preference, Preference::SecondaryPreferred);
        let tls = uri("mongodb://h/?tlsCAFile=/etc/ca.pem&tlsAllowInvalidHostnames=true").tls.unwrap();
        assert_eq!((tls.ca_file.as_str(), tls.verify, tls.any_name), ("/etc/ca.pem", true, true));
        assert!(!uri("mongodb://h/?tls=true&tlsInsecure=true").tls.unwrap().verify);
        assert_eq!(uri("mongodb://h/?maxPoolSize=1&nonsense=1").warnings, ["uri: unsupported option \"nonsense\" is ignored"]);
    }

    #[test]
    fn what_is_none() {
        for bad in [
            "localhost:27017",
            "mongodb://",
            "mongodb://h:x",
            "mongodb://h:99999",
            "mongodb://h,,i",
            "mongodb://u:p@w@h",
            "mongodb://u:p:w@h",
            "mongodb://u%4:p@h",
            "mongodb+srv://user:pass@host.example.com:27017/mail",
            "mongodb+srv://localhost",
            "mongodb+srv://a.example.com,b.example.com",
            "mongodb://h/?tls",
            "mongodb://h/?tls=yes",
            "mongodb://h/?tls=true&ssl=false",
            "mongodb://h/?connectTimeoutMS=soon",
            "mongodb://h/?readPreference=best",
            "mongodb://h/?authMechanism=GSSAPI",
            "mongodb://h/?authMechanism=MONGODB-X509",
            "mongodb://h,i/?directConnection=true",
            "mongodb://h/?srvServiceName=x",
        ] {
            let fault = Uri::parse(bad).err();
            assert!(fault.is_some(), "{bad}");
            assert!(!fault.unwrap().contains("p:w"), "{bad}: shows the password");
        }
    }

    #[test]
    fn txt_records() {
        let plain = uri("mongodb+srv://server.example.com/");
        let told = plain.with_txt("replicaSet=mySet&authSource=authDB").ok().unwrap();
        assert_eq!((told.replica_set.as_deref(), told.auth_source.as_deref()), (Some("mySet"), Some("authDB")));
        let own = uri("mongodb+srv://server.example.com/?replicaSet=own").with_txt("replicaSet=mySet").ok().unwrap();
        assert_eq!(own.replica_set.as_deref(), Some("own"));
        assert!(plain.with_txt("tls=false").is_err());
    }
}
