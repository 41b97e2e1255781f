//! What the resolver knows of the proxy that asks.

/// What the resolver knows of the proxy that asks. Build it with [`ResolveConfig::new`] and set what
/// differs from the defaults.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ResolveConfig {
    /// The port on which node proxies take HBONE. Default 15008.
    pub hbone_port: u16,
    /// Ports on which this proxy listens in the workload's network namespace: connecting to one of
    /// them there would be a loop. Default: [`IllegalPorts::default`].
    pub illegal_ports: IllegalPorts,
    /// Whether application tunnels with a PROXY header go to the loopback address of the workload
    /// instead of its own address. Default true (Istio's `LOCALHOST_APP_TUNNEL`).
    pub localhost_app_tunnel: bool,
    /// Whether IPv6 is used: when not, IPv4 is preferred whatever the original destination was.
    /// Default true.
    pub ipv6: bool,
    /// Whether connections are refused that should have come through a waypoint and did not:
    /// those to a port that a waypoint guards, from a peer that is not that waypoint by its verified
    /// identity. Default false: that is left to authorization policy.
    pub require_waypoints: bool,
}

impl ResolveConfig {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            hbone_port: 15008,
            illegal_ports: IllegalPorts::default(),
            localhost_app_tunnel: true,
            ipv6: true,
            require_waypoints: false,
        }
    }
}

impl Default for ResolveConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// Ports that must never be connected to on the workload's own addresses: the proxy itself listens
/// there.
///
/// The default is 15001 (outbound), 15006 (inbound plaintext) and 15008 (HBONE). A proxy adds every
/// listener that it binds in the workload's network namespace, such as SOCKS5 and DNS.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IllegalPorts(Vec<u16>);

impl IllegalPorts {
    /// Exactly these ports.
    pub fn new(ports: impl IntoIterator<Item = u16>) -> Self {
        let mut ports: Vec<_> = ports.into_iter().collect();
        ports.sort_unstable();
        ports.dedup();
        Self(ports)
    }

    /// Adds a port.
    pub fn insert(&mut self, port: u16) {
        if let Err(at) = self.0.binary_search(&port) {
            self.0.insert(at, port);
        }
    }

    /// Whether the port is one of them.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        self.0.binary_search(&port).is_ok()
    }
}

impl Default for IllegalPorts {
    fn default() -> Self {
        Self(vec![15001, 15006, 15008])
    }
}

impl Extend<u16> for IllegalPorts {
    fn extend<I: IntoIterator<Item = u16>>(&mut self, ports: I) {
        ports.into_iter().for_each(|port| self.insert(port));
    }
}
