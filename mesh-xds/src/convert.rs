//! From the messages of the control plane to the model, and back.
//!
//! What the schema says is done exactly: defaults for what is absent, no number cut to fit, no
//! address of a wrong length. A resource that says something impossible is rejected with the field
//! and what was expected. Values of enumerations that this version does not know come from newer
//! control planes:
//!
//! - where a guess could weaken security (how a workload is reached, whose its addresses are, what
//!   precedes its bytes, anything in a policy), the resource is rejected;
//! - elsewhere the field counts as absent, and the conversion counts it as ignored.
//!
//! Unknown fields are ignored, except in policies, where one could be a condition.

mod address;
#[cfg(feature = "authz")]
mod authorization;
mod draft;
#[cfg(feature = "server")]
mod encode;
#[cfg(all(feature = "authz", feature = "server"))]
mod encode_policy;
mod error;
mod field;
mod gateway;
#[cfg(feature = "authz")]
mod known;
mod names;
mod scan;
mod service;
#[cfg(test)]
mod tests;
mod workload;

pub use address::{ADDRESS, Addresses};
#[cfg(feature = "authz")]
pub use authorization::{AUTHORIZATION, Policies, Rejected};
#[cfg(feature = "server")]
pub use encode::{service_address, workload_address};
#[cfg(all(feature = "authz", feature = "server"))]
pub use encode_policy::authorization;
pub use error::{ConvertError, Problem};
pub use field::Converter;
