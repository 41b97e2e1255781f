//! What the values of a connection or request do, looked up once for all blocks.

use super::bits::Scratch;
use super::block::Block;
use super::columns::{Column, Columns, Effect};
use crate::facts::Facts;
use crate::index::keys::Keys;
use crate::index::probe::Probe;
use crate::index::probes::Probes;

/// Values that do something; of more, those of the last fields are left out.
const MOST: usize = 48;

/// Rows of the block that is looked at.
#[derive(Default)]
pub(super) struct Sets {
    /// Those that may match.
    pub(super) open: Scratch,
    /// Those that the values of one field let through.
    let_through: Scratch,
}

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
    lets_through: bool,
    shuts_out: bool,
}

impl<'a> Founds<'a> {
    pub(super) fn of(
        keys: &Keys,
        facts: &Facts<'_>,
        probes: &'a Probes,
        columns: &'a Columns,
    ) -> Self {
        let mut founds = Self {
            probes,
            groups: 0,
            founds: [None; MOST],
            count: 0,
            request: facts.request.is_some(),
        };
        for (number, group) in probes.groups().enumerate() {
            for (probe, _) in group {
                if !founds.look_up(keys, facts, columns, (number, probe)) {
                    founds.forget(number);
                    return founds;
                }
            }
            founds.groups = number + 1;
        }
        founds
    }

    /// Looks up the values of a probe; whether there is room for all.
    fn look_up(
        &mut self,
        keys: &Keys,
        facts: &Facts<'_>,
        columns: &'a Columns,
        (group, probe): (usize, &Probe),
    ) -> bool {
        let mut room = true;
        let mut push = |tag, lets_through, shuts_out| {
            let Some(column) = columns.get(tag) else {
                return;
            };
            match self.founds.get_mut(self.count) {
                Some(free) => {
                    *free = Some(Found {
                        group,
                        column,
                        lets_through,
                        shuts_out,
                    });
                    self.count += 1;
                }
                None => room = false,
            }
        };
        if probe.is_vague() {
            probe.each(keys, facts, true, |tag| push(tag, false, true));
            probe.each(keys, facts, false, |tag| push(tag, true, false));
        } else {
            probe.each(keys, facts, true, |tag| push(tag, true, true));
        }
        room
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
    pub(super) fn open(&self, number: usize, block: &Block, sets: &mut Sets) -> bool {
        let Sets { open, let_through } = sets;
        open.set(block.live());
        let all = self.founds.get(..self.count).unwrap_or_default();
        let mut rest = all.iter().flatten().peekable();
        for (group, probes) in self.probes.groups().take(self.groups).enumerate() {
            let Some((probe, _)) = probes.first() else {
                continue;
            };
            let asking = block.asking(probe.dimension, &probe.name);
            let_through.clear(block.live());
            while let Some(found) = rest.next_if(|found| found.group == group) {
                if found.shuts_out {
                    found.column.apply(Effect::ShutsOut, number, open);
                }
                if found.lets_through && asking.is_some() {
                    found.column.apply(Effect::LetsThrough, number, let_through);
                }
            }
            if let Some(asking) =
                asking.filter(|_| self.request || !probe.dimension.needs_request())
            {
                open.keep(asking, let_through);
            }
            if open.is_empty() {
                return false;
            }
        }
        true
    }
}
