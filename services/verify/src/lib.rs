//! verify(8): remembers which addresses are deliverable, and finds out by probes (ADDRESS_VERIFICATION_README).
//!
//! The SMTP server asks ([`Query`]) and is answered at once from the cache (`address_verify_map`); what is not known, or known for long, is
//! probed. The queue manager tells what became of probes ([`Probed`]). The cache is in memory, and on disk now and then ([`Cache`]); or it is a table
//! that others use, too ([`SharedCache`]).

pub mod entry;
pub mod probe;

use bstr::{BStr, BString, ByteSlice};
use entry::{Entry, Times};
use posthaste_address::Address;
use posthaste_cleanup_protocol::{ALIASED, Profile};
use posthaste_config::{Config, split_list};
use posthaste_ipc::delivery::Outcome;
use posthaste_ipc::frame::{self, Decoder};
use posthaste_ipc::qmgr::NewMessage;
use posthaste_ipc::verify::{Known, ProbeSender, Probed, Query};
use posthaste_ipc::wire::WireError;
use posthaste_log::{Logger, error, info, warn};
use posthaste_queue::Queue;
use posthaste_service::{Connection, Fatal, Service, Setup, SharedCache, Spec};
use posthaste_system::users;
use posthaste_table::{Context, cache::Cache};
use probe::{Prober, Sent};
use std::cell::RefCell;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::{Notify, Semaphore};

/// From a change of the cache to its being saved, so that many changes are saved together.
const SAVE: Duration = Duration::from_secs(1);
/// In the cache: when it was last cleaned up, as Postfix notes it.
const CLEANED: &[u8] = b"_LAST_CACHE_CLEANUP_COMPLETED_";
/// Probes made at one time; each waits for the disk.
const THREADS: usize = 8;

/// Runs the daemon with the arguments of its master.cf entry.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let spec = Spec { program: "verify", privileged: false, connects: false, executes: false };
    posthaste_service::run::<Verify>(spec, arguments)
}

/// The service.
struct Verify {
    /// Empty when there is a shared one.
    cache: RefCell<Cache>,
    shared: Option<SharedCache>,
    /// Told when the own cache changed.
    changed: Notify,
    times: Times,
    cleanup_interval: Duration,
    sender: ProbeSender,
    prober: Arc<Prober>,
    threads: Arc<Semaphore>,
    queue_manager: String,
    log: Logger,
}

impl Service for Verify {
    const SINGLE: bool = true;
    const LIMIT_CLIENTS: bool = false;

    fn open(setup: &Setup) -> Result<Verify, Fatal> {
        let config = &setup.config;
        let log = setup.log.clone();
        let context = Context::from_config(config, log.clone())?;
        let spec = own_place(config.text("address_verify_map")?, config, &log)?;
        let shared = SharedCache::open(&spec, &context, &log).transpose().map_err(Fatal)?;
        let cache = Cache::open(if shared.is_some() { "" } else { &spec }, &context).or_else(|error| {
            // Mail goes on; what is found out is known until this process ends.
            error!(log, "{error}");
            warn!(log, "{spec} is unavailable: results are kept in memory only");
            Cache::open("", &context).map_err(Fatal)
        })?;
        let sender = config.text("address_verify_sender")?;
        let sender = if sender == "<>" { Address::empty() } else { Address::from_external(sender.as_bytes()) };
        let classes = config.text("smtputf8_autodetect_classes")?;
        Ok(Verify {
            cache: RefCell::new(cache),
            shared,
            changed: Notify::new(),
            times: Times {
                positive_expire: config.time("address_verify_positive_expire_time")?,
                positive_refresh: config.time("address_verify_positive_refresh_time")?,
                negative_expire: config.time("address_verify_negative_expire_time")?,
                negative_refresh: config.time("address_verify_negative_refresh_time")?,
                negative_cache: config.bool("address_verify_negative_cache")?,
            },
            cleanup_interval: config.time("address_verify_cache_cleanup_interval")?,
            // Completed by the rewriting that the probe goes through, as any sender.
            sender: ProbeSender::new(sender, config.time("address_verify_sender_ttl")?),
            prober: Arc::new(Prober {
                queue: Queue::open(config)?,
                profile: Profile::open(config)?,
                myhostname: config.text("myhostname")?,
                mail_name: config.text("mail_name")?,
                smtputf8: config.bool("smtputf8_enable")? && split_list(&classes).any(|class| matches!(class, "all" | "verify")),
            }),
            threads: Arc::new(Semaphore::new(THREADS)),
            queue_manager: format!("public/{}", config.text("queue_service_name")?),
            log,
        })
    }

    fn started(self: &Rc<Verify>, _setup: &Setup) {
        let this = Rc::clone(self);
        tokio::task::spawn_local(async move { this.save_now_and_then().await });
        if !self.cleanup_interval.is_zero() && !self.cache_name().is_empty() {
            if self.shared.is_none() && self.due(self.cache.borrow().lookup(CLEANED.as_bstr())) <= self.now() {
                self.clean_up_own();
            }
            let this = Rc::clone(self);
            tokio::task::spawn_local(async move { this.clean_up_now_and_then().await });
        }
    }

    async fn serve(self: Rc<Verify>, client: Connection) {
        let Connection::Unix(mut stream) = client else { return };
        let mut decoder = Decoder::new();
        let mut answers = Vec::new();
        loop {
            match stream.read_buf(decoder.buffer()).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            answers.clear();
            if let Err(error) = self.take(&mut decoder, &mut answers).await {
                return warn!(self.log, "{error}");
            }
            if !answers.is_empty() && stream.write_all(&answers).await.is_err() {
                return;
            }
        }
    }

    fn idle(&self) -> bool {
        !self.cache.borrow().is_dirty()
    }

    fn terminated(&self) {
        if let Err(error) = self.cache.borrow_mut().save() {
            warn!(self.log, "{error}");
        }
    }

    async fn drained(self: Rc<Verify>) {
        self.save().await;
    }
}

/// A file in a folder that does not belong to `mail_owner` is taken to be meant for `data_directory` (postconf(5), address_verify_map).
fn own_place(spec: String, config: &Config, log: &Logger) -> Result<String, Fatal> {
    let (kind, path) = match spec.trim().split_once(':') {
        None if spec.trim().is_empty() => return Ok(spec),
        None => (config.text("default_database_type")?, spec.trim()),
        Some((kind @ ("btree" | "hash" | "lmdb"), path)) => (kind.to_owned(), path),
        Some(_) => return Ok(spec),
    };
    let path = Path::new(path);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let owner = users::by_name(&config.text("mail_owner")?).ok().flatten().map(|user| user.uid);
    match (std::fs::metadata(folder), path.file_name()) {
        (Ok(data), Some(file)) if Some(data.uid()) != owner => {
            let data_directory = config.text("data_directory")?;
            warn!(log, "request to update table {} in non-postfix directory {}", spec.trim(), folder.display());
            warn!(log, "redirecting the request to postfix-owned data_directory {data_directory}");
            Ok(format!("{kind}:{}", Path::new(&data_directory).join(file).display()))
        }
        _ => Ok(format!("{kind}:{}", path.display())),
    }
}

impl Verify {
    async fn take(self: &Rc<Verify>, decoder: &mut Decoder, answers: &mut Vec<u8>) -> Result<(), WireError> {
        while let Some(frame) = decoder.frame()? {
            match frame.kind {
                Query::FRAME => {
                    let Query { address } = frame.value()?;
                    frame::put(answers, Known::FRAME, frame.request, &self.query(&address).await)?;
                }
                Probed::FRAME => self.update(frame.value()?).await,
                _ => return Err(WireError("not a request to verify")),
            }
        }
        Ok(())
    }

    fn now(&self) -> u64 {
        self.prober.queue.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
    }

    fn cache_name(&self) -> String {
        self.shared.as_ref().map_or_else(|| self.cache.borrow().name().to_owned(), |shared| shared.name().to_owned())
    }

    async fn lookup(&self, key: &[u8]) -> Option<BString> {
        match &self.shared {
            Some(shared) => shared.lookup(key).await.map(BString::from),
            None => self.cache.borrow().lookup(key.as_bstr()).map(ToOwned::to_owned),
        }
    }

    async fn store(&self, key: &[u8], value: BString) {
        match &self.shared {
            Some(shared) => shared.update(key, value.into()).await,
            None => {
                self.cache.borrow_mut().update(key.as_bstr(), value);
                self.changed.notify_one();
            }
        }
    }

    async fn forget(&self, key: &[u8]) {
        match &self.shared {
            Some(shared) => shared.delete(key).await,
            None => {
                self.cache.borrow_mut().delete(key.as_bstr());
                self.changed.notify_one();
            }
        }
    }

    /// What the cache has; one that makes no sense counts as nothing.
    async fn entry(&self, key: &[u8]) -> Option<Entry> {
        let value = self.lookup(key).await?;
        let entry = Entry::parse(value.as_bstr());
        if entry.is_none() {
            self.bad_entry(&value);
        }
        entry
    }

    fn bad_entry(&self, value: &[u8]) {
        let status = value.split(|c| *c == b':').next().unwrap_or_default().as_bstr();
        warn!(self.log, "bad address verify table entry: {status}");
    }

    async fn query(self: &Rc<Verify>, address: &Address) -> Known {
        let now = self.now();
        let key = address.as_bytes();
        let known = self.entry(key).await;
        // An expired result is not shown, but that a probe is under way is not forgotten.
        let mut entry = match known {
            Some(entry) if entry.expired(&self.times, now) => Entry { probed: entry.probed, ..Entry::unknown() },
            Some(entry) => entry,
            None => Entry::unknown(),
        };
        let answer = Known { status: entry.status, text: entry.text.clone() };
        if entry.wants_probe(&self.times, now) {
            entry.probed = now;
            self.store(key, entry.value()).await;
            self.probe(address.clone());
        }
        answer
    }

    async fn update(&self, probed: Probed) {
        let now = self.now();
        let key = probed.address.as_bytes();
        let entry = self.entry(key).await.unwrap_or_else(Entry::unknown);
        match entry.after(probed.outcome, probed.text, &self.times, now) {
            Some(entry) => self.store(key, entry.value()).await,
            None => self.forget(key).await,
        }
    }

    fn probe(self: &Rc<Verify>, address: Address) {
        let this = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let permit = this.threads.acquire().await;
            let (prober, sender, recipient) = (Arc::clone(&this.prober), this.sender.at(this.prober.queue.clock.now()), address.clone());
            let sent = tokio::task::spawn_blocking(move || prober.send(&sender, &recipient)).await;
            drop(permit);
            match sent {
                Ok(Ok(Sent { new, aliased })) => {
                    this.announce(new).await;
                    if aliased {
                        this.update(Probed { address, outcome: Outcome::Sent, text: ALIASED.into() }).await;
                    }
                }
                Ok(Err(error)) => warn!(this.log, "cannot send a probe for <{address}>: {error}"),
                Err(_) => warn!(this.log, "cannot send a probe for <{address}>: the thread panicked"),
            }
        });
    }

    /// Tells the queue manager. What is lost here, the scan of `incoming` finds.
    async fn announce(&self, new: Option<NewMessage>) {
        let mut bytes = Vec::new();
        if let Some(new) = new
            && frame::put(&mut bytes, NewMessage::FRAME, 0, &new).is_ok()
            && let Ok(mut stream) = UnixStream::connect(&self.queue_manager).await
        {
            let _ = stream.write_all(&bytes).await;
        }
    }

    async fn save_now_and_then(&self) {
        let mut pause = SAVE;
        loop {
            self.changed.notified().await;
            tokio::time::sleep(pause).await;
            let begun = Instant::now();
            self.save().await;
            // A long cache is written as a whole: that may not become all that this process does.
            pause = SAVE.max(begun.elapsed() * 20);
        }
    }

    async fn save(&self) {
        let Some(snapshot) = self.cache.borrow_mut().snapshot() else { return };
        match tokio::task::spawn_blocking(move || snapshot.save()).await {
            Ok(Ok(())) => (),
            Ok(Err(error)) => warn!(self.log, "{error}"),
            Err(_) => warn!(self.log, "cannot save {}: the thread panicked", self.cache.borrow().name()),
        }
    }

    /// `address_verify_cache_cleanup_interval` after the last time, which may have been in another process.
    async fn clean_up_now_and_then(&self) {
        loop {
            let due = self.clean_up_due().await;
            tokio::time::sleep(Duration::from_secs(due.saturating_sub(self.now()))).await;
            // Others who share the cache may have done it meanwhile.
            if self.clean_up_due().await <= self.now() {
                self.clean_up().await;
            }
        }
    }

    async fn clean_up_due(&self) -> u64 {
        self.due(self.lookup(CLEANED).await.as_ref().map(|value| value.as_bstr()))
    }

    /// When the next time is, by the note of the last one.
    fn due(&self, last: Option<&BStr>) -> u64 {
        let last = last.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        last.unwrap_or(0).saturating_add(self.cleanup_interval.as_secs())
    }

    async fn clean_up(&self) {
        let Some(shared) = &self.shared else { return self.clean_up_own() };
        let (now, times) = (self.now(), self.times);
        let keep = move |key: &[u8], value: &[u8]| key == CLEANED || kept(value, &times, now);
        let counts = shared.retain(keep).await;
        // Noted also where it cannot be done, so that it is tried at long intervals only.
        shared.update(CLEANED, now.to_string().into()).await;
        if let Some(counts) = counts {
            self.cleaned(shared.name(), counts);
        }
    }

    fn clean_up_own(&self) {
        let now = self.now();
        let mut cache = self.cache.borrow_mut();
        cache.delete(CLEANED.as_bstr());
        let counts = cache.retain(|_, value| kept(value, &self.times, now));
        cache.update(CLEANED.as_bstr(), now.to_string().into());
        self.changed.notify_one();
        self.cleaned(cache.name(), counts);
    }

    fn cleaned(&self, cache: &str, (retained, dropped): (usize, usize)) {
        info!(self.log, "cache {cache} full cleanup: retained={retained} dropped={dropped} entries");
    }
}

/// Whether an entry of the cache is still of use.
fn kept(value: &[u8], times: &Times, now: u64) -> bool {
    Entry::parse(value.as_bstr()).is_some_and(|entry| !entry.useless(times, now))
}
