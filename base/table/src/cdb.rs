//! `cdb:` tables: D. J. Bernstein's constant database (<https://cr.yp.to/cdb/cdb.txt>), read and written.
//!
//! 256 pairs of position and length tell where the hash tables are; before these lie the records. Positions are 32 bits wide, so a
//! file ends at four gigabytes. Postfix stores keys without a final NUL.

use crate::entries::Entries;
use crate::file::reason;
use crate::store::{Lock, Store, StoreError};
use posthaste_system::mapping::Mapping;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Write};

const HEADER: u64 = 256 * 8;

/// How much of a large file is read at a time.
const PART: usize = 4096;

/// An open file.
pub(crate) struct Cdb(Store);

fn hash(key: &[u8]) -> u32 {
    key.iter().fold(5381, |h: u32, &c| (h << 5).wrapping_add(h) ^ u32::from(c))
}

/// Two numbers: a place and a length, a hash and a place, or two lengths.
fn pair(bytes: &[u8]) -> Option<(u32, u32)> {
    let (one, two) = bytes.split_at_checked(4)?;
    Some((u32::from_le_bytes(one.try_into().ok()?), u32::from_le_bytes(two.try_into().ok()?)))
}

const DAMAGED: &str = "damaged database file";

impl Cdb {
    /// `map`: by a memory map, see [`Store`].
    pub fn open(file: File, map: bool) -> Result<Cdb, String> {
        // An empty file is what is left when a disk was full; tinycdb calls both a protocol error.
        if file.metadata().map_err(|e| reason(&e))?.len() < HEADER {
            return Err("Protocol error".into());
        }
        match map.then(|| Mapping::of(&file)) {
            Some(Ok(mapping)) => Ok(Cdb(Store::Mapped(mapping))),
            _ => Store::open(file, Lock::No, PART).map(Cdb),
        }
    }

    /// Whether the file must be opened again.
    pub fn is_stale(&self) -> bool {
        self.0.is_stale()
    }

    fn read(&self, at: u64, len: usize) -> Result<Cow<'_, [u8]>, String> {
        self.0.read(at, len).map_err(|error| match error {
            StoreError::Outside => DAMAGED.into(),
            error => error.to_string(),
        })
    }

    fn pair(&self, at: u64) -> Result<(u32, u32), String> {
        pair(&self.read(at, 8)?).ok_or_else(|| DAMAGED.into())
    }

    /// The value of the first record with this key.
    pub fn find(&self, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let hash = hash(key);
        let (start, slots) = self.pair(u64::from(hash & 255) * 8)?;
        if slots == 0 {
            return Ok(None);
        }
        // Around the table once, from the slot that the hash names; as many slots at a time as lie on one page.
        let (mut slot, mut left) = ((hash >> 8) % slots, slots);
        while left > 0 {
            let at = u64::from(start) + u64::from(slot) * 8;
            let count = u64::from(left.min(slots - slot)).min((PART as u64 - at % PART as u64) / 8).max(1) as u32;
            for pair in self.read(at, count as usize * 8)?.chunks_exact(8).map(pair) {
                let (found, position) = pair.ok_or(DAMAGED)?;
                if position == 0 {
                    return Ok(None);
                }
                if found == hash
                    && let Some(value) = self.value(u64::from(position), key)?
                {
                    return Ok(Some(value));
                }
            }
            slot = (slot + count) % slots;
            left -= count;
        }
        Ok(None)
    }

    /// The value of the record at this place, if it has this key.
    fn value(&self, at: u64, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let (key_len, value_len) = self.pair(at)?;
        if key_len as usize != key.len() || *self.read(at + 8, key.len())? != *key {
            return Ok(None);
        }
        Ok(Some(self.read(at + 8 + u64::from(key_len), value_len as usize)?.into_owned()))
    }

    /// Calls `visit` with each record in the order of the file, until it says `false`.
    pub fn each(&self, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), String> {
        // The records end where the first hash table begins.
        let mut end = u64::MAX;
        for table in 0..256 {
            end = end.min(u64::from(self.pair(table * 8)?.0));
        }
        let mut at = HEADER;
        while at < end {
            let (key_len, value_len) = self.pair(at)?;
            let key = self.read(at + 8, key_len as usize)?;
            let value = self.read(at + 8 + u64::from(key_len), value_len as usize)?;
            if !visit(&key, &value) {
                return Ok(());
            }
            at += 8 + u64::from(key_len) + u64::from(value_len);
        }
        Ok(())
    }
}

/// Writes the whole file.
pub(crate) fn write(entries: &Entries, out: &mut dyn Write) -> io::Result<()> {
    let too_large = || io::Error::new(io::ErrorKind::FileTooLarge, "a cdb file cannot be larger than 4 GBytes");
    let mut places: Vec<(u32, u32)> = Vec::with_capacity(entries.len());
    let mut at = HEADER;
    for entry in entries.iter() {
        places.push((hash(entry.key), u32::try_from(at).map_err(|_| too_large())?));
        at += 8 + entry.key.len() as u64 + entry.value.len() as u64;
    }
    let records_end = at;
    let mut counts = [0_u32; 256];
    for (hash, _) in &places {
        counts[(hash & 255) as usize] += 1;
    }
    for count in counts {
        let start = u32::try_from(at).map_err(|_| too_large())?;
        out.write_all(&start.to_le_bytes())?;
        // Tables are twice as long as they have entries, so that searches end soon.
        out.write_all(&(count * 2).to_le_bytes())?;
        at += u64::from(count) * 16;
    }
    if at > u64::from(u32::MAX) {
        return Err(too_large());
    }
    let mut written = HEADER;
    for entry in entries.iter() {
        out.write_all(&(entry.key.len() as u32).to_le_bytes())?;
        out.write_all(&(entry.value.len() as u32).to_le_bytes())?;
        out.write_all(entry.key)?;
        out.write_all(entry.value)?;
        written += 8 + entry.key.len() as u64 + entry.value.len() as u64;
    }
    debug_assert_eq!(written, records_end);
    // Stable, so that records of one table keep their order.
    places.sort_by_key(|(hash, _)| hash & 255);
    let mut rest = &places[..];
    for count in counts {
        let (mine, others) = rest.split_at(count as usize);
        rest = others;
        let slots = count as usize * 2;
        let mut table = vec![(0_u32, 0_u32); slots];
        for &(hash, position) in mine {
            let mut slot = (hash >> 8) as usize % slots;
            while table[slot].1 != 0 {
                slot = (slot + 1) % slots;
            }
            table[slot] = (hash, position);
        }
        for (hash, position) in table {
            out.write_all(&hash.to_le_bytes())?;
            out.write_all(&position.to_le_bytes())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entries::OnDuplicate;

    /// The file of two records, by hand: header, records, hash tables.
    #[test]
    fn layout() {
        let mut entries = Entries::default();
        entries.add(b"one", b"1", OnDuplicate::Warn).unwrap();
        let mut file = Vec::new();
        write(&entries, &mut file).unwrap();
        assert_eq!(file[2048..2060], *b"\x03\0\0\0\x01\0\0\0one1");
        // One entry makes a table of two slots; the file ends with it.
        let table = (hash(b"one") & 255) as usize * 8;
        assert_eq!(file[table..table + 8], *b"\x0c\x08\0\0\x02\0\0\0");
        assert_eq!(file.len(), 2060 + 16);
    }

    proptest::proptest! {
        // A damaged file gives an error or a wrong answer, never a panic or an endless loop.
        #[test]
        fn damage_is_survived(changes in proptest::collection::vec((0..4096_usize, proptest::num::u8::ANY), 1..8), cut in 2048..4096_usize) {
            let mut entries = Entries::default();
            for i in 0..60 {
                entries.add(format!("key{i}").as_bytes(), b"value", OnDuplicate::Warn).unwrap();
            }
            let mut file = Vec::new();
            write(&entries, &mut file).unwrap();
            file.truncate(cut);
            for (at, byte) in changes {
                let len = file.len();
                file[at % len] = byte;
            }
            let cdb = Cdb(Store::Memory(file));
            for i in 0..60 {
                let _ = cdb.find(format!("key{i}").as_bytes());
            }
            let _ = cdb.each(&mut |_, _| true);
        }
    }
}
