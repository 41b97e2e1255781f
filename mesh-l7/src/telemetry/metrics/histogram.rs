//! Counts of values by their size.

use std::time::Duration;

use mesh_core::exposition::Buckets;

/// Upper bounds of the buckets: Envoy's, for milliseconds and bytes alike.
pub(super) const BOUNDS: [f64; 19] = [
    0.5,
    1.0,
    5.0,
    10.0,
    25.0,
    50.0,
    100.0,
    250.0,
    500.0,
    1_000.0,
    2_500.0,
    5_000.0,
    10_000.0,
    30_000.0,
    60_000.0,
    300_000.0,
    600_000.0,
    1_800_000.0,
    3_600_000.0,
];

/// The bounds in thousandths, so that values are compared as whole numbers.
const THOUSANDTHS: [u64; 19] = [
    500,
    1_000,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
    600_000_000,
    1_800_000_000,
    3_600_000_000,
];

/// How many values were in each bucket, and their sum in thousandths.
#[derive(Clone, Debug, Default)]
pub(super) struct Histogram {
    counts: [u64; 20],
    sum: u128,
}

impl Histogram {
    /// Counts a time, in milliseconds.
    pub(super) fn time(&mut self, time: Duration) {
        self.count(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// Counts a number of bytes.
    pub(super) fn bytes(&mut self, bytes: u64) {
        self.count(bytes.saturating_mul(1_000));
    }

    fn count(&mut self, thousandths: u64) {
        let bucket = THOUSANDTHS.partition_point(|bound| *bound < thousandths);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.sum += u128::from(thousandths);
    }

    /// Adds what another one counted.
    pub(super) fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.sum += other.sum;
    }

    pub(super) fn buckets(&self) -> Buckets<'_> {
        Buckets {
            bounds: &BOUNDS,
            counts: &self.counts,
            sum: self.sum as f64 / 1_000.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousandths_are_those_of_the_bounds() {
        for (bound, thousandths) in BOUNDS.into_iter().zip(THOUSANDTHS) {
            assert_eq!(thousandths as f64 / 1_000.0, bound);
        }
    }

    #[test]
    fn a_value_is_in_the_bucket_whose_bound_is_not_below_it() {
        for (micros, bucket) in [
            (0, 0),
            (500, 0),
            (501, 1),
            (1_000, 1),
            (5_000, 2),
            (5_001, 3),
            (3_600_000_000, 18),
            (3_600_000_001, 19),
            (u64::MAX, 19),
        ] {
            let mut histogram = Histogram::default();
            histogram.time(Duration::from_micros(micros));
            let at = histogram.counts.iter().position(|count| *count == 1);
            assert_eq!(at, Some(bucket), "{micros} us");
        }
        let mut bytes = Histogram::default();
        bytes.bytes(0);
        bytes.bytes(1);
        bytes.bytes(120);
        assert_eq!(bytes.counts[..8], [1, 1, 0, 0, 0, 0, 0, 1]);
        assert_eq!(bytes.buckets().sum, 121.0);
    }
}
