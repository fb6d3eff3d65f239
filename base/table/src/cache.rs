//! A cache that outlives its process: what `address_verify_map` and `postscreen_cache_map` name.
//!
//! One process owns it. All entries are in memory; the file (`btree:`, `hash:`, `lmdb:`, in Postfix's format) is read at the start and written
//! anew, whole, when the owner says so ([`Cache::save`]). What was not saved is lost with the process, which a cache may be. So a crash
//! leaves the old file or the new one, never a damaged one, and `postmap -s` can read it at any time.

use crate::Context;
use crate::build::{Build, BuildFlags, OnDuplicate};
use crate::open::{OpenFlags, try_open};
use bstr::{BStr, BString};
use std::collections::HashMap;

/// See the module's text.
pub struct Cache {
    /// `None` keeps everything in memory.
    spec: Option<String>,
    entries: HashMap<BString, BString>,
    dirty: bool,
    context: Context,
}

/// Everything that is needed to write the file, to be taken to another thread.
pub struct Snapshot {
    spec: String,
    entries: Vec<(BString, BString)>,
    context: Context,
}

impl Cache {
    /// Reads the file of `spec` if there is one; an empty `spec` and `internal:` have none. Errors are complete texts. Blocks for the disk.
    pub fn open(spec: &str, context: &Context) -> Result<Cache, String> {
        let spec = spec.trim();
        let mut cache = Cache { spec: None, entries: HashMap::new(), dirty: false, context: context.clone() };
        if spec.is_empty() || spec.starts_with("internal:") {
            return Ok(cache);
        }
        let (kind, name) = spec.split_once(':').unwrap_or((spec, ""));
        let suffix = match kind {
            "btree" | "hash" => "db",
            "lmdb" => "lmdb",
            _ => return Err(format!("unsupported dictionary type: {kind} cannot be updated; use btree, hash, lmdb, proxy or memcache")),
        };
        cache.spec = Some(spec.to_owned());
        if std::fs::metadata(format!("{name}.{suffix}")).is_ok_and(|data| data.len() > 0) {
            let table = try_open(spec, OpenFlags { raw_bytes: true, ..OpenFlags::default() }, context)?;
            let mut keep = |key: &BStr, value: &BStr| {
                cache.entries.insert(key.to_owned(), value.to_owned());
                true
            };
            table.entries(&mut keep).transpose().map_err(|error| error.to_string())?;
        }
        Ok(cache)
    }

    /// `type:name`; empty for a cache in memory only.
    pub fn name(&self) -> &str {
        self.spec.as_deref().unwrap_or_default()
    }

    /// The value of a key.
    pub fn lookup(&self, key: &BStr) -> Option<&BStr> {
        self.entries.get(key).map(|value| value.as_ref())
    }

    /// Sets the value of a key.
    pub fn update(&mut self, key: &BStr, value: BString) {
        self.entries.insert(key.to_owned(), value);
        self.dirty = true;
    }

    /// Removes a key.
    pub fn delete(&mut self, key: &BStr) {
        self.dirty |= self.entries.remove(key).is_some();
    }

    /// Removes all entries but those for which `keep` says so. Returns how many were kept and dropped.
    pub fn retain(&mut self, mut keep: impl FnMut(&BStr, &BStr) -> bool) -> (usize, usize) {
        let before = self.entries.len();
        self.entries.retain(|key, value| keep(key.as_ref(), value.as_ref()));
        let after = self.entries.len();
        self.dirty |= after != before;
        (after, before - after)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether there is something to save.
    pub fn is_dirty(&self) -> bool {
        self.dirty && self.spec.is_some()
    }

    /// A copy to be saved, after which the cache counts as saved; `None` when there is nothing to save.
    pub fn snapshot(&mut self) -> Option<Snapshot> {
        let spec = self.spec.clone().filter(|_| self.dirty)?;
        self.dirty = false;
        let entries = self.entries.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        Some(Snapshot { spec, entries, context: self.context.clone() })
    }

    /// Writes the file, if there is something to save. Blocks for the disk; long caches go through [`Cache::snapshot`].
    pub fn save(&mut self) -> Result<(), String> {
        match self.snapshot() {
            Some(snapshot) => snapshot.save(),
            None => Ok(()),
        }
    }
}

impl Snapshot {
    /// Writes, syncs and renames the file. The error is a complete text.
    pub fn save(&self) -> Result<(), String> {
        // Keys are the owner's: it folds them or not.
        let flags = BuildFlags { keep_case: true, nulls: None, on_duplicate: OnDuplicate::Replace, mode: 0o600 };
        let mut build = Build::create(&self.spec, flags, &self.context)?;
        for (key, value) in &self.entries {
            build.put(key.as_ref(), value.as_ref())?;
        }
        build.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bstr::ByteSlice;
    use posthaste_config::Config;
    use posthaste_log::Logger;

    fn context() -> Context {
        let config = Config::parse("", "main.cf").unwrap();
        Context::from_config(&config, Logger::new("postfix/verify")).unwrap()
    }

    #[test]
    fn what_was_saved_is_there_again() {
        let folder = tempfile::tempdir().unwrap();
        for kind in ["btree", "hash", "lmdb"] {
            let spec = format!("{kind}:{}/{kind}_cache", folder.path().display());
            let mut cache = Cache::open(&spec, &context()).unwrap();
            assert!(cache.is_empty() && !cache.is_dirty());
            cache.update(b"User@example.com".as_bstr(), "0:0:5:text with: colons".into());
            cache.update(b"gone@example.com".as_bstr(), "x".into());
            cache.delete(b"gone@example.com".as_bstr());
            cache.save().unwrap();
            assert!(!cache.is_dirty());
            cache.update(b"unsaved@example.com".as_bstr(), "x".into());
            let cache = Cache::open(&spec, &context()).unwrap();
            assert_eq!(cache.len(), 1, "{kind}");
            assert_eq!(cache.lookup(b"User@example.com".as_bstr()), Some(b"0:0:5:text with: colons".as_bstr()));
            assert_eq!(cache.lookup(b"user@example.com".as_bstr()), None);
        }
    }

    #[test]
    fn retain_counts() {
        let mut cache = Cache::open("", &context()).unwrap();
        for n in 0..10u8 {
            cache.update([n].as_bstr(), [n].as_bstr().to_owned());
        }
        assert_eq!(cache.retain(|_, value| value[0] < 3), (3, 7));
        assert!(!cache.is_dirty(), "in memory there is nothing to save");
    }

    #[test]
    fn types_that_cannot_be_written_are_refused() {
        let error = |spec: &str| Cache::open(spec, &context()).err().unwrap();
        assert!(error("cdb:/tmp/x").contains("cdb"));
        assert!(error("static:x").contains("static"));
    }
}
