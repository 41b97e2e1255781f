//! A server that is part of the mesh without a proxy: it takes HBONE itself and knows who calls.
//!
//! `embed-server [LISTEN [IDENTITY]]`. Certificates come from the user's development CA, which
//! `embed-client` and `ztunnel` share.
#![forbid(unsafe_code)]

use std::env::{args, var_os};
use std::error::Error;
use std::sync::Arc;
use std::task::{Context, Poll};

use mesh_core::drain;
use mesh_core::identity::SpiffeId;
use mesh_core::telemetry::Direction;
use mesh_core::tls::TlsContext;
use mesh_hbone::proxy::{AcceptOptions, TcpAcceptor, serve};
use mesh_hbone::server::ServerLayer;
use mesh_hbone::sock::SocketOptions;
use mesh_hbone::{AcceptAll, BoxError, BoxFuture, Tunnel};
use mesh_xds::dev_ca::{DevCa, DevCaSource};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tower_layer::Layer;
use tower_service::Service;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let listen = args().nth(1).unwrap_or("127.0.0.1:15008".to_owned());
    let identity = args()
        .nth(2)
        .unwrap_or("spiffe://cluster.local/ns/default/sa/server".to_owned());
    let identity: SpiffeId = identity.parse()?;

    let directory = DevCa::default_directory(|name| var_os(name)).ok_or("set MESH_DEV_CA_DIR")?;
    let certificates = DevCaSource::builder(DevCa::open_or_create(directory)?).build()?;
    let tls = TlsContext::with_default_provider()?;

    // The whole of it: a service of byte streams becomes one of HBONE connections.
    let hbone = ServerLayer::builder(identity.clone(), Arc::new(certificates), Arc::new(tls));
    let hbone = hbone.build()?.layer(AcceptAll(Hello));

    let listener = TcpListener::bind(listen).await?;
    println!("{identity} takes HBONE at {}", listener.local_addr()?);
    let acceptor = TcpAcceptor::direct(listener, SocketOptions::default());
    let options = AcceptOptions::new(Direction::Inbound, Arc::new(()));
    // Nobody begins the drain of this small program: it ends when it is killed.
    let (_trigger, drain) = drain::channel();
    serve(acceptor, hbone, options, drain).await;
    Ok(())
}

/// Answers one HTTP/1.1 request with the name of who sent it.
#[derive(Clone)]
struct Hello;

impl Service<Tunnel> for Hello {
    type Response = ();
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<(), BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, tunnel: Tunnel) -> Self::Future {
        Box::pin(async move {
            let caller = tunnel.peer().identity().clone();
            let mut tunnel = BufReader::new(tunnel);
            let mut line = String::new();
            while tunnel.read_line(&mut line).await? > 2 {
                line.clear();
            }
            let body = format!("hello, {caller}\n");
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            tunnel.write_all((head + &body).as_bytes()).await?;
            Ok(tunnel.shutdown().await?)
        })
    }
}
