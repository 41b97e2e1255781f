//! Who is at the other end of a connection.

use std::net::SocketAddr;

use mesh_core::identity::SpiffeId;

/// The other end of a tunnel's connection. Its identity has been verified by mutual TLS.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Peer {
    identity: SpiffeId,
    addr: SocketAddr,
    local_addr: SocketAddr,
}

impl Peer {
    pub(crate) fn new(identity: SpiffeId, addr: SocketAddr, local_addr: SocketAddr) -> Self {
        Self {
            identity,
            addr,
            local_addr,
        }
    }

    /// The verified identity: the SPIFFE ID of the peer's certificate.
    #[must_use]
    pub fn identity(&self) -> &SpiffeId {
        &self.identity
    }

    /// The peer's address.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The address on this side of the connection; unspecified (`0.0.0.0:0`) on a client's side, as its
    /// dialer does not tell.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }
}
