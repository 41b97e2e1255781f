//! The hosts of an upstream, by the mesh as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::Arc;

use mesh_core::balance::{Candidate, PickMode, candidates};
use mesh_core::lb::HostSpec;
use mesh_core::model::{Locality, Service, Workload};
use mesh_core::name::Name;
use mesh_core::resolve::{ResolveConfig, endpoint};
use mesh_core::snapshot::MeshSnapshot;

use super::config::UpstreamConfig;
use super::endpoint::Endpoint;
use crate::target::ServiceTarget;

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
    /// The hosts of a target, by key; `None` when there is no such service, port or subset.
    pub(super) fn hosts(&self, target: &ServiceTarget) -> Option<Vec<HostSpec<Endpoint>>> {
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
        let ranked: Vec<(usize, HostSpec<Endpoint>)> = fitting
            .filter_map(|one| {
                let host = self.host(service, one.workload, one.port.ok()?)?;
                Some((one.rank, host))
            })
            .collect();
        Some(prioritized(ranked))
    }

    /// Whether a candidate is of the own network, which is all that is reached so far, and of the subset.
    fn fits(&self, one: &Candidate<'_>, subset: Option<&BTreeMap<String, String>>) -> bool {
        let labelled = |wanted: &BTreeMap<String, String>| {
            let labels = self.config.labels(one.workload.uid());
            let none = BTreeMap::new();
            let labels = labels.unwrap_or(&none);
            wanted
                .iter()
                .all(|(name, value)| labels.get(name) == Some(value))
        };
        one.workload.network() == self.place.network() && subset.is_none_or(labelled)
    }

    fn host(
        &self,
        service: &Arc<Service>,
        workload: &Arc<Workload>,
        port: NonZeroU16,
    ) -> Option<HostSpec<Endpoint>> {
        let own = self.place.ips().first().copied();
        let asked = own.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let hop = endpoint(&self.resolve, workload, Some(service), asked, port).ok()?;
        let key: Name = match workload.ips().first() {
            Some(ip) => SocketAddr::new(*ip, port.get()).to_string().into(),
            None => format!("{}:{port}", workload.hostname()).into(),
        };
        let endpoint = Endpoint::new(workload.clone(), service.clone(), hop);
        Some(HostSpec {
            weight: workload.capacity(),
            locality: locality(workload.locality()),
            ..HostSpec::new(key, endpoint)
        })
    }
}

/// The hosts by key: those of the highest rank have priority 0, those of the next one 1.
fn prioritized(ranked: Vec<(usize, HostSpec<Endpoint>)>) -> Vec<HostSpec<Endpoint>> {
    let ranks: BTreeSet<usize> = ranked.iter().map(|(rank, _)| *rank).collect();
    let priorities: BTreeMap<usize, u32> = ranks.into_iter().rev().zip(0..).collect();
    let mut hosts: Vec<HostSpec<Endpoint>> = ranked
        .into_iter()
        .map(|(rank, host)| HostSpec {
            priority: priorities.get(&rank).copied().unwrap_or(0),
            ..host
        })
        .collect();
    hosts.sort_by(|one, other| one.key.cmp(&other.key));
    hosts
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
