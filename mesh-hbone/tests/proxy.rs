//! Two proxies and two applications over loopback, with certificates and all.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod support;

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use mesh_core::credential::FixedSource;
use mesh_core::drain;
use mesh_core::model::{
    GatewayAddress, GatewayDestination, NamespacedHostname, NetworkAddress, PortMap, ServiceSpec,
    TunnelProtocol, WorkloadSpec,
};
use mesh_core::outcome::Outcome;
use mesh_core::resolve::ResolveConfig;
use mesh_core::store::MeshStore;
use mesh_core::telemetry::{Connection, Direction, Event, Telemetry};
use mesh_core::tls::TlsContext;
use mesh_hbone::client::ClientLayer;
use mesh_hbone::proxy::{
    AcceptOptions, AllowAll, HopConnector, Inbound, LocalWorkload, MeshResolver, NoLookup,
    Outbound, TcpAcceptor, TcpDialer, serve,
};
use mesh_hbone::server::{Accepted, ServerLayer};
use mesh_hbone::sock::{HostSockets, ListenOptions, SocketOptions, listen};
use mesh_hbone::{BoxError, Incoming};
use support::{Ca, Fn_, id};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tower_layer::Layer;
use tower_service::Service;

const CLIENT: &str = "127.0.0.1";
const SERVER: &str = "127.0.0.2";
const GATEWAY: &str = "127.0.0.3";
const VIP: &str = "10.96.0.1";

/// What a test wants to know of a closed connection.
#[derive(Debug)]
struct End {
    outcome: Outcome,
    received: u64,
    sent: u64,
    connection: Connection,
}

/// Sends the ends of connections to the test.
#[derive(Debug)]
struct Ends {
    closed: mpsc::UnboundedSender<End>,
}

impl Telemetry for Ends {
    fn record(&self, event: &Event<'_>) {
        if let Event::Closed(connection, closed) = event {
            let _ = self.closed.send(End {
                outcome: closed.outcome,
                received: closed.received,
                sent: closed.sent,
                connection: (*connection).clone(),
            });
        }
    }
}

fn telemetry() -> (Arc<Ends>, mpsc::UnboundedReceiver<End>) {
    let (closed, ends) = mpsc::unbounded_channel();
    (Arc::new(Ends { closed }), ends)
}

/// Two nodes with a proxy each; the second one also has the application's listener.
struct World {
    app: TcpListener,
    outbound: SocketAddr,
    client_ends: mpsc::UnboundedReceiver<End>,
    server_ends: mpsc::UnboundedReceiver<End>,
    drain: drain::Trigger,
}

fn tcp(ip: &str) -> TcpListener {
    let address = SocketAddr::new(ip.parse().unwrap(), 0);
    let (how, every) = (ListenOptions::default(), SocketOptions::default());
    listen(&HostSockets, address, &how, &every).unwrap().socket
}

fn workload(name: &str, ip: &str, network: &str) -> WorkloadSpec {
    WorkloadSpec {
        uid: name.into(),
        name: name.into(),
        namespace: "default".into(),
        trust_domain: "cluster.local".into(),
        service_account: name.into(),
        workload_name: name.into(),
        network: network.into(),
        ips: vec![ip.parse().unwrap()],
        tunnel_protocol: TunnelProtocol::Hbone,
        services: vec![],
        ..WorkloadSpec::default()
    }
}

impl World {
    /// `remote`: the server is on another network, behind a gateway.
    async fn new(remote: bool) -> Self {
        let (drain_trigger, drain) = drain::channel();
        let ca = Ca::new();
        let certs = ["client", "server", "gateway"].map(|name| ca.issue(&id(name).to_string()));
        let certs = Arc::new(FixedSource::new(certs));
        let tls = Arc::new(TlsContext::with_default_provider().unwrap());

        let (app, hbone, gateway) = (tcp(SERVER), tcp(SERVER), tcp(GATEWAY));
        let app_port = app.local_addr().unwrap().port();
        let hbone_port = hbone.local_addr().unwrap().port();
        let network = if remote { "far" } else { "" };
        let store = MeshStore::new();
        let web = NamespacedHostname::new("default", "web.default.svc");
        let gateway_address = GatewayAddress {
            destination: GatewayDestination::Address(NetworkAddress::new(
                "far",
                GATEWAY.parse().unwrap(),
            )),
            hbone_mtls_port: gateway.local_addr().unwrap().port(),
        };
        let server = WorkloadSpec {
            services: vec![(web.clone(), PortMap::default())],
            network_gateway: remote.then_some(gateway_address),
            ..workload("server", SERVER, network)
        };
        let service = ServiceSpec {
            name: "web".into(),
            namespace: "default".into(),
            hostname: web.hostname,
            vips: vec![NetworkAddress::new("", VIP.parse().unwrap())],
            ports: [(80, app_port)].into_iter().collect(),
            subject_alt_names: vec![id("server")],
            ..ServiceSpec::default()
        };
        let gateway_workload = workload("gateway", GATEWAY, "far");
        let client = workload("client", CLIENT, "");
        store.replace_all(vec![client, server, gateway_workload], vec![service]);

        let mut config = ResolveConfig::new();
        config.hbone_port = hbone_port;
        let resolver = |uid: &str| {
            MeshResolver::new(
                store.watch(),
                config.clone(),
                LocalWorkload::Uid(uid.into()),
            )
        };
        let options = SocketOptions::default();
        let dialer = TcpDialer::new(options);

        // The server's proxy.
        let (server_telemetry, server_ends) = telemetry();
        let inbound = Inbound::new(
            resolver("server"),
            AllowAll,
            dialer.clone(),
            server_telemetry.clone(),
        );
        let layer = ServerLayer::builder(id("server"), certs.clone(), tls.clone());
        let layer = layer.drain(drain.clone());
        let hbone_server = layer.build().unwrap().layer(inbound);
        tokio::spawn(serve(
            TcpAcceptor::direct(hbone, options),
            hbone_server,
            AcceptOptions::new(Direction::Inbound, server_telemetry),
            drain.clone(),
        ));

        // The gateway, which looks no further than the authority.
        let to = SocketAddr::new(SERVER.parse().unwrap(), hbone_port);
        let forward = Fn_(move |incoming: Incoming| async move {
            assert_eq!(incoming.authority(), "web.default.svc:80");
            assert!(!incoming.headers().contains_key("x-forwarded-network"));
            let mut server = TcpStream::connect(to).await?;
            let mut tunnel = incoming.accept(http::HeaderMap::new())?;
            copy_bidirectional(&mut tunnel, &mut server).await?;
            Ok::<_, BoxError>(())
        });
        let layer = ServerLayer::builder(id("gateway"), certs.clone(), tls.clone());
        tokio::spawn(serve(
            TcpAcceptor::direct(gateway, options),
            layer.build().unwrap().layer(forward),
            AcceptOptions::new(Direction::Inbound, Arc::new(())),
            drain.clone(),
        ));

        // The client's proxy. Nothing redirects here, so the destination is always the same.
        let (client_telemetry, client_ends) = telemetry();
        let client = ClientLayer::builder(certs, tls).build().unwrap();
        let connector = HopConnector::new(dialer.clone(), client.layer(dialer));
        let outbound = Outbound::new(resolver("client"), connector, NoLookup, client_telemetry);
        let listener = tcp(CLIENT);
        let address = listener.local_addr().unwrap();
        let vip: IpAddr = VIP.parse().unwrap();
        tokio::spawn(async move {
            loop {
                let (io, peer) = listener.accept().await.unwrap();
                let local = SocketAddr::new(vip, 80);
                tokio::spawn(outbound.clone().call(Accepted { io, peer, local }));
            }
        });
        Self {
            app,
            outbound: address,
            client_ends,
            server_ends,
            drain: drain_trigger,
        }
    }

    async fn connect(&self) -> (TcpStream, TcpStream) {
        let mut client = TcpStream::connect(self.outbound).await.unwrap();
        // Also proves that the path is open.
        client.write_all(b"!").await.unwrap();
        let (mut server, _) = self.app.accept().await.unwrap();
        server.read_exact(&mut [0]).await.unwrap();
        (client, server)
    }
}

#[tokio::test]
async fn bytes_and_ends_travel_and_both_proxies_count_alike() {
    for remote in [false, true] {
        let mut world = World::new(remote).await;
        let (mut client, mut server) = world.connect().await;
        client.write_all(&[1; 10]).await.unwrap();
        client.shutdown().await.unwrap();
        let mut got = Vec::new();
        server.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, [1; 10]);
        server.write_all(&[2; 22]).await.unwrap();
        drop(server);
        let mut back = Vec::new();
        client.read_to_end(&mut back).await.unwrap();
        assert_eq!(back, [2; 22]);
        for ends in [&mut world.client_ends, &mut world.server_ends] {
            let end = ends.recv().await.unwrap();
            assert_eq!(end.outcome, Outcome::Completed, "remote {remote}");
            assert_eq!((end.received, end.sent), (11, 22), "remote {remote}");
            let record = end.connection;
            assert_eq!(record.source_identity, Some(id("client")));
            assert_eq!(record.destination_identity, Some(id("server")));
            assert_eq!(record.service.unwrap().spec().name, "web");
        }
    }
}

#[tokio::test]
async fn through_a_gateway_the_record_tells_the_endpoint_behind_it() {
    let mut world = World::new(true).await;
    let (client, server) = world.connect().await;
    drop((client, server));
    let record = world.client_ends.recv().await.unwrap().connection;
    assert_eq!(record.destination.unwrap().uid(), "gateway");
    assert_eq!(record.destination_baggage.unwrap().workload_name, "server");
    assert_eq!(
        record.hbone_authority.as_deref(),
        Some("web.default.svc:80")
    );
    let record = world.server_ends.recv().await.unwrap().connection;
    assert!(record.source.is_none(), "the peer is not the source");
    assert_eq!(record.source_baggage.unwrap().workload_name, "client");
}

#[tokio::test]
async fn a_reset_of_either_application_reaches_the_other() {
    // Source: RFC 9113 section 8.5.
    for by_client in [true, false] {
        let mut world = World::new(false).await;
        let (client, server) = world.connect().await;
        let (dying, mut other) = if by_client {
            (client, server)
        } else {
            (server, client)
        };
        mesh_hbone::sock::reset_on_drop(&dying);
        drop(dying);
        let error = other.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{by_client}");
        for ends in [&mut world.client_ends, &mut world.server_ends] {
            let end = ends.recv().await.unwrap();
            assert_eq!(end.outcome, Outcome::Reset, "by client: {by_client}");
        }
    }
}

#[tokio::test]
async fn an_application_that_refuses_resets_its_client_at_once() {
    let mut world = World::new(false).await;
    let app = std::mem::replace(&mut world.app, tcp(CLIENT));
    drop(app);
    let mut client = TcpStream::connect(world.outbound).await.unwrap();
    let error = client.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let end = world.server_ends.recv().await.unwrap();
    assert_eq!(end.outcome, Outcome::ConnectFailure);
    let end = world.client_ends.recv().await.unwrap();
    assert_eq!(end.outcome, Outcome::Refused);
}

#[tokio::test]
async fn the_deadline_of_a_drain_is_reported_as_such_and_blamed_on_nobody() {
    let mut world = World::new(false).await;
    let (_client, _server) = world.connect().await;
    world.drain.force();
    let end = world.server_ends.recv().await.unwrap();
    assert_eq!(end.outcome, Outcome::Drained);
}
