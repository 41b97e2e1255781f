//! Which tunnel is wanted.

use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderMap;
use mesh_core::identity::{ExpectedPeers, SpiffeId};

/// Which tunnel is wanted: where to connect, as whom, to whom, and what to ask for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Target {
    /// The HBONE endpoint to dial, such as `10.0.0.5:15008`.
    pub endpoint: SocketAddr,
    /// The `:authority` of the CONNECT request: `ip:port`, `[v6]:port` or `hostname:port`.
    pub authority: Box<str>,
    /// The identity to present.
    pub source: SpiffeId,
    /// The identities that the peer may have.
    pub expect: ExpectedPeers,
    /// Headers of the CONNECT request.
    pub headers: HeaderMap,
}

impl Target {
    /// A target without headers.
    pub fn new(
        endpoint: SocketAddr,
        authority: impl Into<Box<str>>,
        source: SpiffeId,
        expect: impl Into<ExpectedPeers>,
    ) -> Self {
        Self {
            endpoint,
            authority: authority.into(),
            source,
            expect: expect.into(),
            headers: HeaderMap::new(),
        }
    }

    /// The same target with these headers.
    #[must_use]
    pub fn with_headers(self, headers: HeaderMap) -> Self {
        Self { headers, ..self }
    }
}

/// What connections are shared by.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Key {
    pub(super) source: SpiffeId,
    pub(super) expect: ExpectedPeers,
    pub(super) endpoint: SocketAddr,
    /// For connections inside of a gateway's tunnels.
    pub(super) via: Option<Arc<Via>>,
}

/// Which tunnels connections to what is behind a gateway go through.
#[derive(Debug, Eq, Hash, PartialEq)]
pub(super) struct Via {
    gateway: Key,
    /// What the gateway is asked for.
    authority: Box<str>,
}

impl Key {
    pub(super) fn of(target: &Target) -> Self {
        Self {
            source: target.source.clone(),
            expect: target.expect.clone(),
            endpoint: target.endpoint,
            via: None,
        }
    }

    /// For connections to `inner` inside of tunnels to `gateway`.
    pub(super) fn inside(gateway: &Target, inner: &Target) -> Self {
        let via = Via {
            gateway: Self::of(gateway),
            authority: gateway.authority.clone(),
        };
        Self {
            via: Some(Arc::new(via)),
            ..Self::of(inner)
        }
    }
}
