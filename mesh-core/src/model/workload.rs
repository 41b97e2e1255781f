//! Workloads.

mod record;
mod spec;

pub use record::Workload;
pub(crate) use record::{Place, Profile};
pub use spec::{
    ApplicationProtocol, ApplicationTunnel, Locality, NetworkMode, TunnelProtocol, WorkloadSpec,
    WorkloadStatus, WorkloadType,
};
