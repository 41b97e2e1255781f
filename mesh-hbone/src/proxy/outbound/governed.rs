//! Connections to services that a traffic policy has a say in.

use std::sync::Arc;

use mesh_core::model::Workload;
use mesh_core::resolve::{OutboundRequest, OutboundRoute, RouteReason};
use tower_service::Service;

use super::describe::describe;
use super::established::Established;
use super::{Outbound, Request};
use crate::io::Socket;
use crate::proxy::presence::unless_gone;
use crate::proxy::session::Session;
use crate::proxy::{
    Admission, Attempt, Error, Leg, NameLookup, Refusal, Resolver, ServiceConnection,
    TrafficPolicy, Upstream,
};

impl<R, C, L> Outbound<R, C, L> {
    /// Asks the policy about a connection; `None` when it has no say. A refusal has been reported.
    pub(super) fn admit(
        &self,
        policy: &Arc<dyn TrafficPolicy>,
        local: &Arc<Workload>,
        request: &Request,
        route: &OutboundRoute,
    ) -> Result<Option<Box<dyn Admission>>, Error> {
        let (RouteReason::ServiceEndpoint, Some(service)) = (route.reason, &route.service) else {
            return Ok(None);
        };
        let connection = ServiceConnection {
            local,
            source: request.client.ip(),
            service,
            port: request.destination.port(),
        };
        policy.admit(&connection).map_err(|refusal| {
            let service = named(request, route);
            let error = match refusal {
                Refusal::Overflow => Error::Overflow { service },
                Refusal::RateLimited => Error::RateLimited { service },
            };
            self.refused(local, request, route.clone(), error)
        })
    }

    /// Connects to an endpoint that the policy chooses. Whatever fails has been reported.
    pub(super) async fn governed<S>(
        &self,
        local: &Arc<Workload>,
        request: &Request,
        mut admission: Box<dyn Admission>,
        route: OutboundRoute,
        client: &(impl Socket + Sync),
    ) -> Result<Established<S>, Error>
    where
        R: Resolver,
        L: NameLookup,
        C: Service<Leg, Response = Upstream<S>, Error = Error> + Clone + Send + Sync,
        C::Future: Send,
    {
        let wanted = OutboundRequest::new(request.client.ip(), request.destination);
        let limit = admission.connect_timeout();
        let mut failure = None;
        for _ in 0..admission.attempts().get() {
            let Some(chosen) = admission.choose() else {
                break;
            };
            let resolved = unless_gone(client, request.destination, async {
                let resolver = self.resolver();
                Ok(resolver.outbound_to(local, &wanted, chosen).await?)
            });
            let route = resolved
                .await
                .map_err(|error| self.rejected(request, error))?;
            let attempt = self.attempt(local, request, route, limit, client);
            match attempt.await {
                Ok(established) => {
                    admission.report(Attempt::Connected);
                    return Ok(Established {
                        admission: Some(admission),
                        ..established
                    });
                }
                Err(error) if error.is_worth_another_endpoint() => {
                    admission.report(Attempt::Failed);
                    tracing::debug!(
                        destination = %request.destination,
                        error = &error as &dyn std::error::Error,
                        "an endpoint failed"
                    );
                    failure = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(failure.unwrap_or_else(|| {
            let service = named(request, &route);
            self.refused(local, request, route, Error::NoHealthyEndpoint { service })
        }))
    }

    /// Reports a connection to a service for which there is no endpoint.
    fn refused(
        &self,
        local: &Arc<Workload>,
        request: &Request,
        mut route: OutboundRoute,
        error: Error,
    ) -> Error {
        // What was resolved is not where it would have gone.
        route.destination = None;
        route.gateway = None;
        let connection = describe(local, request, &route, None, request.destination);
        Session::open(&self.telemetry, request.accepted, connection).close(Err(&error));
        error
    }
}

/// `namespace/hostname:port`.
fn named(request: &Request, route: &OutboundRoute) -> Box<str> {
    let key = route.service.as_ref().map(|service| service.key());
    let port = request.destination.port();
    key.map_or_else(
        || request.destination.to_string(),
        |key| format!("{key}:{port}"),
    )
    .into()
}
