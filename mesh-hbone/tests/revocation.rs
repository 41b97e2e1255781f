//! Revocation lists are replaced under live connections, over loopback sockets.
//!
//! Source: Istio's `CRL_PATH`: new handshakes are refused, live connections are ended at once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use mesh_core::credential::{CertificateSource, FixedSource};
use mesh_core::identity::SpiffeId;
use mesh_core::outcome::Outcome;
use mesh_core::telemetry::{ConnectionPhase, Direction, Event, Telemetry};
use mesh_core::tls::TlsContext;
use mesh_hbone::client::{ClientLayer, Error};
use mesh_hbone::copy::{CopyError, Meter, Plain, Side, copy};
use mesh_hbone::server::ServerLayer;
use mesh_hbone::{Client, ConnectionLost, Target, Tunnel};
use parking_lot::Mutex;
use support::frames::GUARD;
use support::{Ca, Fn_, Tcp, echo, id, listen};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;
use tower_layer::Layer;

type Lists = Vec<rustls::pki_types::CertificateRevocationListDer<'static>>;

const CLIENT: u64 = 11;
const OTHER: u64 = 12;
const SERVER: u64 = 21;

#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<(Direction, ConnectionPhase)>>);

impl Telemetry for Recorder {
    fn record(&self, event: &Event<'_>) {
        if let Event::PeerRevoked {
            direction, phase, ..
        } = event
        {
            self.0.lock().push((*direction, *phase));
        }
    }
}

/// A server and a client with certificates of `ca`, each with a source of its own.
struct Bench {
    ca: Ca,
    clients: Arc<FixedSource>,
    servers: Arc<FixedSource>,
    client: Client<Tcp>,
    addr: SocketAddr,
    ended: UnboundedReceiver<Result<(), mesh_hbone::server::Error>>,
    seen: Arc<Recorder>,
}

impl Bench {
    async fn new(ca: Ca) -> Self {
        let tls = Arc::new(TlsContext::with_default_provider().unwrap());
        let seen = Arc::<Recorder>::default();
        let issue = |name: &str, serial| ca.issue_numbered(&id(name).to_string(), serial, &[]);
        let clients = Arc::new(FixedSource::new([
            issue("client", CLIENT),
            issue("other", OTHER),
        ]));
        let servers = Arc::new(FixedSource::new([issue("server", SERVER)]));
        let server = ServerLayer::builder(id("server"), servers.clone(), tls.clone())
            .telemetry(seen.clone())
            .build();
        let (addr, ended) = listen(server.unwrap().layer(Fn_(echo))).await;
        let client = ClientLayer::builder(clients.clone(), tls)
            .telemetry(seen.clone())
            .build();
        Self {
            ca,
            clients,
            servers,
            client: client.unwrap().layer(Tcp),
            addr,
            ended,
            seen,
        }
    }

    async fn connect(&self, source: &str) -> Result<Tunnel, Error> {
        let target = Target::new(self.addr, "10.0.0.1:80", id(source), id("server"));
        self.client.connect(target).await
    }

    async fn open(&self, source: &str) -> Tunnel {
        let mut tunnel = self.connect(source).await.unwrap();
        check(&mut tunnel).await;
        tunnel
    }

    /// Publishes the same certificate with other lists.
    async fn publish(&self, side: &FixedSource, name: &SpiffeId, lists: &Lists) {
        let old = side.credential(name).await.unwrap();
        side.replace(old.with_trust(self.ca.trust(lists)).unwrap());
    }

    async fn publish_to_server(&self, lists: &Lists) {
        self.publish(&self.servers, &id("server"), lists).await;
    }

    async fn publish_to_clients(&self, lists: &Lists) {
        for name in ["client", "other"] {
            self.publish(&self.clients, &id(name), lists).await;
        }
    }

    fn revoked(&self) -> Vec<(Direction, ConnectionPhase)> {
        self.seen.0.lock().clone()
    }
}

async fn check(tunnel: &mut Tunnel) {
    tunnel.write_all(b"ping").await.unwrap();
    let mut answer = [0; 4];
    timeout(GUARD, tunnel.read_exact(&mut answer))
        .await
        .expect("the tunnel hangs")
        .unwrap();
    assert_eq!(&answer, b"ping");
}

/// How the tunnel ends, which carries nothing.
async fn end(tunnel: &mut Tunnel) -> io::Error {
    let read = timeout(GUARD, tunnel.read(&mut [0; 8])).await;
    read.expect("the tunnel lives on").unwrap_err()
}

fn lost(error: &io::Error) -> Option<&ConnectionLost> {
    error.get_ref()?.downcast_ref()
}

#[tokio::test]
async fn a_server_ends_the_connections_of_a_client_that_is_revoked_and_no_others() {
    let mut bench = Bench::new(Ca::new()).await;
    let (mut revoked, mut other) = (bench.open("client").await, bench.open("other").await);
    bench
        .publish_to_server(&vec![bench.ca.revoke(&[CLIENT])])
        .await;
    end(&mut revoked).await;
    let error = bench.ended.recv().await.unwrap().unwrap_err();
    assert_eq!(error.outcome(), Outcome::CertificateRevoked);
    assert!(error.to_string().starts_with("peer certificate revoked"));
    check(&mut other).await;
    assert!(bench.ended.is_empty(), "an unrelated connection ended");
    let inbound = Direction::Inbound;
    assert_eq!(bench.revoked(), [(inbound, ConnectionPhase::Open)]);

    // The next handshake is refused. In TLS 1.3 the client learns that after its own is done.
    bench.connect("client").await.unwrap_err();
    let error = bench.ended.recv().await.unwrap().unwrap_err();
    assert_eq!(error.outcome(), Outcome::CertificateRevoked);
    assert!(
        bench.revoked().len() > 1
            && bench.revoked()[1..]
                .iter()
                .all(|seen| *seen == (inbound, ConnectionPhase::Handshake))
    );
    check(&mut other).await;
    check(&mut bench.open("other").await).await;
}

#[tokio::test]
async fn a_client_ends_its_connections_with_a_server_that_is_revoked() {
    let bench = Bench::new(Ca::new()).await;
    let mut tunnels = Vec::new();
    for _ in 0..3 {
        tunnels.push(bench.open("client").await);
    }
    assert_eq!(bench.client.connections(), 1);
    bench
        .publish_to_clients(&vec![bench.ca.revoke(&[SERVER])])
        .await;
    for tunnel in &mut tunnels {
        let error = end(tunnel).await;
        assert_eq!(lost(&error), Some(&ConnectionLost::Revoked), "{error:?}");
        assert_eq!(error.to_string(), "peer certificate revoked");
        assert_eq!(
            tunnel.write_all(b"x").await.unwrap_err().to_string(),
            "peer certificate revoked"
        );
    }
    assert_eq!(bench.client.connections(), 0);
    let outbound = Direction::Outbound;
    assert_eq!(bench.revoked(), [(outbound, ConnectionPhase::Open)]);
    let error = bench.connect("client").await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::CertificateRevoked);
    assert_eq!(error.outcome().response_flags(), "CERT_REVOKED");
    assert_eq!(
        bench.revoked()[1..],
        [(outbound, ConnectionPhase::Handshake)]
    );
}

#[tokio::test]
async fn a_request_that_waits_for_its_answer_says_why_it_failed() {
    let bench = Bench::new(Ca::new()).await;
    // Somebody else answers: never.
    let tls = Arc::new(TlsContext::with_default_provider().unwrap());
    let server = ServerLayer::builder(id("server"), bench.servers.clone(), tls);
    let (asked, mut asking) = tokio::sync::mpsc::unbounded_channel();
    let silent = move |incoming: mesh_hbone::Incoming| {
        let asked = asked.clone();
        async move {
            asked.send(()).unwrap();
            std::future::pending::<()>().await;
            drop(incoming);
            Ok(())
        }
    };
    let (addr, _ended) = listen(server.build().unwrap().layer(Fn_(silent))).await;
    let target = Target::new(addr, "10.0.0.1:80", id("client"), id("server"));
    let client = bench.client.clone();
    let request = tokio::spawn(async move { client.connect(target).await });
    asking.recv().await.unwrap();
    bench
        .publish_to_clients(&vec![bench.ca.revoke(&[SERVER])])
        .await;
    let error = timeout(GUARD, request).await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.outcome(), Outcome::CertificateRevoked, "{error:?}");
}

#[tokio::test]
async fn a_revoked_intermediate_ends_whatever_is_below_it() {
    const INTERMEDIATE: u64 = 77;
    let root = Ca::new();
    let list = root.revoke(&[INTERMEDIATE]);
    let unrelated = root.intermediate("somewhere else", 78).revoke(&[CLIENT]);
    let bench = Bench::new(root.intermediate("intermediate", INTERMEDIATE)).await;
    let mut tunnel = bench.open("client").await;
    // The same number in the list of another issuer is another certificate.
    bench.publish_to_clients(&vec![unrelated]).await;
    check(&mut tunnel).await;
    bench.publish_to_clients(&vec![list]).await;
    let error = end(&mut tunnel).await;
    assert_eq!(lost(&error), Some(&ConnectionLost::Revoked), "{error:?}");
    let error = bench.connect("client").await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::CertificateRevoked);
}

#[tokio::test]
async fn lists_that_revoke_nobody_here_replace_no_connection() {
    let bench = Bench::new(Ca::new()).await;
    let mut tunnel = bench.open("client").await;
    for serial in 100..110 {
        let lists = vec![bench.ca.revoke(&[serial])];
        bench.publish_to_server(&lists).await;
        bench.publish_to_clients(&lists).await;
        check(&mut tunnel).await;
        check(&mut bench.open("client").await).await;
        assert_eq!(bench.client.connections(), 1);
    }
    assert!(bench.ended.is_empty(), "a connection was replaced");
    // The last list counts, and so does one that takes a revocation back.
    bench
        .publish_to_server(&vec![bench.ca.revoke(&[CLIENT])])
        .await;
    end(&mut tunnel).await;
    bench.connect("client").await.unwrap_err();
    bench.publish_to_server(&vec![]).await;
    check(&mut bench.open("client").await).await;
}

#[tokio::test]
async fn a_list_that_its_issuer_did_not_sign_ends_nothing_and_lets_nobody_in() {
    let bench = Bench::new(Ca::new()).await;
    let mut tunnel = bench.open("client").await;
    // Another key under the same name.
    let forged = Ca::new().revoke(&[CLIENT]);
    bench.publish_to_server(&vec![forged]).await;
    check(&mut tunnel).await;
    assert!(bench.connect("other").await.is_err());
    check(&mut tunnel).await;
}

#[tokio::test]
async fn a_copy_says_which_side_was_lost_and_why() {
    let bench = Bench::new(Ca::new()).await;
    let tunnel = bench.open("client").await;
    let (_application, socket) = tokio::io::duplex(64);
    let copying =
        tokio::spawn(async move { copy(Plain::new(socket), tunnel, &Meter::default()).await });
    bench
        .publish_to_clients(&vec![bench.ca.revoke(&[SERVER])])
        .await;
    let error = timeout(GUARD, copying).await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.outcome(), Outcome::CertificateRevoked);
    assert_eq!(error.to_string(), "the connection with the server was lost");
    assert!(
        matches!(
            error,
            CopyError::Lost {
                side: Side::Server,
                source: ConnectionLost::Revoked
            }
        ),
        "{error:?}"
    );
}
