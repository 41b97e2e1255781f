//! The routes of the Gateway API by the ports that they are for.

use std::collections::{BTreeMap, HashMap};

use mesh_core::name::Name;
use mesh_l7::gateway_api::{Compiled, ParentReference, Ranked, compile_grpc, compile_http, merge};
use mesh_l7::route::HostTable;
use mesh_l7::target::ServiceTarget;

use super::attach::{self, By};
use super::check::route;
use super::earlier::EarlierRules;
use super::hosts;
use super::services::Services;
use crate::manifest::document::{Document, ObjectKey};
use crate::manifest::inventory::Inventory;
use crate::manifest::problem::Problem;

/// The routes by the ports that they are for.
#[derive(Default)]
pub(super) struct GatewayRoutes {
    compiled: Vec<One>,
    /// Places of routes, the oldest first.
    ports: HashMap<ServiceTarget, Vec<(By, usize)>>,
}

/// One route.
struct One {
    kind: &'static str,
    key: ObjectKey,
    rules: Vec<Ranked>,
}

/// A route and what it is compared and attached by.
struct Route<'a> {
    age: (bool, String, Name, Name),
    kind: &'static str,
    document: &'a Document,
    parents: &'a [ParentReference],
    hostnames: &'a [String],
    compiled: Compiled,
}

pub(super) fn compile(
    inventory: &Inventory,
    services: &Services<'_>,
    earlier: &EarlierRules<'_>,
    notes: &mut Vec<(ObjectKey, Problem)>,
) -> GatewayRoutes {
    let shared = |mut compiled: Compiled| {
        for ranked in &mut compiled.rules {
            earlier.share(&mut ranked.rule);
        }
        compiled
    };
    let http = inventory.http_routes.iter().map(|object| Route {
        age: hosts::age(object),
        kind: "HTTPRoute",
        document: &object.document,
        parents: &object.spec.parent_refs,
        hostnames: &object.spec.hostnames,
        compiled: shared(compile_http(&route(object), services)),
    });
    let grpc = inventory.grpc_routes.iter().map(|object| Route {
        age: hosts::age(object),
        kind: "GRPCRoute",
        document: &object.document,
        parents: &object.spec.parent_refs,
        hostnames: &object.spec.hostnames,
        compiled: shared(compile_grpc(&route(object), services)),
    });
    let mut routes: Vec<Route<'_>> = http.chain(grpc).collect();
    routes.sort_by(|one, other| one.age.cmp(&other.age));
    let mut all = GatewayRoutes::default();
    for route in routes {
        all.add(route, services, notes);
    }
    all
}

impl GatewayRoutes {
    fn add(
        &mut self,
        route: Route<'_>,
        services: &Services<'_>,
        notes: &mut Vec<(ObjectKey, Problem)>,
    ) {
        let document = route.document;
        let mut note = |path: &str, text: String| {
            notes.push((document.key().clone(), document.problem(path, text)));
        };
        for problem in &route.compiled.problems {
            note(&problem.field, problem.problem.clone());
        }
        let place = self.compiled.len();
        for (at, parent) in route.parents.iter().enumerate() {
            let path = format!("spec.parentRefs[{at}]");
            let namespace = document.namespace();
            let ports = match attach::ports(services, namespace, route.hostnames, parent) {
                Ok(ports) => ports,
                Err(problem) => {
                    note(&path, problem);
                    continue;
                }
            };
            for attachment in ports {
                let routes = self.ports.entry(attachment.target).or_default();
                let mut known = routes.iter();
                let other = known.find_map(|(by, at)| {
                    let other = self.compiled.get(*at)?;
                    (*by == attachment.by && other.kind != route.kind).then_some(&other.key)
                });
                // The older of two kinds has the port.
                if let Some(other) = other {
                    note(
                        &path,
                        format!("{other} has the parent already and is older"),
                    );
                } else if !routes.contains(&(attachment.by, place)) {
                    routes.push((attachment.by, place));
                }
            }
        }
        self.compiled.push(One {
            kind: route.kind,
            key: document.key().clone(),
            rules: route.compiled.rules,
        });
    }

    /// What is for everyone.
    pub(super) fn producer(&self, target: &ServiceTarget) -> Option<HostTable> {
        let routes = self.ports.get(target)?;
        let of = |wanted: By| -> Vec<Ranked> {
            let places = routes.iter().filter(|(by, _)| *by == wanted);
            let routes = places.filter_map(|(_, at)| self.compiled.get(*at));
            routes.flat_map(|one| one.rules.iter().cloned()).collect()
        };
        let has = |wanted: By| routes.iter().any(|(by, _)| *by == wanted);
        let by = [By::Service, By::Waypoint]
            .into_iter()
            .find(|by| has(*by))?;
        Some(HostTable::of_any(merge(of(by))))
    }

    /// What is for clients of one namespace each.
    pub(super) fn consumers(&self, target: &ServiceTarget) -> Vec<(Name, HostTable)> {
        let routes = self.ports.get(target).into_iter().flatten();
        let mut namespaces: BTreeMap<&Name, Vec<Ranked>> = BTreeMap::new();
        for (_, at) in routes.filter(|(by, _)| *by == By::Consumer) {
            if let Some(one) = self.compiled.get(*at) {
                let rules = namespaces.entry(&one.key.namespace).or_default();
                rules.extend(one.rules.iter().cloned());
            }
        }
        let namespaces = namespaces.into_iter();
        namespaces
            .map(|(namespace, rules)| (namespace.clone(), HostTable::of_any(merge(rules))))
            .collect()
    }
}
