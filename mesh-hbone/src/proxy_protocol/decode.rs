//! Reading headers.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::header::{Addresses, FIXED, Header, SIGNATURE, Tlv};
use crate::sock::canonical;

/// How much a header may hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes behind the fixed part of 16 bytes. Default 4096: a SPIFFE ID of the greatest length
    /// (2048), a host name and some room.
    pub length: u16,
    /// Further fields. Default 32.
    pub tlvs: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            length: 4096,
            tlvs: 32,
        }
    }
}

/// What the first bytes of a connection are.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Decoded {
    /// The beginning of a header: read at least this many bytes in all and try again.
    Partial {
        /// Bytes from the beginning of the connection.
        needed: usize,
    },
    /// A header.
    Complete {
        /// The header.
        header: Header,
        /// Its length in bytes; what follows belongs to the application.
        length: usize,
    },
}

/// Why the first bytes of a connection are not a header. The connection must be dropped.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// They do not begin with the signature of version 2.
    #[error("the connection does not begin with a PROXY protocol version 2 signature")]
    Signature,
    /// The version is not 2.
    #[error("the PROXY protocol header is not of version 2")]
    Version,
    /// The command is neither LOCAL nor PROXY.
    #[error("the PROXY protocol command is neither LOCAL nor PROXY")]
    Command,
    /// The address family or transport is not one that the specification names.
    #[error("the PROXY protocol header has an unknown address family or transport")]
    Family,
    /// There is less than the addresses or a further field need.
    #[error("the PROXY protocol header is shorter than its content")]
    Truncated,
    /// The header is longer than [`Limits::length`].
    #[error("the PROXY protocol header is longer than the limit")]
    TooLong,
    /// There are more further fields than [`Limits::tlvs`].
    #[error("the PROXY protocol header has more fields than the limit")]
    TooManyFields,
}

/// Reads the header at the beginning of a connection. Never reads beyond it.
///
/// # Errors
/// As soon as the bytes cannot become a header that is within the limits.
pub fn decode(input: &[u8], limits: &Limits) -> Result<Decoded, DecodeError> {
    let seen = input.len().min(SIGNATURE.len());
    if input.get(..seen) != SIGNATURE.get(..seen) {
        return Err(DecodeError::Signature);
    }
    let Some((&[version_command, family, high, low], rest)) = input
        .get(SIGNATURE.len()..)
        .and_then(|rest| rest.split_first_chunk())
    else {
        return Ok(Decoded::Partial { needed: FIXED });
    };
    let length = u16::from_be_bytes([high, low]);
    if version_command >> 4 != 2 {
        return Err(DecodeError::Version);
    }
    if length > limits.length {
        return Err(DecodeError::TooLong);
    }
    let total = FIXED + usize::from(length);
    let Some(payload) = rest.get(..usize::from(length)) else {
        return Ok(Decoded::Partial { needed: total });
    };
    let header = match version_command & 0xF {
        0 => Header::local(),
        1 => proxied(family, payload, limits)?,
        _ => return Err(DecodeError::Command),
    };
    Ok(Decoded::Complete {
        header,
        length: total,
    })
}

fn proxied(family: u8, payload: &[u8], limits: &Limits) -> Result<Header, DecodeError> {
    let (addresses, rest) = match (family >> 4, family & 0xF) {
        (1, 1) => tcp::<4>(payload)?,
        (2, 1) => tcp::<16>(payload)?,
        (1, 2) => unspecified(payload, 12)?,
        (2, 2) => unspecified(payload, 36)?,
        (3, 1 | 2) => unspecified(payload, 216)?,
        // How long the addresses are is not known, so neither is where further fields begin.
        (0..=3, 0) | (0, 1 | 2) => (Addresses::Unspecified, &[][..]),
        _ => return Err(DecodeError::Family),
    };
    Ok(Header {
        addresses,
        tlvs: tlvs(rest, limits.tlvs)?,
    })
}

/// The addresses of TCP over an IP family with addresses of `N` bytes.
fn tcp<const N: usize>(payload: &[u8]) -> Result<(Addresses, &[u8]), DecodeError>
where
    IpAddr: From<[u8; N]>,
{
    let (source, rest) = take::<N>(payload)?;
    let (destination, rest) = take::<N>(rest)?;
    let (source_port, rest) = take(rest)?;
    let (destination_port, rest) = take(rest)?;
    let socket = |ip, port| SocketAddr::new(IpAddr::from(ip), u16::from_be_bytes(port));
    let addresses = Addresses::Tcp {
        source: canonical(socket(source, source_port)),
        destination: canonical(socket(destination, destination_port)),
    };
    Ok((addresses, rest))
}

fn unspecified(payload: &[u8], length: usize) -> Result<(Addresses, &[u8]), DecodeError> {
    let rest = payload.get(length..).ok_or(DecodeError::Truncated)?;
    Ok((Addresses::Unspecified, rest))
}

fn tlvs(mut input: &[u8], limit: usize) -> Result<Vec<Tlv>, DecodeError> {
    let mut tlvs = Vec::new();
    while !input.is_empty() {
        if tlvs.len() == limit {
            return Err(DecodeError::TooManyFields);
        }
        let ([kind, high, low], rest) = take::<3>(input)?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (value, rest) = rest
            .split_at_checked(length)
            .ok_or(DecodeError::Truncated)?;
        tlvs.push(Tlv {
            kind,
            value: Bytes::copy_from_slice(value),
        });
        input = rest;
    }
    Ok(tlvs)
}

fn take<const N: usize>(input: &[u8]) -> Result<([u8; N], &[u8]), DecodeError> {
    let (taken, rest) = input.split_first_chunk().ok_or(DecodeError::Truncated)?;
    Ok((*taken, rest))
}
