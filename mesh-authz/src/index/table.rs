//! A persistent table from short hashes to small values.
//!
//! It is a sorted list of pairs that is cut into pages by the first bits of the hash, so a look-up
//! knows the page and, hashes being evenly spread, about where in it to look: two reads of memory
//! that is not at hand. A pair takes what it needs and nothing else. A change copies one page, and
//! the one or two short lists above it; clones share all others.

use std::sync::Arc;

/// Pairs of a page, on average, before there are twice as many pages.
const FULL: usize = 128;
/// Pairs of a page, on average, before there are half as many.
const EMPTY: usize = 24;
/// The first bits of a hash that choose a page within a chunk of pages.
const CHUNK: u32 = 6;

type Page<V> = Arc<[(u32, V)]>;

/// The pages, in order.
#[derive(Clone)]
enum Pages<V> {
    /// Up to as many as a chunk has: small tables are found with one read less.
    Few(Arc<[Page<V>]>),
    Many(Arc<[Arc<[Page<V>]>]>),
}

/// A table from hashes to values; there may be several under one hash.
#[derive(Clone)]
pub(super) struct Table<V> {
    len: usize,
    /// There are two to this power of pages.
    bits: u32,
    pages: Pages<V>,
}

impl<V> Default for Table<V> {
    fn default() -> Self {
        Self {
            len: 0,
            bits: 0,
            pages: Pages::Few(Arc::default()),
        }
    }
}

impl<V: Copy + Ord> Table<V> {
    /// The number of pairs.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The pairs under a hash, in the order of the values.
    pub(super) fn get(&self, tag: u32) -> &[(u32, V)] {
        let (chunk, page) = self.place(tag);
        let page = match &self.pages {
            Pages::Few(pages) => pages.get(page),
            Pages::Many(chunks) => chunks.get(chunk).and_then(|chunk| chunk.get(page)),
        };
        let Some(page) = page.filter(|page| !page.is_empty()) else {
            return &[];
        };
        let start = self.start(page, tag);
        let rest = page.get(start..).unwrap_or_default();
        let end = rest.iter().take_while(|(found, _)| *found == tag).count();
        rest.get(..end).unwrap_or_default()
    }

    /// All pairs, in the order of the hashes.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, V)> {
        let (few, many) = match &self.pages {
            Pages::Few(pages) => (&**pages, &[][..]),
            Pages::Many(chunks) => (&[][..], &**chunks),
        };
        let many = many.iter().flat_map(|chunk| chunk.iter());
        let pages = few.iter().chain(many);
        pages.flat_map(|page| page.iter().copied())
    }

    /// Inserts a pair that is not in the table.
    pub(super) fn insert(&mut self, tag: u32, value: V) {
        if self.len >= FULL << self.bits {
            self.cut(self.bits + 1);
        }
        if self.len == 0 {
            self.pages = Pages::Few(Arc::new([Page::default()]));
        }
        self.change(tag, |page| {
            let at = page.partition_point(|pair| *pair < (tag, value));
            let (before, after) = page.split_at_checked(at)?;
            let new = std::iter::once((tag, value));
            let before = before.iter().copied().chain(new);
            Some(before.chain(after.iter().copied()).collect())
        });
        self.len += 1;
    }

    /// Removes a pair; whether it was there.
    pub(super) fn remove(&mut self, tag: u32, value: V) -> bool {
        if !self.get(tag).contains(&(tag, value)) {
            return false;
        }
        self.change(tag, |page| {
            let at = page.binary_search(&(tag, value)).ok()?;
            let (before, rest) = page.split_at_checked(at)?;
            let after = rest.get(1..)?;
            Some([before, after].concat().into())
        });
        self.len -= 1;
        if self.len == 0 {
            *self = Self::default();
        } else if self.bits > 0 && self.len < EMPTY << self.bits {
            self.cut(self.bits - 1);
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

    /// Where the pairs with a hash, or behind it, begin in a page: near where they are expected.
    fn start(&self, page: &[(u32, V)], tag: u32) -> usize {
        let within = u64::from(tag) << self.bits & u64::from(u32::MAX);
        let expected = (within * page.len() as u64) >> 32;
        let mut at = expected as usize;
        let is_before = |at: usize| page.get(at).is_some_and(|(found, _)| *found < tag);
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

    fn change(&mut self, tag: u32, change: impl FnOnce(&[(u32, V)]) -> Option<Page<V>>) {
        let (chunk, page) = self.place(tag);
        let page = match &mut self.pages {
            Pages::Few(pages) => Arc::make_mut(pages).get_mut(page),
            Pages::Many(chunks) => {
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
        let pages: Vec<Page<V>> = (0..1_u64 << bits)
            .map(|page| {
                let end = rest.partition_point(|(tag, _)| u64::from(*tag) >> shift <= page);
                let (own, others) = rest.split_at_checked(end).unwrap_or((rest, &[]));
                rest = others;
                own.into()
            })
            .collect();
        self.bits = bits;
        self.pages = if bits <= CHUNK {
            Pages::Few(pages.into())
        } else {
            Pages::Many(pages.chunks(1 << CHUNK).map(Arc::from).collect())
        };
    }
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
            assert_eq!(table.get(tag(at)), [(tag(at), at)]);
        }
        assert_eq!(table.get(tag(10_001)), []);
        for at in 0..9_990 {
            assert!(table.remove(tag(at), at));
            assert!(!table.remove(tag(at), at));
        }
        let left: std::collections::BTreeSet<_> = table.iter().map(|(_, at)| at).collect();
        assert_eq!(left, (9_990..10_000).collect());
        assert_eq!(before.iter().count(), 10_000);
        assert_eq!(before.get(tag(5)), [(tag(5), 5)]);
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
        let expected = [(7, 3), (7, 4), (7, 5), (7, 900)];
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
            assert!(table.get(end).contains(&(end, 77_777)));
        }
        assert!(table.iter().is_sorted());
    }
}
