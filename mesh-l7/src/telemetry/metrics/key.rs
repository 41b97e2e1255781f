//! What tells the labels of a request from those of others, without writing them.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use mesh_core::baggage::Baggage;
use mesh_core::identity::SpiffeId;
use mesh_core::model::Workload;
use mesh_core::name::Name;

use super::super::grpc;
use crate::downstream::Downstream;
use crate::record::{Entry, Flags};
use crate::target::ServiceTarget;

/// The labels of a request as references: two that are equal have equal labels. Workloads are compared by
/// their place in memory, so that a changed one is another.
#[derive(Clone, Copy)]
pub(super) struct Key<'a> {
    pub(super) source: Option<&'a Arc<Workload>>,
    pub(super) baggage: Option<&'a Arc<Baggage>>,
    pub(super) identity: Option<&'a SpiffeId>,
    pub(super) destination: Option<&'a Arc<Workload>>,
    pub(super) service: Option<(&'a Name, &'a Name)>,
    pub(super) grpc: bool,
    pub(super) status: u16,
    pub(super) grpc_status: Option<u32>,
    pub(super) flags: Flags,
}

/// The same, kept. It holds on to the workloads, so that their places are not used again.
#[derive(Debug)]
pub(super) struct OwnedKey {
    source: Option<Arc<Workload>>,
    baggage: Option<Arc<Baggage>>,
    identity: Option<SpiffeId>,
    destination: Option<Arc<Workload>>,
    service: Option<(Name, Name)>,
    grpc: bool,
    status: u16,
    grpc_status: Option<u32>,
    flags: Flags,
}

impl<'a> Key<'a> {
    pub(super) fn of(entry: &'a Entry) -> Self {
        let downstream = entry.downstream.as_deref();
        let baggage = downstream.and_then(|downstream| downstream.baggage.as_ref());
        Self {
            source: entry.source.as_ref(),
            // The workload goes before it.
            baggage: baggage.filter(|_| entry.source.is_none()),
            identity: downstream.and_then(|downstream| downstream.identity.as_ref()),
            destination: entry.destination.as_ref(),
            service: service(entry, downstream),
            grpc: entry.grpc,
            status: entry.status.map_or(0, |status| status.as_u16()),
            grpc_status: grpc::final_status(entry),
            flags: entry.flags,
        }
    }

    pub(super) fn hash(&self, state: &mut impl Hasher) {
        place(self.source).hash(state);
        place(self.baggage).hash(state);
        place(self.destination).hash(state);
        self.service.hash(state);
        self.identity.hash(state);
        (self.status, self.grpc_status, self.flags).hash(state);
    }

    pub(super) fn is(&self, owned: &OwnedKey) -> bool {
        place(self.source) == place(owned.source.as_ref())
            && place(self.baggage) == place(owned.baggage.as_ref())
            && place(self.destination) == place(owned.destination.as_ref())
            && self.status == owned.status
            && self.flags == owned.flags
            && self.grpc == owned.grpc
            && self.grpc_status == owned.grpc_status
            && self.identity == owned.identity.as_ref()
            && self.service == owned.service.as_ref().map(|(of, name)| (of, name))
    }

    pub(super) fn owned(&self) -> OwnedKey {
        OwnedKey {
            source: self.source.cloned(),
            baggage: self.baggage.cloned(),
            identity: self.identity.cloned(),
            destination: self.destination.cloned(),
            service: self.service.map(|(of, name)| (of.clone(), name.clone())),
            grpc: self.grpc,
            status: self.status,
            grpc_status: self.grpc_status,
            flags: self.flags,
        }
    }
}

impl OwnedKey {
    pub(super) fn key(&self) -> Key<'_> {
        Key {
            source: self.source.as_ref(),
            baggage: self.baggage.as_ref(),
            identity: self.identity.as_ref(),
            destination: self.destination.as_ref(),
            service: self.service.as_ref().map(|(of, name)| (of, name)),
            grpc: self.grpc,
            status: self.status,
            grpc_status: self.grpc_status,
            flags: self.flags,
        }
    }
}

/// Where the request was to go: the service that was chosen, else the one that the client connected to. None for a
/// workload that is addressed itself.
fn service<'a>(
    entry: &'a Entry,
    downstream: Option<&'a Downstream>,
) -> Option<(&'a Name, &'a Name)> {
    let of = |target: &'a ServiceTarget| (&target.namespace, &target.hostname);
    let addressed = || downstream?.service.as_ref().map(of);
    let (namespace, hostname) = entry.target.as_ref().map(of).or_else(addressed)?;
    (!namespace.is_empty()).then_some((namespace, hostname))
}

fn place<T>(value: Option<&Arc<T>>) -> Option<*const T> {
    value.map(Arc::as_ptr)
}
