//! What the ports of services speak.

use mesh_l7::mesh::PortProtocol;

use super::routing::Protocols;
use crate::manifest::inventory::Inventory;
use crate::manifest::mesh::MeshOptions;

pub(super) fn protocols(inventory: &Inventory, options: &MeshOptions) -> Protocols {
    let mut protocols = Protocols::new();
    for entry in inventory.service_entries.iter() {
        for host in &entry.spec.hosts {
            let host = host.to_ascii_lowercase();
            let ports = entry.spec.ports.iter().map(|port| {
                // An entry says `HTTP` where a service has `appProtocol`.
                let protocol = PortProtocol::of(&port.protocol, &port.name);
                (port.number.get(), protocol)
            });
            let key = (entry.namespace().clone(), host.as_str().into());
            protocols.insert(key, ports.collect());
        }
    }
    for service in inventory.services.iter() {
        let namespace = service.namespace();
        let host = format!("{}.{namespace}.svc.{}", service.name(), options.domain);
        let ports = service.spec.ports.iter().map(|port| {
            let protocol = PortProtocol::of(&port.app_protocol, &port.name);
            (port.port.get(), protocol)
        });
        protocols.insert((namespace.clone(), host.into()), ports.collect());
    }
    protocols
}
