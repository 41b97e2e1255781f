//! Fields that several messages have.

use std::net::IpAddr;

use ipnet::IpNet;
use mesh_core::model::{NamespacedHostname, PortMap};
use mesh_core::name::Name;

use super::error::{ConvertError, Problem};
use super::names::Names;
use crate::wire::workload::Port;

/// Converts messages to specs: shares equal names among them, and counts what it ignores.
#[derive(Debug, Default)]
pub struct Converter {
    names: Names,
    ignored: usize,
}

impl Converter {
    /// A converter that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many fields had a value that this version does not know and counted as absent, since
    /// the last call; lets go of the names that it shared.
    pub fn finish(&mut self) -> usize {
        self.names.clear();
        std::mem::take(&mut self.ignored)
    }

    pub(super) fn ignore(&mut self) {
        self.ignored += 1;
    }

    pub(super) fn name(&mut self, text: &str) -> Name {
        self.names.name(text)
    }

    pub(super) fn name_or(&mut self, text: &str, default: &str) -> Name {
        self.names
            .name(if text.is_empty() { default } else { text })
    }

    /// The known value of an enumeration; otherwise the field counts as absent.
    pub(super) fn known<E: TryFrom<i32> + Default>(&mut self, value: i32) -> E {
        E::try_from(value).unwrap_or_else(|_| {
            self.ignore();
            E::default()
        })
    }

    /// `namespace/hostname`.
    pub(super) fn service_key(
        &mut self,
        key: &str,
        field: &'static str,
    ) -> Result<NamespacedHostname, ConvertError> {
        let parts = key.split_once('/').filter(|(namespace, hostname)| {
            !namespace.is_empty() && !hostname.is_empty() && !hostname.contains('/')
        });
        let Some((namespace, hostname)) = parts else {
            return Err(Problem::Service(key.to_owned()).of(field));
        };
        Ok(NamespacedHostname {
            namespace: self.name(namespace),
            hostname: self.name(hostname),
        })
    }
}

/// The known value of an enumeration where guessing would be dangerous.
pub(super) fn known_or_reject<E: TryFrom<i32>>(
    value: i32,
    field: &'static str,
) -> Result<E, ConvertError> {
    E::try_from(value).map_err(|_| Problem::Unknown(value).of(field))
}

pub(super) fn ip(bytes: &[u8], field: &'static str) -> Result<IpAddr, ConvertError> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .map_err(|_| Problem::Address(bytes.len()).of(field))
}

/// An address with a prefix length.
pub(super) fn range(ip: IpAddr, length: u32, field: &'static str) -> Result<IpNet, ConvertError> {
    let most = if ip.is_ipv4() { 32 } else { 128 };
    let net = u8::try_from(length)
        .ok()
        .and_then(|length| IpNet::new(ip, length).ok());
    net.map(|net| net.trunc())
        .ok_or_else(|| Problem::Prefix { most, got: length }.of(field))
}

pub(super) fn port(value: u32, least: u16, field: &'static str) -> Result<u16, ConvertError> {
    let port = u16::try_from(value).ok().filter(|port| *port >= least);
    port.ok_or_else(|| Problem::Port { least, got: value }.of(field))
}

pub(super) fn ports(
    ports: &[Port],
    service_port: &'static str,
    target_port: &'static str,
) -> Result<PortMap, ConvertError> {
    let mut pairs = Vec::with_capacity(ports.len());
    for pair in ports {
        let service = port(pair.service_port, 1, service_port)?;
        pairs.push((service, port(pair.target_port, 0, target_port)?));
    }
    Ok(pairs.into_iter().collect())
}
