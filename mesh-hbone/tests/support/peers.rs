//! A server under test with a tunnel that must not notice anything, and peers that misbehave.

use std::net::SocketAddr;
use std::sync::Arc;

use mesh_core::credential::Credential;
use mesh_core::outcome::Outcome;
use mesh_core::telemetry::{Event, Telemetry};
use mesh_core::tls::server_name;
use mesh_hbone::server::{Error, ServerBuilder};
use mesh_hbone::{BoxError, Incoming, Tunnel};
use parking_lot::Mutex;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_layer::Layer;

use super::frames::GUARD;
use super::{Fn_, Mesh, id, listen};

/// Remembers the outcomes of rejections.
#[derive(Debug, Default)]
pub struct Recorder(Mutex<Vec<Outcome>>);

impl Recorder {
    pub fn rejections(&self) -> Vec<Outcome> {
        self.0.lock().clone()
    }
}

impl Telemetry for Recorder {
    fn record(&self, event: &Event<'_>) {
        if let Event::Rejected { outcome, .. } = event {
            self.0.lock().push(*outcome);
        }
    }
}

/// A tunnel that is used before and after something happens to its neighbours.
pub struct Healthy(Tunnel);

impl Healthy {
    pub async fn open(mesh: &Mesh, addr: SocketAddr) -> Self {
        let mut healthy = Self(mesh.client().connect(mesh.target(addr)).await.unwrap());
        healthy.check().await;
        healthy
    }

    pub async fn check(&mut self) {
        let exchange = async {
            self.0.write_all(b"alive?").await.unwrap();
            let mut answer = [0; 6];
            self.0.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"alive?");
        };
        timeout(GUARD, exchange)
            .await
            .expect("the healthy tunnel hangs");
    }
}

/// A server under test.
pub struct Fixture {
    pub mesh: Mesh,
    pub addr: SocketAddr,
    pub ended: UnboundedReceiver<Result<(), Error>>,
    pub recorder: Arc<Recorder>,
    pub healthy: Healthy,
}

impl Fixture {
    /// A server of echoes.
    pub async fn echo() -> Self {
        Self::with(|builder| builder, super::echo).await
    }

    pub async fn with<F, Fut>(
        change: impl FnOnce(ServerBuilder) -> ServerBuilder,
        service: F,
    ) -> Self
    where
        F: Fn(Incoming) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        let mesh = Mesh::new();
        let recorder = Arc::new(Recorder::default());
        let builder = change(mesh.server_builder().telemetry(recorder.clone()));
        let server = builder.build().unwrap().layer(Fn_(service));
        let (addr, ended) = listen(server).await;
        let healthy = Healthy::open(&mesh, addr).await;
        Self {
            mesh,
            addr,
            ended,
            recorder,
            healthy,
        }
    }

    /// How the next connection ended.
    pub async fn end(&mut self) -> Result<(), Error> {
        let end = timeout(GUARD, self.ended.recv()).await;
        end.expect("the connection has not ended")
            .expect("the server lives")
    }

    /// The class of that end, and a check that the neighbours are well.
    pub async fn outcome(&mut self) -> Outcome {
        let outcome = self
            .end()
            .await
            .map_or_else(|error| error.outcome(), |()| Outcome::Completed);
        self.healthy.check().await;
        outcome
    }

    pub async fn tcp(&self) -> TcpStream {
        let io = TcpStream::connect(self.addr).await.unwrap();
        io.set_nodelay(true).unwrap();
        io
    }

    /// A peer with a good certificate, after its TLS handshake.
    pub async fn tls(&self) -> TlsStream<TcpStream> {
        let credential = self.mesh.ca.issue(&id("client").to_string());
        self.tls_as(Some(&credential), |_| ()).await
    }

    /// A peer with whatever certificate, that believes every server.
    pub async fn tls_as(
        &self,
        credential: Option<&Arc<Credential>>,
        change: impl FnOnce(&mut ClientConfig),
    ) -> TlsStream<TcpStream> {
        let mut config = gullible(credential);
        change(&mut config);
        let connector = TlsConnector::from(Arc::new(config));
        connector
            .connect(server_name(), self.tcp().await)
            .await
            .unwrap()
    }
}

/// A client's TLS configuration that believes every server.
pub fn gullible(credential: Option<&Arc<Credential>>) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer));
    let mut config = match credential {
        Some(credential) => builder
            .with_client_auth_cert(credential.chain().to_vec(), credential.key().clone_key())
            .unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.enable_sni = false;
    config
}

#[derive(Debug)]
struct AnyServer;

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::ECDSA_NISTP384_SHA384,
        ]
    }
}
