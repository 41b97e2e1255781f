//! How long to wait before the next attempt.

use std::time::Duration;

use crate::random::Random;

/// Pauses between attempts: each is drawn evenly from 0 to a bound that doubles.
///
/// Before retry *k*, counted from 1, the bound is `min(base * 2^(k-1), max)`. With `floor` set, as the
/// Gateway API's `retry.backoff` asks, the pause is that much longer.
///
/// Source: Envoy's `RetryPolicy.RetryBackOff`; GEP-1731.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Backoff {
    base: Duration,
    max: Duration,
    floor: Duration,
}

/// A back-off that cannot be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidBackoff {
    /// The first bound is 0.
    #[error("the base interval is 0, expected at least 1 ms")]
    Zero,
    /// The last bound is below the first.
    #[error("the maximum interval {max:?} is below the base interval {base:?}")]
    MaxBelowBase {
        /// The first bound.
        base: Duration,
        /// The last bound.
        max: Duration,
    },
}

/// Envoy's: 25 ms, and ten times that at most.
impl Default for Backoff {
    fn default() -> Self {
        Self {
            base: Duration::from_millis(25),
            max: Duration::from_millis(250),
            floor: Duration::ZERO,
        }
    }
}

impl Backoff {
    /// Bounds from `base` (at least 1 ms) to `max`, by default ten times `base`.
    ///
    /// # Errors
    /// [`InvalidBackoff`] when `base` is below 1 ms or `max` is below `base`.
    pub fn new(base: Duration, max: Option<Duration>) -> Result<Self, InvalidBackoff> {
        if base < Duration::from_millis(1) {
            return Err(InvalidBackoff::Zero);
        }
        let max = max.unwrap_or(base.saturating_mul(10));
        if max < base {
            return Err(InvalidBackoff::MaxBelowBase { base, max });
        }
        Ok(Self {
            base,
            max,
            floor: Duration::ZERO,
        })
    }

    /// The same with a shortest pause, to which the drawn one is added.
    #[must_use]
    pub fn at_least(self, floor: Duration) -> Self {
        Self { floor, ..self }
    }

    /// The longest pause before retry `retry`, counted from 1.
    #[must_use]
    pub fn bound(&self, retry: u32) -> Duration {
        let doublings = retry.saturating_sub(1).min(31);
        let bound = self.base.saturating_mul(1 << doublings).min(self.max);
        self.floor.saturating_add(bound)
    }

    /// The pause before retry `retry`, counted from 1.
    #[must_use]
    pub fn pause(&self, retry: u32, random: &mut impl Random) -> Duration {
        let drawn = self.bound(retry).saturating_sub(self.floor).as_nanos();
        let drawn = random.below(u64::try_from(drawn).unwrap_or(u64::MAX));
        self.floor.saturating_add(Duration::from_nanos(drawn))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cumulative bounds as measured with Envoy 1.40: 25, 75, 175, 375 ms.
    #[test]
    fn bounds_double_up_to_ten_times_the_base() {
        let backoff = Backoff::default();
        let mut sum = Duration::ZERO;
        let sums = [25, 75, 175, 375, 625, 875];
        for (retry, millis) in (1..).zip(sums) {
            sum += backoff.bound(retry);
            assert_eq!(sum, Duration::from_millis(millis), "retry {retry}");
        }
        assert_eq!(backoff.bound(u32::MAX), Duration::from_millis(250));
    }

    #[test]
    fn a_pause_is_drawn_between_the_floor_and_the_bound() {
        let floor = Duration::from_millis(100);
        let backoff = Backoff::default().at_least(floor);
        let mut lowest = || 0;
        let mut highest = || u64::MAX;
        assert_eq!(backoff.pause(2, &mut lowest), floor);
        let longest = backoff.pause(2, &mut highest);
        assert!(longest < Duration::from_millis(150) && longest > Duration::from_micros(149_999));
    }

    #[test]
    fn intervals_that_cannot_be_are_refused() {
        let second = Duration::from_secs(1);
        let below = Duration::from_micros(999);
        assert_eq!(Backoff::new(below, None), Err(InvalidBackoff::Zero));
        let error = InvalidBackoff::MaxBelowBase {
            base: second,
            max: below,
        };
        assert_eq!(Backoff::new(second, Some(below)), Err(error));
    }
}
