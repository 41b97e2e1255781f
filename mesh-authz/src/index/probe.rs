//! What is looked up in an index: a part of a connection on one side, a value of a rule on the
//! other.

use std::net::IpAddr;

use ipnet::IpNet;

use super::keys::Keys;
use crate::connection::Facts;
use crate::policy::{Texts, Values};

/// A part of a connection. Lengths of texts are in bytes, those of ranges in bits.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Probe {
    DestinationPort,
    Destination4(u8),
    Destination6(u8),
    Source4(u8),
    Source6(u8),
    ServiceAccount,
    Namespace(Part),
    Principal(Part),
}

/// A part of a text.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Part {
    /// Whether there is a text.
    Presence,
    All,
    First(u16),
    Last(u16),
}

/// What values are compared with; the place of it in tables.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Dimension {
    DestinationPort,
    Destination,
    Source,
    ServiceAccount,
    Namespace,
    Principal,
}

impl Dimension {
    /// How many there are.
    pub(super) const COUNT: usize = 6;

    pub(super) fn of(values: &Values) -> Self {
        match values {
            Values::Namespaces(_) => Self::Namespace,
            Values::Principals(_) => Self::Principal,
            Values::ServiceAccounts(_) => Self::ServiceAccount,
            Values::SourceIps(_) => Self::Source,
            Values::DestinationIps(_) => Self::Destination,
            Values::DestinationPorts(_) => Self::DestinationPort,
        }
    }
}

impl Probe {
    pub(super) fn dimension(self) -> Dimension {
        match self {
            Self::DestinationPort => Dimension::DestinationPort,
            Self::Destination4(_) | Self::Destination6(_) => Dimension::Destination,
            Self::Source4(_) | Self::Source6(_) => Dimension::Source,
            Self::ServiceAccount => Dimension::ServiceAccount,
            Self::Namespace(_) => Dimension::Namespace,
            Self::Principal(_) => Dimension::Principal,
        }
    }

    /// The key of this part of a connection; `None` when the connection has no such part.
    pub(super) fn key(self, keys: &Keys, facts: &Facts<'_>) -> Option<u64> {
        match self {
            Self::DestinationPort => Some(keys.value(self, facts.port)),
            Self::Destination4(bits) => self.key_v4(keys, facts.destination, bits),
            Self::Source4(bits) => self.key_v4(keys, facts.source, bits),
            Self::Destination6(bits) => self.key_v6(keys, facts.destination, bits),
            Self::Source6(bits) => self.key_v6(keys, facts.source, bits),
            Self::ServiceAccount => facts.account().map(|account| keys.value(self, account)),
            Self::Namespace(part) => {
                let text = part.of(facts.namespace()?.as_bytes())?;
                Some(keys.value(self, text))
            }
            Self::Principal(part) => {
                let text = part.of(facts.principal()?)?;
                Some(keys.value(self, text))
            }
        }
    }

    fn key_v4(self, keys: &Keys, ip: IpAddr, bits: u8) -> Option<u64> {
        match ip {
            IpAddr::V4(ip) => {
                let mask = !u32::MAX.checked_shr(u32::from(bits)).unwrap_or(0);
                Some(keys.value(self, ip.to_bits() & mask))
            }
            IpAddr::V6(_) => None,
        }
    }

    fn key_v6(self, keys: &Keys, ip: IpAddr, bits: u8) -> Option<u64> {
        match ip {
            IpAddr::V6(ip) => {
                let mask = !u128::MAX.checked_shr(u32::from(bits)).unwrap_or(0);
                Some(keys.value(self, ip.to_bits() & mask))
            }
            IpAddr::V4(_) => None,
        }
    }
}

impl Part {
    fn of(self, text: &[u8]) -> Option<&[u8]> {
        match self {
            Self::Presence => (!text.is_empty()).then_some(&[]),
            Self::All => Some(text),
            Self::First(length) => text.get(..usize::from(length)),
            Self::Last(length) => {
                let start = text.len().checked_sub(usize::from(length))?;
                text.get(start..)
            }
        }
    }
}

/// Calls `visit` with probe and key of each value: a connection fits one of the values exactly when
/// one of the probes finds that key.
pub(super) fn each_value(keys: &Keys, values: &Values, mut visit: impl FnMut(Probe, u64)) {
    match values {
        Values::Namespaces(texts) => each_text(keys, texts, Probe::Namespace, visit),
        Values::Principals(texts) => each_text(keys, texts, Probe::Principal, visit),
        Values::ServiceAccounts(accounts) => {
            for account in &accounts.0 {
                let probe = Probe::ServiceAccount;
                let parts = (account.namespace.as_str(), account.service_account.as_str());
                visit(probe, keys.value(probe, parts));
            }
        }
        Values::SourceIps(ranges) => {
            each_range(keys, &ranges.0, Probe::Source4, Probe::Source6, visit);
        }
        Values::DestinationIps(ranges) => {
            let (v4, v6) = (Probe::Destination4, Probe::Destination6);
            each_range(keys, &ranges.0, v4, v6, visit);
        }
        Values::DestinationPorts(ports) => {
            for port in &ports.0 {
                let probe = Probe::DestinationPort;
                visit(probe, keys.value(probe, *port));
            }
        }
    }
}

fn each_text(
    keys: &Keys,
    texts: &Texts,
    probe: impl Fn(Part) -> Probe,
    mut visit: impl FnMut(Probe, u64),
) {
    let mut visit = |part, text: &[u8]| {
        let probe = probe(part);
        visit(probe, keys.value(probe, text));
    };
    if texts.presence {
        visit(Part::Presence, &[]);
    }
    for text in &texts.exact {
        visit(Part::All, text.as_bytes());
    }
    // A part that is longer than any connection has needs no key.
    for text in &texts.prefixes {
        if let Ok(length) = u16::try_from(text.len()) {
            visit(Part::First(length), text.as_bytes());
        }
    }
    for text in &texts.suffixes {
        if let Ok(length) = u16::try_from(text.len()) {
            visit(Part::Last(length), text.as_bytes());
        }
    }
}

fn each_range(
    keys: &Keys,
    ranges: &[IpNet],
    v4: impl Fn(u8) -> Probe,
    v6: impl Fn(u8) -> Probe,
    mut visit: impl FnMut(Probe, u64),
) {
    for range in ranges {
        match range {
            IpNet::V4(range) => {
                let probe = v4(range.prefix_len());
                visit(probe, keys.value(probe, range.network().to_bits()));
            }
            IpNet::V6(range) => {
                let probe = v6(range.prefix_len());
                visit(probe, keys.value(probe, range.network().to_bits()));
            }
        }
    }
}
