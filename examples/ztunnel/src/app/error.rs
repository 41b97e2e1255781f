//! Why the process could not start.

use std::io;
use std::net::SocketAddr;

use mesh_core::identity::InvalidSpiffeId;
use mesh_core::tls::TlsError;

use crate::config::ConfigError;
use crate::{certificates, mesh, workers};
use process::logging::{self, BadFilter};

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
    Mesh(#[from] mesh::StartError),
    #[error("TRUST_DOMAIN and PROXY_WORKLOAD_INFO do not make an identity")]
    Identity(#[from] InvalidSpiffeId),
    #[error("cannot have certificates")]
    Certificates(#[from] certificates::StartError),
    #[error("cannot set up TLS")]
    Tls(#[from] TlsError),
    #[error("cannot start the workers")]
    Workers(#[from] workers::StartError),
}

impl StartError {
    /// Whether somebody else listens at the address.
    pub(super) fn is_taken(&self) -> bool {
        matches!(self, Self::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse)
    }
}
