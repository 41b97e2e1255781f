//! All endpoints of a service and what speaks for and against each.

use std::num::NonZeroU16;
use std::sync::Arc;

use super::eligible::{Eligibility, Ineligible};
use super::mode::PickMode;
use super::rank::Ranking;
use crate::endpoints::{Endpoint, EndpointSet};
use crate::model::{Service, Workload};

/// An endpoint of a service as [`pick`](super::pick) sees it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Candidate<'a> {
    /// The workload.
    pub workload: &'a Arc<Workload>,
    /// How many of the service's routing preferences it matches: only candidates of the highest rank
    /// are drawn from, each with a chance in proportion to its capacity.
    pub rank: usize,
    /// The port to dial, or why it is not eligible.
    pub port: Result<NonZeroU16, Ineligible>,
}

/// All endpoints of a service with what [`pick`](super::pick) with the same arguments would see in
/// each. For explanations: the time grows with the number of endpoints.
///
/// ```
/// use mesh_core::balance::{Ineligible, PickMode, candidates};
/// use mesh_core::endpoints::EndpointSet;
/// use mesh_core::model::{Service, ServiceSpec, Workload, WorkloadSpec};
///
/// let service = Service::new(ServiceSpec::default());
/// let source = Workload::new(WorkloadSpec::default());
/// let set = EndpointSet::default();
/// assert!(candidates(&service, &set, &source, 80, PickMode::Standard).is_empty());
/// ```
#[must_use]
pub fn candidates<'a>(
    service: &Service,
    endpoints: &'a EndpointSet,
    source: &Workload,
    service_port: u16,
    mode: PickMode,
) -> Vec<Candidate<'a>> {
    let eligibility = Eligibility::new(service, source, service_port, mode);
    let ranking = Ranking::new(service, source);
    let mut all = Vec::new();
    endpoints.find_map(|endpoint| -> Option<()> {
        all.push(candidate(&endpoint, eligibility.as_ref(), &ranking));
        None
    });
    all
}

fn candidate<'a>(
    endpoint: &Endpoint<'a>,
    eligibility: Option<&Eligibility<'_>>,
    ranking: &Ranking<'_>,
) -> Candidate<'a> {
    let workload = endpoint.workload();
    let rank = ranking.rank(workload.place());
    let port = match eligibility.map(|eligibility| eligibility.check(endpoint)) {
        None => Err(Ineligible::NoServicePort),
        Some(Ok(_)) if workload.capacity() == 0 => Err(Ineligible::NoCapacity),
        Some(Ok(_)) if rank.is_none() => Err(Ineligible::NotPreferred),
        Some(port) => port,
    };
    Candidate {
        workload,
        rank: rank.unwrap_or(0),
        port,
    }
}
