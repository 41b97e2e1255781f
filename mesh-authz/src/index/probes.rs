//! Which parts of connections and requests find something.

use std::sync::Arc;

use super::probe::{Part, Probe};
use super::value::Value;
use crate::policy::Field;

/// The most lengths of one kind of part of one field: longer values are found by the beginning that
/// some other value has as well.
const LENGTHS: usize = 24;
/// The most probes: values of further names of headers and claims are not looked up.
const MOST: usize = 256;

/// The probes that find something, in order, each with the number of values it finds.
#[derive(Clone, Default)]
pub(super) struct Probes(Arc<Vec<(Probe, u32)>>);

impl Probes {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Probe> {
        self.0.iter().map(|(probe, _)| probe)
    }

    /// The probes, those of one field together.
    pub(super) fn groups(&self) -> impl Iterator<Item = &[(Probe, u32)]> {
        self.0.chunk_by(|(a, _), (b, _)| a.is_beside(b))
    }

    fn of(&self, field: &Field<'_>) -> &[(Probe, u32)] {
        let key = |probe: &Probe| {
            (probe.dimension, probe.name.as_str()).cmp(&(field.dimension, field.name))
        };
        let start = self.0.partition_point(|(probe, _)| key(probe).is_lt());
        let rest = self.0.get(start..).unwrap_or_default();
        let end = rest.partition_point(|(probe, _)| key(probe).is_eq());
        rest.get(..end).unwrap_or_default()
    }

    /// The part by which a value is to be found: all of it, unless there are so many lengths
    /// already that a shorter one must do. `None` when there is none.
    pub(super) fn place(&self, field: &Field<'_>, value: &Value<'_>) -> Option<Part> {
        let wanted = value.part();
        let own = self.of(field);
        let found = own.binary_search_by_key(&wanted, |(probe, _)| probe.part);
        if found.is_ok() {
            return Some(wanted);
        }
        let alike = own.iter().filter(|(probe, _)| is_alike(probe.part, wanted));
        if self.0.len() < MOST && alike.clone().count() < LENGTHS {
            return Some(wanted);
        }
        let mut shorter = alike.filter(|(probe, _)| probe.part < wanted);
        shorter.next_back().map(|(probe, _)| probe.part)
    }

    /// Every part by which a value may be found.
    pub(super) fn places(&self, field: &Field<'_>, value: &Value<'_>) -> Vec<Part> {
        let wanted = value.part();
        let own = self.of(field).iter().map(|(probe, _)| probe.part);
        own.filter(|part| *part == wanted || is_alike(*part, wanted) && *part < wanted)
            .collect()
    }

    pub(super) fn add(&mut self, field: &Field<'_>, part: Part) {
        let probe = Probe {
            dimension: field.dimension,
            name: field.name.into(),
            part,
        };
        let probes = Arc::make_mut(&mut self.0);
        match probes.binary_search_by(|(known, _)| known.cmp(&probe)) {
            Ok(at) => {
                if let Some((_, count)) = probes.get_mut(at) {
                    *count = count.saturating_add(1);
                }
            }
            Err(at) => probes.insert(at, (probe, 1)),
        }
    }

    pub(super) fn remove(&mut self, field: &Field<'_>, part: Part) {
        let probes = Arc::make_mut(&mut self.0);
        let at = probes.iter().position(|(probe, _)| {
            probe.dimension == field.dimension && probe.name == field.name && probe.part == part
        });
        let Some(at) = at else {
            return;
        };
        let Some((_, count)) = probes.get_mut(at) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            probes.remove(at);
        }
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
