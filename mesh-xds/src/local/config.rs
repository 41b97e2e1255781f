//! What a local file says.

use mesh_authz::spec::PolicySpec;
use mesh_core::model::{ServiceSpec, WorkloadSpec};

/// The longest file that is read, in bytes: 64 MiB, about 100,000 workloads.
pub const MAX_BYTES: u64 = 64 << 20;

/// What a local file says.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct LocalConfig {
    /// The workloads, in the order of the file, each with its services filled in.
    pub workloads: Vec<WorkloadSpec>,
    /// The services, sorted by namespace and host name.
    pub services: Vec<ServiceSpec>,
    /// The policies, in the order of the file.
    pub policies: Vec<PolicySpec>,
}

/// What was taken over from a file.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Loaded {
    /// How many workloads the store has now.
    pub workloads: usize,
    /// How many services the store has now.
    pub services: usize,
    /// How many policies there are now.
    pub policies: usize,
}
