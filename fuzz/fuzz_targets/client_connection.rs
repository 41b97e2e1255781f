//! The HBONE client: whatever a server that is authenticated sends, a request gets an answer or an error in bounded
//! time, and a tunnel its end, without a panic.
#![no_main]

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use mesh_core::credential::{Credential, FixedSource, TrustBundle};
use mesh_core::identity::SpiffeId;
use mesh_core::tls::TlsContext;
use mesh_hbone::{Client, ClientLayer, Target};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};
use rustls_pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::TlsAcceptor;
use tower_layer::Layer;

/// A server's empty SETTINGS frame (RFC 9113 section 3.4).
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";

/// Far longer than every timeout of the client; the clock jumps, so nobody waits.
const FOR_EVER: Duration = Duration::from_secs(24 * 3600);

/// Both ends, with certificates that are made once.
struct Ends {
    client: Client<()>,
    server: TlsAcceptor,
}

fn id(name: &str) -> SpiffeId {
    format!("spiffe://cluster.local/ns/fuzz/sa/{name}")
        .parse()
        .expect("an identity")
}

fn ends() -> &'static Ends {
    static ENDS: OnceLock<Ends> = OnceLock::new();
    ENDS.get_or_init(|| {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).expect("a root").der().clone();
        let issuer = Issuer::new(params, key);
        let trust = Arc::new(TrustBundle::from_der([root]).expect("a bundle"));
        let issue = |name| {
            let key = KeyPair::generate().expect("a key");
            let mut params = CertificateParams::new(Vec::new()).expect("no names");
            let uri = id(name).to_string().try_into().expect("ASCII");
            params.subject_alt_names = vec![SanType::URI(uri)];
            params.extended_key_usages = vec![
                ExtendedKeyUsagePurpose::ServerAuth,
                ExtendedKeyUsagePurpose::ClientAuth,
            ];
            let leaf = params.signed_by(&key, &issuer).expect("a leaf");
            let key = PrivatePkcs8KeyDer::from(key.serialize_der());
            let credential =
                Credential::from_der(vec![leaf.der().clone()], key.into(), trust.clone());
            Arc::new(credential.expect("a credential"))
        };
        let tls = Arc::new(TlsContext::with_default_provider().expect("a provider"));
        let server = tls.server(&issue("server")).expect("a configuration");
        let certificates = Arc::new(FixedSource::new([issue("client")]));
        let layer = ClientLayer::builder(certificates, tls).build();
        Ends {
            client: layer.expect("defaults").layer(()),
            server: server.into(),
        }
    })
}

fuzz_target!(|input: (bool, bool, &[u8])| {
    let (with_settings, stays, frames) = input;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let (here, there) = tokio::io::duplex(64 * 1024);
        let both = async { tokio::join!(ask(here), answer(there, with_settings, stays, frames)) };
        let ended = tokio::time::timeout(FOR_EVER, both).await;
        assert!(ended.is_ok(), "the connection did not end");
    });
});

/// Opens a tunnel, and uses it.
async fn ask(io: DuplexStream) {
    let endpoint = ([127, 0, 0, 1], 15008).into();
    let target = Target::new(endpoint, "10.0.0.1:80", id("client"), id("server"));
    if let Ok(mut tunnel) = ends().client.connect_over(io, target).await {
        let _ = tunnel.write_all(b"hello").await;
        let _ = tunnel.shutdown().await;
        let mut sink = [0; 4096];
        while tunnel.read(&mut sink).await.is_ok_and(|length| length > 0) {}
    }
}

/// Sends the frames. One that stays reads what comes until the client has gone, which asks it for signs of life.
async fn answer(io: DuplexStream, with_settings: bool, stays: bool, frames: &[u8]) {
    let Ok(mut io) = ends().server.accept(io).await else {
        return;
    };
    if with_settings {
        let _ = io.write_all(SETTINGS).await;
    }
    let _ = io.write_all(frames).await;
    let _ = io.flush().await;
    let mut sink = [0; 4096];
    while stays && io.read(&mut sink).await.is_ok_and(|length| length > 0) {}
}
