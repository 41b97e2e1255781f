//! Addresses as objects write them.

use std::net::IpAddr;

use ipnet::IpNet;
use mesh_core::model::{NetworkAddress, NetworkCidr};
use mesh_core::name::Name;

/// An address, IPv4 within IPv6 taken out.
pub(super) fn ip(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

/// A virtual address or a range of them.
pub(super) enum Virtual {
    Address(NetworkAddress),
    Range(NetworkCidr),
}

pub(super) fn virtual_address(text: &str, network: &Name) -> Option<Virtual> {
    if let Some(ip) = ip(text) {
        return Some(Virtual::Address(NetworkAddress::new(network.clone(), ip)));
    }
    let cidr: IpNet = text.parse().ok()?;
    if cidr.prefix_len() == cidr.max_prefix_len() {
        let address = NetworkAddress::new(network.clone(), cidr.addr());
        return Some(Virtual::Address(address));
    }
    let network = network.clone();
    let cidr = cidr.trunc();
    Some(Virtual::Range(NetworkCidr { network, cidr }))
}

/// Whether a text can be a host name, wildcards included: labels of letters, digits, `-` and `_`.
pub(super) fn is_hostname(text: &str) -> bool {
    let rest = text.strip_prefix("*.").unwrap_or(text);
    let label = |label: &str| {
        let known = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(known)
    };
    // One that ends in a number is a misspelt IP address.
    let number = rest
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    rest.len() <= 253 && rest.split('.').all(label) && !number
}
