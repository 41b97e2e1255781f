//! One request through `serve`, beside plain hyper as the floor: time, and allocations of one more
//! request on a connection that is there.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use divan::{AllocProfiler, Bencher};
use http::{Request, Response};
use hyper_util::rt::TokioIo;
use mesh_core::drain;
use mesh_l7::body::Body;
use mesh_l7::downstream::Downstream;
use mesh_l7::serve::{Server, ServerSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tower_service::Service;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const REQUEST: &[u8] = b"GET /reviews/7?page=2 HTTP/1.1\r\nhost: reviews.shop\r\n\
    user-agent: curl/8.5.0\r\naccept: */*\r\naccept-encoding: gzip\r\n\
    x-request-id: 6f1c3b1e-4a5d-4f0e-8d3e-0c1b2a39485f\r\nx-forwarded-proto: http\r\n\
    traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n";
const BODY: &str = "ok";

fn main() {
    divan::main();
}

#[derive(Clone)]
struct Trivial;

impl Service<Request<Body>> for Trivial {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        std::future::ready(Ok(Response::new(Body::from(BODY))))
    }
}

/// Sends the request and reads the answer, again and again on one connection.
fn exchange(bencher: Bencher, begin: impl Fn(DuplexStream)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let mut client = runtime.block_on(async {
        let (client, io) = tokio::io::duplex(64 << 10);
        begin(io);
        client
    });
    let mut answer = vec![0; 4096];
    bencher.bench_local(|| {
        runtime.block_on(async {
            client.write_all(REQUEST).await.unwrap();
            let mut read = 0;
            while !answer[..read].ends_with(BODY.as_bytes()) {
                read += client.read(&mut answer[read..]).await.unwrap();
            }
            read
        })
    });
}

#[divan::bench]
fn floor_hyper_http1(bencher: Bencher) {
    exchange(bencher, |io| {
        let service = hyper::service::service_fn(|_| async {
            Ok::<_, Infallible>(Response::new(Body::from(BODY)))
        });
        let connection =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(io), service);
        tokio::spawn(connection);
    });
}

#[divan::bench]
fn served_http1(bencher: Bencher) {
    exchange(bencher, |io| {
        let server = Server::new(ServerSettings::default());
        let downstream = Arc::new(Downstream::new(
            "10.0.0.1:4711".parse().unwrap(),
            "10.96.0.1:80".parse().unwrap(),
        ));
        let (trigger, drain) = drain::channel();
        tokio::spawn(async move {
            let _trigger = trigger;
            server.serve(io, downstream, Trivial, drain).await
        });
    });
}
