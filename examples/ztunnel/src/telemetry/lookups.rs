//! How often connections waited for a host name to be looked up.

use std::collections::BTreeMap;

use mesh_core::model::Workload;
use parking_lot::Mutex;

use super::labels;
use mesh_core::exposition::{Kind, Writer};

/// The most sets of labels that are kept: applications choose host names.
const MOST_SETS: usize = 1000;

/// How often names were looked up, by the text form of the labels.
#[derive(Debug, Default)]
pub(super) struct Lookups(Mutex<BTreeMap<Box<str>, u64>>);

impl Lookups {
    pub(super) fn count(&self, source: Option<&Workload>, name: &str) {
        let mut labels = String::new();
        labels::write_lookup(source, name, &mut labels);
        let mut counts = self.0.lock();
        if let Some(count) = counts.get_mut(labels.as_str()) {
            *count += 1;
            return;
        }
        if counts.len() >= MOST_SETS {
            labels.clear();
            labels::write_lookup(source, "other", &mut labels);
        }
        *counts.entry(labels.into()).or_default() += 1;
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.metric(
            "istio_on_demand_dns",
            Kind::Counter,
            "The total number of connections that waited for a host name to be looked up (unstable).",
            self.0.lock().iter(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_names_is_bounded() {
        let lookups = Lookups::default();
        for n in 0..MOST_SETS + 5 {
            lookups.count(None, &format!("host-{n}"));
        }
        lookups.count(None, "host-0");
        let counts = lookups.0.lock();
        let of = |name: &str| {
            let named = format!("hostname=\"{name}\"");
            let found = counts.iter().find(|(labels, _)| labels.ends_with(&named));
            found.map(|(_, count)| *count)
        };
        assert_eq!((of("host-0"), of("other")), (Some(2), Some(5)));
        assert_eq!(counts.len(), MOST_SETS + 1);
    }
}
