//! Pages of a Berkeley DB file: where they come from, and what hash and btree pages have in common.
//!
//! The layout is that of Berkeley DB 3 to 5 (hash versions 7 to 9, btree versions 8 to 9). Numbers are in the byte order of the machine
//! that made the file; the magic number tells which.

use crate::store::{Store, StoreError};
use std::borrow::Cow;

pub(super) const HASH_MAGIC: u32 = 0x0006_1561;
pub(super) const BTREE_MAGIC: u32 = 0x0005_3162;

/// Bytes before the table of item offsets.
pub(super) const HEADER: usize = 26;

/// Page types.
pub(super) const HASH_UNSORTED: u8 = 2;
pub(super) const BTREE_INTERNAL: u8 = 3;
pub(super) const BTREE_LEAF: u8 = 5;
pub(super) const OVERFLOW: u8 = 7;
pub(super) const HASH_META: u8 = 8;
pub(super) const BTREE_META: u8 = 9;
pub(super) const HASH: u8 = 13;

/// A page that is not what it should be; the text goes after `table …: `.
#[derive(Debug, thiserror::Error)]
pub(super) enum PageError {
    #[error("damaged database file: page {0} is not what it should be")]
    Bad(u32),
    #[error("damaged database file: page {0} lies outside of the file")]
    Outside(u32),
    #[error("read database file: {0}")]
    Read(String),
}

/// Byte order of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    pub fn u32(self, bytes: &[u8], at: usize) -> u32 {
        let Some(four) = bytes.get(at..at + 4).and_then(|b| <[u8; 4]>::try_from(b).ok()) else { return 0 };
        match self {
            Order::Little => u32::from_le_bytes(four),
            Order::Big => u32::from_be_bytes(four),
        }
    }

    pub fn u16(self, bytes: &[u8], at: usize) -> u16 {
        let Some(two) = bytes.get(at..at + 2).and_then(|b| <[u8; 2]>::try_from(b).ok()) else { return 0 };
        match self {
            Order::Little => u16::from_le_bytes(two),
            Order::Big => u16::from_be_bytes(two),
        }
    }
}

/// All pages of one file.
pub(super) struct Pages {
    pub store: Store,
    pub order: Order,
    pub size: usize,
    pub last: u32,
}

/// One page other than the first.
pub(super) struct Page<'a> {
    pub bytes: Cow<'a, [u8]>,
    pub number: u32,
    pub order: Order,
}

impl Pages {
    pub fn page(&self, number: u32) -> Result<Page<'_>, PageError> {
        if number > self.last {
            return Err(PageError::Outside(number));
        }
        let bytes = self.store.read(u64::from(number) * self.size as u64, self.size).map_err(|error| match error {
            StoreError::Outside => PageError::Outside(number),
            error => PageError::Read(error.to_string()),
        })?;
        Ok(Page { bytes, number, order: self.order })
    }

    /// An item stored on overflow pages. `len` is what the reference to it says.
    pub fn overflow(&self, first: u32, len: u32) -> Result<Vec<u8>, PageError> {
        let len = len as usize;
        // No more than the file can hold, whatever the reference says.
        if len as u64 > (u64::from(self.last) + 1) * self.size as u64 {
            return Err(PageError::Bad(first));
        }
        let mut out = Vec::with_capacity(len);
        let mut number = first;
        while out.len() < len {
            let page = self.page(number)?;
            let part = page.offset_field();
            if page.kind() != OVERFLOW || part == 0 {
                return Err(PageError::Bad(number));
            }
            out.extend_from_slice(page.bytes.get(HEADER..HEADER + part).ok_or(PageError::Bad(number))?);
            number = page.next();
        }
        if out.len() != len {
            return Err(PageError::Bad(first));
        }
        Ok(out)
    }
}

impl Page<'_> {
    pub fn next(&self) -> u32 {
        self.order.u32(&self.bytes, 16)
    }

    pub fn entries(&self) -> usize {
        usize::from(self.order.u16(&self.bytes, 20))
    }

    /// Start of the items; on an overflow page the length of its data.
    fn offset_field(&self) -> usize {
        usize::from(self.order.u16(&self.bytes, 22))
    }

    pub fn kind(&self) -> u8 {
        self.bytes.get(25).copied().unwrap_or(0)
    }

    /// Where item `index` starts.
    pub fn item(&self, index: usize) -> Result<usize, PageError> {
        let at = HEADER + 2 * index;
        if index >= self.entries() || at + 2 > self.bytes.len() {
            return Err(self.bad());
        }
        Ok(usize::from(self.order.u16(&self.bytes, at)))
    }

    pub fn slice(&self, from: usize, to: usize) -> Result<&[u8], PageError> {
        self.bytes.get(from..to).ok_or(self.bad())
    }

    pub fn bad(&self) -> PageError {
        PageError::Bad(self.number)
    }
}
