//! The worker threads: each has its own runtime, listener, tunnel pool and connections to upstreams.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use mesh_core::credential::CertificateSource;
use mesh_core::drain::Drain;
use mesh_core::identity::SpiffeId;
use mesh_core::telemetry::Direction;
use mesh_core::tls::TlsContext;
use mesh_hbone::awake::Awake;
use mesh_hbone::proxy::{AcceptOptions, TcpAcceptor, TcpDialer, serve};
use mesh_hbone::server::{HandshakeGate, ServerLayer};
use mesh_hbone::sock::{HostSockets, ListenOptions, Listener, SocketOptions, listen};
use mesh_hbone::{ClientLayer, ConfigError};
use mesh_l7::serve::{Server, ServerSettings};
use mesh_l7::telemetry::{Metrics, TelemetryLayer};
use tokio::runtime::Builder;
use tokio::sync::watch;
use tower_layer::Layer;

use crate::config::Settings;
use crate::connector::Connector;
use crate::ingress::Ingress;
use crate::mesh::Mesh;
use crate::passthrough::{Passthrough, Told};
use crate::spread::{Jobs, Places, Spread};
use crate::stack::Stack;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What all workers share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) settings: Arc<Settings>,
    pub(crate) mesh: Arc<Mesh>,
    pub(crate) certificates: Arc<dyn CertificateSource>,
    pub(crate) tls: Arc<TlsContext>,
    pub(crate) identity: SpiffeId,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) telemetry: TelemetryLayer,
    pub(crate) told: Told,
    pub(crate) gate: HandshakeGate,
}

/// The running worker threads.
#[derive(Debug)]
pub(crate) struct Workers {
    end: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Binds every listener, then starts the threads.
    ///
    /// # Errors
    /// What could not be bound, started or set; nothing runs then.
    pub(crate) fn start(shared: &Shared, drain: &Drain) -> Result<Self, BoxError> {
        // Workers share their port with each other, and would share it with another process.
        bind(shared, false)?;
        let (end, ended) = watch::channel(false);
        let mut workers = Self {
            end,
            threads: Vec::new(),
        };
        let count = shared.settings.workers.get();
        let (places, jobs) = Places::new(count);
        let places = shared.settings.spread.then_some(places);
        for (index, jobs) in jobs.into_iter().enumerate() {
            let places = places.clone();
            let (shared, drain, mut ended) = (shared.clone(), drain.clone(), ended.clone());
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let prepared = {
                let _entered = runtime.enter();
                let awake = Awake::new(shared.settings.awake);
                let served = ingress(&shared, &awake, &drain)?;
                let (layer, ingress) = served;
                Prepared {
                    listener: bind(&shared, true)?,
                    layer,
                    jobs: (jobs, ingress.clone()),
                    ingress: Spread::new(ingress, index, places),
                    awake,
                }
            };
            let run = move || {
                runtime.block_on(async move {
                    spawn(&shared, prepared, drain);
                    // An error means that the workers were dropped, which also ends them.
                    let _ = ended.wait_for(|ended| *ended).await;
                });
            };
            let thread = std::thread::Builder::new().name(format!("waypoint-{index}"));
            workers.threads.push(thread.spawn(run)?);
        }
        Ok(workers)
    }

    /// Ends the threads, with whatever still runs on them.
    pub(crate) fn stop(self) {
        // Fails only when all threads have ended.
        let _ = self.end.send(true);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a worker thread panicked");
            }
        }
    }
}

fn bind(shared: &Shared, with_others: bool) -> io::Result<Listener> {
    let mut options = ListenOptions::default();
    options.reuse_port = with_others;
    let address = shared.settings.listen.hbone;
    listen(&HostSockets, address, &options, &SocketOptions::default())
}

fn ingress(
    shared: &Shared,
    awake: &Awake,
    drain: &Drain,
) -> Result<(ServerLayer, Ingress), ConfigError> {
    let certificates = || shared.certificates.clone();
    let dialer = awake.dialer(TcpDialer::new(SocketOptions::default()));
    let tunnels = ClientLayer::builder(certificates(), shared.tls.clone())
        .drain(drain.clone())
        .build()?
        .layer(dialer.clone());
    let connector = Connector::new(
        dialer,
        tunnels,
        shared.identity.clone(),
        shared.settings.clone(),
        shared.mesh.store.clone(),
    );
    let telemetry = shared.telemetry.clone();
    let passthrough = Passthrough {
        upstreams: shared.mesh.upstreams.clone(),
        routing: shared.mesh.routing.watch(),
        connector: connector.clone(),
        told: shared.told.clone(),
    };
    let mut server = ServerSettings::default();
    server.targets = shared.mesh.target_rules();
    shared.settings.timeouts.of_connections(&mut server);
    server.refusals = Some(shared.telemetry.observer());
    let ingress = Ingress {
        settings: shared.settings.clone(),
        identity: shared.identity.clone(),
        mesh: shared.mesh.clone(),
        stack: Stack::new(&shared.mesh, telemetry, connector),
        passthrough,
        server: Server::new(server),
        drain: drain.clone(),
    };
    let layer = ServerLayer::builder(shared.identity.clone(), certificates(), shared.tls.clone())
        .handshake_gate(shared.gate.clone())
        .telemetry(shared.metrics.clone())
        .drain(drain.clone())
        .build()?;
    Ok((layer, ingress))
}

/// What a worker begins with.
struct Prepared {
    listener: Listener,
    layer: ServerLayer,
    ingress: Spread<Ingress>,
    /// Streams of other workers' tunnels, and what serves them.
    jobs: (Jobs, Ingress),
    awake: Awake,
}

fn spawn(shared: &Shared, prepared: Prepared, drain: Drain) {
    let Prepared {
        listener,
        layer,
        ingress,
        jobs: (jobs, others),
        awake,
    } = prepared;
    let acceptor = TcpAcceptor::direct(listener.socket, SocketOptions::default());
    tokio::spawn(serve(
        awake.acceptor(acceptor),
        layer.layer(ingress),
        AcceptOptions::new(Direction::Inbound, shared.metrics.clone()),
        drain,
    ));
    tokio::spawn(jobs.serve(others));
    tokio::spawn(awake.run());
}
