//! How long a connection of HTTP/1 may say nothing.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use mesh_core::drain;
use mesh_l7::body::Body;
use mesh_l7::serve::{Server, ServerSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::proxy::downstream;
use crate::raw::Recorder;

/// Sends bytes, waits for the connection to be closed, and says after how long that was and what came.
async fn closed_after(bytes: &[u8], settings: ServerSettings) -> (Duration, String) {
    let (mut client, io) = tokio::io::duplex(4096);
    let (_trigger, drain) = drain::channel();
    let server = Server::new(settings);
    let serving = tokio::spawn(async move {
        server
            .serve(io, downstream(), Recorder::default(), drain)
            .await
    });
    let begin = Instant::now();
    client.write_all(bytes).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    let after = begin.elapsed();
    drop(client);
    let _ = serving.await.unwrap();
    (after, answer)
}

fn settings() -> ServerSettings {
    let mut settings = ServerSettings::default();
    settings.head_timeout = Duration::from_secs(5);
    settings.idle_timeout = Duration::from_secs(20);
    settings
}

const HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: web\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_end_is_answered_408() {
    let (after, answer) = closed_after(&HEAD[..20], settings()).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!((5..6).contains(&after.as_secs()), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_second_head_has_its_own_time_and_the_first_is_answered() {
    let (after, answer) = closed_after(&[HEAD, &HEAD[..4]].concat(), settings()).await;
    let statuses: Vec<_> = answer
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|rest| &rest[..3])
        .collect();
    assert_eq!(statuses, ["200", "408"]);
    assert!((5..6).contains(&after.as_secs()), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_without_a_word() {
    let (after, answer) = closed_after(HEAD, settings()).await;
    assert_eq!(answer.matches("HTTP/1.1").count(), 1);
    assert!((20..21).contains(&after.as_secs()), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_on_which_nothing_comes_is_closed() {
    let (after, answer) = closed_after(b"", settings()).await;
    assert_eq!(answer, "");
    assert!((5..6).contains(&after.as_secs()), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_old_is_closed_when_nothing_runs() {
    let mut settings = settings();
    settings.max_connection_duration = Some(Duration::from_secs(7));
    let (after, answer) = closed_after(HEAD, settings).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 1, "{answer}");
    assert!((7..8).contains(&after.as_secs()), "{after:?}");
}

/// GOAWAY tells the client, and the stream that runs is finished.
#[tokio::test(start_paused = true)]
async fn an_old_connection_of_http2_takes_nothing_new_and_finishes_what_runs() {
    let mut settings = settings();
    settings.max_connection_duration = Some(Duration::from_secs(7));
    let (client, io) = tokio::io::duplex(1 << 16);
    let (_trigger, drain) = drain::channel();
    let server = Server::new(settings);
    let begin = Instant::now();
    let serving = tokio::spawn(async move { server.serve(io, downstream(), Slow, drain).await });
    let (sender, connection) = h2::client::handshake(client).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut sender = sender.ready().await.unwrap();
    let request = Request::get("http://web/").body(()).unwrap();
    let (response, _) = sender.send_request(request.clone(), true).unwrap();
    assert_eq!(response.await.unwrap().status(), 200);
    assert_eq!(begin.elapsed().as_secs(), 10, "as long as it takes");
    // The connection is at its end, whatever else is asked.
    assert!(connection.await.unwrap().is_ok());
    assert!(sender.ready().await.is_err());
    serving.await.unwrap().unwrap();
    assert_eq!(begin.elapsed().as_secs(), 10);
}

/// Answers after ten seconds.
#[derive(Clone)]
struct Slow;

impl tower_service::Service<Request<Body>> for Slow {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        Box::pin(async {
            tokio::time::sleep(Duration::from_secs(10)).await;
            Ok(Response::new(Body::empty()))
        })
    }
}

/// Real sockets and real time: each connection is closed, and by the server.
#[tokio::test]
async fn connections_of_tcp_are_closed_when_their_time_is_over() {
    let mut settings = settings();
    settings.head_timeout = Duration::from_millis(200);
    settings.idle_timeout = Duration::from_millis(200);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_trigger, drain) = drain::channel();
    let server = Server::new(settings);
    tokio::spawn(async move {
        while let Ok((io, _)) = listener.accept().await {
            let (server, drain) = (server.clone(), drain.clone());
            tokio::spawn(async move {
                server
                    .serve(io, downstream(), Recorder::default(), drain)
                    .await
            });
        }
    });
    // RFC 9113 §3.4: the preface, and a SETTINGS frame without settings.
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let rows: [(&str, &[u8], &str); 6] = [
        ("nothing", b"", ""),
        ("half of a head", &HEAD[..20], "HTTP/1.1 408 "),
        ("a request", HEAD, "HTTP/1.1 200 "),
        ("half of a preface", &PREFACE[..10], ""),
        ("a preface without settings", &PREFACE[..24], ""),
        ("a connection of HTTP/2 without requests", PREFACE, ""),
    ];
    for (name, sent, answered) in rows {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(sent).await.unwrap();
        let mut answer = Vec::new();
        let closed = client.read_to_end(&mut answer);
        let closed = tokio::time::timeout(Duration::from_secs(30), closed).await;
        assert!(closed.is_ok(), "{name}");
        assert!(
            answer.starts_with(answered.as_bytes()),
            "{name}: {}",
            answer.escape_ascii()
        );
    }
}
