//! Service entries: services that are not the cluster's, and the endpoints that they name.

use std::collections::BTreeSet;

use mesh_core::identity::SpiffeId;
use mesh_core::model::{
    Locality, NamespacedHostname, PortMap, ServiceSpec as Service, WorkloadSpec, WorkloadType,
};
use mesh_core::name::Name;

use super::addresses::{self, Virtual};
use super::draft::{Draft, DraftPort, Kind, Target, ports};
use super::waypoints::Asking;
use super::{Builder, balancing, names};
use crate::manifest::document::Labels;
use crate::manifest::inventory::Object;
use crate::manifest::objects::{
    EntryPort, Resolution, ServiceEntrySpec, ServiceEntryStatus, WorkloadEntrySpec,
};

type Entry = Object<ServiceEntrySpec, ServiceEntryStatus>;

impl<'a> Builder<'a> {
    pub(super) fn service_entries(&mut self) {
        let mut taken: BTreeSet<NamespacedHostname> = self.drafts.iter().map(Draft::key).collect();
        let mut entries: Vec<&'a Entry> = self
            .inventory
            .service_entries
            .iter()
            .map(|entry| &**entry)
            .collect();
        // The oldest one has the name, where several want it; Kubernetes services come before all.
        entries.sort_by_key(|entry| entry.metadata().creation_timestamp.clone());
        for entry in entries {
            for (index, host) in entry.spec.hosts.iter().enumerate() {
                let path = format!("spec.hosts[{index}]");
                let host = host.to_ascii_lowercase();
                let key = NamespacedHostname::new(entry.namespace().clone(), host.as_str());
                if !addresses::is_hostname(&host) {
                    let text = format!("expected a host name, got `{host}`");
                    self.note(&entry.document, &path, text);
                } else if !taken.insert(key) {
                    let text = "another service of the namespace has this host name already";
                    self.note(&entry.document, &path, text);
                } else {
                    self.entry_service(entry, &host);
                }
            }
        }
    }

    fn entry_service(&mut self, entry: &'a Entry, host: &str) {
        let exported = entry.spec.export_to.iter().map(String::as_str);
        let visibility = self.visibility(&entry.document, "spec.exportTo", exported);
        let Some(visibility) = visibility else { return };
        let tcp = |port: &&EntryPort| !port.protocol.eq_ignore_ascii_case("UDP");
        let drafts: Vec<_> = entry
            .spec
            .ports
            .iter()
            .filter(tcp)
            .map(draft_port)
            .collect();
        let load_balancing = match entry.spec.resolution {
            Resolution::None => Some(balancing::passthrough()),
            _ => self.distribution(entry, ("", "")),
        };
        let mut spec = Service {
            name: entry.name().clone(),
            namespace: entry.namespace().clone(),
            hostname: host.into(),
            ports: ports(&drafts),
            subject_alt_names: self.alternative_names(entry),
            waypoint: self.waypoint(Asking::Service, &entry.document, entry.labels()),
            load_balancing,
            visibility,
            ..Service::default()
        };
        self.virtual_addresses(entry, host, &mut spec);
        self.draft(Draft {
            spec,
            document: &entry.document,
            kind: Kind::Entry,
            selector: entry.spec.workload_selector.as_ref().map(|one| &one.labels),
            ports: drafts,
        });
    }

    /// The entry's own addresses; those that were allocated for the host when it has none.
    fn virtual_addresses(&mut self, entry: &Entry, host: &str, spec: &mut Service) {
        let own = entry.spec.addresses.iter().enumerate();
        let own: Vec<_> = own
            .map(|(index, text)| (format!("spec.addresses[{index}]"), text))
            .collect();
        let allocated = entry
            .status
            .addresses
            .iter()
            .enumerate()
            .filter(|(_, one)| one.host.is_empty() || one.host.eq_ignore_ascii_case(host));
        let given = if own.is_empty() {
            let path = |index| format!("status.addresses[{index}].value");
            allocated
                .map(|(index, one)| (path(index), &one.value))
                .collect()
        } else {
            own
        };
        for (path, text) in given {
            match addresses::virtual_address(text, &self.network) {
                Some(Virtual::Address(address)) => spec.vips.push(address),
                Some(Virtual::Range(range)) => spec.cidr_vips.push(range),
                None => {
                    let text = format!("expected an IP address or a range of them, got `{text}`");
                    self.note(&entry.document, &path, text);
                }
            }
        }
    }

    /// SPIFFE identities; other names are for servers outside of the mesh.
    fn alternative_names(&self, entry: &Entry) -> Vec<SpiffeId> {
        let names = entry.spec.subject_alt_names.iter();
        names.filter_map(|name| name.parse().ok()).collect()
    }

    /// Endpoints that service entries name themselves, or that DNS has.
    pub(super) fn inline_endpoints(&mut self) {
        for entry in self.inventory.service_entries.iter() {
            let services: Vec<_> = self.drafts_of(entry.key()).map(Draft::key).collect();
            for (index, endpoint) in entry.spec.endpoints.iter().enumerate() {
                let path = format!("spec.endpoints[{index}].address");
                self.inline_endpoint(entry, endpoint, &services, &path);
            }
            let by_name = matches!(
                entry.spec.resolution,
                Resolution::Dns | Resolution::DnsRoundRobin
            );
            if by_name && entry.spec.endpoints.is_empty() && entry.spec.workload_selector.is_none()
            {
                for service in services {
                    self.named_endpoint(entry, service);
                }
            }
        }
    }

    /// The host of an entry without endpoints is what DNS has under its name.
    fn named_endpoint(&mut self, entry: &Entry, service: NamespacedHostname) {
        if service.hostname.starts_with('*') {
            let text = "a wildcard has no addresses in DNS; expected endpoints";
            return self.note(&entry.document, "spec.hosts", text);
        }
        let endpoint = WorkloadEntrySpec {
            address: service.hostname.to_string(),
            ..WorkloadEntrySpec::default()
        };
        self.inline_endpoint(entry, &endpoint, &[service], "spec.hosts");
    }

    fn inline_endpoint(
        &mut self,
        entry: &Entry,
        endpoint: &WorkloadEntrySpec,
        services: &[NamespacedHostname],
        path: &str,
    ) {
        let cluster = &self.options.cluster_id;
        let (namespace, name) = (entry.namespace(), entry.name());
        let address = &endpoint.address;
        let uid =
            format!("{cluster}/networking.istio.io/ServiceEntry/{namespace}/{name}/{address}");
        let labels = merged(entry.labels(), &endpoint.labels);
        let mut workload = self.base(&entry.document, uid, &labels);
        if !fill(&mut workload, endpoint, &labels) {
            let text = format!("expected an IP address or a host name, got `{address}`");
            return self.note(&entry.document, path, text);
        }
        workload.tunnel_protocol =
            super::pods::tunnel_protocol(&entry.metadata().annotations, &labels).0;
        let drafts = self.drafts_of(entry.key());
        let drafts = drafts.filter(|draft| services.contains(&draft.key()));
        workload.services = drafts
            .map(|draft| (draft.key(), entry_ports(draft, endpoint)))
            .collect();
        workload.authorization_policies = (self.policies)(namespace, &labels);
        self.workload(&entry.document, workload, &labels);
    }
}

/// The ports of a workload entry, by the names of the service's ports, or of its target ports.
pub(super) fn entry_ports(draft: &Draft<'_>, endpoint: &WorkloadEntrySpec) -> PortMap {
    draft.mapping(|draft, port| {
        let name = match (draft.kind, &port.target) {
            (Kind::Service, Target::Name(name)) => name,
            (Kind::Service, Target::Number(_)) => return None,
            (Kind::Entry, _) => &port.name,
        };
        endpoint.ports.get(name).map(|port| port.get())
    })
}

pub(super) fn merged(labels: &Labels, over: &Labels) -> Labels {
    let both = labels.iter().chain(over);
    both.map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// What a workload entry says about a workload; whether its address can be used.
pub(super) fn fill(
    workload: &mut WorkloadSpec,
    entry: &WorkloadEntrySpec,
    labels: &Labels,
) -> bool {
    match addresses::ip(&entry.address) {
        Some(ip) => workload.ips = vec![ip],
        None if addresses::is_hostname(&entry.address) && !entry.address.starts_with('*') => {
            workload.hostname = entry.address.to_ascii_lowercase().into();
        }
        None => return false,
    }
    if !entry.network.is_empty() {
        workload.network = entry.network.as_str().into();
    }
    if !entry.service_account.is_empty() {
        workload.service_account = entry.service_account.as_str().into();
    }
    workload.capacity = entry.weight.max(1);
    workload.locality = locality(&entry.locality);
    workload.workload_name = workload.name.clone();
    workload.workload_type = WorkloadType::Pod;
    workload.canonical_name = names::canonical_name(labels, &workload.name);
    workload.canonical_revision = names::canonical_revision(labels);
    true
}

/// `region/zone/subzone`, of which the later ones may be missing.
fn locality(text: &str) -> Locality {
    let mut parts = text.splitn(3, '/').map(Name::from);
    let mut next = || parts.next().unwrap_or_default();
    Locality {
        region: next(),
        zone: next(),
        subzone: next(),
    }
}

fn draft_port(port: &EntryPort) -> DraftPort {
    let target = port.target_port.unwrap_or(port.number);
    DraftPort {
        port: port.number.get(),
        name: port.name.clone(),
        target: Target::Number(target.get()),
    }
}
