//! A connection's facts, kept as long as its requests come.

use std::net::{IpAddr, SocketAddr};

use mesh_core::identity::SpiffeId;
use mesh_core::name::Name;

use super::audit::AuditedConnection;
use crate::connection::Connection;

/// What is known of the connection that requests come on: a [`Connection`] that owns what it says.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ConnectionFacts {
    /// Address of the TCP peer.
    pub source: SocketAddr,
    /// Verified identity of that peer; `None` without mutual TLS.
    pub identity: Option<SpiffeId>,
    /// Where the connection goes, with the final port.
    pub destination: SocketAddr,
    /// Address of the client as it was told by whom we trust; see [`Connection::remote`].
    pub remote: Option<IpAddr>,
    /// Server name of the client's TLS handshake; `None` without one.
    pub sni: Option<Name>,
}

impl ConnectionFacts {
    /// A connection without mutual TLS.
    #[must_use]
    pub fn new(source: SocketAddr, destination: SocketAddr) -> Self {
        Self {
            source,
            identity: None,
            destination,
            remote: None,
            sni: None,
        }
    }

    /// With the verified identity of the peer.
    #[must_use]
    pub fn with_identity(mut self, identity: SpiffeId) -> Self {
        self.identity = Some(identity);
        self
    }

    /// With the address of the client as it was told.
    #[must_use]
    pub fn with_remote(mut self, remote: IpAddr) -> Self {
        self.remote = Some(remote);
        self
    }

    /// With the server name of the client's TLS handshake.
    #[must_use]
    pub fn with_sni(mut self, sni: Name) -> Self {
        self.sni = Some(sni);
        self
    }

    /// The connection as policies see it.
    #[must_use]
    pub fn connection(&self) -> Connection<'_> {
        let identity = self.identity.as_ref();
        let mut connection = Connection::new(self.source.ip(), identity, self.destination);
        if let Some(remote) = self.remote {
            connection = connection.with_remote(remote);
        }
        match &self.sni {
            Some(sni) => connection.with_sni(sni),
            None => connection,
        }
    }

    /// The connection as it is recorded.
    #[must_use]
    pub fn audited(&self) -> AuditedConnection {
        let mut audited = AuditedConnection::new(self.source, self.destination);
        audited.remote = self.remote;
        audited.peer = self.identity.as_ref().map(|id| id.to_string().into());
        audited.sni.clone_from(&self.sni);
        audited
    }
}
