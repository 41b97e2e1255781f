//! Rows that are looked at together.

use std::sync::Arc;

use super::bits::{About, Sets, first_free, rows};
use super::row::Row;
use crate::index::probes::FieldCode;

/// Up to [`ROWS`](super::bits::ROWS) rows.
#[derive(Clone, Default)]
pub(super) struct Block {
    rows: Vec<Row>,
    pub(super) sets: Sets,
}

impl Block {
    pub(super) fn has_room(&self) -> bool {
        first_free(self.live()).is_some()
    }

    /// The rows that have not been removed.
    pub(super) fn live(&self) -> &[u64] {
        self.sets.get(About::Live).unwrap_or_default()
    }

    pub(super) fn row(&self, at: usize) -> Option<&Row> {
        self.rows.get(at)
    }

    /// The rows that have not been removed.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Row> {
        rows(self.live()).filter_map(|at| self.rows.get(at))
    }

    /// Puts a row where there is room.
    pub(super) fn put(&mut self, row: Row) -> Option<usize> {
        let at = first_free(self.live())?;
        match self.rows.get_mut(at) {
            Some(free) => *free = row,
            None => self.rows.push(row),
        }
        self.sets.insert(About::Live, at);
        Some(at)
    }

    /// Removes a row to which no value does anything any more.
    pub(super) fn remove(&mut self, at: usize) {
        self.sets.remove(About::Live, at);
        self.sets.stop_asking(at);
    }

    /// The rows that ask for values of a field.
    pub(super) fn asking(&self, field: FieldCode) -> Option<&[u64]> {
        self.sets.get(About::Asking(field))
    }
}

/// Blocks by number. Clones are cheap.
#[derive(Clone)]
pub(super) enum Blocks {
    /// Most sieves have no more: it is found with one read less.
    One(Arc<Block>),
    Several(Arc<[Arc<Block>]>),
}

impl Default for Blocks {
    fn default() -> Self {
        Self::Several(Arc::default())
    }
}

impl Blocks {
    pub(super) fn as_slice(&self) -> &[Arc<Block>] {
        match self {
            Self::One(block) => std::slice::from_ref(block),
            Self::Several(blocks) => blocks,
        }
    }

    pub(super) fn get(&self, number: usize) -> Option<&Block> {
        self.as_slice().get(number).map(|block| &**block)
    }

    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut Block> {
        let blocks = match self {
            Self::One(block) => std::slice::from_mut(block),
            Self::Several(blocks) => Arc::make_mut(blocks),
        };
        blocks.get_mut(number).map(Arc::make_mut)
    }

    /// Adds an empty block.
    pub(super) fn push(&mut self) {
        let all = self.as_slice().iter().cloned();
        let all: Arc<[_]> = all.chain([Arc::default()]).collect();
        *self = match &*all {
            [only] => Self::One(only.clone()),
            _ => Self::Several(all),
        };
    }
}
