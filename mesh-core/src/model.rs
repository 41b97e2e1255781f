//! The mesh as the control plane describes it: workloads, services, endpoints, gateways.
//!
//! The `*Spec` types are what a source of configuration delivers: plain data with public fields
//! and the documented defaults. The store turns them into the compact, immutable
//! [`Workload`] and [`Service`] that readers see.

mod address;
mod gateway;
mod ports;
mod service;
mod workload;

pub use address::{NamespacedHostname, Network, NetworkAddress, NetworkCidr};
pub use gateway::{GatewayAddress, GatewayDestination, WeightedWaypoint};
pub use ports::PortMap;
pub use service::{
    HealthPolicy, IpFamilies, LoadBalancing, LoadBalancingMode, RoutingScope, Service, ServiceSpec,
    Visibility,
};
pub use workload::{
    ApplicationProtocol, ApplicationTunnel, Locality, NetworkMode, TunnelProtocol, Workload,
    WorkloadSpec, WorkloadStatus, WorkloadType,
};
pub(crate) use workload::{Place, Profile};
