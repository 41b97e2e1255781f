//! The mesh: certificates, the model, and three proxies made of the library's services.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};

use mesh_core::credential::CertificateSource;
use mesh_core::drain::{self, Drain, Trigger};
use mesh_core::identity::SpiffeId;
use mesh_core::resolve::ResolveConfig;
use mesh_core::snapshot::MeshSnapshot;
use mesh_core::store::MeshStore;
use mesh_core::telemetry::{Direction, Telemetry};
use mesh_core::tls::TlsContext;
use mesh_core::watch::Watch;
use mesh_hbone::client::ClientLayer;
use mesh_hbone::proxy::{
    AcceptOptions, Attributes, Authorizer, Dial, DialError, DialFuture, HopConnector, Inbound,
    LocalWorkload, MeshResolver, NoLookup, Outbound, Permit, Socks5, TcpAcceptor, TcpDialer,
    Verdict, serve,
};
use mesh_hbone::server::ServerLayer;
use mesh_hbone::sock::SocketOptions;
use mesh_xds::dev_ca::{DevCa, DevCaSource};
use mesh_xds::local;
use tokio::net::{TcpListener, TcpStream};
use tower_layer::Layer;
use tower_service::Service;

use crate::failure::Result;

const SHOP: &str = "spiffe://cluster.local/ns/default/sa/shop";
const HELLO: &str = "spiffe://cluster.local/ns/default/sa/hello";

/// A running mesh.
pub(crate) struct Mesh {
    /// Where shop's applications find SOCKS5.
    pub(crate) shop: SocketAddr,
    /// The same for stranger's.
    pub(crate) stranger: SocketAddr,
    /// Where hello's proxy takes HBONE.
    pub(crate) hbone: SocketAddr,
    stop: Trigger,
}

/// What all node proxies are made with.
pub(crate) struct Parts {
    pub(crate) certificates: Arc<dyn CertificateSource>,
    pub(crate) tls: Arc<TlsContext>,
    pub(crate) snapshots: Watch<MeshSnapshot>,
    pub(crate) config: ResolveConfig,
    pub(crate) telemetry: Arc<dyn Telemetry>,
    pub(crate) drain: Drain,
}

impl Mesh {
    /// Starts the proxies; hello's leads to `application`.
    pub(crate) async fn start(
        application: SocketAddr,
        telemetry: Arc<dyn Telemetry>,
    ) -> Result<Self> {
        // Certificates that live as long as this process.
        let certificates = DevCaSource::builder(DevCa::in_memory()?).build()?;
        // What a control plane would say.
        let store = MeshStore::new();
        let config = local::parse(include_str!("../mesh.yaml"), "mesh.yaml")?;
        local::replace(&store, None, config, "mesh.yaml")?;
        // Usually 15008; a free port, so that nothing else has to be stopped for this.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let hbone = listener.local_addr()?;
        let mut config = ResolveConfig::new();
        config.hbone_port = hbone.port();
        let (stop, drain) = drain::channel();
        let parts = Parts {
            certificates: Arc::new(certificates),
            tls: Arc::new(TlsContext::with_default_provider()?),
            snapshots: store.watch(),
            config,
            telemetry,
            drain,
        };
        let hello = ("hello", HELLO.parse()?);
        parts.server_proxy(listener, hello, only(SHOP.parse()?), application)?;
        let shop = parts.client_proxy("shop").await?;
        let stranger = parts.client_proxy("stranger").await?;
        Ok(Self {
            shop,
            stranger,
            hbone,
            stop,
        })
    }

    /// Takes nothing new, and waits for what is under way; ends it when `hurry` is ready.
    pub(crate) async fn stop(self, hurry: impl Future<Output = ()>) {
        self.stop.drain();
        tokio::select! {
            () = self.stop.finished() => {}
            () = hurry => self.stop.force(),
        }
    }
}

impl Parts {
    /// Applications -> SOCKS5 -> resolve -> HBONE.
    pub(crate) async fn client_proxy(&self, workload: &str) -> Result<SocketAddr> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let dialer = TcpDialer::new(SocketOptions::default());
        let hbone = ClientLayer::builder(self.certificates.clone(), self.tls.clone()).build()?;
        let connector = HopConnector::new(dialer.clone(), hbone.layer(dialer));
        let resolver = self.resolver(workload);
        let outbound = Outbound::new(resolver, connector, NoLookup, self.telemetry.clone());
        self.spawn(listener, Socks5::new(outbound), Direction::Outbound);
        Ok(address)
    }

    /// HBONE -> resolve -> authorize -> the application.
    pub(crate) fn server_proxy(
        &self,
        listener: TcpListener,
        (workload, identity): (&str, SpiffeId),
        authorizer: impl Authorizer,
        application: SocketAddr,
    ) -> Result<()> {
        let dialer = ApplicationDialer {
            application,
            tcp: TcpDialer::new(SocketOptions::default()),
        };
        let resolver = self.resolver(workload);
        let inbound = Inbound::new(resolver, authorizer, dialer, self.telemetry.clone());
        let hbone = ServerLayer::builder(identity, self.certificates.clone(), self.tls.clone());
        let hbone = hbone.drain(self.drain.clone()).build()?;
        self.spawn(listener, hbone.layer(inbound), Direction::Inbound);
        Ok(())
    }

    fn resolver(&self, workload: &str) -> MeshResolver {
        let local = LocalWorkload::Uid(workload.into());
        MeshResolver::new(self.snapshots.clone(), self.config.clone(), local)
    }

    fn spawn<S>(&self, listener: TcpListener, service: S, direction: Direction)
    where
        S: Service<mesh_hbone::Accepted<TcpStream>, Response = ()> + Clone + Send + 'static,
        S::Error: std::error::Error + Send + 'static,
        S::Future: Send,
    {
        let acceptor = TcpAcceptor::direct(listener, SocketOptions::default());
        let options = AcceptOptions::new(direction, self.telemetry.clone());
        tokio::spawn(serve(acceptor, service, options, self.drain.clone()));
    }
}

/// The policy: nobody but `caller`, as its certificate says.
pub(crate) fn only(caller: SpiffeId) -> impl Authorizer {
    let reason = format!("hello may be called by {} alone", caller.service_account());
    move |attributes: &Attributes<'_>| match attributes.identity {
        Some(identity) if *identity == caller => Verdict::Allow(Permit::lasting()),
        _ => Verdict::Deny {
            reason: reason.clone().into(),
        },
    }
}

/// Connects to the application wherever it is: here it need not live at its workload's address.
#[derive(Clone)]
struct ApplicationDialer {
    application: SocketAddr,
    tcp: TcpDialer,
}

impl Service<Dial> for ApplicationDialer {
    type Response = TcpStream;
    type Error = DialError;
    type Future = DialFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::result::Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Dial) -> DialFuture {
        self.tcp.call(Dial::new(self.application))
    }
}
