//! CONNECT requests that reach the waypoint: what they are for, and who serves them.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::HeaderMap;
use mesh_authz::layer::{ConnectionFacts, RequestPolicies};
use mesh_authz::{DenyReason, Undecided, Verdict};
use mesh_core::authority::ConnectAuthority;
use mesh_core::drain::Drain;
use mesh_core::identity::SpiffeId;
use mesh_core::resolve::{InboundRequest, WaypointRoute, waypoint};
use mesh_hbone::Tunnel;
use mesh_hbone::server::{Incoming, Refusal};
use mesh_l7::downstream::Downstream;
use mesh_l7::mesh::{PortProtocol, UpstreamConfig};
use mesh_l7::serve::{DetectSettings, Detected, Server, detect};
use mesh_l7::target::ServiceTarget;
use tower_service::Service;

use crate::config::Settings;
use crate::mesh::{Mesh, own};
use crate::passthrough::{Arrived, Passthrough};
use crate::security::ServiceSecurity;
use crate::stack::Stack;

/// Serves CONNECT requests: HTTP through the [`Stack`], anything else as bytes.
#[derive(Clone, Debug)]
pub(crate) struct Ingress {
    pub(crate) settings: Arc<Settings>,
    pub(crate) identity: SpiffeId,
    pub(crate) mesh: Arc<Mesh>,
    pub(crate) stack: Stack,
    pub(crate) passthrough: Passthrough,
    pub(crate) server: Server,
    pub(crate) drain: Drain,
}

/// A request that was found out about.
struct Found {
    service: Arc<mesh_core::model::Service>,
    target: ServiceTarget,
    destination: SocketAddr,
    security: Arc<ServiceSecurity>,
    protocol: PortProtocol,
}

impl Ingress {
    async fn serve(self, incoming: Incoming) {
        let found = match self.find(&incoming) {
            Ok(found) => found,
            Err((refusal, why)) => {
                let peer = incoming.peer().identity();
                let authority = incoming.authority();
                tracing::info!(%peer, authority, why, "request refused");
                return incoming.refuse(refusal);
            }
        };
        let peer = incoming.peer().clone();
        let facts = ConnectionFacts::new(peer.addr(), found.destination)
            .with_identity(peer.identity().clone());
        let downstream = Downstream::new(peer.addr(), found.destination)
            .with_identity(Some(peer.identity().clone()))
            .with_service(found.target.clone());
        let downstream = Arc::new(downstream);
        if found.protocol == PortProtocol::Opaque {
            let denied = self.denied(&found, &facts);
            let arrived = found.arrived(downstream);
            return self.passthrough.answer(incoming, arrived, denied).await;
        }
        let Ok(tunnel) = incoming.accept(HeaderMap::new()) else {
            return;
        };
        self.http(tunnel, found, facts, downstream).await;
    }

    /// What a request is for.
    fn find(&self, incoming: &Incoming) -> Result<Found, (Refusal, String)> {
        let snapshot = self.mesh.store.snapshot();
        let authority: ConnectAuthority = incoming
            .authority()
            .parse()
            .map_err(|error| (Refusal::BadRequest, format!("{error}")))?;
        let local = own(&self.settings, &snapshot).ok_or_else(|| {
            let text = "the waypoint's own workload is not known";
            (Refusal::Unavailable, text.to_owned())
        })?;
        let peer = incoming.peer();
        let request = InboundRequest::new(peer.addr(), peer.local_addr(), &authority);
        let route = waypoint(&snapshot, &local, &request).map_err(|error| {
            let refusal = match error.status() {
                400 => Refusal::BadRequest,
                401 => Refusal::Unauthorized,
                _ => Refusal::Unavailable,
            };
            (refusal, error.to_string())
        })?;
        let (service, port) = match route {
            WaypointRoute::Service { service, port } => (service, port.get()),
            WaypointRoute::Workload { .. } => {
                let text = "connections to workloads through a waypoint are not served yet";
                return Err((Refusal::Unavailable, text.to_owned()));
            }
        };
        let spec = service.spec();
        let target = ServiceTarget {
            namespace: spec.namespace.clone(),
            hostname: spec.hostname.clone(),
            port,
            subset: None,
        };
        let security = self.mesh.security.of(&service);
        let security = security.map_err(|problem| (Refusal::Unavailable, problem))?;
        let asked = authority
            .ip()
            .or_else(|| spec.vips.first().map(|vip| vip.ip));
        let ip = asked.unwrap_or_else(|| peer.local_addr().ip());
        Ok(Found {
            protocol: self.mesh.routing.load().protocol(&target),
            destination: SocketAddr::new(ip, port),
            service,
            target,
            security,
        })
    }

    async fn http(
        &self,
        tunnel: Tunnel,
        found: Found,
        facts: ConnectionFacts,
        downstream: Arc<Downstream>,
    ) {
        let policies = RequestPolicies::new(
            self.mesh.security.policies.watch(),
            found.security.applies.watch(),
            facts.clone(),
        );
        let policies = policies.with_target_rules(self.mesh.target_rules());
        let identity = downstream.identity.as_ref();
        let client_cert = *self.mesh.client_cert.load();
        let client_cert = client_cert.header(&self.identity, identity);
        let requests = self.stack.requests(&found.security, policies, client_cert);
        let drain = self.drain.clone();
        let served = match found.protocol {
            PortProtocol::Detect => match detect(tunnel, &DetectSettings::default()).await {
                Ok(Detected::Http1(io)) => {
                    self.server
                        .serve_http1(io, downstream, requests, drain)
                        .await
                }
                Ok(Detected::Http2(io)) => {
                    self.server
                        .serve_http2(io, downstream, requests, drain)
                        .await
                }
                Ok(Detected::Other(io)) => {
                    let denied = self.denied(&found, &facts);
                    let (io, arrived) = (io.into_parts(), found.arrived(downstream));
                    return self.passthrough.go_on(io, arrived, denied).await;
                }
                Err(error) => {
                    tracing::debug!(%error, "connection failed before its protocol was known");
                    return;
                }
            },
            _ => self.server.serve(tunnel, downstream, requests, drain).await,
        };
        if let Err(error) = served {
            let error = &error as &(dyn std::error::Error + 'static);
            tracing::debug!(error, "connection ended early");
        }
    }

    /// What policies have against a connection that is no HTTP, in Envoy's words: what depends on requests
    /// denies.
    fn denied(&self, found: &Found, facts: &ConnectionFacts) -> Option<String> {
        let index = self.mesh.security.policies.index();
        let applies = found.security.applies.load();
        let decision = index.decide_connection(&applies.target(), &facts.connection());
        let rule = match decision.verdict {
            Verdict::Allow(_) => return None,
            Verdict::Deny(DenyReason::Explicit(rule))
            | Verdict::Undecided(Undecided::NeedsRequest(rule)) => rule.id(),
            Verdict::Deny(_) | Verdict::Undecided(Undecided::MissingPolicy(_)) => "none".to_owned(),
        };
        Some(format!("rbac_access_denied_matched_policy[{rule}]"))
    }
}

impl Found {
    fn arrived(self, downstream: Arc<Downstream>) -> Arrived {
        Arrived {
            downstream,
            service: self.service,
            target: self.target,
        }
    }
}

impl Service<Incoming> for Ingress {
    type Response = ();
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<(), Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, incoming: Incoming) -> Self::Future {
        let ingress = self.clone();
        Box::pin(async move {
            ingress.serve(incoming).await;
            Ok(())
        })
    }
}
