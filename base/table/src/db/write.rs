//! Writing Berkeley DB files: what hash and btree have in common.
//!
//! A file is laid out whole, in the little-endian form of libdb 5.3, and is given to the file system page by page in order where possible.
//! Pages are of 4096 bytes, as libdb chooses on common file systems.

use super::page::{HEADER, OVERFLOW};
use std::io::{self, Write};

pub(super) const PAGE: usize = 4096;

/// A log sequence number that says "not logged".
const NOT_LOGGED: [u8; 8] = [0, 0, 0, 0, 1, 0, 0, 0];

/// A page under construction: offsets grow from the front, items from the back.
pub(super) struct PageBuilder {
    bytes: Box<[u8; PAGE]>,
    entries: usize,
    /// Where the last item begins.
    end: usize,
}

impl PageBuilder {
    pub fn new(number: u32, level: u8, kind: u8) -> PageBuilder {
        let mut bytes = Box::new([0; PAGE]);
        bytes[..8].copy_from_slice(&NOT_LOGGED);
        bytes[8..12].copy_from_slice(&number.to_le_bytes());
        bytes[24] = level;
        bytes[25] = kind;
        PageBuilder { bytes, entries: 0, end: PAGE }
    }

    pub fn number(&self) -> u32 {
        u32::from_le_bytes([self.bytes[8], self.bytes[9], self.bytes[10], self.bytes[11]])
    }

    pub fn set_previous(&mut self, page: u32) {
        self.bytes[12..16].copy_from_slice(&page.to_le_bytes());
    }

    pub fn set_next(&mut self, page: u32) {
        self.bytes[16..20].copy_from_slice(&page.to_le_bytes());
    }

    /// Puts an item on the page, made of parts, in `size` bytes (padded at its end). The caller has seen that there is room for it and two
    /// bytes more.
    pub fn push(&mut self, parts: &[&[u8]], size: usize) {
        self.end -= size;
        let mut at = self.end;
        for part in parts {
            self.bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        let offset = HEADER + 2 * self.entries;
        self.bytes[offset..offset + 2].copy_from_slice(&(self.end as u16).to_le_bytes());
        self.entries += 1;
    }

    pub fn finish(mut self) -> Box<[u8; PAGE]> {
        self.bytes[20..22].copy_from_slice(&(self.entries as u16).to_le_bytes());
        self.bytes[22..24].copy_from_slice(&(self.end as u16).to_le_bytes());
        self.bytes
    }
}

/// Pages that come after all others: items too large for a page. Their numbers are known before they are written.
pub(super) struct Overflow<'a> {
    first: u32,
    next: u32,
    items: Vec<&'a [u8]>,
}

impl<'a> Overflow<'a> {
    pub fn starting_at(first: u32) -> Overflow<'a> {
        Overflow { first, next: first, items: Vec::new() }
    }

    pub fn pages_for(len: usize) -> u32 {
        len.div_ceil(PAGE - HEADER) as u32
    }

    /// Reserves pages for an item; the number of the first.
    pub fn add(&mut self, item: &'a [u8]) -> u32 {
        let page = self.next;
        self.next += Self::pages_for(item.len());
        self.items.push(item);
        page
    }

    /// The first number that is not used.
    pub fn end(&self) -> u32 {
        self.next
    }

    pub fn write(self, out: &mut dyn Write) -> io::Result<()> {
        let mut number = self.first;
        for item in self.items {
            let last = number + Self::pages_for(item.len()) - 1;
            let first = number;
            for part in item.chunks(PAGE - HEADER) {
                let mut page = PageBuilder::new(number, 0, OVERFLOW);
                if number > first {
                    page.set_previous(number - 1);
                }
                if number < last {
                    page.set_next(number + 1);
                }
                let mut bytes = page.finish();
                // One reference; the length of the data on this page.
                bytes[20..22].copy_from_slice(&1_u16.to_le_bytes());
                bytes[22..24].copy_from_slice(&(part.len() as u16).to_le_bytes());
                bytes[HEADER..HEADER + part.len()].copy_from_slice(part);
                out.write_all(&bytes[..])?;
                number += 1;
            }
        }
        Ok(())
    }
}

/// The first page, without what only one access method has (bytes 72 to 511).
pub(super) fn meta(magic: u32, kind: u8, last_page: u32, unique: [u8; 20]) -> Box<[u8; PAGE]> {
    let mut bytes = Box::new([0; PAGE]);
    bytes[..8].copy_from_slice(&NOT_LOGGED);
    bytes[12..16].copy_from_slice(&magic.to_le_bytes());
    bytes[16..20].copy_from_slice(&9_u32.to_le_bytes());
    bytes[20..24].copy_from_slice(&(PAGE as u32).to_le_bytes());
    bytes[25] = kind;
    bytes[32..36].copy_from_slice(&last_page.to_le_bytes());
    bytes[52..72].copy_from_slice(&unique);
    bytes
}
