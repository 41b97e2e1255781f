//! Sets of rows.

/// The most rows of a shard.
pub(super) const ROWS: usize = 1024;
const WORDS: usize = ROWS / 64;
/// A set with more rows than this is kept as bits.
const SPARSE: usize = 64;

/// A set of rows as bits.
#[derive(Clone, Debug)]
pub(super) struct Bits([u64; WORDS]);

/// A set of rows that may be small.
#[derive(Clone, Debug, Default)]
pub(super) enum Rows {
    #[default]
    None,
    One(u16),
    Few(Vec<u16>),
    Many(Box<Bits>),
}

impl Bits {
    pub(super) fn none() -> Self {
        Self([0; WORDS])
    }

    /// The first rows.
    pub(super) fn first(rows: usize) -> Self {
        let mut bits = Self::none();
        for (word, at) in bits.0.iter_mut().zip(0..) {
            let rest = rows.saturating_sub(at * 64);
            *word = if rest >= 64 {
                u64::MAX
            } else {
                (1 << rest) - 1
            };
        }
        bits
    }

    pub(super) fn insert(&mut self, row: usize) {
        if let Some(word) = self.0.get_mut(row / 64) {
            *word |= 1 << (row % 64);
        }
    }

    fn remove(&mut self, row: usize) {
        if let Some(word) = self.0.get_mut(row / 64) {
            *word &= !(1 << (row % 64));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// Removes those that are asked for something and not let through.
    pub(super) fn keep(&mut self, asked: &Self, let_through: &Self) {
        let words = self.0.iter_mut().zip(&asked.0).zip(&let_through.0);
        for ((word, asked), let_through) in words {
            *word &= !asked | let_through;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        let words = (0..).zip(&self.0);
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

impl Rows {
    pub(super) fn insert(&mut self, row: usize) {
        let Ok(number) = u16::try_from(row) else {
            return;
        };
        match self {
            Self::None => *self = Self::One(number),
            Self::One(known) => *self = Self::Few(vec![*known, number]),
            Self::Few(rows) if rows.len() < SPARSE => rows.push(number),
            Self::Few(rows) => {
                let mut bits = Box::new(Bits::none());
                for known in rows {
                    bits.insert(usize::from(*known));
                }
                bits.insert(row);
                *self = Self::Many(bits);
            }
            Self::Many(bits) => bits.insert(row),
        }
    }

    pub(super) fn add_to(&self, bits: &mut Bits) {
        match self {
            Self::None => {}
            Self::One(row) => bits.insert(usize::from(*row)),
            Self::Few(rows) => rows.iter().for_each(|row| bits.insert(usize::from(*row))),
            Self::Many(rows) => {
                for (word, more) in bits.0.iter_mut().zip(&rows.0) {
                    *word |= more;
                }
            }
        }
    }

    pub(super) fn remove_from(&self, bits: &mut Bits) {
        match self {
            Self::None => {}
            Self::One(row) => bits.remove(usize::from(*row)),
            Self::Few(rows) => rows.iter().for_each(|row| bits.remove(usize::from(*row))),
            Self::Many(rows) => {
                for (word, less) in bits.0.iter_mut().zip(&rows.0) {
                    *word &= !less;
                }
            }
        }
    }
}
