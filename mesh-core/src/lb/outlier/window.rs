//! Hosts that do worse than others over an interval.

/// Hosts are out whose share of successes is below the mean by some standard deviations.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain settings")]
pub struct SuccessRate {
    /// Hosts with enough attempts that there must be; default 5.
    pub min_hosts: u32,
    /// Attempts in an interval that are enough; default 100.
    pub min_attempts: u32,
    /// Standard deviations; default 1.9.
    pub deviations: f64,
}

/// Hosts are out whose share of failures is too high.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain settings")]
pub struct FailurePercentage {
    /// Percentage of failures from which a host is out; default 85.
    pub threshold: u32,
    /// Hosts with enough attempts that there must be; default 5.
    pub min_hosts: u32,
    /// Attempts in an interval that are enough; default 50.
    pub min_attempts: u32,
}

impl Default for SuccessRate {
    fn default() -> Self {
        Self {
            min_hosts: 5,
            min_attempts: 100,
            deviations: 1.9,
        }
    }
}

impl Default for FailurePercentage {
    fn default() -> Self {
        Self {
            threshold: 85,
            min_hosts: 5,
            min_attempts: 50,
        }
    }
}

/// What is looked at in an interval.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::lb) struct Rates {
    pub(in crate::lb) success_rate: Option<SuccessRate>,
    pub(in crate::lb) failure_percentage: Option<FailurePercentage>,
}

/// Those of the hosts, given by successes and attempts, that do too badly.
pub(in crate::lb) fn outliers(windows: &[(u32, u32)], rates: Rates) -> Vec<usize> {
    let mut out = Vec::new();
    if let Some(settings) = rates.success_rate {
        out.extend(below_mean(windows, settings));
    }
    if let Some(settings) = rates.failure_percentage {
        out.extend(failing(windows, settings));
    }
    out.sort_unstable();
    out.dedup();
    out
}

/// Places and shares of successes, in percent, of the hosts with enough attempts.
fn shares(windows: &[(u32, u32)], enough: u32) -> Vec<(usize, f64)> {
    let windows = windows.iter().enumerate();
    let windows = windows.filter(|(_, (_, total))| *total > 0 && *total >= enough);
    let share = |(at, (successes, total)): (usize, &(u32, u32))| {
        (at, f64::from(*successes) * 100.0 / f64::from(*total))
    };
    windows.map(share).collect()
}

fn below_mean(windows: &[(u32, u32)], settings: SuccessRate) -> Vec<usize> {
    let shares = shares(windows, settings.min_attempts);
    if shares.is_empty() || shares.len() < settings.min_hosts as usize {
        return Vec::new();
    }
    let count = shares.len() as f64;
    let mean = shares.iter().map(|(_, share)| share).sum::<f64>() / count;
    let squares = shares.iter().map(|(_, share)| (share - mean).powi(2));
    let deviation = (squares.sum::<f64>() / count).sqrt();
    let least = mean - settings.deviations * deviation;
    let below = shares.into_iter().filter(|(_, share)| *share < least);
    below.map(|(at, _)| at).collect()
}

fn failing(windows: &[(u32, u32)], settings: FailurePercentage) -> Vec<usize> {
    let shares = shares(windows, settings.min_attempts);
    if shares.len() < settings.min_hosts as usize {
        return Vec::new();
    }
    let most = 100.0 - f64::from(settings.threshold.min(100));
    let failing = shares.into_iter().filter(|(_, share)| *share <= most);
    failing.map(|(at, _)| at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: Rates = Rates {
        success_rate: Some(SuccessRate {
            min_hosts: 5,
            min_attempts: 100,
            deviations: 1.9,
        }),
        failure_percentage: None,
    };

    /// Envoy's documentation: rates of 100, 100, 100, 100 and 50 have a mean of 90 and a deviation of
    /// 20, so the least is 52.
    #[test]
    fn a_host_far_below_the_mean_is_out() {
        let mut windows = vec![(200, 200); 4];
        windows.push((100, 200));
        assert_eq!(outliers(&windows, RATES), [4]);
        windows[4] = (106, 200);
        assert_eq!(
            outliers(&windows, RATES),
            [4],
            "any single one is 2 deviations below"
        );
        windows[3] = (150, 200);
        assert!(
            outliers(&windows, RATES).is_empty(),
            "two pull the mean down"
        );
    }

    #[test]
    fn too_few_hosts_or_attempts_say_nothing() {
        let mut windows = vec![(200, 200); 3];
        windows.push((0, 200));
        assert!(outliers(&windows, RATES).is_empty(), "four hosts");
        windows.push((99, 99));
        assert!(
            outliers(&windows, RATES).is_empty(),
            "the fifth has too few attempts"
        );
        windows.push((100, 100));
        assert_eq!(outliers(&windows, RATES), [3]);
    }

    #[test]
    fn a_host_that_mostly_fails_is_out_by_itself() {
        let rates = Rates {
            success_rate: None,
            failure_percentage: Some(FailurePercentage::default()),
        };
        let windows = [(50, 50), (8, 50), (7, 50), (0, 49), (50, 50), (50, 50)];
        assert_eq!(
            outliers(&windows, rates),
            [2],
            "84 percent, 86 percent, too few attempts"
        );
        assert!(
            outliers(&windows[..4], rates).is_empty(),
            "three hosts with enough attempts"
        );
    }
}
