//! Pipes stand for the client and the workload.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mesh_core::outcome::Outcome;
use mesh_core::telemetry::Security;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::Instant;
use tower_service::Service;

use super::Passthrough;
use crate::proxy::testing::{
    Recorder, Seen, SocketWatch, TestDialer, TestSocket, addr, closed, resolver, socket,
};
use crate::proxy::{
    AllowAll, Attributes, Authorizer, ConnectionFuture, Dial, DialFrom, Error, Permit, Verdict,
};
use crate::server::Accepted;

struct Bench {
    recorder: Arc<Recorder>,
    dialer: TestDialer,
    app: DuplexStream,
    watch: Arc<SocketWatch>,
    serving: ConnectionFuture,
}

/// A connection to `destination` of the workload `web-1`, with the source preserved.
fn open(
    destination: &str,
    authorizer: impl Authorizer,
    dialled: impl IntoIterator<Item = Result<TestSocket, io::ErrorKind>>,
) -> Bench {
    let recorder = Arc::<Recorder>::default();
    let dialer = TestDialer::new(dialled);
    let service = Passthrough::new(
        resolver("web-1"),
        authorizer,
        dialer.clone(),
        recorder.clone(),
    );
    let (io, app, watch) = socket();
    let accepted = Accepted {
        io,
        peer: addr("10.0.0.9:40000"),
        local: addr(destination),
    };
    Bench {
        serving: service.preserving_source().call(accepted),
        recorder,
        dialer,
        app,
        watch,
    }
}

#[tokio::test]
async fn a_permitted_connection_is_carried_and_counted() {
    let (upstream, mut server, _) = socket();
    let mut bench = open("10.0.1.1:8080", AllowAll, [Ok(upstream)]);
    let serving = tokio::spawn(bench.serving);
    bench.app.write_all(&[1; 11]).await.unwrap();
    bench.app.shutdown().await.unwrap();
    let mut got = Vec::new();
    server.read_to_end(&mut got).await.unwrap();
    server.write_all(&[2; 22]).await.unwrap();
    server.shutdown().await.unwrap();
    let mut back = Vec::new();
    bench.app.read_to_end(&mut back).await.unwrap();
    serving.await.unwrap().unwrap();
    assert_eq!((got.len(), back.len()), (11, 22));
    let destination = addr("10.0.1.1:8080");
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
    let record = bench.recorder.last();
    assert_eq!(record.security, Security::Unknown);
    assert!(record.source_identity.is_none());
    assert_eq!(record.source.unwrap().uid(), "plain");
    assert_eq!(record.service.unwrap().spec().hostname, "web");
    let from = DialFrom::Preserve([10, 0, 0, 9].into());
    assert_eq!(
        *bench.dialer.asked.lock(),
        [Dial::new(destination).from(from)]
    );
}

#[tokio::test]
async fn policy_is_asked_without_an_identity_and_a_denial_resets() {
    let deny = |attributes: &Attributes<'_>| {
        assert!(attributes.identity.is_none());
        assert_eq!(attributes.destination, addr("10.0.1.1:8080"));
        Verdict::Deny {
            reason: "no mutual TLS".into(),
        }
    };
    let bench = open("10.0.1.1:8080", deny, []);
    bench.serving.await.unwrap_err();
    assert!(bench.watch.was_reset());
    assert!(bench.dialer.asked.lock().is_empty());
    let denied = "connection closed due to policy rejection: no mutual TLS";
    let end = closed("10.0.1.1:8080", Outcome::PolicyDenied, Some(denied));
    let opened = Seen::Opened(addr("10.0.1.1:8080"));
    assert_eq!(bench.recorder.seen(), [opened, end]);
}

#[tokio::test]
async fn the_ports_of_the_proxy_are_refused_on_every_address() {
    for destination in ["10.0.1.1:15001", "10.0.1.1:15006", "192.0.2.1:15008"] {
        let bench = open(destination, AllowAll, []);
        bench.serving.await.unwrap_err();
        assert!(bench.watch.was_reset(), "{destination}");
        let seen = bench.recorder.seen();
        assert!(
            matches!(&seen[..], [Seen::Rejected(Outcome::BadRequest, _)]),
            "{destination}: {seen:?}"
        );
    }
}

#[tokio::test]
async fn a_workload_that_refuses_resets_the_client() {
    let refused = [Err(io::ErrorKind::ConnectionRefused)];
    let bench = open("10.0.1.1:8080", AllowAll, refused);
    bench.serving.await.unwrap_err();
    assert!(bench.watch.was_reset());
    let failed = "connecting to 10.0.1.1:8080 failed";
    let end = closed("10.0.1.1:8080", Outcome::ConnectFailure, Some(failed));
    let opened = Seen::Opened(addr("10.0.1.1:8080"));
    assert_eq!(bench.recorder.seen(), [opened, end]);
}

#[tokio::test]
async fn a_permission_that_is_withdrawn_while_dialling_ends_it() {
    let until =
        |_: &Attributes<'_>| Verdict::Allow(Permit::until(async { "policy default/new".into() }));
    let bench = open("10.0.1.1:8080", until, []);
    let error = bench.serving.await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::PolicyRevoked);
    assert!(bench.watch.was_reset());
}

#[tokio::test(start_paused = true)]
async fn policy_that_is_undecided_is_waited_for_but_not_for_ever() {
    let pending = |_: &Attributes<'_>| Verdict::Undecided {
        wait: Box::pin(std::future::pending()),
    };
    let start = Instant::now();
    let bench = open("10.0.1.1:8080", pending, []);
    let error = bench.serving.await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::PolicyDenied);
    assert_eq!(start.elapsed().as_secs(), 10);
    assert!(bench.watch.was_reset());
    assert!(bench.dialer.asked.lock().is_empty());

    let (upstream, server, _) = socket();
    let second_time = Arc::new(AtomicBool::new(false));
    let late = move |_: &Attributes<'_>| {
        if second_time.swap(true, Ordering::SeqCst) {
            return Verdict::Allow(Permit::lasting());
        }
        let wait = tokio::time::sleep(Duration::from_secs(9));
        Verdict::Undecided {
            wait: Box::pin(wait),
        }
    };
    let bench = open("10.0.1.1:8080", late, [Ok(upstream)]);
    drop((bench.app, server));
    bench.serving.await.unwrap();
    assert_eq!(bench.dialer.asked.lock().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_ends_the_wait_for_policy() {
    let pending = |_: &Attributes<'_>| Verdict::Undecided {
        wait: Box::pin(std::future::pending()),
    };
    let bench = open("10.0.1.1:8080", pending, []);
    let serving = tokio::spawn(bench.serving);
    tokio::time::sleep(Duration::from_secs(1)).await;
    bench.watch.go();
    let error = serving.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::ClientGone { .. }), "{error:?}");
}
