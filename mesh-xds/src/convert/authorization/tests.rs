//! Policies: field numbers of the schema, and nothing guessed.

use mesh_authz::{Connection, Verdict};
use mesh_core::model::{Workload, WorkloadSpec};
use mesh_core::store::Update;
use prost::Message;
use prost::encoding::encode_varint;

use super::*;
use crate::convert::authorization as encode;

/// A field of one message within others, as protobuf has it.
fn nested(path: &[u64], content: &[u8]) -> Vec<u8> {
    let mut bytes = content.to_vec();
    for number in path.iter().rev() {
        let mut outer = Vec::new();
        encode_varint(number << 3 | 2, &mut outer);
        encode_varint(bytes.len() as u64, &mut outer);
        outer.extend(&bytes);
        bytes = outer;
    }
    bytes
}

fn policy(extra: &[u8]) -> Result<PolicySpec, String> {
    let mut bytes = nested(&[1], b"name");
    bytes.extend(nested(&[2], b"ns"));
    bytes.extend(extra);
    Converter::new()
        .policy_resource(&"ns/name".into(), &bytes)
        .map_err(|error| error.to_string())
}

/// One match with these bytes in it: rule 5, clause 1, match 2.
fn of_match(content: &[u8]) -> Result<MatchSpec, String> {
    let mut policy = policy(&nested(&[5, 1, 2], content))?;
    Ok(policy.rules.remove(0).clauses.remove(0).matches.remove(0))
}

fn text(number: u64, kind: u64, text: &str) -> Vec<u8> {
    nested(&[number, kind], text.as_bytes())
}

#[test]
fn absent_fields_have_their_defaults() {
    let expected = PolicySpec::new("ns", "name", Scope::Global, Action::Allow);
    assert_eq!(policy(&[]), Ok(expected));
}

#[test]
fn scope_action_and_dry_run_have_their_numbers() {
    let spec = policy(&[3 << 3, 2, 4 << 3, 1, 6 << 3, 1]).unwrap();
    assert_eq!(spec.scope, Scope::WorkloadSelector);
    assert_eq!(spec.action, Action::Deny);
    assert!(spec.dry_run);
    assert_eq!(policy(&[3 << 3, 1]).unwrap().scope, Scope::Namespace);
}

#[test]
fn matches_have_number_2_in_a_clause() {
    let spec = policy(&nested(&[5, 1, 2], &text(1, 1, "a"))).unwrap();
    assert_eq!(spec.rules[0].clauses[0].matches.len(), 1);
    assert_eq!(
        policy(&nested(&[5, 1, 1], &[])),
        Err("clause: unknown field 1".into())
    );
}

#[test]
fn each_field_of_a_match_has_its_number() {
    let exact = |text: &str| vec![StringMatch::exact(text).unwrap()];
    let of = |number| of_match(&text(number, 1, "a")).unwrap();
    assert_eq!(of(1).namespaces, exact("a"));
    assert_eq!(of(2).not_namespaces, exact("a"));
    assert_eq!(of(3).principals, exact("a"));
    assert_eq!(of(4).not_principals, exact("a"));
    let kinds = [(2, StringMatch::prefix("a")), (3, StringMatch::suffix("a"))];
    for (kind, expected) in kinds {
        assert_eq!(
            of_match(&text(1, kind, "a")).unwrap().namespaces,
            [expected.unwrap()]
        );
    }
    let presence = of_match(&text(1, 4, "")).unwrap();
    assert_eq!(presence.namespaces, [StringMatch::Presence]);

    let mut range = nested(&[1], &[10, 0, 0, 0]);
    range.extend([2 << 3, 8]);
    let of = |number| of_match(&nested(&[number], &range)).unwrap();
    let net: Vec<ipnet::IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
    assert_eq!(of(5).source_ips, net);
    assert_eq!(of(6).not_source_ips, net);
    assert_eq!(of(7).destination_ips, net);
    assert_eq!(of(8).not_destination_ips, net);

    assert_eq!(
        of_match(&nested(&[9], &[80])).unwrap().destination_ports,
        [80],
        "packed"
    );
    assert_eq!(
        of_match(&[9 << 3, 80]).unwrap().destination_ports,
        [80],
        "not packed"
    );
    assert_eq!(
        of_match(&nested(&[10], &[80]))
            .unwrap()
            .not_destination_ports,
        [80]
    );

    let mut account = nested(&[1], b"ns");
    account.extend(nested(&[2], b"sa"));
    let of = |number| of_match(&nested(&[number], &account)).unwrap();
    let expected = [ServiceAccountMatch::new("ns", "sa").unwrap()];
    assert_eq!(of(11).service_accounts, expected);
    assert_eq!(of(12).not_service_accounts, expected);
}

#[test]
fn what_is_not_understood_rejects_the_policy() {
    for (bytes, expected) in [
        (vec![3 << 3, 3], "scope: unknown value 3"),
        (vec![4 << 3, 2], "action: unknown value 2"),
        (vec![8 << 3, 1], "policy: unknown field 8"),
        (nested(&[5], &[2 << 3, 1]), "rule: unknown field 2"),
        (nested(&[5, 1], &[3 << 3, 1]), "clause: unknown field 3"),
        (nested(&[5, 1, 2], &[14 << 3, 1]), "match: unknown field 14"),
        (
            nested(&[5, 1, 2, 1], &[5 << 3, 1]),
            "string match: unknown field 5",
        ),
        (
            nested(&[5, 1, 2, 5], &[3 << 3, 1]),
            "address: unknown field 3",
        ),
        (
            nested(&[5, 1, 2, 11], &[3 << 3, 1]),
            "service account: unknown field 3",
        ),
        (
            nested(&[5, 1, 2, 13], &[]),
            "extensions: a condition that this version does not know",
        ),
        (
            nested(&[5, 1, 2, 3], &[]),
            "principals: a string match needs one of exact, prefix, suffix and presence",
        ),
        (
            nested(&[5, 1, 2, 3, 1], &[]),
            "principals: a text to match is empty",
        ),
        (
            nested(&[5, 1, 2, 5, 1], &[1, 2, 3]),
            "source_ips: an IP address has 4 or 16 bytes, not 3",
        ),
        (
            nested(&[5, 1, 2], &[9 << 3, 0x80, 0x80, 4]),
            "destination_ports: 65536 is not a port",
        ),
    ] {
        assert_eq!(policy(&bytes), Err(expected.to_owned()));
    }
}

#[test]
fn extensions_of_the_policy_are_ignored_and_counted() {
    let mut converter = Converter::new();
    let mut bytes = nested(&[1], b"name");
    bytes.extend(nested(&[2], b"ns"));
    bytes.extend(nested(&[7], &[]));
    converter
        .policy_resource(&"ns/name".into(), &bytes)
        .unwrap();
    assert_eq!(converter.finish(), 1);
}

#[test]
fn a_policy_under_another_name_is_rejected() {
    let bytes = [nested(&[1], b"name"), nested(&[2], b"other")].concat();
    let rejected = Converter::new().policy_resource(&"ns/name".into(), &bytes);
    assert_eq!(rejected, Err(ConvertError::Key("other/name".into())));
}

#[test]
fn good_policies_reach_the_store_and_bad_ones_keep_what_they_were() {
    let store = std::sync::Arc::new(PolicyStore::new());
    let mut policies = Policies::new(store.clone());
    let mut good = PolicySpec::new("ns", "name", Scope::Namespace, Action::Deny);
    good.rules.push(RuleSpec::of(MatchSpec {
        principals: vec![StringMatch::suffix("/sa/cart").unwrap()],
        source_ips: vec!["10.0.0.0/8".parse().unwrap()],
        not_destination_ports: vec![80],
        service_accounts: vec![ServiceAccountMatch::new("ns", "sa").unwrap()],
        ..MatchSpec::default()
    }));
    let incoming = |name: &str, body: Vec<u8>, known| Incoming {
        name: name.into(),
        body: body.into(),
        known,
    };
    let body = encode(&good).encode_to_vec();
    let all = vec![incoming("ns/name", body, false)];
    let applied = policies.apply(Change::new(Vec::new(), all));
    assert_eq!(applied.rejected, []);
    assert!(store.index().policy("ns/name").is_some());
    let bad = nested(&[5, 1, 2], &[14 << 3, 1]);
    let all = vec![
        incoming("ns/name", bad, true),
        incoming("garbage", vec![0xff], false),
    ];
    let applied = policies.apply(Change::new(Vec::new(), all));
    let rejected: Vec<_> = applied.rejected.iter().map(|r| &*r.name).collect();
    assert_eq!(rejected, ["ns/name", "garbage"]);
    assert!(applied.replaced.is_empty());
    assert!(passes(&store, "ns", &[]), "the good one goes on");
    policies.apply(Change::new(vec!["ns/name".into()], Vec::new()));
    assert!(store.index().policy("ns/name").is_none());
}

/// A policy of `ns` that has something in it which this version does not know.
fn unknown(scope: u8, more: &[u8]) -> Incoming {
    let mut body = [nested(&[1], b"name"), nested(&[2], b"ns")].concat();
    body.extend([3 << 3, scope]);
    body.extend(nested(&[5, 1, 2], &[14 << 3, 1]));
    body.extend(more);
    Incoming {
        name: "ns/name".into(),
        body: body.into(),
        known: false,
    }
}

/// Whether a connection gets to a workload of a namespace that names these policies.
fn passes(store: &PolicyStore, namespace: &str, named: &[&str]) -> bool {
    let here = WorkloadSpec {
        namespace: namespace.into(),
        authorization_policies: named.iter().map(|name| (*name).into()).collect(),
        ..WorkloadSpec::default()
    };
    let (from, to) = ("10.0.0.1".parse().unwrap(), "10.0.0.2:80".parse().unwrap());
    let connection = Connection::new(from, None, to);
    let index = store.index();
    let here = Workload::new(here);
    let decision = index.decide(&here, &connection);
    matches!(decision.verdict, Verdict::Allow(_))
}

/// A policy that a workload names applies to it, whatever its scope.
#[test]
fn what_is_rejected_without_a_good_version_denies_where_it_would_apply() {
    for (scope, everywhere, own, other, named) in [
        (0, false, false, false, false),
        (1, true, false, true, false),
        (2, true, true, true, false),
    ] {
        let store = std::sync::Arc::new(PolicyStore::new());
        let mut policies = Policies::new(store.clone());
        let applied = policies.apply(Change::new(Vec::new(), vec![unknown(scope, &[])]));
        assert_eq!(applied.rejected.len(), 1, "{scope}");
        assert_eq!(applied.replaced, ["ns/name"], "{scope}");
        assert_eq!(passes(&store, "elsewhere", &[]), everywhere, "{scope}");
        assert_eq!(passes(&store, "ns", &[]), own, "{scope}");
        assert_eq!(passes(&store, "other", &[]), other, "{scope}");
        assert_eq!(passes(&store, "other", &["ns/name"]), named, "{scope}");
        // Another bad version changes nothing, a good one takes over, and a removal removes.
        let again = Incoming {
            known: true,
            ..unknown(scope, &[])
        };
        policies.apply(Change::new(Vec::new(), vec![again]));
        assert_eq!(passes(&store, "ns", &[]), own, "{scope}");
        let good = PolicySpec::new("ns", "name", Scope::Global, Action::Deny);
        let good = Incoming {
            name: "ns/name".into(),
            body: encode(&good).encode_to_vec().into(),
            known: true,
        };
        policies.apply(Change::new(Vec::new(), vec![good]));
        assert!(passes(&store, "ns", &["ns/name"]), "{scope}");
        policies.apply(Change::new(vec!["ns/name".into()], Vec::new()));
        assert!(store.index().policy("ns/name").is_none(), "{scope}");
    }
}

#[test]
fn what_only_the_store_rejects_is_replaced_too() {
    let store = std::sync::Arc::new(PolicyStore::with_limits(mesh_authz::Limits {
        rules: 1,
        ..mesh_authz::Limits::default()
    }));
    let mut policies = Policies::new(store.clone());
    let mut large = PolicySpec::new("ns", "name", Scope::Namespace, Action::Deny);
    large.rules = vec![RuleSpec::of(MatchSpec::default()); 2];
    let incoming = Incoming {
        name: "ns/name".into(),
        body: encode(&large).encode_to_vec().into(),
        known: false,
    };
    let applied = policies.apply(Change::new(Vec::new(), vec![incoming]));
    assert_eq!(
        (applied.rejected.len(), applied.replaced),
        (1, vec!["ns/name".into()])
    );
    assert!(!passes(&store, "ns", &[]));
}

/// What nobody can say where it applies, what enforces nothing, and whoever wants Istio's way.
#[test]
fn some_rejected_policies_are_left_out() {
    let of = |incoming: Incoming, rejected: Rejected| {
        let store = std::sync::Arc::new(PolicyStore::new());
        let mut policies = Policies::new(store.clone()).rejected(rejected);
        let applied = policies.apply(Change::new(Vec::new(), vec![incoming]));
        assert_eq!(applied.rejected.len(), 1);
        assert!(applied.replaced.is_empty());
        assert_eq!(store.index().policies().count(), 0);
    };
    let named = |name: &str| Incoming {
        name: name.into(),
        ..unknown(0, &[])
    };
    of(unknown(0, &[]), Rejected::LeftOut);
    of(unknown(3, &[]), Rejected::Denies);
    of(unknown(0, &[6 << 3, 1]), Rejected::Denies);
    of(named("name"), Rejected::Denies);
    of(named("ns/"), Rejected::Denies);
    of(named("ns/a/b"), Rejected::Denies);
    let garbage = Incoming {
        body: vec![0xff].into(),
        ..unknown(0, &[])
    };
    of(garbage, Rejected::Denies);
}

#[test]
fn what_the_store_rejects_is_rejected_with_the_place() {
    let store = PolicyStore::new();
    let nameless = PolicySpec::new("ns", "a/b", Scope::Namespace, Action::Deny);
    let rejected = Apply::apply(&store, vec![Update::Upsert(nameless)]);
    assert_eq!(rejected.len(), 1);
    assert!(rejected[0].reason.contains("without '/'"), "{rejected:?}");
}

#[test]
fn what_a_server_encodes_is_what_a_client_gets() {
    let mut spec = PolicySpec::new("ns", "name", Scope::WorkloadSelector, Action::Deny);
    spec.dry_run = true;
    spec.rules.push(RuleSpec::of(MatchSpec {
        not_namespaces: vec![StringMatch::Presence, StringMatch::prefix("a").unwrap()],
        not_principals: vec![StringMatch::exact("td/ns/a/sa/b").unwrap()],
        not_source_ips: vec!["fd00::/8".parse().unwrap()],
        destination_ips: vec!["10.0.0.1/32".parse().unwrap()],
        destination_ports: vec![1, 65535],
        not_service_accounts: vec![ServiceAccountMatch::new("ns", "sa").unwrap()],
        ..MatchSpec::default()
    }));
    let bytes = encode(&spec).encode_to_vec();
    let decoded = Converter::new().policy_resource(&"ns/name".into(), &bytes);
    assert_eq!(decoded, Ok(spec));
}
