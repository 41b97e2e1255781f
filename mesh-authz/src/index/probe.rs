//! What is looked up in an index: a part of a connection or a request.

use std::net::IpAddr;

use super::keys::Keys;
use crate::facts::Facts;
use crate::policy::{Dimension, SEPARATOR, header_lines};

/// A part of a connection or of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe<'p> {
    pub(super) dimension: Dimension,
    /// Of a header or a claim.
    pub(super) name: &'p str,
    pub(super) part: Part,
}

/// A part of a text or an address. Lengths of texts are in bytes, those of addresses in bits.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Part {
    /// Whether there is something.
    Presence,
    All,
    First(u16),
    Last(u16),
    Bits4(u8),
    Bits6(u8),
    /// The issuer of a token, whatever the subject.
    Issuer,
    /// A segment of a path, from 0.
    Segment(u8),
}

impl Part {
    fn code(self) -> u64 {
        match self {
            Self::Presence => 1,
            Self::All => 2,
            Self::First(length) => 3 | u64::from(length) << 8,
            Self::Last(length) => 4 | u64::from(length) << 8,
            Self::Bits4(length) => 5 | u64::from(length) << 8,
            Self::Bits6(length) => 6 | u64::from(length) << 8,
            Self::Issuer => 7,
            Self::Segment(at) => u64::from(at) << 8,
        }
    }

    /// The part of a text; `None` for a text that has no such part.
    pub(super) fn of(self, text: &[u8]) -> Option<&[u8]> {
        match self {
            Self::Presence => Some(&[]),
            Self::All => Some(text),
            Self::First(length) => text.get(..usize::from(length)),
            Self::Last(length) => {
                let start = text.len().checked_sub(usize::from(length))?;
                text.get(start..)
            }
            Self::Segment(at) => {
                // Nothing is before the first slash.
                let mut segments = text.split(|byte| *byte == b'/').skip(1);
                segments.nth(usize::from(at))
            }
            Self::Bits4(_) | Self::Bits6(_) | Self::Issuer => None,
        }
    }
}

/// The number that stands for a value in tables.
pub(super) fn tag(
    keys: &Keys,
    dimension: Dimension,
    name: &str,
    part: Part,
    value: (&[u8], &[u8]),
) -> u32 {
    let mut kind = part.code() | u64::from(dimension.code()) << 3;
    if dimension.is_named() {
        kind ^= keys.number(0, name.as_bytes(), &[]) << 24;
    }
    keys.tag(kind, value.0, value.1)
}

/// The first bits of an address.
pub(super) fn network(ip: IpAddr, part: Part) -> Option<([u8; 16], usize)> {
    let mut bytes = [0; 16];
    match (ip, part) {
        (IpAddr::V4(ip), Part::Bits4(bits)) => {
            let mask = !u32::MAX.checked_shr(u32::from(bits)).unwrap_or(0);
            let masked = (ip.to_bits() & mask).to_be_bytes();
            bytes.get_mut(..4)?.copy_from_slice(&masked);
            Some((bytes, 4))
        }
        (IpAddr::V6(ip), Part::Bits6(bits)) => {
            let mask = !u128::MAX.checked_shr(u32::from(bits)).unwrap_or(0);
            Some(((ip.to_bits() & mask).to_be_bytes(), 16))
        }
        _ => None,
    }
}

impl Probe<'_> {
    /// Whether some values may be compared with other parts than others.
    pub(super) fn is_vague(&self) -> bool {
        matches!(self.dimension, Dimension::Host | Dimension::Header)
    }

    /// Calls `visit` with the number of each such part that there is.
    ///
    /// `certain`: only of parts that values are compared with whatever the meaning of policies;
    /// else of all that they may be compared with.
    pub(super) fn each(
        &self,
        keys: &Keys,
        facts: &Facts<'_>,
        certain: bool,
        mut visit: impl FnMut(u32),
    ) {
        let part = self.part;
        let mut value = |value: (&[u8], &[u8])| {
            visit(tag(keys, self.dimension, self.name, part, value));
        };
        let mut text = |found: Option<&[u8]>, empty: bool| {
            let found = found.filter(|text| empty || !text.is_empty() || part != Part::Presence);
            if let Some(text) = found.and_then(|text| part.of(text)) {
                value((text, &[]));
            }
        };
        let request = facts.request;
        match self.dimension {
            Dimension::DestinationPort => {
                let port = facts.connection.destination.port();
                text(Some(&port.to_le_bytes()), false);
            }
            Dimension::DestinationIp | Dimension::SourceIp | Dimension::RemoteIp => {
                let ip = match self.dimension {
                    Dimension::DestinationIp => Some(facts.connection.destination.ip()),
                    dimension => facts.ip(dimension == Dimension::RemoteIp),
                };
                if let Some((bytes, length)) = ip.and_then(|ip| network(ip, part)) {
                    value((bytes.get(..length).unwrap_or_default(), &[]));
                }
            }
            Dimension::ServiceAccount => {
                if let Some(account) = facts.account() {
                    value(account);
                }
            }
            Dimension::Namespace => text(facts.namespace(), false),
            Dimension::TrustDomain => text(facts.trust_domain(), false),
            Dimension::Principal => text(facts.principal(), false),
            Dimension::Sni => text(facts.connection.sni.map(str::as_bytes), false),
            Dimension::Method => text(request.map(|r| r.method.as_bytes()), false),
            Dimension::Host => {
                text(request.map(|_| facts.host().as_bytes()), false);
                if !certain && facts.semantics.host_without_port {
                    text(facts.bare_host().map(str::as_bytes), false);
                }
            }
            Dimension::Path => {
                let target = request.and_then(|request| request.target);
                text(target.map(|target| target.path().as_bytes()), false);
            }
            Dimension::RequestPrincipal => {
                let claims = request.and_then(|request| request.claims);
                let parts = claims.and_then(|claims| claims.issuer().zip(claims.subject()));
                if let Some((issuer, subject)) = parts {
                    let subject = if part == Part::All { subject } else { "" };
                    value((issuer.as_bytes(), subject.as_bytes()));
                }
            }
            Dimension::Header => {
                for line in header_lines(self.name, facts) {
                    text(Some(line), !certain);
                    if !certain && facts.semantics.header_elements && line.contains(&b',') {
                        for element in line.split(|byte| *byte == b',') {
                            text(Some(element.trim_ascii()), true);
                        }
                    }
                }
            }
            Dimension::Claim => {
                if let Some(claims) = request.and_then(|request| request.claims) {
                    for string in claims.strings_below(self.name.split(SEPARATOR)) {
                        text(Some(string.as_bytes()), false);
                    }
                }
            }
            Dimension::Metadata => {}
        }
    }
}
