//! Lists of values, in the order that makes them quick to search.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};
use mesh_core::name::Name;

use crate::connection::Facts;
use crate::spec::{MatchSpec, ServiceAccountMatch, StringMatch};

/// The values of one field and what they are compared with.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Values {
    Namespaces(Box<Texts>),
    Principals(Box<Texts>),
    ServiceAccounts(Accounts),
    SourceIps(Ranges),
    DestinationIps(Ranges),
    DestinationPorts(Ports),
}

/// Texts, parts of texts, and presence.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Texts {
    pub(crate) presence: bool,
    /// In order.
    pub(crate) exact: Box<[Name]>,
    /// In order; none begins another.
    pub(crate) prefixes: Box<[Name]>,
    /// In order when read backwards; none ends another.
    pub(crate) suffixes: Box<[Name]>,
}

/// In order.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Accounts(pub(crate) Box<[ServiceAccountMatch]>);

/// In order and disjoint; ranges of IPv4-mapped addresses are ranges of IPv4.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Ranges(pub(crate) Box<[IpNet]>);

/// In order.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Ports(pub(crate) Box<[u16]>);

impl Values {
    /// Whether one of the values fits; never when what they are compared with is not there.
    pub(crate) fn fit(&self, facts: &Facts<'_>) -> bool {
        match self {
            Self::Namespaces(texts) => {
                let namespace = facts.namespace();
                namespace.is_some_and(|namespace| texts.fit(namespace.as_bytes()))
            }
            Self::Principals(texts) => facts.principal().is_some_and(|text| texts.fit(text)),
            Self::ServiceAccounts(accounts) => facts
                .account()
                .is_some_and(|(namespace, name)| accounts.contain(namespace, name)),
            Self::SourceIps(ranges) => ranges.contain(facts.source),
            Self::DestinationIps(ranges) => ranges.contain(facts.destination),
            Self::DestinationPorts(ports) => ports.0.binary_search(&facts.port).is_ok(),
        }
    }

    pub(super) fn write_to(&self, spec: &mut MatchSpec, excludes: bool) {
        let pick = |wanted, excluded| if excludes { excluded } else { wanted };
        match self {
            Self::Namespaces(texts) => {
                *pick(&mut spec.namespaces, &mut spec.not_namespaces) = texts.to_spec();
            }
            Self::Principals(texts) => {
                *pick(&mut spec.principals, &mut spec.not_principals) = texts.to_spec();
            }
            Self::ServiceAccounts(accounts) => {
                let (wanted, excluded) =
                    (&mut spec.service_accounts, &mut spec.not_service_accounts);
                *if excludes { excluded } else { wanted } = accounts.0.to_vec();
            }
            Self::SourceIps(ranges) => {
                let (wanted, excluded) = (&mut spec.source_ips, &mut spec.not_source_ips);
                *if excludes { excluded } else { wanted } = ranges.0.to_vec();
            }
            Self::DestinationIps(ranges) => {
                let (wanted, excluded) = (&mut spec.destination_ips, &mut spec.not_destination_ips);
                *if excludes { excluded } else { wanted } = ranges.0.to_vec();
            }
            Self::DestinationPorts(ports) => {
                let (wanted, excluded) =
                    (&mut spec.destination_ports, &mut spec.not_destination_ports);
                *if excludes { excluded } else { wanted } = ports.0.to_vec();
            }
        }
    }
}

impl Texts {
    pub(super) fn of(all: &[StringMatch]) -> Self {
        let (mut exact, mut prefixes, mut suffixes) = (Vec::new(), Vec::new(), Vec::new());
        for one in all {
            match one {
                StringMatch::Exact(text) => exact.push(text.clone()),
                StringMatch::Prefix(text) => prefixes.push(text.clone()),
                StringMatch::Suffix(text) => suffixes.push(text.clone()),
                StringMatch::Presence => {}
            }
        }
        exact.sort_unstable();
        exact.dedup();
        prefixes.sort_unstable();
        prefixes.dedup_by(|next, kept| next.starts_with(kept.as_str()));
        suffixes.sort_unstable_by(|a, b| a.bytes().rev().cmp(b.bytes().rev()));
        suffixes.dedup_by(|next, kept| next.ends_with(kept.as_str()));
        Self {
            presence: all.contains(&StringMatch::Presence),
            exact: exact.into(),
            prefixes: prefixes.into(),
            suffixes: suffixes.into(),
        }
    }

    pub(super) fn fit(&self, text: &[u8]) -> bool {
        if self.presence && !text.is_empty() {
            return true;
        }
        let exact = |one: &Name| one.as_bytes().cmp(text);
        if self.exact.binary_search_by(exact).is_ok() {
            return true;
        }
        // Only the last that is not behind the text can begin it: whatever lies between a prefix
        // and the text begins with that prefix, and such are left out.
        let at = self.prefixes.partition_point(|one| one.as_bytes() <= text);
        let prefix = at.checked_sub(1).and_then(|at| self.prefixes.get(at));
        if prefix.is_some_and(|prefix| text.starts_with(prefix.as_bytes())) {
            return true;
        }
        let at = self
            .suffixes
            .partition_point(|one| one.bytes().rev().le(text.iter().copied().rev()));
        let suffix = at.checked_sub(1).and_then(|at| self.suffixes.get(at));
        suffix.is_some_and(|suffix| text.ends_with(suffix.as_bytes()))
    }

    pub(crate) fn to_spec(&self) -> Vec<StringMatch> {
        let presence = self.presence.then_some(StringMatch::Presence);
        let exact = self.exact.iter().cloned().map(StringMatch::Exact);
        let prefixes = self.prefixes.iter().cloned().map(StringMatch::Prefix);
        let suffixes = self.suffixes.iter().cloned().map(StringMatch::Suffix);
        let all = presence.into_iter().chain(exact);
        all.chain(prefixes).chain(suffixes).collect()
    }
}

impl Accounts {
    pub(super) fn of(all: &[ServiceAccountMatch]) -> Self {
        let mut all = all.to_vec();
        all.sort_unstable();
        all.dedup();
        Self(all.into())
    }

    fn contain(&self, namespace: &str, name: &str) -> bool {
        let account = |one: &ServiceAccountMatch| {
            (one.namespace.as_str(), one.service_account.as_str()).cmp(&(namespace, name))
        };
        self.0.binary_search_by(account).is_ok()
    }
}

impl Ranges {
    pub(super) fn of(all: &[IpNet]) -> Self {
        let all: Vec<_> = all.iter().map(|net| unmapped(*net)).collect();
        let mut all = IpNet::aggregate(&all);
        all.sort_unstable_by_key(IpNet::network);
        Self(all.into())
    }

    fn contain(&self, ip: IpAddr) -> bool {
        let at = self.0.partition_point(|net| net.network() <= ip);
        let net = at.checked_sub(1).and_then(|at| self.0.get(at));
        net.is_some_and(|net| net.contains(&ip))
    }
}

impl Ports {
    pub(super) fn of(all: &[u16]) -> Self {
        let mut all = all.to_vec();
        all.sort_unstable();
        all.dedup();
        Self(all.into())
    }
}

/// The range of IPv4 addresses that a range of IPv4-mapped addresses stands for.
fn unmapped(net: IpNet) -> IpNet {
    let v4 = |net: ipnet::Ipv6Net| {
        let address = Ipv6Addr::to_ipv4_mapped(&net.network())?;
        Ipv4Net::new(address, net.prefix_len().checked_sub(96)?).ok()
    };
    match net.trunc() {
        IpNet::V6(net) => v4(net).map_or(IpNet::V6(net), IpNet::V4),
        net @ IpNet::V4(_) => net,
    }
}
