//! What the resolver is told about the proxy.

use mesh_core::resolve::{IllegalPorts, ResolveConfig};

use crate::config::Settings;

/// The settings of resolution.
pub(crate) fn resolve_config(settings: &Settings) -> ResolveConfig {
    let listen = &settings.listen;
    let own = [
        listen.outbound,
        listen.inbound_plaintext,
        listen.inbound_hbone,
    ];
    let own = own.into_iter().chain(listen.socks5);
    let mut config = ResolveConfig::new();
    config.illegal_ports = IllegalPorts::new(own.map(|address| address.port()));
    config.localhost_app_tunnel = settings.localhost_app_tunnel;
    config.ipv6 = settings.ipv6;
    config
}
