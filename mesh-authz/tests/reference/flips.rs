//! What is reported as missing is what is missing: met, it turns the answer, and nothing less does (P13,
//! 8.1.5). Without a token nothing passes that asks for one, unless lint says so (P18).

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use mesh_authz::kube::{AuthorizationPolicy, Provenance};
use mesh_authz::lint::{Inventory, lint};
use mesh_authz::plain::{self, PlainVerdict};
use mesh_authz::spec::{MatchSpec, PolicySpec};
use mesh_authz::store::{PolicyStore, Update};
use mesh_authz::{Limits, PolicyTarget, RequestExplanation, Semantics};
use mesh_core::model::{Workload, WorkloadSpec};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::cases::{Question, Word};
use crate::evaluator::{Profile, View, decide};
use crate::laws::check;
use crate::product::{self, Sent};
use crate::random::question;

/// Policies that are in force, and what they are asked about.
struct Asked {
    question: Question,
    specs: Vec<PolicySpec>,
    named: Vec<mesh_core::name::Name>,
    semantics: Semantics,
}

impl Asked {
    fn of(question: Question) -> Self {
        let accepted = product::accept(&question).unwrap();
        let (mut specs, named) = product::in_force(&question, &accepted);
        // Whom a CUSTOM policy asks is not known here.
        specs.retain(|spec| spec.provider.is_none());
        let semantics = match question.mesh.profile {
            Profile::Compat => Semantics::compat(),
            Profile::Strict => Semantics::strict(),
        };
        Self {
            question,
            named: named
                .into_iter()
                .filter(|key| specs.iter().any(|spec| spec.key() == *key))
                .collect(),
            specs,
            semantics,
        }
    }

    /// What is explained about these policies, and what the plain evaluator says.
    fn explain(&self, specs: &[PolicySpec]) -> (RequestExplanation, PlainVerdict) {
        let Question {
            target, conn, req, ..
        } = &self.question;
        let store = PolicyStore::with_semantics(Limits::default(), self.semantics);
        let batch = specs.iter().cloned().map(Update::Upsert).collect();
        assert_eq!(store.apply(batch).rejected, []);
        let workload = Workload::new(WorkloadSpec {
            namespace: target.namespace.as_str().into(),
            authorization_policies: self.named.clone(),
            ..WorkloadSpec::default()
        });
        let policies = if target.waypoint {
            PolicyTarget::named(&self.named)
        } else {
            PolicyTarget::workload(&workload)
        };
        let identity = product::identity(conn);
        let connection = product::connection(conn, identity.as_ref());
        let sent = Sent::new(req);
        let request = sent.request(req);
        let index = store.index();
        let explanation = index.explain_request(&policies, &connection, &request, 100);
        let plain = plain::decide_request(specs, &policies, &connection, &request, self.semantics);
        (explanation, plain.verdict)
    }
}

/// The policies with these fields met: `rules[0].clauses[1].matches[2].not_paths` of a policy.
fn meet(specs: &[PolicySpec], policy: &str, places: &[&str]) -> Vec<PolicySpec> {
    let mut specs = specs.to_vec();
    let policy = specs.iter_mut().find(|spec| spec.key() == *policy).unwrap();
    for place in places {
        let mut numbers = place.split(['[', ']']).filter_map(|part| part.parse().ok());
        let mut number = || -> usize { numbers.next().unwrap() };
        let clause = &mut policy.rules[number()].clauses[number()];
        let one = &mut clause.matches[number()];
        remove(one, place.splitn(4, "].").nth(3).unwrap());
        // A match without fields never matches; port 1 is not connected to.
        one.not_destination_ports.push(1);
    }
    specs
}

/// Takes out a field, which is then met.
fn remove(one: &mut MatchSpec, field: &str) {
    let (list, name) = field.split_once('[').unwrap_or((field, ""));
    let name = name.strip_suffix(']').unwrap_or(name);
    let (excluded, list) = match list.strip_prefix("not_") {
        Some(list) => (true, list),
        None => (false, list),
    };
    macro_rules! clear {
        ($fits:ident, $excluded:ident) => {
            if excluded {
                one.$excluded.clear();
            } else {
                one.$fits.clear();
            }
        };
    }
    macro_rules! clear_named {
        ($conditions:ident, $name:expr) => {{
            for condition in &mut one.$conditions {
                let own: String = $name(&*condition);
                if !own.eq_ignore_ascii_case(name) {
                    continue;
                }
                if excluded {
                    condition.not_values.clear();
                } else {
                    condition.values.clear();
                }
            }
            one.$conditions
                .retain(|it| !(it.values.is_empty() && it.not_values.is_empty()));
        }};
    }
    match list {
        "namespaces" => clear!(namespaces, not_namespaces),
        "principals" => clear!(principals, not_principals),
        "source_ips" => clear!(source_ips, not_source_ips),
        "remote_ips" => clear!(remote_ips, not_remote_ips),
        "destination_ips" => clear!(destination_ips, not_destination_ips),
        "destination_ports" => clear!(destination_ports, not_destination_ports),
        "service_accounts" => clear!(service_accounts, not_service_accounts),
        "trust_domains" => clear!(trust_domains, not_trust_domains),
        "snis" => clear!(snis, not_snis),
        "methods" => clear!(methods, not_methods),
        "hosts" => clear!(hosts, not_hosts),
        "paths" => clear!(paths, not_paths),
        "request_principals" => clear!(request_principals, not_request_principals),
        "headers" => clear_named!(headers, |it: &mesh_authz::spec::HeaderMatch| it
            .name
            .to_string()),
        "claims" => clear_named!(claims, |it: &mesh_authz::spec::ClaimMatch| it
            .path
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("][")),
        "metadata" => clear_named!(metadata, |it: &mesh_authz::spec::MetadataMatch| {
            let element = if it.element { "][[]" } else { "" };
            format!("{}][{}{element}", it.filter, it.key)
        }),
        other => panic!("{other} is no field"),
    }
}

#[test]
fn p13_what_is_reported_turns_the_answer_and_nothing_less_does() {
    let counts: [AtomicUsize; 3] = Default::default();
    check(question(), |mut question| {
        question.view = View::Request;
        let asked = Asked::of(question);
        let (told, plain) = asked.explain(&asked.specs);
        prop_assert_eq!(told.allowed, plain == PlainVerdict::Allow);
        if let Some((policy, rule)) = &told.rule {
            // Alone, the rule that is named decides the same.
            let mut only = asked.specs.clone();
            only.retain(|spec| spec.key() == *policy);
            only[0].rules = vec![only[0].rules[*rule].clone()];
            let alone = Asked {
                named: asked
                    .named
                    .iter()
                    .filter(|key| *key == policy)
                    .cloned()
                    .collect(),
                question: asked.question.clone(),
                specs: only,
                semantics: asked.semantics,
            };
            let (again, _) = alone.explain(&alone.specs);
            prop_assert_eq!(
                (again.allowed, again.rule),
                (told.allowed, Some((policy.clone(), 0)))
            );
            counts[0].fetch_add(1, Ordering::Relaxed);
        }
        let Some(nearest) = told.nearest else {
            return Ok(());
        };
        prop_assert_eq!(plain, PlainVerdict::DenyNoneAllowed);
        let places: Vec<_> = nearest
            .failed
            .iter()
            .map(|field| field.place.as_str())
            .collect();
        let places: Vec<_> = places
            .into_iter()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        prop_assert!(!places.is_empty());
        let met = meet(&asked.specs, &nearest.policy, &places);
        let (then, plain) = asked.explain(&met);
        prop_assert!(
            then.allowed && plain == PlainVerdict::Allow,
            "{:?}",
            nearest
        );
        prop_assert_eq!(
            then.rule.map(|(policy, _)| policy),
            Some(nearest.policy.clone())
        );
        counts[if places.len() == 1 { 1 } else { 2 }].fetch_add(1, Ordering::Relaxed);
        for left in &places {
            let others: Vec<_> = places
                .iter()
                .copied()
                .filter(|place| place != left)
                .collect();
            let (still, plain) = asked.explain(&meet(&asked.specs, &nearest.policy, &others));
            prop_assert!(
                !still.allowed && plain == PlainVerdict::DenyNoneAllowed,
                "{}",
                left
            );
        }
        Ok(())
    });
    let [named, one, several] = counts.map(AtomicUsize::into_inner);
    println!("{named} rules named; {one} answers turned by one condition, {several} by several");
    assert!(named > 0 && one > 0 && several > 0);
}

/// The sources of a rule, each as a rule without the others.
fn ways(rule: &Value) -> Vec<Value> {
    let Some(sources) = rule["from"].as_array() else {
        return vec![rule.clone()];
    };
    let one = |source: &Value| {
        let mut way = rule.clone();
        way["from"] = json!([source]);
        way
    };
    sources.iter().map(one).collect()
}

/// Whether it asks about a token, and whether it asks for some identity of the peer.
fn asks(way: &Value) -> (bool, bool) {
    let source = way["from"][0]["source"].as_object();
    let fields: Vec<&str> = source
        .into_iter()
        .flat_map(|it| it.keys())
        .map(String::as_str)
        .collect();
    let conditions = way["when"].as_array().into_iter().flatten();
    let conditions: Vec<(&str, bool)> = conditions
        .map(|it| (it["key"].as_str().unwrap(), it.get("values").is_some()))
        .collect();
    let token = fields.iter().any(|it| it.ends_with("equestPrincipals"))
        || conditions
            .iter()
            .any(|(key, _)| key.starts_with("request.auth."));
    let identities = [
        "principals",
        "namespaces",
        "serviceAccounts",
        "trustDomains",
    ];
    let keys = [
        "source.principal",
        "source.namespace",
        "source.serviceAccount",
        "source.trustDomain",
    ];
    let identity = fields.iter().any(|it| identities.contains(it))
        || conditions
            .iter()
            .any(|(key, wanted)| *wanted && keys.contains(key));
    (token, identity)
}

#[test]
fn p18_without_a_token_nothing_passes_that_asks_for_one_unless_lint_says_so() {
    let (passed, held) = (AtomicUsize::new(0), AtomicUsize::new(0));
    check(question(), |mut question| {
        question.view = View::Request;
        question.req.claims = None;
        let policies = std::mem::take(&mut question.policies);
        for policy in policies.iter().filter(|it| it["spec"]["action"] == "ALLOW") {
            let found = {
                let object = AuthorizationPolicy::read(policy).unwrap();
                let mut mesh = Inventory::new(product::settings(&question.mesh));
                let provenance = Provenance::of(&object.metadata);
                mesh.policy(object, provenance).unwrap();
                lint(&mesh)
            };
            let rules = policy["spec"]["rules"].as_array().into_iter().flatten();
            for (number, rule) in rules.enumerate() {
                let field = format!("spec.rules[{number}]");
                let told = found
                    .iter()
                    .any(|it| it.rule.id() == "L03" && *it.field == *field);
                for way in ways(rule) {
                    if asks(&way) != (true, false) {
                        continue;
                    }
                    let mut one = policy.clone();
                    one["spec"]["rules"] = json!([way]);
                    one["metadata"]["namespace"] = "app".into();
                    one["metadata"]["annotations"] = Value::Null;
                    let spec = one["spec"].as_object_mut().unwrap();
                    spec.remove("selector");
                    spec.remove("targetRefs");
                    if question.target.waypoint {
                        one["spec"]["targetRefs"] = json!([{"kind": "Service", "name": "web"}]);
                    }
                    question.policies = vec![one];
                    let plain = decide(
                        &question.mesh,
                        &question.policies,
                        &question.target,
                        View::Request,
                        &question.conn,
                        Some(&question.req),
                    );
                    let asked = Asked::of(question.clone());
                    let (product, _) = asked.explain(&asked.specs);
                    prop_assert_eq!(product.allowed, Word::of(&plain.verdict) == Word::Allow);
                    let count = if product.allowed { &passed } else { &held };
                    count.fetch_add(1, Ordering::Relaxed);
                    prop_assert!(!product.allowed || told, "{}", way);
                }
            }
        }
        Ok(())
    });
    let (passed, held) = (passed.into_inner(), held.into_inner());
    println!("{held} rules about tokens hold, {passed} do not and are told");
    assert!(held > 0);
}
