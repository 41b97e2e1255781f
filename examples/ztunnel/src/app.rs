//! The process from its settings to its end.

mod error;
mod servers;

use std::num::NonZeroUsize;
use std::sync::Arc;

use mesh_authz::guard::MissingPolicies;
use mesh_authz::store::PolicyStore;
use mesh_authz::{Limits, Semantics};
use mesh_core::drain;
use mesh_core::identity::SpiffeId;
use mesh_core::store::MeshStore;
use mesh_core::tls::TlsContext;
use mesh_hbone::server::HandshakeGate;

use crate::certificates;
use crate::config::{Authority, Env, Settings};
use crate::mesh::{self, Source};
use crate::telemetry::{CountedLookup, Metrics};
use crate::workers::{Shared, Workers};
use process::logging::Log;
use process::readiness::Readiness;
use process::shutdown::{Shutdown, Signals};

use error::StartError;

/// The exit status of a process that was interrupted, by convention 128 + SIGINT.
const INTERRUPTED: i32 = 130;

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
    let ready_server = servers::readiness(settings.listen.readiness, readiness)?;

    let store = Arc::new(MeshStore::new());
    let semantics = Semantics::default().at_node_proxy();
    let policies = Arc::new(PolicyStore::with_semantics(Limits::default(), semantics));
    let mesh = mesh::start(&settings, &store, &policies, &metrics)?;
    let shared = shared(settings, (store, policies), mesh.source, metrics)?;
    servers::administration(&shared, log, shutdown.clone())?;
    servers::metrics(&shared)?;
    // Nothing is carried before it is known what policies say.
    tokio::select! {
        () = mesh.synced.wait() => drop(state),
        reason = shutdown.begun() => {
            tracing::info!(reason, "stopped before the mesh was known");
            return Ok(());
        }
    }
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
    if matches!(settings.authority, Authority::Development(_)) {
        tracing::warn!(
            "FAKE_CA is on: certificates come from the development CA, whose key is in a file; \
             for development only"
        );
    }
    if !settings.ignored.is_empty() {
        let variables = settings.ignored.join(" ");
        tracing::warn!(variables, "variables are set that are not used");
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

/// What all workers share.
fn shared(
    settings: Arc<Settings>,
    (store, policies): (Arc<MeshStore>, Arc<PolicyStore>),
    source: Source,
    metrics: Arc<Metrics>,
) -> Result<Shared, StartError> {
    let workload = &settings.workload;
    let identity = SpiffeId::new(
        settings.trust_domain.clone(),
        &workload.namespace,
        &workload.service_account,
    )?;
    let certificates = certificates::start(&settings, &identity, &metrics)?;
    Ok(Shared {
        tls: Arc::new(TlsContext::with_default_provider()?),
        lookup: CountedLookup::new(store.clone(), settings.clone(), metrics.clone()),
        settings,
        store,
        policies,
        missing_policies: MissingPolicies::default(),
        demand: source.demand,
        traffic: source.traffic,
        certificates,
        identity,
        metrics,
        gate: HandshakeGate::default(),
    })
}
