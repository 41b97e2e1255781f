//! Little for those that have just begun.

use std::time::Duration;

/// How the share of a host grows after it has become healthy.
///
/// Source: Envoy's `SlowStartConfig`; Istio's `DestinationRule.trafficPolicy.loadBalancer.warmup`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain settings")]
pub struct SlowStart {
    /// The time that it takes to get the full share.
    pub window: Duration,
    /// The share that a host begins with, in percent: 0.0..=100.0, default 10.
    pub min_percent: f64,
    /// 1 grows evenly; more is faster at first. Above 0, default 1.
    pub aggression: f64,
}

impl SlowStart {
    /// An even growth from a tenth within `window`.
    #[must_use]
    pub fn within(window: Duration) -> Self {
        Self {
            window,
            min_percent: 10.0,
            aggression: 1.0,
        }
    }

    /// The part of its weight that a host has after being healthy for `age`: above 0.0, at most 1.0.
    #[must_use]
    pub fn factor(&self, age: Duration) -> f64 {
        if age >= self.window || self.window.is_zero() {
            return 1.0;
        }
        let part = age.max(Duration::from_secs(1)).as_secs_f64() / self.window.as_secs_f64();
        let grown = part
            .min(1.0)
            .powf(1.0 / self.aggression.max(f64::MIN_POSITIVE));
        let least = (self.min_percent / 100.0).clamp(0.001, 1.0);
        if grown.is_nan() {
            least
        } else {
            grown.max(least)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_grows_from_its_least_to_the_whole() {
        let even = SlowStart::within(Duration::from_secs(100));
        let fast = SlowStart {
            aggression: 2.0,
            ..even
        };
        let cases = [
            ("at once", even, 0, 0.1),
            ("still below the least", even, 5, 0.1),
            ("half way", even, 50, 0.5),
            ("there", even, 100, 1.0),
            ("long there", even, 1_000, 1.0),
            ("a quarter, faster", fast, 25, 0.5),
            ("at once, faster: one second counts", fast, 0, 0.1),
        ];
        for (name, settings, seconds, factor) in cases {
            let got = settings.factor(Duration::from_secs(seconds));
            assert!((got - factor).abs() < 1e-9, "{name}: {got}");
        }
    }

    #[test]
    fn numbers_that_mean_nothing_starve_nobody() {
        let odd = SlowStart {
            window: Duration::from_secs(10),
            min_percent: -5.0,
            aggression: f64::NAN,
        };
        assert!(odd.factor(Duration::ZERO) > 0.0);
    }
}
