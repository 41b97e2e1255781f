//! Connections to endpoints: HBONE to those that speak it, TCP to the others.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName, HeaderValue};
use mesh_core::baggage::Baggage;
use mesh_core::forwarded;
use mesh_core::identity::SpiffeId;
use mesh_core::random::ThreadRandom;
use mesh_core::resolve::{Hop, HopAddress, ResolveConfig, across_networks};
use mesh_core::store::MeshStore;
use mesh_hbone::awake::AwakeDialer;
use mesh_hbone::client::Target;
use mesh_hbone::proxy::{Dial, TcpDialer};
use mesh_hbone::{Client, Tunnel};
use mesh_l7::mesh::Endpoint;
use tower_service::Service;

use crate::config::Settings;
use crate::mesh::own;
use crate::stream::Stream;

const BAGGAGE: HeaderName = HeaderName::from_static("baggage");
const NETWORK: HeaderName = HeaderName::from_static("x-forwarded-network");
const SOURCE: HeaderName = HeaderName::from_static("x-istio-source");

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Connects to endpoints, as the waypoint: connections are shared by all clients, so that they say nothing
/// of a client. Clones share the tunnel pool.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    dialer: AwakeDialer<TcpDialer>,
    tunnels: Client<AwakeDialer<TcpDialer>>,
    identity: SpiffeId,
    settings: Arc<Settings>,
    store: Arc<MeshStore>,
    resolve: ResolveConfig,
}

impl Connector {
    pub(crate) fn new(
        dialer: AwakeDialer<TcpDialer>,
        tunnels: Client<AwakeDialer<TcpDialer>>,
        identity: SpiffeId,
        settings: Arc<Settings>,
        store: Arc<MeshStore>,
    ) -> Self {
        let mut resolve = ResolveConfig::new();
        resolve.hbone_port = settings.listen.hbone.port();
        Self {
            dialer,
            tunnels,
            identity,
            settings,
            store,
            resolve,
        }
    }

    async fn connect(mut self, endpoint: Endpoint) -> Result<Stream, BoxError> {
        match &endpoint.hop {
            Hop::Tcp { to } => {
                let dial = Dial::new(address(to).await?);
                Ok(Stream::Tcp(self.dialer.call(dial).await?))
            }
            Hop::Passthrough { to } => Ok(Stream::Tcp(self.dialer.call(Dial::new(*to)).await?)),
            Hop::Hbone {
                to,
                authority,
                expected,
            } => {
                let to = address(to).await?;
                let authority = authority.at(to.ip()).to_string();
                let target = Target::new(to, authority, self.identity.clone(), expected.clone());
                let target = target.with_headers(self.headers(&endpoint));
                Ok(Stream::Tunnel(Box::new(
                    self.tunnels.connect(target).await?,
                )))
            }
            Hop::DoubleHbone { authority, .. } => {
                // In a box of its own: it is large and rare, and the others are to be small.
                let port = authority.port();
                Ok(Stream::Tunnel(Box::new(
                    Box::pin(self.across_networks(&endpoint, port)).await?,
                )))
            }
        }
    }

    /// To an endpoint of another network, through an instance of its gateway that is taken by chance.
    async fn across_networks(
        &self,
        endpoint: &Endpoint,
        port: NonZeroU16,
    ) -> Result<Tunnel, BoxError> {
        let service = endpoint.service.as_ref();
        let service = service.ok_or("a workload of another network, of no service")?;
        let snapshot = self.store.snapshot();
        let own = own(&self.settings, &snapshot).ok_or("the own workload is not known")?;
        let (workload, wanted) = (&endpoint.workload, (service, port));
        let random = &mut ThreadRandom;
        let hop = across_networks(&snapshot, &self.resolve, &own, wanted, workload, random)?;
        let Hop::DoubleHbone {
            gateway,
            gateway_expected,
            authority,
            expected,
        } = hop
        else {
            return Err("no way across networks".into());
        };
        let to = address(&gateway).await?;
        let authority = authority.to_string();
        let headers = self.headers(endpoint);
        let mut inner_headers = headers.clone();
        if let Ok(network) = HeaderValue::try_from(own.network().as_str()) {
            inner_headers.insert(NETWORK, network);
        }
        let identity = || self.identity.clone();
        let outer = Target::new(to, authority.clone(), identity(), gateway_expected);
        let inner = Target::new(to, authority, identity(), expected);
        let outer = outer.with_headers(headers);
        let inner = inner.with_headers(inner_headers);
        Ok(self.tunnels.connect_through(outer, inner).await?)
    }

    /// Who connects, and for which service.
    fn headers(&self, endpoint: &Endpoint) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(3);
        headers.insert(SOURCE, HeaderValue::from_static("waypoint"));
        let own = own(&self.settings, &self.store.snapshot());
        let baggage = own.as_ref().map(|own| Baggage::of(own).encode());
        if let Some(Ok(baggage)) = baggage.map(HeaderValue::try_from) {
            headers.insert(BAGGAGE, baggage);
        }
        let ip = own.and_then(|own| own.ips().first().copied());
        let ip = ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let service = endpoint.service.as_ref();
        let host = service.map(|service| service.spec().hostname.as_str());
        let forwarded = forwarded::encode(SocketAddr::new(ip, 0), host);
        if let Ok(forwarded) = HeaderValue::try_from(forwarded) {
            headers.insert(FORWARDED, forwarded);
        }
        headers
    }
}

async fn address(to: &HopAddress) -> io::Result<SocketAddr> {
    match to {
        HopAddress::Ip(address) => Ok(*address),
        HopAddress::Hostname { name, port, .. } => {
            let mut addresses = tokio::net::lookup_host((name.as_str(), *port)).await?;
            addresses
                .next()
                .ok_or_else(|| io::ErrorKind::NotFound.into())
        }
    }
}

impl Service<Endpoint> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, endpoint: Endpoint) -> Self::Future {
        Box::pin(self.clone().connect(endpoint))
    }
}
