//! The choice of one endpoint of a service.
//!
//! First the groups of endpoints are ranked and one endpoint of the best is drawn by weight. Where
//! that one turns out not to be eligible, drawing is repeated a few times, and then all endpoints
//! are looked at. Both ways give each eligible endpoint of the best rank a chance in proportion to
//! its capacity, exactly.

use std::num::NonZeroU16;
use std::sync::Arc;

use crate::endpoints::EndpointSet;
use crate::model::{Service, Workload};
use crate::random::Random;

mod candidate;
mod eligible;
mod hosts;
mod mode;
mod rank;

pub use candidate::{Candidate, candidates};
pub use eligible::Ineligible;
pub use hosts::{EndpointTarget, hosts};
pub use mode::PickMode;

use eligible::Eligibility;
use rank::Ranking;

/// Draws before all endpoints are looked at.
const DRAWS: u32 = 8;

/// The chosen endpoint.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Picked<'a> {
    /// The workload.
    pub workload: &'a Arc<Workload>,
    /// The target port on the workload.
    pub port: u16,
}

impl<'a> Picked<'a> {
    /// An endpoint that was chosen by other means than [`pick`].
    #[must_use]
    pub fn new(workload: &'a Arc<Workload>, port: NonZeroU16) -> Self {
        picked(workload, port)
    }
}

/// Chooses an endpoint of `service` for a connection from `source` to `service_port`.
///
/// An endpoint is eligible when it has an address, a host name or a gateway of another network,
/// when the port leads to a target port on it, when its health is good enough for the service's
/// health policy, and when its capacity is not 0. Of these the best by the service's routing
/// preferences are candidates, and the chance of each is proportional to its capacity. `None` when
/// there is no candidate.
///
/// Whether the mode is [`LoadBalancingMode::Passthrough`](crate::model::LoadBalancingMode) is the
/// caller's business: here it counts as `Standard`.
///
/// `endpoints` is the set that the service has in the snapshot it was taken from.
///
/// ```
/// use mesh_core::balance::{PickMode, pick};
/// use mesh_core::model::{NamespacedHostname, PortMap, ServiceSpec, Workload, WorkloadSpec};
/// use mesh_core::store::MeshStore;
///
/// let web = NamespacedHostname::new("default", "web.default.svc.cluster.local");
/// let store = MeshStore::new();
/// store.replace_all(
///     vec![WorkloadSpec {
///         uid: "cluster//Pod/default/web-1".into(),
///         ips: vec!["10.0.0.1".parse().unwrap()],
///         services: vec![(web.clone(), PortMap::default())],
///         ..WorkloadSpec::default()
///     }],
///     vec![ServiceSpec {
///         namespace: web.namespace.clone(),
///         hostname: web.hostname.clone(),
///         ports: [(80, 8080)].into_iter().collect(),
///         ..ServiceSpec::default()
///     }],
/// );
/// let mesh = store.snapshot();
/// let service = mesh.service("default", "web.default.svc.cluster.local").unwrap();
/// let source = Workload::new(WorkloadSpec::default());
/// let mut random = || 7;
/// let picked = pick(service, mesh.endpoints(service), &source, 80, PickMode::Standard, &mut random);
/// assert_eq!(picked.unwrap().port, 8080);
/// ```
pub fn pick<'a>(
    service: &Service,
    endpoints: &'a EndpointSet,
    source: &Workload,
    service_port: u16,
    mode: PickMode,
    random: &mut dyn Random,
) -> Option<Picked<'a>> {
    let eligibility = Eligibility::new(service, source, service_port, mode)?;
    let ranking = Ranking::new(service, source);
    match draw(endpoints, &eligibility, &ranking, random) {
        Drawn::Endpoint(picked) => Some(picked),
        Drawn::Nothing => None,
        Drawn::Ineligible => survey(endpoints, &eligibility, &ranking, random),
    }
}

/// What drawing from the best groups gave.
enum Drawn<'a> {
    Endpoint(Picked<'a>),
    /// No endpoint of any rank has weight.
    Nothing,
    /// Only endpoints that are not eligible, as far as could be seen.
    Ineligible,
}

fn draw<'a>(
    endpoints: &'a EndpointSet,
    eligibility: &Eligibility<'_>,
    ranking: &Ranking<'_>,
    random: &mut dyn Random,
) -> Drawn<'a> {
    let health = eligibility.health();
    if !ranking.fits(endpoints) {
        return Drawn::Ineligible;
    }
    let Some((tier, total)) = ranking.best_tier(endpoints, health) else {
        return Drawn::Nothing;
    };
    for _ in 0..DRAWS {
        let member = tier.member(random.below(total), health);
        let picked = member.and_then(|member| {
            let port = eligibility.target_port(&endpoints.endpoint(member)?)?;
            Some(picked(member, port))
        });
        if let Some(picked) = picked {
            return Drawn::Endpoint(picked);
        }
    }
    Drawn::Ineligible
}

/// The same choice by looking at all endpoints, twice.
fn survey<'a>(
    endpoints: &'a EndpointSet,
    eligibility: &Eligibility<'_>,
    ranking: &Ranking<'_>,
    random: &mut dyn Random,
) -> Option<Picked<'a>> {
    let (mut best, mut total) = (0, 0_u64);
    endpoints.find_map(|endpoint| -> Option<()> {
        let weight = u64::from(endpoint.workload().capacity());
        if weight > 0 && eligibility.target_port(&endpoint).is_some() {
            let rank = ranking.rank(endpoint.workload().place())?;
            if rank > best {
                (best, total) = (rank, 0);
            }
            if rank == best {
                total += weight;
            }
        }
        None
    });
    if total == 0 {
        return None;
    }
    let mut at = random.below(total);
    endpoints.find_map(|endpoint| {
        let port = eligibility.target_port(&endpoint)?;
        if ranking.rank(endpoint.workload().place())? != best {
            return None;
        }
        match at.checked_sub(u64::from(endpoint.workload().capacity())) {
            Some(rest) => {
                at = rest;
                None
            }
            None => Some(picked(endpoint.workload(), port)),
        }
    })
}

fn picked(workload: &Arc<Workload>, port: NonZeroU16) -> Picked<'_> {
    Picked {
        workload,
        port: port.get(),
    }
}
