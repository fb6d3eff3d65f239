//! One connection to a server: OP_MSG (<https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/>), what the server says of itself, login.

use super::bson::{self, Bson, Document};
use super::uri::{Mechanism, Preference, Uri};
use crate::connection::{Connection, Endpoint, reason};
use crate::md5::md5_hex;
use crate::sasl::{Client, Credentials};
use crate::tls::Tls;
use std::io;

/// The opcode of all messages (MongoDB 3.6 and later).
const OP_MSG: i32 = 2013;
/// The longest message that servers send (`maxMessageSizeBytes`).
const LONGEST: usize = 48_000_000;

/// Why a server did not answer.
#[derive(Debug)]
pub enum Fault {
    /// No connection, or no more.
    Io(io::Error),
    /// Its own words.
    Refused {
        /// Its number for them; 0 for none.
        code: i64,
        /// The words.
        text: String,
    },
}

impl Fault {
    /// A fault with the server's part of the talk.
    pub fn text(text: impl Into<String>) -> Fault {
        Fault::Refused { code: 0, text: text.into() }
    }

    /// Another member of the set, or the same a little later, may answer (the codes that drivers try again at).
    pub fn passes(&self) -> bool {
        match self {
            Fault::Io(_) => true,
            Fault::Refused { code, .. } => [6, 7, 89, 91, 134, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436].contains(code),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Io(error)
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Io(error) => f.write_str(&reason(error)),
            Fault::Refused { text, .. } => f.write_str(text),
        }
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "malformed reply")
}

/// What a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// No member of a set: a single server, or a router of a cluster.
    Alone,
    Primary,
    Secondary,
    /// Of no use now: an arbiter, or one that starts.
    Other,
}

/// A connection that is ready for commands.
pub struct Session {
    connection: Connection,
    /// For messages.
    pub host: String,
    /// What the server said it is.
    pub role: Role,
    number: i32,
}

/// What a server said of itself and its set.
pub struct Hello {
    pub set: Option<String>,
    /// The primary first, where it is known.
    pub members: Vec<String>,
    /// The login mechanisms of the user that was asked for.
    mechanisms: Vec<String>,
}

fn text(value: &str) -> Bson {
    Bson::Text(value.into())
}

impl Session {
    /// Connects, and asks who is there; not logged in yet.
    pub fn open(endpoint: &Endpoint, uri: &Uri, tls: Option<&Tls>) -> Result<(Session, Hello), Fault> {
        let mut connection = Connection::open(endpoint, uri.connect_timeout)?;
        if let (Some(tls), Endpoint::Tcp(..)) = (tls, endpoint) {
            connection = connection.secure(tls, endpoint.host())?;
        }
        let mut session = Session { connection, host: endpoint.to_string(), role: Role::Other, number: 0 };
        let reply = match session.hello("hello", uri) {
            // Before 4.4.2 and 5.0 it had another name.
            Err(Fault::Refused { code: 59, .. }) => session.hello("isMaster", uri)?,
            reply => reply?,
        };
        let yes = |name| bson::get(&reply, name).and_then(Bson::number).is_some_and(|value| value != 0);
        let set = bson::get(&reply, "setName").and_then(Bson::text).map(str::to_owned);
        session.role = match &set {
            None if yes("isreplicaset") => Role::Other,
            None => Role::Alone,
            Some(_) if yes("isWritablePrimary") || yes("ismaster") => Role::Primary,
            Some(_) if yes("secondary") => Role::Secondary,
            Some(_) => Role::Other,
        };
        let list = |name| match bson::get(&reply, name) {
            Some(Bson::Array(list)) => list.iter().filter_map(Bson::text).map(str::to_owned).collect(),
            Some(Bson::Text(one)) => vec![one.to_string()],
            _ => Vec::new(),
        };
        let members = ["primary", "hosts", "passives"].into_iter().flat_map(list).collect();
        Ok((session, Hello { set, members, mechanisms: list("saslSupportedMechs") }))
    }

    fn hello(&mut self, name: &str, uri: &Uri) -> Result<Document, Fault> {
        let client = vec![
            (
                "driver".to_owned(),
                Bson::Document(vec![("name".into(), text("posthaste")), ("version".into(), text(env!("CARGO_PKG_VERSION")))]),
            ),
            ("os".to_owned(), Bson::Document(vec![("type".into(), text(std::env::consts::OS))])),
        ];
        let application = Bson::Document(vec![("name".into(), text(&uri.app_name))]);
        let client = match uri.app_name.as_str() {
            "" => client,
            _ => [vec![("application".to_owned(), application)], client].concat(),
        };
        let mut command = vec![(name.to_owned(), Bson::Int32(1)), ("client".to_owned(), Bson::Document(client))];
        if let (Some(user), None | Some(Mechanism::Scram)) = (&uri.user, uri.mechanism) {
            command.push(("saslSupportedMechs".into(), text(&format!("{}.{user}", uri.auth_source.as_deref().unwrap_or("admin")))));
        }
        self.run(command, "admin")
    }

    /// Logs in, if the connection string says how.
    pub fn log_in(&mut self, uri: &Uri, hello: &Hello) -> Result<(), Fault> {
        let mechanism = match (uri.mechanism, &uri.user) {
            (Some(Mechanism::X509), user) => {
                let mut command = vec![("authenticate".to_owned(), Bson::Int32(1)), ("mechanism".to_owned(), text("MONGODB-X509"))];
                command.extend(user.iter().map(|user| ("user".to_owned(), text(user))));
                return self.run(command, "$external").map(drop);
            }
            (_, None) => return Ok(()),
            (Some(Mechanism::Plain), _) => "PLAIN",
            (Some(Mechanism::ScramSha1), _) => "SCRAM-SHA-1",
            (Some(Mechanism::ScramSha256), _) => "SCRAM-SHA-256",
            // A server that says nothing of it is one from before SCRAM-SHA-256.
            (None | Some(Mechanism::Scram), _) if hello.mechanisms.iter().any(|name| name == "SCRAM-SHA-256") => "SCRAM-SHA-256",
            (None | Some(Mechanism::Scram), _) => "SCRAM-SHA-1",
        };
        let user = uri.user.clone().unwrap_or_default();
        let password = match mechanism {
            // What servers keep for this mechanism comes from the time of an older one.
            "SCRAM-SHA-1" => md5_hex(format!("{user}:mongo:{}", uri.password).as_bytes()),
            _ => uri.password.clone(),
        };
        let source = uri.auth_source.as_deref().unwrap_or(if mechanism == "PLAIN" { "$external" } else { "admin" });
        let internal = || Fault::text("no login mechanism");
        let mut client = Client::new(mechanism, Credentials { user, password, ..Credentials::default() }).ok_or_else(internal)?;
        let first = client.initial().ok_or_else(internal)?;
        let mut reply = self.run(
            vec![
                ("saslStart".to_owned(), Bson::Int32(1)),
                ("mechanism".to_owned(), text(mechanism)),
                ("payload".to_owned(), Bson::Binary(first)),
                ("autoAuthorize".to_owned(), Bson::Int32(1)),
                ("options".to_owned(), Bson::Document(vec![("skipEmptyExchange".into(), Bson::Bool(true))])),
            ],
            source,
        )?;
        // SCRAM takes two more rounds, with servers that want an empty one at the end a third.
        for _ in 0..4 {
            let done = bson::get(&reply, "done").and_then(Bson::number).is_some_and(|value| value != 0);
            let conversation = bson::get(&reply, "conversationId").cloned().unwrap_or(Bson::Int32(1));
            let challenge = match bson::get(&reply, "payload") {
                Some(Bson::Binary(bytes)) => bytes.clone(),
                Some(Bson::Text(text)) => text.to_vec(),
                _ => return Err(malformed().into()),
            };
            let answer =
                if client.is_done() && challenge.is_empty() { Vec::new() } else { client.answer(&challenge).map_err(Fault::text)? };
            if done {
                // It must have proved by then that it knows the password.
                return if client.is_done() { Ok(()) } else { Err(Fault::text("the server does not know the password")) };
            }
            let next = vec![
                ("saslContinue".to_owned(), Bson::Int32(1)),
                ("conversationId".to_owned(), conversation),
                ("payload".to_owned(), Bson::Binary(answer)),
            ];
            reply = self.run(next, source)?;
        }
        Err(Fault::text("the login does not end"))
    }

    /// A command that looks something up: on which of the members that may be done, the server wants to be told.
    pub fn ask(&mut self, mut command: Document, database: &str, uri: &Uri) -> Result<Document, Fault> {
        let preference = match (uri.preference, self.role) {
            // Whoever asks one certain host takes what it is.
            (Preference::Primary, Role::Secondary | Role::Other) if uri.direct => Preference::PrimaryPreferred,
            (preference, _) => preference,
        };
        if preference != Preference::Primary {
            command.push(("$readPreference".to_owned(), Bson::Document(vec![("mode".into(), text(preference.name()))])));
        }
        self.connection.within(uri.socket_timeout);
        self.run(command, database)
    }

    /// One command and its reply.
    fn run(&mut self, mut command: Document, database: &str) -> Result<Document, Fault> {
        command.push(("$db".to_owned(), text(database)));
        self.number = self.number.wrapping_add(1);
        // Length, request, response to, opcode, flags, one section of kind 0: a document.
        let mut message = vec![0; 21];
        message[4..8].copy_from_slice(&self.number.to_le_bytes());
        message[12..16].copy_from_slice(&OP_MSG.to_le_bytes());
        bson::encode(&command, &mut message);
        let length = message.len() as u32;
        message[..4].copy_from_slice(&length.to_le_bytes());
        self.connection.send(&message)?;
        let reply = self.receive()?;
        if bson::get(&reply, "ok").and_then(Bson::number) == Some(1) {
            return Ok(reply);
        }
        let code = bson::get(&reply, "code").and_then(Bson::number).unwrap_or(0);
        let words = bson::get(&reply, "errmsg").and_then(Bson::text).unwrap_or("the command failed");
        Err(Fault::Refused { code, text: words.to_owned() })
    }

    fn receive(&mut self) -> io::Result<Document> {
        let head = self.connection.exactly(16)?;
        let word = |i: usize| i32::from_le_bytes([head[i], head[i + 1], head[i + 2], head[i + 3]]);
        let length = usize::try_from(word(0)).ok().filter(|length| (21..=LONGEST).contains(length)).ok_or_else(malformed)?;
        if word(8) != self.number || word(12) != OP_MSG {
            return Err(malformed());
        }
        let body = self.connection.exactly(length - 16)?;
        let flags = u32::from_le_bytes([body[0], body[1], body[2], body[3]]);
        // 1: a checksum follows. 2: more messages follow, which nobody asked for. Other low bits must be understood, and are not.
        let end = if flags & 1 == 1 { body.len().checked_sub(4).ok_or_else(malformed)? } else { body.len() };
        let document = body.get(5..end).filter(|_| flags & 0xfffe == 0 && body[4] == 0).and_then(bson::decode);
        document.ok_or_else(malformed)
    }
}
