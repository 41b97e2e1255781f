//! Which requests there are lines about.

/// Shares of requests that are written, by the class of their status, in millionths: 0..=1,000,000.
///
/// ```
/// use mesh_l7::telemetry::Sampling;
///
/// let sampling = Sampling { successful: 10_000, ..Sampling::default() };
/// assert!(sampling.admits(503, u64::MAX), "all failures");
/// assert!(sampling.admits(200, 0) && !sampling.admits(200, u64::MAX), "one success of a hundred");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "the classes of statuses")]
pub struct Sampling {
    /// Without an answer.
    pub unanswered: u32,
    /// 1xx: upgrades.
    pub informational: u32,
    /// 2xx.
    pub successful: u32,
    /// 3xx.
    pub redirection: u32,
    /// 4xx.
    pub client_error: u32,
    /// 5xx, and whatever else there is.
    pub server_error: u32,
}

/// Everything.
impl Default for Sampling {
    fn default() -> Self {
        Self {
            unanswered: 1_000_000,
            informational: 1_000_000,
            successful: 1_000_000,
            redirection: 1_000_000,
            client_error: 1_000_000,
            server_error: 1_000_000,
        }
    }
}

impl Sampling {
    /// Whether a request with a status (0 for none) is written; `chance` is evenly distributed.
    #[must_use]
    pub fn admits(&self, status: u16, chance: u64) -> bool {
        let share = match status / 100 {
            0 => self.unanswered,
            1 => self.informational,
            2 => self.successful,
            3 => self.redirection,
            4 => self.client_error,
            _ => self.server_error,
        };
        (u128::from(chance) * 1_000_000) >> 64 < u128::from(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_has_its_share() {
        const DRAWS: u64 = 1_000;
        let sampling = Sampling {
            unanswered: 0,
            informational: 100_000,
            successful: 200_000,
            redirection: 300_000,
            client_error: 400_000,
            server_error: 1_000_000,
        };
        let written = |status| {
            let even = (0..DRAWS).map(|draw| u64::MAX / DRAWS * draw);
            even.filter(|chance| sampling.admits(status, *chance))
                .count()
        };
        for (status, expected) in [
            (0, 0),
            (101, 100),
            (200, 200),
            (302, 300),
            (404, 400),
            (503, 1_000),
            (999, 1_000),
        ] {
            let all = written(status);
            assert!(all.abs_diff(expected) <= 1, "{status}: {all}");
        }
    }
}
