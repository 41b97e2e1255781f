//! What each value does to rows.

use super::bits::{About, ROWS};
use super::block::{Block, Blocks};
use super::effect::Effect;
use super::left::Left;
use crate::index::table::Table;

/// A value that does something to more rows of a block than this, and one more for each 64 rows of
/// the block, has them there as a set.
const SPARSE: usize = 8;
/// Stands behind the rows of a value that some block has as a set.
const DENSE: u32 = u32::MAX;

/// The rows that values let through and shut out, but for those that blocks have as sets.
#[derive(Clone, Default)]
pub(super) struct Columns {
    /// By value: twice the number of a row, and one more when it is shut out.
    rows: Table<u32>,
}

/// What a value does.
#[derive(Clone, Copy)]
pub(super) struct Column<'a> {
    tag: u32,
    rows: &'a [u32],
}

impl Columns {
    /// What a value does, if anything.
    pub(super) fn get(&self, tag: u32) -> Option<Column<'_>> {
        let rows = self.rows.get(tag);
        (!rows.is_empty()).then_some(Column { tag, rows })
    }

    /// Notes what a value does to a row of one of the blocks; whether that is new.
    pub(super) fn insert(
        &mut self,
        blocks: &mut Blocks,
        tag: u32,
        effect: Effect,
        row: u32,
    ) -> bool {
        let (number, at) = place(row);
        let about = About::Value(effect, tag);
        let Some(block) = blocks.get(number) else {
            return false;
        };
        let (value, limit) = (value(effect, row), SPARSE + block.sets.words());
        let column = Column {
            tag,
            rows: self.rows.get(tag),
        };
        let is_dense = column.is_dense();
        if is_dense && block.sets.get(about).is_some() {
            let block = blocks.get_mut(number);
            return block.is_some_and(|block| block.sets.insert(about, at));
        }
        if column.rows.binary_search(&value).is_ok() {
            return false;
        }
        if column.own(number, effect).nth(limit - 1).is_none() {
            self.rows.insert(tag, value);
            return true;
        }
        let own: Vec<u32> = column.own(number, effect).collect();
        for value in own {
            self.rows.remove(tag, value);
            if let Some(block) = blocks.get_mut(number) {
                block.sets.insert(about, place(value >> 1).1);
            }
        }
        if let Some(block) = blocks.get_mut(number) {
            block.sets.insert(about, at);
        }
        if !is_dense {
            self.rows.insert(tag, DENSE);
        }
        true
    }

    /// Forgets what a value does to a row; whether it was known.
    pub(super) fn remove(
        &mut self,
        blocks: &mut Blocks,
        tag: u32,
        effect: Effect,
        row: u32,
    ) -> bool {
        let (number, at) = place(row);
        let about = About::Value(effect, tag);
        let has = |block: &Block, about| block.sets.get(about).is_some();
        if !blocks.get(number).is_some_and(|block| has(block, about)) {
            return self.rows.remove(tag, value(effect, row));
        }
        let block = blocks.get_mut(number);
        let removed = block.is_some_and(|block| block.sets.remove(about, at));
        let is_dense = blocks.as_slice().iter().any(|block| {
            let effects = [Effect::LetsThrough, Effect::ShutsOut];
            effects
                .iter()
                .any(|effect| has(block, About::Value(*effect, tag)))
        });
        if !is_dense {
            self.rows.remove(tag, DENSE);
        }
        removed
    }
}

/// The number of the block of a row, and where it is there.
fn place(row: u32) -> (usize, usize) {
    (row as usize / ROWS, row as usize % ROWS)
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

impl<'a> Column<'a> {
    fn is_dense(&self) -> bool {
        self.rows.last() == Some(&DENSE)
    }

    /// What it has of the rows of a block by themselves.
    fn own(&self, number: usize, effect: Effect) -> impl Iterator<Item = u32> + use<'a> {
        let first = number * ROWS * 2;
        let start = self.rows.partition_point(|value| (*value as usize) < first);
        let rest = self.rows.get(start..).unwrap_or_default().iter().copied();
        let own = rest.take_while(move |value| (*value as usize) < first + ROWS * 2);
        own.filter(move |value| effect_of(*value) == effect)
    }

    /// Notes the rows of a block to which the value does something.
    pub(super) fn apply<const WORDS: usize>(
        &self,
        effect: Effect,
        (number, block): (usize, &Block),
        left: &mut Left<WORDS>,
    ) {
        if self.is_dense()
            && let Some(set) = block.sets.get(About::Value(effect, self.tag))
        {
            left.note_all(effect, set);
        }
        for value in self.own(number, effect) {
            left.note(effect, place(value >> 1).1);
        }
    }
}

#[cfg(test)]
mod tests;
