//! A connection that was let in.

use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::balance::{EndpointTarget, Picked};
use mesh_core::lb::{Active, Event, Host, Pick};
use mesh_core::limits::Permit;
use mesh_core::random::ThreadRandom;
use tokio::time::Instant;

use super::hosts::Cluster;
use super::policy::{Admission, Attempt};
use super::settings::TrafficSettings;
use super::upstream::{Upstream, count};

/// Draws for an endpoint that has not been tried. Of three equal endpoints the last one is missed once in 10^11 times.
const DRAWS: u32 = 64;

/// A connection that was let in: it counts as one until this is dropped.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) upstream: Arc<Upstream>,
    pub(super) settings: Arc<TrafficSettings>,
    pub(super) cluster: Arc<Cluster>,
    pub(super) hash: Option<u64>,
    /// Endpoints that were tried. The last one is the one that counts this connection, if `active`.
    tried: Vec<Arc<Host<EndpointTarget>>>,
    active: Option<Active>,
    _connection: Permit,
}

impl Admitted {
    pub(super) fn new(
        upstream: Arc<Upstream>,
        (settings, cluster): (Arc<TrafficSettings>, Arc<Cluster>),
        hash: Option<u64>,
        connection: Permit,
    ) -> Self {
        Self {
            upstream,
            settings,
            cluster,
            hash,
            tried: Vec::new(),
            active: None,
            _connection: connection,
        }
    }
}

impl Admission for Admitted {
    fn attempts(&self) -> NonZeroU8 {
        self.settings.attempts
    }

    fn connect_timeout(&self) -> Option<Duration> {
        self.settings.connect_timeout
    }

    fn choose(&mut self) -> Option<Picked<'_>> {
        self.active = None;
        let mut pick = Pick::default();
        (pick.hash, pick.tried, pick.reselections) = (self.hash, &self.tried, DRAWS);
        let now = Instant::now().into_std();
        let host = self.cluster.pick(&pick, now, &mut ThreadRandom)?;
        if self.tried.iter().any(|tried| tried.is(&host)) {
            return None;
        }
        if !self.tried.is_empty() {
            count(&self.upstream.retries);
        }
        self.active = Some(host.begin());
        self.tried.push(host);
        let target = self.tried.last()?.target();
        Some(Picked::new(&target.workload, target.port))
    }

    fn report(&mut self, attempt: Attempt) {
        let Some(host) = self.tried.last() else {
            return;
        };
        let event = match attempt {
            Attempt::Connected => Event::Success,
            Attempt::Failed => Event::NoAnswer,
        };
        let now = Instant::now().into_std();
        let out = self.cluster.report(host, event, now, &mut ThreadRandom);
        if attempt == Attempt::Failed {
            count(&self.upstream.failures);
            self.active = None;
        }
        if let Some(time) = out {
            count(&self.upstream.ejections);
            let endpoint = host.spec().key.as_str();
            tracing::info!(endpoint, ?time, "endpoint taken out after failed connects");
        }
        if attempt == Attempt::Connected {
            // There is no further attempt to leave them out of.
            self.tried = Vec::new();
        }
    }
}
