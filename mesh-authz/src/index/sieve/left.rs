//! The rows of a block that are left while values are looked at.

use super::bits::rows;
use super::block::Block;
use super::effect::Effect;

/// The rows of a block that may match, in up to `WORDS` words.
pub(super) struct Left<const WORDS: usize> {
    /// Words of the block.
    len: usize,
    open: [u64; WORDS],
    /// Those that the values of the field that is looked at let through.
    let_through: [u64; WORDS],
}

impl<const WORDS: usize> Default for Left<WORDS> {
    fn default() -> Self {
        Self {
            len: 0,
            open: [0; WORDS],
            let_through: [0; WORDS],
        }
    }
}

impl<const WORDS: usize> Left<WORDS> {
    /// Makes it all rows of a block.
    pub(super) fn begin(&mut self, block: &Block) {
        let live = block.live();
        self.len = live.len().min(WORDS);
        for (word, own) in self.open.iter_mut().zip(live) {
            *word = *own;
        }
        self.through().fill(0);
    }

    fn open(&mut self) -> &mut [u64] {
        self.open.get_mut(..self.len).unwrap_or_default()
    }

    fn through(&mut self) -> &mut [u64] {
        self.let_through.get_mut(..self.len).unwrap_or_default()
    }

    /// Notes what a value of the field does to a row.
    pub(super) fn note(&mut self, effect: Effect, row: usize) {
        let bit = 1 << (row % 64);
        match effect {
            Effect::LetsThrough => {
                if let Some(word) = self.through().get_mut(row / 64) {
                    *word |= bit;
                }
            }
            Effect::ShutsOut => {
                if let Some(word) = self.open().get_mut(row / 64) {
                    *word &= !bit;
                }
            }
        }
    }

    /// Notes what a value of the field does to a set of rows.
    pub(super) fn note_all(&mut self, effect: Effect, set: &[u64]) {
        match effect {
            Effect::LetsThrough => {
                for (word, more) in self.through().iter_mut().zip(set) {
                    *word |= more;
                }
            }
            Effect::ShutsOut => {
                for (word, less) in self.open().iter_mut().zip(set) {
                    *word &= !less;
                }
            }
        }
    }

    /// Removes those that ask for values of the field and are not let through, and begins the next
    /// field; whether any row is left.
    pub(super) fn end_field(&mut self, asking: Option<&[u64]>) -> bool {
        let len = self.len;
        if let Some(asking) = asking {
            let words = self.open.iter_mut().zip(&self.let_through).take(len);
            for ((word, through), asking) in words.zip(asking) {
                *word &= !asking | through;
            }
        }
        self.through().fill(0);
        self.open().iter().any(|word| *word != 0)
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = usize> + '_ {
        rows(self.open.get(..self.len).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::super::bits::About;
    use super::*;

    fn set(rows: &[usize]) -> Block {
        let mut block = Block::default();
        for row in rows {
            block.sets.insert(About::Live, *row);
        }
        block
    }

    fn of<const WORDS: usize>(block: &Block) -> Left<WORDS> {
        let mut left = Left::default();
        left.begin(block);
        left
    }

    #[test]
    fn rows_are_left_that_are_let_through_or_do_not_ask() {
        let mut left = of::<64>(&set(&[0, 63, 64, 4095]));
        let rows = |left: &Left<64>| left.rows().collect::<Vec<_>>();
        assert_eq!(rows(&left), [0, 63, 64, 4095]);
        left.note_all(Effect::LetsThrough, set(&[63]).live());
        left.note(Effect::LetsThrough, 5);
        assert!(left.end_field(Some(set(&[0, 63, 5]).live())));
        assert_eq!(rows(&left), [63, 64, 4095]);
        left.note_all(Effect::ShutsOut, set(&[64]).live());
        assert!(left.end_field(None));
        assert_eq!(rows(&left), [63, 4095]);
        // What another field let through is forgotten.
        assert!(left.end_field(Some(set(&[63]).live())));
        assert_eq!(rows(&left), [4095]);
        left.note(Effect::ShutsOut, 4095);
        assert!(!left.end_field(None));
        left.begin(&set(&[1]));
        assert_eq!(rows(&left), [1]);
    }

    #[test]
    fn what_is_beyond_the_rows_of_a_block_is_not_there() {
        let mut left = of::<8>(&set(&[3]));
        left.note(Effect::LetsThrough, 64);
        left.note(Effect::ShutsOut, 700);
        left.note_all(Effect::LetsThrough, set(&[5, 4095]).live());
        assert!(left.end_field(None));
        assert_eq!(left.rows().collect::<Vec<_>>(), [3]);
    }
}
