//! A share of requests.

use mesh_core::random::Random;

/// A share of requests, in parts of a million.
///
/// ```
/// use mesh_l7::filter::Percent;
///
/// assert_eq!(Percent::of(12.5).map(Percent::per_million), Some(125_000));
/// assert!(Percent::of(100.1).is_none());
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Percent(u32);

impl Percent {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// All of them.
    pub const ALL: Self = Self(1_000_000);

    /// A percentage, 0.0..=100.0; `None` outside of that.
    #[must_use]
    pub fn of(percent: f64) -> Option<Self> {
        let inside = (0.0..=100.0).contains(&percent);
        inside.then(|| Self((percent * 10_000.0).round() as u32))
    }

    /// A fraction: `None` when it is more than one, or a part of nothing.
    #[must_use]
    pub fn fraction(numerator: u32, denominator: u32) -> Option<Self> {
        let millions = u64::from(numerator) * 1_000_000;
        let part = millions.checked_div(u64::from(denominator))?;
        u32::try_from(part)
            .ok()
            .filter(|part| *part <= Self::ALL.0)
            .map(Self)
    }

    /// Parts of a million.
    #[must_use]
    pub fn per_million(self) -> u32 {
        self.0
    }

    /// Whether a request belongs to the share, by chance.
    #[must_use]
    pub fn draw(self, random: &mut impl Random) -> bool {
        match self {
            Self::NONE => false,
            Self::ALL => true,
            Self(part) => random.below(1_000_000) < u64::from(part),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_exact_to_a_millionth() {
        let fifth = Percent::of(20.0).unwrap();
        let grid = (0..1_000_u128).map(|n| ((n << 64) / 1_000) as u64 + 1);
        let drawn = grid.filter(|number| fifth.draw(&mut || *number)).count();
        assert_eq!(drawn, 200);
        assert!(!Percent::NONE.draw(&mut || 0));
        assert!(Percent::ALL.draw(&mut || u64::MAX));
    }

    #[test]
    fn what_is_no_share_is_refused() {
        for percent in [-0.1, 100.000_001, f64::NAN, f64::INFINITY] {
            assert_eq!(Percent::of(percent), None, "{percent}");
        }
        assert_eq!(Percent::fraction(1, 0), None);
        assert_eq!(Percent::fraction(2, 1), None);
        assert_eq!(
            Percent::fraction(1, 3).map(Percent::per_million),
            Some(333_333)
        );
    }
}
