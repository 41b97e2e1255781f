//! The values that a rule is filed under.
//!
//! A rule matches only when each of its clauses has a match that agrees in all its fields. So it is
//! found by one clause alone, when each match of that clause is filed under all values of one of
//! its positive fields. Of all ways to do that the cheapest is taken, where a value costs as much
//! as there are rules under it already.

use super::keys::Keys;
use super::probe::{Part, Probe, each_value};
use crate::policy::{Clause, Match, Rule, Values};

/// The most rules that may be found under one value, so that what a connection has in common with
/// all rules costs no more than this.
const CROWDED: usize = 64;

/// Probes and keys that a rule is filed under; `None` when there is no selective way.
///
/// Nothing at all for a rule that cannot match.
pub(super) fn pivots(
    keys: &Keys,
    rule: &Rule,
    rules_under: impl Fn(u64) -> usize,
) -> Option<Vec<(Probe, u64)>> {
    let clauses = rule.clauses().iter();
    let costs = clauses.filter_map(|clause| Some((cost(keys, clause, &rules_under)?, clause)));
    let (_, cheapest) = costs.min_by_key(|(cost, _)| *cost)?;
    let mut pivots = Vec::new();
    for one in possible(cheapest) {
        let (_, values) = best(keys, one, &rules_under)?;
        each_value(keys, values, |probe, key| pivots.push((probe, key)));
    }
    pivots.sort_unstable();
    pivots.dedup();
    Some(pivots)
}

/// The cost of filing a rule under a clause; `None` when that cannot be done.
fn cost(keys: &Keys, clause: &Clause, rules_under: &impl Fn(u64) -> usize) -> Option<usize> {
    if clause.alternatives().is_empty() {
        return None;
    }
    possible(clause).try_fold(0_usize, |sum, one| {
        Some(sum.saturating_add(best(keys, one, rules_under)?.0))
    })
}

/// The matches of a clause that can match at all.
fn possible(clause: &Clause) -> impl Iterator<Item = &Match> {
    let all = clause.alternatives().iter();
    all.filter(|one| !one.fields().is_empty())
}

/// The cheapest positive field of a match, with its cost.
fn best<'a>(
    keys: &Keys,
    one: &'a Match,
    rules_under: &impl Fn(u64) -> usize,
) -> Option<(usize, &'a Values)> {
    let fields = one.fields().iter().filter(|field| !field.excludes);
    let costs = fields.filter_map(|field| {
        let mut cost = Some(0_usize);
        each_value(keys, &field.values, |probe, key| {
            let rules = rules_under(key);
            cost = cost
                .filter(|_| rules < CROWDED)
                .map(|cost| cost.saturating_add((rules + 1) * weight(probe)));
        });
        Some((cost?, &field.values))
    });
    costs.min_by_key(|(cost, _)| *cost)
}

/// How likely a value of this kind fits a connection, in no particular unit.
fn weight(probe: Probe) -> usize {
    match probe {
        Probe::ServiceAccount | Probe::Principal(Part::All) => 1,
        Probe::Namespace(Part::All) => 2,
        Probe::Destination4(32) | Probe::Destination6(128) => 2,
        Probe::Source4(24..) | Probe::Source6(64..) => 2,
        Probe::Principal(Part::Presence) | Probe::Namespace(Part::Presence) => 32,
        Probe::Principal(_) | Probe::Namespace(_) => 3,
        Probe::DestinationPort => 4,
        Probe::Destination4(_) | Probe::Destination6(_) | Probe::Source4(_) | Probe::Source6(_) => {
            6
        }
    }
}

#[cfg(test)]
mod tests;
