//! What requests are forwarded to.

use std::net::{IpAddr, SocketAddr};

use mesh_core::name::Name;

/// A port of a service, or of a workload that is addressed itself ([`of_workload`](Self::of_workload)).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data that compilers of configuration fill"
)]
pub struct ServiceTarget {
    /// Namespace of the service; empty for a workload.
    pub namespace: Name,
    /// Host name of the service, such as `web.shop.svc.cluster.local`; a workload's address in text.
    pub hostname: Name,
    /// Port of the service.
    pub port: u16,
    /// A named part of its endpoints; all when there is none.
    pub subset: Option<Name>,
}

impl ServiceTarget {
    /// A port of the workload that has an address: what clients connect to that do not ask for a service.
    ///
    /// ```
    /// use mesh_l7::target::ServiceTarget;
    /// let pod = ServiceTarget::of_workload(([10, 0, 0, 7], 8080).into());
    /// assert_eq!(pod.workload(), Some([10, 0, 0, 7].into()));
    /// assert!(!pod.is_service());
    /// ```
    #[must_use]
    pub fn of_workload(address: SocketAddr) -> Self {
        Self {
            namespace: Name::default(),
            hostname: address.ip().to_canonical().to_string().into(),
            port: address.port(),
            subset: None,
        }
    }

    /// Whether it is a port of a service.
    #[must_use]
    pub fn is_service(&self) -> bool {
        // Every service has a namespace.
        !self.namespace.is_empty()
    }

    /// The address of the workload; `None` for a service.
    #[must_use]
    pub fn workload(&self) -> Option<IpAddr> {
        match self.is_service() {
            true => None,
            false => self.hostname.parse().ok(),
        }
    }
}
