//! Connections to upstreams: used again, limited, given up.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt;
use mesh_l7::attempt::{Attempt, AttemptError};
use mesh_l7::body::Body;
use mesh_l7::client::{Client, ClientSettings};
use mesh_l7::upstream::{ClusterSettings, Protocol};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tower_service::Service;

use crate::proxy::{Forward, Http, Proxy, frames, upstream};

const GET: &str = "GET /a HTTP/1.1\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn request(method: &str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri("/a")
        .header("host", "web")
        .body(Body::empty())
        .unwrap()
}

/// A request of a client, whose host comes with its connection.
fn get() -> Request<Body> {
    Request::get("/a").body(Body::empty()).unwrap()
}

async fn read_head(io: &mut DuplexStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let n = io.read_buf(&mut head).await.unwrap();
        assert!(n > 0, "{}", head.escape_ascii());
    }
    String::from_utf8(head).unwrap()
}

async fn text(response: Response<Body>) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

fn with(forward: &Forward, protocol: Protocol, settings: ClusterSettings) -> Forward {
    Forward {
        upstream: upstream(protocol, settings),
        ..forward.clone()
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_replaced_without_a_word() {
    for method in ["GET", "PUT"] {
        let (proxy, mut connections) = Proxy::bare(Http::One, ClientSettings::default());
        let upstream = tokio::spawn(async move {
            let mut first = connections.recv().await.unwrap();
            read_head(&mut first).await;
            first.write_all(OK).await.unwrap();
            // It reads the second request, and closes without an answer.
            read_head(&mut first).await;
            drop(first);
            let mut second = connections.recv().await.unwrap();
            let head = read_head(&mut second).await;
            second.write_all(OK).await.unwrap();
            (head, second)
        });
        let response = proxy.forward.attempt(request(method)).await.unwrap();
        assert_eq!(text(response).await, "ok");
        let response = proxy.forward.attempt(request(method)).await.unwrap();
        assert_eq!(text(response).await, "ok");
        let (head, _second) = upstream.await.unwrap();
        assert!(head.starts_with(&format!("{method} /a HTTP/1.1\r\n")));
    }
}

#[tokio::test]
async fn a_request_that_does_something_is_not_repeated() {
    let (proxy, mut connections) = Proxy::bare(Http::One, ClientSettings::default());
    let upstream = tokio::spawn(async move {
        let mut first = connections.recv().await.unwrap();
        read_head(&mut first).await;
        first.write_all(OK).await.unwrap();
        read_head(&mut first).await;
        drop(first);
        connections
    });
    let response = proxy.forward.attempt(request("POST")).await.unwrap();
    assert_eq!(text(response).await, "ok");
    let error = proxy.forward.attempt(request("POST")).await.unwrap_err();
    assert!(matches!(error, AttemptError::Reset(_)), "{error:?}");
    assert!(upstream.await.unwrap().try_recv().is_err());
}

#[tokio::test]
async fn what_a_new_connection_says_is_the_answer() {
    let (proxy, mut connections) = Proxy::bare(Http::One, ClientSettings::default());
    tokio::spawn(async move {
        let mut first = connections.recv().await.unwrap();
        read_head(&mut first).await;
        drop(first);
        connections.recv().await
    });
    let error = proxy.forward.attempt(request("GET")).await.unwrap_err();
    assert!(matches!(error, AttemptError::Reset(_)), "{error:?}");
    let dialed = proxy.forward.client.connections();
    assert_eq!(dialed, 0);
}

#[tokio::test]
async fn answers_that_break_the_protocol_are_no_answers() {
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: 1\r\n".repeat(101));
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "a".repeat(62 << 10));
    let cases: [(&str, &str); 6] = [
        ("not HTTP", "SSH-2.0-OpenSSH_9.6\r\n"),
        (
            "101 unasked",
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        ),
        (
            "two lengths",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        ),
        (
            "a length and a coding",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        ("too many lines", &many),
        ("too long", &long),
    ];
    for (name, answer) in cases {
        let (proxy, mut connections) = Proxy::bare(Http::One, ClientSettings::default());
        let answer = answer.to_owned();
        tokio::spawn(async move {
            let mut io = connections.recv().await.unwrap();
            read_head(&mut io).await;
            io.write_all(answer.as_bytes()).await.unwrap();
            io.read_to_end(&mut Vec::new()).await
        });
        let error = proxy.forward.attempt(request("GET")).await.unwrap_err();
        assert!(
            matches!(error, AttemptError::Protocol(_)),
            "{name}: {error:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_not_made_is_told_apart_from_one_that_takes_too_long() {
    let (proxy, connections) = Proxy::bare(Http::One, ClientSettings::default());
    drop(connections);
    let refused = proxy.forward.attempt(request("GET")).await.unwrap_err();
    assert!(matches!(refused, AttemptError::Connect(_)), "{refused:?}");

    let mut settings = ClusterSettings::default();
    settings.connect_timeout = Some(Duration::from_secs(2));
    let mut never = Client::new(Never, ClientSettings::default());
    let began = tokio::time::Instant::now();
    let late = never.call(Attempt {
        host: proxy.forward.host(),
        upstream: upstream(Protocol::Http1, settings),
        request: request("GET"),
    });
    let late = late.await.unwrap_err();
    assert!(matches!(late, AttemptError::ConnectTimeout), "{late:?}");
    assert_eq!(began.elapsed().as_secs(), 2);
}

/// Makes no connection, ever.
#[derive(Clone)]
struct Never;

impl Service<u8> for Never {
    type Response = DuplexStream;
    type Error = std::io::Error;
    type Future = std::future::Pending<std::io::Result<DuplexStream>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: u8) -> Self::Future {
        std::future::pending()
    }
}

#[tokio::test]
async fn connections_and_waiting_requests_are_limited() {
    let (proxy, mut connections) = Proxy::bare(Http::One, ClientSettings::default());
    let mut settings = ClusterSettings::default();
    settings.breaker.connections = 1;
    settings.breaker.pending = 1;
    let forward = with(&proxy.forward, Protocol::Http1, settings);
    let first = tokio::spawn(forward.attempt(request("GET")));
    let mut io = connections.recv().await.unwrap();
    read_head(&mut io).await;
    let second = tokio::spawn(forward.attempt(request("GET")));
    tokio::task::yield_now().await;
    let third = forward.attempt(request("GET")).await.unwrap_err();
    assert!(matches!(third, AttemptError::Overflow), "{third:?}");
    io.write_all(OK).await.unwrap();
    assert_eq!(text(first.await.unwrap().unwrap()).await, "ok");
    // The second goes over the same connection.
    read_head(&mut io).await;
    io.write_all(OK).await.unwrap();
    assert_eq!(text(second.await.unwrap().unwrap()).await, "ok");
    assert!(connections.try_recv().is_err());
}

#[tokio::test]
async fn a_connection_is_used_as_often_as_it_may_be() {
    for (up, protocol) in [(Http::One, Protocol::Http1), (Http::Two, Protocol::Http2)] {
        let proxy = Proxy::start(up, |_| async { Response::new(Body::from("ok")) });
        let mut settings = ClusterSettings::default();
        settings.max_requests_per_connection = 2;
        let forward = with(&proxy.forward, protocol, settings);
        for _ in 0..5 {
            let response = forward.attempt(request("GET")).await.unwrap();
            assert_eq!(text(response).await, "ok");
        }
        let connector = &proxy.dialed;
        assert_eq!(connector.load(Ordering::Relaxed), 3, "{up:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_after_its_time() {
    for up in [Http::One, Http::Two] {
        let mut settings = ClientSettings::default();
        settings.idle_timeout = Duration::from_secs(30);
        let proxy = Proxy::with(up, settings, |_| async { Response::new(Body::from("ok")) });
        let response = proxy.forward.attempt(request("GET")).await.unwrap();
        assert_eq!(text(response).await, "ok");
        tokio::time::sleep(Duration::from_secs(29)).await;
        assert_eq!(proxy.forward.client.connections(), 1, "{up:?}");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(proxy.forward.client.connections(), 0, "{up:?}");
    }
}

#[tokio::test]
async fn streams_share_a_connection_and_a_new_one_is_made_when_it_is_full() {
    let (proxy, mut connections) = Proxy::bare(Http::Two, ClientSettings::default());
    let counts = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let noted = counts.clone();
    tokio::spawn(async move {
        let mut at = 0;
        while let Some(io) = connections.recv().await {
            noted.lock().push(0);
            let noted = noted.clone();
            tokio::spawn(async move {
                let mut builder = h2::server::Builder::new();
                let mut connection = builder
                    .max_concurrent_streams(2)
                    .handshake::<_, Bytes>(io)
                    .await
                    .unwrap();
                let mut held = Vec::new();
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    noted.lock()[at] += 1;
                    held.push(respond.send_response(Response::new(()), false).unwrap());
                }
            });
            at += 1;
        }
    });
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(proxy.forward.attempt(request("GET")).await.unwrap());
    }
    assert_eq!(*counts.lock(), [2, 2, 1]);
}

#[tokio::test]
async fn streams_that_were_not_begun_are_refused() {
    let (proxy, mut connections) = Proxy::bare(Http::Two, ClientSettings::default());
    tokio::spawn(async move {
        let io = connections.recv().await.unwrap();
        let mut connection = h2::server::handshake(io).await.unwrap();
        let mut requests = 0;
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            requests += 1;
            respond.send_reset(match requests {
                1 => h2::Reason::REFUSED_STREAM,
                _ => h2::Reason::INTERNAL_ERROR,
            });
        }
    });
    let refused = proxy.forward.attempt(request("GET")).await.unwrap_err();
    assert!(matches!(refused, AttemptError::Refused(_)), "{refused:?}");
    let reset = proxy.forward.attempt(request("GET")).await.unwrap_err();
    assert!(matches!(reset, AttemptError::Reset(_)), "{reset:?}");
}

#[tokio::test]
async fn a_response_that_is_dropped_frees_the_upstream_at_once() {
    // HTTP/1: the connection is closed.
    let (proxy, mut connections) = Proxy::bare(Http::One, ClientSettings::default());
    let attempt = tokio::spawn(proxy.forward.attempt(request("GET")));
    let mut io = connections.recv().await.unwrap();
    assert!(read_head(&mut io).await.starts_with(GET));
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nbegin";
    io.write_all(head).await.unwrap();
    drop(attempt.await.unwrap().unwrap());
    assert_eq!(io.read(&mut [0; 8]).await.unwrap(), 0);

    // HTTP/2: the stream is reset, and the connection stays. Before and after the head.
    let (proxy, mut connections) = Proxy::bare(Http::Two, ClientSettings::default());
    let forward = proxy.forward.clone();
    let attempts = tokio::spawn(async move {
        let (sender, body) = frames();
        let upload = Request::post("/a").header("host", "web").body(body);
        drop(forward.attempt(upload.unwrap()).await.unwrap());
        sender.closed().await;
        let waiting = forward.attempt(request("GET"));
        let _ = tokio::time::timeout(Duration::from_millis(50), waiting).await;
    });
    let io = connections.recv().await.unwrap();
    let mut connection = h2::server::handshake(io).await.unwrap();
    let (upload, mut respond) = connection.accept().await.unwrap().unwrap();
    let _stream = respond.send_response(Response::new(()), false).unwrap();
    let (waiting, mut unanswered) = connection.accept().await.unwrap().unwrap();
    let mut upload = upload.into_body();
    let error = upload.data().await.unwrap().unwrap_err();
    assert_eq!(error.reason(), Some(h2::Reason::CANCEL));
    tokio::select! {
        _ = connection.accept() => panic!("there is no third request"),
        reason = std::future::poll_fn(|cx| unanswered.poll_reset(cx)) => {
            assert_eq!(reason.unwrap(), h2::Reason::CANCEL);
        }
    }
    drop(waiting);
    attempts.await.unwrap();
}

#[tokio::test]
async fn a_client_that_vanishes_frees_the_upstream() {
    for down in [Http::One, Http::Two] {
        let (proxy, mut connections) = Proxy::bare(Http::One, ClientSettings::default());
        let (client, _served) = proxy.accept();
        let mut sender = crate::proxy::Sender::new(down, client).await;
        let asking = tokio::spawn(async move { sender.send(get()).await.map(drop) });
        let mut io = connections.recv().await.unwrap();
        read_head(&mut io).await;
        asking.abort();
        assert_eq!(io.read(&mut [0; 8]).await.unwrap(), 0, "{down:?}");
    }
}

#[tokio::test]
async fn what_nobody_reads_is_not_sent_on() {
    for (down, up) in crate::proxy::PAIRS {
        let sent = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counted = sent.clone();
        let proxy = Proxy::start(up, move |_| {
            let sent = counted.clone();
            async move {
                let (sender, body) = frames();
                tokio::spawn(async move {
                    for _ in 0..4096 {
                        let frame = Frame::data(Bytes::from(vec![0; 16 << 10]));
                        if sender.send(frame).await.is_err() {
                            return;
                        }
                        sent.fetch_add(16 << 10, Ordering::Relaxed);
                    }
                });
                Response::new(body)
            }
        });
        let mut client = proxy.client(down).await;
        let response = client.send(get()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        // Nobody reads: what is sent stops growing at what windows and buffers hold.
        let mut before = usize::MAX;
        while before != sent.load(Ordering::Relaxed) {
            before = sent.load(Ordering::Relaxed);
            for _ in 0..2_000 {
                tokio::task::yield_now().await;
            }
        }
        assert!(before < 8 << 20, "{down:?} {up:?}: {before}");
        // Then all of it arrives.
        let mut body = response.into_body();
        let mut received = 0;
        while let Some(frame) = body.frame().await {
            received += frame.unwrap().into_data().map_or(0, |data| data.len());
        }
        assert_eq!(received, 64 << 20, "{down:?} {up:?}");
    }
}

#[tokio::test]
async fn the_answer_may_come_before_the_request_ends() {
    for (down, up) in crate::proxy::PAIRS {
        let proxy = Proxy::start(up, |request: Request<hyper::body::Incoming>| async move {
            Response::new(Body::new(request.into_body()))
        });
        let mut client = proxy.client(down).await;
        let (sender, body) = frames();
        let request = Request::post("/a").body(body).unwrap();
        let response = client.send(request).await.unwrap();
        let mut body = response.into_body();
        for piece in ["ping", "pong", "last"] {
            sender.send(Frame::data(Bytes::from(piece))).await.unwrap();
            let frame = body.frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), piece, "{down:?} {up:?}");
        }
        drop(sender);
        // The end may come as a frame without data.
        while let Some(frame) = body.frame().await {
            assert_eq!(frame.unwrap().into_data().unwrap(), "", "{down:?} {up:?}");
        }
    }
}
