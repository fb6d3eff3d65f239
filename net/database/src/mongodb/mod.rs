//! `mongodb:/etc/postfix/table.cf`: a lookup is one `find` in a collection of MongoDB 3.6 or later (mongodb_table(5)).
//!
//! The protocol is small enough to be spoken here: `wire` has its messages and the login, `bson` its values, `uri` the connection strings, `json` the
//! language of the settings `query_filter` and `projection`. A key never becomes part of that language: the filter is read when the table is opened,
//! and the `%` in its strings are expanded afterwards.

mod bson;
mod json;
mod uri;
mod wire;

use crate::connection::{Endpoint, Pool};
use crate::tls::Tls;
use crate::{Answers, Source, Template, expand};
use bson::{Bson, Document};
use bstr::{BStr, BString, ByteSlice};
use json::Json;
use posthaste_dns::{Data, Resolver, Type};
use posthaste_table::{Context, OpenFlags, Table, TableError};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, LazyLock, Mutex, OnceLock};
use std::time::Duration;
use uri::{Hosts, Preference, Uri};
use wire::{Fault, Role, Session};

/// How long a connection is kept without work.
const IDLE: Duration = Duration::from_secs(60);
/// The most members of a set that are asked for one that will do.
const MEMBERS: usize = 50;
/// More documents than this for one key are a mistake in the filter.
const MOST: usize = 100_000;

struct Mongodb {
    name: String,
    /// The file of settings, for messages.
    source: String,
    uri: Uri,
    tls: Option<Tls>,
    database: String,
    collection: String,
    filter: Json<Template>,
    projection: Document,
    answers: Answers,
    pool: Arc<Pool<Session>>,
    context: Context,
}

/// Connections by server and login, for the whole process.
static POOLS: LazyLock<Mutex<HashMap<String, Arc<Pool<Session>>>>> = LazyLock::new(Mutex::default);

pub fn open(spec: &str, source: &Source, _: OpenFlags, context: &Context) -> Result<Box<dyn Table>, String> {
    let place = source.name();
    let fault = |setting: &'static str| move |fault: String| format!("{place}: {setting}: {fault}");
    let text = source.required("uri")?;
    let uri = Uri::parse(&text).map_err(fault("uri"))?;
    for warning in &uri.warnings {
        context.warn(&format!("{place}: {warning}"));
    }
    let tls = uri.tls.as_ref().map(Tls::new).transpose().map_err(fault("uri"))?;
    let (database, collection) = (source.required("dbname")?, source.required("collection")?);
    let filter = Json::document(&source.required("query_filter")?).map_err(fault("query_filter"))?;
    let filter = filter.map(&mut |text| Template::parse(text).map_err(|wrong| format!("{place}: query_filter: \"{text}\": {wrong}")))?;
    let (projection, attributes) = (source.text("projection", "")?, source.text("result_attribute", "")?);
    let attributes: Vec<&str> = attributes.split(|c: char| c == ',' || c.is_ascii_whitespace()).filter(|word| !word.is_empty()).collect();
    let projection = match (projection.is_empty(), attributes.is_empty()) {
        (false, false) => return Err(format!("{place}: projection and result_attribute exclude one another: set one of them")),
        (false, true) => match Json::document(&projection).and_then(|json| Bson::from_json(&json)).map_err(fault("projection"))? {
            Bson::Document(fields) => fields,
            _ => return Err(format!("{place}: projection: it is no document of fields")),
        },
        (true, false) => {
            let mut fields: Document = attributes.iter().map(|name| ((*name).to_owned(), Bson::Int32(1))).collect();
            if !attributes.contains(&"_id") {
                fields.push(("_id".to_owned(), Bson::Int32(0)));
            }
            fields
        }
        // All that is there.
        (true, true) => Document::new(),
    };
    let mut pools = POOLS.lock().unwrap_or_else(|e| e.into_inner());
    let pool = Arc::clone(pools.entry(text).or_insert_with(|| Arc::new(Pool::new(IDLE))));
    Ok(Box::new(Mongodb {
        name: spec.to_owned(),
        source: place.to_owned(),
        uri,
        tls,
        database,
        collection,
        filter,
        projection,
        answers: Answers::new(spec, source, context)?,
        pool,
        context: context.clone(),
    }))
}

/// What a member of a set is worth.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fitness {
    Best,
    /// If there is no better one.
    Fallback,
    None,
}

fn fitness(uri: &Uri, role: Role) -> Fitness {
    match (role, uri.preference) {
        _ if uri.direct => Fitness::Best,
        (Role::Alone, _) => Fitness::Best,
        (Role::Primary, Preference::Secondary) | (Role::Secondary, Preference::Primary) | (Role::Other, _) => Fitness::None,
        (Role::Primary, Preference::SecondaryPreferred) | (Role::Secondary, Preference::PrimaryPreferred) => Fitness::Fallback,
        (Role::Primary | Role::Secondary, _) => Fitness::Best,
    }
}

/// Runs on the network thread of the process, like the resolver's sockets.
fn resolve(name: String, service: &str) -> Result<(Vec<Endpoint>, Option<String>), String> {
    static RESOLVER: OnceLock<Resolver> = OnceLock::new();
    let srv = format!("_{service}._tcp.{name}");
    // The domain of the name: other hosts are not believed.
    let domain =
        name.split_once('.').map_or(String::new(), |(_, domain)| format!(".{}", domain.trim_end_matches('.').to_ascii_lowercase()));
    let both = crate::runtime::wait(async move {
        let resolver = RESOLVER.get_or_init(|| Resolver::new(posthaste_dns::Settings::new(posthaste_log::Logger::new("postfix/mongodb"))));
        let hosts = resolver.query(&srv, Type::Srv).await.map_err(|error| error.to_string())?;
        let settings = match resolver.txt(&name).await {
            Ok(answer) => Some(answer),
            Err(error) if error.not_found() => None,
            Err(error) => return Err(error.to_string()),
        };
        Ok((hosts, settings))
    });
    let (hosts, settings) = both.map_err(|error| error.to_string())??;
    let mut endpoints = Vec::new();
    for record in &hosts.records {
        if let Data::Srv { port, host, .. } = &record.data {
            if !host.to_ascii_lowercase().ends_with(&domain) {
                return Err(format!("SRV record: {host} is not in the domain {}", &domain[1..]));
            }
            endpoints.push(Endpoint::Tcp(host.clone(), *port));
        }
    }
    let mut texts = settings.iter().flat_map(|answer| &answer.records).filter_map(|record| match &record.data {
        Data::Txt(text) => Some(text.to_string()),
        _ => None,
    });
    let text = texts.next();
    if texts.next().is_some() {
        return Err("more than one TXT record".into());
    }
    Ok((endpoints, text))
}

impl Mongodb {
    fn fail(&self, text: String) -> TableError {
        self.context.warn(&text);
        TableError::without_detail(&self.name, text)
    }

    fn unanswered(&self, host: &str, fault: &Fault) -> TableError {
        self.fail(format!("{}: mongodb server {host}: {fault}", self.source))
    }

    /// A connection to a member of the set that may be asked, logged in.
    fn connect(&self) -> Result<Session, TableError> {
        let (seeds, uri) = match &self.uri.hosts {
            Hosts::Listed(hosts) => (hosts.clone(), self.uri.clone()),
            Hosts::Srv { name, service } => {
                let found =
                    resolve(name.clone(), service).and_then(|(hosts, text)| Ok((hosts, self.uri.with_txt(&text.unwrap_or_default())?)));
                found.map_err(|fault| self.fail(format!("{}: mongodb servers of {name}: {fault}", self.source)))?
            }
        };
        let mut queue = VecDeque::from(seeds);
        let mut seen: HashSet<String> = HashSet::new();
        let mut fallback = None;
        let mut last = None;
        while let Some(endpoint) = queue.pop_front() {
            if !seen.insert(endpoint.to_string()) || seen.len() > MEMBERS {
                continue;
            }
            let (mut session, hello) = match Session::open(&endpoint, &uri, self.tls.as_ref()) {
                Ok(opened) => opened,
                // Said for each host: with several, each has its reason.
                Err(fault) => {
                    last = Some(self.unanswered(&endpoint.to_string(), &fault));
                    continue;
                }
            };
            if uri.replica_set.is_some() && uri.replica_set != hello.set {
                let set = hello.set.as_deref().unwrap_or("none");
                last = Some(self.unanswered(&session.host, &Fault::text(format!("its replica set is {set}"))));
                continue;
            }
            let fitness = fitness(&uri, session.role);
            if !uri.direct {
                // The set knows its members better than the settings; those it names first are asked first.
                for member in hello.members.iter().rev() {
                    if let Ok(endpoint) = Endpoint::parse(member, 27017) {
                        queue.push_front(endpoint);
                    }
                }
            }
            match fitness {
                Fitness::Best => {
                    return match session.log_in(&uri, &hello) {
                        Ok(()) => Ok(session),
                        Err(fault) => Err(self.unanswered(&session.host, &fault)),
                    };
                }
                Fitness::Fallback if fallback.is_none() => fallback = Some((session, hello)),
                Fitness::Fallback | Fitness::None => {}
            }
        }
        if let Some((mut session, hello)) = fallback {
            return match session.log_in(&uri, &hello) {
                Ok(()) => Ok(session),
                Err(fault) => Err(self.unanswered(&session.host, &fault)),
            };
        }
        Err(last.unwrap_or_else(|| self.fail(format!("{}: no mongodb server is {}", self.source, uri.preference.name()))))
    }

    /// All documents that the filter finds; `Err` for a fault of the connection, or what the server said.
    fn find(&self, session: &mut Session, filter: &Document) -> Result<Vec<Document>, Fault> {
        let mut command =
            vec![("find".to_owned(), Bson::Text(self.collection.as_str().into())), ("filter".to_owned(), Bson::Document(filter.clone()))];
        if !self.projection.is_empty() {
            command.push(("projection".to_owned(), Bson::Document(self.projection.clone())));
        }
        let mut found = Vec::new();
        loop {
            let reply = session.ask(command, &self.database, &self.uri)?;
            let nonsense = || Fault::text("the reply has no cursor");
            let Some(Bson::Document(cursor)) = bson::get(&reply, "cursor") else { return Err(nonsense()) };
            let batch = bson::get(cursor, "firstBatch").or_else(|| bson::get(cursor, "nextBatch"));
            let Some(Bson::Array(batch)) = batch else { return Err(nonsense()) };
            for document in batch {
                let Bson::Document(document) = document else { return Err(nonsense()) };
                found.push(document.clone());
            }
            let id = bson::get(cursor, "id").and_then(Bson::number).ok_or_else(nonsense)?;
            if id == 0 {
                return Ok(found);
            }
            if found.len() > MOST {
                return Err(Fault::text(format!("more than {MOST} documents for one key")));
            }
            command = vec![("getMore".to_owned(), Bson::Int64(id)), ("collection".to_owned(), Bson::Text(self.collection.as_str().into()))];
        }
    }

    fn ask(&self, filter: &Document) -> Result<Vec<Document>, TableError> {
        // The server may have closed a connection of before, or have got another role since.
        while let Some(mut session) = self.pool.take() {
            match self.find(&mut session, filter) {
                Ok(found) => {
                    self.pool.give(session);
                    return Ok(found);
                }
                Err(fault) if fault.passes() => self.pool.clear(),
                Err(fault) => return Err(self.unanswered(&session.host, &fault)),
            }
        }
        let mut again = true;
        loop {
            let mut session = self.connect()?;
            match self.find(&mut session, filter) {
                Ok(found) => {
                    self.pool.give(session);
                    return Ok(found);
                }
                // As drivers do by default, once.
                Err(fault) if fault.passes() && again && !is_late(&fault) => again = false,
                Err(fault) => return Err(self.unanswered(&session.host, &fault)),
            }
        }
    }

    /// Adds what is in a value; other types than texts, whole numbers and lists of them are said and left out.
    fn add(&self, result: &mut expand::Collected<'_>, key: &BStr, field: &str, value: &Bson) -> Result<(), TableError> {
        match value {
            Bson::Text(text) => result.add(text.as_bstr()),
            Bson::Int32(_) | Bson::Int64(_) => result.add(value.number().unwrap_or_default().to_string().as_bytes().as_bstr()),
            Bson::Array(list) => list.iter().try_for_each(|value| self.add(result, key, field, value)),
            other => {
                self.context.warn(&format!(
                    "{}: field \"{field}\" of \"{key}\" has the type {}, which is ignored",
                    self.source,
                    other.kind()
                ));
                Ok(())
            }
        }
    }
}

/// A server that took all its time once will do so again.
fn is_late(fault: &Fault) -> bool {
    matches!(fault, Fault::Io(error) if matches!(error.kind(), std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock))
}

impl Table for Mongodb {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, key: &BStr) -> Result<Option<BString>, TableError> {
        if !self.answers.wanted(key)? {
            return Ok(None);
        }
        // What is expanded is a string of the filter and stays one: nothing needs to be quoted. Keys that get here are UTF-8.
        let filled = self.filter.map(&mut |template| {
            let text = template.query(key, &expand::unquoted).ok_or(())?;
            String::from_utf8(text).map_err(drop)
        });
        let Ok(filled) = filled else { return Ok(None) };
        let filter = match Bson::from_json(&filled) {
            Ok(Bson::Document(filter)) => filter,
            Ok(_) => return Err(self.fail(format!("{}: query_filter: it is no document of fields", self.source))),
            Err(fault) => return Err(self.fail(format!("{}: query_filter for \"{key}\": {fault}", self.source))),
        };
        let mut result = self.answers.result(key);
        for document in self.ask(&filter)? {
            for (field, value) in &document {
                if field != "_id" {
                    self.add(&mut result, key, field, value)?;
                }
            }
        }
        Ok(result.finish())
    }

    fn may_block(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
