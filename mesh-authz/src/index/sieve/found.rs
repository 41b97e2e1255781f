//! What the values of a connection or request do, looked up once for all blocks.

use super::block::Block;
use super::columns::{Column, Columns};
use super::effect::Effect;
use super::left::Left;
use crate::facts::Facts;
use crate::index::keys::Keys;
use crate::index::probe::Probe;
use crate::index::probes::Probes;

/// Values that do something; of more, those of the last fields are left out.
const MOST: usize = 48;

/// What the values do, in the order of the fields.
pub(super) struct Founds<'a> {
    probes: &'a Probes,
    /// How many fields have been looked up.
    groups: usize,
    founds: [Option<Found<'a>>; MOST],
    count: usize,
    /// Whether there is a request: without one, fields about requests rule nothing out.
    request: bool,
}

#[derive(Clone, Copy)]
struct Found<'a> {
    group: usize,
    column: Column<'a>,
    does: Does,
}

/// What the values that a probe finds do, if anything.
#[derive(Clone, Copy)]
pub(super) struct Does {
    lets_through: bool,
    shuts_out: bool,
}

impl Does {
    /// Calls `visit` with the number of each value that a probe finds, and what it does.
    pub(super) fn each(
        probe: &Probe<'_>,
        keys: &Keys,
        facts: &Facts<'_>,
        mut visit: impl FnMut(u32, Self),
    ) {
        let mut does = |lets_through, shuts_out, certain| {
            let does = Self {
                lets_through,
                shuts_out,
            };
            probe.each(keys, facts, certain, |tag| visit(tag, does));
        };
        if probe.is_vague() {
            does(false, true, true);
            does(true, false, false);
        } else {
            does(true, true, true);
        }
    }

    /// Notes what a value does to the rows of a block.
    pub(super) fn apply<const WORDS: usize>(
        self,
        column: &Column<'_>,
        block: (usize, &Block),
        left: &mut Left<WORDS>,
    ) {
        if self.shuts_out {
            column.apply(Effect::ShutsOut, block, left);
        }
        if self.lets_through {
            column.apply(Effect::LetsThrough, block, left);
        }
    }
}

impl<'a> Founds<'a> {
    pub(super) fn new(probes: &'a Probes, facts: &Facts<'_>) -> Self {
        Self {
            probes,
            groups: 0,
            founds: [None; MOST],
            count: 0,
            request: facts.request.is_some(),
        }
    }

    /// Looks up all values.
    pub(super) fn look_up(&mut self, keys: &Keys, facts: &Facts<'_>, columns: &'a Columns) {
        let probes = self.probes;
        for (number, group) in probes.groups().enumerate() {
            for probe in group.iter() {
                let mut room = true;
                Does::each(&probe, keys, facts, |tag, does| {
                    room &= self.push(number, columns.get(tag), does);
                });
                if !room {
                    self.forget(number);
                    return;
                }
            }
            self.groups = number + 1;
        }
    }

    /// Notes a value; whether there was room.
    fn push(&mut self, group: usize, column: Option<Column<'a>>, does: Does) -> bool {
        let Some(column) = column else {
            return true;
        };
        let Some(free) = self.founds.get_mut(self.count) else {
            return false;
        };
        *free = Some(Found {
            group,
            column,
            does,
        });
        self.count += 1;
        true
    }

    /// Leaves out what was found for a field that there was no room for.
    fn forget(&mut self, group: usize) {
        for found in &mut self.founds {
            if found.is_some_and(|found| found.group == group) {
                *found = None;
            }
        }
    }

    /// Finds the rows of a block that may match; whether there are any.
    pub(super) fn open<const WORDS: usize>(
        &self,
        (number, block): (usize, &Block),
        left: &mut Left<WORDS>,
    ) -> bool {
        left.begin(block);
        let all = self.founds.get(..self.count).unwrap_or_default();
        let mut rest = all.iter().flatten().peekable();
        for (group, probes) in self.probes.groups().take(self.groups).enumerate() {
            let field = probes.code();
            while let Some(found) = rest.next_if(|found| found.group == group) {
                found.does.apply(&found.column, (number, block), left);
            }
            let asking = block.asking(field);
            if !left.end_field(asking.filter(|_| self.request || !field.needs_request())) {
                return false;
            }
        }
        true
    }
}
