//! Certificates and pairs of ends for the tests.
#![allow(
    dead_code,
    unreachable_pub,
    missing_debug_implementations,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

pub mod frames;
pub mod peers;
pub mod pipes;
pub mod relay;

use std::net::SocketAddr;
use std::sync::Arc;

use mesh_core::credential::{Credential, FixedSource, TrustBundle};
use mesh_core::identity::SpiffeId;
use mesh_core::tls::TlsContext;
use mesh_hbone::client::{Client, ClientBuilder, ClientLayer};
use mesh_hbone::server::{Accepted, Server, ServerBuilder, ServerLayer};
use mesh_hbone::{BoxError, BoxFuture, Incoming};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, RevokedCertParams,
    SanType, SerialNumber,
};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use tokio::net::{TcpListener, TcpStream};
use tower_layer::Layer;
use tower_service::Service;

/// A certificate authority of the test.
pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    root: Vec<u8>,
    /// From this authority up to, but without, the root.
    intermediates: Vec<CertificateDer<'static>>,
}

impl Ca {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap().der().to_vec();
        Self {
            issuer: Issuer::new(params, key),
            root,
            intermediates: Vec::new(),
        }
    }

    /// An authority below this one.
    pub fn intermediate(&self, name: &str, serial: u64) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.serial_number = Some(serial.into());
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let mut intermediates = vec![certificate.der().clone()];
        intermediates.extend(self.intermediates.iter().cloned());
        Self {
            issuer: Issuer::new(params, key),
            root: self.root.clone(),
            intermediates,
        }
    }

    /// A list of this authority that revokes these serial numbers.
    pub fn revoke(&self, serials: &[u64]) -> CertificateRevocationListDer<'static> {
        let now = std::time::SystemTime::now();
        let params = CertificateRevocationListParams {
            this_update: now.into(),
            next_update: (now + std::time::Duration::from_secs(86_400)).into(),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials
                .iter()
                .map(|serial| RevokedCertParams {
                    serial_number: (*serial).into(),
                    revocation_time: now.into(),
                    reason_code: None,
                    invalidity_date: None,
                })
                .collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().der().clone()
    }

    /// A credential with this serial number whose peers are looked up in these lists.
    pub fn issue_numbered(
        &self,
        id: &str,
        serial: u64,
        lists: &[CertificateRevocationListDer<'static>],
    ) -> Arc<Credential> {
        self.issue_edited(id, -1, 10, self.trust(lists), |params| {
            params.serial_number = Some(serial.into());
        })
    }

    /// The root of this authority with these lists.
    pub fn trust(&self, lists: &[CertificateRevocationListDer<'static>]) -> Arc<TrustBundle> {
        let roots = TrustBundle::from_der([self.root.clone().into()]).unwrap();
        Arc::new(roots.with_revocation_lists(lists.iter().cloned()).unwrap())
    }

    /// A credential, valid from and for a number of days from now.
    pub fn issue_for(&self, id: &str, from: i64, days: i64) -> Arc<Credential> {
        self.issue_with(id, from, days, &[self])
    }

    /// A credential that trusts these.
    pub fn issue_trusting(&self, id: &str, trusted: &[&Ca]) -> Arc<Credential> {
        self.issue_with(id, -1, 10, trusted)
    }

    fn issue_with(&self, id: &str, from: i64, days: i64, trusted: &[&Ca]) -> Arc<Credential> {
        let roots = TrustBundle::from_der(trusted.iter().map(|ca| ca.root.clone().into())).unwrap();
        self.issue_edited(id, from, days, Arc::new(roots), |_| ())
    }

    fn issue_edited(
        &self,
        id: &str,
        from: i64,
        days: i64,
        trust: Arc<TrustBundle>,
        edit: impl FnOnce(&mut CertificateParams),
    ) -> Arc<Credential> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        let day = |n: i64| {
            let now = std::time::SystemTime::now();
            let span = std::time::Duration::from_secs(n.unsigned_abs() * 86_400);
            if n < 0 { now - span } else { now + span }
        };
        params.not_before = day(from).into();
        params.not_after = day(from + days).into();
        params.subject_alt_names = vec![SanType::URI(id.try_into().unwrap())];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        edit(&mut params);
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        let mut chain = vec![leaf.der().clone()];
        chain.extend(self.intermediates.iter().cloned());
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
        Arc::new(Credential::from_der(chain, key.into(), trust).unwrap())
    }

    pub fn issue(&self, id: &str) -> Arc<Credential> {
        self.issue_for(id, -1, 10)
    }
}

pub fn id(account: &str) -> SpiffeId {
    format!("spiffe://cluster.local/ns/default/sa/{account}")
        .parse()
        .unwrap()
}

/// A CA with the identities `client` and `server`.
pub struct Mesh {
    pub ca: Ca,
    pub certs: Arc<FixedSource>,
    pub tls: Arc<TlsContext>,
}

impl Mesh {
    pub fn new() -> Self {
        let ca = Ca::new();
        let certs = ["client", "server"].map(|name| ca.issue(&id(name).to_string()));
        Self {
            ca,
            certs: Arc::new(FixedSource::new(certs)),
            tls: Arc::new(TlsContext::with_default_provider().unwrap()),
        }
    }

    pub fn client_builder(&self) -> ClientBuilder {
        ClientLayer::builder(self.certs.clone(), self.tls.clone())
    }

    pub fn client(&self) -> Client<Tcp> {
        self.client_builder().build().unwrap().layer(Tcp)
    }

    pub fn server_builder(&self) -> ServerBuilder {
        ServerLayer::builder(id("server"), self.certs.clone(), self.tls.clone())
    }

    pub fn target(&self, endpoint: SocketAddr) -> mesh_hbone::Target {
        mesh_hbone::Target::new(endpoint, "10.0.0.1:80", id("client"), id("server"))
    }
}

/// Dials TCP.
#[derive(Clone, Debug)]
pub struct Tcp;

impl Service<SocketAddr> for Tcp {
    type Response = TcpStream;
    type Error = std::io::Error;
    type Future = BoxFuture<'static, std::io::Result<TcpStream>>;
    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
    fn call(&mut self, addr: SocketAddr) -> Self::Future {
        Box::pin(async move {
            let io = TcpStream::connect(addr).await?;
            io.set_nodelay(true)?;
            Ok(io)
        })
    }
}

/// A service made of a function.
#[derive(Clone)]
pub struct Fn_<F>(pub F);

impl<F, Fut> Service<Incoming> for Fn_<F>
where
    F: FnMut(Incoming) -> Fut,
    Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    type Response = ();
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<(), BoxError>>;
    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), BoxError>> {
        std::task::Poll::Ready(Ok(()))
    }
    fn call(&mut self, incoming: Incoming) -> Self::Future {
        Box::pin((self.0)(incoming))
    }
}

/// Serves on a loopback port; the results of connections go to `ended`.
pub async fn listen<S>(
    server: Server<S>,
) -> (
    SocketAddr,
    tokio::sync::mpsc::UnboundedReceiver<Result<(), mesh_hbone::server::Error>>,
)
where
    S: Service<Incoming, Response = ()> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (send, ended) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (io, peer) = listener.accept().await.unwrap();
            io.set_nodelay(true).unwrap();
            let local = io.local_addr().unwrap();
            let mut server = server.clone();
            let send = send.clone();
            tokio::spawn(async move {
                let _ = send.send(server.call(Accepted { io, peer, local }).await);
            });
        }
    });
    (addr, ended)
}

/// Accepts and sends everything back.
pub async fn echo(incoming: Incoming) -> Result<(), BoxError> {
    let tunnel = incoming.accept(http::HeaderMap::new())?;
    let (mut read, mut write) = tokio::io::split(tunnel);
    tokio::io::copy(&mut read, &mut write).await?;
    tokio::io::AsyncWriteExt::shutdown(&mut write).await?;
    Ok(())
}
