//! Messages and bulk bytes through two hops, on one thread: for counting, not for timing.
//!
//! An application talks to an echo through a client's copy, a pooled tunnel and a server's copy, all
//! over loopback sockets and one current-thread runtime, so that the number of instructions is nearly
//! the same each time. `cargo bench -p mesh-hbone --bench messages` prints times. To count:
//!
//! ```text
//! valgrind --tool=callgrind --toggle-collect='*measured*' BENCH_BINARY [KIND [PATH [COUNT]]]
//! ```
//!
//! `KIND` is `messages` (1 KiB there and back), `up` or `down` (MiB to or from the server); `PATH` is
//! `hops` or, to compare, `relay`: two relays that only copy. The instructions of the application at
//! both ends are in it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use mesh_core::credential::{Credential, FixedSource, TrustBundle};
use mesh_core::identity::SpiffeId;
use mesh_core::tls::TlsContext;
use mesh_hbone::copy::{Meter, Plain, copy};
use mesh_hbone::proxy::TcpDialer;
use mesh_hbone::server::{Accepted, ServerLayer};
use mesh_hbone::sock::SocketOptions;
use mesh_hbone::{AcceptAll, Client, ClientLayer, Target, Tunnel};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower_layer::Layer;
use tower_service::Service;

const MIB: usize = 1024 * 1024;

fn id(name: &str) -> SpiffeId {
    format!("spiffe://cluster.local/ns/default/sa/{name}")
        .parse()
        .unwrap()
}

fn certificates() -> Arc<FixedSource> {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&key).unwrap().der().clone();
    let issuer = Issuer::new(params, key);
    let trust = Arc::new(TrustBundle::from_der([root]).unwrap());
    let issue = |name| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        let uri = id(name).to_string();
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let leaf = params.signed_by(&key, &issuer).unwrap().der().clone();
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
        Credential::from_der(vec![leaf], key.into(), trust.clone()).unwrap()
    };
    Arc::new(FixedSource::new([issue("client"), issue("server")]))
}

/// Runs `work` for each connection to a new loopback port.
async fn each<F, W>(work: F) -> SocketAddr
where
    F: Fn(TcpStream) -> W + Send + 'static,
    W: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (io, _) = listener.accept().await.unwrap();
            io.set_nodelay(true).unwrap();
            tokio::spawn(work(io));
        }
    });
    address
}

/// Answers 1 KiB with 1 KiB, `u` with bytes to take until the end, `d` with bytes for ever.
async fn application(mut io: TcpStream) {
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match io.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(1) if buffer[0] == b'd' => while io.write_all(&buffer).await.is_ok() {},
            Ok(1) => {
                let mut left = usize::try_from(io.read_u64().await.unwrap()).unwrap();
                while left > 0 {
                    left -= io.read(&mut buffer).await.unwrap();
                }
                io.write_all(b"!").await.unwrap();
            }
            Ok(n) => io.write_all(&buffer[..n]).await.unwrap(),
        }
    }
}

/// The address behind which the application is, two hops away.
async fn two_hops(application: SocketAddr) -> SocketAddr {
    let (certs, tls) = (
        certificates(),
        Arc::new(TlsContext::with_default_provider().unwrap()),
    );
    let layer = ServerLayer::builder(id("server"), certs.clone(), tls.clone())
        .build()
        .unwrap();
    let carry = Carry(application);
    let server = layer.layer(AcceptAll(carry));
    let hbone = each(move |io| {
        let mut server = server.clone();
        let (peer, local) = (io.peer_addr().unwrap(), io.local_addr().unwrap());
        async move {
            let _ = server.call(Accepted { io, peer, local }).await;
        }
    })
    .await;
    let client: Client<TcpDialer> = ClientLayer::builder(certs, tls)
        .build()
        .unwrap()
        .layer(TcpDialer::new(SocketOptions::default()));
    each(move |io| {
        let client = client.clone();
        async move {
            let target = Target::new(hbone, "10.0.0.1:80", id("client"), id("server"));
            let tunnel = client.connect(target).await.unwrap();
            let _ = copy(Plain::new(io), tunnel, &Meter::default()).await;
        }
    })
    .await
}

/// Carries tunnels to the application.
#[derive(Clone)]
struct Carry(SocketAddr);

impl Service<Tunnel> for Carry {
    type Response = ();
    type Error = mesh_hbone::BoxError;
    type Future = mesh_hbone::BoxFuture<'static, Result<(), mesh_hbone::BoxError>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, tunnel: Tunnel) -> Self::Future {
        let application = self.0;
        Box::pin(async move {
            let io = TcpStream::connect(application).await?;
            io.set_nodelay(true)?;
            copy(tunnel, Plain::new(io), &Meter::default()).await?;
            Ok(())
        })
    }
}

/// The address behind which the application is, two relays away that only copy.
async fn two_relays(application: SocketAddr) -> SocketAddr {
    let mut next = application;
    for _ in 0..2 {
        let to = next;
        next = each(move |io| async move {
            let upstream = TcpStream::connect(to).await.unwrap();
            upstream.set_nodelay(true).unwrap();
            let _ = copy(Plain::new(io), Plain::new(upstream), &Meter::default()).await;
        })
        .await;
    }
    next
}

async fn messages(io: &mut TcpStream, count: usize) {
    let mut buffer = [7; 1024];
    for _ in 0..count {
        io.write_all(&buffer).await.unwrap();
        io.read_exact(&mut buffer).await.unwrap();
    }
}

async fn up(io: &mut TcpStream, count: usize) {
    io.write_all(b"u").await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let bytes = u64::try_from(count * MIB).unwrap();
    io.write_u64(bytes).await.unwrap();
    let chunk = vec![7; 256 * 1024];
    for _ in 0..count * 4 {
        io.write_all(&chunk).await.unwrap();
    }
    io.read_exact(&mut [0]).await.unwrap();
}

async fn down(io: &mut TcpStream, count: usize) {
    io.write_all(b"d").await.unwrap();
    let mut buffer = vec![0; 256 * 1024];
    let mut left = count * MIB;
    while left > 0 {
        left = left.saturating_sub(io.read(&mut buffer).await.unwrap());
    }
}

/// What is counted.
#[inline(never)]
fn measured(runtime: &tokio::runtime::Runtime, io: &mut TcpStream, kind: &str, count: usize) {
    runtime.block_on(async {
        match kind {
            "up" => up(io, count).await,
            "down" => down(io, count).await,
            _ => messages(io, count).await,
        }
    });
}

fn run(kind: &str, path: &str, count: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut io = runtime.block_on(async {
        let application = each(application).await;
        let entry = match path {
            "relay" => two_relays(application).await,
            _ => two_hops(application).await,
        };
        let mut io = TcpStream::connect(entry).await.unwrap();
        io.set_nodelay(true).unwrap();
        // The path is there, and warm.
        messages(&mut io, 20).await;
        io
    });
    let start = Instant::now();
    measured(&runtime, &mut io, kind, count);
    let each = start.elapsed() / u32::try_from(count).unwrap();
    println!("{kind:>8} through {path}: {each:?} each");
}

fn main() {
    let mut args = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with("--"));
    let kind = args.next();
    let path = args.next().unwrap_or_else(|| "hops".into());
    let count = args.next().and_then(|count| count.parse().ok());
    match kind {
        Some(kind) => run(&kind, &path, count.unwrap_or(1000)),
        None => {
            for path in ["relay", "hops"] {
                run("messages", path, 20_000);
                run("up", path, 1000);
                run("down", path, 1000);
            }
        }
    }
}
