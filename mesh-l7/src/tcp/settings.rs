//! How often, and for how long, a host is looked for.

use std::num::NonZeroU32;
use std::time::Duration;

use mesh_core::limits::Backoff;

/// How often, and for how long, a host is looked for, where the upstream's own settings do not say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain data, with a default")]
pub struct ConnectSettings {
    /// How many connections are tried for one of a client. Default 3, each to a host that was not tried yet
    /// where there is one. Envoy's `max_connect_attempts` is 1 by default.
    pub attempts: NonZeroU32,
    /// Pauses between them. Default 25 ms, up to 250 ms.
    pub backoff: Backoff,
    /// Time for one of them. Default 10 s, the mesh's `connectTimeout`.
    pub timeout: Duration,
}

impl Default for ConnectSettings {
    fn default() -> Self {
        Self {
            attempts: NonZeroU32::MIN.saturating_add(2),
            backoff: Backoff::default(),
            timeout: Duration::from_secs(10),
        }
    }
}
