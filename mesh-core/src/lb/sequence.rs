//! Turns in proportion to weights.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The longest sequence of turns that is written down.
const LONGEST: u64 = 4096;

/// The order in which hosts take turns: each as often as its weight says, spread as evenly as can be.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    turns: Box<[u32]>,
    next: AtomicUsize,
}

impl Sequence {
    /// Turns of hosts with these weights, beginning with turn `start`. Of weights that are large the
    /// proportions are kept to one part in some thousands, and each weight above 0 keeps a turn.
    pub(super) fn new(weights: &[f64], start: u64) -> Self {
        let turns = turns(&whole(weights));
        let start = start.checked_rem(turns.len() as u64).unwrap_or(0);
        Self {
            turns: turns.into(),
            next: AtomicUsize::new(start as usize),
        }
    }

    /// The next host.
    pub(super) fn next(&self) -> Option<u32> {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        let at = next.checked_rem(self.turns.len())?;
        self.turns.get(at).copied()
    }
}

/// Whole numbers in the proportions of the weights.
fn whole(weights: &[f64]) -> Vec<u64> {
    let exact = weights
        .iter()
        .all(|weight| weight.fract() == 0.0 && *weight >= 0.0);
    let sum: f64 = weights.iter().map(|weight| weight.max(0.0)).sum();
    if exact {
        let whole: Vec<u64> = weights.iter().map(|weight| *weight as u64).collect();
        let divisor = whole.iter().copied().fold(0, gcd).max(1);
        let whole: Vec<u64> = whole.iter().map(|weight| weight / divisor).collect();
        if whole.iter().sum::<u64>() <= LONGEST.max(weights.len() as u64) {
            return whole;
        }
    }
    let part = |weight: &f64| {
        if *weight > 0.0 {
            ((weight / sum * LONGEST as f64).round() as u64).max(1)
        } else {
            0
        }
    };
    weights.iter().map(part).collect()
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Smooth weighted turns: in each the host that is owed most goes.
fn turns(weights: &[u64]) -> Vec<u32> {
    let sum: u64 = weights.iter().sum();
    let present = weights.iter().filter(|weight| **weight > 0).count() as u64;
    if sum == present {
        // All equal: in the order that they have, without looking for the most.
        let hosts = (0_u32..).zip(weights).filter(|(_, weight)| **weight > 0);
        return hosts.map(|(host, _)| host).collect();
    }
    // Deadlines instead of debts: the turn k of a host is due at (k + 1/2) / weight.
    let mut due: Vec<(f64, u32)> = Vec::with_capacity(usize::try_from(sum).unwrap_or_default());
    for (host, weight) in (0_u32..).zip(weights) {
        due.extend((0..*weight).map(|k| ((k as f64 + 0.5) / *weight as f64, host)));
    }
    due.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    due.into_iter().map(|(_, host)| host).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(weights: &[f64], count: usize) -> Vec<u32> {
        let sequence = Sequence::new(weights, 0);
        (0..count).filter_map(|_| sequence.next()).collect()
    }

    #[test]
    fn turns_are_spread_and_come_again() {
        let cases: [(&[f64], &[u32]); 4] = [
            (&[1.0, 1.0, 1.0], &[0, 1, 2, 0, 1, 2]),
            (&[3.0, 1.0], &[0, 0, 1, 0, 0, 0, 1, 0]),
            (&[0.0, 2.0, 2.0], &[1, 2, 1, 2]),
            (&[100.0, 100.0], &[0, 1, 0, 1]),
        ];
        for (weights, turns) in cases {
            assert_eq!(first(weights, turns.len()), turns, "{weights:?}");
        }
    }

    #[test]
    fn fractions_and_large_weights_keep_their_proportions() {
        for weights in [&[0.1, 1.0][..], &[1_000_000.0, 10_000_000.0][..]] {
            let turns = first(weights, 11_000);
            let of_first = turns.iter().filter(|host| **host == 0).count();
            assert!((990..=1_010).contains(&of_first), "{weights:?}: {of_first}");
        }
        let tiny = first(&[1.0, 1e9], 10_000);
        assert!(tiny.contains(&0), "every weight keeps a turn");
    }

    #[test]
    fn nothing_with_a_weight_has_no_turn() {
        assert!(first(&[], 1).is_empty());
        assert!(first(&[0.0], 1).is_empty());
    }
}
