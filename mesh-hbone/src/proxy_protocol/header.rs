//! What a header says.

use std::net::SocketAddr;

use bytes::Bytes;
use mesh_core::identity::SpiffeId;

use crate::sock::canonical;

pub(super) const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and transport, length.
pub(super) const FIXED: usize = 16;

/// The TLV type of the peer's SPIFFE URI. Source: Istio's workload API.
pub const TLV_IDENTITY: u8 = 0xD0;
/// The TLV type of the host name of the service that was asked for. Source: Istio's workload API.
pub const TLV_SERVICE: u8 = 0xD1;

/// A further field: type, length, value.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a pair by definition")]
pub struct Tlv {
    /// The type.
    pub kind: u8,
    /// The value; at most 65,535 bytes.
    pub value: Bytes,
}

/// What a header says about the connection that it stands in front of.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Addresses {
    /// The sender speaks for itself, as in a health check (command LOCAL): use the addresses of
    /// the connection.
    Local,
    /// Somebody else's TCP connection.
    Tcp {
        /// The client.
        source: SocketAddr,
        /// The address that the client asked for.
        destination: SocketAddr,
    },
    /// Somebody else's connection, of a kind that this library has no name for (UDP, UNIX or
    /// unspecified).
    Unspecified,
}

/// A header.
///
/// # Example
/// ```
/// use mesh_hbone::proxy_protocol::{Decoded, Header, Limits, decode};
///
/// let header = Header::tcp(([10, 0, 0, 1], 40000).into(), ([10, 0, 0, 2], 80).into())
///     .with_service("web.default.svc.cluster.local");
/// let bytes = header.encode()?;
/// let Decoded::Complete { header: back, length } = decode(&bytes, &Limits::default())? else {
///     panic!("all of it is there");
/// };
/// assert_eq!((back, length), (header, bytes.len()));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Header {
    pub(super) addresses: Addresses,
    pub(super) tlvs: Vec<Tlv>,
}

impl Header {
    /// A header for a TCP connection. Addresses of different families are both written as IPv6,
    /// the IPv4 one mapped; a mapped IPv4 address counts as IPv4.
    #[must_use]
    pub fn tcp(source: SocketAddr, destination: SocketAddr) -> Self {
        Self {
            addresses: Addresses::Tcp {
                source: canonical(source),
                destination: canonical(destination),
            },
            tlvs: Vec::new(),
        }
    }

    /// A header for a connection that the sender makes on its own behalf.
    #[must_use]
    pub fn local() -> Self {
        Self {
            addresses: Addresses::Local,
            tlvs: Vec::new(),
        }
    }

    /// The same with the verified identity of the client.
    #[must_use]
    pub fn with_identity(self, identity: &SpiffeId) -> Self {
        self.with_tlv(TLV_IDENTITY, identity.to_string().into_bytes())
    }

    /// The same with the host name of the service that was asked for.
    #[must_use]
    pub fn with_service(self, hostname: &str) -> Self {
        self.with_tlv(TLV_SERVICE, hostname.as_bytes().to_vec())
    }

    /// The same with a further field.
    #[must_use]
    pub fn with_tlv(mut self, kind: u8, value: impl Into<Bytes>) -> Self {
        self.tlvs.push(Tlv {
            kind,
            value: value.into(),
        });
        self
    }

    /// What it says about the connection.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// All further fields, in the order of the header.
    #[must_use]
    pub fn tlvs(&self) -> &[Tlv] {
        &self.tlvs
    }

    /// The client's identity, when there is one that is a SPIFFE ID.
    #[must_use]
    pub fn identity(&self) -> Option<SpiffeId> {
        self.text(TLV_IDENTITY)?.parse().ok()
    }

    /// The host name of the service that was asked for, when there is one in UTF-8.
    #[must_use]
    pub fn service(&self) -> Option<&str> {
        self.text(TLV_SERVICE)
    }

    fn text(&self, kind: u8) -> Option<&str> {
        let tlv = self.tlvs.iter().find(|tlv| tlv.kind == kind)?;
        std::str::from_utf8(&tlv.value).ok()
    }
}
