//! Waiting for a drain, where there may be none.

use mesh_core::drain::Drain;

/// Resolves when the drain begins; never without one.
pub(crate) async fn begun(drain: Option<&Drain>) {
    match drain {
        Some(drain) => drain.draining().await,
        None => std::future::pending().await,
    }
}

/// Resolves at the deadline of the drain; never without one.
pub(crate) async fn forced(drain: Option<&Drain>) {
    match drain {
        Some(drain) => drain.forced().await,
        None => std::future::pending().await,
    }
}
