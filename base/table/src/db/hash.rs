//! Reading hash files (Berkeley DB access method `DB_HASH`).

use super::page::{HASH, HASH_UNSORTED, Page, PageError, Pages};
use std::borrow::Cow;
use std::ops::ControlFlow;

/// Item types on a hash page.
pub(super) const KEY_DATA: u8 = 1;
pub(super) const OFF_PAGE: u8 = 3;

/// What the first page of a hash file says.
pub(super) struct Meta {
    pub max_bucket: u32,
    pub high_mask: u32,
    pub low_mask: u32,
    pub spares: [u32; 32],
    /// Whether keys are hashed by [`hash5`] (else by the function of older files).
    pub hash: fn(&[u8]) -> u32,
}

/// The text whose hash is stored in the file, to tell which function made it; with its final NUL.
pub(super) const CHECK: &[u8] = b"%$sniglet^&\0";

/// The hash function since version 5: Fowler, Noll and Vo's, begun at 0.
pub(crate) fn hash5(key: &[u8]) -> u32 {
    key.iter().fold(0, |h: u32, &c| h.wrapping_mul(16_777_619) ^ u32::from(c))
}

/// The function of files made before: Torek's.
pub(super) fn hash4(key: &[u8]) -> u32 {
    key.iter().fold(0, |h: u32, &c| h.wrapping_mul(33).wrapping_add(u32::from(c)))
}

impl Meta {
    /// From the first page. `None` if the file was made with a hash function that is not known.
    pub fn parse(bytes: &[u8], pages: &Pages) -> Option<Meta> {
        let word = |at| pages.order.u32(bytes, at);
        let check = word(92);
        let hash = [hash5 as fn(&[u8]) -> u32, hash4].into_iter().find(|hash| hash(CHECK) == check)?;
        let mut spares = [0; 32];
        for (i, spare) in spares.iter_mut().enumerate() {
            *spare = word(96 + 4 * i);
        }
        Some(Meta { max_bucket: word(72), high_mask: word(76), low_mask: word(80), spares, hash })
    }

    fn bucket(&self, key: &[u8]) -> u32 {
        let hash = (self.hash)(key);
        let bucket = hash & self.high_mask;
        if bucket > self.max_bucket { hash & self.low_mask } else { bucket }
    }

    /// Buckets are allocated in runs that double; `spares` says how many other pages lie before each run.
    fn page_of(&self, bucket: u32) -> Option<u32> {
        let run = (u64::from(bucket) + 1).next_power_of_two().trailing_zeros() as usize;
        bucket.checked_add(*self.spares.get(run)?)
    }
}

/// One item: on the page, or elsewhere.
enum Item<'a> {
    Here(&'a [u8]),
    Away { page: u32, len: u32 },
}

impl<'a> Item<'a> {
    fn of(page: &'a Page<'_>, index: usize) -> Result<Item<'a>, PageError> {
        let start = page.item(index)?;
        let end = if index == 0 { page.bytes.len() } else { page.item(index - 1)? };
        let bytes = page.slice(start, end)?;
        match bytes.first() {
            Some(&KEY_DATA) => Ok(Item::Here(&bytes[1..])),
            Some(&OFF_PAGE) if bytes.len() >= 12 => Ok(Item::Away { page: page.order.u32(bytes, 4), len: page.order.u32(bytes, 8) }),
            _ => Err(page.bad()),
        }
    }

    fn bytes(&self, pages: &Pages) -> Result<Cow<'a, [u8]>, PageError> {
        match self {
            Item::Here(bytes) => Ok(Cow::Borrowed(bytes)),
            Item::Away { page, len } => pages.overflow(*page, *len).map(Cow::Owned),
        }
    }

    fn is(&self, key: &[u8], pages: &Pages) -> Result<bool, PageError> {
        match self {
            Item::Here(bytes) => Ok(*bytes == key),
            Item::Away { page, len } => Ok(*len as usize == key.len() && pages.overflow(*page, *len)? == key),
        }
    }
}

/// Calls `visit` for each page of a bucket, until it breaks.
fn walk<B>(
    meta: &Meta,
    pages: &Pages,
    bucket: u32,
    mut visit: impl FnMut(&Page<'_>) -> Result<ControlFlow<B>, PageError>,
) -> Result<Option<B>, PageError> {
    let mut number = meta.page_of(bucket).ok_or(PageError::Outside(bucket))?;
    // A chain cannot be longer than the file; a loop in it must not be endless.
    for _ in 0..=pages.last {
        let page = pages.page(number)?;
        // A bucket that was never used is a page of zeros.
        if !matches!(page.kind(), HASH | HASH_UNSORTED) {
            return if page.entries() == 0 && page.kind() == 0 { Ok(None) } else { Err(page.bad()) };
        }
        if let ControlFlow::Break(found) = visit(&page)? {
            return Ok(Some(found));
        }
        number = page.next();
        if number == 0 {
            return Ok(None);
        }
    }
    Err(PageError::Bad(number))
}

/// The value stored under `key`.
pub(super) fn find(meta: &Meta, pages: &Pages, key: &[u8]) -> Result<Option<Vec<u8>>, PageError> {
    walk(meta, pages, meta.bucket(key), |page| {
        for index in (0..page.entries().saturating_sub(1)).step_by(2) {
            if Item::of(page, index)?.is(key, pages)? {
                return Ok(ControlFlow::Break(Item::of(page, index + 1)?.bytes(pages)?.into_owned()));
            }
        }
        Ok(ControlFlow::Continue(()))
    })
}

/// Calls `visit` with each key and value, until it says `false`.
pub(super) fn each(meta: &Meta, pages: &Pages, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), PageError> {
    for bucket in 0..=meta.max_bucket {
        let stopped = walk(meta, pages, bucket, |page| {
            for index in (0..page.entries().saturating_sub(1)).step_by(2) {
                let key = Item::of(page, index)?.bytes(pages)?;
                if !visit(&key, &Item::of(page, index + 1)?.bytes(pages)?) {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        if stopped.is_some() {
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_of_the_check_text() {
        // The value that files made by libdb 5.3 hold at offset 92.
        assert_eq!(hash5(CHECK), 0x5e68_8dd1);
    }

    #[test]
    fn buckets_lie_behind_the_spares_of_their_run() {
        let mut spares = [0; 32];
        (spares[0], spares[1], spares[2]) = (1, 1, 3);
        let meta = Meta { max_bucket: 3, high_mask: 3, low_mask: 1, spares, hash: hash5 };
        assert_eq!([0, 1, 2, 3].map(|bucket| meta.page_of(bucket)), [Some(1), Some(2), Some(5), Some(6)]);
    }
}
