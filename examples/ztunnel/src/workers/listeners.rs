//! The sockets that one worker listens on.

use std::net::SocketAddr;

use mesh_hbone::sock::{HostSockets, ListenOptions, Listener, SocketOptions, Transparency, listen};

use super::shared::{Shared, StartError};
use crate::config::Settings;

/// The listening sockets of one worker.
pub(super) struct Listeners {
    pub(super) outbound: Listener,
    pub(super) inbound_plaintext: Listener,
    pub(super) inbound_hbone: Listener,
    pub(super) socks5: Option<Listener>,
}

impl Listeners {
    /// Binds them, with other workers beside when `shared_ports`. A runtime must be entered.
    pub(super) fn bind(shared: &Shared, shared_ports: bool) -> Result<Self, StartError> {
        let settings = &shared.settings;
        let mut options = ListenOptions::default();
        options.reuse_port = shared_ports;
        options.transparency = match settings.original_source {
            Some(true) => Transparency::Require,
            _ => Transparency::Try,
        };
        let every = &settings.net.sockets;
        let mut plain = options;
        plain.transparency = Transparency::Off;
        let addresses = &settings.listen;
        Ok(Self {
            outbound: bind("outbound", addresses.outbound, &options, every)?,
            inbound_plaintext: bind(
                "inbound plaintext",
                addresses.inbound_plaintext,
                &options,
                every,
            )?,
            inbound_hbone: bind("inbound HBONE", addresses.inbound_hbone, &options, every)?,
            socks5: addresses
                .socks5
                .map(|address| bind("SOCKS5", address, &plain, every))
                .transpose()?,
        })
    }
}

fn bind(
    what: &'static str,
    address: SocketAddr,
    options: &ListenOptions,
    every: &SocketOptions,
) -> Result<Listener, StartError> {
    listen(&HostSockets, address, options, every).map_err(|source| StartError::Listen {
        what,
        address,
        source,
    })
}

/// Fails when another process listens on one of the addresses.
///
/// Workers share their ports with each other, and would also share them with another process that
/// allows it: then connections would end at one or the other by chance. Must be called in a
/// runtime.
pub(super) fn check_free(shared: &Shared) -> Result<(), StartError> {
    let settings: &Settings = &shared.settings;
    let addresses = &settings.listen;
    for (what, address) in [
        ("outbound", Some(addresses.outbound)),
        ("inbound plaintext", Some(addresses.inbound_plaintext)),
        ("inbound HBONE", Some(addresses.inbound_hbone)),
        ("SOCKS5", addresses.socks5),
    ] {
        if let Some(address) = address {
            bind(
                what,
                address,
                &ListenOptions::default(),
                &SocketOptions::default(),
            )?;
        }
    }
    Ok(())
}
