//! Which tunnels share connections, who dials, and when connections go. Time stands still.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use mesh_core::outcome::Outcome;
use mesh_hbone::client::{Client, ClientBuilder, Error};
use mesh_hbone::{BoxFuture, Incoming, Target, Tunnel};
use parking_lot::Mutex;
use support::frames::{self, Wire};
use support::pipes::{Gate, Piped, endpoint, piped, settle};
use support::{Fn_, Mesh, echo, id};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tower_layer::Layer;
use tower_service::Service;

/// A client, a server of echoes, and how often was dialled.
struct Setup {
    mesh: Mesh,
    client: Client<Piped>,
    dials: Arc<AtomicUsize>,
    ended: UnboundedReceiver<support::pipes::Ended>,
}

impl Setup {
    fn new(change: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Self {
        let mesh = Mesh::new();
        let (client, listener) = mesh.piped(change);
        let dials = listener.dials();
        let ended = listener.serve(mesh.server_builder().build().unwrap().layer(Fn_(echo)));
        Self {
            mesh,
            client,
            dials,
            ended,
        }
    }

    fn dials(&self) -> usize {
        self.dials.load(Ordering::SeqCst)
    }

    async fn open(&self, number: u16) -> Tunnel {
        let target = self.mesh.target(endpoint(number));
        self.client.connect(target).await.unwrap()
    }

    /// So many tunnels, all asked for before any is there.
    async fn open_at_once(&self, numbers: impl IntoIterator<Item = u16>) -> Vec<Tunnel> {
        let targets = numbers.into_iter().map(|n| self.mesh.target(endpoint(n)));
        let tasks = at_once(&self.client, targets);
        let mut tunnels = Vec::new();
        for task in tasks {
            tunnels.push(task.await.unwrap().unwrap());
        }
        tunnels
    }
}

fn at_once<D>(
    client: &Client<D>,
    targets: impl Iterator<Item = Target>,
) -> Vec<JoinHandle<Result<Tunnel, Error>>>
where
    Client<D>: Service<Target, Response = Tunnel, Error = Error> + Clone + Send + 'static,
    <Client<D> as Service<Target>>::Future: Send,
{
    let start = |target| {
        let mut client = client.clone();
        tokio::spawn(async move { client.call(target).await })
    };
    targets.map(start).collect()
}

/// Uses a tunnel.
async fn check(tunnel: &mut Tunnel) {
    tunnel.write_all(b"ping").await.unwrap();
    let mut answer = [0; 4];
    tunnel.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"ping");
}

/// Ends a tunnel on both sides.
async fn finish(mut tunnel: Tunnel) {
    tunnel.shutdown().await.unwrap();
    assert_eq!(tunnel.read(&mut [0; 8]).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn two_tunnels_share_a_connection_and_dropping_the_client_closes_it() {
    let mut setup = Setup::new(|builder| builder);
    let tunnels = setup.open_at_once([1, 1]).await;
    assert_eq!((setup.dials(), setup.client.connections()), (1, 1));
    for tunnel in tunnels {
        finish(tunnel).await;
    }
    settle().await;
    assert!(setup.ended.is_empty(), "an idle connection is kept");
    drop(setup.client);
    setup.ended.recv().await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn dropping_the_client_keeps_running_tunnels() {
    let mut setup = Setup::new(|builder| builder);
    let mut busy = setup.open(1).await;
    finish(setup.open(2).await).await;
    drop(setup.client);
    setup.ended.recv().await.unwrap().unwrap();
    sleep(Duration::from_secs(3600)).await;
    check(&mut busy).await;
    assert!(setup.ended.is_empty());
    finish(busy).await;
    setup.ended.recv().await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn connections_are_shared_by_identity_and_endpoint_and_by_nothing_else() {
    let setup = Setup::new(|builder| builder);
    setup
        .mesh
        .certs
        .replace(setup.mesh.ca.issue(&id("other").to_string()));
    let base = || setup.mesh.target(endpoint(1));
    let mut named = base();
    named.authority = "another.default.svc:80".into();
    let mut with_headers = base();
    with_headers
        .headers
        .insert("traceparent", "x".parse().unwrap());
    let mut as_another = base();
    as_another.source = id("other");
    let mut to_either = base();
    to_either.expect =
        mesh_core::identity::ExpectedPeers::new([id("server"), id("other")]).unwrap();
    let mut tunnels = Vec::new();
    for (case, target, connections) in [
        ("the first", base(), 1),
        ("the same", base(), 1),
        ("another authority", named, 1),
        ("other headers", with_headers, 1),
        ("another endpoint", setup.mesh.target(endpoint(2)), 2),
        ("another source", as_another, 3),
        ("other expected identities", to_either, 4),
    ] {
        tunnels.push(setup.client.connect(target).await.unwrap());
        assert_eq!(setup.client.connections(), connections, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn four_tunnels_at_a_limit_of_two_take_two_connections_that_are_used_again() {
    let setup = Setup::new(|builder| builder.max_streams_per_connection(2));
    let tunnels = setup.open_at_once([1; 4]).await;
    settle().await;
    // Two, and the one that is opened before it is needed.
    assert_eq!(setup.dials(), 3);
    for tunnel in tunnels {
        finish(tunnel).await;
    }
    settle().await;
    let again = setup.open_at_once([1; 4]).await;
    settle().await;
    assert_eq!(
        setup.dials(),
        3,
        "connections that were full are used again"
    );
    drop(again);
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_one_gives_each_tunnel_its_connection() {
    let setup = Setup::new(|builder| builder.max_streams_per_connection(1));
    let mut tunnels = setup.open_at_once([1; 5]).await;
    settle().await;
    assert!((5..=6).contains(&setup.dials()), "{}", setup.dials());
    for tunnel in &mut tunnels {
        check(tunnel).await;
    }
}

#[tokio::test(start_paused = true)]
async fn many_requests_take_as_many_connections_as_there_are_endpoints() {
    for (requests, endpoints) in [(100, 1), (100, 100), (300, 3)] {
        let setup = Setup::new(|builder| builder.max_streams_per_connection(150));
        let tunnels = setup
            .open_at_once((0..requests).map(|n| n % endpoints))
            .await;
        settle().await;
        assert_eq!(
            setup.dials(),
            usize::from(endpoints),
            "{requests} for {endpoints}"
        );
        assert_eq!(setup.client.connections(), usize::from(endpoints));
        drop(tunnels);
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_does_not_overrun_a_server_whose_limit_is_not_known_yet() {
    // RFC 9113 §6.5.2: a server that says nothing allows everything, and one that has yet to speak
    // is likely to allow 100.
    let mesh = Mesh::new();
    let (client, mut listener) = mesh.piped(|builder| builder.max_streams_per_connection(1000));
    let tasks = at_once(&client, (0..450).map(|_| mesh.target(endpoint(1))));
    let mut io = listener.accept_tls(&mesh).await;
    io.read_exact(&mut vec![0; frames::PREFACE.len()])
        .await
        .unwrap();
    let mut wire = Wire::silent(io);
    settle().await;
    let mut asked = 0;
    while let Ok(frame) = tokio::time::timeout(Duration::from_secs(1), wire.next()).await {
        asked += usize::from(frame.unwrap().kind == frames::HEADERS);
    }
    assert_eq!(asked, 100);
    assert_eq!(1 + listener.waiting(), 5, "dials for 450");
    tasks.iter().for_each(JoinHandle::abort);
}

/// A dialer that waits at a gate and may fail.
#[derive(Clone, Debug)]
struct Gated {
    gate: Gate,
    fail: Arc<AtomicBool>,
    inner: Piped,
    asked: Arc<AtomicUsize>,
}

impl Service<SocketAddr> for Gated {
    type Response = DuplexStream;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<DuplexStream>>;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, addr: SocketAddr) -> Self::Future {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let Self {
            gate,
            fail,
            mut inner,
            ..
        } = self.clone();
        Box::pin(async move {
            gate.pass().await;
            if fail.load(Ordering::SeqCst) {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            inner.call(addr).await
        })
    }
}

fn gated(
    mesh: &Mesh,
    change: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> (Client<Gated>, Gated) {
    let (inner, listener) = piped();
    let dialer = Gated {
        gate: Gate::closed(),
        fail: Arc::default(),
        inner,
        asked: Arc::default(),
    };
    let _ = listener.serve(mesh.server_builder().build().unwrap().layer(Fn_(echo)));
    let layer = change(mesh.client_builder()).build().unwrap();
    (layer.layer(dialer.clone()), dialer)
}

impl Gated {
    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[tokio::test(start_paused = true)]
async fn two_hundred_requests_for_a_slow_endpoint_share_two_dials() {
    let mesh = Mesh::new();
    let (client, dialer) = gated(&mesh, |builder| builder);
    let tasks = at_once(&client, (0..200).map(|_| mesh.target(endpoint(1))));
    settle().await;
    // 100 streams each.
    assert_eq!(dialer.asked(), 2);
    dialer.gate.open(100);
    for task in tasks {
        std::mem::forget(task.await.unwrap().unwrap());
    }
    // And at most one that was opened because these are full.
    assert!(dialer.asked() <= 3, "{}", dialer.asked());
}

#[tokio::test(start_paused = true)]
async fn a_failed_dial_reaches_all_who_wait_and_the_next_request_dials_anew() {
    let mesh = Mesh::new();
    let (client, dialer) = gated(&mesh, |builder| builder);
    dialer.fail.store(true, Ordering::SeqCst);
    let tasks = at_once(&client, (0..200).map(|_| mesh.target(endpoint(1))));
    settle().await;
    assert_eq!(dialer.asked(), 2);
    dialer.gate.open(2);
    let mut errors = Vec::new();
    for task in tasks {
        let error = task.await.unwrap().unwrap_err();
        assert_eq!(error.outcome(), Outcome::ConnectFailure);
        match error {
            Error::Dial(error) => errors.push(error),
            other => panic!("{other}"),
        }
    }
    errors.sort_by_key(Arc::as_ptr);
    errors.dedup_by_key(|error| Arc::as_ptr(error));
    assert_eq!(errors.len(), 2, "one error for each dial, shared");
    assert_eq!(dialer.asked(), 2, "nobody dials again by himself");

    dialer.fail.store(false, Ordering::SeqCst);
    dialer.gate.open(1);
    check(&mut client.connect(mesh.target(endpoint(1))).await.unwrap()).await;
    assert_eq!(dialer.asked(), 3);
}

#[tokio::test(start_paused = true)]
async fn who_asked_first_may_leave_without_failing_the_rest() {
    let mesh = Mesh::new();
    let (client, dialer) = gated(&mesh, |builder| builder);
    let target = || std::iter::once(mesh.target(endpoint(1)));
    let first = at_once(&client, target()).remove(0);
    settle().await;
    let second = at_once(&client, target()).remove(0);
    settle().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    dialer.gate.open(1);
    check(&mut second.await.unwrap().unwrap()).await;
    assert_eq!(dialer.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_everybody_left_still_ends_in_a_connection() {
    let mesh = Mesh::new();
    let (client, dialer) = gated(&mesh, |builder| builder);
    let only = at_once(&client, std::iter::once(mesh.target(endpoint(1)))).remove(0);
    settle().await;
    only.abort();
    dialer.gate.open(1);
    settle().await;
    assert_eq!(client.connections(), 1);
    check(&mut client.connect(mesh.target(endpoint(1))).await.unwrap()).await;
    assert_eq!(dialer.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn another_connection_is_opened_before_the_next_tunnel_has_to_wait_for_it() {
    let mesh = Mesh::new();
    let (client, dialer) = gated(&mesh, |builder| builder.max_streams_per_connection(2));
    dialer.gate.open(1);
    let target = || mesh.target(endpoint(1));
    let _first = client.connect(target()).await.unwrap();
    settle().await;
    assert_eq!(dialer.asked(), 1, "half full");
    let _second = client.connect(target()).await.unwrap();
    settle().await;
    assert_eq!(dialer.asked(), 2, "full");
    // The third waits for that dial and starts no other.
    let third = at_once(&client, std::iter::once(target())).remove(0);
    settle().await;
    assert!(!third.is_finished());
    assert_eq!(dialer.asked(), 2);
    dialer.gate.open(1);
    check(&mut third.await.unwrap().unwrap()).await;
}

#[tokio::test(start_paused = true)]
async fn tunnels_go_to_the_connection_with_the_fewest() {
    let mesh = Mesh::new();
    let (client, listener) = mesh.piped(|builder| builder.max_streams_per_connection(4));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let saw = seen.clone();
    let service = Fn_(move |incoming: Incoming| {
        saw.lock().push(incoming.peer().addr().port());
        echo(incoming)
    });
    let _ended = listener.serve(mesh.server_builder().build().unwrap().layer(service));
    let mut tunnels = Vec::new();
    for _ in 0..4 {
        tunnels.push(client.connect(mesh.target(endpoint(1))).await.unwrap());
    }
    settle().await;
    // Four on the first; the second is there already and empty.
    tunnels.truncate(1);
    settle().await;
    for _ in 0..3 {
        tunnels.push(client.connect(mesh.target(endpoint(1))).await.unwrap());
    }
    // One against nothing, one against one (either), then whichever has fewer: 2 and 2.
    let seen = seen.lock();
    assert_eq!(seen[..4], [1; 4]);
    assert_eq!(seen[4], 2);
    let second = seen[4..]
        .iter()
        .filter(|&&connection| connection == 2)
        .count();
    assert_eq!(second, 2, "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_full_pool_gives_an_idle_connection_up_and_never_a_busy_one() {
    let mut setup = Setup::new(|builder| builder.max_connections(2));
    let mut busy = setup.open(1).await;
    finish(setup.open(2).await).await;
    settle().await;
    let mut third = setup.open(3).await;
    assert_eq!(setup.client.connections(), 2);
    setup.ended.recv().await.unwrap().unwrap();

    let error = setup
        .client
        .connect(setup.mesh.target(endpoint(4)))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::PoolFull { limit: 2 }), "{error:?}");
    assert_eq!(error.outcome(), Outcome::ConnectFailure);
    assert_eq!(setup.dials(), 3);
    // Those that are there can still be used.
    let mut fourth = setup.open(1).await;
    for tunnel in [&mut busy, &mut third, &mut fourth] {
        check(tunnel).await;
    }
    drop((busy, fourth));
    settle().await;
    check(&mut setup.open(4).await).await;
}

#[tokio::test(start_paused = true)]
async fn dials_under_way_count_against_the_size_of_the_pool() {
    let mesh = Mesh::new();
    let (client, dialer) = gated(&mesh, |builder| builder.max_connections(3));
    let tasks = at_once(&client, (0..10).map(|n| mesh.target(endpoint(n))));
    settle().await;
    assert_eq!(dialer.asked(), 3);
    dialer.gate.open(10);
    let mut full = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(tunnel) => std::mem::forget(tunnel),
            Err(Error::PoolFull { limit: 3 }) => full += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((full, client.connections()), (7, 3));
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_released_after_their_time() {
    let idle = Duration::from_secs(300);
    let mut setup = Setup::new(|builder| builder.idle_release(idle));
    finish(setup.open(1).await).await;
    sleep(idle - Duration::from_secs(1)).await;
    assert_eq!(setup.client.connections(), 1);
    // Use begins the time anew.
    finish(setup.open(1).await).await;
    sleep(idle - Duration::from_secs(1)).await;
    assert_eq!((setup.client.connections(), setup.dials()), (1, 1));
    sleep(Duration::from_secs(2)).await;
    assert_eq!(setup.client.connections(), 0);
    setup.ended.recv().await.unwrap().unwrap();
    check(&mut setup.open(1).await).await;
    assert_eq!(setup.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_not_idle_while_one_of_its_tunnels_lives() {
    let idle = Duration::from_secs(300);
    let mut setup = Setup::new(|builder| builder.idle_release(idle));
    let mut long = setup.open(1).await;
    for _ in 0..5 {
        finish(setup.open(1).await).await;
        sleep(idle * 2).await;
    }
    check(&mut long).await;
    assert_eq!((setup.client.connections(), setup.dials()), (1, 1));
    finish(long).await;
    sleep(idle - Duration::from_secs(1)).await;
    assert_eq!(setup.client.connections(), 1);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(setup.client.connections(), 0);
    setup.ended.recv().await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_of_endpoints_that_are_not_used_any_more() {
    let mesh = Mesh::new();
    let (client, dialer) = gated(&mesh, |builder| {
        builder.idle_release(Duration::from_secs(1))
    });
    dialer.gate.open(100_000);
    dialer.fail.store(true, Ordering::SeqCst);
    for n in 0..2_000 {
        client.connect(mesh.target(endpoint(n))).await.unwrap_err();
    }
    dialer.fail.store(false, Ordering::SeqCst);
    for n in 0..100 {
        drop(client.connect(mesh.target(endpoint(n))).await.unwrap());
    }
    let memory = format!("{client:?}");
    assert!(memory.contains("10.0.0.5"), "the keys show in {memory}");
    sleep(Duration::from_secs(10)).await;
    assert_eq!(client.connections(), 0);
    let memory = format!("{client:?}");
    assert!(!memory.contains("10.0.0.5"), "{memory}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_drains_is_left_for_a_new_connection() {
    let mesh = Mesh::new();
    let (client, listener) = mesh.piped(|builder| builder);
    let dials = listener.dials();
    let (trigger, drain) = mesh_core::drain::channel();
    let layer = mesh.server_builder().drain(drain).build().unwrap();
    let mut ended = listener.serve(layer.layer(Fn_(echo)));
    let mut old = client.connect(mesh.target(endpoint(1))).await.unwrap();
    trigger.drain();
    settle().await;
    check(&mut old).await;
    // The server drains as a whole, so that new connections end as well; there is one.
    drop(client.connect(mesh.target(endpoint(1))).await);
    assert!(dials.load(Ordering::SeqCst) >= 2);
    check(&mut old).await;
    finish(old).await;
    ended.recv().await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_asked_fails_its_request_and_leaves_connections_alone() {
    let setup = Setup::new(|builder| builder);
    let mut busy = setup.open(1).await;
    for authority in ["/x", "*", "", "http://10.0.0.1:80", "10.0.0.1:80/x"] {
        let mut target = setup.mesh.target(endpoint(1));
        target.authority = authority.into();
        let error = setup.client.connect(target).await.unwrap_err();
        let invalid = matches!(error, Error::InvalidAuthority { .. });
        assert!(invalid, "{authority:?}: {error:?}");
    }
    // RFC 9113 §8.2.2: a field of one connection has no place in HTTP/2.
    let mut target = setup.mesh.target(endpoint(1));
    target.headers.insert("connection", "x".parse().unwrap());
    let error = setup.client.connect(target).await.unwrap_err();
    assert!(matches!(error, Error::Http2 { .. }), "{error:?}");

    check(&mut busy).await;
    check(&mut setup.open(1).await).await;
    assert_eq!((setup.dials(), setup.client.connections()), (1, 1));
    assert!(setup.ended.is_empty());
}
