//! Rules that no selective value finds, in tables of bits.
//!
//! A rule has one row, or one for each match of its shortest clause with several matches. For each
//! value it is known which rows it lets through and which it shuts out ([`columns`]). The values
//! that a connection or request has are looked up once; what is left of the up to 4096 rows of a
//! [`block`] takes some operations on words of bits then, and only rules that are left are looked
//! at in full.

use std::ops::ControlFlow;

use super::keys::Keys;
use super::probes::Probes;
use super::slots::{RuleId, Slots};
use super::table::Table;
use super::value::{Value, each_value};
use crate::facts::Facts;
use crate::policy::{Field, Rule};

mod bits;
mod block;
mod columns;
mod effect;
mod found;
mod left;
mod row;

use bits::{About, ROWS, WORDS};
use block::{Block, Blocks};
use columns::Columns;
use effect::Effect;
use found::{Does, Founds};
use left::Left;
use row::Row;

/// Words of the sets of a small block.
const SMALL: usize = 8;

/// The rows, and what values do to them. Clones are cheap.
#[derive(Clone, Default)]
pub(super) struct Sieve {
    blocks: Blocks,
    columns: Columns,
    probes: Probes,
    /// The rows of each rule, by a hash of the rule.
    homes: Table<u32>,
    live: usize,
}

impl Sieve {
    /// Calls `visit` with each rule that may match, perhaps more than once.
    pub(super) fn search(
        &self,
        keys: &Keys,
        facts: &Facts<'_>,
        visit: &mut impl FnMut(RuleId) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let all = self.blocks.as_slice();
        if self.live == 0 {
            return ControlFlow::Continue(());
        }
        if let [only] = all {
            if only.sets.words() <= SMALL {
                return self.search_alone::<SMALL>(only, keys, facts, visit);
            }
            return self.search_alone::<WORDS>(only, keys, facts, visit);
        }
        let mut founds = Founds::new(&self.probes, facts);
        founds.look_up(keys, facts, &self.columns);
        let mut left = Left::<WORDS>::default();
        for (number, block) in all.iter().enumerate() {
            if founds.open((number, block), &mut left) {
                left.rows()
                    .filter_map(|row| block.row(row))
                    .try_for_each(|row| visit(row.rule))?;
            }
        }
        ControlFlow::Continue(())
    }

    /// The same where there is one block: each value is noted as soon as it is looked up.
    fn search_alone<const WORDS: usize>(
        &self,
        block: &Block,
        keys: &Keys,
        facts: &Facts<'_>,
        visit: &mut impl FnMut(RuleId) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut left = Left::<WORDS>::default();
        left.begin(block);
        for group in self.probes.groups() {
            for probe in group.iter() {
                Does::each(&probe, keys, facts, |tag, does| {
                    if let Some(column) = self.columns.get(tag) {
                        does.apply(&column, (0, block), &mut left);
                    }
                });
            }
            let field = group.code();
            let asking = block.asking(field);
            let is_known = facts.request.is_some() || !field.needs_request();
            if !left.end_field(asking.filter(|_| is_known)) {
                return ControlFlow::Continue(());
            }
        }
        let mut rows = left.rows().filter_map(|row| block.row(row));
        rows.try_for_each(|row| visit(row.rule))
    }

    /// All rules, perhaps more than once each.
    pub(super) fn iter(&self) -> impl Iterator<Item = RuleId> {
        let blocks = self.blocks.as_slice().iter();
        blocks.flat_map(|block| block.rows().map(|row| row.rule))
    }

    /// Whether there are so few rows for the room they take that they had better be put together.
    pub(super) fn is_sparse(&self) -> bool {
        let blocks = self.blocks.as_slice().len();
        blocks > 1 && self.live * 4 < blocks * ROWS
    }

    /// Inserts a rule that is not in the sieve.
    pub(super) fn insert(&mut self, keys: &Keys, id: RuleId, rule: Rule<'_>) {
        for row in Row::all(id, rule) {
            let Some((number, at, global)) = self.put(row) else {
                return;
            };
            self.homes.insert(home(keys, id), global);
            for field in row.fields(rule) {
                if field.excludes {
                    self.exclude(keys, &field, global);
                } else if self.ask(keys, &field, global)
                    && let Some(code) = self.probes.code(&field)
                    && let Some(block) = self.blocks.get_mut(number)
                {
                    block.sets.insert(About::Asking(code), at);
                }
            }
        }
    }

    /// Puts a row somewhere: its block, its place there, and its number among all.
    fn put(&mut self, row: Row) -> Option<(usize, usize, u32)> {
        let blocks = self.blocks.as_slice();
        let last = blocks.len().saturating_sub(1);
        let rooms = std::iter::once(last).chain(0..last);
        let mut rooms = rooms.filter(|at| blocks.get(*at).is_some_and(|b| b.has_room()));
        let number = rooms.next().unwrap_or(blocks.len());
        if number == blocks.len() {
            self.blocks.push();
        }
        let at = self.blocks.get_mut(number)?.put(row)?;
        self.live += 1;
        Some((number, at, u32::try_from(number * ROWS + at).ok()?))
    }

    /// Files a row under the values that a field asks for, if each of them is looked up.
    fn ask(&mut self, keys: &Keys, field: &Field<'_>, row: u32) -> bool {
        let mut places = Some(Vec::new());
        let all = each_value(field, false, |value| {
            let part = self.probes.place(field, &value);
            let place = part.and_then(|part| Some((part, value.tag(keys, field, part)?)));
            match (places.as_mut(), place) {
                (Some(places), Some(place)) => places.push(place),
                _ => places = None,
            }
        });
        let Some(places) = places.filter(|_| all) else {
            return false;
        };
        for (part, tag) in places {
            if self
                .columns
                .insert(&mut self.blocks, tag, Effect::LetsThrough, row)
            {
                self.probes.add(field, part);
            }
        }
        true
    }

    /// Files a row under the values that a field excludes, as far as they are looked up in full.
    fn exclude(&mut self, keys: &Keys, field: &Field<'_>, row: u32) {
        let mut places = Vec::new();
        each_value(field, true, |value: Value<'_>| {
            let part = value.part();
            if value.is_whole() && self.probes.place(field, &value) == Some(part) {
                places.extend(value.tag(keys, field, part).map(|tag| (part, tag)));
            }
        });
        for (part, tag) in places {
            if self
                .columns
                .insert(&mut self.blocks, tag, Effect::ShutsOut, row)
            {
                self.probes.add(field, part);
            }
        }
    }

    /// Removes a rule, if it is in the sieve.
    pub(super) fn remove(&mut self, keys: &Keys, slots: &Slots, id: RuleId) {
        let home = home(keys, id);
        let rows: Vec<u32> = self.homes.get(home).to_vec();
        let Some((_, rule)) = slots.rule(id) else {
            return;
        };
        for global in rows {
            let (number, at) = (global as usize / ROWS, global as usize % ROWS);
            let row = self.blocks.get(number).and_then(|block| block.row(at));
            let Some(row) = row.filter(|row| row.rule == id) else {
                continue;
            };
            for field in row.fields(rule) {
                self.unfile(keys, &field, global);
            }
            if let Some(block) = self.blocks.get_mut(number) {
                block.remove(at);
            }
            self.homes.remove(home, global);
            self.live -= 1;
        }
        if self.live == 0 {
            *self = Self::default();
        }
    }

    fn unfile(&mut self, keys: &Keys, field: &Field<'_>, row: u32) {
        let effect = if field.excludes {
            Effect::ShutsOut
        } else {
            Effect::LetsThrough
        };
        let mut found = Vec::new();
        each_value(field, false, |value| {
            for part in self.probes.places(field, &value) {
                found.extend(value.tag(keys, field, part).map(|tag| (part, tag)));
            }
        });
        for (part, tag) in found {
            if self.columns.remove(&mut self.blocks, tag, effect, row) {
                self.probes.remove(field, part);
            }
        }
    }
}

fn home(keys: &Keys, id: RuleId) -> u32 {
    keys.tag(u64::MAX, &id.slot.to_le_bytes(), &id.place.to_le_bytes())
}
