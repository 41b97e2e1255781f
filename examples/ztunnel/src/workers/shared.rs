//! What all workers share, and why they could not start.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use mesh_authz::guard::MissingPolicies;
use mesh_authz::store::PolicyStore;
use mesh_core::credential::CertificateSource;
use mesh_core::identity::SpiffeId;
use mesh_core::store::MeshStore;
use mesh_core::tls::TlsContext;
use mesh_hbone::ConfigError;
use mesh_hbone::proxy::MeshTraffic;
use mesh_hbone::server::HandshakeGate;
use mesh_xds::ads::Demand;

use crate::config::Settings;
use crate::telemetry::{CountedLookup, Metrics};

/// What all workers share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) settings: Arc<Settings>,
    pub(crate) store: Arc<MeshStore>,
    pub(crate) policies: Arc<PolicyStore>,
    pub(crate) missing_policies: MissingPolicies,
    /// Where what is not known of the mesh can be had.
    pub(crate) demand: Option<Demand>,
    /// What is wanted of connections to services, where anything can be.
    pub(crate) traffic: Option<Arc<MeshTraffic>>,
    pub(crate) certificates: Arc<dyn CertificateSource>,
    pub(crate) tls: Arc<TlsContext>,
    pub(crate) identity: SpiffeId,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) lookup: CountedLookup,
    pub(crate) gate: HandshakeGate,
}

/// Why the workers could not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("cannot listen for {what} connections at {address}")]
    Listen {
        what: &'static str,
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("cannot start worker {index}")]
    Worker {
        index: usize,
        #[source]
        source: io::Error,
    },
    #[error("a setting of HTTP/2 or of the pool is not usable")]
    Setting(#[from] ConfigError),
}
