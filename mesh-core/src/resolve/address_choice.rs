//! Which of a workload's addresses is connected to.

use std::net::{IpAddr, SocketAddr};

use super::{HopAddress, IpFamily, ResolveConfig};
use crate::model::{IpFamilies, Service, Workload};

/// The address of a workload for a client that asked for `asked`: that one if the workload has it,
/// else the first of its family, else the first; only of the service's families.
///
/// `None` when the workload has no such address and no host name.
pub(super) fn choose(
    config: &ResolveConfig,
    workload: &Workload,
    service: Option<&Service>,
    asked: IpAddr,
    port: u16,
) -> Option<HopAddress> {
    let ips = workload.ips();
    let prefer = if config.ipv6 {
        IpFamily::of(asked)
    } else {
        IpFamily::V4
    };
    let allowed = |ip: &&IpAddr| service.is_none_or(|s| allows(s.spec().ip_families, **ip));
    let ip = ips
        .iter()
        .find(|ip| **ip == asked)
        .or_else(|| {
            ips.iter()
                .filter(allowed)
                .find(|ip| IpFamily::of(**ip) == prefer)
        })
        .or_else(|| ips.iter().find(allowed));
    if let Some(ip) = ip {
        return Some(HopAddress::Ip(SocketAddr::new(*ip, port)));
    }
    let name = workload.hostname();
    (!name.is_empty()).then(|| HopAddress::Hostname {
        name: name.clone(),
        port,
        prefer,
    })
}

fn allows(families: IpFamilies, ip: IpAddr) -> bool {
    match families {
        IpFamilies::Automatic | IpFamilies::Dual => true,
        IpFamilies::V4 => IpFamily::of(ip) == IpFamily::V4,
        IpFamilies::V6 => IpFamily::of(ip) == IpFamily::V6,
    }
}
