//! What a type of resources means: from bytes to updates.

use bytes::Bytes;
use mesh_core::name::Name;

use crate::apply::Rejection;

/// The meaning of one type of resources: decodes, converts, applies.
///
/// The machine keeps names and versions; this keeps the resources, or gives them to a sink.
pub trait Resources: Send {
    /// The type URL, such as `type.googleapis.com/istio.workload.Address`.
    fn type_url(&self) -> &str;

    /// Applies a change as a whole, except for resources that it rejects: of those it keeps what it
    /// had. Only names of resources that it has taken over are removed.
    fn apply(&mut self, change: Change) -> Applied;
}

/// The change that one response brings. Removals come first; a name is at most once among the
/// resources.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Change {
    /// Names of removed resources.
    pub removed: Vec<Name>,
    /// New and changed resources, in the order of the response.
    pub resources: Vec<Incoming>,
}

impl Change {
    /// A change.
    #[must_use]
    pub fn new(removed: Vec<Name>, resources: Vec<Incoming>) -> Self {
        Self { removed, resources }
    }
}

/// A resource as it came: checked to be of the right type, not decoded.
#[derive(Clone, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "all there is about a resource that is not decoded"
)]
pub struct Incoming {
    /// Its name. Equal to, and for known resources the very same as, the one it had before.
    pub name: Name,
    /// The encoded message, a part of the response.
    pub body: Bytes,
    /// Whether an earlier version of it was taken over, or something was put in its place.
    pub known: bool,
}

/// How a change went.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Applied {
    /// Resources that were not taken over.
    pub rejected: Vec<Rejection>,
    /// How many fields had a value that this version does not know, and count as absent.
    pub ignored: usize,
    /// Those of the rejected resources in whose place something was put. They are removed like
    /// resources that were taken over, and the server is told after a reconnect that they are here.
    pub replaced: Vec<Name>,
}

impl Applied {
    /// Everything was taken over except for these.
    #[must_use]
    pub fn new(rejected: Vec<Rejection>, ignored: usize) -> Self {
        Self {
            rejected,
            ignored,
            replaced: Vec::new(),
        }
    }

    /// The same, with something in the place of these rejected resources.
    #[must_use]
    pub fn replacing(mut self, replaced: Vec<Name>) -> Self {
        self.replaced = replaced;
        self
    }
}
