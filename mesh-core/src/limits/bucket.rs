//! How often something may happen.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The shortest interval between two fills.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(50);

/// What a [`TokenBucket`] holds and how it is filled.
///
/// Source: Envoy's `envoy.type.v3.TokenBucket`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct BucketSettings {
    max_tokens: u32,
    tokens_per_fill: u32,
    fill_interval: Duration,
}

/// Settings of a bucket that cannot be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidBucket {
    /// It could never hold a token.
    #[error("max_tokens is 0, expected at least 1")]
    NoTokens,
    /// It would never be filled.
    #[error("tokens_per_fill is 0, expected at least 1")]
    NeverFilled,
    /// It would be filled too often, or so seldom that time overflows.
    #[error("fill_interval is {0:?}, expected 50 ms to 365 days")]
    Interval(Duration),
}

impl BucketSettings {
    /// A bucket of at most `max_tokens` (1 or more) that gets `tokens_per_fill` (1 or more) in each
    /// `fill_interval` (50 ms to 365 days).
    ///
    /// # Errors
    /// [`InvalidBucket`] when a number is outside of its range.
    pub fn new(
        max_tokens: u32,
        tokens_per_fill: u32,
        fill_interval: Duration,
    ) -> Result<Self, InvalidBucket> {
        if max_tokens == 0 {
            return Err(InvalidBucket::NoTokens);
        }
        if tokens_per_fill == 0 {
            return Err(InvalidBucket::NeverFilled);
        }
        if fill_interval < SHORTEST_INTERVAL || fill_interval > Duration::from_hours(24 * 365) {
            return Err(InvalidBucket::Interval(fill_interval));
        }
        Ok(Self {
            max_tokens,
            tokens_per_fill,
            fill_interval,
        })
    }

    /// Tokens of a full bucket.
    #[must_use]
    pub fn max_tokens(&self) -> u32 {
        self.max_tokens
    }
}

/// Tokens that are taken one for each event, and come back in whole intervals. It starts full.
///
/// One atomic word and no timer: whoever asks fills it first. Several threads may ask at once.
///
/// ```
/// use std::time::{Duration, Instant};
/// use mesh_core::limits::{BucketSettings, TokenBucket};
///
/// let start = Instant::now();
/// let settings = BucketSettings::new(2, 1, Duration::from_secs(1))?;
/// let bucket = TokenBucket::new(settings, start);
/// assert!(bucket.take(start) && bucket.take(start) && !bucket.take(start));
/// assert!(bucket.take(start + Duration::from_secs(1)));
/// # Ok::<(), mesh_core::limits::InvalidBucket>(())
/// ```
#[derive(Debug)]
pub struct TokenBucket {
    settings: BucketSettings,
    start: Instant,
    /// Number of the interval of the last fill in the upper half, tokens in the lower.
    state: AtomicU64,
}

impl TokenBucket {
    /// A full bucket whose intervals are counted from `start`.
    #[must_use]
    pub fn new(settings: BucketSettings, start: Instant) -> Self {
        Self {
            settings,
            start,
            state: AtomicU64::new(pack(0, settings.max_tokens)),
        }
    }

    /// Its settings.
    #[must_use]
    pub fn settings(&self) -> &BucketSettings {
        &self.settings
    }

    /// Takes a token, if there is one at `now`.
    #[must_use]
    pub fn take(&self, now: Instant) -> bool {
        let interval = self.interval(now);
        self.state
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |state| {
                let (interval, tokens) = self.filled(state, interval);
                Some(pack(interval, tokens.checked_sub(1)?))
            })
            .is_ok()
    }

    /// The tokens that there are at `now`.
    #[must_use]
    pub fn remaining(&self, now: Instant) -> u32 {
        let state = self.state.load(Ordering::Relaxed);
        self.filled(state, self.interval(now)).1
    }

    /// The time from `now` until the next fill.
    #[must_use]
    pub fn until_fill(&self, now: Instant) -> Duration {
        let interval = self.settings.fill_interval.as_nanos();
        let passed = now.saturating_duration_since(self.start).as_nanos() % interval;
        Duration::from_nanos(u64::try_from(interval - passed).unwrap_or(u64::MAX))
    }

    /// Whole intervals since the start.
    fn interval(&self, now: Instant) -> u32 {
        let passed = now.saturating_duration_since(self.start).as_nanos();
        u32::try_from(passed / self.settings.fill_interval.as_nanos()).unwrap_or(u32::MAX)
    }

    /// The state after all fills up to `interval`. A clock of another thread may be behind.
    fn filled(&self, state: u64, interval: u32) -> (u32, u32) {
        let (last, tokens) = unpack(state);
        let fills = interval.saturating_sub(last);
        let more = self.settings.tokens_per_fill.saturating_mul(fills);
        let tokens = tokens.saturating_add(more).min(self.settings.max_tokens);
        (interval.max(last), tokens)
    }
}

fn pack(interval: u32, tokens: u32) -> u64 {
    (u64::from(interval) << 32) | u64::from(tokens)
}

fn unpack(state: u64) -> (u32, u32) {
    ((state >> 32) as u32, (state & u64::from(u32::MAX)) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_fill_is_whole_and_stops_at_the_brim() {
        let start = Instant::now();
        let bucket = TokenBucket::new(BucketSettings::new(5, 3, SECOND).unwrap(), start);
        for _ in 0..5 {
            assert!(bucket.take(start));
        }
        let cases = [
            ("just before a fill", 999, 0),
            ("after one", 1_000, 3),
            ("after two", 2_000, 5),
            ("after many", 60_000, 5),
        ];
        for (name, millis, tokens) in cases {
            let now = start + Duration::from_millis(millis);
            assert_eq!(bucket.remaining(now), tokens, "{name}");
        }
        assert_eq!(bucket.until_fill(start + SECOND / 4), SECOND * 3 / 4);
    }

    #[test]
    fn settings_outside_of_their_ranges_are_refused() {
        use InvalidBucket::{Interval, NeverFilled, NoTokens};
        let short = Duration::from_millis(49);
        let long = Duration::from_hours(24 * 366);
        assert_eq!(BucketSettings::new(0, 1, SECOND), Err(NoTokens));
        assert_eq!(BucketSettings::new(1, 0, SECOND), Err(NeverFilled));
        assert_eq!(BucketSettings::new(1, 1, short), Err(Interval(short)));
        assert_eq!(BucketSettings::new(1, 1, long), Err(Interval(long)));
    }

    #[test]
    fn a_clock_that_is_behind_takes_nothing_back() {
        let start = Instant::now();
        let bucket = TokenBucket::new(BucketSettings::new(1, 1, SECOND).unwrap(), start);
        assert!(bucket.take(start + SECOND * 5));
        assert!(!bucket.take(start));
        assert!(!bucket.take(start + SECOND * 5));
        assert!(bucket.take(start + SECOND * 6));
    }

    proptest! {
        #[test]
        fn no_more_is_taken_than_was_ever_filled(
            max in 1_u32..50,
            per_fill in 1_u32..20,
            steps in prop::collection::vec((0_u64..3_000, 1_usize..40), 1..40),
        ) {
            let start = Instant::now();
            let bucket = TokenBucket::new(BucketSettings::new(max, per_fill, SECOND).unwrap(), start);
            let mut now = start;
            let mut taken = 0_u64;
            for (millis, tries) in steps {
                now += Duration::from_millis(millis);
                taken += (0..tries).filter(|_| bucket.take(now)).count() as u64;
                let fills = (now - start).as_secs();
                prop_assert!(taken <= u64::from(max) + fills * u64::from(per_fill));
            }
        }
    }
}
