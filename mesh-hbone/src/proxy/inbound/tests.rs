//! A raw HTTP/2 client over a pipe stands for the peer's proxy.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use mesh_core::credential::{Credential, FixedSource};
use mesh_core::model::{ApplicationProtocol, ApplicationTunnel};
use mesh_core::name::Name;
use mesh_core::outcome::Outcome;
use mesh_core::store::MeshStore;
use mesh_core::tls::TlsContext;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, oneshot};

use super::{Inbound, InboundOptions};
use crate::proxy::testing::{
    Recorder, Seen, TestDialer, TestSocket, addr, closed, mesh, mesh_where, resolver_in, socket,
};
use crate::proxy::{
    AllowAll, Attributes, Authorizer, Dial, DialFrom, MeshResolver, Permit, Verdict,
};
use crate::server::{Accepted, ServerLayer, serve_authenticated};

const PEER: &str = "spiffe://cluster.local/ns/default/sa/a";
/// The TCP destination: `web-1`.
const LOCAL: &str = "10.0.1.1:15008";

struct Bench {
    send: SendRequest<Bytes>,
    recorder: Arc<Recorder>,
    dialer: TestDialer,
    /// Makes the client's proxy fall silent.
    silence: Arc<Notify>,
}

type Dialled = Result<TestSocket, std::io::ErrorKind>;

impl Bench {
    async fn new(dialled: impl IntoIterator<Item = Dialled>) -> Self {
        Self::with(&mesh(), AllowAll, InboundOptions::default(), dialled).await
    }

    async fn with(
        store: &MeshStore,
        authorizer: impl Authorizer,
        options: InboundOptions,
        dialled: impl IntoIterator<Item = Dialled>,
    ) -> Self {
        let recorder = Arc::<Recorder>::default();
        let dialer = TestDialer::new(dialled);
        let resolver: MeshResolver = resolver_in(store, "web-1");
        let inbound = Inbound::new(resolver, authorizer, dialer.clone(), recorder.clone());
        let inbound = inbound.with_options(options);
        let (client, server) = tokio::io::duplex(64 * 1024);
        let accepted = Accepted {
            io: server,
            peer: addr("10.0.0.1:50000"),
            local: addr(LOCAL),
        };
        let layer = ServerLayer::builder(
            PEER.parse().unwrap(),
            Arc::new(FixedSource::new(Vec::<Credential>::new())),
            Arc::new(TlsContext::with_default_provider().unwrap()),
        );
        let layer = layer.build().unwrap();
        tokio::spawn(async move {
            let _ = serve_authenticated(&layer, accepted, PEER.parse().unwrap(), inbound).await;
        });
        let (send, connection) = h2::client::handshake(client).await.unwrap();
        let silence = Arc::new(Notify::new());
        let silenced = silence.clone();
        tokio::spawn(async move {
            let mut connection = std::pin::pin!(connection);
            tokio::select! {
                _ = connection.as_mut() => {}
                () = silenced.notified() => std::future::pending().await,
            }
        });
        Self {
            send,
            recorder,
            dialer,
            silence,
        }
    }

    fn request(
        &mut self,
        authority: &str,
        headers: HeaderMap,
    ) -> (h2::client::ResponseFuture, h2::SendStream<Bytes>) {
        let mut request = Request::new(());
        *request.method_mut() = Method::CONNECT;
        *request.uri_mut() = Uri::try_from(authority).unwrap();
        *request.headers_mut() = headers;
        self.send.send_request(request, false).unwrap()
    }

    async fn ask(&mut self, authority: &str) -> (Response<h2::RecvStream>, h2::SendStream<Bytes>) {
        let (response, send) = self.request(authority, HeaderMap::new());
        (response.await.unwrap(), send)
    }

    async fn status(&mut self, authority: &str) -> StatusCode {
        self.ask(authority).await.0.status()
    }
}

fn upstream() -> (Dialled, tokio::io::DuplexStream) {
    let (io, app, _) = socket();
    (Ok(io), app)
}

#[tokio::test]
async fn requests_are_answered_with_the_status_of_their_failure() {
    // Source: the table of answers of Istio's node proxies.
    let cases: [(&str, &str, u16, Outcome); 8] = [
        ("no port", "10.0.1.1", 400, Outcome::BadRequest),
        ("port 0", "10.0.1.1:0", 400, Outcome::BadRequest),
        ("another address", "10.0.1.2:8080", 400, Outcome::BadRequest),
        ("an unknown service", "nobody:80", 503, Outcome::Unresolved),
        (
            "a port that the service has not",
            "web:81",
            503,
            Outcome::Unresolved,
        ),
        (
            "the outbound port",
            "10.0.1.1:15001",
            503,
            Outcome::BadRequest,
        ),
        (
            "the plaintext port",
            "10.0.1.1:15006",
            503,
            Outcome::BadRequest,
        ),
        ("the HBONE port", "10.0.1.1:15008", 503, Outcome::BadRequest),
    ];
    for (name, authority, status, outcome) in cases {
        let mut bench = Bench::new([]).await;
        assert_eq!(bench.status(authority).await.as_u16(), status, "{name}");
        let seen = bench.recorder.seen();
        assert!(
            matches!(&seen[..], [Seen::Rejected(seen, _)] if *seen == outcome),
            "{name}: {seen:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_local_workload_the_answer_is_503() {
    let mut bench = Bench::with(&MeshStore::new(), AllowAll, InboundOptions::default(), []).await;
    assert_eq!(bench.status("10.0.1.1:8080").await.as_u16(), 503);
}

#[tokio::test]
async fn a_denied_request_is_answered_401_and_not_dialled() {
    let asked = Arc::new(Mutex::new(None));
    let heard = asked.clone();
    let deny = move |attributes: &Attributes<'_>| {
        let identity = attributes.identity.map(ToString::to_string);
        let workload = attributes.workload.uid().to_owned();
        *heard.lock() = Some((
            attributes.source,
            identity,
            attributes.destination,
            workload,
        ));
        Verdict::Deny {
            reason: "policy default/deny".into(),
        }
    };
    let mut bench = Bench::with(&mesh(), deny, InboundOptions::default(), []).await;
    assert_eq!(bench.status("10.0.1.1:8080").await.as_u16(), 401);
    let expected = (
        addr("10.0.0.1:50000"),
        Some(PEER.to_owned()),
        addr("10.0.1.1:8080"),
        "web-1".to_owned(),
    );
    assert_eq!(asked.lock().clone(), Some(expected));
    assert!(bench.dialer.asked.lock().is_empty());
    let denied = "connection closed due to policy rejection: policy default/deny";
    assert_eq!(
        bench.recorder.seen(),
        [
            Seen::Opened(addr(LOCAL)),
            closed(LOCAL, Outcome::PolicyDenied, Some(denied)),
        ]
    );
}

#[tokio::test]
async fn a_connection_that_the_workload_refuses_is_answered_503() {
    let mut bench = Bench::new([Err(std::io::ErrorKind::ConnectionRefused)]).await;
    assert_eq!(bench.status("10.0.1.1:8080").await.as_u16(), 503);
    let failed = "connecting to 10.0.1.1:8080 failed";
    let end = closed(LOCAL, Outcome::ConnectFailure, Some(failed));
    assert_eq!(bench.recorder.seen(), [Seen::Opened(addr(LOCAL)), end]);
}

#[tokio::test]
async fn bytes_are_carried_both_ways_and_counted() {
    let (dialled, mut app) = upstream();
    let mut bench = Bench::new([dialled]).await;
    let (response, mut send) = bench.ask("10.0.1.1:8080").await;
    assert_eq!(response.status(), StatusCode::OK);
    send.send_data(Bytes::from_static(&[1; 11]), true).unwrap();
    let mut got = Vec::new();
    app.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, [1; 11]);
    app.write_all(&[2; 22]).await.unwrap();
    app.shutdown().await.unwrap();
    let mut body = response.into_body();
    let mut back = 0;
    while let Some(chunk) = body.data().await {
        back += chunk.unwrap().len();
    }
    assert_eq!(back, 22);
    while bench.recorder.seen().len() < 2 {
        tokio::task::yield_now().await;
    }
    let completed = Seen::Closed {
        destination: addr(LOCAL),
        outcome: Outcome::Completed,
        received: 11,
        sent: 22,
        error: None,
    };
    assert_eq!(
        bench.recorder.seen(),
        [Seen::Opened(addr(LOCAL)), completed]
    );
    let record = bench.recorder.last();
    assert_eq!(record.source.unwrap().uid(), "a");
    assert_eq!(record.source_identity.unwrap().to_string(), PEER);
    assert_eq!(record.destination.unwrap().uid(), "web-1");
    assert_eq!(record.hbone_authority.as_deref(), Some("10.0.1.1:8080"));
}

#[tokio::test]
async fn the_answer_waits_for_the_workload() {
    let mut bench = Bench::new([]).await;
    let (mut response, _send) = bench.request("10.0.1.1:8080", HeaderMap::new());
    while bench.dialer.asked.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(futures_util::FutureExt::now_or_never(&mut response).is_none());
}

#[tokio::test]
async fn a_peer_that_gives_up_ends_the_dialling() {
    let mut bench = Bench::new([]).await;
    let (response, mut send) = bench.request("10.0.1.1:8080", HeaderMap::new());
    while bench.dialer.asked.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    send.send_reset(h2::Reason::CANCEL);
    drop(response);
    while bench.recorder.seen().len() < 2 {
        tokio::task::yield_now().await;
    }
    let gone = "the client went away before 10.0.1.1:8080 was connected";
    let end = closed(LOCAL, Outcome::Reset, Some(gone));
    assert_eq!(bench.recorder.seen(), [Seen::Opened(addr(LOCAL)), end]);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_falls_silent_ends_the_dialling_and_is_not_said_to_have_gone() {
    let mut bench = Bench::new([]).await;
    let (_response, _send) = bench.request("10.0.1.1:8080", HeaderMap::new());
    while bench.dialer.asked.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    bench.silence.notify_one();
    tokio::time::sleep(Duration::from_secs(40)).await;
    let lost = "the connection with the client was lost";
    let end = closed(LOCAL, Outcome::CopyFailure, Some(lost));
    assert_eq!(bench.recorder.seen(), [Seen::Opened(addr(LOCAL)), end]);
}

#[tokio::test]
async fn a_withdrawn_permission_cuts_the_connection() {
    let (revoke, revoked) = oneshot::channel::<()>();
    let revoked = Arc::new(Mutex::new(Some(revoked)));
    let until = move |_: &Attributes<'_>| {
        let revoked = revoked.lock().take().unwrap();
        Verdict::Allow(Permit::until(async move {
            revoked.await.unwrap();
            "policy default/new".into()
        }))
    };
    let (dialled, mut app) = upstream();
    let mut bench = Bench::with(&mesh(), until, InboundOptions::default(), [dialled]).await;
    let (response, _send) = bench.ask("10.0.1.1:8080").await;
    assert_eq!(response.status(), StatusCode::OK);
    revoke.send(()).unwrap();
    let error = response.into_body().data().await.unwrap().unwrap_err();
    assert!(error.is_reset(), "{error:?}");
    assert_eq!(app.read(&mut [0]).await.unwrap(), 0);
    let revoked = "connection closed due to policy change: policy default/new";
    let end = closed(LOCAL, Outcome::PolicyRevoked, Some(revoked));
    assert_eq!(bench.recorder.seen(), [Seen::Opened(addr(LOCAL)), end]);
}

/// An engine that is undecided until it is told, and how often it was asked.
fn undecided() -> (impl Authorizer, Arc<Notify>, Arc<AtomicUsize>) {
    let (arrived, asked) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let (signal, count) = (arrived.clone(), asked.clone());
    let engine = move |_: &Attributes<'_>| {
        if count.fetch_add(1, Ordering::SeqCst) > 0 {
            return Verdict::Allow(Permit::lasting());
        }
        let signal = signal.clone();
        Verdict::Undecided {
            wait: Box::pin(async move { signal.notified().await }),
        }
    };
    (engine, arrived, asked)
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_policy_that_is_undecided() {
    let (engine, arrived, asked) = undecided();
    let (dialled, _app) = upstream();
    let mut bench = Bench::with(&mesh(), engine, InboundOptions::default(), [dialled]).await;
    let (mut response, _send) = bench.request("10.0.1.1:8080", HeaderMap::new());
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert!(futures_util::FutureExt::now_or_never(&mut response).is_none());
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert!(
        bench.dialer.asked.lock().is_empty(),
        "dialled without a verdict"
    );
    arrived.notify_one();
    assert_eq!(response.await.unwrap().status(), StatusCode::OK);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn policy_that_stays_undecided_is_answered_401_in_the_end() {
    for (timeout, seconds) in [(None, 10), (Some(Duration::from_secs(3)), 3)] {
        let (engine, _arrived, _) = undecided();
        let mut options = InboundOptions::default();
        if let Some(timeout) = timeout {
            options.decision_timeout = timeout;
        }
        let mut bench = Bench::with(&mesh(), engine, options, []).await;
        let start = tokio::time::Instant::now();
        assert_eq!(bench.status("10.0.1.1:8080").await.as_u16(), 401);
        assert_eq!(start.elapsed().as_secs(), seconds);
        let denied = format!(
            "connection closed due to policy rejection: policy was undecided after {seconds}s"
        );
        let end = closed(LOCAL, Outcome::PolicyDenied, Some(&denied));
        assert_eq!(bench.recorder.seen(), [Seen::Opened(addr(LOCAL)), end]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_gives_up_ends_the_wait_for_policy() {
    let (engine, _arrived, asked) = undecided();
    let mut bench = Bench::with(&mesh(), engine, InboundOptions::default(), []).await;
    let (response, mut send) = bench.request("10.0.1.1:8080", HeaderMap::new());
    while asked.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let start = tokio::time::Instant::now();
    send.send_reset(h2::Reason::CANCEL);
    drop(response);
    while bench.recorder.seen().len() < 2 {
        tokio::task::yield_now().await;
    }
    let gone = "the client went away before 10.0.1.1:8080 was connected";
    let end = closed(LOCAL, Outcome::Reset, Some(gone));
    assert_eq!(bench.recorder.seen(), [Seen::Opened(addr(LOCAL)), end]);
    assert!(start.elapsed().is_zero());
}

#[tokio::test]
async fn baggage_is_told_and_believed_only_when_wanted() {
    let said = "k8s.namespace.name=far,k8s.deployment.name=client";
    for wanted in [true, false] {
        let options = InboundOptions {
            baggage: wanted,
            ..InboundOptions::default()
        };
        let (dialled, app) = upstream();
        let mut bench = Bench::with(&mesh(), AllowAll, options, [dialled]).await;
        let mut headers = HeaderMap::new();
        headers.insert("baggage", said.parse().unwrap());
        // Through a gateway: the peer's address does not tell the source.
        headers.insert("x-forwarded-network", "elsewhere".parse().unwrap());
        let (response, send) = bench.request("10.0.1.1:8080", headers);
        let response = response.await.unwrap();
        let answer = response.headers().get("baggage").cloned();
        let expected = "k8s.namespace.name=default,k8s.deployment.name=web-1";
        assert_eq!(answer.is_some_and(|it| it == expected), wanted);
        drop((app, send, response));
        while bench.recorder.seen().len() < 2 {
            tokio::task::yield_now().await;
        }
        let source = bench.recorder.last().source_baggage;
        let workload = source.map(|baggage| baggage.workload_name.clone());
        assert_eq!(workload, wanted.then(|| Name::from("client")));
    }
}

#[tokio::test]
async fn what_is_known_of_a_source_goes_before_what_is_said_of_it() {
    let (dialled, app) = upstream();
    let options = InboundOptions::default();
    let mut bench = Bench::with(&mesh(), AllowAll, options, [dialled]).await;
    let mut headers = HeaderMap::new();
    let said = "k8s.namespace.name=elsewhere,k8s.pod.name=other";
    headers.insert("baggage", said.parse().unwrap());
    let (response, send) = bench.request("10.0.1.1:8080", headers);
    drop((response.await.unwrap(), app, send));
    while bench.recorder.seen().len() < 2 {
        tokio::task::yield_now().await;
    }
    let record = bench.recorder.last();
    assert!(record.source.is_some() && record.source_baggage.is_none());
}

#[tokio::test]
async fn sources_are_preserved_when_wanted() {
    for wanted in [true, false] {
        let options = InboundOptions {
            preserve_source: wanted,
            ..InboundOptions::default()
        };
        let (dialled, _app) = upstream();
        let mut bench = Bench::with(&mesh(), AllowAll, options, [dialled]).await;
        assert_eq!(bench.status("10.0.1.1:8080").await, StatusCode::OK);
        let from = if wanted {
            DialFrom::Preserve([10, 0, 0, 1].into())
        } else {
            DialFrom::Any
        };
        let expected = Dial::new(addr("10.0.1.1:8080")).from(from);
        assert_eq!(*bench.dialer.asked.lock(), [expected]);
    }
}

#[tokio::test]
async fn a_proxied_workload_hears_who_is_there_before_the_first_byte() {
    // `web-1` is a proxy itself.
    let store = mesh_where(|workload| {
        workload.application_tunnel = Some(ApplicationTunnel {
            protocol: ApplicationProtocol::Proxy,
            port: None,
        });
    });
    let (dialled, mut app) = upstream();
    let options = InboundOptions {
        preserve_source: true,
        ..InboundOptions::default()
    };
    let mut bench = Bench::with(&store, AllowAll, options, [dialled]).await;
    let (response, mut send) = bench.ask("web:80").await;
    assert_eq!(response.status(), StatusCode::OK);
    send.send_data(Bytes::from_static(b"hello"), true).unwrap();
    let mut got = Vec::new();
    app.read_to_end(&mut got).await.unwrap();

    // Source: section 2.2 of "The PROXY protocol"; the TLV types are Istio's.
    let mut expected = b"\r\n\r\n\0\r\nQUIT\n\x21\x11".to_vec();
    let tlvs = 3 + PEER.len() + 3 + "web".len();
    expected.extend_from_slice(&u16::try_from(12 + tlvs).unwrap().to_be_bytes());
    expected.extend_from_slice(&[10, 0, 0, 1, 10, 96, 0, 1]);
    expected.extend_from_slice(&50_000_u16.to_be_bytes());
    expected.extend_from_slice(&80_u16.to_be_bytes());
    expected.extend_from_slice(&[0xD0, 0, u8::try_from(PEER.len()).unwrap()]);
    expected.extend_from_slice(PEER.as_bytes());
    expected.extend_from_slice(b"\xD1\0\x03webhello");
    assert_eq!(got, expected);
    let dialled = Dial::new(addr("127.0.0.1:8080")).from(DialFrom::Loopback);
    assert_eq!(*bench.dialer.asked.lock(), [dialled]);
}
