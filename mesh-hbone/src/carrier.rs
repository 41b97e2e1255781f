//! The connection under tunnels, as far as its tunnels know it.

use std::io;
use std::sync::{Arc, OnceLock};

use mesh_core::outcome::Outcome;

use crate::peer::Peer;

/// Why a connection was given up with its tunnels on it.
///
/// It is inside of the [`io::Error`] of whoever reads or writes such a tunnel.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionLost {
    /// Nothing came from the peer for too long, an answer to a PING included.
    #[error("no sign of life from the peer")]
    Silent,
    /// A new revocation list has the peer's certificate or one above it.
    #[error("peer certificate revoked")]
    Revoked,
}

impl ConnectionLost {
    /// The class of the failure.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Silent => Outcome::CopyFailure,
            Self::Revoked => Outcome::CertificateRevoked,
        }
    }

    /// What an error of a tunnel says about its connection.
    pub(crate) fn find(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

impl From<ConnectionLost> for io::Error {
    fn from(lost: ConnectionLost) -> Self {
        let kind = match lost {
            ConnectionLost::Silent => io::ErrorKind::TimedOut,
            ConnectionLost::Revoked => io::ErrorKind::ConnectionAborted,
        };
        Self::new(kind, lost)
    }
}

/// The connection under tunnels: who is there, and why it was given up.
#[derive(Debug)]
pub(crate) struct Carrier {
    peer: Arc<Peer>,
    lost: OnceLock<ConnectionLost>,
}

impl Carrier {
    pub(crate) fn new(peer: Peer) -> Arc<Self> {
        Arc::new(Self {
            peer: Arc::new(peer),
            lost: OnceLock::new(),
        })
    }

    pub(crate) fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }

    /// To be called before the tunnels see their end. The first reason stays.
    pub(crate) fn lose(&self, lost: ConnectionLost) {
        let _ = self.lost.set(lost);
    }

    pub(crate) fn lost(&self) -> Option<ConnectionLost> {
        self.lost.get().copied()
    }
}
