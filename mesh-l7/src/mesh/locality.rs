//! Priorities of hosts and shares of localities, seen from the proxy's own place.
//!
//! Source: Istio, "Locality Load Balancing", and what its control plane sends for it.

use std::collections::{BTreeMap, BTreeSet};

use mesh_core::lb::HostSpec;
use mesh_core::model::{Locality, Workload};
use mesh_core::name::Name;

use super::endpoint::Endpoint;
use crate::upstream::{
    LabelPreference, LocalityFailover, LocalityPattern, LocalityPreference, LocalityShares,
};

/// A host with how well the service's own preferences like it: the more the better.
pub(super) type Ranked = (usize, HostSpec<Endpoint>);

/// Shares of localities by their names.
type Shares = Vec<(Name, u32)>;

/// The proxy's own place, and what else there is to know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Here<'a> {
    pub(super) place: &'a Workload,
    /// Labels of workloads by their unique ids.
    pub(super) labels: &'a dyn Labelled,
}

/// Where labels of workloads are looked up.
pub(super) trait Labelled: std::fmt::Debug {
    fn labels(&self, uid: &str) -> Option<&BTreeMap<String, String>>;
}

/// What is said about the hosts of an upstream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said<'a> {
    pub(super) preference: &'a LocalityPreference,
    /// What counts where neither that nor the service says anything.
    pub(super) mesh: &'a LocalityPreference,
    /// Whether the service has preferences.
    pub(super) service: bool,
    /// Whether hosts that are not well are found out.
    pub(super) outlier: bool,
}

/// The hosts by key with their priorities, without gaps; the shares of localities where they have some.
pub(super) fn arrange(
    ranked: Vec<Ranked>,
    said: Said<'_>,
    here: Here<'_>,
) -> (Vec<HostSpec<Endpoint>>, Option<Shares>) {
    let by_distance = LocalityFailover::default();
    let by_service = said.service && *said.preference == LocalityPreference::Unsaid;
    let preference = match said.preference {
        LocalityPreference::Unsaid if !said.service => said.mesh,
        preference => preference,
    };
    let failover = match preference {
        LocalityPreference::Unsaid if by_service => None,
        LocalityPreference::Unsaid => Some(&by_distance).filter(|_| said.outlier),
        LocalityPreference::Failover(failover) => Some(failover).filter(|_| said.outlier),
        LocalityPreference::Ignored | LocalityPreference::Shares(_) => None,
    };
    let leveled = ranked.into_iter().map(|(rank, host)| {
        let level = match failover {
            Some(failover) => level(failover, here, &host.target.workload),
            None if by_service => usize::MAX - rank,
            None => 0,
        };
        (level, host)
    });
    let hosts = prioritized(leveled.collect());
    let shares = match preference {
        LocalityPreference::Shares(all) => shares(all, here.place.locality(), &hosts),
        _ => None,
    };
    (hosts, shares)
}

/// The hosts by key: those of the lowest level have priority 0, those of the next one 1.
fn prioritized(leveled: Vec<Ranked>) -> Vec<HostSpec<Endpoint>> {
    let levels: BTreeSet<usize> = leveled.iter().map(|(level, _)| *level).collect();
    let priorities: BTreeMap<usize, u32> = levels.into_iter().zip(0..).collect();
    let mut hosts: Vec<HostSpec<Endpoint>> = leveled
        .into_iter()
        .map(|(level, host)| HostSpec {
            priority: priorities.get(&level).copied().unwrap_or(0),
            ..host
        })
        .collect();
    hosts.sort_by(|one, other| one.key.cmp(&other.key));
    hosts
}

/// How far away a host is; 0 is the nearest.
fn level(failover: &LocalityFailover, here: Here<'_>, workload: &Workload) -> usize {
    let distance = || distance(failover, here.place.locality(), workload.locality());
    if failover.labels.is_empty() {
        return distance();
    }
    let by_labels = differing(&failover.labels, here, workload);
    match failover.regions.is_empty() {
        true => by_labels,
        // There are five distances.
        false => by_labels * 5 + distance(),
    }
}

/// 0 for the same subzone, 1 for the same zone, 2 for the same region, 3 for others, 4 for others than the one that
/// is to take over. A proxy that does not know where it is has everything alike.
fn distance(failover: &LocalityFailover, own: &Locality, other: &Locality) -> usize {
    if own.region.is_empty() {
        return 0;
    }
    if own.region != other.region {
        let mut regions = failover.regions.iter();
        return match regions.find(|(from, _)| *from == own.region) {
            Some((_, to)) if *to != other.region => 4,
            _ => 3,
        };
    }
    match (own.zone == other.zone, own.subzone == other.subzone) {
        (false, _) => 2,
        (true, false) => 1,
        (true, true) => 0,
    }
}

/// How many of the labels come from the first one on that is not the same.
fn differing(labels: &[LabelPreference], here: Here<'_>, workload: &Workload) -> usize {
    let same = |label: &&LabelPreference| {
        let own = match &label.value {
            Some(value) => value,
            None => label_of(here, here.place, &label.name),
        };
        own == label_of(here, workload, &label.name)
    };
    labels.len() - labels.iter().take_while(same).count()
}

/// The value of a label; empty where there is none.
fn label_of<'a>(here: Here<'a>, workload: &'a Workload, name: &str) -> &'a str {
    let locality = workload.locality();
    match name {
        "topology.kubernetes.io/region" => &locality.region,
        "topology.kubernetes.io/zone" => &locality.zone,
        "topology.istio.io/subzone" => &locality.subzone,
        "topology.istio.io/network" => workload.network(),
        "topology.istio.io/cluster" => workload.cluster_id(),
        "kubernetes.io/hostname" => workload.node(),
        _ => {
            let labels = here.labels.labels(workload.uid());
            labels
                .and_then(|labels| labels.get(name))
                .map_or("", String::as_str)
        }
    }
}

/// The shares of the hosts' localities; `None` where no entry is for the own place.
fn shares(all: &[LocalityShares], own: &Locality, hosts: &[HostSpec<Endpoint>]) -> Option<Shares> {
    let entry = all.iter().find(|entry| entry.from.matches(own))?;
    // Localities with the weights of their hosts together.
    let mut weights: BTreeMap<&Name, (&Locality, u64)> = BTreeMap::new();
    for host in hosts {
        let locality = host.target.workload.locality();
        let known = weights.entry(&host.locality).or_insert((locality, 0));
        known.1 += u64::from(host.weight.max(1));
    }
    let mut shares = Vec::new();
    for (pattern, share) in &entry.to {
        let meant = taken(&mut weights, pattern);
        let total: u64 = meant.iter().map(|(_, weight)| weight).sum();
        shares.extend(meant.into_iter().map(|(name, weight)| {
            let own = (weight * u64::from(*share)).div_ceil(total.max(1));
            (name.clone(), u32::try_from(own).unwrap_or(u32::MAX))
        }));
    }
    Some(shares)
}

/// Takes out the localities that a pattern means.
fn taken<'a>(
    weights: &mut BTreeMap<&'a Name, (&'a Locality, u64)>,
    pattern: &LocalityPattern,
) -> Vec<(&'a Name, u64)> {
    let mut meant = Vec::new();
    weights.retain(|name, (locality, weight)| {
        let matches = pattern.matches(locality);
        if matches {
            meant.push((*name, *weight));
        }
        !matches
    });
    meant
}

#[cfg(test)]
mod tests;
