//! What the data plane reports, as metrics and as an access log.

mod access;
mod counted_lookup;
mod end;

mod guards;
mod labels;
mod lookups;
mod metrics;
mod page;
mod process;
mod rate;
mod runtimes;
mod series;
#[cfg(test)]
mod tests;
mod traffic;
mod xds;

pub(crate) use counted_lookup::CountedLookup;
pub(crate) use mesh_core::exposition::Format as Exposition;
pub(crate) use metrics::Metrics;
