//! From a destination to a connection: resolving, and other endpoints when one fails.

use std::sync::Arc;

use mesh_core::model::Workload;
use mesh_core::resolve::{Hop, OutboundRequest, OutboundRoute, ResolveError};
use mesh_core::telemetry::{Direction, Event};
use tower_service::Service;

use super::established::Established;
use super::{Outbound, Request};
use crate::io::Socket;
use crate::proxy::presence::unless_gone;
use crate::proxy::{Error, Leg, NameLookup, Resolver, Upstream};

/// Endpoints that are tried for one connection.
const ENDPOINTS: usize = 3;

/// Draws for an endpoint that has not been tried. The last of three equal endpoints is missed once in
/// 10^11 times; drawing in vain, when there is no other, takes some 100 us.
const DRAWS: usize = 64;

impl<R, C, L> Outbound<R, C, L> {
    /// Connects to where the request is to go. Whatever fails has been reported.
    pub(in crate::proxy) async fn establish<S>(
        &self,
        request: &Request,
        client: &(impl Socket + Sync),
    ) -> Result<Established<S>, Error>
    where
        R: Resolver,
        L: NameLookup,
        C: Service<Leg, Response = Upstream<S>, Error = Error> + Clone + Send + Sync,
        C::Future: Send,
    {
        let resolved = unless_gone(client, request.destination, async {
            let local = self.resolver.local().await?;
            let route = self.route(&local, request).await?;
            Ok((local, route))
        });
        let (local, mut route) = resolved
            .await
            .map_err(|error| self.rejected(request, error))?;
        if let Some(traffic) = &self.traffic
            && let Some(admission) = self.admit(traffic, &local, request, &route)?
        {
            // In a box of its own: what it takes is no concern of those without a policy.
            return Box::pin(self.governed(&local, request, admission, route, client)).await;
        }
        let mut tried = Vec::new();
        loop {
            let hop = route.hop.clone();
            let error = match self.attempt(&local, request, route, None, client).await {
                Ok(established) => return Ok(established),
                Err(error) => error,
            };
            tried.push(hop);
            if tried.len() == ENDPOINTS || !error.is_worth_another_endpoint() {
                return Err(error);
            }
            route = match self.other_route(&local, request, &tried).await {
                Some(other) => other,
                None => return Err(error),
            };
            tracing::debug!(
                destination = %request.destination,
                error = &error as &dyn std::error::Error,
                "trying another endpoint"
            );
        }
    }

    async fn route(
        &self,
        local: &Arc<Workload>,
        request: &Request,
    ) -> Result<OutboundRoute, ResolveError>
    where
        R: Resolver,
    {
        let wanted = OutboundRequest::new(request.client.ip(), request.destination);
        self.resolver.outbound(local, &wanted).await
    }

    /// A route that has not been tried; `None` when there seems to be none.
    async fn other_route(
        &self,
        local: &Arc<Workload>,
        request: &Request,
        tried: &[Hop],
    ) -> Option<OutboundRoute>
    where
        R: Resolver,
    {
        for _ in 0..DRAWS {
            let route = self.route(local, request).await.ok()?;
            if !tried.contains(&route.hop) {
                return Some(route);
            }
        }
        None
    }

    /// Reports a connection whose two ends never were known.
    pub(in crate::proxy) fn rejected(&self, request: &Request, error: Error) -> Error {
        self.telemetry.record(&Event::Rejected {
            direction: Direction::Outbound,
            source: request.client,
            destination: request.destination,
            outcome: error.outcome(),
            error: &error,
        });
        error
    }
}
