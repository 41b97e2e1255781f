//! Indexes of services.

use std::net::IpAddr;
use std::sync::Arc;

use super::keys::Keys;
use super::ranges::Ranges;
use crate::model::{NetworkAddress, Service};
use crate::name::Name;
use crate::tree::{Item, Tree};

#[derive(Clone, Default)]
pub(super) struct ServiceIndex {
    by_hostname: Tree<Arc<Named>>,
    by_address: Tree<Arc<Addressed>>,
    ranges: Ranges,
    len: usize,
    /// The number of services that ever were inserted.
    inserted: u64,
}

/// The services with one host name, in the order of their insertion.
#[derive(Clone)]
struct Named {
    hostname: Name,
    services: Vec<Arc<Service>>,
}

/// The services with one virtual IP, in the order of their insertion.
#[derive(Clone)]
struct Addressed {
    address: NetworkAddress,
    /// The newest of each namespace.
    shown: Vec<Arc<Service>>,
    /// Older ones, which are shown again when the newer one is gone.
    hidden: Vec<Arc<Service>>,
}

impl Item for Arc<Named> {
    type Sum = ();
    fn sum(&self) {}
}

impl Item for Arc<Addressed> {
    type Sum = ();
    fn sum(&self) {}
}

impl ServiceIndex {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Service>> + '_ {
        self.by_hostname.iter().flat_map(|named| &named.services)
    }

    pub(super) fn ranges(&self) -> &Ranges {
        &self.ranges
    }

    /// The place of the next service in the order of insertion.
    pub(super) fn next_order(&self) -> u64 {
        self.inserted
    }

    pub(super) fn by_hostname(&self, keys: &Keys, hostname: &str) -> &[Arc<Service>] {
        let key = keys.text(hostname);
        let found = self
            .by_hostname
            .find(key, |named| named.hostname == hostname);
        found.map_or(&[], |named| &named.services)
    }

    pub(super) fn by_address(&self, keys: &Keys, network: &str, ip: IpAddr) -> &[Arc<Service>] {
        let key = keys.address(network, ip);
        let found = self.by_address.find(key, |at| {
            at.address.ip == ip && at.address.network == network
        });
        found.map_or(&[], |addressed| &addressed.shown)
    }

    /// Inserts a service whose key is not in the index.
    pub(super) fn insert(&mut self, keys: &Keys, service: &Arc<Service>) {
        self.len += 1;
        self.inserted = self.inserted.max(service.order() + 1);
        let hostname = &service.spec().hostname;
        let key = keys.text(hostname);
        let same = |named: &Arc<Named>| named.hostname == *hostname;
        let add = |named: &mut Arc<Named>| enter(&mut Arc::make_mut(named).services, service);
        if self.by_hostname.update(key, same, add).is_none() {
            let named = Named {
                hostname: hostname.clone(),
                services: vec![service.clone()],
            };
            self.by_hostname.insert(key, Arc::new(named));
        }
        for address in addresses(service) {
            self.insert_address(keys, address, service);
        }
        for range in &service.spec().cidr_vips {
            self.ranges.insert(keys, range, service);
        }
    }

    pub(super) fn remove(&mut self, keys: &Keys, service: &Arc<Service>) {
        self.len -= 1;
        let hostname = &service.spec().hostname;
        let key = keys.text(hostname);
        let same = |named: &Arc<Named>| named.hostname == *hostname;
        let empty = self.by_hostname.update(key, same, |named| {
            let services = &mut Arc::make_mut(named).services;
            services.retain(|other| !Arc::ptr_eq(other, service));
            services.is_empty()
        });
        if empty == Some(true) {
            self.by_hostname.remove(key, same);
        }
        for address in addresses(service) {
            self.remove_address(keys, &address, service);
        }
        for range in &service.spec().cidr_vips {
            self.ranges.remove(keys, range, service);
        }
    }

    fn insert_address(&mut self, keys: &Keys, address: NetworkAddress, service: &Arc<Service>) {
        let key = keys.address(&address.network, address.ip);
        let same = |at: &Arc<Addressed>| at.address == address;
        let add = |at: &mut Arc<Addressed>| {
            let at = Arc::make_mut(at);
            at.change(|all| enter(all, service));
        };
        if self.by_address.update(key, same, add).is_none() {
            let addressed = Addressed {
                address,
                shown: vec![service.clone()],
                hidden: Vec::new(),
            };
            self.by_address.insert(key, Arc::new(addressed));
        }
    }

    fn remove_address(&mut self, keys: &Keys, address: &NetworkAddress, service: &Arc<Service>) {
        let key = keys.address(&address.network, address.ip);
        let same = |at: &Arc<Addressed>| at.address == *address;
        let empty = self.by_address.update(key, same, |at| {
            let at = Arc::make_mut(at);
            at.change(|all| all.retain(|other| !Arc::ptr_eq(other, service)));
            at.shown.is_empty()
        });
        if empty == Some(true) {
            self.by_address.remove(key, same);
        }
    }
}

impl Addressed {
    fn change(&mut self, change: impl FnOnce(&mut Vec<Arc<Service>>)) {
        let mut all = std::mem::take(&mut self.shown);
        all.append(&mut self.hidden);
        all.sort_by_key(|service| service.order());
        change(&mut all);
        let mut seen = std::collections::HashSet::with_capacity(all.len());
        for service in all.into_iter().rev() {
            if seen.insert(service.spec().namespace.clone()) {
                self.shown.push(service);
            } else {
                self.hidden.push(service);
            }
        }
        self.shown.reverse();
    }
}

/// Puts a service into its place in the order of insertion, once.
fn enter(services: &mut Vec<Arc<Service>>, service: &Arc<Service>) {
    let at = services.partition_point(|other| other.order() < service.order());
    if !services
        .get(at)
        .is_some_and(|other| Arc::ptr_eq(other, service))
    {
        services.insert(at, service.clone());
    }
}

/// The virtual IPs in canonical form.
fn addresses(service: &Service) -> impl Iterator<Item = NetworkAddress> + '_ {
    let vips = service.spec().vips.iter();
    vips.map(|vip| NetworkAddress::new(vip.network.clone(), vip.ip))
}
