//! The process from its settings to its end.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use mesh_authz::jwt::{RefreshPolicy, Refresher, drive};
use mesh_core::clock::SystemClock;
use mesh_core::drain::{self, Trigger};
use mesh_core::identity::SpiffeId;
use mesh_core::random::ThreadRandom;
use mesh_core::tls::TlsContext;
use mesh_hbone::server::HandshakeGate;
use mesh_l7::telemetry::{
    AccessLog, Format, LogWriter, MeshWorkloads, Metrics, MetricsSettings, Sink, TelemetryLayer,
};
use mesh_l7::upstream::maintain;
use process::env::Env;
use process::logging::{Log, LogFormat};
use process::readiness::Readiness;
use process::shutdown::{Shutdown, Signals};

use crate::config::Settings;
use crate::key_fetcher::KeyFetcher;
use crate::mesh::Mesh;
use crate::passthrough::Told;
use crate::workers::{Shared, Workers};
use crate::{admin, certificates, sources};

/// Why the waypoint could not start.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Time for cut connections to say so.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// The exit status of a process that was interrupted, by convention 128 + SIGINT.
const INTERRUPTED: i32 = 130;

/// Runs the waypoint until it is asked to stop.
///
/// # Errors
/// Why it could not start.
pub fn run() -> Result<(), BoxError> {
    let cpus = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let settings = Settings::from_env(&Env::of_process(), cpus)?;
    let log = Log::start(settings.log_format, settings.log_filter.parse()?)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(serve(settings, log.clone()));
    runtime.shutdown_background();
    log.flush();
    result
}

async fn serve(settings: Settings, log: Log) -> Result<(), BoxError> {
    let settings = Arc::new(settings);
    let shutdown = Shutdown::new();
    let signals = Signals::new()?;
    let wish = shutdown.clone();
    tokio::spawn(async move {
        signals.follow(wish).await;
        log.flush();
        std::process::exit(INTERRUPTED);
    });
    let readiness = Readiness::default();
    let proxy = readiness.wait_for("proxy");
    let ready_server = admin::readiness(&settings.listen, readiness)?;
    let mesh = Arc::new(Mesh::new(&settings)?);
    let synced = sources::start(&settings, &mesh)?;
    let shared = shared(&settings, &mesh)?;
    admin::administration(&settings.listen, &mesh)?;
    admin::metrics(&settings.listen, &shared.metrics, &mesh)?;
    keep_up(&mesh);
    tokio::select! {
        () = synced.wait() => {}
        reason = shutdown.begun() => {
            tracing::info!(reason, "stopped before the mesh was known");
            return Ok(());
        }
    }

    let (trigger, drain) = drain::channel();
    let workers = Workers::start(&shared, &drain)?;
    drop((drain, proxy));
    tracing::info!(workers = settings.workers, identity = %shared.identity, "serving");
    let reason = shutdown.begun().await;
    tracing::info!(reason, deadline = ?settings.drain_deadline, "draining");
    ready_server.abort();
    end(&trigger, settings.drain_deadline).await;
    workers.stop();
    tracing::info!("stopped");
    Ok(())
}

pub(crate) fn shared(settings: &Arc<Settings>, mesh: &Arc<Mesh>) -> Result<Shared, BoxError> {
    let own = &settings.workload;
    let domain = settings.trust_domain.clone();
    let (metrics, telemetry, told) = telemetry(settings, mesh, std::io::stdout())?;
    let identity = SpiffeId::new(domain, &own.namespace, &own.service_account)?;
    Ok(Shared {
        telemetry,
        told,
        certificates: certificates::start(settings, &identity)?,
        identity,
        tls: Arc::new(TlsContext::with_default_provider()?),
        settings: settings.clone(),
        mesh: mesh.clone(),
        metrics,
        gate: HandshakeGate::default(),
    })
}

/// Metrics, and the access log where one is wanted.
pub(crate) fn telemetry(
    settings: &Settings,
    mesh: &Mesh,
    log: impl std::io::Write + Send + 'static,
) -> std::io::Result<(Arc<Metrics>, TelemetryLayer, Told)> {
    let workloads = MeshWorkloads::new(mesh.store.watch(), settings.network.clone());
    let workloads = Arc::new(workloads);
    let metrics = Arc::new(Metrics::new(MetricsSettings {
        shards: settings.workers.get(),
        workloads: Some(workloads.clone()),
        ..MetricsSettings::default()
    }));
    let mut sinks: Vec<Arc<dyn Sink>> = vec![metrics.clone()];
    let mut told = Told {
        metrics: metrics.clone(),
        log: None,
        workloads: workloads.clone(),
    };
    if let Some(format) = settings.access_log {
        let (writer, _thread) = LogWriter::start(log, settings.workers.get())?;
        let format = match format {
            LogFormat::Plain => Format::istio_text(),
            LogFormat::Json => Format::istio_json(),
        };
        let log = Arc::new(AccessLog::new(format, writer));
        sinks.push(log.clone());
        told.log = Some(log);
    }
    let layer = TelemetryLayer::new(Arc::new(sinks)).with_workloads(workloads);
    Ok((metrics, layer, told))
}

/// What is to be done from time to time: hosts that were taken out come back, keys of tokens are fetched.
pub(crate) fn keep_up(mesh: &Arc<Mesh>) {
    let upstreams = mesh.upstreams.clone();
    tokio::spawn(maintain(move || upstreams.known()));
    let keys = mesh.security.keys.clone();
    let wake = keys.wake();
    let refresher = Refresher::new(keys, RefreshPolicy::default(), Box::new(ThreadRandom));
    let fetcher = Arc::new(KeyFetcher::default());
    tokio::spawn(drive(refresher, wake, fetcher, Arc::new(SystemClock)));
}

/// Takes nothing new, finishes what runs, and cuts what is left at the deadline.
pub(crate) async fn end(trigger: &Trigger, deadline: Duration) {
    trigger.drain();
    if tokio::time::timeout(deadline, trigger.finished())
        .await
        .is_ok()
    {
        return tracing::info!("drained");
    }
    trigger.force();
    let _ = tokio::time::timeout(LAST_WORDS, trigger.finished()).await;
    tracing::warn!("drain deadline passed, connections were cut");
}
