//! The floors: two relays that do no more than they must, over plain TCP or over mutual TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional_with_sizes};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::certificates::Authority;
use crate::listen::{listeners, serve};
use crate::worker::Worker;

const DNS_NAME: &str = "relay.lab";

/// Starts a relay called `name` on `workers` threads that connects each client to `next`, with `buffer` bytes a direction.
///
/// # Errors
/// When a socket or a thread cannot be made.
pub fn plain(
    name: &str,
    next: SocketAddr,
    workers: usize,
    buffer: usize,
) -> io::Result<(SocketAddr, Vec<Worker>)> {
    start(name, workers, move |client| async move {
        copy(client, connect(next).await?, buffer).await
    })
}

/// Starts the relay that opens one mutual TLS 1.3 connection to `next` for each client.
///
/// # Errors
/// As [`plain`], and when the configuration is refused.
pub fn encrypting(
    name: &str,
    next: SocketAddr,
    workers: usize,
    buffer: usize,
    authority: &Authority,
) -> io::Result<(SocketAddr, Vec<Worker>)> {
    let connector = TlsConnector::from(Arc::new(client_config(authority)?));
    let server_name = ServerName::try_from(DNS_NAME).map_err(io::Error::other)?;
    start(name, workers, move |client| {
        let (connector, server_name) = (connector.clone(), server_name.clone());
        async move {
            let server = connector.connect(server_name, connect(next).await?).await?;
            copy(client, server, buffer).await
        }
    })
}

/// Starts the relay that ends TLS and connects each client to `next` over plain TCP.
///
/// # Errors
/// As [`plain`], and when the configuration is refused.
pub fn decrypting(
    name: &str,
    next: SocketAddr,
    workers: usize,
    buffer: usize,
    authority: &Authority,
) -> io::Result<(SocketAddr, Vec<Worker>)> {
    let acceptor = TlsAcceptor::from(Arc::new(server_config(authority)?));
    start(name, workers, move |client| {
        let acceptor = acceptor.clone();
        async move { copy(acceptor.accept(client).await?, connect(next).await?, buffer).await }
    })
}

fn start<H, F>(name: &str, workers: usize, handle: H) -> io::Result<(SocketAddr, Vec<Worker>)>
where
    H: Fn(TcpStream) -> F + Clone + Send + 'static,
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let (address, sockets) = listeners(workers)?;
    let workers = sockets.into_iter().map(|socket| {
        let handle = handle.clone();
        Worker::start(name, move || serve(socket, handle))
    });
    Ok((address, workers.collect::<io::Result<_>>()?))
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn copy<A, B>(mut client: A, mut server: B, buffer: usize) -> io::Result<()>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    copy_bidirectional_with_sizes(&mut client, &mut server, buffer, buffer).await?;
    Ok(())
}

fn roots(authority: &Authority) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots
        .add(authority.root().clone())
        .map_err(io::Error::other)?;
    Ok(roots)
}

fn client_config(authority: &Authority) -> io::Result<ClientConfig> {
    let leaf = authority.issue("spiffe://lab/ns/lab/sa/relay-a", DNS_NAME)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(io::Error::other)?
        .with_root_certificates(roots(authority)?)
        .with_client_auth_cert(leaf.chain, leaf.key)
        .map_err(io::Error::other)?;
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn server_config(authority: &Authority) -> io::Result<ServerConfig> {
    let leaf = authority.issue("spiffe://lab/ns/lab/sa/relay-b", DNS_NAME)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let clients =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots(authority)?), provider.clone());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(io::Error::other)?
        .with_client_cert_verifier(clients.build().map_err(io::Error::other)?)
        .with_single_cert(leaf.chain, leaf.key)
        .map_err(io::Error::other)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}
