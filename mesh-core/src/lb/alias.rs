//! One of many in proportion to weights, in constant time.

use crate::random::Random;

/// A table that gives each of its entries a chance in proportion to its weight with one draw, by
/// Vose's alias method.
#[derive(Clone, Debug, Default)]
pub(super) struct Alias {
    /// For each entry the chance to stay with it, of 2^32, and the entry to go to otherwise. Empty
    /// when all weights are equal.
    entries: Box<[(u32, u32)]>,
    len: u32,
}

impl Alias {
    /// Entries with these weights; those that are not above 0 are never drawn.
    pub(super) fn new(weights: &[f64]) -> Self {
        let len = u32::try_from(weights.len()).unwrap_or(u32::MAX);
        let sum: f64 = weights.iter().sum();
        let first = weights.first().copied().unwrap_or_default();
        if sum > 0.0 && weights.iter().all(|weight| *weight == first) {
            let entries = Box::default();
            return Self { entries, len };
        }
        if sum.is_nan() || sum <= 0.0 {
            return Self::default();
        }
        let scale = f64::from(len) / sum;
        let mut chances: Vec<f64> = weights
            .iter()
            .map(|weight| weight.max(0.0) * scale)
            .collect();
        let mut entries: Vec<(u32, u32)> = (0..len).map(|entry| (u32::MAX, entry)).collect();
        let (mut small, mut large) = (Vec::new(), Vec::new());
        for (entry, chance) in (0_u32..).zip(&chances) {
            let side = if *chance < 1.0 {
                &mut small
            } else {
                &mut large
            };
            side.push(entry);
        }
        while let (Some(less), Some(more)) = (small.pop(), large.last().copied()) {
            let chance = chances.get(less as usize).copied().unwrap_or_default();
            if let Some(entry) = entries.get_mut(less as usize) {
                *entry = ((chance * f64::from(u32::MAX)) as u32, more);
            }
            let Some(rest) = chances.get_mut(more as usize) else {
                continue;
            };
            *rest -= 1.0 - chance;
            if *rest < 1.0 {
                large.pop();
                small.push(more);
            }
        }
        let entries = entries.into();
        Self { entries, len }
    }

    /// Draws an entry; `None` when there is none with a weight.
    pub(super) fn draw(&self, random: &mut impl Random) -> Option<u32> {
        if self.len == 0 {
            return None;
        }
        let drawn = u128::from(random.next()) * u128::from(self.len);
        let entry = (drawn >> 64) as u32;
        if self.entries.is_empty() {
            return Some(entry);
        }
        // The bits below the entry's number are evenly distributed as well.
        let chance = ((drawn >> 32) & u128::from(u32::MAX)) as u32;
        let (stay, other) = *self.entries.get(entry as usize)?;
        Some(if chance <= stay { entry } else { other })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws with an even grid of numbers, so the shares are exact up to the grid.
    fn shares(weights: &[f64], draws: u64) -> Vec<f64> {
        let table = Alias::new(weights);
        let mut counts = vec![0_u64; weights.len()];
        for draw in 0..draws {
            let mut random = || (u64::MAX / draws) * draw;
            counts[table.draw(&mut random).unwrap() as usize] += 1;
        }
        counts
            .iter()
            .map(|count| *count as f64 / draws as f64)
            .collect()
    }

    #[test]
    fn shares_are_in_proportion_to_weights() {
        let cases: [&[f64]; 5] = [
            &[1.0],
            &[1.0, 1.0, 1.0],
            &[1.0, 2.0, 3.0, 4.0],
            &[0.0, 5.0, 0.0, 1.0],
            &[1.0, 1_000_000.0],
        ];
        for weights in cases {
            let sum: f64 = weights.iter().sum();
            for (share, weight) in shares(weights, 1 << 16).iter().zip(weights) {
                assert!((share - weight / sum).abs() < 0.001, "{weights:?}");
            }
        }
    }

    #[test]
    fn nothing_with_a_weight_is_nothing() {
        for weights in [&[] as &[f64], &[0.0, 0.0], &[f64::NAN]] {
            assert_eq!(Alias::new(weights).draw(&mut || 0), None, "{weights:?}");
        }
    }
}
