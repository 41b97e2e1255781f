//! Time as an input.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

/// The monotonic clock of the runtime that a guard works in.
///
/// ```
/// use std::future::Future;
/// use std::pin::Pin;
/// use std::time::Instant;
///
/// /// With tokio the second would be `Box::pin(tokio::time::sleep_until(at.into()))`.
/// #[derive(Debug)]
/// struct Never;
/// impl mesh_authz::guard::Timer for Never {
///     fn now(&self) -> Instant {
///         Instant::now()
///     }
///     fn sleep_until(&self, _at: Instant) -> Pin<Box<dyn Future<Output = ()> + Send>> {
///         Box::pin(std::future::pending())
///     }
/// }
/// ```
pub trait Timer: fmt::Debug + Send + Sync + 'static {
    /// The present time.
    fn now(&self) -> Instant;

    /// Ready when `at` has come.
    fn sleep_until(&self, at: Instant) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}
