//! Certificates and trust bundles are replaced under running tunnels. Time stands still.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use mesh_core::credential::{CertificateError, CertificateSource, Credential, FixedSource};
use mesh_core::identity::SpiffeId;
use mesh_core::outcome::Outcome;
use mesh_core::watch::Watch;
use mesh_hbone::client::ClientLayer;
use mesh_hbone::server::ServerLayer;
use mesh_hbone::{Client, Tunnel};
use parking_lot::Mutex;
use support::frames::{self, Wire, response};
use support::pipes::{Ended, Piped, endpoint, piped, settle};
use support::{Ca, Fn_, Mesh, echo, id};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc::UnboundedReceiver;
use tower_layer::Layer;

async fn check(tunnel: &mut Tunnel) {
    tunnel.write_all(b"ping").await.unwrap();
    let mut answer = [0; 4];
    tunnel.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"ping");
}

async fn finish(mut tunnel: Tunnel) {
    tunnel.shutdown().await.unwrap();
    assert_eq!(tunnel.read(&mut [0; 8]).await.unwrap(), 0);
}

fn renewed(mesh: &Mesh, name: &str) -> Arc<Credential> {
    mesh.ca.issue(&id(name).to_string())
}

struct Running {
    mesh: Mesh,
    client: Client<Piped>,
    dials: Arc<std::sync::atomic::AtomicUsize>,
    ended: UnboundedReceiver<Ended>,
    tunnels: Vec<Tunnel>,
}

/// A hundred tunnels on one connection.
async fn hundred() -> Running {
    let mesh = Mesh::new();
    let (client, listener) = mesh.piped(|builder| builder.max_streams_per_connection(150));
    let dials = listener.dials();
    let ended = listener.serve(mesh.server_builder().build().unwrap().layer(Fn_(echo)));
    let mut tunnels = Vec::new();
    for _ in 0..100 {
        let mut tunnel = client.connect(mesh.target(endpoint(1))).await.unwrap();
        check(&mut tunnel).await;
        tunnels.push(tunnel);
    }
    assert_eq!(dials.load(Ordering::SeqCst), 1);
    Running {
        mesh,
        client,
        dials,
        ended,
        tunnels,
    }
}

/// After either side's certificate was replaced: nothing breaks, new tunnels take a new connection,
/// and the old one ends with its last tunnel.
async fn old_connection_retires(mut running: Running) {
    settle().await;
    let Running {
        mesh,
        client,
        dials,
        ended,
        tunnels,
    } = &mut running;
    for tunnel in tunnels.iter_mut() {
        check(tunnel).await;
    }
    let mut new = client.connect(mesh.target(endpoint(1))).await.unwrap();
    check(&mut new).await;
    assert_eq!(dials.load(Ordering::SeqCst), 2);
    assert_eq!(client.connections(), 1, "the pool offers the new one only");
    tokio::time::sleep(Duration::from_secs(100)).await;
    let last = tunnels.pop().unwrap();
    for tunnel in tunnels.drain(..) {
        finish(tunnel).await;
    }
    settle().await;
    assert!(
        ended.is_empty(),
        "the old connection ends before its last tunnel"
    );
    finish(last).await;
    settle().await;
    ended
        .try_recv()
        .expect("the old connection outlives its last tunnel")
        .unwrap();
    assert!(ended.is_empty());
    check(&mut new).await;
}

#[tokio::test(start_paused = true)]
async fn a_new_certificate_of_the_client_breaks_nothing_and_retires_the_connection() {
    let running = hundred().await;
    running.mesh.certs.replace(renewed(&running.mesh, "client"));
    old_connection_retires(running).await;
}

#[tokio::test(start_paused = true)]
async fn a_new_certificate_of_the_server_breaks_nothing_and_retires_the_connection() {
    let running = hundred().await;
    running.mesh.certs.replace(renewed(&running.mesh, "server"));
    old_connection_retires(running).await;
}

#[tokio::test(start_paused = true)]
async fn another_identitys_certificate_changes_nothing() {
    let mut running = hundred().await;
    running
        .mesh
        .certs
        .replace(renewed(&running.mesh, "somebody"));
    settle().await;
    let target = running.mesh.target(endpoint(1));
    check(&mut running.client.connect(target).await.unwrap()).await;
    assert_eq!(running.dials.load(Ordering::SeqCst), 1);
    assert!(running.ended.is_empty());
    check(&mut running.tunnels[0]).await;
}

#[tokio::test(start_paused = true)]
async fn peers_see_the_certificate_that_is_current_when_they_are_dialled() {
    let mesh = Mesh::new();
    let (client, mut listener) = mesh.piped(|builder| builder);
    for _ in 0..3 {
        let current = renewed(&mesh, "client");
        mesh.certs.replace(current.clone());
        let server = async {
            let io = listener.accept_tls(&mesh).await;
            let shown = io.get_ref().1.peer_certificates().unwrap().to_vec();
            let mut wire = Wire::server(io, &[]).await;
            let stream = wire.next_of(frames::HEADERS).await.stream;
            wire.send(&response(stream, 200, 0)).await;
            (wire, shown)
        };
        let (tunnel, (_wire, shown)) =
            tokio::join!(client.connect(mesh.target(endpoint(1))), server);
        tunnel.unwrap();
        // Leaf and intermediates, without the root.
        assert_eq!(shown, current.chain());
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_with_the_old_certificate_is_not_used_again() {
    let mesh = Mesh::new();
    let (client, listener) = mesh.piped(|builder| builder);
    let mut ended = listener.serve(mesh.server_builder().build().unwrap().layer(Fn_(echo)));
    finish(client.connect(mesh.target(endpoint(1))).await.unwrap()).await;
    mesh.certs.replace(renewed(&mesh, "client"));
    check(&mut client.connect(mesh.target(endpoint(1))).await.unwrap()).await;
    ended.recv().await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_root_is_replaced_in_three_steps_without_a_broken_tunnel() {
    let running = hundred().await;
    let Running {
        mesh,
        client,
        mut ended,
        mut tunnels,
        ..
    } = running;
    let next = Ca::new();
    let names = ["client", "server"].map(|name| id(name).to_string());
    // Both roots are trusted; then certificates of the new one; then the new root only.
    let steps: [(&Ca, Vec<&Ca>); 3] = [
        (&mesh.ca, vec![&mesh.ca, &next]),
        (&next, vec![&mesh.ca, &next]),
        (&next, vec![&next]),
    ];
    for (step, (issuer, trusted)) in steps.iter().enumerate() {
        for name in &names {
            mesh.certs.replace(issuer.issue_trusting(name, trusted));
            // One side is ahead of the other, and still they understand each other.
            for old in &mut tunnels {
                check(old).await;
            }
            let new = client.connect(mesh.target(endpoint(1))).await;
            let mut new = new.unwrap_or_else(|error| panic!("step {step}, {name}: {error:?}"));
            check(&mut new).await;
            tunnels.push(new);
        }
    }
    // Who still shows a certificate of the old root is out.
    let mut other = mesh.target(endpoint(1));
    other.source = id("late");
    mesh.certs
        .replace(mesh.ca.issue_trusting(&id("late").to_string(), &[&next]));
    let error = client.connect(other).await.unwrap_err();
    assert!(error.outcome().is_failure());
    for tunnel in tunnels {
        finish(tunnel).await;
    }
    settle().await;
    let mut ok = 0;
    while let Ok(end) = ended.try_recv() {
        ok += usize::from(end.is_ok());
    }
    assert!(ok >= 6, "{ok} of the old connections have ended");
}

/// A source whose credential is replaced right after it was given out.
#[derive(Debug)]
struct Racing {
    inner: FixedSource,
    next: Mutex<Option<Arc<Credential>>>,
}

#[async_trait]
impl CertificateSource for Racing {
    async fn credential(&self, id: &SpiffeId) -> Result<Arc<Credential>, CertificateError> {
        let current = self.inner.credential(id).await;
        if let Some(next) = self.next.lock().take() {
            self.inner.replace(next);
        }
        current
    }

    async fn watch(&self, id: &SpiffeId) -> Result<Option<Watch<Credential>>, CertificateError> {
        self.inner.watch(id).await
    }
}

type ClientWire = Wire<tokio_rustls::client::TlsStream<tokio::io::DuplexStream>>;

/// A client by hand of a server with this source.
async fn served(
    mesh: &Mesh,
    certs: Arc<dyn CertificateSource>,
) -> (ClientWire, UnboundedReceiver<Ended>) {
    let (mut dialer, listener) = piped();
    let layer = ServerLayer::builder(id("server"), certs, mesh.tls.clone())
        .build()
        .unwrap();
    let ended = listener.serve(layer.layer(Fn_(echo)));
    let io = tower_service::Service::call(&mut dialer, endpoint(1))
        .await
        .unwrap();
    let config = support::peers::gullible(Some(&renewed(mesh, "client")));
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = mesh_core::tls::server_name();
    let io = connector.connect(name, io).await.unwrap();
    (Wire::client(io).await, ended)
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_is_replaced_during_the_handshake_retires_its_connection() {
    let mesh = Mesh::new();
    let source = Racing {
        inner: FixedSource::new([renewed(&mesh, "server")]),
        next: Mutex::new(Some(renewed(&mesh, "server"))),
    };
    let (mut wire, mut ended) = served(&mesh, Arc::new(source)).await;
    let goaway = tokio::time::timeout(Duration::from_secs(5), wire.next_of(frames::GOAWAY)).await;
    assert_eq!(
        goaway.expect("the old certificate stays in use").code(),
        frames::NO_ERROR
    );
    // It ends when the peer has seen that (the library asks with a PING, RFC 9113 §6.8).
    let ping = wire.next_of(frames::PING).await;
    wire.send(&frames::frame(frames::PING, frames::ACK, 0, &ping.payload))
        .await;
    ended.recv().await.unwrap().unwrap();
}

/// A source that never renews, and says so in the ways there are.
#[derive(Debug)]
struct Constant {
    credential: Arc<Credential>,
    watch: Option<Watch<Credential>>,
}

#[async_trait]
impl CertificateSource for Constant {
    async fn credential(&self, _: &SpiffeId) -> Result<Arc<Credential>, CertificateError> {
        Ok(self.credential.clone())
    }

    async fn watch(&self, _: &SpiffeId) -> Result<Option<Watch<Credential>>, CertificateError> {
        Ok(self.watch.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_does_not_renew_retires_nothing() {
    let mesh = Mesh::new();
    let credential = renewed(&mesh, "server");
    let (publisher, watch) = mesh_core::watch::channel_shared(credential.clone());
    drop(publisher);
    for (case, watch) in [("no watch", None), ("a watch that is closed", Some(watch))] {
        let source = Constant {
            credential: credential.clone(),
            watch,
        };
        let (mut wire, ended) = served(&mesh, Arc::new(source)).await;
        let five = Duration::from_secs(5);
        let goaway = tokio::time::timeout(five, wire.next_of(frames::GOAWAY)).await;
        assert!(goaway.is_err(), "{case}: the connection is retired");
        assert!(ended.is_empty());
    }
}

/// A source that gives out whatever it holds.
#[derive(Clone, Debug)]
struct Holding(Arc<Mutex<Arc<Credential>>>);

#[async_trait]
impl CertificateSource for Holding {
    async fn credential(&self, _: &SpiffeId) -> Result<Arc<Credential>, CertificateError> {
        Ok(self.0.lock().clone())
    }
}

#[tokio::test(start_paused = true)]
async fn who_still_holds_the_old_certificate_uses_the_connection_with_the_new_one() {
    let mesh = Mesh::new();
    let (old, new) = (renewed(&mesh, "client"), renewed(&mesh, "client"));
    assert!(old.generation() < new.generation());
    let certs = Holding(Arc::new(Mutex::new(new.clone())));
    let (dialer, listener) = piped();
    let dials = listener.dials();
    let ended = listener.serve(mesh.server_builder().build().unwrap().layer(Fn_(echo)));
    let client = ClientLayer::builder(Arc::new(certs.clone()), mesh.tls.clone());
    let client = client.build().unwrap().layer(dialer);
    for (case, holds) in [
        ("the new one", &new),
        ("the old one", &old),
        ("again", &new),
    ] {
        *certs.0.lock() = holds.clone();
        finish(client.connect(mesh.target(endpoint(1))).await.unwrap()).await;
        settle().await;
        assert_eq!(dials.load(Ordering::SeqCst), 1, "{case}");
        assert!(ended.is_empty(), "{case}: the connection is retired");
    }
}

/// A source that gives out its credential, and whose watch fails or never comes.
#[derive(Debug)]
struct Unwatched {
    credential: Arc<Credential>,
    hangs: bool,
}

#[async_trait]
impl CertificateSource for Unwatched {
    async fn credential(&self, _: &SpiffeId) -> Result<Arc<Credential>, CertificateError> {
        Ok(self.credential.clone())
    }

    async fn watch(&self, id: &SpiffeId) -> Result<Option<Watch<Credential>>, CertificateError> {
        if self.hangs {
            std::future::pending::<()>().await;
        }
        Err(CertificateError::unavailable(id, "no watch today"))
    }
}

/// What later revocation lists could not end is not begun.
#[tokio::test(start_paused = true)]
async fn without_the_watch_that_a_source_owes_nothing_is_connected_or_accepted() {
    let mesh = Mesh::new();
    for hangs in [false, true] {
        let source = |name| {
            let credential = renewed(&mesh, name);
            Arc::new(Unwatched { credential, hangs })
        };
        let (dialer, listener) = piped();
        let _ended = listener.serve(mesh.server_builder().build().unwrap().layer(Fn_(echo)));
        let client = ClientLayer::builder(source("client"), mesh.tls.clone());
        let client = client.build().unwrap().layer(dialer);
        let error = client.connect(mesh.target(endpoint(1))).await.unwrap_err();
        let expected = if hangs {
            Outcome::TlsFailure
        } else {
            Outcome::IdentityFailure
        };
        assert_eq!(error.outcome(), expected, "{error}");

        let (dialer, listener) = piped();
        let layer = ServerLayer::builder(id("server"), source("server"), mesh.tls.clone());
        let mut ended = listener.serve(layer.build().unwrap().layer(Fn_(echo)));
        let client = mesh.client_builder().build().unwrap().layer(dialer);
        let error = client.connect(mesh.target(endpoint(1))).await.unwrap_err();
        assert!(error.outcome().is_failure(), "{error}");
        assert!(ended.recv().await.unwrap().is_err());
    }
}
