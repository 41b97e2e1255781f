//! The types of the objects that make up a mesh, with the fields that matter here.
//!
//! Fields that are known and of no use are accepted silently; fields that no version of the type
//! has are reported. Values are what the object says, with the defaults of its API.

pub(super) mod entry;
pub(super) mod gateway;
pub(super) mod pod;
pub(super) mod service;
mod slice;
pub(super) mod value;

pub use entry::{
    EntryAddress, EntryPort, Resolution, ServiceEntrySpec, ServiceEntryStatus, WorkloadEntrySpec,
    WorkloadEntryStatus,
};
pub use gateway::{
    AllowedRoutes, FromNamespaces, GatewayAddressSpec, GatewayClassSpec, GatewaySpec,
    GatewayStatus, GrantFrom, GrantTo, Listener, ReferenceGrantSpec,
};
pub use pod::{Condition, Container, ContainerPort, PodIp, PodSpec, PodStatus};
pub use service::{Ingress, LoadBalancerStatus, ServicePort, ServiceSpec, ServiceStatus};
pub use slice::{Endpoint, EndpointConditions, EndpointSlice, SlicePort, TargetRef};
pub use value::{PortNumber, Requirement, Selector, TargetPort};
