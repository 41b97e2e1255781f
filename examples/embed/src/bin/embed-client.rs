//! A client that is part of the mesh without a proxy: it speaks HBONE itself, to a server that does
//! the same or to a workload behind a node proxy.
//!
//! `embed-client [ENDPOINT [AUTHORITY [PEER [IDENTITY]]]]`: the HBONE endpoint to dial, what to ask
//! it for, who must be there, and who we are. Certificates come from the user's development CA, which
//! `embed-server` and `ztunnel` share.
#![forbid(unsafe_code)]

use std::env::{args, var_os};
use std::error::Error;
use std::sync::Arc;

use mesh_core::identity::SpiffeId;
use mesh_core::tls::TlsContext;
use mesh_hbone::Target;
use mesh_hbone::client::ClientLayer;
use mesh_hbone::proxy::TcpDialer;
use mesh_hbone::sock::SocketOptions;
use mesh_xds::dev_ca::{DevCa, DevCaSource};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower_layer::Layer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let argument = |n, default: &str| args().nth(n).unwrap_or(default.to_owned());
    let endpoint = argument(1, "127.0.0.1:15008").parse()?;
    let authority = argument(2, "127.0.0.1:80");
    let peer: SpiffeId = argument(3, "spiffe://cluster.local/ns/default/sa/server").parse()?;
    let identity: SpiffeId = argument(4, "spiffe://cluster.local/ns/default/sa/client").parse()?;

    let directory = DevCa::default_directory(|name| var_os(name)).ok_or("set MESH_DEV_CA_DIR")?;
    let certificates = DevCaSource::builder(DevCa::open_or_create(directory)?).build()?;
    let tls = TlsContext::with_default_provider()?;

    // One client for the whole program: its tunnels share connections.
    let hbone = ClientLayer::builder(Arc::new(certificates), Arc::new(tls)).build()?;
    let client = hbone.layer(TcpDialer::new(SocketOptions::default()));

    // A tunnel is a byte stream (`AsyncRead + AsyncWrite`) to a peer whose identity is verified.
    let request = format!("GET / HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n");
    let mut tunnel = client
        .connect(Target::new(endpoint, authority, identity, peer))
        .await?;
    println!("connected to {}", tunnel.peer().identity());
    tunnel.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    tunnel.read_to_string(&mut answer).await?;
    println!("{}", answer.trim_end());
    Ok(())
}
