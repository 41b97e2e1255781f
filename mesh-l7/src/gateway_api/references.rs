//! What a route refers to.

use crate::route::InvalidBackend;
use crate::target::ServiceTarget;

use super::types::BackendRef;

/// What a route refers to.
pub trait References {
    /// A port of a service.
    ///
    /// # Errors
    /// [`InvalidBackend`] when it does not exist or cannot be used.
    fn service(
        &self,
        namespace: &str,
        name: &str,
        port: u16,
    ) -> Result<ServiceTarget, InvalidBackend>;

    /// Whether a `ReferenceGrant` in namespace `to` lets routes of `kind` in namespace `from` refer to
    /// a service there.
    fn is_granted(&self, kind: &str, from: &str, to: &str, service: &str) -> bool;
}

/// Where a route stands whose references are looked up.
#[derive(Clone, Copy)]
pub(super) struct From<'a> {
    pub(super) kind: &'static str,
    pub(super) namespace: &'a str,
    pub(super) references: &'a dyn References,
}

impl From<'_> {
    /// A port of a service, by a reference.
    pub(super) fn service(&self, reference: &BackendRef) -> Result<ServiceTarget, InvalidBackend> {
        let group = reference.group.as_deref().unwrap_or("");
        let kind = reference.kind.as_deref().unwrap_or("Service");
        if (group, kind) != ("", "Service") {
            return Err(InvalidBackend::Kind);
        }
        let namespace = reference.namespace.as_deref().unwrap_or(self.namespace);
        let granted = namespace == self.namespace
            || self
                .references
                .is_granted(self.kind, self.namespace, namespace, &reference.name);
        if !granted {
            return Err(InvalidBackend::NotPermitted);
        }
        let port = reference.port.ok_or(InvalidBackend::NotFound)?;
        self.references.service(namespace, &reference.name, port)
    }
}
