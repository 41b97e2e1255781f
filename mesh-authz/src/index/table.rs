//! A persistent table from short hashes to small values.
//!
//! It is a sorted list of pairs that is cut into pages by the first bits of the hash, so a look-up
//! knows the page and, hashes being evenly spread, about where in it to look. The hashes of a page
//! stand by themselves: a look-up that finds nothing, as most do, reads one place of a small table,
//! and one that finds something reads one more. A pair takes what it needs and nothing else. A
//! change copies one page, and the one or two short lists above it; clones share all others.

use std::sync::Arc;

/// Pairs of a table that is one page.
const ALONE: usize = 512;
/// Pairs of a page, on average, before there are twice as many pages.
const FULL: usize = 128;
/// Pairs of a page, on average, before there are half as many.
const EMPTY: usize = 24;
/// There are at least two to this power of pages, or one.
const LEAST: u32 = 3;
/// The first bits of a hash that choose a page within a chunk of pages.
const CHUNK: u32 = 6;

/// Pairs in order: a hash and a value at each place.
#[derive(Clone)]
struct Page<V> {
    tags: Arc<[u32]>,
    values: Arc<[V]>,
}

/// The pages, in order.
#[derive(Clone)]
enum Pages<V> {
    One(Page<V>),
    Cut(Chunks<V>),
}

/// Pages of a larger table.
#[derive(Clone)]
enum Chunks<V> {
    /// Up to as many as a chunk has.
    Few(Arc<[Page<V>]>),
    Many(Arc<[Arc<[Page<V>]>]>),
}

/// A table from hashes to values; there may be several under one hash.
#[derive(Clone)]
pub(super) struct Table<V> {
    len: u32,
    /// There are two to this power of pages.
    bits: u32,
    pages: Pages<V>,
}

impl<V> Default for Page<V> {
    fn default() -> Self {
        Self {
            tags: Arc::default(),
            values: Arc::default(),
        }
    }
}

impl<V> Default for Table<V> {
    fn default() -> Self {
        Self {
            len: 0,
            bits: 0,
            pages: Pages::One(Page::default()),
        }
    }
}

impl<V: Copy + Ord> Table<V> {
    /// The number of pairs.
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    /// The values under a hash, in order.
    pub(super) fn get(&self, tag: u32) -> &[V] {
        let (chunk, page) = self.place(tag);
        let page = match &self.pages {
            Pages::One(page) => Some(page),
            Pages::Cut(Chunks::Few(pages)) => pages.get(page),
            Pages::Cut(Chunks::Many(all)) => all.get(chunk).and_then(|chunk| chunk.get(page)),
        };
        page.map_or(&[], |page| page.get(tag, self.bits))
    }

    /// All pairs, in the order of the hashes.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, V)> {
        let (few, many) = match &self.pages {
            Pages::One(page) => (std::slice::from_ref(page), &[][..]),
            Pages::Cut(Chunks::Few(pages)) => (&**pages, &[][..]),
            Pages::Cut(Chunks::Many(chunks)) => (&[][..], &**chunks),
        };
        let many = many.iter().flat_map(|chunk| chunk.iter());
        few.iter().chain(many).flat_map(Page::iter)
    }

    /// Inserts a pair that is not in the table.
    pub(super) fn insert(&mut self, tag: u32, value: V) {
        if self.bits == 0 && self.len() >= ALONE {
            self.cut(LEAST);
        } else if self.bits > 0 && self.len() >= FULL << self.bits {
            self.cut(self.bits + 1);
        }
        self.change(tag, |page| page.insert(tag, value));
        self.len = self.len.saturating_add(1);
    }

    /// Removes a pair; whether it was there.
    pub(super) fn remove(&mut self, tag: u32, value: V) -> bool {
        if self.get(tag).binary_search(&value).is_err() {
            return false;
        }
        self.change(tag, |page| page.remove(tag, value));
        self.len -= 1;
        if self.len == 0 {
            *self = Self::default();
        } else if self.bits > 0 && self.len() < EMPTY << self.bits {
            let fewer = self.bits - 1;
            self.cut(if fewer < LEAST { 0 } else { fewer });
        }
        true
    }

    /// Chunk of a hash and page in it.
    fn place(&self, tag: u32) -> (usize, usize) {
        let page = u64::from(tag) << self.bits >> 32;
        // At most 32 bits.
        (
            (page >> CHUNK) as usize,
            (page & ((1 << CHUNK) - 1)) as usize,
        )
    }

    fn change(&mut self, tag: u32, change: impl FnOnce(&Page<V>) -> Option<Page<V>>) {
        let (chunk, page) = self.place(tag);
        let page = match &mut self.pages {
            Pages::One(page) => Some(page),
            Pages::Cut(Chunks::Few(pages)) => Arc::make_mut(pages).get_mut(page),
            Pages::Cut(Chunks::Many(chunks)) => {
                let chunk = Arc::make_mut(chunks).get_mut(chunk);
                chunk.and_then(|chunk| Arc::make_mut(chunk).get_mut(page))
            }
        };
        if let Some(page) = page
            && let Some(changed) = change(page)
        {
            *page = changed;
        }
    }

    /// Cuts the list into two to the power of `bits` pages.
    fn cut(&mut self, bits: u32) {
        let all: Vec<_> = self.iter().collect();
        let mut rest = all.as_slice();
        let shift = 32_u32.saturating_sub(bits);
        let mut pages = (0..1_u64 << bits).map(|page| {
            let end = rest.partition_point(|(tag, _)| u64::from(*tag) >> shift <= page);
            let (own, others) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            rest = others;
            Page {
                tags: own.iter().map(|(tag, _)| *tag).collect(),
                values: own.iter().map(|(_, value)| *value).collect(),
            }
        });
        self.pages = if bits == 0 {
            Pages::One(pages.next().unwrap_or_default())
        } else if bits <= CHUNK {
            Pages::Cut(Chunks::Few(pages.collect()))
        } else {
            let pages: Vec<_> = pages.collect();
            let chunks = pages.chunks(1 << CHUNK).map(Arc::from);
            Pages::Cut(Chunks::Many(chunks.collect()))
        };
        self.bits = bits;
    }
}

impl<V: Copy + Ord> Page<V> {
    /// The values under a hash, in a table of two to the power of `bits` pages.
    fn get(&self, tag: u32, bits: u32) -> &[V] {
        let start = self.start(tag, bits);
        let rest = self.tags.get(start..).unwrap_or_default();
        let count = rest.iter().take_while(|found| **found == tag).count();
        if count == 0 {
            return &[];
        }
        self.values.get(start..start + count).unwrap_or_default()
    }

    /// Where the pairs with a hash, or behind it, begin: near where they are expected.
    fn start(&self, tag: u32, bits: u32) -> usize {
        let within = u64::from(tag) << bits & u64::from(u32::MAX);
        let expected = (within * self.tags.len() as u64) >> 32;
        let mut at = expected as usize;
        let is_before = |at: usize| self.tags.get(at).is_some_and(|found| *found < tag);
        if is_before(at) {
            while is_before(at) {
                at += 1;
            }
            return at;
        }
        while at.checked_sub(1).is_some_and(|before| !is_before(before)) {
            at -= 1;
        }
        at
    }

    fn iter(&self) -> impl Iterator<Item = (u32, V)> {
        let values = self.values.iter().copied();
        self.tags.iter().copied().zip(values)
    }

    /// Where a pair is, or would be.
    fn find(&self, tag: u32, value: V) -> Result<usize, usize> {
        let start = self.tags.partition_point(|found| *found < tag);
        let same = self.tags.get(start..).unwrap_or_default();
        let same = same.partition_point(|found| *found == tag);
        let values = self.values.get(start..start + same).unwrap_or_default();
        let found = values.binary_search(&value);
        found.map(|at| start + at).map_err(|at| start + at)
    }

    /// A page with one more pair.
    fn insert(&self, tag: u32, value: V) -> Option<Self> {
        let at = self.find(tag, value).err()?;
        Some(Self {
            tags: with(&self.tags, at, tag)?,
            values: with(&self.values, at, value)?,
        })
    }

    /// A page with one pair less.
    fn remove(&self, tag: u32, value: V) -> Option<Self> {
        let at = self.find(tag, value).ok()?;
        Some(Self {
            tags: without(&self.tags, at)?,
            values: without(&self.values, at)?,
        })
    }
}

fn with<T: Copy>(all: &[T], at: usize, new: T) -> Option<Arc<[T]>> {
    let (before, after) = all.split_at_checked(at)?;
    let before = before.iter().copied().chain(std::iter::once(new));
    Some(before.chain(after.iter().copied()).collect())
}

fn without<T: Copy>(all: &[T], at: usize) -> Option<Arc<[T]>> {
    let (before, rest) = all.split_at_checked(at)?;
    let after = rest.get(1..)?.iter().copied();
    Some(before.iter().copied().chain(after).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(at: u32) -> u32 {
        at.wrapping_mul(0x9e37_79b9)
    }

    #[test]
    fn it_holds_what_is_inserted_and_not_removed() {
        let mut table = Table::default();
        for at in 0..10_000 {
            table.insert(tag(at), at);
        }
        let before = table.clone();
        assert_eq!(table.len(), 10_000);
        for at in 0..10_000 {
            assert_eq!(table.get(tag(at)), [at]);
        }
        assert!(table.get(tag(10_001)).is_empty());
        for at in 0..9_990 {
            assert!(table.remove(tag(at), at));
            assert!(!table.remove(tag(at), at));
        }
        let left: std::collections::BTreeSet<_> = table.iter().map(|(_, at)| at).collect();
        assert_eq!(left, (9_990..10_000).collect());
        assert_eq!(before.iter().count(), 10_000);
        assert_eq!(before.get(tag(5)), [5]);
    }

    #[test]
    fn several_values_under_one_hash_are_in_order() {
        let mut table = Table::default();
        for at in [5, 3, 900, 4] {
            table.insert(7, at);
        }
        for at in 0..3000 {
            table.insert(tag(at), at);
        }
        let expected = [3, 4, 5, 900];
        assert_eq!(table.get(7), expected);
        assert!(table.remove(7, 4));
        assert_eq!(table.get(7).len(), 3);
    }

    #[test]
    fn hashes_at_the_ends_are_found() {
        let mut table = Table::default();
        for at in 0..2000 {
            table.insert(tag(at), at);
        }
        for end in [0, u32::MAX] {
            table.insert(end, 77_777);
            assert!(table.get(end).contains(&77_777));
        }
        assert!(table.iter().is_sorted());
    }
}
