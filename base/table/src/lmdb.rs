//! `lmdb:` tables: the data file of OpenLDAP's Lightning Memory-Mapped Database (version 1 of its format), read and written without its
//! library.
//!
//! The library maps the file into memory and trusts what it finds there: a damaged file ends the process, and one that is cut short as
//! well. It also keeps every open file in a table of the process, in which a file that was replaced by another is confused with
//! the new one. A service that looks up strangers' addresses must survive both, so the format is read here like any other.
//!
//! Postfix opens these files without a subfolder and without LMDB's own lock file, and locks the whole file with fcntl(2) instead
//! (lmdb_table(5)). Numbers are those of a 64-bit little-endian machine; the format has no other. Keys and values end with a NUL.

use crate::entries::{Entries, Entry};
use crate::store::{Lock, Store, StoreError};
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

const MAGIC: u32 = 0xBEEF_C0DE;
const VERSION: u32 = 1;
const PAGE_HEADER: usize = 16;
const NODE_HEADER: usize = 8;
const NO_PAGE: u64 = u64::MAX;

/// Page flags.
const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
const OVERFLOW: u16 = 0x04;
const META: u16 = 0x08;

/// Node flag: the value lies on overflow pages.
const BIG_DATA: u16 = 0x01;

/// The longest key that the library is built for.
pub(crate) const LONGEST_KEY: usize = 511;

/// Deeper than any tree that fits on a disk.
const DEEPEST: u16 = 32;

const DAMAGED: &str = "MDB_CORRUPTED: Located page was wrong type";
const INVALID: &str = "MDB_INVALID: File is not an LMDB file";

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|b| b.try_into().ok()).map_or(0, u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}

/// An open file.
pub(crate) struct Lmdb {
    store: Store,
    page_size: usize,
}

/// The newest state of the file that was written in full.
struct Snapshot {
    root: u64,
    depth: u16,
    last: u64,
}

impl Lmdb {
    pub fn open(file: File) -> Result<Lmdb, String> {
        let mut head = [0; 152];
        Lock::Fcntl.shared(&file, || file.read_exact_at(&mut head, 0)).map_err(|_| INVALID)?;
        let page_size = u32_at(&head, 40) as usize;
        if u32_at(&head, 16) != MAGIC || !page_size.is_power_of_two() || !(512..=65536).contains(&page_size) {
            return Err(INVALID.into());
        }
        if u32_at(&head, 20) != VERSION {
            return Err("MDB_VERSION_MISMATCH: Database environment version mismatch".into());
        }
        Ok(Lmdb { store: Store::open(file, Lock::Fcntl, page_size)?, page_size })
    }

    /// Whether the file must be opened again.
    pub fn is_stale(&self) -> bool {
        self.store.is_stale()
    }

    fn bytes(&self, at: u64, len: usize) -> Result<Cow<'_, [u8]>, String> {
        self.store.read(at, len).map_err(|error| match error {
            StoreError::Outside => DAMAGED.into(),
            error => error.to_string(),
        })
    }

    fn page(&self, number: u64, kind: u16) -> Result<Cow<'_, [u8]>, String> {
        let at = number.checked_mul(self.page_size as u64).ok_or(DAMAGED)?;
        let page = self.bytes(at, self.page_size)?;
        if u16_at(&page, 10) & kind == 0 { Err(DAMAGED.into()) } else { Ok(page) }
    }

    /// The two first pages take turns; the one with the higher transaction number counts.
    fn snapshot(&self) -> Result<Snapshot, String> {
        let (one, two) = (self.page(0, META)?, self.page(1, META)?);
        let newest = if u64_at(&two, 144) > u64_at(&one, 144) { two } else { one };
        Ok(Snapshot { depth: u16_at(&newest, 94), root: u64_at(&newest, 128), last: u64_at(&newest, 136) })
    }

    /// The value stored under exactly these bytes.
    pub fn find(&self, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
        if key.is_empty() || key.len() > LONGEST_KEY {
            return Ok(None);
        }
        let snapshot = self.snapshot()?;
        if snapshot.root == NO_PAGE {
            return Ok(None);
        }
        let mut number = snapshot.root;
        for _ in 1..snapshot.depth.min(DEEPEST) {
            let page = self.page(number, BRANCH)?;
            let nodes = Nodes::of(&page)?;
            // The last child whose key is not above; the key of the first is not compared.
            let (mut low, mut high) = (1, nodes.count);
            while low < high {
                let middle = usize::midpoint(low, high);
                if nodes.key(middle)? <= key { low = middle + 1 } else { high = middle }
            }
            number = nodes.child(low - 1)?;
        }
        let page = self.page(number, LEAF)?;
        let nodes = Nodes::of(&page)?;
        let (mut low, mut high) = (0, nodes.count);
        while low < high {
            let middle = usize::midpoint(low, high);
            match nodes.key(middle)?.cmp(key) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return self.value(&nodes, middle, &snapshot).map(|v| Some(v.into_owned())),
            }
        }
        Ok(None)
    }

    fn value<'a>(&'a self, nodes: &Nodes<'a>, index: usize, snapshot: &Snapshot) -> Result<Cow<'a, [u8]>, String> {
        let (len, big) = nodes.value_len(index)?;
        let here = nodes.value_bytes(index, if big { 8 } else { len })?;
        if !big {
            return Ok(Cow::Borrowed(here));
        }
        let number = u64_at(here, 0);
        let head = self.page(number, OVERFLOW)?;
        let pages = u64::from(u32_at(&head, 12));
        let room = pages.saturating_mul(self.page_size as u64).saturating_sub(PAGE_HEADER as u64);
        if number.saturating_add(pages) > snapshot.last + 1 || len as u64 > room {
            return Err(DAMAGED.into());
        }
        self.bytes(number * self.page_size as u64 + PAGE_HEADER as u64, len)
    }

    /// Calls `visit` with each key and value in the order of keys, until it says `false`.
    pub fn each(&self, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), String> {
        let snapshot = self.snapshot()?;
        if snapshot.root != NO_PAGE {
            // A page is met once; more pages than the file has means a loop.
            let mut budget = snapshot.last.saturating_add(1);
            self.walk(snapshot.root, snapshot.depth.min(DEEPEST), &snapshot, &mut budget, visit)?;
        }
        Ok(())
    }

    fn walk(
        &self,
        number: u64,
        depth: u16,
        snapshot: &Snapshot,
        budget: &mut u64,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<bool, String> {
        *budget = budget.checked_sub(1).ok_or(DAMAGED)?;
        let page = self.page(number, if depth > 1 { BRANCH } else { LEAF })?;
        let nodes = Nodes::of(&page)?;
        for index in 0..nodes.count {
            let more = if depth > 1 {
                self.walk(nodes.child(index)?, depth - 1, snapshot, budget, visit)?
            } else {
                visit(nodes.key(index)?, &self.value(&nodes, index, snapshot)?)
            };
            if !more {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The nodes of a branch or leaf page.
struct Nodes<'a> {
    page: &'a [u8],
    count: usize,
}

impl<'a> Nodes<'a> {
    fn of(page: &'a [u8]) -> Result<Nodes<'a>, String> {
        let lower = usize::from(u16_at(page, 12));
        if lower < PAGE_HEADER || lower > page.len() {
            return Err(DAMAGED.into());
        }
        Ok(Nodes { page, count: (lower - PAGE_HEADER) / 2 })
    }

    fn start(&self, index: usize) -> Result<usize, String> {
        if index >= self.count {
            return Err(DAMAGED.into());
        }
        let at = usize::from(u16_at(self.page, PAGE_HEADER + 2 * index));
        if at + NODE_HEADER > self.page.len() { Err(DAMAGED.into()) } else { Ok(at) }
    }

    fn key(&self, index: usize) -> Result<&'a [u8], String> {
        let at = self.start(index)?;
        let len = usize::from(u16_at(self.page, at + 6));
        self.page.get(at + NODE_HEADER..at + NODE_HEADER + len).ok_or_else(|| DAMAGED.into())
    }

    fn child(&self, index: usize) -> Result<u64, String> {
        let at = self.start(index)?;
        Ok(u64::from(u32_at(self.page, at)) | u64::from(u16_at(self.page, at + 4)) << 32)
    }

    fn value_len(&self, index: usize) -> Result<(usize, bool), String> {
        let at = self.start(index)?;
        Ok((u32_at(self.page, at) as usize, u16_at(self.page, at + 4) & BIG_DATA != 0))
    }

    fn value_bytes(&self, index: usize, len: usize) -> Result<&'a [u8], String> {
        let at = self.start(index)? + NODE_HEADER + self.key(index)?.len();
        self.page.get(at..at.saturating_add(len)).ok_or_else(|| DAMAGED.into())
    }
}

// Writing. Pages are of 4096 bytes.

const PAGE: usize = 4096;

/// Larger nodes have their value elsewhere: two must fit on a page.
const LARGEST_NODE: usize = (((PAGE - PAGE_HEADER) / 2) & !1) - 2;

/// The persistent flags that the library writes for a file opened as Postfix does: MDB_NOSUBDIR, and MDB_INTEGERKEY for the list of free pages.
const FREE_FLAGS: u16 = 0x4008;

struct PageBuilder {
    bytes: Box<[u8; PAGE]>,
    lower: usize,
    upper: usize,
}

impl PageBuilder {
    fn new(number: u64, flags: u16) -> PageBuilder {
        let mut bytes = Box::new([0; PAGE]);
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        bytes[10..12].copy_from_slice(&flags.to_le_bytes());
        PageBuilder { bytes, lower: PAGE_HEADER, upper: PAGE }
    }

    fn push(&mut self, parts: &[&[u8]], size: usize) {
        self.upper -= size;
        let mut at = self.upper;
        for part in parts {
            self.bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        self.bytes[self.lower..self.lower + 2].copy_from_slice(&(self.upper as u16).to_le_bytes());
        self.lower += 2;
    }

    fn finish(mut self) -> Box<[u8; PAGE]> {
        self.bytes[12..14].copy_from_slice(&(self.lower as u16).to_le_bytes());
        self.bytes[14..16].copy_from_slice(&(self.upper as u16).to_le_bytes());
        self.bytes
    }
}

fn is_big(entry: &Entry<'_>) -> bool {
    NODE_HEADER + entry.key.len() + entry.value.len() > LARGEST_NODE
}

fn leaf_size(entry: &Entry<'_>) -> usize {
    let value = if is_big(entry) { 8 } else { entry.value.len() };
    (NODE_HEADER + entry.key.len() + value).next_multiple_of(2)
}

fn branch_size(key: &[u8]) -> usize {
    (NODE_HEADER + key.len()).next_multiple_of(2)
}

fn overflow_pages(len: usize) -> u64 {
    (PAGE_HEADER + len).div_ceil(PAGE) as u64
}

/// Cuts nodes into pages.
fn cut(sizes: impl Iterator<Item = usize>) -> Vec<std::ops::Range<usize>> {
    let (mut spans, mut start, mut at, mut room) = (Vec::new(), 0, 0, PAGE - PAGE_HEADER);
    for size in sizes {
        if size + 2 > room {
            spans.push(start..at);
            (start, room) = (at, PAGE - PAGE_HEADER);
        }
        room -= size + 2;
        at += 1;
    }
    spans.push(start..at);
    spans
}

/// A level of branch pages: the pages below with their first keys, which of them go onto each page, and the number of its first page.
type Level<'a> = (Vec<(u64, &'a [u8])>, Vec<std::ops::Range<usize>>, u64);

/// Writes the whole file. `map_size` is Postfix's `lmdb_map_size`; the size limit in the file is that, doubled until the file fits.
pub(crate) fn write(entries: &Entries, map_size: u64, out: &mut dyn Write) -> io::Result<()> {
    let all = entries.sorted();
    if all.iter().any(|entry| entry.key.len() > LONGEST_KEY || entry.key.is_empty()) {
        let text = "MDB_BAD_VALSIZE: Unsupported size of key/DB name/data, or wrong DUPFIXED size";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    // Pages: two of metadata, the leaves, the levels above, and the overflow pages. An empty file has no tree.
    let leaves = if all.is_empty() { Vec::new() } else { cut(all.iter().map(leaf_size)) };
    let leaf_start = 2;
    let mut next = leaf_start + leaves.len() as u64;
    let mut levels: Vec<Level<'_>> = Vec::new();
    let mut below: Vec<(u64, &[u8])> = leaves.iter().enumerate().map(|(n, span)| (leaf_start + n as u64, all[span.start].key)).collect();
    while below.len() > 1 {
        // The first key of a page is not stored; it is counted here all the same, which leaves a little room.
        let spans = cut(below.iter().map(|(_, key)| branch_size(key)));
        let start = next;
        next += spans.len() as u64;
        let above = spans.iter().enumerate().map(|(n, span)| (start + n as u64, below[span.start].1)).collect();
        levels.push((std::mem::replace(&mut below, above), spans, start));
    }
    let overflow_start = next;
    let overflow: u64 = all.iter().filter(|entry| is_big(entry)).map(|entry| overflow_pages(entry.value.len())).sum();
    let last = (overflow_start + overflow).saturating_sub(1).max(1);

    let mut limit = map_size.max(PAGE as u64);
    while limit < (last + 1) * PAGE as u64 {
        limit = limit.checked_mul(2).ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
    }
    for number in 0..2_u64 {
        let mut page = PageBuilder::new(number, META).bytes;
        let mut put = |at: usize, bytes: &[u8]| page[at..at + bytes.len()].copy_from_slice(bytes);
        put(16, &MAGIC.to_le_bytes());
        put(20, &VERSION.to_le_bytes());
        put(32, &limit.to_le_bytes());
        put(40, &(PAGE as u32).to_le_bytes());
        put(44, &FREE_FLAGS.to_le_bytes());
        put(80, &NO_PAGE.to_le_bytes());
        // The first page is the state before, as a new file has it: no tree.
        let written = number == 1;
        let root = below.first().map_or(NO_PAGE, |(page, _)| *page);
        put(128, &(if written { root } else { NO_PAGE }).to_le_bytes());
        put(136, &(if written { last } else { 1 }).to_le_bytes());
        if written && !all.is_empty() {
            let branches: u64 = levels.iter().map(|(_, spans, _)| spans.len() as u64).sum();
            put(94, &(levels.len() as u16 + 1).to_le_bytes());
            put(96, &branches.to_le_bytes());
            put(104, &(leaves.len() as u64).to_le_bytes());
            put(112, &overflow.to_le_bytes());
            put(120, &(all.len() as u64).to_le_bytes());
        }
        put(144, &number.to_le_bytes());
        out.write_all(&page[..])?;
    }

    let mut next_overflow = overflow_start;
    for (number, span) in (leaf_start..).zip(leaves) {
        let mut page = PageBuilder::new(number, LEAF);
        for entry in &all[span] {
            let size = (entry.value.len() as u32).to_le_bytes();
            let [low, high] = (entry.key.len() as u16).to_le_bytes();
            if is_big(entry) {
                let pointer = next_overflow.to_le_bytes();
                next_overflow += overflow_pages(entry.value.len());
                page.push(&[&size, &[BIG_DATA as u8, 0, low, high], entry.key, &pointer], leaf_size(entry));
            } else {
                page.push(&[&size, &[0, 0, low, high], entry.key, entry.value], leaf_size(entry));
            }
        }
        out.write_all(&page.finish()[..])?;
    }
    for (children, spans, start) in levels {
        for (number, span) in (start..).zip(spans) {
            let mut page = PageBuilder::new(number, BRANCH);
            for (nth, (child, key)) in children[span].iter().enumerate() {
                let key = if nth == 0 { b"".as_slice() } else { key };
                let child = child.to_le_bytes();
                let [low, high] = (key.len() as u16).to_le_bytes();
                page.push(&[&child[..6], &[low, high], key], branch_size(key));
            }
            out.write_all(&page.finish()[..])?;
        }
    }
    let mut number = overflow_start;
    for entry in all.iter().filter(|entry| is_big(entry)) {
        let pages = overflow_pages(entry.value.len());
        let mut head = [0; PAGE_HEADER];
        head[..8].copy_from_slice(&number.to_le_bytes());
        head[10..12].copy_from_slice(&OVERFLOW.to_le_bytes());
        head[12..16].copy_from_slice(&(pages as u32).to_le_bytes());
        out.write_all(&head)?;
        out.write_all(entry.value)?;
        let used = PAGE_HEADER + entry.value.len();
        out.write_all(&vec![0; pages as usize * PAGE - used])?;
        number += pages;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entries::OnDuplicate;
    use std::path::Path;

    fn entries(count: usize) -> Entries {
        let mut entries = Entries::default();
        for i in 0..count {
            let value = vec![b'v'; if i % 50 == 0 { 3000 } else { i % 90 }];
            entries.add(format!("key{i}@example.com\0").as_bytes(), &value, OnDuplicate::Warn).unwrap();
        }
        entries
    }

    // S-TABLE-04
    #[test]
    fn file_of_postmap() {
        let file = File::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/postmap.lmdb")).unwrap();
        let lmdb = Lmdb::open(file).unwrap();
        assert_eq!(lmdb.find(b"key2\0").unwrap(), Some(b"value2\0".to_vec()));
        assert_eq!(lmdb.find(b"key3\0").unwrap(), None);
        assert_eq!(lmdb.find(&[b'x'; 600]).unwrap(), None);
        let mut seen = 0;
        lmdb.each(&mut |_, _| {
            seen += 1;
            true
        })
        .unwrap();
        assert_eq!(seen, 2);
    }

    #[test]
    fn the_size_limit_is_doubled_until_the_file_fits() {
        let mut file = Vec::new();
        write(&entries(2000), 16384, &mut file).unwrap();
        let limit = u64_at(&file, 32);
        assert!(limit >= file.len() as u64 && limit / 2 < file.len() as u64 && limit.is_multiple_of(16384), "{limit} {}", file.len());
    }

    #[test]
    fn other_files_are_refused() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[0; 8192]).unwrap();
        assert_eq!(Lmdb::open(file).map(|_| ()), Err(INVALID.into()));
        assert_eq!(Lmdb::open(tempfile::tempfile().unwrap()).map(|_| ()), Err(INVALID.into()));
    }

    proptest::proptest! {
        // A damaged file gives an error or a wrong answer, never a panic or an endless loop.
        #[test]
        fn damage_is_survived(changes in proptest::collection::vec((0..65536_usize, proptest::num::u8::ANY), 1..8), cut in 8192..65536_usize) {
            let mut file = Vec::new();
            write(&entries(300), 1 << 20, &mut file).unwrap();
            file.truncate(cut);
            for (at, byte) in changes {
                let len = file.len();
                file[at % len] = byte;
            }
            let lmdb = Lmdb { store: Store::Memory(file), page_size: PAGE };
            for i in 0..300 {
                let _ = lmdb.find(format!("key{i}@example.com\0").as_bytes());
            }
            let _ = lmdb.each(&mut |_, _| true);
        }
    }
}
