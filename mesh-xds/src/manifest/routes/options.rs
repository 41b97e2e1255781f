//! What the objects do not say about routes.

use mesh_core::name::Name;

/// What the objects do not say about routes.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RouteOptions {
    /// The namespace of the proxy: its destination rules go before those of a service's namespace. Default
    /// none.
    pub namespace: Name,
}

impl RouteOptions {
    /// For a proxy of a namespace.
    #[must_use]
    pub fn new(namespace: impl Into<Name>) -> Self {
        let namespace = namespace.into();
        Self { namespace }
    }
}
