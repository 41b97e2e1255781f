//! Resolution of host names that applications ask for.

use std::net::SocketAddr;

use super::lookup::{self, View};
use super::{HostnameTarget, IpFamily, ResolveConfig};
use crate::model::{NamespacedHostname, Workload};
use crate::snapshot::MeshSnapshot;

/// What a host name stands for that the local workload `source` asks for, as with SOCKS5: the virtual IP
/// of a service that it may see, else the IP of a workload of its namespace; of the preferred family
/// if there is one.
///
/// Case and a trailing dot do not matter. The answer is for [`outbound`](super::outbound) to go on with.
#[must_use]
pub fn outbound_hostname(
    snapshot: &MeshSnapshot,
    config: &ResolveConfig,
    source: &Workload,
    hostname: &str,
    port: u16,
    prefer: IpFamily,
) -> HostnameTarget {
    let prefer = if config.ipv6 { prefer } else { IpFamily::V4 };
    let hostname = hostname.strip_suffix('.').unwrap_or(hostname);
    let hostname = hostname.to_ascii_lowercase();
    let view = View::Namespace(source.namespace());
    let vips = lookup::best(snapshot.services_named(&hostname), view)
        .into_iter()
        .flat_map(|service| &service.spec().vips)
        // One of another network would mean something else here.
        .filter(|vip| vip.network == *source.network())
        .map(|vip| vip.ip);
    let name = NamespacedHostname::new(source.namespace().clone(), hostname.as_str());
    let ips = || {
        let workload = lookup::workload_named(snapshot, &name);
        let same_network = workload.filter(|w| w.network() == source.network());
        same_network
            .into_iter()
            .flat_map(|w| w.ips().iter().copied())
    };
    preferred(vips, prefer)
        .or_else(|| preferred(ips(), prefer))
        .map_or(HostnameTarget::Unknown, |ip| {
            HostnameTarget::Mesh(SocketAddr::new(ip, port))
        })
}

fn preferred(
    ips: impl Iterator<Item = std::net::IpAddr>,
    prefer: IpFamily,
) -> Option<std::net::IpAddr> {
    let mut first = None;
    for ip in ips {
        if IpFamily::of(ip) == prefer {
            return Some(ip);
        }
        first.get_or_insert(ip);
    }
    first
}
