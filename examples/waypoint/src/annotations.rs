//! Annotations of services, service entries and the waypoint's gateway, for what their objects have no field for.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_core::lb::{Algorithm, SmallFleet};
use mesh_core::name::Name;
use mesh_l7::limit::{LocalLimit, Standings};
use mesh_xds::manifest::annotations::{Expected, request_limits, small_fleet, value};
use mesh_xds::manifest::{Document, Inventory, Problem};

use process::duration;

use crate::config::WorkloadInfo;

/// Requests that each port of a service takes, in each waypoint process: rules such as `100/1s per identity`. On the
/// waypoint's `Gateway`: those of all services together.
const REQUESTS: &str = "ratelimit.waypoint/requests";
/// `draft-03`: responses say what is left in `x-ratelimit-*`; `none`.
const HEADERS: &str = "ratelimit.waypoint/headers";
/// `one`: one endpoint may be taken out however few there are; `never`: only as many as `maxEjectionPercent` says.
const SMALL_FLEET: &str = "outlier.waypoint/small-fleet";
/// `peak-ewma`: the endpoint that is expected to answer first.
const ALGORITHM: &str = "balancing.waypoint/algorithm";
/// The time without an answer after which a request is sent to another endpoint as well, such as `50ms`.
const HEDGE: &str = "retry.waypoint/hedge-after";

const SOONEST_HEDGE: Duration = Duration::from_millis(1);
const LATEST_HEDGE: Duration = Duration::from_secs(3600);

/// The annotations that are in force.
#[derive(Clone, Debug, Default)]
pub(crate) struct Annotated {
    /// By namespace and host name.
    services: BTreeMap<(Name, Name), Service>,
    /// Those of the waypoint's own gateway.
    gateway: Values,
}

/// A service with annotations.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) ports: Vec<u16>,
    pub(crate) values: Values,
}

/// What the annotations of one object say. `None` where they say nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Values {
    pub(crate) limits: Option<Vec<LocalLimit>>,
    pub(crate) standings: Option<Standings>,
    pub(crate) small_fleet: Option<SmallFleet>,
    pub(crate) algorithm: Option<Algorithm>,
    pub(crate) hedge: Option<Duration>,
}

impl Annotated {
    /// The annotations of an inventory, with the values of this one where they are wrong, and what is wrong. The
    /// gateway is that of `own`, a waypoint's pod, by its name.
    pub(crate) fn next(
        &self,
        inventory: &Inventory,
        domain: &str,
        own: (&WorkloadInfo, Option<&str>),
    ) -> (Self, Vec<Problem>) {
        let mut next = Self::default();
        let mut problems = Vec::new();
        for service in inventory.services.iter() {
            let (namespace, name) = (service.namespace(), service.name());
            let host = format!("{name}.{namespace}.svc.{domain}");
            let ports = service.spec.ports.iter().map(|port| port.port.get());
            self.read(
                &mut next,
                &service.document,
                (host, ports.collect()),
                &mut problems,
            );
        }
        for entry in inventory.service_entries.iter() {
            for host in &entry.spec.hosts {
                let host = host.to_ascii_lowercase();
                let ports = entry.spec.ports.iter().map(|port| port.number.get());
                self.read(
                    &mut next,
                    &entry.document,
                    (host, ports.collect()),
                    &mut problems,
                );
            }
        }
        next.gateway = match own {
            (workload, Some(name)) => {
                let gateway = inventory.gateways.get(&workload.namespace, name);
                let mut of = |document| Values::of(document, &self.gateway, &mut problems);
                gateway
                    .map(|gateway| of(&gateway.document))
                    .unwrap_or_default()
            }
            // Which one it is, is not known at present.
            (_, None) => self.gateway.clone(),
        };
        (next, problems)
    }

    fn read(
        &self,
        next: &mut Self,
        document: &Document,
        (host, ports): (String, Vec<u16>),
        problems: &mut Vec<Problem>,
    ) {
        let key = (document.namespace().clone(), Name::from(host));
        let nothing = Values::default();
        let before = self.services.get(&key).map(|service| &service.values);
        let values = Values::of(document, before.unwrap_or(&nothing), problems);
        if values != nothing {
            // A service of the cluster goes before an entry for its host.
            next.services
                .entry(key)
                .or_insert(Service { ports, values });
        }
    }

    /// The services that have annotations, with namespace and host name.
    pub(crate) fn services(&self) -> impl Iterator<Item = (&Name, &Name, &Service)> {
        let services = self.services.iter();
        services.map(|((namespace, host), service)| (namespace, host, service))
    }

    /// What is said about a service.
    pub(crate) fn of(&self, namespace: &Name, host: &Name) -> Option<&Values> {
        let service = self.services.get(&(namespace.clone(), host.clone()));
        service.map(|service| &service.values)
    }

    /// What the waypoint's gateway says.
    pub(crate) fn gateway(&self) -> &Values {
        &self.gateway
    }
}

impl Values {
    fn of(document: &Document, before: &Self, problems: &mut Vec<Problem>) -> Self {
        let limits = before.limits.clone();
        Self {
            limits: value(document, REQUESTS, request_limits, limits, problems),
            standings: value(document, HEADERS, standings, before.standings, problems),
            small_fleet: value(
                document,
                SMALL_FLEET,
                small_fleet,
                before.small_fleet,
                problems,
            ),
            algorithm: value(document, ALGORITHM, algorithm, before.algorithm, problems),
            hedge: value(document, HEDGE, hedge, before.hedge, problems),
        }
    }
}

fn standings(text: &str) -> Result<Standings, Expected> {
    match text {
        "draft-03" => Ok(Standings::Sent),
        "none" => Ok(Standings::Omitted),
        _ => Err(Expected::new("draft-03 or none")),
    }
}

fn algorithm(text: &str) -> Result<Algorithm, Expected> {
    match text {
        "peak-ewma" => Ok(Algorithm::PeakEwma),
        _ => Err(Expected::new("peak-ewma")),
    }
}

fn hedge(text: &str) -> Result<Duration, Expected> {
    let after = duration::parse(text);
    let after = after.filter(|after| (SOONEST_HEDGE..=LATEST_HEDGE).contains(after));
    after.ok_or_else(|| Expected::new("a time of 1ms to 1h"))
}

#[cfg(test)]
mod tests;
