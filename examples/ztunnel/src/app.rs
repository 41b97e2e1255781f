//! The process from its settings to its end.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;

use mesh_core::drain;
use mesh_core::identity::{InvalidSpiffeId, SpiffeId};
use mesh_core::store::MeshStore;
use mesh_core::tls::{TlsContext, TlsError};
use mesh_hbone::proxy::SystemLookup;
use mesh_hbone::server::HandshakeGate;
use mesh_xds::dev_ca::{DevCa, DevCaError, DevCaSource};
use mesh_xds::local::LocalError;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::admin::Admin;
use crate::config::{ConfigError, Env, Settings};
use crate::logging::{BadFilter, Log};
use crate::readiness::Readiness;
use crate::shutdown::{Shutdown, Signals};
use crate::telemetry::Metrics;
use crate::workers::{self, Shared, Workers};
use crate::{http, logging, mesh, metrics};

/// The exit status of a process that was interrupted, by convention 128 + SIGINT.
const INTERRUPTED: i32 = 130;

/// Why the process could not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("the environment is not usable")]
    Config(#[from] ConfigError),
    #[error("RUST_LOG is not usable")]
    Filter(#[from] BadFilter),
    #[error("cannot set up the log")]
    Log(#[from] logging::StartError),
    #[error("cannot start the main runtime")]
    Runtime(#[source] io::Error),
    #[error("cannot handle signals")]
    Signals(#[source] io::Error),
    #[error("cannot listen for {what} requests at {address}")]
    Listen {
        what: &'static str,
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("cannot load the mesh")]
    Mesh(#[from] LocalError),
    #[error("TRUST_DOMAIN and PROXY_WORKLOAD_INFO do not make an identity")]
    Identity(#[from] InvalidSpiffeId),
    #[error("cannot open the development CA in {directory}")]
    DevCa {
        directory: String,
        #[source]
        source: DevCaError,
    },
    #[error("cannot set up TLS")]
    Tls(#[from] TlsError),
    #[error("cannot start the workers")]
    Workers(#[from] workers::StartError),
}

impl StartError {
    /// Whether somebody else listens at the address.
    fn is_taken(&self) -> bool {
        matches!(self, Self::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse)
    }
}

/// Runs the proxy until it is asked to stop.
///
/// # Errors
/// [`StartError`] when it could not start.
pub(crate) fn run() -> Result<(), StartError> {
    let cpus = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let settings = Settings::from_env(&Env::of_process(), cpus)?;
    let log = Log::start(settings.log_format, settings.log_filter.parse()?)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(StartError::Runtime)?;
    let result = runtime.block_on(serve(settings, log.clone()));
    runtime.shutdown_background();
    log.flush();
    result
}

async fn serve(settings: Settings, log: Log) -> Result<(), StartError> {
    say_what_is_special(&settings);
    let shutdown = Shutdown::new();
    let signals = Signals::new().map_err(StartError::Signals)?;
    tokio::spawn(follow(signals, shutdown.clone(), log.clone()));
    let settings = Arc::new(settings);
    let metrics = Arc::new(Metrics::new(settings.version.clone(), log.counters()));
    let readiness = Readiness::default();
    let state = readiness.wait_for("state manager");
    let proxy = readiness.wait_for("proxy");
    let ready_server = serve_readiness(settings.listen.readiness, readiness)?;

    let store = Arc::new(MeshStore::new());
    if let Some(file) = mesh::load(&settings, &store)? {
        tokio::spawn(mesh::watch(
            file,
            settings.clone(),
            store.clone(),
            metrics.clone(),
        ));
    }
    drop(state);
    let shared = shared(settings, store, metrics)?;
    serve_admin(&shared, log, shutdown.clone())?;
    serve_metrics(&shared)?;
    let (trigger, drain) = drain::channel();
    let workers = Workers::start(&shared, &drain)?;
    drop((drain, proxy));
    tracing::info!(workers = shared.settings.workers, identity = %shared.identity, "serving");

    let reason = shutdown.begun().await;
    let deadline = shared.settings.drain_deadline;
    tracing::info!(reason, ?deadline, "draining");
    ready_server.abort();
    crate::drain::drain(&trigger, deadline, &shared.metrics).await;
    workers.stop();
    tracing::info!("stopped");
    Ok(())
}

fn say_what_is_special(settings: &Settings) {
    tracing::warn!(
        "FAKE_CA is on: certificates come from the development CA, whose key is in a file; \
         for development only"
    );
    if !settings.ignored.is_empty() {
        let variables = settings.ignored.join(" ");
        tracing::warn!(variables, "variables are set that are not yet used");
    }
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "the number of open files stays limited");
    }
}

/// The second SIGINT ends the process at once.
async fn follow(signals: Signals, shutdown: Shutdown, log: Log) {
    signals.follow(shutdown).await;
    tracing::warn!("interrupted twice, stopping at once");
    log.flush();
    std::process::exit(INTERRUPTED);
}

/// What all workers share, with the certificates from the development CA.
fn shared(
    settings: Arc<Settings>,
    store: Arc<MeshStore>,
    metrics: Arc<Metrics>,
) -> Result<Shared, StartError> {
    let workload = &settings.workload;
    let identity = SpiffeId::new(
        settings.trust_domain.clone(),
        &workload.namespace,
        &workload.service_account,
    )?;
    let dev_ca = |source| StartError::DevCa {
        directory: settings.dev_ca.display().to_string(),
        source,
    };
    let authority = DevCa::open_or_create(&settings.dev_ca).map_err(dev_ca)?;
    let certificates = DevCaSource::builder(authority)
        .trust_domains([settings.trust_domain.clone()])
        .build()
        .map_err(dev_ca)?;
    let certificates = Arc::new(certificates);
    let renewed = certificates.clone();
    tokio::spawn(async move { renewed.run().await });
    Ok(Shared {
        tls: Arc::new(TlsContext::with_default_provider()?),
        settings,
        store,
        certificates,
        identity,
        metrics,
        lookup: SystemLookup::default(),
        gate: HandshakeGate::default(),
    })
}

fn serve_readiness(
    address: SocketAddr,
    readiness: Readiness,
) -> Result<JoinHandle<()>, StartError> {
    let listener = bind("readiness", address)?;
    let answer = move |request| {
        let answer = readiness.answer(&request);
        async move { answer }
    };
    Ok(tokio::spawn(http::serve(listener, answer)))
}

fn serve_metrics(shared: &Shared) -> Result<(), StartError> {
    let listener = bind("metrics", shared.settings.listen.metrics)?;
    let metrics = shared.metrics.clone();
    let answer = move |request| {
        let answer = metrics::answer(&metrics, &request);
        async move { answer }
    };
    tokio::spawn(http::serve(listener, answer));
    Ok(())
}

fn serve_admin(shared: &Shared, log: Log, shutdown: Shutdown) -> Result<(), StartError> {
    let admin = Admin {
        settings: shared.settings.clone(),
        store: shared.store.clone(),
        certificates: shared.certificates.clone(),
        identity: shared.identity.clone(),
        log,
        shutdown,
    };
    for (index, address) in shared.settings.listen.admin.iter().enumerate() {
        let listener = match bind("administration", *address) {
            Ok(listener) => listener,
            // A machine without IPv6 has no ::1.
            Err(error) if index > 0 && !error.is_taken() => {
                tracing::debug!(error = &error as &dyn std::error::Error, "not listening");
                continue;
            }
            Err(error) => return Err(error),
        };
        let admin = admin.clone();
        tokio::spawn(http::serve(listener, move |request| {
            admin.clone().answer(request)
        }));
    }
    Ok(())
}

fn bind(what: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    http::bind(address).map_err(|source| StartError::Listen {
        what,
        address,
        source,
    })
}
