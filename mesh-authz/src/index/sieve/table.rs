//! What each value does to the rows of a shard.

use hashbrown::HashMap;

use super::bits::{Bits, Rows};
use super::row::Row;
use crate::connection::Facts;
use crate::index::keys::Keys;
use crate::index::probe::{Dimension, Probe, each_value};

/// The rows by the values that they ask for or exclude.
#[derive(Clone)]
pub(super) struct Table {
    /// Rows that ask for a value of a dimension.
    asking: [Bits; Dimension::COUNT],
    columns: HashMap<u64, Column, foldhash::fast::RandomState>,
    /// The probes of all columns, in order, so that those of one dimension are together.
    probes: Vec<Probe>,
}

/// What a value does.
#[derive(Clone, Default)]
struct Column {
    /// Rows that ask for it.
    lets_through: Rows,
    /// Rows that exclude it.
    shuts_out: Rows,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            asking: std::array::from_fn(|_| Bits::none()),
            columns: HashMap::default(),
            probes: Vec::new(),
        }
    }
}

impl Table {
    /// The rows, of the first `rows`, that may match; `None` when there are none.
    pub(super) fn open(&self, keys: &Keys, facts: &Facts<'_>, rows: usize) -> Option<Bits> {
        let mut open = Bits::first(rows);
        for probes in self.probes.chunk_by(|a, b| a.dimension() == b.dimension()) {
            let mut let_through = Bits::none();
            for probe in probes {
                let column = probe
                    .key(keys, facts)
                    .and_then(|key| self.columns.get(&key));
                if let Some(column) = column {
                    column.lets_through.add_to(&mut let_through);
                    column.shuts_out.remove_from(&mut open);
                }
            }
            if let Some(asking) = probes.first().and_then(|p| self.asking(p.dimension())) {
                open.keep(asking, &let_through);
            }
            if open.is_empty() {
                return None;
            }
        }
        Some(open)
    }

    fn asking(&self, dimension: Dimension) -> Option<&Bits> {
        self.asking.get(dimension as usize)
    }

    pub(super) fn push(&mut self, keys: &Keys, at: usize, row: &Row) {
        for field in row.fields() {
            // Two lists of one dimension, from two clauses, count as one: that lets through more
            // than the rule, which is looked at in full then.
            let dimension = Dimension::of(&field.values) as usize;
            if !field.excludes
                && let Some(asking) = self.asking.get_mut(dimension)
            {
                asking.insert(at);
            }
            each_value(keys, &field.values, |probe, key| {
                let column = self.columns.entry(key).or_default();
                if field.excludes {
                    column.shuts_out.insert(at);
                } else {
                    column.lets_through.insert(at);
                }
                if let Err(place) = self.probes.binary_search(&probe) {
                    self.probes.insert(place, probe);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests;
