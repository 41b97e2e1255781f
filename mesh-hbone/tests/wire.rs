//! What is on the wire, against peers that are not ours: another HTTP/2 client, and frames by hand.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod support;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use mesh_core::outcome::Outcome;
use mesh_hbone::server::{Accepted, Error, serve_authenticated};
use mesh_hbone::{BoxError, Http2Config, Incoming};
use support::frames::{self, END_STREAM, INITIAL_WINDOW_SIZE, Wire, connect, frame};
use support::pipes::{endpoint, settle};
use support::{Fn_, Mesh, echo, id};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

type Served = JoinHandle<Result<(), Error>>;

fn serve<F, Fut>(http2: Http2Config, service: F) -> (DuplexStream, Served)
where
    F: FnMut(Incoming) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    let layer = Mesh::new().server_builder().http2(http2).build().unwrap();
    let (peer, io) = duplex(64 * 1024);
    let accepted = Accepted {
        io,
        peer: endpoint(2),
        local: endpoint(1),
    };
    let served = tokio::spawn(async move {
        serve_authenticated(&layer, accepted, id("client"), Fn_(service)).await
    });
    (peer, served)
}

async fn by_hand<F, Fut>(service: F) -> (Wire<DuplexStream>, Served)
where
    F: FnMut(Incoming) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    let (peer, served) = serve(Http2Config::default(), service);
    (Wire::client(peer).await, served)
}

/// The settings of a SETTINGS frame.
fn values(settings: &frames::Frame) -> Vec<(u16, u32)> {
    let pairs = settings.payload.chunks(6);
    let pair = |p: &[u8]| {
        let value = u32::from_be_bytes(p[2..6].try_into().unwrap());
        (u16::from_be_bytes([p[0], p[1]]), value)
    };
    pairs.map(pair).collect()
}

#[tokio::test(start_paused = true)]
async fn the_server_announces_its_settings() {
    let http2 = Http2Config::builder()
        .stream_window(123_456)
        .frame_size(20_000)
        .max_header_list_size(4_321)
        .max_concurrent_streams(17);
    let (peer, _served) = serve(http2.build().unwrap(), echo);
    let mut wire = Wire::client(peer).await;
    let settings = wire.next().await.unwrap();
    // RFC 9113 §3.4: the first frame is SETTINGS.
    assert_eq!(
        (settings.kind, settings.flags, settings.stream),
        (frames::SETTINGS, 0, 0)
    );
    let values = values(&settings);
    for expected in [(3, 17), (4, 123_456), (5, 20_000), (6, 4_321)] {
        assert!(values.contains(&expected), "{expected:?} in {values:?}");
    }
    // No extended CONNECT (RFC 8441): HBONE is the classic one.
    assert!(!values.contains(&(8, 1)), "{values:?}");
}

#[tokio::test(start_paused = true)]
async fn the_client_announces_its_settings_and_asks_with_a_plain_connect() {
    let mesh = Mesh::new();
    let (client, mut listener) = mesh.piped(|builder| builder);
    let mut headers = HeaderMap::new();
    headers.insert("forwarded", "for=\"10.0.0.2:1\"".parse().unwrap());
    let target = mesh.target(endpoint(1)).with_headers(headers);
    let server = async {
        let io = listener.accept_tls(&mesh).await;
        let tls = io.get_ref().1;
        assert_eq!(tls.alpn_protocol(), Some(&b"h2"[..]));
        assert_eq!(tls.server_name(), None, "no server name is sent");
        assert_eq!(
            tls.protocol_version(),
            Some(rustls::ProtocolVersion::TLSv1_3)
        );
        let mut h2 = h2::server::handshake(io).await.unwrap();
        let (request, mut respond) = h2.accept().await.unwrap().unwrap();
        respond
            .send_response(http::Response::new(()), true)
            .unwrap();
        tokio::spawn(async move { while h2.accept().await.is_some() {} });
        request
    };
    let (tunnel, request) = tokio::join!(client.connect(target), server);
    tunnel.unwrap();
    let (head, body) = request.into_parts();
    assert_eq!(head.method, Method::CONNECT);
    // RFC 9113 §8.5: `:scheme` and `:path` are omitted.
    assert_eq!((head.uri.scheme(), head.uri.path()), (None, ""));
    assert_eq!(head.uri.authority().unwrap(), "10.0.0.1:80");
    // Nothing that was not asked for, such as user-agent or content-length.
    let names: Vec<_> = head.headers.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["forwarded"]);
    assert!(
        !body.is_end_stream(),
        "END_STREAM is not set on the request"
    );

    let (client, mut listener) = mesh.piped(|builder| builder);
    let server = async { listener.accept_wire(&mesh, &[]).await.next().await.unwrap() };
    let settings = tokio::select! {
        settings = server => settings,
        result = client.connect(mesh.target(endpoint(1))) => panic!("{result:?}"),
    };
    let values = values(&settings);
    assert!(values.contains(&(2, 0)), "ENABLE_PUSH 0 in {values:?}");
    assert!(values.contains(&(4, 2 * 1024 * 1024)), "{values:?}");
}

/// An HTTP/2 client that is not ours.
async fn independent(io: DuplexStream) -> h2::client::SendRequest<Bytes> {
    let (send, connection) = h2::client::handshake(io).await.unwrap();
    tokio::spawn(connection);
    send.ready().await.unwrap()
}

fn request(authority: &str) -> Request<()> {
    Request::builder()
        .method(Method::CONNECT)
        .uri(authority)
        .body(())
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn fifty_tunnels_of_an_independent_client_carry_what_they_are_given() {
    let (peer, served) = serve(Http2Config::default(), echo);
    let client = independent(peer).await;
    let tasks: Vec<_> = (0..50u8)
        .map(|n| {
            let client = client.clone();
            tokio::spawn(async move {
                let mut ready = client.ready().await.unwrap();
                let (answer, mut send) = ready.send_request(request("a:80"), false).unwrap();
                let answer = answer.await.unwrap();
                assert_eq!(answer.status(), StatusCode::OK);
                assert!(answer.headers().is_empty());
                let mut body = answer.into_body();
                let mut left = 200_000 + usize::from(n);
                let say = async {
                    while left > 0 {
                        send.reserve_capacity(left);
                        let room = poll_fn(|cx| send.poll_capacity(cx)).await.unwrap().unwrap();
                        let now = room.min(left);
                        send.send_data(vec![n; now].into(), false).unwrap();
                        left -= now;
                    }
                    // The end of a request may be trailers as well.
                    if n % 2 == 0 {
                        send.send_trailers(HeaderMap::new()).unwrap();
                    } else {
                        send.send_data(Bytes::new(), true).unwrap();
                    }
                };
                let hear = async {
                    let mut heard = 0;
                    while let Some(data) = body.data().await {
                        let data = data.unwrap();
                        assert!(data.iter().all(|byte| *byte == n));
                        heard += data.len();
                        body.flow_control().release_capacity(data.len()).unwrap();
                    }
                    heard
                };
                assert_eq!(tokio::join!(hear, say).0, 200_000 + usize::from(n));
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    drop(client);
    served.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn methods_other_than_connect_are_answered_400_by_status_only() {
    let (peer, _served) = serve(Http2Config::default(), echo);
    let mut client = independent(peer).await;
    for method in [Method::GET, Method::POST, Method::OPTIONS] {
        let ask = Request::builder()
            .method(method.clone())
            .uri("http://a:80/")
            .body(())
            .unwrap();
        let (answer, mut body) = client.send_request(ask, false).unwrap();
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{method}");
        assert!(answer.headers().is_empty() && answer.body().is_end_stream());
        // Whether it is still wanted is another matter.
        let _ = body.send_data(Bytes::from_static(b"body"), true);
    }
}

/// Each kind of end that a handler can make of a request.
async fn ends(incoming: Incoming) -> Result<(), BoxError> {
    match incoming.authority() {
        "drop-request:80" => drop(incoming),
        "panic:80" => panic!("a handler that panics"),
        "drop-tunnel:80" => drop(incoming.accept(HeaderMap::new())?),
        "reset:80" => incoming.accept(HeaderMap::new())?.reset(),
        "half:80" => {
            let mut tunnel = incoming.accept(HeaderMap::new())?;
            tunnel.shutdown().await?;
            let mut rest = Vec::new();
            tunnel.read_to_end(&mut rest).await?;
            assert_eq!(rest, b"the rest");
        }
        _ => return echo(incoming).await,
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn every_end_of_a_handler_is_an_end_on_the_wire() {
    let (mut wire, served) = by_hand(ends).await;
    for (stream, authority, code) in [
        (1, "drop-tunnel:80", frames::CANCEL),
        (3, "reset:80", frames::CONNECT_ERROR),
    ] {
        wire.send(&connect(stream, authority)).await;
        // A reset may overtake the 200 before it.
        let reset = wire.next_of(frames::RST_STREAM).await;
        assert_eq!((reset.stream, reset.code()), (stream, code), "{authority}");
    }
    for (stream, authority) in [(5, "drop-request:80"), (7, "panic:80")] {
        wire.send(&connect(stream, authority)).await;
        let answer = wire.next_of(frames::HEADERS).await;
        // Not of the static table: 503, and nothing else (END_STREAM and END_HEADERS).
        assert_eq!((answer.stream, answer.flags), (stream, 5), "{authority}");
    }
    wire.send(&connect(9, "half:80")).await;
    assert_eq!(wire.next_of(frames::HEADERS).await.stream, 9);
    let end = wire.next_of(frames::DATA).await;
    assert_eq!(
        (end.stream, end.flags, end.payload.len()),
        (9, END_STREAM, 0)
    );
    wire.send(&frame(frames::DATA, END_STREAM, 9, b"the rest"))
        .await;
    wire.send(&connect(11, "echo:80")).await;
    assert_eq!(wire.next_of(frames::HEADERS).await.stream, 11);
    drop(wire);
    served.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_handler_learns_that_its_unanswered_request_was_reset_or_its_connection_lost() {
    for lost in [false, true] {
        let (tell, mut told) = unbounded_channel();
        let service = move |mut incoming: Incoming| {
            let tell: UnboundedSender<_> = tell.clone();
            async move {
                incoming.closed().await;
                let gone = incoming.accept(HeaderMap::new()).unwrap_err();
                tell.send(gone.outcome())?;
                Ok(())
            }
        };
        let (mut wire, _served) = by_hand(service).await;
        wire.send(&connect(1, "a:80")).await;
        settle().await;
        if lost {
            drop(wire);
            assert!(told.recv().await.unwrap() != Outcome::Completed);
        } else {
            wire.send(&frames::reset(1, frames::CANCEL)).await;
            assert!(told.recv().await.unwrap() != Outcome::Completed);
        }
    }
}

/// Writes without end and counts what is taken.
fn filling(
    taken: Arc<AtomicUsize>,
) -> impl FnMut(Incoming) -> mesh_hbone::BoxFuture<'static, Result<(), BoxError>> + Clone {
    move |incoming| {
        let taken = taken.clone();
        Box::pin(async move {
            if incoming.authority() == "echo:80" {
                return echo(incoming).await;
            }
            let mut tunnel = incoming.accept(HeaderMap::new())?;
            loop {
                taken.fetch_add(tunnel.write(&[7; 10_000]).await?, Ordering::SeqCst);
            }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_window_that_never_opens_bounds_what_is_buffered_for_it_alone() {
    let taken = Arc::new(AtomicUsize::new(0));
    let (peer, _served) = serve(Http2Config::default(), filling(taken.clone()));
    let mut wire = Wire::silent(peer);
    wire.send(frames::PREFACE).await;
    wire.send(&frames::settings(&[(INITIAL_WINDOW_SIZE, 1000)]))
        .await;
    for stream in [1, 3, 5] {
        wire.send(&connect(stream, "fill:80")).await;
    }
    settle().await;
    assert_eq!(taken.load(Ordering::SeqCst), 3000);
    // Another tunnel of the same connection goes on.
    wire.send(&connect(7, "echo:80")).await;
    for n in 0..20u8 {
        wire.send(&frame(frames::DATA, 0, 7, &[n; 500])).await;
        loop {
            let data = wire.next_of(frames::DATA).await;
            if data.stream == 7 {
                assert_eq!(data.payload, [n; 500]);
                break;
            }
        }
        wire.send(&frames::window_update(7, 500)).await;
    }
    // One of them opens by a little and takes that, no more.
    wire.send(&frames::window_update(3, 123)).await;
    settle().await;
    assert_eq!(taken.load(Ordering::SeqCst), 3123);
}

#[tokio::test(start_paused = true)]
async fn windows_of_nothing_and_below_nothing_take_nothing() {
    let taken = Arc::new(AtomicUsize::new(0));
    let (peer, _served) = serve(Http2Config::default(), filling(taken.clone()));
    let mut wire = Wire::silent(peer);
    wire.send(frames::PREFACE).await;
    wire.send(&frames::settings(&[(INITIAL_WINDOW_SIZE, 0)]))
        .await;
    wire.send(&connect(1, "fill:80")).await;
    settle().await;
    assert_eq!(taken.load(Ordering::SeqCst), 0);
    // RFC 9113 §6.9.2: a change applies to open streams, and may make a window negative.
    wire.send(&frames::settings(&[(INITIAL_WINDOW_SIZE, 5000)]))
        .await;
    settle().await;
    assert_eq!(taken.load(Ordering::SeqCst), 5000);
    wire.send(&frames::settings(&[(INITIAL_WINDOW_SIZE, 100)]))
        .await;
    wire.send(&frames::window_update(1, 4900)).await;
    settle().await;
    assert_eq!(taken.load(Ordering::SeqCst), 5000, "the window is 0 again");
    wire.send(&frames::window_update(1, 7)).await;
    settle().await;
    assert_eq!(taken.load(Ordering::SeqCst), 5007);
}

#[tokio::test(start_paused = true)]
async fn a_connection_window_that_never_opens_bounds_all_streams_together() {
    let taken = Arc::new(AtomicUsize::new(0));
    let (peer, served) = serve(Http2Config::default(), filling(taken.clone()));
    let mut wire = Wire::silent(peer);
    wire.send(frames::PREFACE).await;
    wire.send(&frames::settings(&[(INITIAL_WINDOW_SIZE, 1 << 30)]))
        .await;
    for n in 0..20 {
        wire.send(&connect(1 + 2 * n, "fill:80")).await;
    }
    settle().await;
    // RFC 9113 §6.9.2: the connection window is 65,535.
    assert!(taken.load(Ordering::SeqCst) <= 65_535, "{taken:?}");
    assert!(!served.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_is_not_answered_into_memory() {
    for (case, flood) in [
        ("PING", frame(frames::PING, 0, 0, &[1; 8])),
        ("SETTINGS", frames::settings(&[])),
    ] {
        let (mut peer, _served) = serve(Http2Config::default(), echo);
        peer.write_all(frames::PREFACE).await.unwrap();
        peer.write_all(&frames::settings(&[])).await.unwrap();
        let flood = flood.repeat(1000);
        let mut sent = 0;
        // The answers are as large as the questions: as soon as no more of them fit, nothing is
        // read any more.
        while let Ok(Ok(())) =
            tokio::time::timeout(std::time::Duration::from_secs(1), peer.write_all(&flood)).await
        {
            sent += flood.len();
            assert!(sent < 4 << 20, "{case}: {sent} bytes were taken");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_million_small_frames_that_nobody_reads_are_within_the_window_and_more_are_not() {
    let unread = |incoming: Incoming| async move {
        if incoming.authority() == "echo:80" {
            return echo(incoming).await;
        }
        let _held = incoming.accept(HeaderMap::new())?;
        std::future::pending().await
    };
    let (mut wire, _served) = by_hand(unread).await;
    wire.send(&connect(1, "unread:80")).await;
    wire.next_of(frames::HEADERS).await;
    let thousand = frame(frames::DATA, 0, 1, b"x").repeat(1000);
    for _ in 0..1000 {
        wire.send(&thousand).await;
    }
    // The neighbour is not disturbed by a million frames.
    wire.send(&connect(3, "echo:80")).await;
    wire.send(&frame(frames::DATA, 0, 3, b"hello")).await;
    assert_eq!(wire.next_of(frames::DATA).await.payload, b"hello");
    let mut late = 1_000_000;
    // What is beyond the window is an error of that stream (RFC 9113 §6.9.1).
    while late <= 2 << 20 {
        wire.send(&thousand).await;
        late += 1000;
    }
    let reset = wire.next_of(frames::RST_STREAM).await;
    assert_eq!(
        (reset.stream, reset.code()),
        (1, frames::FLOW_CONTROL_ERROR)
    );
}

#[tokio::test(start_paused = true)]
async fn padding_is_not_data_and_gives_its_window_back() {
    let (mut wire, _served) = by_hand(echo).await;
    wire.send(&connect(1, "echo:80")).await;
    wire.next_of(frames::HEADERS).await;
    // PADDED (8): a length, the data, and 200 bytes of padding; 4 MB of it in a window of 2 MiB.
    let mut payload = vec![200];
    payload.extend(b"data");
    payload.resize(payload.len() + 200, 0);
    let mut heard = 0;
    for _ in 0..20_000 {
        wire.send(&frame(frames::DATA, 8, 1, &payload)).await;
    }
    wire.send(&frame(frames::DATA, END_STREAM, 1, b"")).await;
    loop {
        let data = wire.next_of(frames::DATA).await;
        heard += data.payload.len();
        if data.flags & END_STREAM != 0 || heard >= 60_000 {
            break;
        }
    }
    assert!(heard >= 60_000, "{heard}");
}
