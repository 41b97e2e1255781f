//! Sets of rows of a block.

use super::effect::Effect;
use crate::index::probes::FieldCode;

/// The most rows of a block.
pub(in crate::index) const ROWS: usize = 4096;
/// Words of 64 rows each.
pub(super) const WORDS: usize = ROWS / 64;

/// What a set of rows is about.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum About {
    /// Those that have not been removed.
    Live,
    /// Those that ask for values of a field.
    Asking(FieldCode),
    /// Those to which a value does something.
    Value(Effect, u32),
}

/// Sets of rows of one block, all with equally many words behind one another.
#[derive(Clone, Default)]
pub(super) struct Sets {
    /// Of a set: as many as the last row needs, or up to twice as many.
    words: usize,
    /// What each set is about, in order. None of the sets is empty.
    abouts: Vec<About>,
    bits: Vec<u64>,
}

impl Sets {
    pub(super) fn words(&self) -> usize {
        self.words
    }

    fn find(&self, about: About) -> Option<usize> {
        self.abouts.binary_search(&about).ok()
    }

    /// The set about something, if it is not empty.
    pub(super) fn get(&self, about: About) -> Option<&[u64]> {
        let start = self.find(about)? * self.words;
        self.bits.get(start..start + self.words)
    }

    /// Puts a row into a set; whether that is new.
    pub(super) fn insert(&mut self, about: About, row: usize) -> bool {
        if row / 64 >= self.words {
            self.grow(row / 64 + 1);
        }
        let at = match self.abouts.binary_search(&about) {
            Ok(at) => at,
            Err(at) => {
                self.abouts.insert(at, about);
                let start = at * self.words;
                let new = std::iter::repeat_n(0, self.words);
                self.bits.splice(start..start, new);
                at
            }
        };
        let Some(word) = self.bits.get_mut(at * self.words + row / 64) else {
            return false;
        };
        let new = *word & 1 << (row % 64) == 0;
        *word |= 1 << (row % 64);
        new
    }

    /// Takes a row out of a set; whether it was there.
    pub(super) fn remove(&mut self, about: About, row: usize) -> bool {
        let Some(at) = self.find(about).filter(|_| row / 64 < self.words) else {
            return false;
        };
        let (start, end) = (at * self.words, (at + 1) * self.words);
        let Some(word) = self.bits.get_mut(start + row / 64) else {
            return false;
        };
        let known = *word & 1 << (row % 64) != 0;
        *word &= !(1 << (row % 64));
        let set = self.bits.get(start..end).unwrap_or_default();
        if set.iter().all(|word| *word == 0) {
            self.bits.drain(start..end);
            self.abouts.remove(at);
        }
        known
    }

    /// Takes a row out of the sets about rows that ask for values.
    pub(super) fn stop_asking(&mut self, row: usize) {
        let abouts = self.abouts.clone();
        for about in abouts {
            if matches!(about, About::Asking(_)) {
                self.remove(about, row);
            }
        }
    }

    fn grow(&mut self, words: usize) {
        let words = words.next_power_of_two().min(WORDS);
        let mut bits = Vec::with_capacity(self.abouts.len() * words);
        for set in self.bits.chunks_exact(self.words.max(1)) {
            bits.extend_from_slice(set);
            bits.extend(std::iter::repeat_n(0, words.saturating_sub(self.words)));
        }
        self.words = words;
        self.bits = bits;
    }
}

/// The first row that is not in a set, below [`ROWS`].
pub(super) fn first_free(set: &[u64]) -> Option<usize> {
    let found = (0..).zip(set).find(|(_, word)| **word != u64::MAX);
    let row = match found {
        Some((at, word)) => at * 64 + word.trailing_ones() as usize,
        None => set.len() * 64,
    };
    (row < ROWS).then_some(row)
}

/// The rows of a set.
pub(super) fn rows(set: &[u64]) -> impl Iterator<Item = usize> + '_ {
    let words = (0..).zip(set).filter(|(_, word)| **word != 0);
    words.flat_map(|(at, word)| {
        let mut rest = *word;
        std::iter::from_fn(move || {
            let bit = rest.trailing_zeros();
            rest &= rest.checked_sub(1)?;
            Some(at * 64 + bit as usize)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Dimension;

    fn of(sets: &Sets, about: About) -> Vec<usize> {
        rows(sets.get(about).unwrap_or_default()).collect()
    }

    #[test]
    fn sets_are_sets() {
        let mut sets = Sets::default();
        let [through, out] = [Effect::LetsThrough, Effect::ShutsOut].map(|e| About::Value(e, 7));
        for row in [0, 63, 64] {
            assert!(sets.insert(through, row));
            assert!(!sets.insert(through, row));
        }
        assert!(sets.insert(About::Live, 5));
        assert!(sets.insert(out, 4095));
        assert!(sets.insert(About::Value(Effect::LetsThrough, 6), 1));
        assert_eq!(of(&sets, through), [0, 63, 64]);
        assert_eq!(of(&sets, out), [4095]);
        assert_eq!(of(&sets, About::Live), [5]);
        assert!(sets.remove(out, 4095));
        assert!(!sets.remove(out, 4095));
        assert!(!sets.remove(through, 1));
        assert!(sets.get(out).is_none());
        assert_eq!(of(&sets, through), [0, 63, 64]);
        assert_eq!(sets.words(), WORDS);
    }

    #[test]
    fn a_row_stops_asking_everywhere_and_stays_where_it_was_put_otherwise() {
        let mut sets = Sets::default();
        let asking = Dimension::ALL.map(|dimension| About::Asking(FieldCode::new(dimension)));
        for about in asking {
            sets.insert(about, 3);
        }
        sets.insert(asking[0], 4);
        sets.insert(About::Live, 3);
        sets.stop_asking(3);
        assert_eq!(of(&sets, asking[0]), [4]);
        assert!(asking[1..].iter().all(|about| sets.get(*about).is_none()));
        assert_eq!(of(&sets, About::Live), [3]);
    }

    #[test]
    fn the_first_free_row_is_found() {
        let of = |all: &mut dyn Iterator<Item = usize>| {
            let mut sets = Sets::default();
            for row in all {
                sets.insert(About::Live, row);
            }
            first_free(sets.get(About::Live).unwrap_or_default())
        };
        assert_eq!(of(&mut std::iter::empty()), Some(0));
        assert_eq!(of(&mut [0, 1, 3].into_iter()), Some(2));
        assert_eq!(of(&mut (0..ROWS)), None);
        assert_eq!(of(&mut (0..70)), Some(70));
        assert_eq!(of(&mut (0..64)), Some(64));
    }
}
