//! The values within a local file that have a grammar of their own.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use mesh_core::identity::{SpiffeId, TrustDomain};
use mesh_core::model::{GatewayDestination, NamespacedHostname, NetworkAddress};
use mesh_core::name::Name;
use serde::de::{Deserialize, Deserializer, Error};

/// A value of the model that is written as one text.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Text<T>(pub(super) T);

/// How to read a value from its text; the error says what was expected.
pub(super) trait FromText: Sized {
    fn from_text(text: &str) -> Result<Self, String>;
}

impl<'de, T: FromText> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        T::from_text(&text).map(Self).map_err(Error::custom)
    }
}

fn expected<T: FromStr>(text: &str, what: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("expected {what}, got `{text}`"))
}

/// The key of a policy, `namespace/name`.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct PolicyKey(pub(super) Name);

impl FromText for PolicyKey {
    fn from_text(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/');
        let usable = parts.is_some_and(|(namespace, name)| {
            !namespace.is_empty() && !name.is_empty() && !name.contains('/')
        });
        usable
            .then(|| Self(text.into()))
            .ok_or_else(|| format!("expected namespace/name of a policy, got `{text}`"))
    }
}

impl FromText for IpAddr {
    fn from_text(text: &str) -> Result<Self, String> {
        expected::<Self>(text, "an IP address").map(|ip| ip.to_canonical())
    }
}

impl FromText for IpNet {
    fn from_text(text: &str) -> Result<Self, String> {
        expected(text, "a range of IP addresses such as 10.0.0.0/8")
    }
}

impl FromText for SpiffeId {
    fn from_text(text: &str) -> Result<Self, String> {
        expected(
            text,
            "a SPIFFE ID such as spiffe://cluster.local/ns/default/sa/default",
        )
    }
}

impl FromText for TrustDomain {
    fn from_text(text: &str) -> Result<Self, String> {
        expected(text, "a trust domain such as cluster.local")
    }
}

impl FromText for NetworkAddress {
    fn from_text(text: &str) -> Result<Self, String> {
        let what = "network/ip such as /10.0.0.1 (default network) or net1/10.0.0.1";
        text.split_once('/')
            .and_then(|(network, ip)| Some(Self::new(network, ip.parse().ok()?)))
            .ok_or_else(|| format!("expected {what}, got `{text}`"))
    }
}

impl FromText for NamespacedHostname {
    fn from_text(text: &str) -> Result<Self, String> {
        text.split_once('/')
            .filter(|(namespace, hostname)| is_label_list(namespace) && is_hostname(hostname))
            .map(|(namespace, hostname)| Self::new(namespace, hostname))
            .ok_or_else(|| {
                format!(
                    "expected namespace/hostname such as default/web.default.svc.cluster.local, \
                     got `{text}`"
                )
            })
    }
}

/// Read as `network/ip` first, then as `namespace/hostname`.
impl FromText for GatewayDestination {
    fn from_text(text: &str) -> Result<Self, String> {
        NetworkAddress::from_text(text)
            .map(Self::Address)
            .or_else(|_| NamespacedHostname::from_text(text).map(Self::Hostname))
            .map_err(|_| format!("expected network/ip or namespace/hostname, got `{text}`"))
    }
}

fn is_label_list(text: &str) -> bool {
    let ok = |b: u8| b.is_ascii_alphanumeric() || b".-_*".contains(&b);
    !text.is_empty() && text.bytes().all(ok)
}

/// Whether a text can be a host name. One that ends in a number is a misspelt IP address.
pub(super) fn is_hostname(text: &str) -> bool {
    let last = text.rsplit('.').next().unwrap_or_default();
    is_label_list(text) && !last.is_empty() && !last.bytes().all(|b| b.is_ascii_digit())
}

/// A service port or an HBONE port: 1 to 65535.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Port(pub(super) u16);

/// A port that may be absent, written 0: 0 to 65535.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct OptionalPort(pub(super) u16);

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        port(deserializer, 1).map(Self)
    }
}

impl<'de> Deserialize<'de> for OptionalPort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        port(deserializer, 0).map(Self)
    }
}

fn port<'de, D: Deserializer<'de>>(deserializer: D, least: u16) -> Result<u16, D::Error> {
    let text = String::deserialize(deserializer)?;
    let port: Option<u16> = text.parse().ok();
    port.filter(|port| *port >= least)
        .ok_or_else(|| Error::custom(PortExpected { least, text }))
}

struct PortExpected {
    least: u16,
    text: String,
}

impl fmt::Display for PortExpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { least, text } = self;
        write!(f, "expected a port from {least} to 65535, got `{text}`")
    }
}
