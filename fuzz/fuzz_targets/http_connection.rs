//! A served HTTP connection: whatever bytes come, in whatever pieces, it ends in bounded time, without a
//! panic, and the service behind sees well-formed requests only.
#![no_main]

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body::Body as _;
use libfuzzer_sys::fuzz_target;
use mesh_core::drain;
use mesh_l7::body::Body;
use mesh_l7::downstream::Downstream;
use mesh_l7::serve::{Server, ServerSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower_service::Service;

/// Far longer than every timeout of the server; the clock jumps, so nobody waits.
const FOR_EVER: Duration = Duration::from_secs(24 * 3600);

/// Reads what comes and answers with it; to an upgrade, by switching.
#[derive(Clone)]
struct Echo;

impl Service<Request<Body>> for Echo {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        well_formed(&request);
        let upgrade = request
            .extensions()
            .get::<mesh_l7::hygiene::Admitted>()
            .is_some_and(|admitted| admitted.upgrade.is_some());
        let mut response = Response::new(request.into_body());
        if upgrade && !response.body().is_end_stream() {
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        }
        std::future::ready(Ok(response))
    }
}

/// What every request that a service sees is promised to be.
fn well_formed(request: &Request<Body>) {
    let headers = request.headers();
    for gone in [
        "connection",
        "keep-alive",
        "proxy-connection",
        "transfer-encoding",
        "upgrade",
        "te",
        "expect",
        "http2-settings",
    ] {
        assert!(!headers.contains_key(gone), "{gone}");
    }
    let hosts = headers.get_all("host").iter().count();
    let old = request.version() == http::Version::HTTP_10;
    assert!(hosts == 1 || (hosts == 0 && old));
    assert!(headers.get_all("content-length").iter().count() <= 1);
    assert!(headers.len() <= 110);
    if request.method() != http::Method::CONNECT {
        let uri = request.uri();
        assert!(uri.scheme().is_none() && uri.authority().is_none());
        let path = uri.path();
        assert!(path.starts_with('/') || path == "*");
        assert!(
            !path
                .split('/')
                .any(|segment| segment == ".." || segment == ".")
        );
        assert!(!path.contains(['\\', '#']));
    }
    for (name, value) in headers {
        assert!(!name.as_str().starts_with("x-envoy-"));
        assert!(
            value
                .as_bytes()
                .iter()
                .all(|b| *b == b'\t' || (*b >= b' ' && *b != 0x7f))
        );
    }
}

fuzz_target!(|input: (bool, u8, &[u8])| {
    let (http2, cut, bytes) = input;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let served = tokio::time::timeout(FOR_EVER, connection(http2, cut, bytes)).await;
        assert!(served.is_ok(), "the connection did not end");
    });
});

async fn connection(http2: bool, cut: u8, bytes: &[u8]) {
    let (client, io) = tokio::io::duplex(1 << 16);
    let (_trigger, drain) = drain::channel();
    let downstream = Downstream::new(
        "10.0.0.1:1".parse().expect("an address"),
        "10.0.0.2:80".parse().expect("an address"),
    );
    let server = Server::new(ServerSettings::default());
    let served =
        tokio::spawn(async move { server.serve(io, Arc::new(downstream), Echo, drain).await });
    let (mut reader, mut writer) = tokio::io::split(client);
    let reading = tokio::spawn(async move {
        let _ = reader.read_to_end(&mut Vec::new()).await;
    });
    if http2 {
        // The client's preface and an empty SETTINGS frame (RFC 9113 section 3.4).
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        let _ = writer.write_all(preface).await;
    }
    for piece in bytes.chunks(usize::from(cut) + 1) {
        if writer.write_all(piece).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let _ = writer.shutdown().await;
    if let Err(error) = served.await {
        assert!(!error.is_panic(), "{error}");
    }
    drop(writer);
    let _ = reading.await;
}
