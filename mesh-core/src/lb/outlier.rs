//! Hosts that fail, and for how long they are out.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

mod window;

pub use window::{FailurePercentage, SuccessRate};
pub(super) use window::{Rates, outliers};

/// How hosts that fail are found and taken out. The default is Istio's.
///
/// Consecutive failures act at once; rates, and the return of hosts, wait for the next sweep.
///
/// Source: Envoy's `OutlierDetection`; Istio's `DestinationRule.trafficPolicy.outlierDetection`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OutlierDetection {
    /// Failures in a row of any kind that take a host out; default 5, `None` for never.
    pub consecutive_5xx: Option<u32>,
    /// Answers of status 502, 503 and 504, and failures to connect, in a row; default never.
    pub consecutive_gateway: Option<u32>,
    /// Failures to get an answer in a row, counted apart from answers; default together with them.
    pub consecutive_local: Option<u32>,
    /// Time between sweeps; default 10 s.
    pub interval: Duration,
    /// Time that a host is out, times the number of times that it was; default 30 s.
    pub base_ejection: Duration,
    /// The longest time that a host is out; default 300 s, at least `base_ejection`.
    pub max_ejection: Duration,
    /// Up to this much is added by chance; default 0.
    pub jitter: Duration,
    /// Hosts that may be out at once, in percent, 0..=100; default 10.
    pub max_percent: u32,
    /// What becomes of a cluster so small that `max_percent` of it is less than one host.
    pub small_fleet: SmallFleet,
    /// Hosts whose share of successes is far below the others'; default not looked at.
    pub success_rate: Option<SuccessRate>,
    /// Hosts whose share of failures is too high; default not looked at.
    pub failure_percentage: Option<FailurePercentage>,
}

/// What becomes of a cluster so small that the percentage of hosts that may be out is less than one.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are two")]
pub enum SmallFleet {
    /// Nothing is ever taken out, as in Envoy by default: with three hosts and 10 percent, none.
    #[default]
    Never,
    /// One host may be out, as `always_eject_one_host`.
    One,
}

impl Default for OutlierDetection {
    fn default() -> Self {
        Self {
            consecutive_5xx: Some(5),
            consecutive_gateway: None,
            consecutive_local: None,
            interval: Duration::from_secs(10),
            base_ejection: Duration::from_secs(30),
            max_ejection: Duration::from_secs(300),
            jitter: Duration::ZERO,
            max_percent: 10,
            small_fleet: SmallFleet::default(),
            success_rate: None,
            failure_percentage: None,
        }
    }
}

/// How an attempt at a host ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "all that is told apart")]
pub enum Event {
    /// It answered as it should, or a connection was made.
    Success,
    /// It answered with an error of its own: status 500 and above, but for the next.
    Error,
    /// It answered that something behind it failed: 502, 503, 504.
    Gateway,
    /// It did not answer: no connection, a reset, a timeout.
    NoAnswer,
}

impl Event {
    /// What the status of an answer says.
    #[must_use]
    pub fn of_status(status: u16) -> Self {
        match status {
            502..=504 => Self::Gateway,
            500.. => Self::Error,
            _ => Self::Success,
        }
    }
}

/// What is counted of one host.
#[derive(Debug, Default)]
pub(super) struct Counters {
    any: AtomicU32,
    gateway: AtomicU32,
    local: AtomicU32,
    successes: AtomicU32,
    total: AtomicU32,
    /// Times that it was out, less one for each interval that it was not.
    ejections: AtomicU32,
    /// Milliseconds after the cluster's epoch until which it is out, 0 when it is not.
    out_until: AtomicU64,
}

impl Counters {
    /// Counts an event. Whether a threshold is reached.
    pub(super) fn count(&self, event: Event, settings: &OutlierDetection) -> bool {
        self.total.fetch_add(1, Ordering::Relaxed);
        let apart = settings.consecutive_local.is_some();
        let reached = |counter: &AtomicU32, threshold: Option<u32>| {
            let count = counter.fetch_add(1, Ordering::Relaxed) + 1;
            threshold.is_some_and(|threshold| count >= threshold.max(1))
        };
        match event {
            Event::Success => {
                self.successes.fetch_add(1, Ordering::Relaxed);
                self.forget_in_a_row();
                false
            }
            // Where it is counted apart, no answer says nothing about answers.
            Event::NoAnswer if apart => reached(&self.local, settings.consecutive_local),
            Event::Error => {
                self.local.store(0, Ordering::Relaxed);
                self.gateway.store(0, Ordering::Relaxed);
                reached(&self.any, settings.consecutive_5xx)
            }
            Event::Gateway | Event::NoAnswer => {
                self.local.store(0, Ordering::Relaxed);
                let gateway = reached(&self.gateway, settings.consecutive_gateway);
                reached(&self.any, settings.consecutive_5xx) || gateway
            }
        }
    }

    /// Takes the host out. How long it is out.
    pub(super) fn eject(
        &self,
        settings: &OutlierDetection,
        now: u64,
        jitter: Duration,
    ) -> Duration {
        let times = self
            .ejections
            .fetch_add(1, Ordering::Relaxed)
            .saturating_add(1);
        let longest = settings.max_ejection.max(settings.base_ejection);
        let time = settings.base_ejection.saturating_mul(times).min(longest);
        let time = time.saturating_add(jitter.min(settings.jitter));
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let until = now.saturating_add(millis).max(1);
        self.out_until.store(until, Ordering::Relaxed);
        time
    }

    /// Lets the host in again when its time is over. Whether it came in.
    pub(super) fn sweep(&self, now: u64) -> bool {
        match self.out_until.load(Ordering::Relaxed) {
            0 => {
                let ordering = Ordering::Relaxed;
                let fewer = |times: u32| times.checked_sub(1);
                let _ = self.ejections.fetch_update(ordering, ordering, fewer);
                false
            }
            until if now >= until => {
                self.admit();
                true
            }
            _ => false,
        }
    }

    /// Lets the host in.
    pub(super) fn admit(&self) {
        self.forget_in_a_row();
        self.out_until.store(0, Ordering::Relaxed);
    }

    pub(super) fn is_ejected(&self) -> bool {
        self.out_until.load(Ordering::Relaxed) != 0
    }

    /// Successes and all attempts since the last time that this was asked.
    pub(super) fn take_window(&self) -> (u32, u32) {
        let total = self.total.swap(0, Ordering::Relaxed);
        (self.successes.swap(0, Ordering::Relaxed).min(total), total)
    }

    fn forget_in_a_row(&self) {
        for counter in [&self.any, &self.gateway, &self.local] {
            counter.store(0, Ordering::Relaxed);
        }
    }
}

/// Whether one more of `total` hosts may be out when `ejected` are.
pub(super) fn may_eject(settings: &OutlierDetection, ejected: usize, total: usize) -> bool {
    let within = (ejected as u64 + 1) * 100 <= u64::from(settings.max_percent) * total as u64;
    within || (settings.small_fleet == SmallFleet::One && ejected == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(settings: &OutlierDetection, events: &[Event]) -> Vec<bool> {
        let counters = Counters::default();
        events
            .iter()
            .map(|event| counters.count(*event, settings))
            .collect()
    }

    #[test]
    fn failures_count_only_in_a_row_and_each_for_what_it_is() {
        use Event::{Error, Gateway, NoAnswer, Success};
        let any = OutlierDetection {
            consecutive_5xx: Some(3),
            ..OutlierDetection::default()
        };
        let gateway = OutlierDetection {
            consecutive_5xx: None,
            consecutive_gateway: Some(2),
            ..any.clone()
        };
        let apart = OutlierDetection {
            consecutive_local: Some(2),
            ..any.clone()
        };
        let cases: [(&str, &OutlierDetection, &[Event], bool); 8] = [
            ("any three", &any, &[Error, Gateway, NoAnswer], true),
            (
                "a success between",
                &any,
                &[Error, Error, Success, Error, Error],
                false,
            ),
            ("two of a gateway", &gateway, &[Gateway, NoAnswer], true),
            (
                "an error of its own between",
                &gateway,
                &[Gateway, Error, Gateway],
                false,
            ),
            (
                "errors of its own only",
                &gateway,
                &[Error, Error, Error],
                false,
            ),
            ("no answers, apart", &apart, &[NoAnswer, NoAnswer], true),
            (
                "apart, they are no errors",
                &apart,
                &[Error, NoAnswer, Error],
                false,
            ),
            (
                "apart, errors count on",
                &apart,
                &[Error, NoAnswer, Error, Error],
                true,
            ),
        ];
        for (name, settings, list, last) in cases {
            assert_eq!(events(settings, list).last(), Some(&last), "{name}");
        }
    }

    #[test]
    fn each_time_out_is_longer_until_the_longest() {
        let settings = OutlierDetection::default();
        let counters = Counters::default();
        let mut now = 0;
        for seconds in [30, 60, 90] {
            let time = counters.eject(&settings, now, Duration::ZERO);
            assert_eq!(time, Duration::from_secs(seconds));
            let back = now + seconds * 1_000;
            assert!(!counters.sweep(back - 1) && counters.is_ejected());
            assert!(counters.sweep(back) && !counters.is_ejected());
            now = back;
        }
        for _ in 0..20 {
            let _ = counters.eject(&settings, now, Duration::ZERO);
        }
        let longest = counters.eject(&settings, now, Duration::from_secs(9));
        assert_eq!(
            longest,
            Duration::from_secs(300),
            "jitter is off by default"
        );
    }

    #[test]
    fn intervals_within_make_the_next_time_shorter() {
        let settings = OutlierDetection::default();
        let counters = Counters::default();
        let _ = counters.eject(&settings, 0, Duration::ZERO);
        assert!(counters.sweep(30_000));
        assert!(!counters.sweep(40_000), "one interval within");
        let time = counters.eject(&settings, 40_000, Duration::ZERO);
        assert_eq!(time, Duration::from_secs(30));
    }

    /// Measured with Envoy 1.40: three hosts with 10 percent are never taken out, with 34 one is.
    #[test]
    fn the_quota_is_strict_but_for_small_fleets_that_ask() {
        let percent = |max_percent, small_fleet| OutlierDetection {
            max_percent,
            small_fleet,
            ..OutlierDetection::default()
        };
        let cases = [
            (percent(10, SmallFleet::Never), 0, 3, false),
            (percent(34, SmallFleet::Never), 0, 3, true),
            (percent(34, SmallFleet::Never), 1, 3, false),
            (percent(10, SmallFleet::Never), 0, 10, true),
            (percent(10, SmallFleet::Never), 1, 10, false),
            (percent(10, SmallFleet::One), 0, 3, true),
            (percent(10, SmallFleet::One), 1, 3, false),
            (percent(100, SmallFleet::Never), 2, 3, true),
        ];
        for (settings, ejected, total, may) in cases {
            assert_eq!(
                may_eject(&settings, ejected, total),
                may,
                "{ejected} of {total}"
            );
        }
    }

    #[test]
    fn statuses_are_events() {
        let cases = [
            (200, Event::Success),
            (404, Event::Success),
            (499, Event::Success),
            (500, Event::Error),
            (501, Event::Error),
            (502, Event::Gateway),
            (504, Event::Gateway),
            (505, Event::Error),
        ];
        for (status, event) in cases {
            assert_eq!(Event::of_status(status), event, "{status}");
        }
    }
}
