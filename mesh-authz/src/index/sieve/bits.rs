//! Sets of rows of a block.

/// The most rows of a block.
pub(in crate::index) const ROWS: usize = 4096;
const WORDS: usize = ROWS / 64;

/// A set of rows of a block as bits.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Bits([u64; WORDS]);

impl Bits {
    pub(super) fn none() -> Self {
        Self([0; WORDS])
    }

    pub(super) fn insert(&mut self, row: usize) {
        if let Some(word) = self.0.get_mut(row / 64) {
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
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().fold(0, |all, word| all | word) == 0
    }

    /// The first row below `rows` that is not in the set.
    pub(super) fn first_free(&self, rows: usize) -> Option<usize> {
        let found = (0..).zip(&self.0).find(|(_, word)| **word != u64::MAX);
        let (at, word) = found?;
        let row = at * 64 + word.trailing_ones() as usize;
        (row < rows).then_some(row)
    }

    pub(super) fn add(&mut self, more: &Self) {
        for (word, more) in self.0.iter_mut().zip(&more.0) {
            *word |= more;
        }
    }

    pub(super) fn take(&mut self, less: &Self) {
        for (word, less) in self.0.iter_mut().zip(&less.0) {
            *word &= !less;
        }
    }

    /// Removes those that ask for something and are not let through.
    pub(super) fn keep(&mut self, asking: &Self, let_through: &Self) {
        let words = self.0.iter_mut().zip(&asking.0).zip(&let_through.0);
        for ((word, asking), let_through) in words {
            *word &= !asking | let_through;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        let words = (0..).zip(&self.0).filter(|(_, word)| **word != 0);
        words.flat_map(|(at, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros();
                rest &= rest.checked_sub(1)?;
                Some(at * 64 + bit as usize)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[usize]) -> Bits {
        let mut bits = Bits::none();
        rows.iter().for_each(|row| bits.insert(*row));
        bits
    }

    #[test]
    fn sets_are_sets() {
        let mut bits = of(&[0, 63, 64, 4095]);
        assert_eq!(bits.iter().collect::<Vec<_>>(), [0, 63, 64, 4095]);
        bits.keep(&of(&[0, 63, 5]), &of(&[63]));
        assert_eq!(bits, of(&[63, 64, 4095]));
        bits.take(&of(&[64]));
        bits.add(&of(&[1]));
        bits.remove(63);
        assert_eq!(bits, of(&[1, 4095]));
        assert!(!bits.is_empty() && Bits::none().is_empty());
    }

    #[test]
    fn the_first_free_row_is_found() {
        assert_eq!(of(&[0, 1, 3]).first_free(10), Some(2));
        assert_eq!(of(&[0, 1]).first_free(2), None);
        let full: Vec<_> = (0..ROWS).collect();
        assert_eq!(of(&full).first_free(ROWS), None);
        assert_eq!(of(&full[..70]).first_free(ROWS), Some(70));
    }
}
