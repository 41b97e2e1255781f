//! Rows that are looked at together.

use std::sync::Arc;

use super::bits::ROWS;
use super::row::Row;
use super::table::Table;
use crate::connection::Facts;
use crate::decision::RuleRef;
use crate::index::keys::Keys;
use crate::policy::Policy;

/// Up to so many rows are looked at one by one: that is as fast as a table.
const FEW: usize = 32;

/// Rows, at most [`ROWS`], and the table that rules most of them out.
#[derive(Clone, Default)]
pub(super) struct Shard {
    rows: Vec<Row>,
    /// Versions of the policies of the rows, in order: no two policies of a store have the same.
    versions: Vec<u64>,
    table: Option<Table>,
}

impl Shard {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.rows.len() >= ROWS
    }

    pub(super) fn has(&self, policy: &Policy) -> bool {
        self.versions.binary_search(&policy.version()).is_ok()
    }

    /// The policy of each row.
    pub(super) fn policies(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.rows.iter().map(Row::policy)
    }

    /// A rule that matches.
    pub(super) fn find(&self, keys: &Keys, facts: &Facts<'_>) -> Option<RuleRef<'_>> {
        let Some(table) = &self.table else {
            return self.rows.iter().find_map(|row| row.matches(facts));
        };
        let open = table.open(keys, facts, self.rows.len())?;
        open.iter()
            .find_map(|row| self.rows.get(row)?.matches(facts))
    }

    pub(super) fn push(&mut self, keys: &Keys, row: Row) {
        let version = row.policy().version();
        if let Err(at) = self.versions.binary_search(&version) {
            self.versions.insert(at, version);
        }
        self.rows.push(row);
        match &mut self.table {
            Some(table) => {
                if let Some(row) = self.rows.last() {
                    table.push(keys, self.rows.len() - 1, row);
                }
            }
            None if self.rows.len() > FEW => {
                let mut table = Table::default();
                for (at, row) in self.rows.iter().enumerate() {
                    table.push(keys, at, row);
                }
                self.table = Some(table);
            }
            None => {}
        }
    }

    /// The rows of other policies.
    pub(super) fn without(&self, keys: &Keys, policy: &Arc<Policy>) -> Self {
        let mut rest = Self::default();
        let rows = self.rows.iter();
        for row in rows.filter(|row| !Arc::ptr_eq(row.policy(), policy)) {
            rest.push(keys, row.clone());
        }
        rest
    }
}
