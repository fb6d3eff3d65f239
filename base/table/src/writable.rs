//! Indexed files that are changed entry by entry: what `proxywrite` has open for others, such as the cache of verify(8).
//!
//! [`Build`] writes such a file whole, so that readers and crashes never meet half a table. Changes wait in memory, where lookups see them, and
//! go into the file together: of a small file before the change is answered, with all changes that arrive while the file is written; of a large
//! one when the last writing is long enough ago to be a small part of all work. What others change in the file meanwhile stays.

use crate::build::{Build, BuildFlags, OnDuplicate};
use crate::open::Indexed;
use crate::{Context, Table, TableError};
use bstr::{BStr, BString};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Files up to this size are written before a change is answered.
const SMALL: u64 = 1 << 20;
/// The least time between two times of writing a large file.
const PAUSE: Duration = Duration::from_secs(1);
/// Writing a large file takes no more than this part of the time.
const PART: u32 = 20;

/// See the module's text.
pub(crate) struct Writable(Arc<Inner>);

struct Inner {
    name: String,
    target: PathBuf,
    /// The file as it is.
    file: Indexed,
    waiting: Mutex<Waiting>,
    /// Whoever holds it writes.
    writing: Mutex<()>,
    context: Context,
}

/// Changes by key; `None` removes.
type Changes = HashMap<BString, Option<BString>>;

#[derive(Default)]
struct Waiting {
    /// Not begun.
    changes: Changes,
    /// Being written.
    begun: Changes,
    /// What will become of `changes`.
    outcome: Arc<OnceLock<Result<(), String>>>,
    /// A thread will write them in time.
    thread: bool,
}

impl Writable {
    /// Opens `btree:`, `hash:` or `lmdb:`, with an empty file for one that is not there. The error is a complete text.
    pub fn open(spec: &str, context: &Context) -> Result<Writable, String> {
        let (kind, name) = spec.split_once(':').unwrap_or((spec, ""));
        let target = PathBuf::from(format!("{name}.{}", if kind == "lmdb" { "lmdb" } else { "db" }));
        if !target.exists() {
            Build::create(spec, flags(), context)?.finish()?;
        }
        Ok(Writable(Arc::new(Inner {
            name: spec.to_owned(),
            target,
            file: Indexed::open(spec, context)?,
            waiting: Mutex::default(),
            writing: Mutex::default(),
            context: context.clone(),
        })))
    }
}

/// Keys come folded; a new file is for the mail system alone.
fn flags() -> BuildFlags {
    BuildFlags { keep_case: true, nulls: None, on_duplicate: OnDuplicate::Replace, mode: 0o600 }
}

impl Inner {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, reason: String) -> TableError {
        self.context.warn(&reason);
        TableError::new(&self.name, reason)
    }

    fn change(self: &Arc<Inner>, key: &BStr, value: Option<BString>) -> Result<(), TableError> {
        let mut waiting = self.waiting();
        waiting.changes.insert(key.to_owned(), value);
        let outcome = Arc::clone(&waiting.outcome);
        let small = std::fs::metadata(&self.target).map_or(true, |meta| meta.len() <= SMALL);
        if !small {
            if waiting.thread {
                return Ok(());
            }
            let later = Arc::clone(self);
            waiting.thread = std::thread::Builder::new().name("table".into()).spawn(move || later.write_now_and_then()).is_ok();
            if waiting.thread {
                return Ok(());
            }
        }
        drop(waiting);
        self.write();
        match outcome.get() {
            Some(Err(reason)) => Err(TableError::new(&self.name, reason.clone())),
            _ => Ok(()),
        }
    }

    /// Writes what waits. Afterwards the outcome is set of every change that was there before.
    fn write(&self) {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = {
            let waiting = &mut *self.waiting();
            if waiting.changes.is_empty() {
                return;
            }
            waiting.begun = std::mem::take(&mut waiting.changes);
            std::mem::take(&mut waiting.outcome)
        };
        // Nobody else changes `begun` now; it is copied so that lookups go on.
        let changes = self.waiting().begun.clone();
        let written = Build::update(&self.name, true, flags(), &self.context).and_then(|mut build| {
            for (key, value) in &changes {
                build.delete(key.as_ref());
                if let Some(value) = value {
                    build.put(key.as_ref(), value.as_ref())?;
                }
            }
            build.finish()
        });
        if let Err(reason) = &written {
            self.context.warn(reason);
        }
        let _ = outcome.set(written);
        self.file.expire();
        self.waiting().begun.clear();
    }

    fn write_now_and_then(&self) {
        let mut pause = PAUSE;
        loop {
            std::thread::sleep(pause);
            let start = Instant::now();
            self.write();
            pause = PAUSE.max(start.elapsed() * PART);
            let mut waiting = self.waiting();
            if waiting.changes.is_empty() {
                waiting.thread = false;
                return;
            }
        }
    }
}

impl Drop for Writable {
    fn drop(&mut self) {
        self.0.write();
    }
}

impl Table for Writable {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn lookup(&self, key: &BStr) -> Result<Option<BString>, TableError> {
        let changed = {
            let waiting = self.0.waiting();
            waiting.changes.get(key).or_else(|| waiting.begun.get(key)).cloned()
        };
        changed.map_or_else(|| self.0.file.lookup(key), Ok)
    }

    fn may_block(&self) -> bool {
        true
    }

    fn entries(&self, visit: &mut dyn FnMut(&BStr, &BStr) -> bool) -> Option<Result<(), TableError>> {
        self.sync();
        self.0.file.entries(visit)
    }

    fn update(&self, key: &BStr, value: &BStr) -> Result<(), TableError> {
        self.0.change(key, Some(value.to_owned()))
    }

    fn delete(&self, key: &BStr) -> Result<bool, TableError> {
        if self.lookup(key).map_err(|error| self.0.failed(error.reason))?.is_none() {
            return Ok(false);
        }
        self.0.change(key, None).map(|()| true)
    }

    fn sync(&self) {
        self.0.write();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OpenFlags;
    use crate::context::collecting;
    use crate::open::try_open;
    use std::path::Path;

    fn open(spec: &str) -> Arc<dyn Table> {
        try_open(spec, OpenFlags { writable: true, ..OpenFlags::default() }, &collecting().0).unwrap()
    }

    fn stored(spec: &str, key: &str) -> Option<String> {
        let table = try_open(spec, OpenFlags::default(), &collecting().0).unwrap();
        table.lookup(key.into()).unwrap().map(|value| value.to_string())
    }

    fn spec(kind: &str, folder: &Path) -> String {
        format!("{kind}:{}/t", folder.display())
    }

    // S-TABLE-09
    #[test]
    fn changes_are_in_the_file_when_they_are_answered() {
        let folder = tempfile::tempdir().unwrap();
        for kind in ["btree", "hash", "lmdb"] {
            let spec = spec(kind, folder.path());
            let table = open(&spec);
            assert_eq!(stored(&spec, "key"), None, "the file is there");
            table.update("Key".into(), "one".into()).unwrap();
            assert_eq!(stored(&spec, "key").unwrap(), "one");
            table.update("key".into(), "two".into()).unwrap();
            assert_eq!((table.lookup("KEY".into()).unwrap().unwrap(), stored(&spec, "key").unwrap()), ("two".into(), "two".into()));
            assert!(table.delete("key".into()).unwrap());
            assert!(!table.delete("key".into()).unwrap());
            assert_eq!((table.lookup("key".into()).unwrap(), stored(&spec, "key")), (None, None));
            drop(table);
            std::fs::remove_file(folder.path().join("t.db")).ok();
        }
    }

    #[test]
    fn what_others_write_stays() {
        let folder = tempfile::tempdir().unwrap();
        let spec = spec("hash", folder.path());
        let (one, two) = (open(&spec), open(&spec));
        std::thread::scope(|scope| {
            for (name, table) in [("a", &one), ("b", &two)] {
                for part in 0..4 {
                    scope.spawn(move || {
                        (0..10).for_each(|n| table.update(format!("{name}{part}{n}").as_str().into(), "v".into()).unwrap());
                    });
                }
            }
        });
        let mut count = 0;
        let listed = open(&spec).entries(&mut |_, _| {
            count += 1;
            true
        });
        assert_eq!((listed, count), (Some(Ok(())), 80));
    }

    #[test]
    fn large_files_are_written_later_and_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let spec = spec("btree", folder.path());
        let mut build = Build::create(&spec, flags(), &collecting().0).unwrap();
        for n in 0..20_000 {
            build.put(format!("key{n}").as_str().into(), "a value that is not short, so that the file becomes large".into()).unwrap();
        }
        build.finish().unwrap();
        let table = open(&spec);
        table.update("new".into(), "value".into()).unwrap();
        table.delete("key7".into()).unwrap();
        assert_eq!((table.lookup("new".into()).unwrap().unwrap(), table.lookup("key7".into()).unwrap()), ("value".into(), None));
        assert_eq!((stored(&spec, "new"), stored(&spec, "key7").is_some()), (None, true));
        table.sync();
        assert_eq!((stored(&spec, "new").unwrap(), stored(&spec, "key7")), ("value".into(), None));
        table.update("newer".into(), "value".into()).unwrap();
        drop(table);
        assert_eq!(stored(&spec, "newer").unwrap(), "value");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let spec = spec("hash", folder.path());
        let table = open(&spec);
        std::fs::remove_dir_all(folder.path()).unwrap();
        let error = table.update("k".into(), "v".into()).unwrap_err();
        assert!(error.reason.contains("No such file or directory"), "{error}");
        assert!(table.lookup("k".into()).is_err());
        let open = |spec: &str| try_open(spec, OpenFlags { writable: true, ..OpenFlags::default() }, &collecting().0).err().unwrap();
        assert_eq!(open("texthash:/etc/passwd"), "texthash:/etc/passwd map requires O_RDONLY access mode");
        assert!(open("cdb:/tmp/x").starts_with("dict_cdb_open: inappropriate open flags"));
    }
}
