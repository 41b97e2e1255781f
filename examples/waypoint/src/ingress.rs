//! CONNECT requests that reach the waypoint: what they are for, and who serves them.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::HeaderMap;
use mesh_authz::Verdict;
use mesh_authz::layer::{ConnectionFacts, RequestPolicies};
use mesh_core::authority::ConnectAuthority;
use mesh_core::drain::Drain;
use mesh_core::lb::Pick;
use mesh_core::random::ThreadRandom;
use mesh_core::resolve::{InboundRequest, WaypointRoute, waypoint};
use mesh_hbone::Tunnel;
use mesh_hbone::server::{Incoming, Refusal};
use mesh_l7::downstream::Downstream;
use mesh_l7::mesh::{PortProtocol, UpstreamConfig};
use mesh_l7::serve::{DetectSettings, Detected, Server, detect};
use mesh_l7::target::ServiceTarget;
use mesh_l7::upstream::Upstreams;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tower_service::Service;

use crate::config::Settings;
use crate::connector::Connector;
use crate::mesh::{Mesh, own};
use crate::security::ServiceSecurity;
use crate::stack::Stack;

/// Serves CONNECT requests: HTTP through the [`Stack`], anything else as bytes.
#[derive(Clone, Debug)]
pub(crate) struct Ingress {
    pub(crate) settings: Arc<Settings>,
    pub(crate) mesh: Arc<Mesh>,
    pub(crate) stack: Stack,
    pub(crate) connector: Connector,
    pub(crate) server: Server,
    pub(crate) drain: Drain,
}

/// A request that was found out about.
struct Found {
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
        if found.protocol == PortProtocol::Opaque {
            return self.opaque(incoming, &found, &facts).await;
        }
        let Ok(tunnel) = incoming.accept(HeaderMap::new()) else {
            return;
        };
        let downstream = Downstream::new(peer.addr(), found.destination)
            .with_identity(Some(peer.identity().clone()))
            .with_service(found.target.clone());
        self.http(tunnel, found, facts, Arc::new(downstream)).await;
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
        let requests = self.stack.requests(&found.security, policies);
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
                    if self.is_allowed(&found, &facts) {
                        self.carry(io, &found).await;
                    }
                    return;
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

    /// Bytes that are not looked into.
    async fn opaque(&self, incoming: Incoming, found: &Found, facts: &ConnectionFacts) {
        if !self.is_allowed(found, facts) {
            return incoming.refuse(Refusal::Unauthorized);
        }
        // An error of the dial answers 503.
        let Some(mut upstream) = self.connect(found).await else {
            return incoming.refuse(Refusal::Unavailable);
        };
        let Ok(mut tunnel) = incoming.accept(HeaderMap::new()) else {
            return;
        };
        let copied = copy_bidirectional(&mut tunnel, &mut upstream).await;
        tracing::debug!(?copied, "connection ended");
    }

    async fn carry<IO: AsyncRead + AsyncWrite + Unpin>(&self, mut io: IO, found: &Found) {
        if let Some(mut upstream) = self.connect(found).await {
            let copied = copy_bidirectional(&mut io, &mut upstream).await;
            tracing::debug!(?copied, "connection ended");
        }
    }

    /// Whether policies let a connection pass that is no HTTP: what depends on requests denies.
    fn is_allowed(&self, found: &Found, facts: &ConnectionFacts) -> bool {
        let index = self.mesh.security.policies.index();
        let applies = found.security.applies.load();
        let decision = index.decide_connection(&applies.target(), &facts.connection());
        matches!(decision.verdict, Verdict::Allow(_))
    }

    async fn connect(&self, found: &Found) -> Option<crate::stream::Stream> {
        let upstream = self.mesh.upstreams.upstream(&found.target)?;
        let now = std::time::Instant::now();
        let host = upstream
            .cluster
            .pick(&Pick::default(), now, &mut ThreadRandom)?;
        let _permit = upstream.breaker.connection()?;
        let connected = self.connector.clone().call(host.target().clone()).await;
        connected
            .inspect_err(|error| tracing::debug!(%error, "endpoint not reached"))
            .ok()
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
