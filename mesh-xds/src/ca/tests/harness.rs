//! A mesh's authority in memory, and a clock that goes with the paused runtime.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mesh_core::clock::WallClock;
use mesh_core::credential::{CertificateError, CertificateSource, Credential};
use mesh_core::identity::SpiffeId;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::ca::{CaSource, CaSourceBuilder};
use crate::control::{ControlEndpoint, ControlRoots, ControlToken};
use crate::server::CaService;
use crate::testing::{Directory, Network, Server, ServerRoot};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn id(name: &str) -> SpiffeId {
    format!("spiffe://cluster.local/ns/a/sa/{name}")
        .parse()
        .unwrap()
}

/// The runtime's time as time of day, which can jump.
#[derive(Debug)]
pub(super) struct TestClock {
    start: Instant,
    time: Mutex<SystemTime>,
}

impl TestClock {
    pub(super) fn jump(&self, time: Duration) {
        *self.time.lock() += time;
    }
}

impl WallClock for TestClock {
    fn now(&self) -> SystemTime {
        *self.time.lock() + self.start.elapsed()
    }
}

pub(super) struct Mesh {
    pub(super) network: Arc<Network>,
    pub(super) clock: Arc<TestClock>,
    pub(super) ca: CaService,
    /// The identities that were granted, in order.
    pub(super) granted: Arc<Mutex<Vec<SpiffeId>>>,
    /// The token that the authority knows.
    pub(super) token: Arc<Mutex<String>>,
    /// Whom the authority names, if not whom it should.
    pub(super) misnamed: Arc<Mutex<Option<SpiffeId>>>,
    pub(super) root: ServerRoot,
    pub(super) files: Directory,
    server: Mutex<Option<Server>>,
}

impl Mesh {
    /// A mesh whose authority is up.
    pub(super) fn new() -> Self {
        let mesh = Self::down();
        mesh.up();
        mesh
    }

    /// A mesh whose authority is down.
    pub(super) fn down() -> Self {
        let clock = Arc::new(TestClock {
            start: Instant::now(),
            time: Mutex::new(UNIX_EPOCH + Duration::from_secs(1_800_000_000)),
        });
        let granted: Arc<Mutex<Vec<SpiffeId>>> = Arc::default();
        let token = Arc::new(Mutex::new("secret".to_owned()));
        let misnamed: Arc<Mutex<Option<SpiffeId>>> = Arc::default();
        let (log, known, other) = (granted.clone(), token.clone(), misnamed.clone());
        let ca = CaService::builder(move |call| {
            if call.token != Some(&**known.lock()) {
                return Err("unknown token".to_owned());
            }
            let id = other.lock().clone();
            let id = id.unwrap_or_else(|| call.wanted().clone());
            log.lock().push(id.clone());
            Ok(id)
        });
        let (root, files) = (ServerRoot::new(), Directory::new());
        files.write("roots.pem", &root.pem);
        files.write("token", "secret");
        Self {
            network: Network::new(),
            ca: ca.clock(clock.clone()).build().unwrap(),
            clock,
            granted,
            token,
            misnamed,
            root,
            files,
            server: Mutex::new(None),
        }
    }

    pub(super) fn up(&self) {
        let service = self.ca.clone().into_server();
        let tls = Some(self.root.server(&["ca.test"]));
        *self.server.lock() = Some(Server::start(&self.network, tls, service));
    }

    /// Ends the server, and its connections with it.
    pub(super) fn stop(&self) {
        *self.server.lock() = None;
    }

    pub(super) fn freeze(&self) {
        if let Some(server) = &*self.server.lock() {
            server.freeze();
        }
    }

    pub(super) fn builder(&self) -> CaSourceBuilder {
        let endpoint = ControlEndpoint::builder("ca.test:15012")
            .roots(ControlRoots::File(self.files.0.join("roots.pem")))
            .token(ControlToken::File(self.files.0.join("token")))
            .dialer(self.network.clone())
            .build()
            .unwrap();
        CaSource::builder(endpoint).clock(self.clock.clone())
    }

    pub(super) fn source(&self) -> Arc<CaSource> {
        run(self.builder()).0
    }
}

/// A source whose worker runs.
pub(super) fn run(builder: CaSourceBuilder) -> (Arc<CaSource>, JoinHandle<()>) {
    let (source, worker) = builder.build().unwrap();
    (Arc::new(source), tokio::spawn(worker.run()))
}

/// Asks in a task of its own.
pub(super) fn ask(
    source: &Arc<CaSource>,
    name: &str,
) -> JoinHandle<Result<Arc<Credential>, CertificateError>> {
    let (source, id) = (source.clone(), id(name));
    tokio::spawn(async move { source.credential(&id).await })
}

/// An error with its causes, as a log shows it.
pub(super) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
