//! Every wait has an end. Time stands still: what is measured is the clock of the runtime.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use mesh_core::credential::{CertificateError, CertificateSource, Credential};
use mesh_core::identity::SpiffeId;
use mesh_core::outcome::Outcome;
use mesh_hbone::client::{ClientLayer, DialError, Error};
use mesh_hbone::copy::{Meter, Plain, copy};
use mesh_hbone::server::{Accepted, Error as ServerError, serve_authenticated};
use mesh_hbone::{BoxFuture, Http2Config};
use support::frames::{self, Wire, connect, frame, response};
use support::pipes::{Piped, endpoint, piped};
use support::{Fn_, Mesh, echo, id};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, sleep};
use tower_layer::Layer;
use tower_service::Service;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// The defaults, as the documentation has them.
const HANDSHAKE: Duration = secs(10);
const ANSWER: Duration = secs(20);
const INTERVAL: Duration = secs(10);
const TIMEOUT: Duration = secs(20);

#[track_caller]
fn assert_took(since: Instant, expected: Duration) {
    let took = since.elapsed();
    let slack = Duration::from_millis(100);
    assert!(
        took >= expected && took < expected + slack,
        "{took:?} for {expected:?}"
    );
}

/// A dialer that never comes back.
#[derive(Clone, Debug)]
struct Never;

impl Service<SocketAddr> for Never {
    type Response = DuplexStream;
    type Error = std::io::Error;
    type Future = BoxFuture<'static, std::io::Result<DuplexStream>>;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, _: SocketAddr) -> Self::Future {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn connecting_ends() {
    let mesh = Mesh::new();
    let client = mesh.client_builder().build().unwrap().layer(Never);
    let start = Instant::now();
    let error = client.connect(mesh.target(endpoint(1))).await.unwrap_err();
    assert_took(start, HANDSHAKE);
    assert_eq!(error.outcome(), Outcome::ConnectTimeout);
    assert_eq!(error.outcome().response_flags(), "NETWORK_POLICY");
    assert!(matches!(dialled(&error), DialError::ConnectTimeout { .. }));
    assert!(dialled(&error).to_string().contains("NetworkPolicy"));
}

fn dialled(error: &Error) -> &DialError {
    match error {
        Error::Dial(error) => error,
        other => panic!("{other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_tls_handshake_with_a_server_that_says_nothing_ends() {
    let mesh = Mesh::new();
    let (client, mut listener) = mesh.piped(|builder| builder);
    let start = Instant::now();
    let (result, _io) = tokio::join!(client.connect(mesh.target(endpoint(1))), listener.accept());
    assert_took(start, HANDSHAKE);
    let error = result.unwrap_err();
    assert_eq!(error.outcome(), Outcome::TlsFailure);
    assert!(matches!(
        dialled(&error),
        DialError::HandshakeTimeout { .. }
    ));
}

#[tokio::test(start_paused = true)]
async fn a_tls_handshake_with_a_server_that_drips_ends() {
    let mesh = Mesh::new();
    let (client, mut listener) = mesh.piped(|builder| builder);
    let start = Instant::now();
    let drip = async {
        let mut io = listener.accept().await;
        // A record that would be 16,000 bytes, one at a time.
        io.write_all(&[22, 3, 3, 0x3e, 0x80]).await.unwrap();
        loop {
            sleep(secs(1)).await;
            if io.write_all(&[2]).await.is_err() {
                return;
            }
        }
    };
    let (result, ()) = tokio::join!(client.connect(mesh.target(endpoint(1))), drip);
    assert!(start.elapsed() < HANDSHAKE + secs(2));
    assert_eq!(result.unwrap_err().outcome(), Outcome::TlsFailure);
}

/// A source that never answers.
#[derive(Debug)]
struct Hanging;

#[async_trait::async_trait]
impl CertificateSource for Hanging {
    async fn credential(&self, _: &SpiffeId) -> Result<Arc<Credential>, CertificateError> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_certificate_ends_on_both_sides() {
    let mesh = Mesh::new();
    let layer = ClientLayer::builder(Arc::new(Hanging), mesh.tls.clone())
        .build()
        .unwrap();
    let start = Instant::now();
    let error = layer
        .layer(Never)
        .connect(mesh.target(endpoint(1)))
        .await
        .unwrap_err();
    assert_took(start, HANDSHAKE);
    assert_eq!(error.outcome(), Outcome::IdentityFailure);

    let hanging = Arc::new(Hanging);
    let builder = mesh_hbone::server::ServerLayer::builder(id("server"), hanging, mesh.tls.clone());
    let mut server = builder.build().unwrap().layer(Fn_(echo));
    let (_peer, io) = duplex(1024);
    let start = Instant::now();
    let error = server.call(accepted(io)).await.unwrap_err();
    assert_took(start, HANDSHAKE);
    assert!(
        matches!(error, ServerError::HandshakeTimeout { .. }),
        "{error}"
    );
}

fn accepted<IO>(io: IO) -> Accepted<IO> {
    Accepted {
        io,
        peer: endpoint(2),
        local: endpoint(1),
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_begin_http_2_is_given_up() {
    for tickets in [0, 2] {
        let mesh = Mesh::new();
        let (client, mut listener) = mesh.piped(|builder| builder);
        let start = Instant::now();
        let server = async {
            // Session tickets come after the handshake and are no sign of HTTP/2 (RFC 8446 §4.6.1).
            let credential = mesh.certs.credential(&id("server")).await.unwrap();
            let mut config = (*mesh.tls.server(&credential).unwrap()).clone();
            config.session_storage = rustls::server::ServerSessionMemoryCache::new(32);
            config.send_tls13_tickets = tickets;
            let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
            acceptor.accept(listener.accept().await).await.unwrap()
        };
        let (result, _io) = tokio::join!(client.connect(mesh.target(endpoint(1))), server);
        let error = result.unwrap_err();
        assert_took(start, HANDSHAKE);
        assert!(
            matches!(error, Error::Http2Timeout { .. }),
            "{tickets} tickets: {error:?}"
        );
        assert_eq!(error.outcome().response_flags(), "H2_HANDSHAKE_FAILURE");
        assert_eq!(client.connections(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_for_the_answer_ends_and_costs_the_stream_only() {
    let mesh = Mesh::new();
    let (client, mut listener) = mesh.piped(|builder| builder);
    let server = async {
        let mut wire = listener.accept_wire(&mesh, &[]).await;
        let stream = wire.next_of(frames::HEADERS).await.stream;
        // Alive otherwise.
        loop {
            let frame = wire.next().await.unwrap();
            match frame.kind {
                frames::PING if frame.flags == 0 => {
                    wire.send(&support::frames::frame(frames::PING, 1, 0, &frame.payload))
                        .await;
                }
                frames::RST_STREAM => {
                    assert_eq!((frame.stream, frame.code()), (stream, frames::CANCEL));
                    break wire;
                }
                _ => {}
            }
        }
    };
    let start = Instant::now();
    let connect = async {
        let result = client.connect(mesh.target(endpoint(1))).await;
        (result, start.elapsed())
    };
    let ((result, took), mut wire) = tokio::join!(connect, server);
    assert!(took >= ANSWER && took < ANSWER + secs(1), "{took:?}");
    let error = result.unwrap_err();
    assert!(matches!(error, Error::AnswerTimeout { .. }), "{error:?}");
    assert_eq!(error.outcome(), Outcome::ConnectFailure);
    // The connection is as good as before.
    let answer = async {
        let stream = wire.next_of(frames::HEADERS).await.stream;
        wire.send(&response(stream, 200, 0)).await;
    };
    let (tunnel, ()) = tokio::join!(client.connect(mesh.target(endpoint(1))), answer);
    tunnel.unwrap();
    assert_eq!(client.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_with_a_client_that_says_nothing_ends() {
    let mesh = Mesh::new();
    let mut server = mesh.server_builder().build().unwrap().layer(Fn_(echo));
    let (_peer, io) = duplex(1024);
    let start = Instant::now();
    let error = server.call(accepted(io)).await.unwrap_err();
    assert_took(start, HANDSHAKE);
    assert!(
        matches!(error, ServerError::HandshakeTimeout { .. }),
        "{error}"
    );
    assert_eq!(error.outcome(), Outcome::TlsFailure);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_sends_its_preface_is_given_up() {
    let mesh = Mesh::new();
    let layer = mesh.server_builder().build().unwrap();
    for some in [0, 1, frames::PREFACE.len() - 1, frames::PREFACE.len()] {
        let (mut peer, io) = duplex(1024);
        peer.write_all(&frames::PREFACE[..some]).await.unwrap();
        let start = Instant::now();
        let result = serve_authenticated(&layer, accepted(io), id("client"), Fn_(echo)).await;
        // SETTINGS belong to the preface (RFC 9113 §3.4).
        assert_took(start, HANDSHAKE);
        let error = result.unwrap_err();
        assert!(
            matches!(error, ServerError::HandshakeTimeout { .. }),
            "{some}: {error}"
        );
    }
}

/// A server of echoes whose peer is made by hand, without TLS.
async fn by_hand(
    http2: Http2Config,
) -> (
    Wire<DuplexStream>,
    tokio::task::JoinHandle<Result<(), ServerError>>,
) {
    let mesh = Mesh::new();
    let layer = mesh.server_builder().http2(http2).build().unwrap();
    let (peer, io) = duplex(256 * 1024);
    let served = tokio::spawn(async move {
        serve_authenticated(&layer, accepted(io), id("client"), Fn_(echo)).await
    });
    (Wire::client(peer).await, served)
}

/// The next PING that is no answer.
async fn ping(wire: &mut Wire<DuplexStream>) -> frames::Frame {
    loop {
        let frame = wire.next_or_pending().await.expect("the connection lives");
        if frame.kind == frames::PING && frame.flags == 0 {
            return frame;
        }
    }
}

/// Times of the peer's last byte, after the connection began. Source: Istio's node proxies ask after
/// 10 s and wait for 20 s: a cut wire shows 30 s after the last sign of life, whenever that was.
const LAST_BYTES: [u64; 4] = [1, 7, 10, 19];

#[tokio::test(start_paused = true)]
async fn a_peer_that_vanishes_is_asked_and_then_given_up_by_the_server() {
    for last in LAST_BYTES {
        let (mut wire, served) = by_hand(Http2Config::default()).await;
        wire.send(&connect(1, "10.0.0.1:80")).await;
        wire.next_of(frames::HEADERS).await;
        // Something else keeps it alive until then.
        for _ in 0..last {
            sleep(secs(1)).await;
            wire.send(&frame(frames::DATA, 0, 1, b"x")).await;
        }
        let start = Instant::now();
        ping(&mut wire).await;
        assert_took(start, INTERVAL);
        let error = served.await.unwrap().unwrap_err();
        assert_took(start, INTERVAL + TIMEOUT);
        assert!(matches!(error, ServerError::Silent { .. }), "{error}");
        assert_eq!(error.outcome(), Outcome::CopyFailure);
        assert_eq!(wire.ended_with().await, Some(frames::NO_ERROR));
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_vanishes_is_asked_and_then_given_up_by_the_client() {
    for last in LAST_BYTES {
        let mesh = Mesh::new();
        let (client, mut listener) = mesh.piped(|builder| builder);
        let server = async {
            let mut wire = listener.accept_wire(&mesh, &[]).await;
            let stream = wire.next_of(frames::HEADERS).await.stream;
            wire.send(&response(stream, 200, 0)).await;
            (wire, stream)
        };
        let (tunnel, (mut wire, stream)) =
            tokio::join!(client.connect(mesh.target(endpoint(1))), server);
        let mut tunnel = tunnel.unwrap();
        for _ in 0..last {
            sleep(secs(1)).await;
            wire.send(&frame(frames::DATA, 0, stream, b"x")).await;
            tunnel.read_exact(&mut [0]).await.unwrap();
        }
        let start = Instant::now();
        let error = tunnel.read(&mut [0; 8]).await.unwrap_err();
        assert_took(start, INTERVAL + TIMEOUT);
        assert_eq!(error.to_string(), "no sign of life from the peer");
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        assert_eq!(client.connections(), 0);
        assert_eq!(wire.next_of(frames::PING).await.flags, 0);
    }
}

/// A server whose handler reports how its copying ended.
#[tokio::test(start_paused = true)]
async fn a_copy_whose_peer_vanished_does_not_blame_a_reset() {
    let (said, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let carry = move |incoming: mesh_hbone::Incoming| {
        let said = said.clone();
        async move {
            let tunnel = incoming.accept(http::HeaderMap::new())?;
            let (_application, socket) = duplex(64);
            let end = copy(tunnel, Plain::new(socket), &Meter::default()).await;
            said.send(end).unwrap();
            Ok(())
        }
    };
    let mesh = Mesh::new();
    let layer = mesh.server_builder().build().unwrap();
    let (peer, io) = duplex(256 * 1024);
    tokio::spawn(async move {
        serve_authenticated(&layer, accepted(io), id("client"), Fn_(carry)).await
    });
    let mut wire = Wire::client(peer).await;
    wire.send(&connect(1, "10.0.0.1:80")).await;
    wire.next_of(frames::HEADERS).await;
    let error = heard.recv().await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the connection with the client was lost");
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), "no sign of life from the peer");
    assert_eq!(error.outcome(), Outcome::CopyFailure);
}

#[tokio::test(start_paused = true)]
async fn a_request_on_a_connection_whose_peer_vanished_says_so() {
    let mesh = Mesh::new();
    let (client, mut listener) = mesh.piped(|builder| builder.answer_timeout(secs(3600)));
    let server = async {
        let mut wire = listener.accept_wire(&mesh, &[]).await;
        wire.next_of(frames::HEADERS).await;
        wire
    };
    let (result, _wire) = tokio::join!(client.connect(mesh.target(endpoint(1))), server);
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Silent { .. }), "{error:?}");
    assert_eq!(error.outcome(), Outcome::ConnectFailure);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_asked_once_an_interval_and_lives_as_long_as_it_answers() {
    let (mut wire, served) = by_hand(Http2Config::default()).await;
    let start = Instant::now();
    let mut pings = 0;
    while start.elapsed() < secs(600) {
        let question = ping(&mut wire).await;
        wire.send(&frame(frames::PING, frames::ACK, 0, &question.payload))
            .await;
        pings += 1;
    }
    assert!(!served.is_finished());
    // 10 s after each answer.
    assert!((58..=61).contains(&pings), "{pings} PINGs in ten minutes");
}

#[tokio::test(start_paused = true)]
async fn data_is_a_sign_of_life_and_saves_the_question() {
    let (mut wire, served) = by_hand(Http2Config::default()).await;
    wire.send(&connect(1, "10.0.0.1:80")).await;
    wire.next_of(frames::HEADERS).await;
    for _ in 0..100 {
        wire.send(&frame(frames::DATA, 0, 1, b"x")).await;
        sleep(secs(4)).await;
        while let Ok(frame) = tokio::time::timeout(secs(1), wire.next_or_pending()).await {
            assert_ne!(frame.unwrap().kind, frames::PING);
        }
    }
    assert!(!served.is_finished());
}

#[tokio::test(start_paused = true)]
async fn data_without_answers_to_pings_keeps_a_connection_and_its_end_does_not_linger() {
    let (mut wire, served) = by_hand(Http2Config::default()).await;
    wire.send(&connect(1, "10.0.0.1:80")).await;
    ping(&mut wire).await;
    for _ in 0..60 {
        wire.send(&frame(frames::DATA, 0, 1, b"x")).await;
        sleep(secs(5)).await;
    }
    assert!(!served.is_finished(), "it was given up while it sent");
    let start = Instant::now();
    assert!(served.await.unwrap().is_err());
    let took = start.elapsed();
    assert!(took >= secs(5) && took <= INTERVAL + TIMEOUT, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn keepalive_follows_its_settings() {
    let http2 = Http2Config::builder()
        .keepalive_interval(secs(2))
        .keepalive_timeout(secs(3));
    let (mut wire, served) = by_hand(http2.build().unwrap()).await;
    let start = Instant::now();
    ping(&mut wire).await;
    assert!(start.elapsed() <= secs(4));
    let start = Instant::now();
    assert!(served.await.unwrap().is_err());
    assert_took(start, secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_inside_a_tunnel_has_the_same_ends() {
    let mesh = Mesh::new();
    let (dialer, _listener): (Piped, _) = piped();
    let client = mesh.client_builder().build().unwrap().layer(dialer);
    let (io, _peer) = duplex(1024);
    let start = Instant::now();
    let error = client
        .connect_over(io, mesh.target(endpoint(1)))
        .await
        .unwrap_err();
    assert_took(start, HANDSHAKE);
    assert_eq!(error.outcome(), Outcome::TlsFailure);
}
