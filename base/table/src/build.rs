//! Making and changing indexed files: `hash`, `btree`, `lmdb`, `cdb`.
//!
//! A file is always built whole, beside the old one, synced, and renamed over it: a reader sees the old table or the new one and nothing
//! between, also after a crash. The new file is locked while it is made, so that two writers come one after the other.

use crate::db::{self, Db, Method};
use crate::entries::Entries;
pub use crate::entries::OnDuplicate;
use crate::file::{Replaced, open_database_error, reason};
use crate::{Context, cdb, fold, lmdb};
use bstr::{BStr, BString};
use rustix::fs::{Access, AtFlags, CWD, FlockOperation, Gid, Mode, OFlags, Uid};
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The types of table that can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Btree,
    Cdb,
    Hash,
    Lmdb,
}

/// Why no `cdb:` file can be changed, in Postfix's words.
pub(crate) const CDB_IS_MADE_WHOLE: &str =
    "dict_cdb_open: inappropriate open flags for cdb database - specify O_RDONLY or O_WRONLY|O_CREAT|O_TRUNC";

/// How a file is made.
#[derive(Clone, Copy, Debug)]
pub struct BuildFlags {
    /// Keys are not folded to lower case (`postmap -f`).
    pub keep_case: bool,
    /// Keys and values end with a NUL (`-N`: yes, `-n`: no); `None` is what Postfix does on Linux: yes, but not for `cdb`.
    pub nulls: Option<bool>,
    /// What to do with a key that is there already.
    pub on_duplicate: OnDuplicate,
    /// Permissions of a file that was not there before. One that was keeps its own, and its owner.
    pub mode: u32,
}

impl Default for BuildFlags {
    fn default() -> BuildFlags {
        BuildFlags { keep_case: false, nulls: None, on_duplicate: OnDuplicate::Warn, mode: 0o644 }
    }
}

/// An indexed file that is being made. Nothing is seen of it before [`Build::finish`].
pub struct Build {
    kind: Kind,
    /// What duplicates are reported as.
    label: String,
    target: PathBuf,
    flags: BuildFlags,
    entries: Entries,
    scratch: Scratch,
    context: Context,
}

/// Why nothing can be made of a specification; complete, in Postfix's words.
pub type BuildError = String;

impl Build {
    /// Begins a new file for `type:name`, without entries. Blocks while another writer is at work on the same file.
    pub fn create(spec: &str, flags: BuildFlags, context: &Context) -> Result<Build, BuildError> {
        Build::begin(spec, true, flags, context)
    }

    /// Begins with the entries that the file has now. If there is no file: with none (`create`), or that is an error.
    pub fn update(spec: &str, create: bool, flags: BuildFlags, context: &Context) -> Result<Build, BuildError> {
        if spec.starts_with("cdb:") {
            return Err(CDB_IS_MADE_WHOLE.into());
        }
        // Without a file nothing is left behind, not even a lock.
        let target = parse_spec(spec)?.1;
        if !create && let Err(error) = std::fs::metadata(&target) {
            return Err(open_database_error(&target, &error));
        }
        let mut build = Build::begin(spec, create, flags, context)?;
        build.load(create)?;
        Ok(build)
    }

    fn begin(spec: &str, create: bool, flags: BuildFlags, context: &Context) -> Result<Build, BuildError> {
        let (kind, target) = parse_spec(spec)?;
        let label = match kind {
            Kind::Btree | Kind::Hash => target.display().to_string(),
            Kind::Cdb => spec.trim_start_matches("cdb:").to_owned(),
            Kind::Lmdb => spec.to_owned(),
        };
        // A symbolic link stays one: what it points to is replaced.
        let target = std::fs::canonicalize(&target).unwrap_or(target);
        if target.exists() {
            rustix::fs::accessat(CWD, &target, Access::WRITE_OK, AtFlags::EACCESS).map_err(|error| match kind {
                // Postfix opens these twice, the first time to lock them.
                Kind::Btree | Kind::Hash if create => format!("open {}: {}", target.display(), reason(&error.into())),
                _ => open_database_error(&target, &error.into()),
            })?;
        }
        let scratch = Scratch::open(&target).map_err(|error| open_database_error(&target, &error))?;
        Ok(Build { kind, label, target, flags, entries: Entries::default(), scratch, context: context.clone() })
    }

    fn load(&mut self, create: bool) -> Result<(), BuildError> {
        let file = match File::open(&self.target) {
            Ok(file) => file,
            Err(error) if create && error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(open_database_error(&self.target, &error)),
        };
        let fault = |reason: String| format!("open database {}: {reason}", self.target.display());
        let mut failed = None;
        let entries = &mut self.entries;
        let mut add = |key: &[u8], value: &[u8]| match entries.add(key, value, OnDuplicate::Replace) {
            Ok(_) => true,
            Err(error) => {
                failed = Some(error);
                false
            }
        };
        match self.kind {
            Kind::Btree => Db::open(file, Method::Btree).and_then(|db| db.each(&mut add)),
            Kind::Hash => Db::open(file, Method::Hash).and_then(|db| db.each(&mut add)),
            Kind::Cdb => cdb::Cdb::open(file, false).and_then(|db| db.each(&mut add)),
            Kind::Lmdb => lmdb::Lmdb::open(file).and_then(|db| db.each(&mut add)),
        }
        .map_err(fault)?;
        failed.map_or(Ok(()), |error| Err(fault(error)))
    }

    /// The file that will be replaced.
    pub fn target(&self) -> &Path {
        &self.target
    }

    fn nulls(&self) -> bool {
        self.flags.nulls.unwrap_or(self.kind != Kind::Cdb)
    }

    fn folded<'a>(&self, key: &'a BStr) -> Cow<'a, BStr> {
        if self.flags.keep_case { Cow::Borrowed(key) } else { fold::fold(key, self.context.settings.utf8) }
    }

    /// Adds an entry. A duplicate is no error; a warning is given if the flags say so.
    pub fn put(&mut self, key: &BStr, value: &BStr) -> Result<(), BuildError> {
        let key = self.folded(key);
        let added = if self.nulls() {
            self.entries.add(&with_null(&key), &with_null(value), self.flags.on_duplicate)
        } else {
            self.entries.add(&key, value, self.flags.on_duplicate)
        }?;
        if !added && self.flags.on_duplicate == OnDuplicate::Warn {
            self.context.warn(&format!("{}: duplicate entry: \"{key}\"", self.label));
        }
        Ok(())
    }

    /// Adds an entry as it is: without folding, without NUL. A key that is there keeps its value, or gets the new one.
    pub fn put_raw(&mut self, key: &[u8], value: &[u8], replace: bool) -> Result<(), BuildError> {
        let on_duplicate = if replace { OnDuplicate::Replace } else { OnDuplicate::Ignore };
        self.entries.add(key, value, on_duplicate).map(|_| ())
    }

    /// Removes an entry, whether it is stored with a final NUL or without one; `false` when there is none.
    pub fn delete(&mut self, key: &BStr) -> bool {
        let key = self.folded(key);
        self.entries.remove(&with_null(&key)) || self.entries.remove(&key)
    }

    /// Writes and syncs the file, puts it in the place of the old one, and syncs the folder. Running services that are asked after this answer from
    /// the new file.
    pub fn finish(self) -> Result<(), BuildError> {
        let fault = |error: io::Error| match self.kind {
            Kind::Lmdb if error.kind() == io::ErrorKind::InvalidInput => format!("error updating {}: {error}", self.label),
            Kind::Cdb => format!("finish database {}: {}", self.target.display(), reason(&error)),
            _ => format!("write database {}: {}", self.target.display(), reason(&error)),
        };
        let result = self.scratch.file().and_then(|file| {
            let mut out = BufWriter::with_capacity(1 << 20, file);
            match self.kind {
                Kind::Btree => db::write(&self.entries, Method::Btree, unique(file), &mut out),
                Kind::Cdb => cdb::write(&self.entries, &mut out),
                Kind::Hash => db::write(&self.entries, Method::Hash, unique(file), &mut out),
                Kind::Lmdb => lmdb::write(&self.entries, self.context.settings.lmdb_map_size, &mut out),
            }?;
            out.flush()
        });
        match result {
            Ok(()) => self.scratch.commit(&self.target, self.flags.mode).map_err(fault),
            Err(error) => {
                self.scratch.discard();
                Err(fault(error))
            }
        }
    }

    /// Gives up: the old file stays as it is.
    pub fn discard(self) {
        self.scratch.discard();
    }
}

fn parse_spec(spec: &str) -> Result<(Kind, PathBuf), BuildError> {
    let (kind, name) = spec.split_once(':').unwrap_or((spec, ""));
    let (kind, suffix) = match kind {
        "btree" => (Kind::Btree, "db"),
        "cdb" => (Kind::Cdb, "cdb"),
        "hash" => (Kind::Hash, "db"),
        "lmdb" => (Kind::Lmdb, "lmdb"),
        known if crate::TYPES.contains(&known) => {
            return Err(format!("unsupported dictionary type: {known} does not support bulk-mode creation."));
        }
        unknown => return Err(format!("unsupported dictionary type: {unknown}")),
    };
    Ok((kind, PathBuf::from(format!("{name}.{suffix}"))))
}

fn with_null(text: &[u8]) -> BString {
    let mut out = BString::from(Vec::with_capacity(text.len() + 1));
    out.extend_from_slice(text);
    out.push(0);
    out
}

/// A name for a Berkeley DB file that no other file has, by which libdb tells files apart in its cache.
fn unique(file: &File) -> [u8; 20] {
    let mut id = [0; 20];
    if let Ok(meta) = file.metadata() {
        id[..4].copy_from_slice(&(meta.ino() as u32).to_le_bytes());
        id[4..8].copy_from_slice(&(meta.dev() as u32).to_le_bytes());
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    id[8..16].copy_from_slice(&(now.as_nanos() as u64).to_le_bytes());
    id[16..].copy_from_slice(&std::process::id().to_le_bytes());
    id
}

/// Where the new file is made.
enum Scratch {
    /// Beside the old one, under this name; locked.
    Beside(File, PathBuf),
    /// The folder may not be written: in a file without a name, to be copied over the old one, which is locked meanwhile.
    Within { new: File, old: File },
}

impl Scratch {
    fn open(target: &Path) -> io::Result<Scratch> {
        let mut name = target.as_os_str().to_owned();
        name.push(".tmp");
        let path = PathBuf::from(name);
        loop {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = match rustix::fs::openat(CWD, &path, flags, Mode::from_raw_mode(0o600)) {
                Ok(file) => File::from(file),
                Err(rustix::io::Errno::ACCESS | rustix::io::Errno::PERM | rustix::io::Errno::ROFS) if target.exists() => {
                    let old = File::options().read(true).write(true).open(target)?;
                    rustix::fs::flock(&old, FlockOperation::LockExclusive)?;
                    let _ = rustix::fs::fcntl_lock(&old, FlockOperation::LockExclusive);
                    return Ok(Scratch::Within { new: nameless()?, old });
                }
                Err(error) => return Err(error.into()),
            };
            rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
            let mine = file.metadata()?;
            // Someone else's file under this name would make the table theirs to change.
            if mine.uid() != rustix::process::geteuid().as_raw() || mine.nlink() > 1 || !mine.is_file() {
                std::fs::remove_file(&path)?;
                continue;
            }
            // Whoever had the lock may have renamed the file meanwhile.
            if std::fs::symlink_metadata(&path).is_ok_and(|now| now.ino() == mine.ino() && now.dev() == mine.dev()) {
                file.set_len(0)?;
                return Ok(Scratch::Beside(file, path));
            }
        }
    }

    fn file(&self) -> io::Result<&File> {
        match self {
            Scratch::Beside(file, _) => Ok(file),
            Scratch::Within { new, .. } => Ok(new),
        }
    }

    fn commit(self, target: &Path, mode: u32) -> io::Result<()> {
        match self {
            Scratch::Beside(file, path) => {
                let result = (|| {
                    match std::fs::metadata(target) {
                        Ok(old) => {
                            let mine = file.metadata()?;
                            if (old.uid(), old.gid()) != (mine.uid(), mine.gid()) {
                                let (uid, gid) = (Uid::from_raw(old.uid()), Gid::from_raw(old.gid()));
                                // One who may write the old file but may not give files away becomes the owner of the new one.
                                let _ = rustix::fs::fchown(&file, Some(uid), Some(gid));
                            }
                            rustix::fs::fchmod(&file, Mode::from_raw_mode(old.mode() & 0o7777))?;
                        }
                        Err(_) => rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?,
                    }
                    file.sync_all()?;
                    std::fs::rename(&path, target)
                })();
                if result.is_err() {
                    let _ = std::fs::remove_file(&path);
                }
                result?;
                let replaced = Replaced::now();
                let folder = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
                File::open(folder).and_then(|folder| folder.sync_all())?;
                replaced.until_seen();
                Ok(())
            }
            Scratch::Within { mut new, mut old } => {
                new.rewind()?;
                old.rewind()?;
                let len = io::copy(&mut new, &mut old)?;
                old.set_len(len)?;
                let replaced = Replaced::now();
                old.sync_all()?;
                replaced.until_seen();
                Ok(())
            }
        }
    }

    fn discard(self) {
        if let Scratch::Beside(_, path) = self {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn nameless() -> io::Result<File> {
    let fd = rustix::fs::openat(CWD, std::env::temp_dir(), OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, Mode::from_raw_mode(0o600))?;
    Ok(File::from(fd))
}

/// Reads a file whole; for values that are file names (`postmap -F`).
pub fn read_whole(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut file = File::open(path).map_err(|error| format!("open {}: {}", path.display(), reason(&error)))?;
    file.read_to_end(&mut bytes).map_err(|error| format!("read {}: {}", path.display(), reason(&error)))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::collecting;
    use crate::{OpenFlags, try_open};
    use bstr::ByteSlice;
    use std::collections::BTreeMap;

    fn written(kind: &str, entries: &BTreeMap<Vec<u8>, Vec<u8>>) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let spec = format!("{kind}:{}/t", folder.path().display());
        let flags = BuildFlags { keep_case: true, ..BuildFlags::default() };
        let mut build = Build::create(&spec, flags, &collecting().0).unwrap();
        for (key, value) in entries {
            build.put(key.as_bstr(), value.as_bstr()).unwrap();
        }
        build.finish().unwrap();
        (folder, spec)
    }

    fn same(kind: &str, entries: &BTreeMap<Vec<u8>, Vec<u8>>) {
        let (_folder, spec) = written(kind, entries);
        let flags = OpenFlags { keep_case: true, raw_bytes: true, ..OpenFlags::default() };
        let table = try_open(&spec, flags, &collecting().0).unwrap();
        for (key, value) in entries {
            assert_eq!(table.lookup(key.as_bstr()).unwrap().as_deref(), Some(value), "{kind} {}", key.as_bstr());
        }
        for absent in ["nosuch", "key", "zzz", ""] {
            if !entries.contains_key(absent.as_bytes()) {
                assert_eq!(table.lookup(absent.into()).unwrap(), None, "{kind} {absent}");
            }
        }
        let mut listed = BTreeMap::new();
        table.entries(&mut |key, value| listed.insert(key.to_vec(), value.to_vec()).is_none()).unwrap().unwrap();
        assert_eq!(listed, *entries, "{kind}");
    }

    const KINDS: [&str; 4] = ["hash", "btree", "lmdb", "cdb"];

    #[test]
    fn all_sizes() {
        for count in [0, 1, 2, 100, 5_000] {
            let entries =
                (0..count).map(|i| (format!("user{i}@example{}.com", i % 7).into_bytes(), format!("value {i}").into_bytes())).collect();
            KINDS.iter().for_each(|kind| same(kind, &entries));
        }
    }

    #[test]
    fn large_items_go_off_the_page() {
        let mut entries = BTreeMap::new();
        for i in 0..60_usize {
            entries.insert(format!("{}{i}", "k".repeat(i * 8)).into_bytes(), vec![b'v'; i * i * 5]);
        }
        KINDS.iter().for_each(|kind| same(kind, &entries));
        // Longer keys than lmdb can have, with long common prefixes.
        for i in 0..40_usize {
            entries.insert(format!("{}{i}", "p".repeat(1200)).into_bytes(), vec![b'w'; 900 + i]);
        }
        ["hash", "btree", "cdb"].iter().for_each(|kind| same(kind, &entries));
        let flags = BuildFlags::default();
        let folder = tempfile::tempdir().unwrap();
        let mut build = Build::create(&format!("lmdb:{}/t", folder.path().display()), flags, &collecting().0).unwrap();
        build.put("x".repeat(600).as_str().into(), "v".into()).unwrap();
        assert!(build.finish().unwrap_err().contains("MDB_BAD_VALSIZE"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(40))]
        // S-TABLE-01, S-TABLE-03, S-TABLE-04
        #[test]
        fn round_trip(
            entries in proptest::collection::btree_map(
                proptest::collection::vec(1..255_u8, 1..400), proptest::collection::vec(1..255_u8, 0..3000), 0..80)
        ) {
            KINDS.iter().for_each(|kind| same(kind, &entries));
        }
    }

    #[test]
    fn duplicates_are_told_with_the_name_of_the_table() {
        for (kind, label) in [("hash", "t.db"), ("btree", "t.db"), ("cdb", "t"), ("lmdb", "t")] {
            let folder = tempfile::tempdir().unwrap();
            let (context, lines) = collecting();
            let path = folder.path().display();
            let mut build = Build::create(&format!("{kind}:{path}/t"), BuildFlags::default(), &context).unwrap();
            build.put("Key".into(), "1".into()).unwrap();
            build.put("kEY".into(), "2".into()).unwrap();
            build.finish().unwrap();
            let prefix = if kind == "lmdb" { "lmdb:" } else { "" };
            assert_eq!(*lines.lock().unwrap(), [format!("{prefix}{path}/{label}: duplicate entry: \"key\"")]);
        }
    }

    #[test]
    fn updates_and_permissions() {
        use std::os::unix::fs::PermissionsExt;
        for kind in ["hash", "btree", "lmdb"] {
            let folder = tempfile::tempdir().unwrap();
            let spec = format!("{kind}:{}/t", folder.path().display());
            let (context, _) = collecting();
            assert!(Build::update(&spec, false, BuildFlags::default(), &context).is_err());
            let mut build = Build::update(&spec, true, BuildFlags { mode: 0o640, ..BuildFlags::default() }, &context).unwrap();
            build.put("a".into(), "1".into()).unwrap();
            build.put("b".into(), "2".into()).unwrap();
            let target = build.target().to_owned();
            build.finish().unwrap();
            let mode = || std::fs::metadata(&target).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(), 0o640);
            std::fs::set_permissions(&target, std::fs::Permissions::from_mode(0o600)).unwrap();
            let mut build = Build::update(&spec, false, BuildFlags::default(), &context).unwrap();
            assert!(build.delete("A".into()));
            assert!(!build.delete("A".into()));
            build.finish().unwrap();
            assert_eq!(mode(), 0o600);
            let table = try_open(&spec, OpenFlags::default(), &context).unwrap();
            assert_eq!(table.lookup("a".into()).unwrap(), None);
            assert_eq!(table.lookup("b".into()).unwrap(), Some("2".into()));
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        }
        let error = Build::update("cdb:/tmp/x", true, BuildFlags::default(), &collecting().0).map(|_| ()).unwrap_err();
        assert!(error.starts_with("dict_cdb_open: inappropriate open flags"));
    }

    // S-TABLE-22
    #[test]
    fn readers_see_the_old_table_or_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        for kind in KINDS {
            let spec = format!("{kind}:{}/t", folder.path().display());
            let build = |generation: u32| {
                let mut build = Build::create(&spec, BuildFlags::default(), &collecting().0).unwrap();
                for i in 0..50 {
                    build.put(format!("key{i}").as_str().into(), generation.to_string().as_str().into()).unwrap();
                }
                build.finish().unwrap();
            };
            build(0);
            let table = try_open(&spec, OpenFlags::default(), &collecting().0).unwrap();
            // Others ask all the time, so that some answer about the file's state is always fresh.
            std::thread::scope(|scope| {
                let writer = scope.spawn(|| {
                    for generation in 1..20 {
                        build(generation);
                        let found = table.lookup("key7".into()).unwrap();
                        assert_eq!(found, Some(generation.to_string().into()), "{kind}: asked after the file was built");
                    }
                });
                while !writer.is_finished() {
                    assert!(table.lookup("key7".into()).unwrap().is_some());
                }
            });
            std::fs::remove_file(folder.path().join("t.db")).ok();
        }
    }
}
