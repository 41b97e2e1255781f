//! Sets of labels, each known by a number.

use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::Mutex;

/// The number of a set of labels: dense, from 0. Number 0 is where further ones are counted once there are
/// too many.
pub(super) type Number = u32;

/// All sets of labels that are told apart. They are never forgotten, since counters never go back.
#[derive(Debug)]
pub(super) struct Series {
    most: usize,
    sets: Mutex<Sets>,
}

#[derive(Debug, Default)]
struct Sets {
    numbers: HashMap<Arc<str>, Number, foldhash::fast::RandomState>,
    labels: Vec<Arc<str>>,
    overflowed: u64,
}

impl Series {
    /// At most this many are told apart; what is counted for others has the labels `overflow`.
    pub(super) fn new(most: usize, overflow: String) -> Self {
        let sets = Sets {
            labels: vec![overflow.into()],
            ..Sets::default()
        };
        Self {
            most,
            sets: Mutex::new(sets),
        }
    }

    /// The number of labels.
    pub(super) fn number(&self, labels: &str) -> Number {
        let mut sets = self.sets.lock();
        if let Some(number) = sets.numbers.get(labels) {
            return *number;
        }
        let next = Number::try_from(sets.labels.len()).unwrap_or(0);
        if sets.numbers.len() >= self.most || next == 0 {
            sets.overflowed += 1;
            return 0;
        }
        let labels: Arc<str> = labels.into();
        sets.numbers.insert(labels.clone(), next);
        sets.labels.push(labels);
        next
    }

    /// How often labels were not kept because there are too many.
    pub(super) fn overflowed(&self) -> u64 {
        self.sets.lock().overflowed
    }

    /// All labels, in the order of their numbers.
    pub(super) fn labels(&self) -> Vec<Arc<str>> {
        self.sets.lock().labels.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_labels_have_one_number_and_what_is_too_much_has_number_0() {
        let series = Series::new(2, "overflow".to_owned());
        assert_eq!([series.number("a"), series.number("b")], [1, 2]);
        assert_eq!([series.number("c"), series.number("d")], [0, 0]);
        assert_eq!([series.number("b"), series.number("a")], [2, 1]);
        assert_eq!(series.overflowed(), 2);
        let labels = series.labels();
        let labels: Vec<&str> = labels.iter().map(|labels| &**labels).collect();
        assert_eq!(labels, ["overflow", "a", "b"]);
    }
}
