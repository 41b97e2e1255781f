//! Rules that are not filed under a pivot, in a table of bits.
//!
//! A rule has one row, or one for each match of its shortest clause with several matches. A
//! [`shard`] of up to 1024 rows says for each value which of its rows that value lets through or
//! shuts out ([`table`]). The values that a connection has are looked up, and what is left of 64
//! rows takes a few operations on bits; only rows that are left are looked at in full.

use std::sync::Arc;

use super::keys::Keys;
use crate::connection::Facts;
use crate::decision::RuleRef;
use crate::policy::Policy;

mod bits;
mod row;
mod shard;
mod table;

use row::Row;
use shard::Shard;

/// The shards with rules. Clones are cheap.
#[derive(Clone, Default)]
pub(super) struct Sieve(Arc<Vec<Arc<Shard>>>);

impl Sieve {
    /// A rule that matches.
    pub(super) fn find<'a>(&'a self, keys: &Keys, facts: &Facts<'_>) -> Option<RuleRef<'a>> {
        self.0.iter().find_map(|shard| shard.find(keys, facts))
    }

    /// Inserts a rule that is not in the sieve.
    pub(super) fn insert(&mut self, keys: &Keys, policy: &Arc<Policy>, rule: u32) {
        let shards = Arc::make_mut(&mut self.0);
        for row in Row::all(policy, rule) {
            match shards.last_mut().filter(|shard| !shard.is_full()) {
                Some(shard) => Arc::make_mut(shard).push(keys, row),
                None => {
                    let mut shard = Shard::default();
                    shard.push(keys, row);
                    shards.push(Arc::new(shard));
                }
            }
        }
    }

    /// Removes all rules of a policy.
    pub(super) fn remove(&mut self, keys: &Keys, policy: &Arc<Policy>) {
        if !self.0.iter().any(|shard| shard.has(policy)) {
            return;
        }
        let shards = Arc::make_mut(&mut self.0);
        for shard in shards.iter_mut().filter(|shard| shard.has(policy)) {
            *shard = Arc::new(shard.without(keys, policy));
        }
        shards.retain(|shard| !shard.is_empty());
        // The emptiest last, where the next rules go.
        if let Some(least) = (0..shards.len()).min_by_key(|at| shards.get(*at).map(|s| s.len())) {
            let last = shards.len() - 1;
            shards.swap(least, last);
        }
    }

    /// The policies with rules in the sieve.
    pub(super) fn policies(&self) -> Vec<Arc<Policy>> {
        let mut all: Vec<Arc<Policy>> = Vec::new();
        for policy in self.0.iter().flat_map(|shard| shard.policies()) {
            if !all.iter().any(|other| Arc::ptr_eq(other, policy)) {
                all.push(policy.clone());
            }
        }
        all
    }
}
