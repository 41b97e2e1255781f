//! What the control plane has said it does not have.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

/// How long such an answer counts. What comes to be meanwhile is not seen for so long, unless the
/// control plane tells of it by itself.
const TIME: Duration = Duration::from_secs(2);
/// The most names that are remembered; the oldest make room.
const MOST: usize = 1024;

/// Names that the control plane has no resource of, for 2 s each and at most 1024.
///
/// It spares connections to destinations outside of the mesh a question each.
#[derive(Debug, Default)]
pub(super) struct Absent {
    until: HashMap<String, Instant>,
    /// In the order in which their time ends.
    oldest: VecDeque<String>,
}

impl Absent {
    /// Whether the control plane said a short while ago that there is no such resource.
    pub(super) fn has(&self, name: &str, now: Instant) -> bool {
        self.until.get(name).is_some_and(|until| now < *until)
    }

    /// The control plane has just said that there is no such resource.
    pub(super) fn add(&mut self, name: String, now: Instant) {
        while let Some(oldest) = self.oldest.front()
            && (self.oldest.len() >= MOST || !self.has(oldest, now))
        {
            if let Some(oldest) = self.oldest.pop_front() {
                self.until.remove(&oldest);
            }
        }
        if self.until.contains_key(&name) {
            return;
        }
        self.oldest.push_back(name.clone());
        self.until.insert(name, now + TIME);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_for_its_time_and_can_be_given_again() {
        let mut absent = Absent::default();
        let now = Instant::now();
        assert!(!absent.has("a", now));
        absent.add("a".into(), now);
        assert!(absent.has("a", now));
        let last = now + TIME - Duration::from_nanos(1);
        assert!(absent.has("a", last));
        // Saying it again while it counts does not prolong it.
        absent.add("a".into(), last);
        assert!(!absent.has("a", now + TIME));
        absent.add("a".into(), now + TIME);
        assert!(absent.has("a", now + TIME));
    }

    #[test]
    fn no_more_names_are_remembered_than_allowed_and_the_oldest_go_first() {
        let mut absent = Absent::default();
        let now = Instant::now();
        for number in 0..=MOST {
            absent.add(number.to_string(), now);
        }
        assert_eq!((absent.until.len(), absent.oldest.len()), (MOST, MOST));
        assert!(!absent.has("0", now));
        assert!(absent.has("1", now) && absent.has(&MOST.to_string(), now));
        absent.add("later".into(), now + TIME);
        assert_eq!(absent.until.len(), 1);
    }
}
