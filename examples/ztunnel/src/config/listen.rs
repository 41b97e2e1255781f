//! Which addresses the process listens on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mesh_hbone::sock::wildcard;

use super::proxy_config::ProxyConfig;
use process::env::{ConfigError, Env};

/// The addresses of all listeners.
///
/// | variable | default | meaning |
/// |---|---|---|
/// | `IPV6_ENABLED` | `true` | listen on `[::]` for both IP families instead of `0.0.0.0` |
/// | `MESH_BIND_ADDRESS` | | one address for all listeners; when it is a loopback address also for administration and SOCKS5, so that several proxies fit on one machine |
/// | `MESH_OUTBOUND_PORT` | 15001 | redirected connections of the workload |
/// | `MESH_INBOUND_PORT` | 15006 | redirected plain connections to the workload |
/// | `MESH_HBONE_PORT` | 15008 | HBONE to the workload |
/// | `UNSTABLE_ENABLE_SOCKS5` | `false` | SOCKS5 on `MESH_SOCKS5_PORT`, 15080, loopback only |
/// | `MESH_ADMIN_PORT` | `proxyAdminPort`, else 15000 | administration, loopback only |
/// | `MESH_METRICS_PORT` | `statsPort`, else 15020 | metrics |
/// | `MESH_READINESS_PORT` | 15021 | readiness |
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Listen {
    pub(crate) outbound: SocketAddr,
    pub(crate) inbound_plaintext: SocketAddr,
    pub(crate) inbound_hbone: SocketAddr,
    pub(crate) socks5: Option<SocketAddr>,
    /// The first one must be bound; the others are bound where the family is there.
    pub(crate) admin: Vec<SocketAddr>,
    pub(crate) metrics: SocketAddr,
    pub(crate) readiness: SocketAddr,
}

impl Listen {
    pub(super) fn from_env(env: &Env, config: &ProxyConfig) -> Result<Self, ConfigError> {
        let ipv6 = env.switch("IPV6_ENABLED")?.unwrap_or(true);
        let given = |port: Option<u16>, default| port.filter(|port| *port > 0).unwrap_or(default);
        let admin_default = given(config.proxy_admin_port, 15000);
        let metrics_default = given(config.stats_port, 15020);
        let bind: Option<IpAddr> = env.parse("MESH_BIND_ADDRESS", "an IP address")?;
        let everywhere = |port| match bind {
            Some(ip) => SocketAddr::new(ip, port),
            None => wildcard(port, ipv6),
        };
        let private = bind
            .filter(IpAddr::is_loopback)
            .unwrap_or(Ipv4Addr::LOCALHOST.into());
        let at = |name, default| env.port(name, default).map(everywhere);
        let socks5 = env.switch("UNSTABLE_ENABLE_SOCKS5")?.unwrap_or(false);
        let socks5_port = env.port("MESH_SOCKS5_PORT", 15080)?;
        let admin = env.port("MESH_ADMIN_PORT", admin_default)?;
        let mut admin_addresses = vec![SocketAddr::new(private, admin)];
        if ipv6 && bind.is_none() {
            admin_addresses.push(SocketAddr::new(Ipv6Addr::LOCALHOST.into(), admin));
        }
        let listen = Self {
            outbound: at("MESH_OUTBOUND_PORT", 15001)?,
            inbound_plaintext: at("MESH_INBOUND_PORT", 15006)?,
            inbound_hbone: at("MESH_HBONE_PORT", 15008)?,
            socks5: socks5.then(|| SocketAddr::new(private, socks5_port)),
            admin: admin_addresses,
            metrics: at("MESH_METRICS_PORT", metrics_default)?,
            readiness: at("MESH_READINESS_PORT", 15021)?,
        };
        listen.check_ports()?;
        Ok(listen)
    }

    /// Two listeners on one port would share its connections by chance.
    fn check_ports(&self) -> Result<(), ConfigError> {
        let mut seen = std::collections::BTreeMap::new();
        for (name, port) in self.ports() {
            if let Some(other) = seen.insert(port, name) {
                return Err(ConfigError::Refused(format!(
                    "{other} and {name} are both on port {port}, expected a port for each"
                )));
            }
        }
        Ok(())
    }

    /// The ports of the listeners with what they are for.
    pub(crate) fn ports(&self) -> impl Iterator<Item = (&'static str, u16)> + '_ {
        [
            ("outbound", Some(self.outbound)),
            ("inbound plaintext", Some(self.inbound_plaintext)),
            ("inbound HBONE", Some(self.inbound_hbone)),
            ("SOCKS5", self.socks5),
            ("admin", self.admin.first().copied()),
            ("metrics", Some(self.metrics)),
            ("readiness", Some(self.readiness)),
        ]
        .into_iter()
        .filter_map(|(name, address)| Some((name, address?.port())))
    }
}
