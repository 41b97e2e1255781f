//! The endpoints of a service, arranged so that one is chosen without looking at all.
//!
//! A set holds all endpoints, healthy or not: what takes part is decided when one is chosen. They
//! are grouped by those properties of their place that the service's routing preferences name, so
//! a service without preferences has one group. Groups, and endpoints within a group, lie in trees
//! that know the weight of each part.

mod group;
mod index;
mod scopes;
mod set;

pub(crate) use group::Group;
pub(crate) use index::EndpointIndex;
pub(crate) use scopes::Scopes;
pub use set::{Endpoint, EndpointSet};
