//! Which destination rule is for which service.

use std::collections::HashMap;
use std::sync::Arc;

use mesh_core::model::ServiceSpec;
use mesh_core::name::Name;
use mesh_l7::istio::{CompiledDestination, DestinationRuleSpec, compile_destination_rule};
use mesh_l7::route::HostMatch;

use super::hosts;
use super::options::RouteOptions;
use super::routing::Destinations;
use crate::manifest::document::ObjectKey;
use crate::manifest::inventory::{Inventory, Object};
use crate::manifest::mesh::{Mesh, MeshOptions};
use crate::manifest::problem::Problem;

type DestinationRule = Object<DestinationRuleSpec>;

/// A rule with the services that its host means.
struct Rule<'a> {
    object: &'a DestinationRule,
    host: HostMatch,
    compiled: Arc<CompiledDestination>,
}

/// Rules by namespace, and in each the oldest first.
type Rules<'a> = HashMap<&'a Name, Vec<Rule<'a>>>;

/// The rule of each service that has one, and what is to be told.
pub(super) fn destinations(
    inventory: &Inventory,
    mesh: &Mesh,
    options: &MeshOptions,
    routes: &RouteOptions,
) -> (Destinations, Vec<(ObjectKey, Problem)>) {
    let mut objects: Vec<&DestinationRule> = inventory
        .destination_rules
        .iter()
        .map(|object| &**object)
        .collect();
    objects.sort_by_cached_key(|object| hosts::age(object));
    let mut rules = Rules::new();
    let mut notes = Vec::new();
    for object in objects {
        let host = hosts::parse(&object.spec.host, object.namespace(), &options.domain);
        let Some(host) = host else {
            let text = format!("expected a host name, got `{}`", object.spec.host);
            let problem = object.document.problem("spec.host", text);
            notes.push((object.key().clone(), problem));
            continue;
        };
        let of_namespace = rules.entry(object.namespace()).or_default();
        if let Some(twin) = of_namespace.iter().find(|rule| rule.host == host) {
            let text = format!("{} is for this host already and older", twin.object.key());
            let problem = object.document.problem("spec.host", text);
            notes.push((object.key().clone(), problem));
            continue;
        }
        let compiled = Arc::new(compile_destination_rule(&object.spec));
        of_namespace.push(Rule {
            object,
            host,
            compiled,
        });
    }
    let root = &options.policies.root_namespace;
    let find = |service: &ServiceSpec| {
        let client = match routes.namespace.as_str() {
            "" => &service.namespace,
            _ => &routes.namespace,
        };
        let mut namespaces = [client, &service.namespace, root].into_iter();
        let rule = namespaces.find_map(|namespace| {
            let rules = rules.get(namespace)?;
            best(rules, service, client)
        })?;
        let key = (service.namespace.clone(), service.hostname.clone());
        Some((key, rule.compiled.clone()))
    };
    (mesh.services.values().filter_map(find).collect(), notes)
}

/// The rule with the most specific host of a namespace.
fn best<'r, 'a>(
    rules: &'r [Rule<'a>],
    service: &ServiceSpec,
    client: &str,
) -> Option<&'r Rule<'a>> {
    let fitting = rules.iter().filter(|rule| {
        let (export_to, own) = (&rule.object.spec.export_to, rule.object.namespace());
        rule.host.matches(&service.hostname) && hosts::is_exported(export_to, own, client)
    });
    // Hosts of a namespace differ, so that no two are equally specific.
    fitting.max_by_key(|rule| rule.host.rank())
}
