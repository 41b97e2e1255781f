//! How long a host takes, of late.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a host costs before it has answered.
const START: Duration = Duration::from_millis(30);
/// The time in which what was measured loses its weight.
const DECAY: f64 = 10_000.0;

/// A peak-sensitive moving average of latencies: it jumps up with a slow answer and comes down slowly.
///
/// Cost (seconds, `f32`) and time (milliseconds since an epoch of the owner) share one word.
#[derive(Debug)]
pub(super) struct PeakEwma(AtomicU64);

impl Default for PeakEwma {
    fn default() -> Self {
        Self(AtomicU64::new(pack(START.as_secs_f32(), 0)))
    }
}

impl PeakEwma {
    /// Takes an answer into account that came at `now` (milliseconds) after `latency`.
    pub(super) fn observe(&self, latency: Duration, now: u32) {
        let latency = latency.as_secs_f32();
        let update = |state| {
            let (cost, at) = unpack(state);
            let cost = if latency > cost {
                latency
            } else {
                let keep = weight(passed(at, now));
                cost * keep + latency * (1.0 - keep)
            };
            Some(pack(cost, at.wrapping_add(passed(at, now))))
        };
        let ordering = Ordering::Relaxed;
        let _ = self.0.fetch_update(ordering, ordering, update);
    }

    /// The cost of one more request at `now` while `active` are there: seconds.
    pub(super) fn cost(&self, active: u32, now: u32) -> f32 {
        let (cost, at) = unpack(self.0.load(Ordering::Relaxed));
        cost * weight(passed(at, now)) * (active as f32 + 1.0)
    }
}

/// Milliseconds from `at` to `now`, which begin anew every 49 days; 0 when `now` is a little earlier.
fn passed(at: u32, now: u32) -> u32 {
    let passed = now.wrapping_sub(at);
    let behind = at.wrapping_sub(now);
    if behind < 60_000 { 0 } else { passed }
}

/// What is left of a measurement after some milliseconds.
fn weight(millis: u32) -> f32 {
    (-f64::from(millis) / DECAY).exp() as f32
}

fn pack(cost: f32, millis: u32) -> u64 {
    (u64::from(cost.to_bits()) << 32) | u64::from(millis)
}

fn unpack(state: u64) -> (f32, u32) {
    let millis = (state & u64::from(u32::MAX)) as u32;
    (f32::from_bits((state >> 32) as u32), millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_begins_anew_goes_on() {
        let ewma = PeakEwma::default();
        ewma.observe(Duration::ZERO, u32::MAX / 2);
        ewma.observe(Duration::from_secs(1), u32::MAX - 4_999);
        assert!((ewma.cost(0, 5_000) - 0.367_88).abs() < 1e-4);
        assert!(
            (ewma.cost(0, u32::MAX - 6_000) - 1.0).abs() < 1e-6,
            "a clock that is behind"
        );
    }

    #[test]
    fn a_peak_counts_at_once_and_goes_slowly() {
        let ewma = PeakEwma::default();
        assert!((ewma.cost(0, 0) - 0.03).abs() < 1e-6);
        ewma.observe(Duration::from_secs(1), 0);
        assert!((ewma.cost(0, 0) - 1.0).abs() < 1e-6);
        assert!((ewma.cost(2, 0) - 3.0).abs() < 1e-5, "two are active");
        // After ten seconds 1/e of it is left, and a new answer weighs the rest.
        assert!((ewma.cost(0, 10_000) - 0.367_88).abs() < 1e-4);
        ewma.observe(Duration::ZERO, 10_000);
        assert!((ewma.cost(0, 10_000) - 0.367_88).abs() < 1e-4);
        ewma.observe(Duration::ZERO, 10_000);
        assert!(
            (ewma.cost(0, 10_000) - 0.367_88).abs() < 1e-4,
            "no time has passed"
        );
    }
}
