//! A connector that answers from a list stands for the network.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use mesh_core::outcome::Outcome;
use mesh_core::telemetry::Security;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tower_service::Service;

use super::Outbound;
use crate::proxy::testing::{
    Recorder, Seen, SocketWatch, TestSocket, addr, closed, resolver, socket,
};
use crate::proxy::{
    Addresses, ConnectionFuture, DialError, Error, Leg, MeshResolver, NameLookup, Upstream,
};
use crate::server::Accepted;
use crate::{BoxFuture, client};

type Answer = Result<TestSocket, Error>;

#[derive(Clone, Default)]
struct TestConnector {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    legs: Arc<Mutex<Vec<Leg>>>,
    /// Counts itself and the connects that are under way without an answer.
    pending: Arc<()>,
}

impl Service<Leg> for TestConnector {
    type Response = Upstream<TestSocket>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Self::Response, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, leg: Leg) -> Self::Future {
        self.legs.lock().push(leg);
        let answer = self.answers.lock().pop_front();
        let pending = self.pending.clone();
        Box::pin(async move {
            match answer {
                Some(answer) => answer.map(Upstream::Plain),
                None => {
                    let _pending = pending;
                    std::future::pending().await
                }
            }
        })
    }
}

/// Knows `db.example`.
#[derive(Clone)]
struct TestLookup;

impl NameLookup for TestLookup {
    async fn lookup(&self, name: &str) -> io::Result<Addresses> {
        match name {
            "db.example" => {
                let found: [IpAddr; 3] = [
                    "2001:db8::5".parse().unwrap(),
                    "192.0.2.5".parse().unwrap(),
                    "192.0.2.6".parse().unwrap(),
                ];
                Ok(found.into())
            }
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

mod traffic;

struct Bench {
    connector: TestConnector,
    recorder: Arc<Recorder>,
    outbound: Outbound<MeshResolver, TestConnector, TestLookup>,
}

impl Bench {
    fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let connector = TestConnector::default();
        connector.answers.lock().extend(answers);
        let recorder = Arc::<Recorder>::default();
        Self {
            outbound: Outbound::new(
                resolver("a"),
                connector.clone(),
                TestLookup,
                recorder.clone(),
            ),
            connector,
            recorder,
        }
    }

    /// A connection of the application to `destination`.
    fn open(&mut self, destination: &str) -> (ConnectionFuture, DuplexStream, Arc<SocketWatch>) {
        let (io, app, watch) = socket();
        let accepted = Accepted {
            io,
            peer: addr("10.0.0.1:40000"),
            local: addr(destination),
        };
        (self.outbound.call(accepted), app, watch)
    }

    /// The legs that were tried, in short: `tcp <address>` or `hbone <endpoint> <authority>`.
    fn legs(&self) -> Vec<String> {
        let describe = |leg: &Leg| match leg {
            Leg::Tcp(address) => format!("tcp {address}"),
            Leg::Hbone(target) => format!("hbone {} {}", target.endpoint, target.authority),
            Leg::DoubleHbone { gateway, inner } => {
                format!("double {} {}", gateway.endpoint, inner.authority)
            }
        };
        self.connector.legs.lock().iter().map(describe).collect()
    }
}

fn refused(status: u16) -> Error {
    Error::Tunnel(client::Error::Refused {
        endpoint: addr("10.0.1.1:15008"),
        status: http::StatusCode::from_u16(status).unwrap(),
    })
}

fn unreachable() -> Error {
    Error::Dial(DialError::Timeout {
        address: addr("10.0.0.9:80"),
    })
}

#[tokio::test]
async fn bytes_are_counted_and_the_connection_is_closed_once() {
    // Source: Istio's convention; received = client to server, for both reporters.
    let (upstream, mut server, _) = socket();
    let mut bench = Bench::new([Ok(upstream)]);
    let (serving, mut app, _) = bench.open("10.0.0.9:80");
    let serving = tokio::spawn(serving);

    app.write_all(&[1; 11]).await.unwrap();
    app.shutdown().await.unwrap();
    let mut request = Vec::new();
    server.read_to_end(&mut request).await.unwrap();
    assert_eq!(request.len(), 11);
    // The client's end has arrived; the other direction still flows.
    server.write_all(&[2; 22]).await.unwrap();
    server.shutdown().await.unwrap();
    let mut response = Vec::new();
    app.read_to_end(&mut response).await.unwrap();
    assert_eq!(response.len(), 22);

    serving.await.unwrap().unwrap();
    let destination = addr("10.0.0.9:80");
    let completed = Seen::Closed {
        destination,
        outcome: Outcome::Completed,
        received: 11,
        sent: 22,
        error: None,
    };
    assert_eq!(
        bench.recorder.seen(),
        [Seen::Opened(destination), completed]
    );
    let traffic = &bench.recorder.traffic;
    assert_eq!((traffic.received(), traffic.sent()), (11, 22));
}

#[tokio::test]
async fn destinations_lead_to_their_next_hops() {
    // Source: the outbound algorithm of Istio's node proxies.
    let cases = [
        (
            "not in the mesh",
            "198.51.100.7:443",
            "tcp 198.51.100.7:443",
        ),
        ("plain workload", "10.0.0.9:80", "tcp 10.0.0.9:80"),
        (
            "HBONE workload",
            "10.0.1.1:8080",
            "hbone 10.0.1.1:15008 10.0.1.1:8080",
        ),
        (
            "host name, IPv4 preferred",
            "10.96.0.2:5432",
            "tcp 192.0.2.5:5432",
        ),
    ];
    for (name, destination, leg) in cases {
        let (upstream, _, _) = socket();
        let mut bench = Bench::new([Ok(upstream)]);
        let (serving, app, _) = bench.open(destination);
        drop(app);
        let _ = serving.await;
        assert_eq!(bench.legs(), [leg], "{name}");
    }
}

#[tokio::test]
async fn a_tunnel_is_asked_for_with_identities_and_headers() {
    let (upstream, _, _) = socket();
    let mut bench = Bench::new([Ok(upstream)]);
    let (serving, app, _) = bench.open("10.96.0.1:80");
    drop(app);
    let _ = serving.await;
    let legs = bench.connector.legs.lock();
    let [Leg::Hbone(target)] = &legs[..] else {
        panic!("{legs:?}");
    };
    assert_eq!(
        target.source.to_string(),
        "spiffe://cluster.local/ns/default/sa/a"
    );
    let web = "spiffe://cluster.local/ns/default/sa/web".parse().unwrap();
    assert!(target.expect.contains(&web));
    assert_eq!(
        target.headers["forwarded"],
        "for=\"10.0.0.1:40000\";host=web"
    );
    assert!(target.headers.contains_key("baggage"));
    assert!(target.headers.contains_key("traceparent"));
    assert!(!target.headers.contains_key("x-forwarded-network"));
    let record = bench.recorder.last();
    assert_eq!(record.security, Security::MutualTls);
    assert_eq!(record.source.unwrap().uid(), "a");
    assert!(record.destination.unwrap().uid().starts_with("web-"));
    assert_eq!(record.service.unwrap().spec().hostname, "web");
    assert_eq!(record.hbone_authority.as_deref(), Some(&*target.authority));
}

#[tokio::test]
async fn what_cannot_be_resolved_is_rejected_and_reset() {
    let cases = [
        ("no endpoint", "10.96.0.3:80", Outcome::Unresolved),
        ("the proxy itself", "127.0.0.1:15001", Outcome::BadRequest),
    ];
    for (name, destination, outcome) in cases {
        let mut bench = Bench::new([]);
        let (serving, _app, watch) = bench.open(destination);
        assert_eq!(serving.await.unwrap_err().outcome(), outcome, "{name}");
        let seen = bench.recorder.seen();
        assert!(
            matches!(&seen[..], [Seen::Rejected(seen, _)] if *seen == outcome),
            "{name}: {seen:?}"
        );
        assert!(watch.was_reset(), "{name}");
    }
}

#[tokio::test]
async fn another_endpoint_is_tried_when_one_fails() {
    let (upstream, _, _) = socket();
    let mut bench = Bench::new([Err(unreachable()), Err(refused(503)), Ok(upstream)]);
    let (serving, app, _) = bench.open("10.96.0.1:80");
    drop(app);
    let _ = serving.await;
    let mut legs = bench.legs();
    assert_eq!(legs.len(), 3, "{legs:?}");
    legs.sort();
    legs.dedup();
    assert_eq!(legs.len(), 3, "no endpoint twice: {legs:?}");
    let seen = bench.recorder.seen();
    let opened = seen.iter().filter(|seen| matches!(seen, Seen::Opened(_)));
    let ended = seen
        .iter()
        .filter(|seen| matches!(seen, Seen::Closed { .. }));
    assert_eq!((opened.count(), ended.count()), (3, 3), "{seen:?}");
}

#[tokio::test]
async fn attempts_end() {
    type Failures = fn() -> Vec<Answer>;
    let cases: [(&str, &str, Failures, usize, Outcome); 4] = [
        (
            "after three endpoints",
            "10.96.0.1:80",
            || (0..9).map(|_| Err(unreachable())).collect(),
            3,
            Outcome::ConnectFailure,
        ),
        (
            "at once when policy there refuses",
            "10.96.0.1:80",
            || vec![Err(refused(401))],
            1,
            Outcome::Refused,
        ),
        (
            "at once when there is no other endpoint",
            "10.0.0.9:80",
            || vec![Err(unreachable())],
            1,
            Outcome::ConnectFailure,
        ),
        (
            "after three addresses of a host name",
            "10.96.0.2:5432",
            || (0..9).map(|_| Err(unreachable())).collect(),
            3,
            Outcome::ConnectFailure,
        ),
    ];
    for (name, destination, failures, tries, outcome) in cases {
        let mut bench = Bench::new(failures());
        let (serving, _app, watch) = bench.open(destination);
        assert_eq!(serving.await.unwrap_err().outcome(), outcome, "{name}");
        assert_eq!(bench.legs().len(), tries, "{name}");
        assert!(watch.was_reset(), "{name}");
    }
}

#[tokio::test]
async fn an_application_that_goes_away_ends_the_attempt() {
    let mut bench = Bench::new([]);
    let (serving, _app, watch) = bench.open("10.0.0.9:80");
    let serving = tokio::spawn(serving);
    while bench.connector.legs.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    // The bench, its service, and the connect that is under way.
    let before = Arc::strong_count(&bench.connector.pending);
    watch.go();
    let error = serving.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::ClientGone { .. }), "{error:?}");
    assert!(Arc::strong_count(&bench.connector.pending) < before);
    let gone = "the client went away before 10.0.0.9:80 was connected";
    let expected = [
        Seen::Opened(addr("10.0.0.9:80")),
        closed("10.0.0.9:80", Outcome::Reset, Some(gone)),
    ];
    assert_eq!(bench.recorder.seen(), expected);
}

#[tokio::test]
async fn a_connection_that_is_dropped_is_reported_as_drained() {
    let (upstream, _server, server_watch) = socket();
    for (name, answers) in [
        ("while dialling", vec![]),
        ("while copying", vec![Ok(upstream)]),
    ] {
        let copying = !answers.is_empty();
        let mut bench = Bench::new(answers);
        let (mut serving, _app, watch) = bench.open("10.0.0.9:80");
        assert!(futures_util::FutureExt::now_or_never(&mut serving).is_none());
        drop(serving);
        let drained = "connection closed due to connection drain";
        let expected = [
            Seen::Opened(addr("10.0.0.9:80")),
            closed("10.0.0.9:80", Outcome::Drained, Some(drained)),
        ];
        assert_eq!(bench.recorder.seen(), expected, "{name}");
        assert_eq!(watch.was_reset(), copying, "{name}");
    }
    assert!(server_watch.was_reset());
}
