//! Indexes of workloads.

use std::net::IpAddr;
use std::sync::Arc;

use super::keys::{Keys, tail};
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
    /// By unique id, and by namespace and name where the one ends with the other.
    by_uid: Tree<Arc<Workload>>,
    /// Those whose unique ids do not end with namespace and name.
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
        self.by_uid.find(keys.uid(uid), |w| w.uid() == uid)
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
        let key = keys.pair(namespace, name);
        let mut is_it =
            |w: &Arc<Workload>| w.namespace() == namespace && w.name() == name && wanted(w);
        let by_uid = self.by_uid.find(key, &mut is_it);
        by_uid.or_else(|| self.by_name.find(key, is_it))
    }

    /// Inserts a workload whose unique id is not in the index.
    pub(super) fn insert(&mut self, keys: &Keys, workload: &Arc<Workload>) {
        let w = workload;
        self.by_uid.insert(keys.uid(w.uid()), w.clone());
        if !says_name(w) {
            let key = keys.pair(w.namespace(), w.name());
            self.by_name.insert(key, w.clone());
        }
        for ip in addresses(w) {
            self.by_address.insert(ranked(keys, w, *ip), w.clone());
        }
        if !w.hostname().is_empty() {
            let key = keys.pair(w.namespace(), w.hostname());
            self.by_hostname.insert(key, w.clone());
        }
    }

    /// Inserts workloads whose unique ids are distinct and not in the index, as if one by one.
    pub(super) fn insert_all(&mut self, keys: &Keys, all: &[Arc<Workload>]) {
        let enter = |tree: &mut Tree<_>,
                     entries: &mut dyn Iterator<Item = (u32, &Arc<Workload>)>| {
            tree.insert_all(entries.map(|(key, w)| (key, w.clone())).collect());
        };
        let mut by_uid = all.iter().map(|w| (keys.uid(w.uid()), w));
        enter(&mut self.by_uid, &mut by_uid);
        let unsaid = all.iter().filter(|w| !says_name(w));
        let mut by_name = unsaid.map(|w| (keys.pair(w.namespace(), w.name()), w));
        enter(&mut self.by_name, &mut by_name);
        let mut by_address = all.iter().flat_map(|w| {
            let ips = addresses(w).iter();
            ips.map(move |ip| (ranked(keys, w, *ip), w))
        });
        enter(&mut self.by_address, &mut by_address);
        let named = all.iter().filter(|w| !w.hostname().is_empty());
        let mut by_hostname = named.map(|w| (keys.pair(w.namespace(), w.hostname()), w));
        enter(&mut self.by_hostname, &mut by_hostname);
    }

    pub(super) fn remove(&mut self, keys: &Keys, workload: &Arc<Workload>) {
        let w = workload;
        let same = |other: &Arc<Workload>| Arc::ptr_eq(other, w);
        self.by_uid.remove(keys.uid(w.uid()), same);
        if !says_name(w) {
            let key = keys.pair(w.namespace(), w.name());
            self.by_name.remove(key, same);
        }
        for ip in addresses(w) {
            self.by_address.remove(ranked(keys, w, *ip), same);
        }
        if !w.hostname().is_empty() {
            let key = keys.pair(w.namespace(), w.hostname());
            self.by_hostname.remove(key, same);
        }
    }
}

/// Whether the unique id ends with namespace and name.
fn says_name(workload: &Workload) -> bool {
    tail(workload.uid()) == Some((workload.namespace(), workload.name()))
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
