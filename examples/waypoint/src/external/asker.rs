//! Requests to external authorizers: services of the mesh, or outside of it as a `ServiceEntry`.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt, Limited};
use mesh_authz::external::{Ask, Asked, ExternalError};
use mesh_core::lb::{Event, Pick};
use mesh_core::random::ThreadRandom;
use mesh_core::store::MeshStore;
use mesh_l7::attempt::Attempt;
use mesh_l7::body::Body;
use mesh_l7::client::Client;
use mesh_l7::mesh::{Endpoint, MeshUpstreams};
use mesh_l7::target::ServiceTarget;
use mesh_l7::upstream::{Protocol, Upstream, Upstreams};
use tower_service::Service;

use crate::connector::Connector;
use crate::mesh_config::{Provider, ProviderService};

/// How much of an answer is read.
const ANSWER: usize = 64 << 10;

/// How services are reached from one worker.
#[derive(Clone, Debug)]
pub(crate) struct Ways {
    pub(crate) store: Arc<MeshStore>,
    pub(crate) upstreams: Arc<MeshUpstreams>,
    pub(crate) client: Client<Endpoint, Connector>,
}

/// Asks one authorizer.
#[derive(Debug)]
pub(super) struct Asker {
    ways: Ways,
    service: ProviderService,
    port: u16,
    timeout: Duration,
}

impl Asker {
    pub(super) fn new(ways: Ways, provider: &Provider) -> Self {
        Self {
            ways,
            service: provider.service.clone(),
            port: provider.port,
            timeout: provider.timeout,
        }
    }

    /// The service as it is now; it may come after the configuration that names it.
    fn upstream(&self) -> Option<Arc<Upstream<Endpoint>>> {
        let ProviderService { namespace, host } = &self.service;
        let namespace = match namespace {
            Some(namespace) => namespace.clone(),
            None => {
                let snapshot = self.ways.store.snapshot();
                let first = snapshot.services_named(host).first()?;
                first.spec().namespace.clone()
            }
        };
        self.ways.upstreams.upstream(&ServiceTarget {
            namespace,
            hostname: host.clone(),
            port: self.port,
            subset: None,
        })
    }

    async fn exchange(&self, request: Request<Bytes>) -> Result<Asked, ExternalError> {
        let unavailable = || ExternalError::Unavailable;
        let mut upstream = self.upstream().ok_or_else(unavailable)?;
        if request.version() == Version::HTTP_2 {
            upstream = speaking_http2(&upstream);
        }
        let _request = upstream.breaker.request().ok_or_else(unavailable)?;
        let now = Instant::now();
        let host = upstream
            .cluster
            .pick(&Pick::default(), now, &mut ThreadRandom);
        let host = host.ok_or_else(unavailable)?;
        let _active = host.begin();
        let attempt = Attempt {
            upstream: upstream.clone(),
            host: host.clone(),
            request: request.map(Body::from),
        };
        let mut client = self.ways.client.clone();
        let answer = async {
            poll_fn(|cx| client.poll_ready(cx)).await?;
            client.call(attempt).await
        };
        let answer = answer.await.inspect_err(|error| {
            let error = error as &(dyn std::error::Error + 'static);
            let host = host.spec().key.as_str();
            tracing::warn!(host, error, "external authorizer not reached");
        });
        let event = match &answer {
            Ok(answer) => Event::of_status(answer.status().as_u16()),
            Err(_) => Event::NoAnswer,
        };
        let cluster = &upstream.cluster;
        cluster.report(&host, event, Instant::now(), &mut ThreadRandom);
        let (parts, body) = answer.map_err(|_| unavailable())?.into_parts();
        let body = Limited::new(body, ANSWER).collect().await;
        let body = body.map_err(|_| ExternalError::BadAnswer)?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        Ok(Asked {
            status: parts.status,
            headers: parts.headers,
            body: body.to_bytes(),
            trailers,
        })
    }
}

/// gRPC is HTTP/2, whatever the port is called.
fn speaking_http2(upstream: &Upstream<Endpoint>) -> Arc<Upstream<Endpoint>> {
    Arc::new(Upstream {
        target: upstream.target.clone(),
        settings: upstream.settings.clone(),
        protocol: Protocol::Http2,
        cluster: upstream.cluster.clone(),
        breaker: upstream.breaker.clone(),
    })
}

#[async_trait]
impl Ask for Asker {
    async fn ask(&self, request: Request<Bytes>) -> Result<Asked, ExternalError> {
        let answer = tokio::time::timeout(self.timeout, self.exchange(request)).await;
        answer.map_err(|_| ExternalError::Timeout)?
    }
}
