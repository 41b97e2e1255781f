//! Indexes of workloads.

use std::net::IpAddr;
use std::sync::Arc;

use super::keys::Keys;
use crate::model::{NamespacedHostname, NetworkMode, TunnelProtocol, Workload};
use crate::tree::{Item, Tree};

/// The low bits of a key by address, which hold the rank of the workload.
const RANK: u32 = 3;

impl Item for Arc<Workload> {
    type Sum = ();
    fn sum(&self) {}
}

#[derive(Clone, Default)]
pub(super) struct WorkloadIndex {
    by_uid: Tree<Arc<Workload>>,
    by_name: Tree<Arc<Workload>>,
    /// The best of those with one address is the last.
    by_address: Tree<Arc<Workload>>,
    by_hostname: Tree<Arc<Workload>>,
}

impl WorkloadIndex {
    pub(super) fn len(&self) -> usize {
        self.by_uid.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Workload>> + '_ {
        self.by_uid.iter()
    }

    pub(super) fn by_uid(&self, keys: &Keys, uid: &str) -> Option<&Arc<Workload>> {
        self.by_uid.find(keys.text(uid), |w| w.uid() == uid)
    }

    pub(super) fn by_address(
        &self,
        keys: &Keys,
        network: &str,
        ip: IpAddr,
    ) -> Option<&Arc<Workload>> {
        let key = keys.address(network, ip);
        self.by_address.find_last(key & !RANK, key | RANK, |w| {
            w.ips().contains(&ip) && w.network() == network
        })
    }

    pub(super) fn by_hostname(
        &self,
        keys: &Keys,
        host: &NamespacedHostname,
    ) -> Option<&Arc<Workload>> {
        let key = keys.pair(&host.namespace, &host.hostname);
        self.by_hostname.find(key, |w| {
            *w.hostname() == host.hostname && *w.namespace() == host.namespace
        })
    }

    pub(super) fn by_name(
        &self,
        keys: &Keys,
        namespace: &str,
        name: &str,
        mut wanted: impl FnMut(&Workload) -> bool,
    ) -> Option<&Arc<Workload>> {
        self.by_name.find(keys.pair(namespace, name), |w| {
            w.namespace() == namespace && w.name() == name && wanted(w)
        })
    }

    /// An index of workloads with distinct unique ids, in the order of their insertion.
    pub(super) fn of(keys: &Keys, all: &[Arc<Workload>]) -> Self {
        let at_address = |w: &Arc<Workload>| {
            let ips = addresses(w).iter();
            let keys = ips.map(|ip| ranked(keys, w, *ip)).collect::<Vec<_>>();
            let w = w.clone();
            keys.into_iter().map(move |key| (key, w.clone()))
        };
        let named = all.iter().filter(|w| !w.hostname().is_empty());
        Self {
            by_uid: all
                .iter()
                .map(|w| (keys.text(w.uid()), w.clone()))
                .collect(),
            by_name: all
                .iter()
                .map(|w| (keys.pair(w.namespace(), w.name()), w.clone()))
                .collect(),
            by_address: all.iter().flat_map(at_address).collect(),
            by_hostname: named
                .map(|w| (keys.pair(w.namespace(), w.hostname()), w.clone()))
                .collect(),
        }
    }

    /// Inserts a workload whose unique id is not in the index.
    pub(super) fn insert(&mut self, keys: &Keys, workload: &Arc<Workload>) {
        let w = workload;
        self.by_uid.insert(keys.text(w.uid()), w.clone());
        self.by_name
            .insert(keys.pair(w.namespace(), w.name()), w.clone());
        for ip in addresses(w) {
            self.by_address.insert(ranked(keys, w, *ip), w.clone());
        }
        if !w.hostname().is_empty() {
            let key = keys.pair(w.namespace(), w.hostname());
            self.by_hostname.insert(key, w.clone());
        }
    }

    pub(super) fn remove(&mut self, keys: &Keys, workload: &Arc<Workload>) {
        let w = workload;
        let same = |other: &Arc<Workload>| Arc::ptr_eq(other, w);
        self.by_uid.remove(keys.text(w.uid()), same);
        self.by_name
            .remove(keys.pair(w.namespace(), w.name()), same);
        for ip in addresses(w) {
            self.by_address.remove(ranked(keys, w, *ip), same);
        }
        if !w.hostname().is_empty() {
            let key = keys.pair(w.namespace(), w.hostname());
            self.by_hostname.remove(key, same);
        }
    }
}

/// The addresses that a workload is found by: those of the node say nothing about it.
fn addresses(workload: &Workload) -> &[IpAddr] {
    match workload.network_mode() {
        NetworkMode::HostNetwork => &[],
        NetworkMode::Standard => workload.ips(),
    }
}

/// The key by address, with the workload's rank among those that claim the address.
fn ranked(keys: &Keys, workload: &Workload, ip: IpAddr) -> u32 {
    let pod = workload.uid().contains("//Pod/");
    let hbone = workload.tunnel_protocol() == TunnelProtocol::Hbone;
    let rank = u32::from(pod) * 2 + u32::from(hbone);
    (keys.address(workload.network(), ip) & !RANK) | rank
}
