//! What requests are forwarded to.

use mesh_core::name::Name;

/// A port of a service.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data that compilers of configuration fill"
)]
pub struct ServiceTarget {
    /// Namespace of the service.
    pub namespace: Name,
    /// Host name of the service, such as `web.shop.svc.cluster.local`.
    pub hostname: Name,
    /// Port of the service.
    pub port: u16,
    /// A named part of its endpoints; all when there is none.
    pub subset: Option<Name>,
}
