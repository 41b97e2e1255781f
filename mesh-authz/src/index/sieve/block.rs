//! Rows that are looked at together.

use mesh_core::name::Name;

use super::bits::Bits;
use super::row::Row;
use crate::policy::{Dimension, Field};

/// Up to [`ROWS`](super::bits::ROWS) rows.
#[derive(Clone, Default)]
pub(super) struct Block {
    rows: Vec<Row>,
    /// Those that have not been removed.
    live: Bits,
    /// The rows that ask for values of a field.
    asking: Vec<Asking>,
}

#[derive(Clone)]
struct Asking {
    dimension: Dimension,
    name: Name,
    rows: Bits,
}

impl Block {
    pub(super) fn has_room(&self) -> bool {
        self.live.first_free().is_some()
    }

    pub(super) fn live(&self) -> &Bits {
        &self.live
    }

    pub(super) fn row(&self, at: usize) -> Option<&Row> {
        self.rows.get(at)
    }

    /// The rows that have not been removed.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.live.iter().filter_map(|at| self.rows.get(at))
    }

    /// Puts a row where there is room.
    pub(super) fn put(&mut self, row: Row) -> Option<usize> {
        let at = self.live.first_free()?;
        match self.rows.get_mut(at) {
            Some(free) => *free = row,
            None => self.rows.push(row),
        }
        self.live.insert(at);
        Some(at)
    }

    pub(super) fn remove(&mut self, at: usize) {
        self.live.remove(at);
        for asking in &mut self.asking {
            asking.rows.remove(at);
        }
        self.asking.retain(|asking| !asking.rows.is_empty());
    }

    /// Notes that a row asks for values of a field.
    pub(super) fn ask(&mut self, field: &Field<'_>, at: usize) {
        let known = self.asking.iter_mut();
        let mut known = known.filter(|one| one.is(field.dimension, field.name));
        match known.next() {
            Some(asking) => asking.rows.insert(at),
            None => {
                let mut rows = Bits::default();
                rows.insert(at);
                self.asking.push(Asking {
                    dimension: field.dimension,
                    name: field.name.into(),
                    rows,
                });
            }
        }
    }

    /// The rows that ask for values of a field.
    pub(super) fn asking(&self, dimension: Dimension, name: &str) -> Option<&Bits> {
        let mut asking = self.asking.iter().filter(|one| one.is(dimension, name));
        asking.next().map(|one| &one.rows)
    }
}

impl Asking {
    fn is(&self, dimension: Dimension, name: &str) -> bool {
        self.dimension == dimension && self.name == name
    }
}
