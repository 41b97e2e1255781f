//! Sets of rows of a block.

/// The most rows of a block.
pub(in crate::index) const ROWS: usize = 4096;
const WORDS: usize = ROWS / 64;

/// A set of rows of a block as bits. It has as many words as its last row needs.
#[derive(Clone, Debug, Default)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    pub(super) fn insert(&mut self, row: usize) {
        let at = row / 64;
        if self.0.len() <= at {
            self.0.resize(at.min(WORDS - 1) + 1, 0);
        }
        if let Some(word) = self.0.get_mut(at) {
            *word |= 1 << (row % 64);
        }
    }

    pub(super) fn has(&self, row: usize) -> bool {
        let word = self.0.get(row / 64);
        word.is_some_and(|word| word & 1 << (row % 64) != 0)
    }

    pub(super) fn remove(&mut self, row: usize) {
        if let Some(word) = self.0.get_mut(row / 64) {
            *word &= !(1 << (row % 64));
        }
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first row that is not in the set, below [`ROWS`].
    pub(super) fn first_free(&self) -> Option<usize> {
        let found = (0..).zip(&self.0).find(|(_, word)| **word != u64::MAX);
        let row = match found {
            Some((at, word)) => at * 64 + word.trailing_ones() as usize,
            None => self.0.len() * 64,
        };
        (row < ROWS).then_some(row)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        rows(&self.0)
    }
}

/// A set of rows to work with, in as many words as another set has.
pub(super) struct Scratch {
    words: [u64; WORDS],
    len: usize,
}

impl Default for Scratch {
    fn default() -> Self {
        let words = [0; WORDS];
        Self { words, len: 0 }
    }
}

impl Scratch {
    /// Makes it a copy of a set.
    pub(super) fn set(&mut self, bits: &Bits) {
        self.len = bits.0.len().min(WORDS);
        for (word, own) in self.used_mut().iter_mut().zip(&bits.0) {
            *word = *own;
        }
    }

    /// Makes it empty, with as many words as a set has.
    pub(super) fn clear(&mut self, bits: &Bits) {
        self.len = bits.0.len().min(WORDS);
        self.used_mut().fill(0);
    }

    fn used(&self) -> &[u64] {
        self.words.get(..self.len).unwrap_or_default()
    }

    fn used_mut(&mut self) -> &mut [u64] {
        self.words.get_mut(..self.len).unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.used().iter().fold(0, |all, word| all | word) == 0
    }

    pub(super) fn insert(&mut self, row: usize) {
        if let Some(word) = self.used_mut().get_mut(row / 64) {
            *word |= 1 << (row % 64);
        }
    }

    pub(super) fn remove(&mut self, row: usize) {
        if let Some(word) = self.used_mut().get_mut(row / 64) {
            *word &= !(1 << (row % 64));
        }
    }

    pub(super) fn add(&mut self, more: &Bits) {
        for (word, more) in self.used_mut().iter_mut().zip(&more.0) {
            *word |= more;
        }
    }

    pub(super) fn take(&mut self, less: &Bits) {
        for (word, less) in self.used_mut().iter_mut().zip(&less.0) {
            *word &= !less;
        }
    }

    /// Removes those that ask for something and are not let through.
    pub(super) fn keep(&mut self, asking: &Bits, let_through: &Self) {
        let words = self.used_mut().iter_mut().zip(&asking.0);
        for ((word, asking), let_through) in words.zip(let_through.used()) {
            *word &= !asking | let_through;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        rows(self.used())
    }
}

/// The rows whose bits are set.
fn rows(words: &[u64]) -> impl Iterator<Item = usize> + '_ {
    let words = (0..).zip(words).filter(|(_, word)| **word != 0);
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

    fn of(rows: &[usize]) -> Bits {
        let mut bits = Bits::default();
        rows.iter().for_each(|row| bits.insert(*row));
        bits
    }

    fn scratch(bits: &Bits) -> Scratch {
        let mut scratch = Scratch::default();
        scratch.set(bits);
        scratch
    }

    #[test]
    fn sets_are_sets() {
        let mut bits = of(&[0, 63, 64, 4095]);
        let rows = |open: &Scratch| open.iter().collect::<Vec<_>>();
        let mut open = scratch(&bits);
        assert_eq!(rows(&open), [0, 63, 64, 4095]);
        open.keep(&of(&[0, 63, 5]), &scratch(&of(&[63])));
        assert_eq!(rows(&open), [63, 64, 4095]);
        open.take(&of(&[64]));
        open.add(&of(&[1]));
        open.remove(63);
        assert_eq!(rows(&open), [1, 4095]);
        open.remove(1);
        open.remove(4095);
        assert!(open.is_empty());
        bits.remove(4095);
        assert_eq!(bits.iter().collect::<Vec<_>>(), [0, 63, 64]);
        assert!(bits.has(64) && !bits.has(65) && !bits.has(4095));
        [0, 63, 64].into_iter().for_each(|row| bits.remove(row));
        assert!(bits.is_empty() && Bits::default().is_empty());
    }

    #[test]
    fn what_is_beyond_the_rows_of_a_block_is_not_there() {
        let mut open = scratch(&of(&[3]));
        open.insert(64);
        open.add(&of(&[5, 700]));
        assert_eq!(open.iter().collect::<Vec<_>>(), [3, 5]);
        open.clear(&of(&[3]));
        assert!(open.is_empty());
    }

    #[test]
    fn the_first_free_row_is_found() {
        assert_eq!(of(&[0, 1, 3]).first_free(), Some(2));
        let full: Vec<_> = (0..ROWS).collect();
        assert_eq!(of(&full).first_free(), None);
        assert_eq!(of(&full[..70]).first_free(), Some(70));
        assert_eq!(of(&full[..64]).first_free(), Some(64));
    }
}
