//! Answers to clients that are still sending.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use mesh_core::drain::{self, Trigger};
use mesh_l7::body::Body;
use mesh_l7::serve::{Server, ServerSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, sleep};
use tower_service::Service;

use crate::proxy::downstream;

/// Answers 413 without a look at the body.
#[derive(Clone)]
struct Hasty;

impl Service<Request<Body>> for Hasty {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        let mut response = Response::new(Body::from("too large"));
        *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        ready(Ok(response))
    }
}

fn connect() -> (DuplexStream, Trigger) {
    let (client, io) = tokio::io::duplex(4096);
    let (trigger, drain) = drain::channel();
    tokio::spawn(async move {
        let server = Server::new(ServerSettings::default());
        server.serve(io, downstream(), Hasty, drain).await
    });
    (client, trigger)
}

fn head(length: usize) -> String {
    format!("POST / HTTP/1.1\r\nHost: web\r\nContent-Length: {length}\r\n\r\n")
}

/// RFC 9112 §9.6: what is sent meanwhile would reset the connection, and the answer could be lost.
#[tokio::test(start_paused = true)]
async fn a_client_that_reads_only_after_all_is_sent_has_its_answer() {
    let (mut client, _trigger) = connect();
    let body = vec![b'x'; 8 << 20];
    client.write_all(head(body.len()).as_bytes()).await.unwrap();
    client.write_all(&body).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.ends_with("too large"), "{answer}");
}

/// After how long a client that sends a byte each `pause` cannot send any more.
async fn heard_for(pause: Duration) -> Duration {
    let (mut client, _trigger) = connect();
    client.write_all(head(1 << 20).as_bytes()).await.unwrap();
    let begin = Instant::now();
    while client.write_all(b"x").await.is_ok() {
        sleep(pause).await;
    }
    begin.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_on_sending_is_listened_to_for_ten_seconds() {
    let heard = heard_for(Duration::from_millis(500)).await;
    assert!((10..12).contains(&heard.as_secs()), "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn one_that_says_nothing_is_listened_to_for_a_second() {
    let heard = heard_for(Duration::from_millis(1500)).await;
    assert!(heard <= Duration::from_millis(1500), "{heard:?}");
}
