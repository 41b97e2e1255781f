//! Writing headers.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use bytes::{BufMut, Bytes, BytesMut};

use super::header::{Addresses, FIXED, Header, SIGNATURE};

/// Why a header cannot be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The length does not fit its 16 bits.
    #[error("a PROXY protocol header has at most 65535 bytes behind its fixed part")]
    TooLong,
    /// Fields stand behind addresses, and a reader does not know how long unspecified ones are.
    #[error("a PROXY protocol header without addresses cannot have fields")]
    FieldsWithoutAddresses,
}

impl Header {
    /// The bytes of the header.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] when the further fields are longer than the format can say,
    /// [`EncodeError::FieldsWithoutAddresses`] when there are some behind unspecified addresses.
    pub fn encode(&self) -> Result<Bytes, EncodeError> {
        let mut payload = BytesMut::with_capacity(128);
        let (command, family) = match self.addresses {
            Addresses::Local => (0x20, 0x00),
            Addresses::Unspecified if self.tlvs.is_empty() => (0x21, 0x00),
            Addresses::Unspecified => return Err(EncodeError::FieldsWithoutAddresses),
            Addresses::Tcp {
                source,
                destination,
            } => (0x21, put_addresses(&mut payload, source, destination)),
        };
        for tlv in &self.tlvs {
            payload.put_u8(tlv.kind);
            payload.put_u16(length(tlv.value.len())?);
            payload.put_slice(&tlv.value);
        }
        let mut header = BytesMut::with_capacity(FIXED + payload.len());
        header.put_slice(&SIGNATURE);
        header.put_u8(command);
        header.put_u8(family);
        header.put_u16(length(payload.len())?);
        header.unsplit(payload);
        Ok(header.freeze())
    }
}

fn length(bytes: usize) -> Result<u16, EncodeError> {
    u16::try_from(bytes).map_err(|_| EncodeError::TooLong)
}

/// Writes both addresses and returns the byte for family and transport.
fn put_addresses(buffer: &mut BytesMut, source: SocketAddr, destination: SocketAddr) -> u8 {
    let family = match (source.ip(), destination.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            buffer.put_slice(&source.octets());
            buffer.put_slice(&destination.octets());
            0x11
        }
        (source, destination) => {
            buffer.put_slice(&v6(source).octets());
            buffer.put_slice(&v6(destination).octets());
            0x21
        }
    };
    buffer.put_u16(source.port());
    buffer.put_u16(destination.port());
    family
}

fn v6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}
