//! The metrics of a proxy at one time.

use std::collections::BTreeMap;

/// Metrics in the text form of Prometheus.
pub(crate) struct Metrics(String);

impl Metrics {
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// The samples of a metric that have these labels.
    pub(crate) fn samples(
        &self,
        name: &str,
        having: &[(&str, &str)],
    ) -> Vec<(BTreeMap<&str, &str>, u64)> {
        let of_name = self.0.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?.strip_prefix('{')?;
            let (labels, value) = rest.rsplit_once("} ")?;
            Some((labels_of(labels), value.trim().parse().unwrap()))
        });
        of_name
            .filter(|(labels, _)| {
                having
                    .iter()
                    .all(|(name, value)| labels.get(name) == Some(value))
            })
            .collect()
    }

    /// The sum of the samples of a metric that have these labels.
    pub(crate) fn sum(&self, name: &str, having: &[(&str, &str)]) -> u64 {
        self.samples(name, having)
            .iter()
            .map(|(_, value)| value)
            .sum()
    }
}

/// Labels whose values need no escapes.
fn labels_of(text: &str) -> BTreeMap<&str, &str> {
    text.split("\",")
        .filter_map(|pair| pair.split_once("=\""))
        .map(|(name, value)| (name, value.trim_end_matches('"')))
        .collect()
}
