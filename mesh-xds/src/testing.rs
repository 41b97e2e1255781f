//! A network in memory and servers on it, for tests with paused time.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::version::{TLS12, TLS13};
use rustls_pki_types::PrivatePkcs8KeyDer;
use tokio::io::DuplexStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tonic::body::Body;
use tower_service::Service;

use crate::control::{ControlDialer, ControlStream};

/// Room in each direction of a stream, in bytes.
const ROOM: usize = 64 * 1024;

/// Where dialled streams go to: a listener, or nowhere.
#[derive(Default)]
pub(crate) struct Network {
    listener: Mutex<Option<mpsc::UnboundedSender<DuplexStream>>>,
    dialled: Mutex<Vec<(String, u16)>>,
}

impl Network {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The streams that are dialled from now on.
    pub(crate) fn listen(&self) -> mpsc::UnboundedReceiver<DuplexStream> {
        let (sender, receiver) = mpsc::unbounded_channel();
        *self.listener.lock() = Some(sender);
        receiver
    }

    /// What has been dialled, refused or not.
    pub(crate) fn dialled(&self) -> Vec<(String, u16)> {
        self.dialled.lock().clone()
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").finish_non_exhaustive()
    }
}

#[async_trait]
impl ControlDialer for Network {
    async fn dial(&self, host: &str, port: u16) -> io::Result<Box<dyn ControlStream>> {
        self.dialled.lock().push((host.to_owned(), port));
        let (near, far) = tokio::io::duplex(ROOM);
        let listener = self.listener.lock().clone();
        match listener.map(|listener| listener.send(far)) {
            Some(Ok(())) => Ok(Box::new(near)),
            Some(Err(_)) | None => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }
}

/// An authority for the certificates of servers.
pub(crate) struct ServerRoot {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl ServerRoot {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let name = format!("control plane root {}", number());
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    /// A server with a certificate for these names and addresses.
    pub(crate) fn server(&self, names: &[&str]) -> Arc<ServerConfig> {
        self.server_with(names, &[&TLS13, &TLS12])
    }

    pub(crate) fn server_with(
        &self,
        names: &[&str],
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Arc<ServerConfig> {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let params = CertificateParams::new(names).unwrap();
        let key = KeyPair::generate().unwrap();
        let chain = vec![params.signed_by(&key, &self.issuer).unwrap().der().clone()];
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let provider = mesh_core::tls::default_provider().unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Arc::new(config)
    }
}

/// A server of gRPC on a [`Network`]. Dropping it ends its connections at once.
pub(crate) struct Server {
    task: JoinHandle<()>,
    frozen: Arc<Semaphore>,
}

impl Server {
    /// Serves what is dialled on `network`, over TLS unless `tls` is `None`.
    pub(crate) fn start<S>(network: &Network, tls: Option<Arc<ServerConfig>>, service: S) -> Self
    where
        S: Service<
                http::Request<hyper::body::Incoming>,
                Response = http::Response<Body>,
                Error = std::convert::Infallible,
            > + Clone
            + Send
            + 'static,
        S::Future: Send,
    {
        let mut incoming = network.listen();
        let frozen = Arc::new(Semaphore::new(0));
        let freeze = frozen.clone();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Some(stream) = incoming.recv().await {
                let (tls, service, freeze) = (tls.clone(), service.clone(), freeze.clone());
                connections.spawn(async move {
                    let stream: Box<dyn ControlStream> = match tls {
                        Some(tls) => match TlsAcceptor::from(tls).accept(stream).await {
                            Ok(stream) => Box::new(stream),
                            Err(_) => return,
                        },
                        None => Box::new(stream),
                    };
                    let service = TowerToHyperService::new(service);
                    let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service);
                    let mut connection = std::pin::pin!(connection);
                    tokio::select! {
                        _ = &mut connection => {}
                        // Neither polled nor dropped: the peer sees silence.
                        _ = freeze.acquire() => std::future::pending().await,
                    }
                });
            }
        });
        Self { task, frozen }
    }

    /// Stops to read and write, without closing anything.
    pub(crate) fn freeze(&self) {
        self.frozen.add_permits(Semaphore::MAX_PERMITS);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A directory that is removed with its content.
pub(crate) struct Directory(pub(crate) std::path::PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        let name = format!("mesh-xds-test-{}-{}", std::process::id(), number());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// Writes a file as Kubernetes does, replacing one of this name at once; gives its path.
    pub(crate) fn write(&self, name: &str, content: &str) -> std::path::PathBuf {
        let (path, draft) = (self.0.join(name), self.0.join("draft"));
        std::fs::write(&draft, content).unwrap();
        std::fs::rename(&draft, &path).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A number that no other caller gets.
fn number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
