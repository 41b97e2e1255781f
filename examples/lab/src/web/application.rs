//! The application behind every way: HTTP/1 and HTTP/2 servers that answer every request with 1 KiB.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::world::Version;
use crate::listen::{listeners_at, serve};
use crate::worker::Worker;

/// The size of an answer's body, in bytes.
pub const BODY: usize = 1024;

static ANSWER: [u8; BODY] = [b'x'; BODY];

/// A running application: a thread for each version, so that only one of them ever has work.
#[derive(Debug)]
pub struct Application {
    /// Its ports, of HTTP/1 and HTTP/2.
    pub ports: [u16; 2],
    _workers: [Worker; 2],
}

impl Application {
    /// Starts it at fresh ports of an address.
    ///
    /// # Errors
    /// When a socket or a thread cannot be made.
    pub fn start(ip: Ipv4Addr) -> io::Result<Self> {
        let (http1, first) = start(ip, Version::Http1)?;
        let (http2, second) = start(ip, Version::Http2)?;
        Ok(Self {
            ports: [http1, http2],
            _workers: [first, second],
        })
    }
}

fn start(ip: Ipv4Addr, version: Version) -> io::Result<(u16, Worker)> {
    let (address, mut sockets) = listeners_at(SocketAddr::from((ip, 0)), 1)?;
    let socket = sockets.pop().ok_or(io::ErrorKind::NotFound)?;
    let worker = Worker::start("web-application", move || {
        serve(socket, move |stream| answer(stream, version))
    })?;
    Ok((address.port(), worker))
}

async fn answer(stream: TcpStream, version: Version) -> io::Result<()> {
    let io = TokioIo::new(stream);
    let service = service_fn(|_| async {
        let body = Full::new(Bytes::from_static(&ANSWER));
        Ok::<_, Infallible>(Response::new(body))
    });
    let ended = match version {
        Version::Http1 => {
            let builder = hyper::server::conn::http1::Builder::new();
            builder.serve_connection(io, service).await
        }
        Version::Http2 => {
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            builder.serve_connection(io, service).await
        }
    };
    ended.map_err(io::Error::other)
}
