//! The seam between sources of configuration and what they fill: control plane, files and fixed
//! configuration all end in [`Apply`].

use std::sync::Arc;

use mesh_core::name::Name;
use mesh_core::store::{Batch, MeshStore, Update};

/// A resource that was not taken over, and why. What was known about it before stays in force.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a pair by definition")]
pub struct Rejection {
    /// The name of the resource.
    pub name: Name,
    /// Why, in one line that names the field.
    pub reason: String,
}

impl Rejection {
    /// A resource that was not taken over, and why.
    #[must_use]
    pub fn new(name: impl Into<Name>, reason: impl ToString) -> Self {
        Self {
            name: name.into(),
            reason: reason.to_string(),
        }
    }
}

/// What takes batches of typed updates: a [`MeshStore`], a store of policies, a test.
///
/// A batch becomes visible as a whole, as far as it is accepted, before the call returns. Calls
/// come from one task for each source; they may take milliseconds and must not wait for IO.
///
/// ```
/// use mesh_core::store::{Batch, MeshStore, Update};
/// use mesh_core::model::WorkloadSpec;
/// use mesh_xds::apply::Apply;
///
/// let sink: std::sync::Arc<dyn Apply<Batch>> = std::sync::Arc::new(MeshStore::new());
/// let mut batch = Batch::default();
/// batch.workloads.push(Update::Upsert(WorkloadSpec { uid: "a".into(), ..Default::default() }));
/// assert!(sink.apply(batch).is_empty());
/// ```
pub trait Apply<B>: Send + Sync + 'static {
    /// Applies what can be applied, and gives what cannot.
    fn apply(&self, batch: B) -> Vec<Rejection>;
}

impl<B, A: Apply<B> + ?Sized> Apply<B> for Arc<A> {
    fn apply(&self, batch: B) -> Vec<Rejection> {
        (**self).apply(batch)
    }
}

/// Every batch is accepted.
impl Apply<Batch> for MeshStore {
    fn apply(&self, batch: Batch) -> Vec<Rejection> {
        Self::apply(self, batch);
        Vec::new()
    }
}

/// Changes to resources of one type, for sinks that know one type.
pub type Updates<R> = Vec<Update<R>>;
