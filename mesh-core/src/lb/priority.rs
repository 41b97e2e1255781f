//! How load is poured over priorities.

/// The hosts of one priority.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Count {
    pub(super) healthy: u32,
    pub(super) degraded: u32,
    pub(super) total: u32,
}

/// What one priority gets.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Load {
    /// Percent of all requests that its healthy hosts get.
    pub(super) healthy: u32,
    /// Percent of all requests that its degraded hosts get.
    pub(super) degraded: u32,
    /// So few are healthy that all of its hosts are as good as healthy.
    pub(super) panic: bool,
}

/// Hosts count for 1.4 times as much as they are: a priority with 72 percent of its hosts has all of
/// its load. Source: Envoy's `overprovisioning_factor`.
const OVERPROVISIONING: u64 = 140;

/// Loads of priorities, the first one first; they sum up to 100 when any host may be chosen. `panic`
/// is the percentage of healthy hosts below which health is disregarded, 0 for never.
///
/// Source: Envoy's load balancing documentation, "Priority levels" and "Panic threshold".
pub(super) fn loads(counts: &[Count], panic: u32) -> Vec<Load> {
    let available = |hosts: u32, total: u32| match total {
        0 => 0,
        total => (OVERPROVISIONING * u64::from(hosts) / u64::from(total)).min(100) as u32,
    };
    let health: Vec<(u32, u32)> = counts
        .iter()
        .map(|count| {
            let healthy = available(count.healthy, count.total);
            (healthy, available(count.degraded, count.total))
        })
        .collect();
    let sum: u32 = health
        .iter()
        .map(|(healthy, degraded)| healthy + degraded)
        .sum();
    let all = sum.min(100);
    let mut loads: Vec<Load> = counts
        .iter()
        .map(|count| {
            let share = u64::from(count.healthy) * 100 < u64::from(panic) * u64::from(count.total);
            Load {
                panic: all < 100 && share,
                ..Load::default()
            }
        })
        .collect();
    if all == 0 {
        total_panic(counts, &mut loads);
        return loads;
    }
    let mut rest = 100;
    for (load, (healthy, _)) in loads.iter_mut().zip(&health) {
        load.healthy = (healthy * 100 / all).min(rest);
        rest -= load.healthy;
    }
    for (load, (_, degraded)) in loads.iter_mut().zip(&health) {
        load.degraded = (degraded * 100 / all).min(rest);
        rest -= load.degraded;
    }
    // What rounding left over goes to the first that has any.
    if let Some(first) = loads.iter_mut().find(|load| load.healthy > 0) {
        first.healthy += rest;
    } else if let Some(first) = loads.iter_mut().find(|load| load.degraded > 0) {
        first.degraded += rest;
    }
    loads
}

/// Nothing is available: where health is disregarded, load goes by numbers of hosts.
fn total_panic(counts: &[Count], loads: &mut [Load]) {
    let counts = || counts.iter().map(|count| u64::from(count.total));
    let hosts: u64 = loads
        .iter()
        .zip(counts())
        .filter(|(load, _)| load.panic)
        .map(|(_, n)| n)
        .sum();
    if hosts == 0 {
        return;
    }
    let mut rest = 100;
    for (load, count) in loads
        .iter_mut()
        .zip(counts())
        .filter(|(load, _)| load.panic)
    {
        load.healthy = (100 * count / hosts) as u32;
        rest -= load.healthy;
    }
    if let Some(first) = loads.iter_mut().find(|load| load.healthy > 0) {
        first.healthy += rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(healthy: u32, degraded: u32, total: u32) -> Count {
        Count {
            healthy,
            degraded,
            total,
        }
    }

    /// The tables of Envoy's documentation on priority levels and on degraded endpoints, and its
    /// example of the panic threshold.
    #[test]
    fn load_is_poured_from_the_first_priority_on() {
        type Case = (&'static str, Vec<Count>, Vec<(u32, u32)>);
        let cases: [Case; 11] = [
            ("all", vec![count(100, 0, 100)], vec![(100, 0)]),
            (
                "72 are enough",
                vec![count(72, 0, 100), count(72, 0, 100)],
                vec![(100, 0), (0, 0)],
            ),
            (
                "71",
                vec![count(71, 0, 100), count(71, 0, 100)],
                vec![(99, 0), (1, 0)],
            ),
            (
                "50",
                vec![count(50, 0, 100), count(50, 0, 100)],
                vec![(70, 0), (30, 0)],
            ),
            (
                "60: 84 and 16",
                vec![count(60, 0, 100), count(100, 0, 100)],
                vec![(84, 0), (16, 0)],
            ),
            (
                "25 and 100",
                vec![count(25, 0, 100), count(100, 0, 100)],
                vec![(35, 0), (65, 0)],
            ),
            (
                "25 and 25",
                vec![count(25, 0, 100), count(25, 0, 100)],
                vec![(50, 0), (50, 0)],
            ),
            (
                "none and 100",
                vec![count(0, 0, 100), count(100, 0, 100)],
                vec![(0, 0), (100, 0)],
            ),
            (
                "a third rounds",
                vec![count(5, 0, 100); 3],
                vec![(34, 0), (33, 0), (33, 0)],
            ),
            (
                "degraded after healthy",
                vec![count(25, 75, 100)],
                vec![(35, 65)],
            ),
            (
                "healthy ones of the second before degraded ones of the first",
                vec![count(0, 100, 100), count(100, 0, 100)],
                vec![(0, 0), (100, 0)],
            ),
        ];
        for (name, counts, expected) in cases {
            let got: Vec<_> = loads(&counts, 0)
                .iter()
                .map(|l| (l.healthy, l.degraded))
                .collect();
            assert_eq!(got, expected, "{name}");
        }
    }

    #[test]
    fn panic_needs_a_threshold_and_too_few_everywhere() {
        let few = [count(10, 0, 100), count(20, 0, 100)];
        let panics = |counts: &[Count], threshold| -> Vec<bool> {
            loads(counts, threshold)
                .iter()
                .map(|load| load.panic)
                .collect()
        };
        assert_eq!(panics(&few, 0), [false, false], "never by default");
        assert_eq!(panics(&few, 50), [true, true]);
        assert_eq!(panics(&few, 15), [true, false]);
        let enough = [count(10, 0, 100), count(100, 0, 100)];
        assert_eq!(
            panics(&enough, 50),
            [false, false],
            "the second one takes all"
        );
    }

    #[test]
    fn nothing_available_is_nobodys_load_without_panic() {
        let none = [count(0, 0, 10), count(0, 0, 30)];
        assert!(loads(&none, 0).iter().all(|load| *load == Load::default()));
        let by_hosts: Vec<_> = loads(&none, 50).iter().map(|load| load.healthy).collect();
        assert_eq!(by_hosts, [25, 75]);
        assert!(loads(&[], 50).is_empty());
    }
}
