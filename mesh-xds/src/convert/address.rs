//! Resources of the type `istio.workload.Address`: workloads and services.

use std::fmt;

use mesh_core::model::{ServiceSpec, WorkloadSpec};
use mesh_core::name::Name;
use mesh_core::store::{Batch, Update};
use prost::Message;

use super::draft::Draft;
use super::error::ConvertError;
use super::field::Converter;
use crate::apply::{Apply, Rejection};
use crate::delta::{Applied, Change, Incoming, Resources};
use crate::wire::workload as wire;

/// The type URL of workloads and services.
pub const ADDRESS: &str = "type.googleapis.com/istio.workload.Address";

/// Workloads and services, which go to a sink in one batch for each response.
pub struct Addresses<S> {
    sink: S,
    converter: Converter,
}

/// One of the two.
enum Converted {
    Workload(WorkloadSpec),
    Service(ServiceSpec),
}

impl<S: Apply<Batch>> Addresses<S> {
    /// Resources that fill `sink`.
    #[must_use]
    pub fn new(sink: S) -> Self {
        Self {
            sink,
            converter: Converter::new(),
        }
    }
}

fn convert(converter: &mut Converter, incoming: Incoming) -> Result<Converted, ConvertError> {
    use wire::address::Type;
    if let Some(draft) = Draft::read(&incoming.body) {
        let spec = converter.draft(draft, Some(incoming.name));
        return spec.map(Converted::Workload);
    }
    match wire::Address::decode(incoming.body)?.r#type {
        Some(Type::Workload(workload)) => converter
            .workload(workload, Some(incoming.name))
            .map(Converted::Workload),
        Some(Type::Service(service)) => converter
            .service(service, Some(&incoming.name))
            .map(Converted::Service),
        None => Err(ConvertError::UnknownKind),
    }
}

impl<S: Apply<Batch>> Resources for Addresses<S> {
    fn type_url(&self) -> &str {
        ADDRESS
    }

    fn apply(&mut self, change: Change) -> Applied {
        let mut batch = Batch::default();
        batch.removals = change.removed;
        // Nearly all are workloads.
        batch.workloads.reserve_exact(change.resources.len());
        let mut rejected = Vec::new();
        for incoming in change.resources {
            let name: Name = incoming.name.clone();
            match convert(&mut self.converter, incoming) {
                Ok(Converted::Workload(spec)) => batch.workloads.push(Update::Upsert(spec)),
                Ok(Converted::Service(spec)) => batch.services.push(Update::Upsert(spec)),
                Err(error) => rejected.push(Rejection::new(name, error)),
            }
        }
        let ignored = self.converter.finish();
        rejected.extend(self.sink.apply(batch));
        Applied::new(rejected, ignored)
    }
}

impl<S> fmt::Debug for Addresses<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Addresses").finish_non_exhaustive()
    }
}
