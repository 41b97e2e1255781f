//! What holds for all requests of a router.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::clock::{SystemClock, WallClock};
use mesh_core::target::TargetRules;

use super::chance::Chance;
use super::session_key::SessionKey;
use crate::target::ServiceTarget;

/// What holds for all requests of a router.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RouterSettings {
    /// The service whose routes hold for requests that came on no connection to a service. Default
    /// none: they are answered with 404.
    pub service: Option<ServiceTarget>,
    /// How rewritten paths are normalised: as the requests were, before they were authorized.
    pub target_rules: TargetRules,
    /// Whether a rewritten request says what it was before.
    pub original: OriginalTarget,
    /// Bytes of bodies that all requests keep together for further attempts; default 256 MiB. What does
    /// not fit is not tried again.
    pub replay_memory: usize,
    /// Time in which no byte of a request or its response moves, where its rule does not say it; zero is none. Default
    /// none. Then it is 504, 408 while the request is not complete, or a reset once the response has begun.
    pub stream_idle: Option<Duration>,
    /// Longest time of a request and its response, upgraded or not; zero is none. Default none. Then it is as for
    /// `stream_idle`.
    pub max_stream_duration: Option<Duration>,
    /// Copies for mirrors at once; default 1024. Further ones are not made.
    pub mirrors: u32,
    /// Bytes of a body by which a copy may be behind; default 1 MiB. One that is further behind is given up.
    pub mirror_buffer: usize,
    /// This proxy's address: copies for mirrors have it in `x-forwarded-for`. Default none.
    pub address: Option<IpAddr>,
    /// The time of day, for dates in `Retry-After`.
    pub clock: Arc<dyn WallClock>,
    /// What tokens of sessions are made with: the same in all replicas of a proxy.
    pub session_key: SessionKey,
    /// Where random numbers come from.
    pub chance: Chance,
}

impl Default for RouterSettings {
    fn default() -> Self {
        Self {
            service: None,
            target_rules: TargetRules::default(),
            original: OriginalTarget::default(),
            replay_memory: 256 * 1024 * 1024,
            stream_idle: None,
            max_stream_duration: None,
            mirrors: 1024,
            mirror_buffer: 1024 * 1024,
            address: None,
            clock: Arc::new(SystemClock),
            session_key: SessionKey::default(),
            chance: Chance::default(),
        }
    }
}

/// Whether a rewritten request says what it was before, in `x-envoy-original-path` and
/// `x-envoy-original-host`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are two")]
pub enum OriginalTarget {
    /// It does.
    #[default]
    Sent,
    /// It does not.
    Omitted,
}

impl RouterSettings {
    /// With the service whose routes hold for requests that came on no connection to a service.
    #[must_use]
    pub fn with_service(mut self, service: ServiceTarget) -> Self {
        self.service = Some(service);
        self
    }
}
