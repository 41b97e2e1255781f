//! Rules that are found by a value.

use std::ops::ControlFlow;

use super::keys::Keys;
use super::probe::Part;
use super::probes::Probes;
use super::slots::RuleId;
use super::table::Table;
use super::value::each_value;
use crate::facts::Facts;
use crate::policy::Field;

/// Rules by values, one of which a connection or request must have for the rule to match.
#[derive(Clone, Default)]
pub(super) struct Pivots {
    table: Table<RuleId>,
    probes: Probes,
}

impl Pivots {
    /// Calls `visit` with each rule that is found, perhaps more than once.
    pub(super) fn search(
        &self,
        keys: &Keys,
        facts: &Facts<'_>,
        visit: &mut impl FnMut(RuleId) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        for probe in self.probes.iter() {
            let mut flow = ControlFlow::Continue(());
            probe.each(keys, facts, false, |tag| {
                for rule in self.table.get(tag) {
                    if flow.is_continue() {
                        flow = visit(*rule);
                    }
                }
            });
            flow?;
        }
        ControlFlow::Continue(())
    }

    /// All rules, perhaps more than once each.
    pub(super) fn iter(&self) -> impl Iterator<Item = RuleId> {
        self.table.iter().map(|(_, rule)| rule)
    }

    /// Where the values of a field would be found, and how many rules with each; `None` when one of
    /// them would not.
    pub(super) fn places(&self, keys: &Keys, field: &Field<'_>) -> Option<Vec<Place>> {
        let mut places = Some(Vec::new());
        let all = each_value(field, false, |value| {
            let place = self.probes.place(field, &value).and_then(|part| {
                let tag = value.tag(keys, field, part)?;
                let rules = self.table.get(tag).len();
                Some(Place { part, tag, rules })
            });
            match (places.as_mut(), place) {
                (Some(places), Some(place)) => places.push(place),
                _ => places = None,
            }
        });
        places.filter(|_| all)
    }

    /// Files a rule where its values are found.
    pub(super) fn insert(&mut self, field: &Field<'_>, places: &[Place], rule: RuleId) {
        for place in places {
            if !self.table.get(place.tag).contains(&rule) {
                self.table.insert(place.tag, rule);
                self.probes.add(field, place.part);
            }
        }
    }

    /// Removes a rule from wherever its values may be found.
    pub(super) fn remove(&mut self, keys: &Keys, field: &Field<'_>, rule: RuleId) {
        let mut found = Vec::new();
        each_value(field, false, |value| {
            for part in self.probes.places(field, &value) {
                found.extend(value.tag(keys, field, part).map(|tag| (part, tag)));
            }
        });
        for (part, tag) in found {
            if self.table.remove(tag, rule) {
                self.probes.remove(field, part);
            }
        }
    }
}

/// Where a value is found.
pub(super) struct Place {
    pub(super) part: Part,
    tag: u32,
    /// The rules that are found there already.
    pub(super) rules: usize,
}
