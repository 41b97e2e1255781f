//! Details of HTTP on real connections, and clients that misbehave.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use mesh_hbone::Tunnel;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::calls::Callee;
use crate::objects::pod;
use crate::world::{API, World};

/// Nothing here may take longer.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn answers_without_a_body_have_none_and_the_connection_goes_on() {
    let world = World::start("").await;
    let mut connection = world.client.connection(API).await;
    let get = connection.send("GET", "/same", "").await.unwrap();
    let length = get.headers["content-length"].clone();
    for (method, path, status, said) in [
        ("HEAD", "/same", 200, Some(&*length)),
        ("GET", "/status/204", 204, None),
        ("HEAD", "/status/404", 404, None),
        ("GET", "/status/304", 304, None),
        ("DELETE", "/status/204", 204, None),
        ("GET", "/same", 200, Some(&length)),
    ] {
        let answer = connection.send(method, path, "").await.unwrap();
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.headers["x-app"], "api", "{method} {path}");
        if let Some(said) = said {
            assert_eq!(answer.headers["content-length"], said, "{method} {path}");
        }
        // RFC 9110 §8.6: no length with 204.
        if status == 204 {
            assert!(!answer.headers.contains_key("content-length"), "{answer:?}");
            assert!(
                !answer.headers.contains_key("transfer-encoding"),
                "{answer:?}"
            );
        }
    }
    assert_eq!((world.api.requests(), world.api.connections()), (7, 1));
}

/// An answer over HTTP/2: its status and body.
async fn get2(sender: &h2::client::SendRequest<Bytes>, method: &str, path: &str) -> (u16, String) {
    let request = Request::builder()
        .method(method)
        .uri(format!("http://web{path}"));
    let mut sender = sender.clone().ready().await.unwrap();
    let (response, _) = sender
        .send_request(request.body(()).unwrap(), true)
        .unwrap();
    let response = response.await.unwrap();
    let status = response.status().as_u16();
    let mut body = response.into_body();
    let mut text = Vec::new();
    while let Some(data) = body.data().await {
        text.extend_from_slice(&data.unwrap());
    }
    (status, String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn versions_are_bridged_both_ways() {
    let objects = pod("calls", "calls", 4, "")
        + "
---
apiVersion: v1
kind: Service
metadata: {name: two, namespace: shop}
spec: {clusterIP: 10.96.1.1, selector: {app: calls}, ports: [{name: web, port: 80, targetPort: 8080, appProtocol: kubernetes.io/h2c}]}
---
apiVersion: v1
kind: Service
metadata: {name: one, namespace: shop}
spec: {clusterIP: 10.96.1.2, selector: {app: api}, ports: [{name: web, port: 80, targetPort: 8080, appProtocol: http}]}
";
    let world = World::start(&objects).await;
    let callee = Callee::start(world.at(4)).await;
    // HTTP/1.1 to HTTP/2. Trailers go to those who ask for them.
    let mut connection = world.client.connection("10.96.1.1".parse().unwrap()).await;
    let headers = "content-type: application/grpc\r\nte: trailers\r\ncontent-length: 10\r\n";
    let message = b"\0\0\0\0\x05hello";
    let answer = connection
        .send_body("POST", "/test.Echo/Unary", headers, message)
        .await
        .unwrap();
    assert_eq!((answer.status, answer.body.as_bytes()), (200, &message[..]));
    assert_eq!(callee.calls(), 1);
    // HTTP/2 to HTTP/1.1.
    let sender = world.client.http2("10.96.1.2".parse().unwrap()).await;
    let (status, body) = get2(&sender, "GET", "/bridged").await;
    assert_eq!(status, 200);
    assert!(
        body.starts_with("api /bridged") && body.contains("host=web"),
        "{body}"
    );
    assert_eq!(
        get2(&sender, "HEAD", "/bridged").await,
        (200, String::new())
    );
    assert_eq!(
        get2(&sender, "GET", "/status/204").await,
        (204, String::new())
    );
    // Many at once share their connection, and need several to HTTP/1.1.
    let many: Vec<_> = (0..30)
        .map(|at| {
            let sender = sender.clone();
            tokio::spawn(async move { get2(&sender, "GET", &format!("/{at}")).await.0 })
        })
        .collect();
    for one in many {
        assert_eq!(one.await.unwrap(), 200);
    }
    assert_eq!(world.api.requests(), 33);
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// `GET http://web/`, in HPACK (RFC 7541, appendices A and C).
const GET: &[u8] = b"\x82\x86\x84\x41\x03web";
const POST: &[u8] = b"\x83\x86\x84\x41\x03web";

/// A frame of HTTP/2; RFC 9113 §4.1.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// How a connection of HTTP/2 went on after it was flooded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    /// It was ended, with this code or none.
    Ended(Option<u32>),
    /// It goes on, or takes nothing more.
    Open,
}

/// Sends a flood for as long as it is taken, and looks what becomes of the connection.
async fn flood(world: &World, to: IpAddr, pieces: impl Iterator<Item = Vec<u8>> + Send) -> Fate {
    let tunnel: Tunnel = world.client.tunnel(&format!("{to}:80")).await.unwrap();
    let (mut reader, mut writer) = tokio::io::split(tunnel);
    let write = async {
        let mut start = PREFACE.to_vec();
        start.extend(frame(SETTINGS, 0, 0, &[]));
        writer.write_all(&start).await?;
        for piece in pieces {
            writer.write_all(&piece).await?;
        }
        writer.flush().await?;
        // Whether it still is taken shows by what is read.
        std::future::pending::<std::io::Result<()>>().await
    };
    let read = async {
        let mut code = None;
        loop {
            let mut head = [0; 9];
            if reader.read_exact(&mut head).await.is_err() {
                return Fate::Ended(code);
            }
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            if reader.read_exact(&mut payload).await.is_err() {
                return Fate::Ended(code);
            }
            // GOAWAY: the last stream, the code.
            if head[3] == 7 {
                code = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
            }
        }
    };
    tokio::pin!(write, read);
    let both = async {
        tokio::select! {
            fate = &mut read => fate,
            // What is written to a connection that is over fails; what was said before may be read.
            _ = &mut write => read.await,
        }
    };
    timeout(Duration::from_secs(3), both)
        .await
        .unwrap_or(Fate::Open)
}

const ENHANCE_YOUR_CALM: u32 = 11;

#[tokio::test]
async fn floods_end_their_own_connection_and_no_other() {
    let world = World::start("").await;
    // Another connection of the same client, in the same tunnel of the node proxy.
    let mut neighbour = world.client.connection(API).await;
    assert_eq!(neighbour.send("GET", "/", "").await.unwrap().status, 200);
    let before = world.memory();
    let reset = |stream: u32| {
        let mut frames = frame(HEADERS, END_HEADERS | END_STREAM, stream, GET);
        frames.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
        frames
    };
    // Streams of clients have odd numbers.
    let resets = (0..4).map(|piece| {
        let streams = (piece * 500..(piece + 1) * 500).map(|at| 2 * at + 1);
        streams.flat_map(reset).collect()
    });
    let fate = flood(&world, API, resets).await;
    assert_eq!(fate, Fate::Ended(Some(ENHANCE_YOUR_CALM)), "rapid reset");
    assert!(world.api.requests() < 1000, "{}", world.api.requests());

    // Header lines without an end: 64 MiB of them.
    let line = [b"\x00\x01a\x7f\x81\x7c".to_vec(), vec![b'x'; 251]].concat();
    let lines = line.repeat(60);
    let endless = std::iter::once(frame(HEADERS, END_STREAM, 1, GET))
        .chain((0..4096).map(|_| frame(CONTINUATION, 0, 1, &lines)));
    let fate = flood(&world, API, endless).await;
    assert!(matches!(fate, Fate::Ended(_)), "continuations: {fate:?}");

    let settings = (0..200).map(|_| frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]).repeat(500));
    let pings = (0..200).map(|_| frame(PING, 0, 0, &[0; 8]).repeat(500));
    let mut post = frame(HEADERS, END_HEADERS, 1, POST);
    post.extend(frame(DATA, 0, 1, b"x"));
    let empty = std::iter::once(post).chain((0..200).map(|_| frame(DATA, 0, 1, &[]).repeat(500)));
    for (name, fate) in [
        ("settings", flood(&world, API, settings).await),
        ("pings", flood(&world, API, pings).await),
        ("empty data", flood(&world, API, empty).await),
    ] {
        println!("{name}: {fate:?}");
    }
    let after = world.memory();
    assert!(after < before + (32 << 20), "{before}, then {after}");
    let answered = timeout(PATIENCE, neighbour.send("GET", "/", "")).await;
    assert_eq!(answered.unwrap().unwrap().status, 200);
}

/// A connection that says nothing of HTTP costs nobody else anything.
#[tokio::test]
async fn connections_that_say_nothing_are_no_harm() {
    let world = World::start("").await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        let mut connection = world.client.connection(API).await;
        connection.0.write_all(b"GET / HT").await.unwrap();
        connection.0.flush().await.unwrap();
        silent.push(connection);
    }
    for _ in 0..5 {
        assert_eq!(world.client.get(API, "/").await.status, 200);
    }
    assert_eq!(world.api.requests(), 5);
}

/// RFC 9112 §9.6; l7.md 2.18.
#[tokio::test]
async fn a_client_that_closes_is_the_last_to_use_its_connection() {
    let world = World::start("").await;
    let mut connection = world.client.connection(API).await;
    let answer = connection
        .send("GET", "/", "connection: close\r\n")
        .await
        .unwrap();
    assert_eq!(
        (answer.status, &*answer.headers["connection"]),
        (200, "close")
    );
    assert!(timeout(PATIENCE, connection.ended()).await.unwrap());
    // That is between the client and the waypoint: the upstream's connection stays.
    assert_eq!(world.client.get(API, "/").await.status, 200);
    assert!(world.api.connections() <= 2);
}

/// What is taken from one connection to the upstream and given to another client never mixes.
#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let world = World::start("").await;
    let mut connection = world.client.connection(API).await;
    let requests: String = (0..20)
        .map(|at| format!("GET /{at} HTTP/1.1\r\nhost: web\r\n\r\n"))
        .collect();
    connection.0.write_all(requests.as_bytes()).await.unwrap();
    for at in 0..20 {
        let answer = connection.answer("GET").await.unwrap();
        assert!(
            answer.body.starts_with(&format!("api /{at} ")),
            "{answer:?}"
        );
    }
    assert_eq!(world.api.requests(), 20);
}
