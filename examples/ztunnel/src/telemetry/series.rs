//! Counters of connections, interned per set of labels.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mesh_core::telemetry::{Connection, Traffic};
use parking_lot::RwLock;

use super::labels;

/// The most sets of labels that are kept; further ones are counted together.
///
/// At about 1 KiB each this bounds the memory at 20 MiB.
const MOST_SETS: usize = 20_000;

/// The counters of all connections with the same labels.
#[derive(Debug, Default)]
pub(super) struct Series {
    pub(super) opened: AtomicU64,
    pub(super) closed: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) traffic: Arc<Traffic>,
}

/// All counters of connections. Sets of labels are never forgotten, since counters never go back.
#[derive(Debug, Default)]
pub(super) struct SeriesTable {
    by_labels: RwLock<HashMap<Box<str>, Arc<Series>>>,
    /// Where connections are counted once there are too many sets of labels.
    overflow: Arc<Series>,
    /// Connections that were counted there.
    overflowed: AtomicU64,
}

impl SeriesTable {
    /// The counters for a connection that ended, or runs, with these response flags.
    ///
    /// Allocates only for labels that were not seen before.
    pub(super) fn of(&self, connection: &Connection, response_flags: &str) -> Arc<Series> {
        thread_local! {
            static LABELS: std::cell::RefCell<String> = const { std::cell::RefCell::new(String::new()) };
        }
        LABELS.with_borrow_mut(|text| {
            text.clear();
            labels::write(connection, response_flags, text);
            self.find(text, MOST_SETS)
        })
    }

    fn find(&self, labels: &str, most: usize) -> Arc<Series> {
        if let Some(series) = self.by_labels.read().get(labels) {
            return series.clone();
        }
        let mut by_labels = self.by_labels.write();
        if by_labels.len() >= most && !by_labels.contains_key(labels) {
            self.overflowed.fetch_add(1, Ordering::Relaxed);
            return self.overflow.clone();
        }
        by_labels.entry(labels.into()).or_default().clone()
    }

    /// How often labels were not kept because there are too many sets.
    pub(super) fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }

    /// All counters with their labels, in the order of the labels.
    pub(super) fn all(&self) -> Vec<(Box<str>, Arc<Series>)> {
        let mut all: Vec<_> = self
            .by_labels
            .read()
            .iter()
            .map(|(labels, series)| (labels.clone(), series.clone()))
            .collect();
        if self.overflowed() > 0 {
            all.push(("reporter=\"unknown\"".into(), self.overflow.clone()));
        }
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_labels_share_their_counters_and_the_number_of_sets_is_bounded() {
        let table = SeriesTable::default();
        let a = table.find("a", 2);
        let b = table.find("b", 2);
        assert!(Arc::ptr_eq(&a, &table.find("a", 2)) && !Arc::ptr_eq(&a, &b));
        let c = table.find("c", 2);
        assert!(Arc::ptr_eq(&c, &table.find("d", 2)));
        assert!(Arc::ptr_eq(&a, &table.find("a", 2)));
        assert_eq!(table.overflowed(), 2);
        let labels: Vec<_> = table.all().into_iter().map(|(labels, _)| labels).collect();
        assert_eq!(
            labels,
            ["a".into(), "b".into(), "reporter=\"unknown\"".into()] as [Box<str>; 3]
        );
    }
}
