//! The routes for connections by the ports that they are for.

use std::collections::HashMap;

use mesh_core::name::Name;
use mesh_l7::gateway_api::{CompiledL4, L4RouteSpec, ParentReference, compile_tcp, compile_tls};
use mesh_l7::route::HostMatch;
use mesh_l7::target::ServiceTarget;
use mesh_l7::tcp::{TcpRule, TcpRules};

use super::attach::{self, By};
use super::check::route;
use super::hosts;
use super::services::Services;
use crate::manifest::document::{Document, ObjectKey};
use crate::manifest::inventory::{Inventory, Object};
use crate::manifest::problem::Problem;

/// `TCPRoute` and `TLSRoute` by the ports that they are for.
#[derive(Default)]
pub(super) struct ConnectionRoutes(HashMap<ServiceTarget, Vec<(By, TcpRule)>>);

/// One route.
struct Route<'a> {
    age: (bool, String, Name, Name),
    document: &'a Document,
    parents: &'a [ParentReference],
    compiled: CompiledL4,
}

pub(super) fn compile<'a>(
    inventory: &'a Inventory,
    services: &Services<'_>,
    notes: &mut Vec<(ObjectKey, Problem)>,
) -> ConnectionRoutes {
    let one = |object: &'a Object<L4RouteSpec>, compiled| Route {
        age: hosts::age(object),
        document: &object.document,
        parents: &object.spec.parent_refs,
        compiled,
    };
    let tcp = inventory.tcp_routes.iter();
    let tcp = tcp.map(|object| one(object, compile_tcp(&route(object), services)));
    let tls = inventory.tls_routes.iter();
    let tls = tls.map(|object| one(object, compile_tls(&route(object), services)));
    let mut routes: Vec<Route<'_>> = tcp.chain(tls).collect();
    routes.sort_by(|one, other| one.age.cmp(&other.age));
    let mut all = ConnectionRoutes::default();
    for route in routes {
        all.add(route, services, notes);
    }
    all
}

impl ConnectionRoutes {
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
        let Some(rule) = route.compiled.rule else {
            return;
        };
        for (at, parent) in route.parents.iter().enumerate() {
            let path = format!("spec.parentRefs[{at}]");
            match attach::ports(services, document.namespace(), &[], parent) {
                Err(problem) => note(&path, problem),
                Ok(ports) => {
                    for attachment in ports {
                        if attachment.by == By::Consumer {
                            let text = "routes for connections of a client's own namespace are not supported";
                            note(&path, text.to_owned());
                            break;
                        }
                        let rules = self.0.entry(attachment.target).or_default();
                        for rule in by_server_name(&rule) {
                            let same = |(by, known): &&(By, TcpRule)| {
                                *by == attachment.by && known.server_names == rule.server_names
                            };
                            match rules.iter().find(same) {
                                // The older one serves.
                                Some((_, known)) => {
                                    let origin = &known.origin;
                                    note(&path, format!("{origin} has this already and is older"));
                                }
                                None => rules.push((attachment.by, rule)),
                            }
                        }
                    }
                }
            }
        }
    }

    /// The rules of a port: those of its service, else those of its waypoint. Server names go before none, and the
    /// most specific ones before others.
    pub(super) fn of(&self, target: &ServiceTarget) -> Option<TcpRules> {
        let all = self.0.get(target)?;
        let by = all.iter().map(|(by, _)| *by).min()?;
        let rules = all.iter().filter(|(of, _)| *of == by);
        let mut rules: Vec<TcpRule> = rules.map(|(_, rule)| rule.clone()).collect();
        rules.sort_by_key(|rule| {
            let rank = rule.server_names.iter().map(|host| host.rank()).max();
            std::cmp::Reverse(rank)
        });
        Some(TcpRules::new(rules))
    }
}

/// One rule for each server name, so that the most specific name counts whichever route has it.
fn by_server_name(rule: &TcpRule) -> Vec<TcpRule> {
    if rule.server_names.is_empty() {
        return vec![rule.clone()];
    }
    let names = rule.server_names.iter();
    let one = |name: &HostMatch| TcpRule {
        server_names: vec![name.clone()],
        ..rule.clone()
    };
    names.map(one).collect()
}

#[cfg(test)]
mod tests;
