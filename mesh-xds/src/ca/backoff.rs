//! How long a failed fetch waits.

use std::time::Duration;

use mesh_core::random::Random;

/// Source: Istio, as the factor of two and the 20 per cent.
const FIRST: Duration = Duration::from_secs(1);
pub(super) const LONGEST: Duration = Duration::from_secs(150);

/// The wait after the `failures`-th failure in a row: 1 s, doubled each time, up to 20 per cent
/// more or less, at most 150 s.
pub(super) fn delay(failures: u32, random: &mut dyn Random) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let delay = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    let permille = 800 + random.below(401);
    delay.mul_f64(permille as f64 / 1000.0).min(LONGEST)
}
