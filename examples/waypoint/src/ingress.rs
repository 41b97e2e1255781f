//! CONNECT requests that reach the waypoint: what they are for, and who serves them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::HeaderMap;
use mesh_authz::layer::{ConnectionFacts, RequestPolicies};
use mesh_core::authority::ConnectAuthority;
use mesh_core::drain::Drain;
use mesh_core::identity::SpiffeId;
use mesh_core::resolve::{InboundRequest, WaypointRoute, waypoint};
use mesh_hbone::server::{Incoming, Refusal};
use mesh_hbone::{Peer, Tunnel};
use mesh_l7::downstream::Downstream;
use mesh_l7::mesh::{PortProtocol, UpstreamConfig};
use mesh_l7::serve::{DetectSettings, Detected, Server, detect};
use mesh_l7::target::ServiceTarget;
use tower_service::Service;

use crate::config::Settings;
use crate::mesh::{Mesh, own};
use crate::passthrough::{Arrived, Passthrough};
use crate::permit::Permit;
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
    /// `None` for a workload that is addressed itself.
    service: Option<Arc<mesh_core::model::Service>>,
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
            .with_labels(self.client_labels(&peer))
            .with_service(found.target.clone());
        let downstream = Arc::new(downstream);
        if found.protocol == PortProtocol::Opaque {
            let permit = self.permit(&found, &facts);
            let arrived = found.arrived(downstream);
            return self.passthrough.answer(incoming, arrived, permit).await;
        }
        let Ok(tunnel) = incoming.accept(HeaderMap::new()) else {
            return;
        };
        self.http(tunnel, found, facts, downstream).await;
    }

    /// Labels of the workload that has the client's address and identity, where routes ask for them: as they are when
    /// the connection comes.
    fn client_labels(&self, peer: &Peer) -> Option<Arc<BTreeMap<String, String>>> {
        let routing = self.mesh.routing.load();
        if !routing.wants_client_labels() {
            return None;
        }
        let snapshot = self.mesh.store.snapshot();
        let workload = snapshot.workload_at(&self.settings.network, peer.addr().ip())?;
        let known = workload.identity().as_ref() == Some(peer.identity());
        let labels = routing.client_labels(workload.uid()).filter(|_| known);
        labels.cloned()
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
        let asked = authority.ip();
        let found = match route {
            WaypointRoute::Service { service, port } => {
                let asked = asked.or_else(|| service.spec().vips.first().map(|vip| vip.ip));
                let asked = asked.unwrap_or_else(|| peer.local_addr().ip());
                Found::service(&self.mesh, service, SocketAddr::new(asked, port.get()))
            }
            WaypointRoute::Workload { port, .. } => {
                let asked = asked.unwrap_or_else(|| peer.local_addr().ip());
                Found::workload(&self.mesh, SocketAddr::new(asked, port.get()))
            }
        };
        found.map_err(|problem| (Refusal::Unavailable, problem))
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
                    let permit = self.permit(&found, &facts);
                    let (io, arrived) = (io.into_parts(), found.arrived(downstream));
                    return self.passthrough.go_on(io, arrived, permit).await;
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

    /// What a connection that is no HTTP is under.
    fn permit(&self, found: &Found, facts: &ConnectionFacts) -> Permit {
        Permit::new(
            self.mesh.security.policies.watch(),
            found.security.applies.watch(),
            facts.clone(),
        )
    }
}

impl Found {
    /// # Errors
    /// Why the service cannot be served.
    fn service(
        mesh: &Mesh,
        service: Arc<mesh_core::model::Service>,
        destination: SocketAddr,
    ) -> Result<Self, String> {
        let spec = service.spec();
        let target = ServiceTarget {
            namespace: spec.namespace.clone(),
            hostname: spec.hostname.clone(),
            port: destination.port(),
            subset: None,
        };
        Ok(Self {
            protocol: mesh.routing.load().protocol(&target),
            security: mesh.security.of(&service)?,
            service: Some(service),
            target,
            destination,
        })
    }

    /// A workload's own address: nothing says what it speaks there.
    ///
    /// # Errors
    /// Why workloads cannot be served.
    fn workload(mesh: &Mesh, destination: SocketAddr) -> Result<Self, String> {
        Ok(Self {
            protocol: PortProtocol::Detect,
            security: mesh.security.of_workloads()?,
            service: None,
            target: ServiceTarget::of_workload(destination),
            destination,
        })
    }

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
