//! What is known of a connection when it is decided.

use std::net::{IpAddr, SocketAddr};

use mesh_core::identity::SpiffeId;

/// The longest identity without `spiffe://`, in bytes: a SPIFFE ID has at most 2048.
const LONGEST: usize = 2048 - "spiffe://".len();

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

/// A connection in the form in which values are compared with it. It lives on the stack.
pub(crate) struct Facts<'a> {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) port: u16,
    identity: Option<&'a SpiffeId>,
    principal: [u8; LONGEST],
    principal_len: usize,
}

impl<'a> Facts<'a> {
    pub(crate) fn of(connection: &Connection<'a>) -> Self {
        let mut facts = Self {
            source: connection.source,
            destination: connection.destination.ip(),
            port: connection.destination.port(),
            identity: connection.identity,
            principal: [0; LONGEST],
            principal_len: 0,
        };
        if let Some(id) = connection.identity {
            let domain = id.trust_domain().as_str();
            for part in [domain, "/ns/", id.namespace(), "/sa/", id.service_account()] {
                facts.write(part.as_bytes());
            }
        }
        facts
    }

    fn write(&mut self, part: &[u8]) {
        let end = self.principal_len + part.len();
        // A `SpiffeId` is never longer than there is room.
        if let Some(free) = self.principal.get_mut(self.principal_len..end) {
            free.copy_from_slice(part);
            self.principal_len = end;
        }
    }

    /// The identity without `spiffe://`.
    pub(crate) fn principal(&self) -> Option<&[u8]> {
        self.identity?;
        self.principal.get(..self.principal_len)
    }

    /// The namespace of the identity.
    pub(crate) fn namespace(&self) -> Option<&'a str> {
        self.identity.map(|id| id.namespace().as_str())
    }

    /// Namespace and service account of the identity.
    pub(crate) fn account(&self) -> Option<(&'a str, &'a str)> {
        let id = self.identity?;
        Some((id.namespace().as_str(), id.service_account().as_str()))
    }
}
