//! Which keys are certainly not in a table.
//!
//! Most look-ups of a decision find nothing. To learn that from a large table takes a few reads of
//! cold memory; a Bloom filter, with the bits of a key in one word, takes one of memory that is
//! twenty times smaller. It is kept in chunks that clones share. A key that is removed stays in it
//! until the filter is made anew, which happens after as many insertions as it has keys.

use std::sync::Arc;

/// Words of a chunk.
const CHUNK: usize = 256;
/// Bits for each key: about one key in thirty that is not there passes.
const BITS: usize = 16;

/// A set of keys that may have more than were inserted.
#[derive(Clone, Default)]
pub(super) struct Filter {
    /// A power of two of them; none while there is no key.
    chunks: Arc<Vec<Arc<[u64; CHUNK]>>>,
    inserted: usize,
}

impl Filter {
    /// A filter of all these keys, with room for as many more.
    pub(super) fn of(keys: impl Iterator<Item = u64>, count: usize) -> Self {
        let words = count.saturating_mul(2 * BITS) / 64;
        let chunks = words.div_ceil(CHUNK).max(1).next_power_of_two();
        let mut filter = Self {
            chunks: Arc::new((0..chunks).map(|_| Arc::new([0; CHUNK])).collect()),
            inserted: 0,
        };
        for key in keys {
            filter.insert(key);
        }
        filter
    }

    /// Whether another key would make too many pass.
    pub(super) fn is_full(&self) -> bool {
        self.inserted >= self.chunks.len() * CHUNK * 64 / BITS
    }

    pub(super) fn insert(&mut self, key: u64) {
        let at = self.chunk(key);
        if let Some(chunk) = Arc::make_mut(&mut self.chunks).get_mut(at)
            && let Some(word) = Arc::make_mut(chunk).get_mut(word(key))
        {
            *word |= bits(key);
            self.inserted += 1;
        }
    }

    /// Whether a key may have been inserted.
    pub(super) fn may_have(&self, key: u64) -> bool {
        let chunk = self.chunks.get(self.chunk(key));
        let word = chunk.and_then(|chunk| chunk.get(word(key)));
        word.is_some_and(|word| word & bits(key) == bits(key))
    }

    fn chunk(&self, key: u64) -> usize {
        // Less than the number of chunks, whatever is cut off.
        (key >> 32) as usize & self.chunks.len().saturating_sub(1)
    }
}

fn word(key: u64) -> usize {
    (key >> 24) as usize % CHUNK
}

fn bits(key: u64) -> u64 {
    1 << (key & 63) | 1 << (key >> 6 & 63) | 1 << (key >> 12 & 63)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(at: u64) -> u64 {
        let z = at.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        z ^ (z >> 32)
    }

    #[test]
    fn every_key_passes_and_few_others_do() {
        for count in [1, 100, 10_000] {
            let mut filter = Filter::of((0..count).map(key), usize::try_from(count).unwrap());
            let before = filter.clone();
            let mut inserted = count;
            while !filter.is_full() {
                filter.insert(key(inserted));
                inserted += 1;
            }
            assert!(inserted >= 2 * count);
            assert!((0..inserted).all(|at| filter.may_have(key(at))));
            let others = 1_000_000..1_010_000;
            let passed = others.filter(|at| filter.may_have(key(*at))).count();
            assert!(passed < 1000, "{passed} of 10,000");
            // A clone stays as it was.
            let news = (count..inserted).filter(|at| before.may_have(key(*at)));
            assert!(news.count() * 2 < usize::try_from(inserted).unwrap());
        }
    }

    #[test]
    fn nothing_passes_the_empty_filter() {
        assert!(!Filter::default().may_have(0) && Filter::default().is_full());
    }
}
