//! What each value does to rows.

use std::sync::Arc;

use super::bits::{Bits, ROWS, Scratch};
use crate::index::table::Table;

/// A value with more rows than this has them as bits.
const SPARSE: usize = 128;

/// What a value does to a row.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Effect {
    LetsThrough,
    ShutsOut,
}

/// The rows that values let through and shut out.
#[derive(Clone, Default)]
pub(super) struct Columns {
    /// Rows by value: twice the number of a row, and one more when it is shut out.
    sparse: Table<u32>,
    /// Values with many rows, in order of their hashes.
    dense: Arc<Vec<Arc<Dense>>>,
}

/// The rows of a value, as bits for each block.
#[derive(Clone)]
pub(super) struct Dense {
    tag: u32,
    let_through: Vec<Option<Arc<Bits>>>,
    shut_out: Vec<Option<Arc<Bits>>>,
}

/// What a value does.
#[derive(Clone, Copy)]
pub(super) enum Column<'a> {
    Sparse(&'a [(u32, u32)]),
    Dense(&'a Dense),
}

impl Columns {
    /// What a value does, if anything.
    pub(super) fn get(&self, tag: u32) -> Option<Column<'_>> {
        let run = self.sparse.get(tag);
        if !run.is_empty() {
            return Some(Column::Sparse(run));
        }
        let at = self.place(tag).ok()?;
        self.dense.get(at).map(|dense| Column::Dense(dense))
    }

    fn place(&self, tag: u32) -> Result<usize, usize> {
        self.dense.binary_search_by_key(&tag, |dense| dense.tag)
    }

    /// Notes what a value does to a row; whether that is new.
    pub(super) fn insert(&mut self, tag: u32, effect: Effect, row: u32) -> bool {
        if let Some(new) = self.change(tag, |dense| dense.insert(effect, row)) {
            return new;
        }
        let value = value(effect, row);
        let run = self.sparse.get(tag);
        if run.binary_search(&(tag, value)).is_ok() {
            return false;
        }
        if run.len() < SPARSE {
            self.sparse.insert(tag, value);
            return true;
        }
        let run: Vec<u32> = run.iter().map(|(_, value)| *value).collect();
        let mut dense = Dense {
            tag,
            let_through: Vec::new(),
            shut_out: Vec::new(),
        };
        for value in run {
            self.sparse.remove(tag, value);
            dense.insert(effect_of(value), value >> 1);
        }
        dense.insert(effect, row);
        if let Err(at) = self.place(tag) {
            Arc::make_mut(&mut self.dense).insert(at, Arc::new(dense));
        }
        true
    }

    /// Forgets what a value does to a row; whether it was known.
    pub(super) fn remove(&mut self, tag: u32, effect: Effect, row: u32) -> bool {
        let removed = self.change(tag, |dense| dense.remove(effect, row));
        removed.unwrap_or_else(|| self.sparse.remove(tag, value(effect, row)))
    }

    fn change<T>(&mut self, tag: u32, change: impl FnOnce(&mut Dense) -> T) -> Option<T> {
        let at = self.place(tag).ok()?;
        let dense = Arc::make_mut(&mut self.dense).get_mut(at)?;
        Some(change(Arc::make_mut(dense)))
    }
}

fn value(effect: Effect, row: u32) -> u32 {
    row << 1 | u32::from(effect == Effect::ShutsOut)
}

fn effect_of(value: u32) -> Effect {
    if value & 1 == 1 {
        Effect::ShutsOut
    } else {
        Effect::LetsThrough
    }
}

impl Dense {
    fn blocks(&self, effect: Effect) -> &Vec<Option<Arc<Bits>>> {
        match effect {
            Effect::LetsThrough => &self.let_through,
            Effect::ShutsOut => &self.shut_out,
        }
    }

    fn blocks_mut(&mut self, effect: Effect) -> &mut Vec<Option<Arc<Bits>>> {
        match effect {
            Effect::LetsThrough => &mut self.let_through,
            Effect::ShutsOut => &mut self.shut_out,
        }
    }

    fn insert(&mut self, effect: Effect, row: u32) -> bool {
        let (block, at) = (row as usize / ROWS, row as usize % ROWS);
        let blocks = self.blocks_mut(effect);
        if blocks.len() <= block {
            blocks.resize(block + 1, None);
        }
        let Some(slot) = blocks.get_mut(block) else {
            return false;
        };
        let bits = Arc::make_mut(slot.get_or_insert_default());
        let new = !bits.has(at);
        bits.insert(at);
        new
    }

    fn remove(&mut self, effect: Effect, row: u32) -> bool {
        let (block, at) = (row as usize / ROWS, row as usize % ROWS);
        let slot = self.blocks_mut(effect).get_mut(block);
        let Some(Some(bits)) = slot else {
            return false;
        };
        let known = bits.has(at);
        Arc::make_mut(bits).remove(at);
        known
    }
}

impl Column<'_> {
    /// The rows of a block to which the value does something are put into a set, or taken out.
    pub(super) fn apply(&self, effect: Effect, block: usize, bits: &mut Scratch) {
        match self {
            Self::Dense(dense) => {
                let Some(Some(rows)) = dense.blocks(effect).get(block) else {
                    return;
                };
                match effect {
                    Effect::LetsThrough => bits.add(rows),
                    Effect::ShutsOut => bits.take(rows),
                }
            }
            Self::Sparse(run) => {
                let first = block * ROWS * 2;
                let start = run.partition_point(|(_, value)| (*value as usize) < first);
                let rest = run.get(start..).unwrap_or_default().iter();
                let own = rest.take_while(|(_, value)| (*value as usize) < first + ROWS * 2);
                for (_, value) in own.filter(|(_, value)| effect_of(*value) == effect) {
                    let row = (value >> 1) as usize % ROWS;
                    match effect {
                        Effect::LetsThrough => bits.insert(row),
                        Effect::ShutsOut => bits.remove(row),
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_rows_and_many_are_found_alike() {
        for many in [10, 1000] {
            let mut columns = Columns::default();
            let rows = || (0..many).map(|at| at * 9);
            for row in rows() {
                assert!(columns.insert(5, Effect::LetsThrough, row));
                assert!(!columns.insert(5, Effect::LetsThrough, row));
                assert!(columns.insert(5, Effect::ShutsOut, row + 1));
            }
            assert!(columns.get(6).is_none());
            assert!(columns.remove(5, Effect::LetsThrough, 9));
            assert!(!columns.remove(5, Effect::LetsThrough, 9));
            let column = columns.get(5).unwrap();
            let mut found = Vec::new();
            let mut all = Bits::default();
            (0..ROWS).for_each(|row| all.insert(row));
            for block in 0..3 {
                let mut bits = Scratch::default();
                bits.clear(&all);
                column.apply(Effect::LetsThrough, block, &mut bits);
                found.extend(bits.iter().map(|row| block * ROWS + row));
            }
            let expected: Vec<usize> = rows().filter(|row| *row != 9).map(|r| r as usize).collect();
            assert_eq!(found, expected, "{many}");
            let mut bits = Scratch::default();
            bits.set(&all);
            column.apply(Effect::ShutsOut, 0, &mut bits);
            let left: Vec<_> = bits.iter().take(4).collect();
            assert_eq!(left, [0, 2, 3, 4]);
            assert!(!bits.iter().any(|row| row == 10));
        }
    }
}
