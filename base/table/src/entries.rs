//! The entries of an indexed file while it is built: all in one piece of memory, found by key, kept in the order in which they came.

/// What to do with a key that is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDuplicate {
    /// Keep the first entry and say so.
    #[default]
    Warn,
    /// Keep the first entry (`postmap -w`).
    Ignore,
    /// Take the new value (`postmap -r`).
    Replace,
}

/// Where an entry lies.
#[derive(Clone, Copy)]
struct Slot {
    start: u64,
    key: u32,
    value: u32,
    hash: u32,
}

const FREE: u32 = u32::MAX;
/// A removed entry leaves its place in the search path.
const REMOVED: u32 = u32::MAX - 1;

/// Keys with their values; a key occurs once.
#[derive(Default)]
pub(crate) struct Entries {
    bytes: Vec<u8>,
    slots: Vec<Option<Slot>>,
    /// Open addressing: index into `slots`. A power of two long, never more than half full.
    table: Vec<u32>,
    live: usize,
}

/// One entry.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub key: &'a [u8],
    pub value: &'a [u8],
    /// [`crate::db::hash5`] of the key.
    pub hash: u32,
}

impl Entries {
    pub fn len(&self) -> usize {
        self.live
    }

    /// In the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        self.slots.iter().flatten().map(|slot| self.entry(slot))
    }

    fn entry(&self, slot: &Slot) -> Entry<'_> {
        let start = slot.start as usize;
        let middle = start + slot.key as usize;
        Entry { key: &self.bytes[start..middle], value: &self.bytes[middle..middle + slot.value as usize], hash: slot.hash }
    }

    /// Where in `table` the key is, or the free place where it would go.
    fn place(&self, key: &[u8], hash: u32) -> usize {
        let mask = self.table.len() - 1;
        // The lowest bits of this hash are good; the multiplication spreads keys that differ in their last character only.
        let mut at = hash.wrapping_mul(0x9e37_79b9) as usize & mask;
        loop {
            match self.table[at] {
                FREE => return at,
                REMOVED => {}
                index => {
                    if let Some(slot) = &self.slots[index as usize]
                        && slot.hash == hash
                        && self.entry(slot).key == key
                    {
                        return at;
                    }
                }
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds an entry. `Ok(false)`: the key was there (and its value replaced only if asked to). The error: it does not fit into a file.
    pub fn add(&mut self, key: &[u8], value: &[u8], on_duplicate: OnDuplicate) -> Result<bool, String> {
        if self.table.len() < 2 * (self.slots.len() + 1) {
            self.grow();
        }
        let too_long = |_| "entry too long".to_owned();
        let hash = crate::db::hash5(key);
        let slot = Slot {
            start: self.bytes.len() as u64,
            key: u32::try_from(key.len()).map_err(too_long)?,
            value: u32::try_from(value.len()).map_err(too_long)?,
            hash,
        };
        let at = self.place(key, hash);
        match self.table[at] {
            FREE => {
                self.table[at] = u32::try_from(self.slots.len()).ok().filter(|n| *n < REMOVED).ok_or("too many entries")?;
                self.push(key, value);
                self.slots.push(Some(slot));
                self.live += 1;
                Ok(true)
            }
            index => {
                if on_duplicate == OnDuplicate::Replace {
                    self.push(key, value);
                    self.slots[index as usize] = Some(slot);
                }
                Ok(false)
            }
        }
    }

    fn push(&mut self, key: &[u8], value: &[u8]) {
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
    }

    /// Removes an entry; whether it was there.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        if self.table.is_empty() {
            return false;
        }
        let at = self.place(key, crate::db::hash5(key));
        match self.table[at] {
            FREE => false,
            index => {
                self.slots[index as usize] = None;
                self.table[at] = REMOVED;
                self.live -= 1;
                true
            }
        }
    }

    fn grow(&mut self) {
        let size = (4 * (self.slots.len() + 1)).next_power_of_two().max(64);
        self.table = vec![FREE; size];
        for index in 0..self.slots.len() {
            if let Some(slot) = self.slots[index] {
                let at = self.place(self.entry(&slot).key, slot.hash);
                self.table[at] = index as u32;
            }
        }
    }

    /// Sorted by key.
    pub fn sorted(&self) -> Vec<Entry<'_>> {
        let mut all: Vec<_> = self.iter().collect();
        // Keys are different, so the order of equal ones does not matter. The first eight bytes decide most comparisons.
        all.sort_unstable_by(|a, b| prefix(a.key).cmp(&prefix(b.key)).then_with(|| a.key.cmp(b.key)));
        all
    }
}

fn prefix(key: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let len = key.len().min(8);
    bytes[..len].copy_from_slice(&key[..len]);
    u64::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_and_removal() {
        let mut entries = Entries::default();
        assert!(!entries.remove(b"a"));
        assert_eq!(entries.add(b"a", b"1", OnDuplicate::Warn), Ok(true));
        assert_eq!(entries.add(b"a", b"2", OnDuplicate::Warn), Ok(false));
        assert_eq!(entries.iter().next().unwrap().value, b"1");
        assert_eq!(entries.add(b"a", b"3", OnDuplicate::Replace), Ok(false));
        assert_eq!(entries.iter().next().unwrap().value, b"3");
        assert!(entries.remove(b"a"));
        assert!(!entries.remove(b"a"));
        assert_eq!(entries.add(b"a", b"4", OnDuplicate::Warn), Ok(true));
        assert_eq!(entries.len(), 1);
    }

    proptest::proptest! {
        // The same operations on a map of the standard library.
        #[test]
        fn behaves_as_a_map(operations in proptest::collection::vec((0..3_u8, 0..200_u8, 0..255_u8), 0..600)) {
            let (mut entries, mut map) = (Entries::default(), std::collections::BTreeMap::new());
            for (operation, key, value) in operations {
                let name = format!("key{key}").into_bytes();
                match operation {
                    0 => {
                        let added = entries.add(&name, &[value], OnDuplicate::Warn).unwrap();
                        assert_eq!(added, !map.contains_key(&name));
                        map.entry(name).or_insert(vec![value]);
                    }
                    1 => {
                        entries.add(&name, &[value], OnDuplicate::Replace).unwrap();
                        map.insert(name, vec![value]);
                    }
                    _ => assert_eq!(entries.remove(&name), map.remove(&name).is_some()),
                }
            }
            let sorted: Vec<_> = entries.sorted().iter().map(|e| (e.key.to_vec(), e.value.to_vec())).collect();
            assert_eq!(sorted, map.into_iter().collect::<Vec<_>>());
            assert_eq!(entries.len(), sorted.len());
        }
    }
}
