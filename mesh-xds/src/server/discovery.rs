//! The resources that a server has, and who is to hear of changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use mesh_core::model::{ServiceSpec, WorkloadSpec};
use parking_lot::Mutex;
use prost::Message;
use tokio::sync::{mpsc, watch};

use super::fault::Faults;
use super::resource::ServedResource;
use super::seen::{Requests, Seen};
use crate::convert::{ADDRESS, service_address, workload_address};

/// The resources of one type.
#[derive(Default)]
pub(super) struct Served {
    by_name: BTreeMap<String, ServedResource>,
    by_alias: BTreeMap<String, BTreeSet<String>>,
}

impl Served {
    pub(super) fn get(&self, name: &str) -> Option<&ServedResource> {
        self.by_name.get(name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &ServedResource)> {
        self.by_name.iter()
    }

    /// The names of the resources with a name or alias.
    pub(super) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let own = self
            .by_name
            .get_key_value(name)
            .map(|(name, _)| name.as_str());
        let others = self.by_alias.get(name).into_iter().flatten();
        own.into_iter().chain(others.map(String::as_str))
    }

    fn put(&mut self, name: &str, resource: ServedResource) {
        self.remove(name);
        for alias in &resource.aliases {
            let names = self.by_alias.entry(alias.clone()).or_default();
            names.insert(name.to_owned());
        }
        self.by_name.insert(name.to_owned(), resource);
    }

    fn remove(&mut self, name: &str) {
        let Some(old) = self.by_name.remove(name) else {
            return;
        };
        for alias in old.aliases {
            if let Some(names) = self.by_alias.get_mut(&alias) {
                names.remove(name);
                if names.is_empty() {
                    self.by_alias.remove(&alias);
                }
            }
        }
    }
}

#[derive(Default)]
pub(super) struct State {
    pub(super) types: BTreeMap<String, Served>,
    observers: Vec<mpsc::UnboundedSender<Seen>>,
    next_stream: u64,
}

/// The resources of a control plane. Clones are the same.
#[derive(Clone)]
pub struct Discovery(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Counts changes.
    changed: watch::Sender<u64>,
    faults: Arc<Faults>,
}

/// Changes that clients hear of together.
#[derive(Debug)]
pub struct Edit<'a>(&'a mut State);

impl Discovery {
    /// A control plane without resources.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            state: Mutex::default(),
            changed: watch::channel(0).0,
            faults: Arc::default(),
        }))
    }

    /// Makes changes that clients hear of together.
    pub fn edit(&self, edit: impl FnOnce(&mut Edit<'_>)) {
        edit(&mut Edit(&mut self.0.state.lock()));
        self.0.changed.send_modify(|changes| *changes += 1);
    }

    /// Adds or replaces a resource of any type.
    pub fn put(&self, type_url: &str, name: &str, resource: ServedResource) {
        self.edit(|edit| edit.put(type_url, name, resource));
    }

    /// Removes a resource.
    pub fn remove(&self, type_url: &str, name: &str) {
        self.edit(|edit| edit.remove(type_url, name));
    }

    /// Adds or replaces a workload.
    pub fn put_workload(&self, spec: &WorkloadSpec) {
        self.edit(|edit| edit.put_workload(spec));
    }

    /// Adds or replaces a service.
    pub fn put_service(&self, spec: &ServiceSpec) {
        self.edit(|edit| edit.put_service(spec));
    }

    /// Adds or replaces an authorization policy.
    #[cfg(feature = "authz")]
    pub fn put_policy(&self, spec: &mesh_authz::spec::PolicySpec) {
        let resource = ServedResource::new(
            crate::convert::AUTHORIZATION,
            crate::convert::authorization(spec).encode_to_vec(),
        );
        self.put(crate::convert::AUTHORIZATION, &spec.key(), resource);
    }

    /// What is to go wrong.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.0.faults
    }

    /// What clients do from now on. It is kept until it is read.
    #[must_use]
    pub fn requests(&self) -> Requests {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.0.state.lock().observers.push(sender);
        Requests(receiver)
    }

    pub(super) fn shared_faults(&self) -> Arc<Faults> {
        self.0.faults.clone()
    }

    pub(super) fn changed(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    pub(super) fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.0.state.lock())
    }

    pub(super) fn next_stream(&self) -> u64 {
        let mut state = self.0.state.lock();
        let stream = state.next_stream;
        state.next_stream += 1;
        stream
    }

    pub(super) fn saw(&self, seen: &Seen) {
        let mut state = self.0.state.lock();
        state
            .observers
            .retain(|observer| observer.send(seen.clone()).is_ok());
    }
}

impl Edit<'_> {
    /// Adds or replaces a resource of any type.
    pub fn put(&mut self, type_url: &str, name: &str, resource: ServedResource) {
        let served = self.0.types.entry(type_url.to_owned()).or_default();
        served.put(name, resource);
    }

    /// Removes a resource.
    pub fn remove(&mut self, type_url: &str, name: &str) {
        if let Some(served) = self.0.types.get_mut(type_url) {
            served.remove(name);
        }
    }

    /// Adds or replaces a workload, with `network/ip` of its addresses as aliases.
    pub fn put_workload(&mut self, spec: &WorkloadSpec) {
        let body = workload_address(spec).encode_to_vec();
        let aliases = spec.ips.iter().map(|ip| format!("{}/{ip}", spec.network));
        let resource = ServedResource::new(ADDRESS, body).aliases(aliases);
        self.put(ADDRESS, &spec.uid, resource);
    }

    /// Adds or replaces a service, with `network/ip` of its virtual addresses as aliases.
    pub fn put_service(&mut self, spec: &ServiceSpec) {
        let body = service_address(spec).encode_to_vec();
        let aliases = spec.vips.iter().map(ToString::to_string);
        let resource = ServedResource::new(ADDRESS, body).aliases(aliases);
        let name = format!("{}/{}", spec.namespace, spec.hostname);
        self.put(ADDRESS, &name, resource);
    }
}

impl Default for Discovery {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes = self
            .types
            .iter()
            .map(|(url, served)| (url, served.by_name.len()));
        f.debug_map().entries(sizes).finish()
    }
}

impl fmt::Debug for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read(|state| f.debug_tuple("Discovery").field(state).finish())
    }
}
