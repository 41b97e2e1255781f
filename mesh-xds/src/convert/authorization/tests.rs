//! Policies: field numbers of the schema, and nothing guessed.

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
    let incoming = |name: &str, body: Vec<u8>| Incoming {
        name: name.into(),
        body: body.into(),
    };
    let body = encode(&good).encode_to_vec();
    let applied = policies.apply(Change::new(Vec::new(), vec![incoming("ns/name", body)]));
    assert_eq!(applied.rejected, []);
    let before = store.index().policy("ns/name").cloned();
    assert!(before.is_some());
    let bad = nested(&[5, 1, 2], &[14 << 3, 1]);
    let all = vec![incoming("ns/name", bad), incoming("garbage", vec![0xff])];
    let applied = policies.apply(Change::new(Vec::new(), all));
    let rejected: Vec<_> = applied.rejected.iter().map(|r| &*r.name).collect();
    assert_eq!(rejected, ["ns/name", "garbage"]);
    assert!(store.index().policy("ns/name").is_some());
    policies.apply(Change::new(vec!["ns/name".into()], Vec::new()));
    assert!(store.index().policy("ns/name").is_none());
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
