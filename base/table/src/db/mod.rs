//! `hash:` and `btree:` tables: Berkeley DB files, read and written without Berkeley DB.
//!
//! Only what Postfix's tables need: no duplicates, no partial reads, no encryption, no checksums, no transactions.

mod btree;
mod hash;
mod page;
mod write;
mod write_btree;
mod write_hash;

use crate::entries::Entries;
use crate::store::{Lock, Store};
use page::{BTREE_MAGIC, BTREE_META, HASH_MAGIC, HASH_META, Order, PageError, Pages};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

pub(crate) use hash::hash5;

/// Which kind of file a table's type asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Btree,
    Hash,
}

/// Writes a whole file. `unique` is its identity, which no other file may have.
pub(crate) fn write(entries: &Entries, method: Method, unique: [u8; 20], out: &mut dyn Write) -> io::Result<()> {
    match method {
        Method::Btree => write_btree::write(entries, unique, out),
        Method::Hash => write_hash::write(entries, unique, out),
    }
}

enum Index {
    Btree { root: u32 },
    Hash(Box<hash::Meta>),
}

/// An open file.
pub(crate) struct Db {
    pages: Pages,
    index: Index,
}

/// The metadata flag for checksums on each page, and the one that says "tree of duplicates": neither is made by Postfix.
const CHECKSUMS: u8 = 1;

impl Db {
    /// Reads the first page. Waits while another program holds an exclusive lock on the file (Postfix's postmap writes in place).
    pub fn open(file: File, method: Method) -> Result<Db, String> {
        let mut size = [0; 4];
        let _ = Lock::Flock.shared(&file, || file.read_exact_at(&mut size, 20));
        // In whichever byte order it makes sense; if in none, the file is refused below.
        let sizes = [u32::from_le_bytes(size), u32::from_be_bytes(size)];
        let size = sizes.into_iter().find(|size| (512..=65536).contains(size)).unwrap_or(4096);
        Db::parse(Store::open(file, Lock::Flock, size as usize)?, method)
    }

    /// Whether the file must be opened again.
    pub fn is_stale(&self) -> bool {
        self.pages.store.is_stale()
    }

    fn parse(store: Store, method: Method) -> Result<Db, String> {
        let wrong = || "Invalid argument".to_owned();
        let bytes = store.read(0, 512).map_err(|_| wrong())?.into_owned();
        let magic = match method {
            Method::Btree => BTREE_MAGIC,
            Method::Hash => HASH_MAGIC,
        };
        let order = [Order::Little, Order::Big].into_iter().find(|order| order.u32(&bytes, 12) == magic).ok_or_else(wrong)?;
        let size = order.u32(&bytes, 20) as usize;
        let kind = match method {
            Method::Btree => BTREE_META,
            Method::Hash => HASH_META,
        };
        let (encryption, flags) = (bytes[24], bytes[26]);
        if !(512..=65536).contains(&size) || !size.is_power_of_two() || bytes[25] != kind || encryption != 0 || flags & CHECKSUMS != 0 {
            return Err(wrong());
        }
        let pages = Pages { order, size, last: order.u32(&bytes, 32), store };
        let index = match method {
            Method::Btree => Index::Btree { root: order.u32(&bytes, 88) },
            Method::Hash => Index::Hash(Box::new(hash::Meta::parse(&bytes, &pages).ok_or_else(wrong)?)),
        };
        Ok(Db { pages, index })
    }

    /// The value stored under exactly these bytes.
    pub fn find(&self, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
        match &self.index {
            Index::Btree { root } => btree::find(*root, &self.pages, key),
            Index::Hash(meta) => hash::find(meta, &self.pages, key),
        }
        .map_err(|error| error.to_string())
    }

    /// Calls `visit` with each key and value, until it says `false`: by key (btree) or by bucket (hash).
    pub fn each(&self, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), String> {
        match &self.index {
            Index::Btree { root } => btree::each(*root, &self.pages, visit),
            Index::Hash(meta) => hash::each(meta, &self.pages, visit),
        }
        .map_err(|error: PageError| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::{Path, PathBuf};

    fn data(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
    }

    fn db(name: &str) -> Db {
        let method = if name.contains("hash") { Method::Hash } else { Method::Btree };
        Db::open(File::open(data(name)).unwrap(), method).unwrap()
    }

    // The files were made by libdb 5.3's own db_load with pages of 512 bytes: several buckets and levels, a key of 700 and a value of 3000
    // bytes off the page, both byte orders; the little-endian ones have keys and values that end with NUL.
    // S-TABLE-01
    #[test]
    fn files_of_libdb_in_both_byte_orders() {
        for (name, null) in [("hash-little.db", "\0"), ("hash-big.db", ""), ("btree-little.db", "\0"), ("btree-big.db", "")] {
            let db = db(name);
            let get = |key: &str| db.find(format!("{key}{null}").as_bytes()).unwrap().map(|v| String::from_utf8(v).unwrap());
            for i in 0..60 {
                assert_eq!(get(&format!("key{i}@example.com")), Some(format!("value {i}{null}")), "{name}");
            }
            assert_eq!(get(&"k".repeat(700)), Some(format!("long key{null}")), "{name}");
            assert_eq!(get("longvalue"), Some(format!("{}{null}", "v".repeat(3000))), "{name}");
            for absent in ["", "key", "key60@example.com", "zzz", "\u{1}"] {
                assert_eq!(get(absent), None, "{name} {absent}");
            }
            let mut keys = Vec::new();
            db.each(&mut |key, _| {
                keys.push(key.to_vec());
                true
            })
            .unwrap();
            if name.starts_with("btree") {
                assert!(keys.is_sorted());
            }
            keys.sort();
            keys.dedup();
            assert_eq!(keys.len(), 62, "{name}");
        }
    }

    // S-TABLE-01
    #[test]
    fn files_of_postmap() {
        for name in ["postmap-hash.db", "postmap-btree.db"] {
            assert_eq!(db(name).find(b"key2\0").unwrap(), Some(b"value2\0".to_vec()), "{name}");
            assert_eq!(db(name).find(b"key3\0").unwrap(), None, "{name}");
        }
    }

    #[test]
    fn the_wrong_kind_of_file_is_refused() {
        let open = |name: &str, method| Db::open(File::open(data(name)).unwrap(), method).map(|_| ());
        assert_eq!(open("hash-big.db", Method::Btree), Err("Invalid argument".into()));
        assert_eq!(open("btree-big.db", Method::Hash), Err("Invalid argument".into()));
    }

    proptest::proptest! {
        // A damaged file gives an error or a wrong answer, never a panic or an endless loop.
        #[test]
        fn damage_is_survived(file in 0..4_usize, at in 0..16384_usize, byte in proptest::num::u8::ANY, cut in 0..16384_usize) {
            let name = ["hash-little.db", "hash-big.db", "btree-little.db", "btree-big.db"][file];
            let mut bytes = std::fs::read(data(name)).unwrap();
            bytes.truncate(cut.max(512));
            let len = bytes.len();
            bytes[at % len] = byte;
            let method = if file < 2 { Method::Hash } else { Method::Btree };
            if let Ok(db) = Db::parse(Store::Memory(bytes), method) {
                let _ = db.find(b"key5@example.com");
                let _ = db.find(b"longvalue\0");
                let _ = db.each(&mut |_, _| true);
            }
        }
    }
}
