//! WebSockets in all pairs of versions, byte for byte, with both directions ending by themselves.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use mesh_l7::body::Body;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::proxy::{Http, Proxy};

/// RFC 6455 §1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Answers as a server of WebSockets does, and gives back in capitals what it receives; when the
/// client's direction ends it says so and ends.
async fn shout(mut request: Request<Incoming>) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let two = request.version() == http::Version::HTTP_2;
    if two {
        let protocol = request.extensions().get::<hyper::ext::Protocol>();
        assert_eq!(protocol.map(|p| p.as_str()), Some("websocket"));
        assert!(!request.headers().contains_key("sec-websocket-key"));
    } else {
        assert_eq!(request.headers()["upgrade"], "websocket");
        assert_eq!(request.headers()["connection"], "upgrade");
        let key = request.headers()["sec-websocket-key"].to_str().unwrap();
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert("connection", "upgrade".parse().unwrap());
        headers.insert("upgrade", "websocket".parse().unwrap());
        headers.insert("sec-websocket-accept", accept(key).parse().unwrap());
    }
    response
        .headers_mut()
        .insert("sec-websocket-protocol", "chat".parse().unwrap());
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut io = TokioIo::new(upgrade.await.unwrap());
        let mut space = [0; 1024];
        loop {
            match io.read(&mut space).await.unwrap() {
                0 => break,
                n => {
                    io.write_all(&space[..n].to_ascii_uppercase())
                        .await
                        .unwrap();
                    io.flush().await.unwrap();
                }
            }
        }
        io.write_all(b"END").await.unwrap();
        io.shutdown().await.unwrap();
    });
    response
}

/// What a server answers a key with; RFC 6455 §4.2.2.
fn accept(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bits = String::new();
    for byte in digest.as_ref() {
        bits.push_str(&format!("{byte:08b}"));
    }
    bits.push_str("00");
    let letters = bits.as_bytes().chunks(6).map(|six| {
        let six = six
            .iter()
            .fold(0, |n, bit| n << 1 | usize::from(bit - b'0'));
        char::from(alphabet[six])
    });
    letters.chain(['=']).collect()
}

#[tokio::test]
async fn bytes_go_both_ways_until_each_direction_ends() {
    for up in [Http::One, Http::Two] {
        // A client of HTTP/1.1.
        let proxy = Proxy::start(up, shout);
        let mut client = proxy.client(Http::One).await;
        let request = Request::get("/chat")
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", KEY);
        let mut response = client
            .send(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS, "{up:?}");
        assert_eq!(response.headers()["sec-websocket-accept"], ACCEPT, "{up:?}");
        assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
        assert_eq!(response.headers()["upgrade"], "websocket");
        let mut io = TokioIo::new(hyper::upgrade::on(&mut response).await.unwrap());
        for piece in ["hello", "again"] {
            io.write_all(piece.as_bytes()).await.unwrap();
            let mut back = [0; 5];
            io.read_exact(&mut back).await.unwrap();
            assert_eq!(back, piece.to_ascii_uppercase().as_bytes(), "{up:?}");
        }
        io.shutdown().await.unwrap();
        let mut rest = String::new();
        io.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "END", "{up:?}");
    }
}

/// An extended CONNECT of a client of HTTP/2; the stream's two halves.
async fn connect(
    proxy: &Proxy,
    protocol: &'static str,
) -> (Response<h2::RecvStream>, h2::SendStream<Bytes>) {
    let (io, _served) = proxy.accept();
    let (sender, connection) = h2::client::handshake(io).await.unwrap();
    tokio::spawn(async move { connection.await.unwrap() });
    let mut sender = sender.ready().await.unwrap();
    while !sender.is_extended_connect_protocol_enabled() {
        tokio::task::yield_now().await;
    }
    let request = Request::connect("http://web.shop/chat")
        .extension(h2::ext::Protocol::from_static(protocol))
        .header("sec-websocket-version", "13")
        .body(())
        .unwrap();
    let (response, stream) = sender.send_request(request, false).unwrap();
    (response.await.unwrap(), stream)
}

#[tokio::test]
async fn a_client_of_http2_reaches_servers_of_both_versions() {
    for up in [Http::One, Http::Two] {
        let proxy = Proxy::start(up, shout);
        let (response, mut stream) = connect(&proxy, "websocket").await;
        assert_eq!(response.status(), StatusCode::OK, "{up:?}");
        assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
        for gone in [
            "sec-websocket-accept",
            "upgrade",
            "connection",
            "content-length",
        ] {
            assert!(!response.headers().contains_key(gone), "{up:?} {gone}");
        }
        let mut body = response.into_body();
        stream.send_data(Bytes::from("hello"), false).unwrap();
        let back = body.data().await.unwrap().unwrap();
        assert_eq!(back, "HELLO", "{up:?}");
        stream.send_data(Bytes::new(), true).unwrap();
        let mut rest = Vec::new();
        while let Some(data) = body.data().await {
            rest.extend_from_slice(&data.unwrap());
        }
        assert_eq!(rest, b"END", "{up:?}");
    }
}

#[tokio::test]
async fn other_protocols_are_refused_in_http2() {
    let proxy = Proxy::start(Http::One, shout);
    let (response, _stream) = connect(&proxy, "connect-udp").await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_server_that_refuses_is_heard_and_the_connection_stays() {
    for (down, up) in [(Http::One, Http::One), (Http::One, Http::Two)] {
        let proxy = Proxy::start(up, |_| async {
            let mut response = Response::new(Body::from("no"));
            *response.status_mut() = StatusCode::FORBIDDEN;
            response
        });
        let mut client = proxy.client(down).await;
        for _ in 0..2 {
            let request = Request::get("/chat")
                .header("connection", "Upgrade")
                .header("upgrade", "websocket")
                .header("sec-websocket-version", "13")
                .header("sec-websocket-key", KEY);
            let request = request.body(Body::empty()).unwrap();
            let response = client.send(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::FORBIDDEN, "{down:?} {up:?}");
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, "no");
        }
    }
}

#[tokio::test]
async fn a_client_that_goes_ends_the_tunnel_at_the_server() {
    let (ended, has_ended) = tokio::sync::mpsc::unbounded_channel();
    let proxy = Proxy::start(Http::One, move |mut request: Request<Incoming>| {
        let ended = ended.clone();
        async move {
            let key = request.headers()["sec-websocket-key"].to_str().unwrap();
            let response = Response::builder()
                .status(101)
                .header("connection", "upgrade")
                .header("upgrade", "websocket")
                .header("sec-websocket-accept", accept(key));
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let mut io = TokioIo::new(upgrade.await.unwrap());
                let read = io.read(&mut [0; 16]).await;
                ended.send(read.map_or(0, |n| n)).unwrap();
            });
            response.body(Body::empty()).unwrap()
        }
    });
    let mut has_ended = has_ended;
    for down in [Http::One, Http::Two] {
        match down {
            Http::Two => {
                let (response, stream) = connect(&proxy, "websocket").await;
                drop((response, stream));
            }
            Http::One => {
                let mut client = proxy.client(down).await;
                let request = Request::get("/chat")
                    .header("connection", "Upgrade")
                    .header("upgrade", "websocket")
                    .header("sec-websocket-key", KEY);
                let request = request.body(Body::empty()).unwrap();
                let mut response = client.send(request).await.unwrap();
                drop(hyper::upgrade::on(&mut response).await.unwrap());
            }
        }
        assert_eq!(has_ended.recv().await, Some(0), "{down:?}");
    }
}

/// Data that was sent with the request, before the answer, belongs to the tunnel.
#[tokio::test]
async fn bytes_that_follow_the_request_at_once_are_the_first_of_the_tunnel() {
    let proxy = Proxy::start(Http::One, shout);
    let (mut io, _served) = proxy.accept();
    let head = format!(
        "GET /chat HTTP/1.1\r\nHost: web\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: {KEY}\r\n\r\nGET / HTTP/1.1\r\n\r\n"
    );
    io.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"GET / HTTP/1.1\r\n\r\n") {
        let n = io.read_buf(&mut answer).await.unwrap();
        assert!(n > 0, "{}", answer.escape_ascii());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
}

#[tokio::test]
async fn bytes_that_follow_a_refused_upgrade_are_the_next_request() {
    let proxy = Proxy::start(Http::One, |_| async { Response::new(Body::from("plain")) });
    let (mut io, _served) = proxy.accept();
    let head = format!(
        "GET /chat HTTP/1.1\r\nHost: web\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: {KEY}\r\n\r\nGET /2 HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n"
    );
    io.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    io.read_to_string(&mut answer).await.unwrap();
    assert_eq!(
        answer.matches("HTTP/1.1 200 OK").count(),
        2,
        "{answer} {:?}",
        proxy.forward.failures.lock()
    );
}

#[tokio::test]
async fn an_upstream_whose_accept_is_wrong_is_not_believed() {
    let proxy = Proxy::start(Http::One, |_| async {
        Response::builder()
            .status(101)
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-accept", "wrong")
            .body(Body::empty())
            .unwrap()
    });
    let (response, _stream) = connect(&proxy, "websocket").await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
}
