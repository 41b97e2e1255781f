//! Which parts of connections and requests find something.

use std::sync::Arc;

use mesh_core::name::Name;

use super::probe::{Part, Probe};
use super::value::Value;
use crate::policy::Field;

mod packed;
mod short;

pub(super) use packed::FieldCode;
use packed::Packed;
use short::Short;

/// The most lengths of one kind of part of one field: longer values are found by the beginning that
/// some other value has as well.
const LENGTHS: usize = 24;
/// The most probes: values of further names of headers and claims are not looked up.
const MOST: usize = 256;
/// So many fields with names may be added one after the other once each has a [place](Probes::place): there
/// are numbers for all of them.
pub(super) const NAMED_AT_ONCE: usize = packed::NAMES - MOST;

/// The probes that find something, in order.
#[derive(Clone, Default)]
pub(super) struct Probes {
    list: Short,
    rest: Option<Arc<Rest>>,
}

/// What most look-ups do not read.
#[derive(Clone, Default)]
struct Rest {
    /// The number of values that each probe finds.
    counts: Vec<u32>,
    /// Names of headers and claims by number; an empty one is free.
    names: Vec<Name>,
}

impl Probes {
    pub(super) fn iter(&self) -> impl Iterator<Item = Probe<'_>> {
        self.list.as_slice().iter().map(|one| self.probe(*one))
    }

    /// The probes, those of one field together.
    pub(super) fn groups(&self) -> impl Iterator<Item = Group<'_>> {
        let groups = self.list.as_slice().chunk_by(|a, b| a.field() == b.field());
        groups.map(|list| Group { probes: self, list })
    }

    fn probe(&self, packed: Packed) -> Probe<'_> {
        let field = packed.field();
        let name = field.name().and_then(|number| {
            let rest = self.rest.as_ref()?;
            rest.names.get(number)
        });
        Probe {
            dimension: field.dimension(),
            name: name.map_or("", Name::as_str),
            part: packed.part(),
        }
    }

    /// What stands for a field while a probe is of it.
    pub(super) fn code(&self, field: &Field<'_>) -> Option<FieldCode> {
        if !field.dimension.is_named() {
            return Some(FieldCode::new(field.dimension));
        }
        let names = &self.rest.as_ref()?.names;
        let number = names.iter().position(|name| name == field.name)?;
        FieldCode::named(field.dimension, number)
    }

    fn of(&self, field: &Field<'_>) -> &[Packed] {
        let Some(code) = self.code(field) else {
            return &[];
        };
        let all = self.list.as_slice();
        let start = all.partition_point(|one| one.field() < code);
        let rest = all.get(start..).unwrap_or_default();
        let end = rest.partition_point(|one| one.field() == code);
        rest.get(..end).unwrap_or_default()
    }

    /// The part by which a value is to be found: all of it, unless there are so many lengths
    /// already that a shorter one must do. `None` when there is none.
    pub(super) fn place(&self, field: &Field<'_>, value: &Value<'_>) -> Option<Part> {
        let wanted = value.part();
        let own = self.of(field).iter().map(|one| one.part());
        if own.clone().any(|part| part == wanted) {
            return Some(wanted);
        }
        let alike = own.filter(|part| is_alike(*part, wanted));
        if self.list.as_slice().len() < MOST && alike.clone().count() < LENGTHS {
            return Some(wanted);
        }
        alike.rev().find(|part| *part < wanted)
    }

    /// Every part by which a value may be found.
    pub(super) fn places(&self, field: &Field<'_>, value: &Value<'_>) -> Vec<Part> {
        let wanted = value.part();
        let own = self.of(field).iter().map(|one| one.part());
        own.filter(|part| *part == wanted || is_alike(*part, wanted) && *part < wanted)
            .collect()
    }

    pub(super) fn add(&mut self, field: &Field<'_>, part: Part) {
        let rest = Arc::make_mut(self.rest.get_or_insert_default());
        let Some(code) = rest.take_code(field) else {
            return;
        };
        let new = Packed::new(code, part);
        match self.list.as_slice().binary_search(&new) {
            Ok(at) => {
                if let Some(count) = rest.counts.get_mut(at) {
                    *count = count.saturating_add(1);
                }
            }
            Err(at) => {
                self.list.insert(at, new);
                rest.counts.insert(at.min(rest.counts.len()), 1);
            }
        }
    }

    pub(super) fn remove(&mut self, field: &Field<'_>, part: Part) {
        let Some(code) = self.code(field) else {
            return;
        };
        let all = self.list.as_slice();
        let Ok(at) = all.binary_search(&Packed::new(code, part)) else {
            return;
        };
        let Some(rest) = self.rest.as_mut().map(Arc::make_mut) else {
            return;
        };
        let Some(count) = rest.counts.get_mut(at) else {
            return;
        };
        *count -= 1;
        if *count > 0 {
            return;
        }
        rest.counts.remove(at);
        self.list.remove(at);
        let number = code.name();
        let is_used = |one: &Packed| one.field().name() == number;
        if let Some(number) = number
            && !self.list.as_slice().iter().any(is_used)
            && let Some(name) = rest.names.get_mut(number)
        {
            *name = Name::default();
        }
        if self.list.as_slice().is_empty() {
            self.rest = None;
        }
    }
}

impl Rest {
    /// What stands for a field, which is given a number if it has none.
    fn take_code(&mut self, field: &Field<'_>) -> Option<FieldCode> {
        if !field.dimension.is_named() {
            return Some(FieldCode::new(field.dimension));
        }
        let known = self.names.iter().position(|name| name == field.name);
        let number = known.or_else(|| self.names.iter().position(|name| name.is_empty()));
        let number = number.unwrap_or(self.names.len());
        let code = FieldCode::named(field.dimension, number)?;
        if known.is_none() {
            let name = Name::from(field.name);
            match self.names.get_mut(number) {
                Some(free) => *free = name,
                None => self.names.push(name),
            }
        }
        Some(code)
    }
}

/// The probes of one field.
#[derive(Clone, Copy)]
pub(super) struct Group<'p> {
    probes: &'p Probes,
    list: &'p [Packed],
}

impl<'p> Group<'p> {
    /// What stands for the field.
    pub(super) fn code(&self) -> FieldCode {
        // Invariant: there is a first one.
        let first = self.list.first();
        first.map_or(FieldCode::default(), |first| first.field())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Probe<'p>> + use<'p> {
        let probes = self.probes;
        self.list.iter().map(|one| probes.probe(*one))
    }
}

/// Whether both are the same kind of part with lengths.
fn is_alike(a: Part, b: Part) -> bool {
    matches!(
        (a, b),
        (Part::First(_), Part::First(_))
            | (Part::Last(_), Part::Last(_))
            | (Part::Bits4(_), Part::Bits4(_))
            | (Part::Bits6(_), Part::Bits6(_))
    )
}
