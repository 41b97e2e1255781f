//! Kubernetes services.

use mesh_core::model::{
    HealthPolicy, IpFamilies, LoadBalancing, NetworkAddress, ServiceSpec as Service, Visibility,
};

use super::draft::{Draft, DraftPort, Kind, Target, ports};
use super::waypoints::Asking;
use super::{Builder, addresses, balancing, names};
use crate::manifest::inventory::Object;
use crate::manifest::objects::{ServicePort, ServiceSpec, ServiceStatus, TargetPort};

type KubernetesService = Object<ServiceSpec, ServiceStatus>;

impl<'a> Builder<'a> {
    pub(super) fn kubernetes_services(&mut self) {
        for service in self.inventory.services.iter() {
            // A name in DNS for another name: nothing to connect to.
            if service.spec.kind != "ExternalName" {
                self.kubernetes_service(service);
            }
        }
    }

    fn kubernetes_service(&mut self, service: &'a KubernetesService) {
        let exported = service.annotation(names::EXPORT_TO).unwrap_or_default();
        let visibility = self.visibility(
            &service.document,
            "metadata.annotations",
            exported.split(','),
        );
        let Some(visibility) = visibility else { return };
        let namespace = service.namespace();
        let hostname = format!("{}.{namespace}.svc.{}", service.name(), self.options.domain);
        let drafts: Vec<_> = service
            .spec
            .ports
            .iter()
            .filter(|port| port.protocol == "TCP")
            .map(draft_port)
            .collect();
        let spec = Service {
            name: service.name().clone(),
            namespace: namespace.clone(),
            hostname: hostname.into(),
            vips: self.cluster_addresses(service),
            ports: ports(&drafts),
            waypoint: self.service_waypoint(service),
            load_balancing: self.balancing(service),
            ip_families: families(&service.spec.ip_families),
            canonical: true,
            visibility,
            ..Service::default()
        };
        self.draft(Draft {
            spec,
            document: &service.document,
            kind: Kind::Service,
            selector: Some(&service.spec.selector),
            ports: drafts,
        });
    }

    pub(super) fn draft(&mut self, draft: Draft<'a>) {
        let (place, namespace) = (self.drafts.len(), draft.spec.namespace.clone());
        self.by_namespace.entry(namespace).or_default().push(place);
        let object = draft.document.key().clone();
        self.by_object.entry(object).or_default().push(place);
        self.drafts.push(draft);
    }

    /// Who may see a service; `None` for nobody.
    pub(super) fn visibility<'t>(
        &mut self,
        document: &crate::manifest::Document,
        path: &str,
        export_to: impl Iterator<Item = &'t str>,
    ) -> Option<Visibility> {
        match balancing::visibility(document.namespace(), export_to) {
            Ok(visibility) => visibility,
            Err(problem) => {
                self.note(document, path, problem);
                Some(Visibility::Namespace)
            }
        }
    }

    /// The cluster's addresses of a service, and those of load balancers that send no other way.
    fn cluster_addresses(&mut self, service: &KubernetesService) -> Vec<NetworkAddress> {
        let spec = &service.spec;
        let cluster = match spec.cluster_ips.as_slice() {
            [] => std::slice::from_ref(&spec.cluster_ip),
            all => all,
        };
        let balancers = service.status.load_balancer.ingress.iter();
        let balancers = balancers.filter(|ingress| ingress.ip_mode != "Proxy");
        let given = cluster.iter().chain(balancers.map(|ingress| &ingress.ip));
        let mut vips = Vec::new();
        for text in given.filter(|text| !text.is_empty() && *text != "None") {
            match addresses::ip(text) {
                Some(ip) => vips.push(NetworkAddress::new(self.network.clone(), ip)),
                None => self.note(
                    &service.document,
                    "spec.clusterIPs",
                    format!("expected an IP address, got `{text}`"),
                ),
            }
        }
        vips
    }

    fn service_waypoint(
        &mut self,
        service: &KubernetesService,
    ) -> Option<mesh_core::model::GatewayAddress> {
        let (namespace, labels) = (service.namespace(), service.labels());
        // What leads to a waypoint does not lead through one.
        if self.waypoints.is_part(namespace, labels)
            || self.waypoints.is_service(namespace, service.name())
        {
            return None;
        }
        self.waypoint(Asking::Service, &service.document, labels)
    }

    /// The waypoint of an object with these labels; what is wrong with it is noted.
    pub(super) fn waypoint(
        &mut self,
        asking: Asking,
        document: &crate::manifest::Document,
        labels: &crate::manifest::Labels,
    ) -> Option<mesh_core::model::GatewayAddress> {
        let used = self.waypoints.used(asking, document.namespace(), labels);
        if let Some(problem) = used.problem {
            let path = format!("metadata.labels.{}", names::USE_WAYPOINT);
            self.note(document, &path, problem);
        }
        used.waypoint
    }

    fn balancing(&mut self, service: &KubernetesService) -> Option<LoadBalancing> {
        let spec = &service.spec;
        let mut balancing = if spec.internal_traffic_policy == "Local" {
            Some(balancing::local())
        } else {
            let field = (
                "spec.trafficDistribution",
                spec.traffic_distribution.as_str(),
            );
            self.distribution(service, field)
        };
        if spec.publish_not_ready_addresses {
            let balancing = balancing.get_or_insert_default();
            balancing.health_policy = HealthPolicy::AllowAll;
        }
        balancing
    }

    /// The preference of a field, or of the annotation when the field has none.
    pub(super) fn distribution<S, T>(
        &mut self,
        object: &Object<S, T>,
        field: (&str, &str),
    ) -> Option<LoadBalancing> {
        let (path, word) = match (field, object.annotation(names::TRAFFIC_DISTRIBUTION)) {
            ((_, ""), Some(word)) => ("metadata.annotations", word),
            (field, _) => field,
        };
        balancing::distribution(word).unwrap_or_else(|problem| {
            self.note(&object.document, path, problem);
            None
        })
    }
}

fn draft_port(port: &ServicePort) -> DraftPort {
    let target = match &port.target_port {
        None => Target::Number(port.port.get()),
        Some(TargetPort::Number(number)) => Target::Number(number.get()),
        Some(TargetPort::Name(name)) => Target::Name(name.clone()),
    };
    DraftPort {
        port: port.port.get(),
        name: port.name.clone(),
        target,
    }
}

fn families(families: &[String]) -> IpFamilies {
    let has = |family: &str| families.iter().any(|one| one == family);
    match (has("IPv4"), has("IPv6")) {
        (true, true) => IpFamilies::Dual,
        (true, false) => IpFamilies::V4,
        (false, true) => IpFamilies::V6,
        (false, false) => IpFamilies::Automatic,
    }
}
