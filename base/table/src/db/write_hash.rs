//! Writing hash files.
//!
//! The number of buckets is a power of two, chosen so that most buckets fit on one page; then all buckets lie one after the other from page
//! 1 on. What does not fit goes to pages behind them, and items that are too large for any page behind those.

use super::hash::{CHECK, KEY_DATA, OFF_PAGE, hash5};
use super::page::{HASH, HASH_MAGIC, HASH_META, HEADER};
use super::write::{Overflow, PAGE, PageBuilder, meta};
use crate::entries::{Entries, Entry};
use std::io::{self, Write};

/// Larger keys and values are stored off the page: libdb wants room for four items on each.
const BIG: usize = PAGE / 4;

/// How full the buckets are at most on the average: then one in six has a second page, and the file is no larger than libdb's.
const FULL: usize = (PAGE - HEADER) / 20 * 17;

fn item_size(len: usize) -> usize {
    if len > BIG { 12 } else { 1 + len }
}

fn entry_size(entry: &Entry<'_>) -> usize {
    item_size(entry.key.len()) + item_size(entry.value.len()) + 4
}

/// Writes the whole file.
pub(super) fn write(entries: &Entries, unique: [u8; 20], out: &mut dyn Write) -> io::Result<()> {
    let bytes: usize = entries.iter().map(|entry| entry_size(&entry)).sum();
    // libdb begins with two buckets.
    let buckets = bytes.div_ceil(FULL).next_power_of_two().max(2);
    let buckets = u32::try_from(buckets).ok().filter(|n| *n < 1 << 30).ok_or_else(too_large)?;
    let mask = buckets - 1;

    // Entries by bucket, and by key within a bucket, since libdb keeps pages sorted.
    let mut all: Vec<_> = entries.iter().collect();
    all.sort_unstable_by(|a, b| (a.hash & mask).cmp(&(b.hash & mask)).then_with(|| a.key.cmp(b.key)));

    // First pass: how many pages come after the buckets.
    let mut chained = 0;
    for_buckets(&all, mask, |_, bucket| {
        chained += pages(bucket).count() as u32 - 1;
        Ok(())
    })?;
    let chain_start = 1 + buckets;
    let big_start = chain_start + chained;
    let big_pages: u64 = all
        .iter()
        .flat_map(|entry| [entry.key, entry.value])
        .filter(|item| item.len() > BIG)
        .map(|item| u64::from(Overflow::pages_for(item.len())))
        .sum();
    let last = u32::try_from(u64::from(big_start) + big_pages - 1).map_err(|_| too_large())?;

    let mut first = meta(HASH_MAGIC, HASH_META, last, unique);
    for (at, word) in [(72, mask), (76, mask), (80, mask >> 1), (88, all.len() as u32), (92, hash5(CHECK))] {
        first[at..at + 4].copy_from_slice(&word.to_le_bytes());
    }
    // Each run of buckets begins right after the one before.
    for run in 0..=buckets.trailing_zeros() as usize {
        first[96 + 4 * run..100 + 4 * run].copy_from_slice(&1_u32.to_le_bytes());
    }
    out.write_all(&first[..])?;

    let mut big = Overflow::starting_at(big_start);
    let mut chain: Vec<Box<[u8; PAGE]>> = Vec::new();
    let mut next_chained = chain_start;
    for_buckets(&all, mask, |number, bucket| {
        let mut page = PageBuilder::new(number + 1, 0, HASH);
        for (nth, part) in pages(bucket).enumerate() {
            if nth > 0 {
                let mut more = PageBuilder::new(next_chained, 0, HASH);
                more.set_previous(page.number());
                page.set_next(next_chained);
                next_chained += 1;
                let full = std::mem::replace(&mut page, more).finish();
                if nth == 1 { out.write_all(&full[..])? } else { chain.push(full) }
            }
            for entry in part {
                for item in [entry.key, entry.value] {
                    if item.len() > BIG {
                        let page_number = big.add(item).to_le_bytes();
                        page.push(&[&[OFF_PAGE, 0, 0, 0], &page_number, &(item.len() as u32).to_le_bytes()], 12);
                    } else {
                        page.push(&[&[KEY_DATA], item], 1 + item.len());
                    }
                }
            }
        }
        if page.number() == number + 1 {
            out.write_all(&page.finish()[..])
        } else {
            chain.push(page.finish());
            Ok(())
        }
    })?;
    for page in chain {
        out.write_all(&page[..])?;
    }
    big.write(out)
}

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, "too many entries for a hash file")
}

/// Calls `visit` with each bucket and its entries, of which there may be none.
fn for_buckets<'a, 'b>(all: &'b [Entry<'a>], mask: u32, mut visit: impl FnMut(u32, &'b [Entry<'a>]) -> io::Result<()>) -> io::Result<()> {
    let mut rest = all;
    for bucket in 0..=mask {
        let len = rest.iter().position(|entry| entry.hash & mask != bucket).unwrap_or(rest.len());
        let (mine, others) = rest.split_at(len);
        visit(bucket, mine)?;
        rest = others;
    }
    Ok(())
}

/// A bucket's entries page by page; one empty page if there are none.
fn pages<'a, 'b>(bucket: &'b [Entry<'a>]) -> impl Iterator<Item = &'b [Entry<'a>]> {
    let mut rest = Some(bucket);
    std::iter::from_fn(move || {
        let entries = rest?;
        let mut room = PAGE - HEADER;
        let fits = entries
            .iter()
            .position(|entry| {
                let size = entry_size(entry);
                if size > room {
                    return true;
                }
                room -= size;
                false
            })
            .unwrap_or(entries.len());
        let (part, others) = entries.split_at(fits);
        rest = (!others.is_empty()).then_some(others);
        Some(part)
    })
}
