//! When a certificate is replaced.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime};

use mesh_core::credential::Credential;
use mesh_core::random::Random;

/// The soonest that a certificate is replaced after it was issued, however short it lives.
const SOONEST: Duration = Duration::from_secs(1);

/// The longest that a source sleeps between two looks at the wall clock, which may jump, as after a
/// suspend.
pub(crate) const MAX_SLEEP: Duration = Duration::from_secs(60);

/// When a credential received `now` is to be replaced: after 40 to 60 per cent of the time that
/// it is good for, at random, so that the identities of a mesh are not renewed all at once.
///
/// Certificates are back-dated; the time before `now` does not count. A clock that is behind does
/// not stretch the lifetime.
pub(crate) fn renew_at(
    credential: &Credential,
    now: SystemTime,
    random: &mut dyn Random,
) -> SystemTime {
    let since = |start| {
        credential
            .not_after()
            .duration_since(start)
            .unwrap_or_default()
    };
    let good_for = since(now).min(since(credential.not_before()));
    let permille = 400 + random.below(201);
    let age = good_for.mul_f64(permille as f64 / 1000.0).max(SOONEST);
    now.checked_add(age).unwrap_or(now)
}

/// Random numbers seeded by the operating system.
pub(crate) fn seeded() -> impl Random + Send + 'static {
    let mut count = 0_u64;
    let seed = RandomState::new();
    move || {
        count = count.wrapping_add(1);
        seed.hash_one(count)
    }
}
