//! Reading btree files (Berkeley DB access method `DB_BTREE`, without duplicates).

use super::page::{BTREE_INTERNAL, BTREE_LEAF, Page, PageError, Pages};
use std::borrow::Cow;
use std::cmp::Ordering;

/// Item types on btree pages; the highest bit marks a deleted item.
pub(super) const KEY_DATA: u8 = 1;
pub(super) const OVERFLOW_ITEM: u8 = 3;
const DELETED: u8 = 0x80;

/// Deeper than any tree that fits on a disk.
const DEEPEST: usize = 64;

struct Item<'a> {
    bytes: Cow<'a, [u8]>,
    deleted: bool,
}

/// The item at `index` of a leaf.
fn leaf_item<'a>(page: &'a Page<'_>, index: usize, pages: &Pages) -> Result<Item<'a>, PageError> {
    let at = page.item(index)?;
    let kind = page.slice(at, at + 3)?[2];
    let bytes = match kind & !DELETED {
        KEY_DATA => {
            let len = usize::from(page.order.u16(&page.bytes, at));
            Cow::Borrowed(page.slice(at + 3, at + 3 + len)?)
        }
        OVERFLOW_ITEM => {
            page.slice(at, at + 12)?;
            Cow::Owned(pages.overflow(page.order.u32(&page.bytes, at + 4), page.order.u32(&page.bytes, at + 8))?)
        }
        _ => return Err(page.bad()),
    };
    Ok(Item { bytes, deleted: kind & DELETED != 0 })
}

/// Key and child page at `index` of an internal page.
fn internal_item<'a>(page: &'a Page<'_>, index: usize, pages: &Pages) -> Result<(Cow<'a, [u8]>, u32), PageError> {
    let at = page.item(index)?;
    let kind = page.slice(at, at + 12)?[2] & !DELETED;
    let child = page.order.u32(&page.bytes, at + 4);
    let key = match kind {
        KEY_DATA => {
            let len = usize::from(page.order.u16(&page.bytes, at));
            Cow::Borrowed(page.slice(at + 12, at + 12 + len)?)
        }
        // The data is an overflow item in full.
        OVERFLOW_ITEM => {
            page.slice(at + 12, at + 24)?;
            Cow::Owned(pages.overflow(page.order.u32(&page.bytes, at + 16), page.order.u32(&page.bytes, at + 20))?)
        }
        _ => return Err(page.bad()),
    };
    Ok((key, child))
}

/// The value stored under `key`.
pub(super) fn find(root: u32, pages: &Pages, key: &[u8]) -> Result<Option<Vec<u8>>, PageError> {
    let mut number = root;
    for _ in 0..DEEPEST {
        let page = pages.page(number)?;
        match page.kind() {
            BTREE_INTERNAL => {
                // The last child whose first key is not above `key`; the first item stands for all that is smaller.
                let (mut low, mut high) = (1, page.entries());
                while low < high {
                    let middle = usize::midpoint(low, high);
                    if *internal_item(&page, middle, pages)?.0 <= *key { low = middle + 1 } else { high = middle }
                }
                number = internal_item(&page, low - 1, pages)?.1;
            }
            BTREE_LEAF => {
                let (mut low, mut high) = (0, page.entries() / 2);
                while low < high {
                    let middle = usize::midpoint(low, high);
                    let item = leaf_item(&page, 2 * middle, pages)?;
                    match (*item.bytes).cmp(key) {
                        Ordering::Less => low = middle + 1,
                        Ordering::Greater => high = middle,
                        Ordering::Equal => {
                            let value = leaf_item(&page, 2 * middle + 1, pages)?;
                            return Ok((!item.deleted && !value.deleted).then(|| value.bytes.into_owned()));
                        }
                    }
                }
                return Ok(None);
            }
            _ => return Err(page.bad()),
        }
    }
    Err(PageError::Bad(root))
}

/// Calls `visit` with each key and value in the order of keys, until it says `false`.
pub(super) fn each(root: u32, pages: &Pages, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), PageError> {
    let mut number = root;
    for _ in 0..DEEPEST {
        let page = pages.page(number)?;
        if page.kind() != BTREE_INTERNAL {
            break;
        }
        number = internal_item(&page, 0, pages)?.1;
    }
    for _ in 0..=pages.last {
        let page = pages.page(number)?;
        if page.kind() != BTREE_LEAF {
            return Err(page.bad());
        }
        for index in (0..page.entries().saturating_sub(1)).step_by(2) {
            let (key, value) = (leaf_item(&page, index, pages)?, leaf_item(&page, index + 1, pages)?);
            if !key.deleted && !value.deleted && !visit(&key.bytes, &value.bytes) {
                return Ok(());
            }
        }
        number = page.next();
        if number == 0 {
            return Ok(());
        }
    }
    Err(PageError::Bad(number))
}
