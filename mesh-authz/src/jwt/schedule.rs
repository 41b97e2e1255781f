//! When the keys of one source are fetched: decisions without a clock and without IO.

use std::time::{Duration, Instant};

use mesh_core::random::Random;

/// How often keys are fetched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RefreshPolicy {
    /// How long keys are fresh where the answer does not say it. Default: 300 s.
    pub ttl: Duration,
    /// The shortest and the longest freshness that an answer can give. Default: 60 s to 1 h.
    pub ttl_bounds: (Duration, Duration),
    /// The first and the longest pause after failures; it doubles. Default: 1 s to 5 min.
    pub back_off: (Duration, Duration),
    /// How long after a fetch a token with an unknown key can cause the next. Default: 30 s.
    pub unknown_key_pause: Duration,
    /// How long keys are used that could not be fetched again. Default: 24 h.
    pub stale_max: Duration,
    /// How many fetches go on at once. Default: 8.
    pub at_once: usize,
}

impl Default for RefreshPolicy {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(300),
            ttl_bounds: (Duration::from_secs(60), Duration::from_secs(3600)),
            back_off: (Duration::from_secs(1), Duration::from_secs(300)),
            unknown_key_pause: Duration::from_secs(30),
            stale_max: Duration::from_secs(24 * 3600),
            at_once: 8,
        }
    }
}

/// The times of one source.
#[derive(Debug)]
pub(super) struct Schedule {
    due: Instant,
    failures: u32,
    started: Option<Instant>,
}

impl Schedule {
    /// A source that is due at once.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            due: now,
            failures: 0,
            started: None,
        }
    }

    /// When the next fetch is due.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// A token came with a key that is not known. While fetches fail, they keep their pauses.
    pub(super) fn unknown_key(&mut self, policy: &RefreshPolicy, now: Instant) {
        if self.failures == 0 {
            let earliest = self
                .started
                .map_or(now, |last| last + policy.unknown_key_pause);
            self.due = self.due.min(earliest.max(now));
        }
    }

    pub(super) fn started(&mut self, now: Instant) {
        self.started = Some(now);
    }

    pub(super) fn succeeded(
        &mut self,
        max_age: Option<Duration>,
        policy: &RefreshPolicy,
        now: Instant,
        random: &mut dyn Random,
    ) {
        let (least, most) = policy.ttl_bounds;
        let ttl = max_age.map_or(policy.ttl, |age| age.max(least).min(most));
        self.failures = 0;
        self.due = now + jittered(ttl, random);
    }

    pub(super) fn failed(&mut self, policy: &RefreshPolicy, now: Instant, random: &mut dyn Random) {
        let (first, longest) = policy.back_off;
        let doubled = first.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1);
        self.due = now + jittered(doubled.min(longest), random);
    }
}

/// `length`, a tenth less to a tenth more.
fn jittered(length: Duration, random: &mut dyn Random) -> Duration {
    let tenth = length / 10;
    let span = u64::try_from(tenth.as_micros())
        .unwrap_or(u64::MAX)
        .saturating_mul(2);
    length - tenth + Duration::from_micros(random.below(span.saturating_add(1)))
}
