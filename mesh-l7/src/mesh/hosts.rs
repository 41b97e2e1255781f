//! The hosts of an upstream, by the mesh as it is.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::Arc;

use mesh_core::balance::{Candidate, PickMode, candidates};
use mesh_core::lb::HostSpec;
use mesh_core::model::{Locality, Service, Workload};
use mesh_core::name::Name;
use mesh_core::resolve::{ResolveConfig, across_networks, endpoint};
use mesh_core::snapshot::MeshSnapshot;

use super::config::UpstreamConfig;
use super::endpoint::Endpoint;
use super::locality::{Here, Labelled, Ranked, Said, arrange};
use crate::target::ServiceTarget;
use crate::upstream::ClusterSettings;

/// The hosts of an upstream, and how they are used.
#[derive(Debug)]
pub(super) struct Arranged {
    pub(super) hosts: Vec<HostSpec<Endpoint>>,
    pub(super) settings: ClusterSettings,
}

/// What hosts are looked up in.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) snapshot: Arc<MeshSnapshot>,
    pub(super) config: Arc<dyn UpstreamConfig>,
    /// The proxy's own workload, or its place.
    pub(super) place: Arc<Workload>,
    pub(super) resolve: ResolveConfig,
}

impl View {
    /// The hosts of a target, by key, and how they are used; `None` when there is no such service, port, subset or
    /// workload.
    pub(super) fn of(&self, target: &ServiceTarget) -> Option<Arranged> {
        let settings = self.config.settings(target);
        match target.workload() {
            Some(address) => Some(Arranged {
                hosts: vec![self.workload(address, target.port)?],
                settings,
            }),
            None => self.endpoints(target, settings),
        }
    }

    /// A workload that is addressed itself, whether it is ready or not: it is the one that is asked for.
    fn workload(&self, address: IpAddr, port: u16) -> Option<HostSpec<Endpoint>> {
        let workload = self.snapshot.workload_at(self.place.network(), address)?;
        self.host(None, workload, address, NonZeroU16::new(port)?)
    }

    fn endpoints(&self, target: &ServiceTarget, mut settings: ClusterSettings) -> Option<Arranged> {
        let service = self.snapshot.service(&target.namespace, &target.hostname)?;
        service.spec().ports.target(target.port)?;
        let subset = match &target.subset {
            Some(_) => Some(self.config.subset(target)?),
            None => None,
        };
        let endpoints = self.snapshot.endpoints(service);
        let mode = PickMode::Standard;
        let all = candidates(service, endpoints, &self.place, target.port, mode);
        let fitting = all.into_iter().filter(|one| self.fits(one, subset));
        let own = self.place.ips().first().copied();
        let asked = own.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let asked_port = NonZeroU16::new(target.port)?;
        let ranked: Vec<Ranked> = fitting
            .filter_map(|one| {
                let port = one.port.ok()?;
                let host = match one.workload.network() == self.place.network() {
                    true => self.host(Some(service), one.workload, asked, port)?,
                    false => self.remote((service, asked_port), one.workload)?,
                };
                Some((one.rank, host))
            })
            .collect();
        let preferences = service.spec().load_balancing.as_ref();
        let said = Said {
            preference: &settings.locality,
            mesh: self.config.locality(),
            service: preferences.is_some_and(|prefers| !prefers.routing_preferences.is_empty()),
            outlier: settings.balancing.outlier.is_some(),
        };
        let here = Here {
            place: &self.place,
            labels: self,
        };
        let (hosts, shares) = arrange(ranked, said, here);
        settings.balancing.localities = shares;
        Some(Arranged { hosts, settings })
    }

    /// Whether a candidate is of the subset.
    fn fits(&self, one: &Candidate<'_>, subset: Option<&BTreeMap<String, String>>) -> bool {
        let labelled = |wanted: &BTreeMap<String, String>| {
            let labels = self.config.labels(one.workload.uid());
            let none = BTreeMap::new();
            let labels = labels.unwrap_or(&none);
            wanted
                .iter()
                .all(|(name, value)| labels.get(name) == Some(value))
        };
        subset.is_none_or(labelled)
    }

    /// An endpoint of another network; `None` when there is no way to it.
    fn remote(
        &self,
        (service, port): (&Arc<Service>, NonZeroU16),
        workload: &Arc<Workload>,
    ) -> Option<HostSpec<Endpoint>> {
        // Whoever connects takes an instance of the gateway by chance: here it stays the same.
        let first = &mut || 0;
        let (snapshot, resolve) = (&self.snapshot, &self.resolve);
        let wanted = (service, port);
        let hop = across_networks(snapshot, resolve, &self.place, wanted, workload, first).ok()?;
        // Other networks may have the same addresses.
        let key = format!("{}:{port}", workload.uid());
        let endpoint = Endpoint::new(workload.clone(), Some(service.clone()), hop);
        Some(HostSpec {
            weight: workload.capacity(),
            locality: locality(workload.locality()),
            ..HostSpec::new(key, endpoint)
        })
    }

    fn host(
        &self,
        service: Option<&Arc<Service>>,
        workload: &Arc<Workload>,
        asked: IpAddr,
        port: NonZeroU16,
    ) -> Option<HostSpec<Endpoint>> {
        let of_service = service.map(Arc::as_ref);
        let hop = endpoint(&self.resolve, workload, of_service, asked, port).ok()?;
        let key: Name = match workload.ips().first() {
            Some(ip) => SocketAddr::new(*ip, port.get()).to_string().into(),
            None => format!("{}:{port}", workload.hostname()).into(),
        };
        let endpoint = Endpoint::new(workload.clone(), service.cloned(), hop);
        Some(HostSpec {
            weight: workload.capacity(),
            locality: locality(workload.locality()),
            ..HostSpec::new(key, endpoint)
        })
    }
}

impl Labelled for View {
    fn labels(&self, uid: &str) -> Option<&BTreeMap<String, String>> {
        self.config.labels(uid)
    }
}

/// `region/zone/subzone`, without what is empty at its end.
fn locality(locality: &Locality) -> Name {
    let Locality {
        region,
        zone,
        subzone,
    } = locality;
    let whole = format!("{region}/{zone}/{subzone}");
    whole.trim_end_matches('/').into()
}
