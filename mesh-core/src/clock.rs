//! Wall-clock time as an input.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

/// Where the time of day comes from: certificates are valid between two of them.
///
/// Intervals are measured with the runtime's monotonic clock, not with this one.
///
/// ```
/// use mesh_core::clock::WallClock;
/// use std::time::{Duration, SystemTime};
///
/// #[derive(Debug)]
/// struct In1970;
/// impl WallClock for In1970 {
///     fn now(&self) -> SystemTime {
///         SystemTime::UNIX_EPOCH + Duration::from_secs(1)
///     }
/// }
/// let clock: std::sync::Arc<dyn WallClock> = std::sync::Arc::new(In1970);
/// assert!(clock.now() > SystemTime::UNIX_EPOCH);
/// ```
pub trait WallClock: fmt::Debug + Send + Sync + 'static {
    /// The present time.
    fn now(&self) -> SystemTime;
}

/// The time of the operating system.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing to configure")]
pub struct SystemClock;

impl WallClock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

impl<C: WallClock + ?Sized> WallClock for Arc<C> {
    fn now(&self) -> SystemTime {
        (**self).now()
    }
}
