//! Clients: HTTP/1 by bytes and HTTP/2 by frames, each with as little of its own as can be.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::application::BODY;
use super::way::Open;
use super::world::Version;
use crate::load::Window;

/// Headers of every request: what a client in a mesh sends.
const HEADERS: [(&str, &str); 6] = [
    ("user-agent", "curl/8.5.0"),
    ("accept", "*/*"),
    ("accept-encoding", "gzip, deflate, br"),
    ("x-request-id", "6f1c3b1e-4a5d-4f0e-8d3e-0c1b2a39485f"),
    ("x-tenant", "gold"),
    (
        "traceparent",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ),
];
const TARGET: &str = "/api/items/42?page=2";
const HOST: &str = "app.lab";

/// What clients found in one window.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Found {
    /// How long each request took, in ascending order.
    pub times: Vec<Duration>,
    /// The time that was measured.
    pub elapsed: Duration,
    /// Processor time of the middle.
    pub middle: Duration,
    /// Processor time of both node proxies.
    pub nodes: Duration,
}

/// Sends requests, `at_once` of them at a time: on as many connections of HTTP/1, or as many streams of one
/// connection of HTTP/2.
///
/// # Errors
/// When a connection fails, or an answer is not 200 with the whole body.
pub async fn requests(
    way: &Open,
    version: Version,
    at_once: usize,
    window: Window,
) -> io::Result<Found> {
    let begin = Instant::now() + window.warm_up;
    let end = begin + window.measured;
    let entry = way.entry(version);
    let mut tasks = JoinSet::new();
    match version {
        Version::Http1 => {
            for _ in 0..at_once {
                let client = Http1::connect(entry).await?;
                tasks.spawn(client.ask(begin, end));
            }
        }
        Version::Http2 => {
            let client = http2(entry).await?;
            for _ in 0..at_once {
                tasks.spawn(ask(client.clone(), begin, end));
            }
        }
    }
    tokio::time::sleep_until(begin.into()).await;
    let before = way.processor_time()?;
    let began = Instant::now();
    tokio::time::sleep_until(end.into()).await;
    let after = way.processor_time()?;
    let elapsed = began.elapsed();
    let mut times = Vec::new();
    while let Some(found) = tasks.join_next().await {
        times.append(&mut found.map_err(io::Error::other)??);
    }
    times.sort_unstable();
    Ok(Found {
        times,
        elapsed,
        middle: after.0.saturating_sub(before.0),
        nodes: after.1.saturating_sub(before.1),
    })
}

/// A connection of HTTP/1.
#[derive(Debug)]
struct Http1 {
    stream: TcpStream,
    request: Vec<u8>,
    /// What has been read of an answer.
    answer: Vec<u8>,
}

impl Http1 {
    async fn connect(entry: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(entry).await?;
        stream.set_nodelay(true)?;
        let mut request = format!("GET {TARGET} HTTP/1.1\r\nhost: {HOST}\r\n");
        for (name, value) in HEADERS {
            request += &format!("{name}: {value}\r\n");
        }
        request += "\r\n";
        Ok(Self {
            stream,
            request: request.into_bytes(),
            answer: Vec::with_capacity(8192),
        })
    }

    /// One request after the other; how long those took that began and ended in the window.
    async fn ask(mut self, begin: Instant, end: Instant) -> io::Result<Vec<Duration>> {
        let mut times = Vec::new();
        loop {
            let now = Instant::now();
            if now >= end {
                return Ok(times);
            }
            self.exchange().await?;
            if now >= begin {
                times.push(now.elapsed());
            }
        }
    }

    async fn exchange(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.request).await?;
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let head = self.answer.windows(4).position(|four| four == b"\r\n\r\n");
            let Some(head) = head else { continue };
            if !self.answer.starts_with(b"HTTP/1.1 200 ") {
                let text = String::from_utf8_lossy(&self.answer);
                return Err(io::Error::other(format!("answered {text}")));
            }
            // All answers have a body of one size.
            if self.answer.len() >= head + 4 + BODY {
                return Ok(());
            }
        }
    }
}

async fn http2(entry: SocketAddr) -> io::Result<SendRequest<Bytes>> {
    let stream = TcpStream::connect(entry).await?;
    stream.set_nodelay(true)?;
    let (client, connection) = h2::client::handshake(stream)
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(async move {
        // What goes wrong is told to the requests.
        let _ = connection.await;
    });
    Ok(client)
}

async fn ask(
    mut client: SendRequest<Bytes>,
    begin: Instant,
    end: Instant,
) -> io::Result<Vec<Duration>> {
    let mut times = Vec::new();
    loop {
        let now = Instant::now();
        if now >= end {
            return Ok(times);
        }
        client = exchange(client).await?;
        if now >= begin {
            times.push(now.elapsed());
        }
    }
}

async fn exchange(client: SendRequest<Bytes>) -> io::Result<SendRequest<Bytes>> {
    let mut client = client.ready().await.map_err(io::Error::other)?;
    let mut request = Request::get(format!("http://{HOST}{TARGET}"));
    for (name, value) in HEADERS {
        request = request.header(name, value);
    }
    let request = request.body(()).map_err(io::Error::other)?;
    let (answer, _) = client
        .send_request(request, true)
        .map_err(io::Error::other)?;
    let answer = answer.await.map_err(io::Error::other)?;
    if answer.status() != http::StatusCode::OK {
        return Err(io::Error::other(format!("answered {}", answer.status())));
    }
    let mut body = answer.into_body();
    let mut length = 0;
    while let Some(data) = body.data().await {
        let data = data.map_err(io::Error::other)?;
        length += data.len();
        let _ = body.flow_control().release_capacity(data.len());
    }
    match length {
        BODY => Ok(client),
        _ => Err(io::Error::other("a body of another size")),
    }
}
