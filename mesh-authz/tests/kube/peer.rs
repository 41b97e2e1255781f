//! `PeerAuthentication`: composed, evaluated, converted.

use std::collections::BTreeMap;

use mesh_authz::kube::{
    EffectiveMtls, Labels, MtlsMode, MtlsPolicy, MtlsShape, PeerPolicy, Settings, static_strict,
};
use mesh_authz::spec::{Action, PolicySpec, Scope};
use mesh_authz::store::{PolicyStore, Update};
use mesh_authz::{Connection, Verdict};
use mesh_core::identity::SpiffeId;
use mesh_core::model::{Workload, WorkloadSpec};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::peer;

const ROOT: &str = "istio-system";

fn app() -> Labels {
    Labels::from([("app".into(), "a".into()), ("stage".into(), "test".into())])
}

/// A policy from `namespace/name@second`, a label of its selector, a mode and modes of ports.
fn policy(key: &str, label: Option<(&str, &str)>, mode: &str, ports: &[(u16, &str)]) -> PeerPolicy {
    let (key, second) = key.split_once('@').unwrap_or((key, "0"));
    let (namespace, name) = key.split_once('/').unwrap();
    let created = format!("2026-01-01T00:00:0{second}Z");
    let metadata = json!({ "namespace": namespace, "name": name, "creationTimestamp": created });
    let mut spec = json!({});
    if !mode.is_empty() {
        spec["mtls"] = json!({ "mode": mode });
    }
    if let Some((key, value)) = label {
        spec["selector"] = json!({ "matchLabels": { key: value } });
    }
    if !ports.is_empty() {
        let ports = ports
            .iter()
            .map(|(port, mode)| (port.to_string(), json!({ "mode": mode })));
        spec["portLevelMtls"] = Value::Object(ports.collect());
    }
    peer(metadata, spec).unwrap()
}

fn effective(policies: &[PeerPolicy]) -> EffectiveMtls {
    EffectiveMtls::of(policies, "foo", &app(), &Settings::default())
}

const APP: Option<(&str, &str)> = Some(("app", "a"));
const PROD: Option<(&str, &str)> = Some(("stage", "prod"));

/// The cases of Istio's own table for composition, and a tie.
#[test]
#[rustfmt::skip]
fn levels_are_put_together() {
    use MtlsMode::{Disable, Permissive, Strict};
    let cases: Vec<(&str, Vec<PeerPolicy>, MtlsMode)> = vec![
        ("no config", vec![], Permissive),
        ("mesh only", vec![policy("istio-system/default", None, "STRICT", &[])], Strict),
        ("mesh vs namespace", vec![
            policy("istio-system/default", None, "STRICT", &[]), policy("foo/default", None, "PERMISSIVE", &[]),
        ], Permissive),
        ("ignore selector in root namespace", vec![policy("istio-system/default", APP, "STRICT", &[])], Permissive),
        ("ignore another namespace", vec![policy("bar/default", None, "STRICT", &[])], Permissive),
        ("ignore other labels", vec![policy("foo/foo", PROD, "STRICT", &[])], Permissive),
        ("workload vs namespace config", vec![
            policy("foo/default", None, "", &[]), policy("foo/foo", APP, "", &[]),
        ], Permissive),
        ("workload over namespace", vec![
            policy("foo/default", None, "STRICT", &[]), policy("foo/foo", APP, "DISABLE", &[]),
        ], Disable),
        ("workload vs mesh config", vec![
            policy("foo/default", None, "PERMISSIVE", &[]), policy("istio-system/default", None, "DISABLE", &[]),
        ], Permissive),
        ("multiple mesh policy", vec![
            policy("istio-system/now@2", None, "DISABLE", &[]),
            policy("istio-system/second-ago@1", None, "PERMISSIVE", &[]),
            policy("istio-system/second-later@3", None, "STRICT", &[]),
        ], Permissive),
        ("multiple namespace policy", vec![
            policy("foo/now@2", None, "DISABLE", &[]),
            policy("foo/second-ago@1", None, "PERMISSIVE", &[]),
            policy("foo/second-later@3", None, "STRICT", &[]),
        ], Permissive),
        ("multiple workload policy", vec![
            policy("foo/now@2", APP, "DISABLE", &[]),
            policy("foo/second-ago@1", APP, "PERMISSIVE", &[]),
            policy("foo/oldest@0", PROD, "STRICT", &[]),
        ], Permissive),
        ("equally old: the first by name", vec![
            policy("foo/b@1", None, "PERMISSIVE", &[]), policy("foo/a@1", None, "STRICT", &[]),
        ], Strict),
        ("inheritance: default mesh", vec![policy("istio-system/default", None, "UNSET", &[])], Permissive),
        ("inheritance: mesh to workload", vec![
            policy("istio-system/default", None, "STRICT", &[]), policy("foo/foo", APP, "", &[]),
        ], Strict),
        ("inheritance: namespace to workload", vec![
            policy("foo/default", None, "STRICT", &[]), policy("foo/foo", APP, "UNSET", &[]),
        ], Strict),
        ("inheritance: mesh to namespace to workload", vec![
            policy("istio-system/default", None, "STRICT", &[]), policy("foo/default", None, "UNSET", &[]),
            policy("foo/foo", APP, "", &[]),
        ], Strict),
        ("permissive namespace under a strict mesh", vec![
            policy("istio-system/default", None, "STRICT", &[]), policy("foo/default", None, "PERMISSIVE", &[]),
            policy("foo/foo", APP, "", &[]),
        ], Permissive),
    ];
    for (name, mut policies, expected) in cases {
        assert_eq!(effective(&policies).mode, expected, "{name}");
        policies.reverse();
        assert_eq!(effective(&policies).mode, expected, "{name}, in another order");
    }
}

#[test]
fn ports_inherit_what_holds_for_the_workload() {
    let strict = policy(
        "foo/foo",
        APP,
        "STRICT",
        &[(80, "DISABLE"), (90, "UNSET"), (100, "STRICT")],
    );
    let of = effective(&[strict]);
    let expected = BTreeMap::from([
        (80, MtlsMode::Disable),
        (90, MtlsMode::Strict),
        (100, MtlsMode::Strict),
    ]);
    assert_eq!((of.mode, &of.ports), (MtlsMode::Strict, &expected));
    let plain: Vec<_> = [80, 90, 100, 110]
        .map(|port| of.accepts_plaintext(port))
        .into();
    assert_eq!(plain, [true, false, false, false]);

    let mesh = policy("istio-system/default", None, "STRICT", &[]);
    let unset = policy("foo/foo", APP, "", &[(80, "UNSET")]);
    assert_eq!(effective(&[mesh, unset]).ports[&80], MtlsMode::Strict);
}

/// The cases of Istio's own table for the settings of one port, 8080.
#[test]
fn a_port_takes_plain_text_as_its_table_says() {
    for (name, policies, accepts) in [
        ("no policy", vec![], true),
        ("disable", vec![policy("foo/a", None, "DISABLE", &[])], true),
        (
            "permissive",
            vec![policy("foo/a", None, "PERMISSIVE", &[])],
            true,
        ),
        ("strict", vec![policy("foo/a", None, "STRICT", &[])], false),
        (
            "several, strict",
            vec![
                policy("foo/now@1", APP, "STRICT", &[]),
                policy("foo/later@2", APP, "DISABLE", &[]),
            ],
            false,
        ),
        (
            "several, permissive",
            vec![
                policy("foo/now@1", APP, "STRICT", &[]),
                policy("foo/earlier@0", APP, "PERMISSIVE", &[]),
            ],
            true,
        ),
        (
            "port hit",
            vec![policy("foo/a", APP, "DISABLE", &[(8080, "STRICT")])],
            false,
        ),
        (
            "port miss",
            vec![policy("foo/a", APP, "DISABLE", &[(7070, "STRICT")])],
            true,
        ),
    ] {
        assert_eq!(
            effective(&policies).accepts_plaintext(8080),
            accepts,
            "{name}"
        );
    }
}

/// A policy of `foo` in the words that istiod's tests have: groups are joined by ` | `, the rules of
/// a group by ` & `; `!peer` is `notPrincipals: [presence]`.
fn words(policy: &PolicySpec) -> String {
    assert_eq!(
        (policy.action, policy.scope),
        (Action::Deny, Scope::WorkloadSelector)
    );
    let one = |each: &mesh_authz::spec::MatchSpec| {
        let mut words = Vec::new();
        words.extend(each.destination_ports.iter().map(|port| format!("{port}")));
        words.extend(
            each.not_destination_ports
                .iter()
                .map(|port| format!("!{port}")),
        );
        words.extend((!each.not_principals.is_empty()).then(|| "!peer".to_owned()));
        words.join(",")
    };
    let rule = |rule: &mesh_authz::spec::RuleSpec| {
        let clauses = rule.clauses.iter().map(|clause| {
            assert_eq!(clause.matches.len(), 1);
            one(&clause.matches[0])
        });
        clauses.collect::<Vec<_>>().join(" & ")
    };
    policy
        .rules
        .iter()
        .map(rule)
        .collect::<Vec<_>>()
        .join(" | ")
}

/// The names of istiod's golden files; the cases are written from its rules. `-` is no policy of
/// its own, and after the comma is what is named: `-`, `static` or `own`.
#[test]
#[rustfmt::skip]
fn the_golden_cases_of_istiod() {
    let mesh = |mode| policy("istio-system/default-mesh", None, mode, &[]);
    let namespace = |mode| policy("foo/default-foo", None, mode, &[]);
    let workload = |mode, ports: &[(u16, &str)]| policy("foo/workload", APP, mode, ports);
    let cases: Vec<(&str, Vec<PeerPolicy>, &str, &str, &str)> = vec![
        ("peer-authn-disable", vec![workload("DISABLE", &[])], "-", "-", "nothing"),
        ("peer-authn-disable-port-mtls-strict", vec![workload("DISABLE", &[(9090, "STRICT")])], "9090,!peer", "9090,!peer", "own"),
        ("peer-authn-permissive", vec![workload("PERMISSIVE", &[])], "-", "-", "nothing"),
        ("peer-authn-permissive-port-mtls-strict", vec![workload("PERMISSIVE", &[(9090, "STRICT")])], "9090,!peer", "9090,!peer", "own"),
        ("peer-authn-permissive-port-mtls-strict-and-permissive",
            vec![workload("PERMISSIVE", &[(9090, "STRICT"), (8080, "PERMISSIVE")])], "9090,!peer", "9090,!peer", "own"),
        ("peer-authn-permissive-root-permissive-namespace-strict-workload-ports",
            vec![mesh("PERMISSIVE"), namespace("PERMISSIVE"), workload("", &[(9090, "STRICT"), (9091, "STRICT")])],
            "9090,!peer | 9091,!peer", "9090,9091,!peer", "own"),
        ("peer-authn-permissive-root-permissive-workload", vec![mesh("PERMISSIVE"), workload("PERMISSIVE", &[])], "-", "-", "nothing"),
        ("peer-authn-permissive-root-strict-namespace-permissive-workload",
            vec![mesh("PERMISSIVE"), namespace("STRICT"), workload("", &[(8080, "PERMISSIVE")])],
            "!8080 & !peer", "!8080,!peer", "own"),
        ("peer-authn-permissive-root-unset-namespace-mixed-workload-ports",
            vec![mesh("PERMISSIVE"), namespace("UNSET"), workload("", &[(9090, "STRICT"), (8080, "PERMISSIVE")])],
            "9090,!peer", "9090,!peer", "own"),
        ("peer-authn-strict", vec![namespace("STRICT")], "-", "-", "static"),
        ("peer-authn-strict-and-disable-port-mtls", vec![workload("STRICT", &[(8080, "DISABLE")])], "!peer & !8080", "!8080,!peer", "own"),
        ("peer-authn-strict-and-permissive-port-mtls", vec![workload("STRICT", &[(8080, "PERMISSIVE")])], "!peer & !8080", "!8080,!peer", "own"),
        ("peer-authn-strict-and-strict-port-mtls", vec![workload("STRICT", &[(8080, "STRICT")])], "-", "-", "static"),
        ("peer-authn-strict-port-mtls-strict-and-permissive",
            vec![workload("STRICT", &[(9090, "STRICT"), (8080, "PERMISSIVE")])], "!peer & !8080", "!8080,!peer", "own"),
        ("peer-authn-strict-root-permissive-namespace-strict-workload",
            vec![mesh("STRICT"), namespace("PERMISSIVE"), workload("STRICT", &[(8080, "PERMISSIVE"), (8081, "PERMISSIVE")])],
            "!peer & !8080 & !8081", "!8080,!8081,!peer", "own"),
        ("peer-authn-strict-root-permissive-workload", vec![mesh("STRICT"), workload("PERMISSIVE", &[(9090, "STRICT")])],
            "9090,!peer", "9090,!peer", "own"),
        ("peer-authn-strict-root-unset-workload-port-mtls-strict-and-permissive",
            vec![mesh("STRICT"), workload("", &[(9090, "PERMISSIVE"), (8080, "STRICT")])], "!9090 & !peer", "!9090,!peer", "own"),
        ("peer-authn-strict-workload", vec![workload("STRICT", &[])], "-", "-", "static"),
        ("peer-authn-unset-port-mtls-strict", vec![workload("UNSET", &[(9090, "STRICT")])], "9090,!peer", "9090,!peer", "own"),
    ];
    for (name, policies, istiod, merged, named) in cases {
        let of = effective(&policies);
        for (shape, expected) in [(MtlsShape::Istiod, istiod), (MtlsShape::Merged, merged)] {
            let policy = of.policy(shape);
            let key = policy.key(&ROOT.into());
            let (found, kind) = match &policy {
                MtlsPolicy::Nothing => ("-".to_owned(), "nothing"),
                MtlsPolicy::StaticStrict => ("-".to_owned(), "static"),
                MtlsPolicy::Own(policy) => (words(policy), "own"),
            };
            assert_eq!((found.as_str(), kind), (expected, named), "{name} {shape:?}");
            let expected_key = match named {
                "own" => Some("foo/converted_peer_authentication_workload".into()),
                "static" => Some("istio-system/istio_converted_static_strict".into()),
                _ => None,
            };
            assert_eq!(key, expected_key, "{name}");
        }
    }
    assert_eq!(words(&static_strict(ROOT)), "!peer");
}

/// Under a strict mesh, a namespace and a workload that say nothing keep it strict on all ports but
/// the one that is permissive, and DISABLE of a port means the same.
#[test]
fn what_is_left_unset_under_a_strict_parent_is_never_open() {
    for mode in ["PERMISSIVE", "DISABLE"] {
        let of = effective(&[
            policy("istio-system/mesh", None, "STRICT", &[]),
            policy("foo/namespace", None, "UNSET", &[]),
            policy("foo/workload", APP, "UNSET", &[(8080, mode)]),
        ]);
        for shape in [MtlsShape::Istiod, MtlsShape::Merged] {
            let enforced = Enforced::of(&of, shape);
            assert!(enforced.accepts(8080, false), "{mode} {shape:?}");
            assert!(!enforced.accepts(9090, false), "{mode} {shape:?}");
            assert!(enforced.accepts(9090, true), "{mode} {shape:?}");
        }
    }
}

/// A node proxy with the policies that a workload names.
struct Enforced {
    store: PolicyStore,
    workload: Workload,
    identity: SpiffeId,
}

impl Enforced {
    fn of(effective: &EffectiveMtls, shape: MtlsShape) -> Self {
        let policy = effective.policy(shape);
        let key = policy.key(&ROOT.into());
        let store = PolicyStore::new();
        let mut batch = vec![Update::Upsert(static_strict(ROOT))];
        if let MtlsPolicy::Own(policy) = policy {
            batch.push(Update::Upsert(policy));
        }
        assert!(store.apply(batch).rejected.is_empty());
        let here = WorkloadSpec {
            namespace: "foo".into(),
            authorization_policies: key.into_iter().collect(),
            ..WorkloadSpec::default()
        };
        Self {
            store,
            workload: Workload::new(here),
            identity: "spiffe://td/ns/a/sa/b".parse().unwrap(),
        }
    }

    fn accepts(&self, port: u16, peer: bool) -> bool {
        let to = ([10, 0, 0, 2], port).into();
        let from = "10.0.0.1".parse().unwrap();
        let connection = Connection::new(from, peer.then_some(&self.identity), to);
        let index = self.store.index();
        let verdict = index.decide(&self.workload, &connection).verdict;
        matches!(verdict, Verdict::Allow(_))
    }
}

fn any_policy() -> impl Strategy<Value = PeerPolicy> {
    let mode = || prop::sample::select(vec!["", "UNSET", "DISABLE", "PERMISSIVE", "STRICT"]);
    let port_mode = prop::sample::select(vec!["UNSET", "DISABLE", "PERMISSIVE", "STRICT"]);
    let ports = prop::collection::btree_map(80_u16..84, port_mode, 1..4);
    let namespace = prop::sample::select(vec![ROOT, "foo", "bar"]);
    let label = prop::sample::select(vec![None, APP, PROD]);
    let age = 0..3_u8;
    (namespace, label, mode(), ports, any::<bool>(), "[a-c]", age).prop_map(
        |(namespace, label, mode, ports, with_ports, name, age)| {
            let ports: Vec<_> = ports.into_iter().collect();
            let ports = if with_ports && label.is_some() {
                ports.as_slice()
            } else {
                &[]
            };
            policy(&format!("{namespace}/{name}@{age}"), label, mode, ports)
        },
    )
}

proptest! {
    /// P17: what is converted refuses what the effective modes refuse, and nothing else.
    #[test]
    fn conversion_is_evaluation(policies in prop::collection::vec(any_policy(), 0..6)) {
        let of = effective(&policies);
        for shape in [MtlsShape::Istiod, MtlsShape::Merged] {
            let enforced = Enforced::of(&of, shape);
            for port in [79, 80, 81, 82, 83, 84, 15008] {
                prop_assert_eq!(enforced.accepts(port, false), of.accepts_plaintext(port), "{} {:?}", port, shape);
                prop_assert!(enforced.accepts(port, true));
            }
        }
    }
}
