//! The HBONE server: any frames after the handshake end the connection in bounded time, without a panic.
#![no_main]

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use mesh_core::credential::{Credential, FixedSource};
use mesh_core::identity::SpiffeId;
use mesh_core::tls::TlsContext;
use mesh_hbone::server::{Accepted, ServerLayer, serve_authenticated};
use mesh_hbone::{AcceptAll, BoxError, BoxFuture, Tunnel};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower_service::Service;

/// The client's preface and an empty SETTINGS frame (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Far longer than every timeout of the server; the clock jumps, so nobody waits.
const FOR_EVER: Duration = Duration::from_secs(24 * 3600);

#[derive(Clone)]
struct Echo;

impl Service<Tunnel> for Echo {
    type Response = ();
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<(), BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, tunnel: Tunnel) -> Self::Future {
        Box::pin(async move {
            let (mut reader, mut writer) = tokio::io::split(tunnel);
            tokio::io::copy(&mut reader, &mut writer).await?;
            Ok(writer.shutdown().await?)
        })
    }
}

fuzz_target!(|input: (bool, &[u8])| {
    let (with_preface, frames) = input;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let served = tokio::time::timeout(FOR_EVER, connection(with_preface, frames)).await;
        assert!(served.is_ok(), "the connection did not end");
    });
});

async fn connection(with_preface: bool, frames: &[u8]) {
    let id: SpiffeId = "spiffe://cluster.local/ns/a/sa/b"
        .parse()
        .expect("an identity");
    let certificates = Arc::new(FixedSource::new(Vec::<Credential>::new()));
    let tls = Arc::new(TlsContext::with_default_provider().expect("a provider"));
    let layer = ServerLayer::builder(id.clone(), certificates, tls)
        .build()
        .expect("defaults");
    let (client, io) = tokio::io::duplex(64 * 1024);
    let (mut answers, mut requests) = tokio::io::split(client);
    let loopback = ([127, 0, 0, 1], 1).into();
    let accepted = Accepted {
        io,
        peer: loopback,
        local: loopback,
    };
    let server = serve_authenticated(&layer, accepted, id, AcceptAll(Echo));
    let send = async {
        if with_preface {
            let _ = requests.write_all(PREFACE).await;
        }
        let _ = requests.write_all(frames).await;
        let _ = requests.shutdown().await;
    };
    let receive = async {
        let mut sink = [0; 4096];
        while answers.read(&mut sink).await.is_ok_and(|length| length > 0) {}
    };
    let (_, (), ()) = tokio::join!(server, send, receive);
}
