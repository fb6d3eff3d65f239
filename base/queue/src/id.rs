//! Queue ids: made from the time and the inode number, and taken apart again (`docs/queue-file-format.md`, section 2).

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// Digits in order of value: ten digits, then consonants, so that no id spells a word.
const ALPHABET: &[u8; 52] = b"0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";
/// Stands between time and inode of a long id; the inode is written in base 51, which has no `z`.
const SEPARATOR: u8 = b'z';

/// A queue id, short (`66CDB9940C5`) or long (`4jWhXR3gX9z1ShPk`). Legal characters only.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueId(Box<str>);

impl QueueId {
    /// `None` for a name that cannot be a queue file (1–255 characters, alphanumerics and `_`).
    pub fn parse(name: &str) -> Option<QueueId> {
        let ok = (1..=255).contains(&name.len()) && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
        ok.then(|| QueueId(name.into()))
    }

    /// A short id: five hexadecimal digits of the microseconds, then the inode number.
    pub fn short(time: SystemTime, inode: u64) -> QueueId {
        QueueId(format!("{:05X}{inode:X}", since_epoch(time).1).into())
    }

    /// A long id: seconds, microseconds, `z`, inode number. It never comes again.
    pub fn long(time: SystemTime, inode: u64) -> QueueId {
        let (seconds, micros) = since_epoch(time);
        let mut text = String::with_capacity(20);
        encode(&mut text, seconds, 52, 6);
        encode(&mut text, u64::from(micros), 52, 4);
        text.push(char::from(SEPARATOR));
        encode(&mut text, inode, 51, 1);
        QueueId(text.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this has the form of a long id.
    pub fn is_long(&self) -> bool {
        self.separator().is_some()
    }

    /// The inode number in the id; `None` when it is no id but some other legal name.
    pub fn inode(&self) -> Option<u64> {
        match self.separator() {
            Some(at) => decode(self.0.get(at + 1..)?, 51),
            None => u64::from_str_radix(self.0.get(5..)?, 16).ok(),
        }
    }

    /// The microseconds in the id.
    pub fn micros(&self) -> Option<u32> {
        match self.separator() {
            Some(at) => u32::try_from(decode(self.0.get(at - 4..at)?, 52)?).ok(),
            None => u32::from_str_radix(self.0.get(..5)?, 16).ok(),
        }
    }

    /// The same id with another inode number (`postsuper -s`), in its own form or turned into a short one.
    pub fn with_inode(&self, inode: u64, long: bool) -> Option<QueueId> {
        match self.separator() {
            Some(at) if long => {
                let mut text = String::from(self.0.get(..=at)?);
                encode(&mut text, inode, 51, 1);
                Some(QueueId(text.into()))
            }
            _ => Some(QueueId(format!("{:05X}{inode:X}", self.micros()?).into())),
        }
    }

    /// Appends the hash directories of this id, `depth` levels, each `X/`.
    pub(crate) fn push_hash(&self, path: &mut String, depth: u32) {
        let hex;
        let hash = match self.micros() {
            Some(micros) if self.is_long() => {
                hex = format!("{micros:05X}");
                &hex
            }
            _ => &*self.0,
        };
        for level in 0..depth as usize {
            path.push(hash.as_bytes().get(level).map_or('_', |&c| char::from(c)));
            path.push('/');
        }
    }

    /// Where the `z` of a long id stands: its last one, at index 10 or later.
    fn separator(&self) -> Option<usize> {
        self.0.rfind(char::from(SEPARATOR)).filter(|&at| at >= 10)
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn since_epoch(time: SystemTime) -> (u64, u32) {
    // A clock before 1970 gives ids with time 0: unique still, by the inode.
    time.duration_since(UNIX_EPOCH).map_or((0, 0), |d| (d.as_secs(), d.subsec_micros()))
}

fn encode(out: &mut String, mut value: u64, base: u64, width: usize) {
    let mut digits = Vec::with_capacity(12);
    while value > 0 || digits.len() < width {
        digits.push(char::from(ALPHABET[(value % base) as usize]));
        value /= base;
    }
    out.extend(digits.iter().rev());
}

fn decode(text: &str, base: u64) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.bytes().try_fold(0u64, |value, c| {
        let digit = ALPHABET.iter().position(|&a| a == c)? as u64;
        if digit >= base {
            return None;
        }
        value.checked_mul(base)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn at(seconds: u64, micros: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_micros(micros)
    }

    // S-QUEUE-04. The ids are ones that Postfix made: 0x66CDB microseconds, inode 0x9940C5.
    #[test]
    fn short_id() {
        let id = QueueId::short(at(1_795_241_037, 0x66CDB), 0x9940C5);
        assert_eq!(id.as_str(), "66CDB9940C5");
        assert_eq!((id.inode(), id.micros(), id.is_long()), (Some(0x9940C5), Some(0x66CDB), false));
    }

    // S-QUEUE-04. `3gX9` is hex 7E…, as the directory in which Postfix puts this id shows.
    #[test]
    fn long_id() {
        let id = QueueId::parse("4jWhXR3gX9z1ShPk").unwrap();
        assert!(id.is_long());
        let (micros, inode) = (id.micros().unwrap(), id.inode().unwrap());
        assert_eq!(format!("{micros:05X}").get(..2), Some("7E"));
        let seconds = decode("4jWhXR", 52).unwrap();
        assert_eq!(QueueId::long(at(seconds, u64::from(micros)), inode), id);
        assert_eq!(id.with_inode(0xABC, false).unwrap().as_str(), format!("{micros:05X}ABC"));
    }

    #[test]
    fn names() {
        for bad in ["", "a.b", "a/b", "nosuch!", "12345.678", &"A".repeat(256)] {
            assert!(QueueId::parse(bad).is_none(), "{bad}");
        }
        assert!(QueueId::parse(&"A".repeat(255)).is_some());
        // Legal as a file name, but no id: nothing to compare with the inode.
        assert_eq!(QueueId::parse("A").unwrap().inode(), None);
        assert_eq!(QueueId::parse("remote_example").unwrap().inode(), None);
    }

    // S-QUEUE-03
    #[test]
    fn hash() {
        let hash = |name: &str, depth| {
            let mut path = String::new();
            QueueId::parse(name).unwrap().push_hash(&mut path, depth);
            path
        };
        assert_eq!(hash("66CDB9940C5", 1), "6/");
        assert_eq!(hash("66CDB9940C5", 2), "6/6/");
        assert_eq!(hash("4jWhXR3gX9z1ShPk", 2), "7/E/");
        assert_eq!(hash("A", 3), "A/_/_/");
    }

    proptest! {
        #[test]
        fn round_trip(seconds in 0u64..100_000_000_000, micros in 0u64..1_000_000, inode in any::<u64>()) {
            for id in [QueueId::short(at(seconds, micros), inode), QueueId::long(at(seconds, micros), inode)] {
                prop_assert_eq!(id.inode(), Some(inode));
                prop_assert_eq!(id.micros().map(u64::from), Some(micros));
                prop_assert_eq!(QueueId::parse(id.as_str()), Some(id));
            }
        }
    }
}
