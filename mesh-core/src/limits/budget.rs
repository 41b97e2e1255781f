//! Retries in proportion to what is going on.

/// How many retries may be in flight at once, in proportion to the requests.
///
/// Without it a struggling upstream gets several times its load from retries alone. Evaluated at each
/// retry; see [`CircuitBreaker::retry`](super::CircuitBreaker::retry).
///
/// Source: `RetryBudget` of Envoy's circuit breakers and of Istio's `DestinationRule`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain settings")]
pub struct RetryBudget {
    /// Retries as a percentage of requests that are active or pending: 0.0..=100.0, default 20.
    pub percent: f64,
    /// Retries that may be in flight in any case; default 3.
    pub min_concurrency: u32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self {
            percent: 20.0,
            min_concurrency: 3,
        }
    }
}

impl RetryBudget {
    /// Retries that may be in flight while `requests` are active or pending.
    #[must_use]
    pub fn allowed(&self, requests: u32) -> u32 {
        let percent = if self.percent.is_finite() {
            self.percent.clamp(0.0, 100.0)
        } else {
            0.0
        };
        // At most `u32::MAX`, and a float's conversion saturates.
        let share = (f64::from(requests) * percent / 100.0) as u32;
        share.max(self.min_concurrency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_of_the_requests_and_three_in_any_case() {
        let cases = [(0, 3), (10, 3), (15, 3), (20, 4), (100, 20), (1_000, 200)];
        for (requests, allowed) in cases {
            assert_eq!(
                RetryBudget::default().allowed(requests),
                allowed,
                "{requests}"
            );
        }
    }

    #[test]
    fn numbers_that_mean_nothing_leave_the_minimum() {
        for percent in [f64::NAN, f64::INFINITY, -1.0] {
            let budget = RetryBudget {
                percent,
                min_concurrency: 2,
            };
            assert_eq!(budget.allowed(1_000), 2, "{percent}");
        }
    }
}
