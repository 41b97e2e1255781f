//! From samples to figures: percentiles, medians, spreads.

use std::time::Duration;

/// The middle of several rounds, and how far apart they were.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Summary {
    /// The median of the rounds; the mean of the two middle ones when their number is even.
    pub median: f64,
    /// The smallest round.
    pub low: f64,
    /// The largest round.
    pub high: f64,
}

impl Summary {
    /// Summarises `rounds`; `None` when there is none, or one is not a number.
    #[must_use]
    pub fn of(rounds: &[f64]) -> Option<Self> {
        if rounds.iter().any(|round| !round.is_finite()) {
            return None;
        }
        let mut sorted = rounds.to_vec();
        sorted.sort_by(f64::total_cmp);
        let upper = sorted.get(sorted.len() / 2)?;
        let lower = sorted.get((sorted.len() - 1) / 2)?;
        Some(Self {
            median: f64::midpoint(*lower, *upper),
            low: *sorted.first()?,
            high: *sorted.last()?,
        })
    }

    /// Half of the distance between the extremes, as a part of the median: 0.05 means "± 5 %".
    #[must_use]
    pub fn spread(&self) -> f64 {
        (self.high - self.low) / 2.0 / self.median
    }
}

/// The value below which `percent` (0 to 100) of `sorted` lie, by the nearest-rank method; zero when empty.
#[must_use]
pub fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_the_middle_round_or_between_the_two_middle_rounds() {
        let cases: [(&str, &[f64], f64); 3] = [
            ("one", &[3.0], 3.0),
            ("odd, unsorted", &[9.0, 1.0, 2.0], 2.0),
            ("even", &[1.0, 2.0, 4.0, 9.0], 3.0),
        ];
        for (name, rounds, median) in cases {
            assert_eq!(Summary::of(rounds).unwrap().median, median, "{name}");
        }
        assert_eq!(Summary::of(&[]), None);
        assert_eq!(Summary::of(&[f64::NAN]), None);
    }

    #[test]
    fn spread_is_half_of_the_range_relative_to_the_median() {
        assert_eq!(Summary::of(&[9.0, 10.0, 11.0]).unwrap().spread(), 0.1);
    }

    #[test]
    fn percentiles_follow_the_nearest_rank() {
        let sorted: Vec<_> = (1..=10).map(Duration::from_millis).collect();
        let cases = [(50, 5), (90, 9), (99, 10), (100, 10), (0, 1)];
        for (percent, milliseconds) in cases {
            assert_eq!(
                percentile(&sorted, percent),
                Duration::from_millis(milliseconds),
                "{percent}"
            );
        }
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }
}
