//! A bound on how many lines per second peers can cause.

use std::sync::atomic::{AtomicU64, Ordering};

/// Lets so many events of each second through.
#[derive(Debug)]
pub(super) struct PerSecond {
    most: u32,
    /// The second in the upper half, events of that second in the lower half.
    state: AtomicU64,
}

impl PerSecond {
    pub(super) const fn new(most: u32) -> Self {
        Self {
            most,
            state: AtomicU64::new(0),
        }
    }

    /// Whether an event at this second is let through.
    pub(super) fn admit(&self, second: u32) -> bool {
        let start = u64::from(second) << 32;
        let next = |state: u64| {
            let count = if state & !0xffff_ffff == start {
                state & 0xffff_ffff
            } else {
                0
            };
            (count < u64::from(self.most)).then_some(start | (count + 1))
        };
        self.state
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_its_own_allowance() {
        let rate = PerSecond::new(2);
        let admitted: Vec<_> = [7, 7, 7, 7, 8, 8, 8, 10].map(|s| rate.admit(s)).to_vec();
        assert_eq!(
            admitted,
            [true, true, false, false, true, true, false, true]
        );
    }
}
