//! Writing btree files: leaves from left to right, then the levels above them.

use super::btree::{KEY_DATA, OVERFLOW_ITEM};
use super::page::{BTREE_INTERNAL, BTREE_LEAF, BTREE_MAGIC, BTREE_META, HEADER};
use super::write::{Overflow, PAGE, PageBuilder, meta};
use crate::entries::Entries;
use std::io::{self, Write};

/// The root is always the first page after the metadata.
const ROOT: u32 = 1;

/// Larger items are stored off the page: two keys with their values must fit on each (the metadata's "minkey"), with an alignment to spare.
const BIG: usize = (PAGE - HEADER) / 4 - 10;

fn aligned(size: usize) -> usize {
    size.next_multiple_of(4)
}

fn leaf_size(len: usize) -> usize {
    if len > BIG { 12 } else { aligned(3 + len) }
}

fn internal_size(len: usize) -> usize {
    if len > BIG { 24 } else { aligned(12 + len) }
}

/// A page's place and the separator that says what lies at or behind it.
struct Child<'a> {
    page: u32,
    separator: &'a [u8],
}

/// What goes onto one page: a range of the level below.
type Span = std::ops::Range<usize>;

/// Cuts items into pages. `sizes` are those of items with their offsets.
fn cut(sizes: impl Iterator<Item = usize>) -> Vec<Span> {
    let mut spans = Vec::new();
    let (mut start, mut at, mut room) = (0, 0, PAGE - HEADER);
    for size in sizes {
        if size > room {
            spans.push(start..at);
            (start, room) = (at, PAGE - HEADER);
        }
        room -= size;
        at += 1;
    }
    spans.push(start..at);
    spans
}

/// The shortest text that is above `left` and not above `right`.
fn separator<'a>(left: &[u8], right: &'a [u8]) -> &'a [u8] {
    let same = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    &right[..(same + 1).min(right.len())]
}

/// Writes the whole file.
pub(super) fn write(entries: &Entries, unique: [u8; 20], out: &mut dyn Write) -> io::Result<()> {
    let all = entries.sorted();
    let leaves = cut(all.iter().map(|entry| leaf_size(entry.key.len()) + leaf_size(entry.value.len()) + 4));

    // Page numbers: the root, then the leaves, then each level between, then overflow pages. A single leaf is the root.
    let leaf_start = if leaves.len() == 1 { ROOT } else { ROOT + 1 };
    let mut next = leaf_start + leaves.len() as u32;
    let children = leaves.iter().enumerate().map(|(nth, span)| Child {
        page: leaf_start + nth as u32,
        separator: if nth == 0 { b"".as_slice() } else { separator(all[span.start - 1].key, all[span.start].key) },
    });
    let mut levels: Vec<(Vec<Child<'_>>, Vec<Span>, u32)> = Vec::new();
    let mut below: Vec<Child<'_>> = children.collect();
    while below.len() > 1 {
        let spans = cut(below.iter().map(|child| internal_size(child.separator.len()) + 2));
        let start = if spans.len() == 1 { ROOT } else { next };
        if spans.len() > 1 {
            next += spans.len() as u32;
        }
        let above = spans
            .iter()
            .enumerate()
            .map(|(nth, span)| Child { page: start + nth as u32, separator: below[span.start].separator })
            .collect();
        levels.push((std::mem::replace(&mut below, above), spans, start));
    }

    let mut big = Overflow::starting_at(next);
    let mut internal: Vec<Box<[u8; PAGE]>> = Vec::new();
    let mut root = None;
    for (nth, (children, spans, start)) in levels.iter().enumerate() {
        for (number, span) in (*start..).zip(spans) {
            let mut page = PageBuilder::new(number, nth as u8 + 2, BTREE_INTERNAL);
            for child in &children[span.clone()] {
                let pointer = child.page.to_le_bytes();
                let key = child.separator;
                if key.len() > BIG {
                    let reference = big.add(key).to_le_bytes();
                    let len = (key.len() as u32).to_le_bytes();
                    let head = [12, 0, OVERFLOW_ITEM, 0];
                    page.push(&[&head, &pointer, &[0; 4], &[0, 0, OVERFLOW_ITEM, 0], &reference, &len], 24);
                } else {
                    let [low, high] = (key.len() as u16).to_le_bytes();
                    page.push(&[&[low, high, KEY_DATA, 0], &pointer, &[0; 4], key], internal_size(key.len()));
                }
            }
            let bytes = page.finish();
            if number == ROOT { root = Some(bytes) } else { internal.push(bytes) }
        }
    }

    // The references to overflow pages on the leaves are known only when the leaves are made, so these are kept until the size is known.
    let big_leaf_pages: u64 = all
        .iter()
        .flat_map(|entry| [entry.key, entry.value])
        .filter(|item| item.len() > BIG)
        .map(|item| u64::from(Overflow::pages_for(item.len())))
        .sum();
    let too_large = || io::Error::new(io::ErrorKind::FileTooLarge, "too many entries for a btree file");
    let last = u32::try_from(u64::from(big.end()) + big_leaf_pages - 1).map_err(|_| too_large())?;

    let mut first = meta(BTREE_MAGIC, BTREE_META, last, unique);
    for (at, word) in [(76, 2), (84, 0x20), (88, ROOT)] {
        first[at..at + 4].copy_from_slice(&u32::to_le_bytes(word));
    }
    out.write_all(&first[..])?;
    if let Some(root) = root {
        out.write_all(&root[..])?;
    }
    let last_leaf = leaf_start + leaves.len() as u32 - 1;
    for (number, span) in (leaf_start..).zip(leaves) {
        let mut page = PageBuilder::new(number, 1, BTREE_LEAF);
        if number > leaf_start {
            page.set_previous(number - 1);
        }
        if number < last_leaf {
            page.set_next(number + 1);
        }
        for entry in &all[span] {
            for item in [entry.key, entry.value] {
                if item.len() > BIG {
                    let reference = big.add(item).to_le_bytes();
                    page.push(&[&[0, 0, OVERFLOW_ITEM, 0], &reference, &(item.len() as u32).to_le_bytes()], 12);
                } else {
                    let [low, high] = (item.len() as u16).to_le_bytes();
                    page.push(&[&[low, high, KEY_DATA], item], leaf_size(item.len()));
                }
            }
        }
        out.write_all(&page.finish()[..])?;
    }
    for page in internal {
        out.write_all(&page[..])?;
    }
    big.write(out)
}
