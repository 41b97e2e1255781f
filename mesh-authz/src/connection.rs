//! What is known of a connection when it is decided.

use std::net::{IpAddr, SocketAddr};

use mesh_core::identity::SpiffeId;

/// A connection to a local workload, as policies see it.
///
/// Except for `remote`, nothing of it may come from a header: the identity is verified, the addresses
/// are those of TCP and of resolution. IPv4-mapped IPv6 addresses count as IPv4.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Connection<'a> {
    /// Address of the TCP peer.
    pub source: IpAddr,
    /// Verified identity of that peer; `None` without mutual TLS.
    pub identity: Option<&'a SpiffeId>,
    /// The address that is about to be connected to, with the final port.
    pub destination: SocketAddr,
    /// Address of the client as `X-Forwarded-For` or the PROXY protocol tell it, evaluated by
    /// whoever knows which proxies to trust; `None` when nobody has.
    pub remote: Option<IpAddr>,
    /// Server name of the client's TLS handshake; `None` without one.
    pub sni: Option<&'a str>,
}

impl<'a> Connection<'a> {
    /// A connection.
    #[must_use]
    pub fn new(source: IpAddr, identity: Option<&'a SpiffeId>, destination: SocketAddr) -> Self {
        Self {
            source: source.to_canonical(),
            identity,
            destination: SocketAddr::new(destination.ip().to_canonical(), destination.port()),
            remote: None,
            sni: None,
        }
    }

    /// With the address of the client as it was told.
    #[must_use]
    pub fn with_remote(self, remote: IpAddr) -> Self {
        let remote = Some(remote.to_canonical());
        Self { remote, ..self }
    }

    /// With the server name of the client's TLS handshake.
    #[must_use]
    pub fn with_sni(self, sni: &'a str) -> Self {
        let sni = Some(sni);
        Self { sni, ..self }
    }
}
