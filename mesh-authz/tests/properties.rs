//! The compiled index says what the plain evaluator says, whatever came before.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use mesh_authz::spec::{Action, MatchSpec, PolicySpec, RuleSpec, Scope, StringMatch};
use mesh_authz::store::{PolicyStore, Update};
use mesh_authz::{Connection, Verdict, plain};
use mesh_core::identity::SpiffeId;
use mesh_core::model::{Workload, WorkloadSpec};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Few names that begin and end alike, so that matches are found.
const NAMES: [&str; 6] = ["a", "ab", "ba", "aab", "shop", "shopping"];

fn identity() -> impl Strategy<Value = Option<SpiffeId>> {
    let id = (
        select(&["td", "cluster.local"][..]),
        select(&NAMES[..]),
        select(&NAMES[..]),
    );
    proptest::option::weighted(
        0.8,
        id.prop_map(|(domain, namespace, account)| {
            format!("spiffe://{domain}/ns/{namespace}/sa/{account}")
                .parse()
                .unwrap()
        }),
    )
}

fn ip() -> impl Strategy<Value = IpAddr> {
    let v4 = (0..4_u8, 0..4_u8).prop_map(|(a, b)| IpAddr::from([10, a * 64, 0, b]));
    let v6 = (0..4_u16).prop_map(|a| IpAddr::from(Ipv6Addr::new(0xfd00, a, 0, 0, 0, 0, 0, 1)));
    let mapped = (0..4_u8).prop_map(|b| {
        let v4 = std::net::Ipv4Addr::new(10, 0, 0, b);
        IpAddr::from(v4.to_ipv6_mapped())
    });
    prop_oneof![4 => v4, 2 => v6, 1 => mapped]
}

fn range() -> impl Strategy<Value = ipnet::IpNet> {
    (ip(), any::<Index>()).prop_map(|(ip, bits)| {
        let longest = if ip.is_ipv4() { 32 } else { 128 };
        ipnet::IpNet::new(ip, u8::try_from(bits.index(longest + 1)).unwrap()).unwrap()
    })
}

fn port() -> impl Strategy<Value = u16> {
    select(&[0, 80, 81, 443, 65535][..])
}

fn pattern(texts: impl Strategy<Value = String>) -> impl Strategy<Value = StringMatch> {
    (texts, any::<(Index, Index)>(), 0..9_u8).prop_map(|(text, (from, to), kind)| {
        let (a, b) = (from.index(text.len()), to.index(text.len()));
        match kind {
            0..3 => StringMatch::exact(text).unwrap(),
            3..5 => StringMatch::prefix(&text[..=a]).unwrap(),
            5..7 => StringMatch::suffix(&text[b..]).unwrap(),
            7 => StringMatch::exact(format!("{}*{}", &text[..=a], &text[b..])).unwrap(),
            _ => StringMatch::Presence,
        }
    })
}

fn namespace() -> impl Strategy<Value = StringMatch> {
    pattern(select(&NAMES[..]).prop_map(str::to_owned))
}

fn principal() -> impl Strategy<Value = StringMatch> {
    let id = identity().prop_map(|id| id.map_or("nobody".to_owned(), |id| id.to_string()));
    pattern(id.prop_map(|id| id.trim_start_matches("spiffe://").to_owned()))
}

fn list<T: Clone + std::fmt::Debug + 'static>(
    value: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Vec<T>> {
    prop_oneof![5 => Just(Vec::new()).boxed(), 2 => vec(value, 1..3).boxed()]
}

fn one_match() -> impl Strategy<Value = MatchSpec> {
    let account = (select(&NAMES[..]), select(&NAMES[..]))
        .prop_map(|(namespace, name)| support::account(&format!("{namespace}/{name}")));
    let account = account.boxed();
    (
        (list(namespace()), list(namespace())),
        (list(principal()), list(principal())),
        (list(account.clone()), list(account)),
        (list(range()), list(range())),
        (list(range()), list(range())),
        (list(port()), list(port())),
    )
        .prop_map(
            |(namespaces, principals, accounts, sources, destinations, ports)| MatchSpec {
                namespaces: namespaces.0,
                not_namespaces: namespaces.1,
                principals: principals.0,
                not_principals: principals.1,
                service_accounts: accounts.0,
                not_service_accounts: accounts.1,
                source_ips: sources.0,
                not_source_ips: sources.1,
                destination_ips: destinations.0,
                not_destination_ips: destinations.1,
                destination_ports: ports.0,
                not_destination_ports: ports.1,
                ..MatchSpec::default()
            },
        )
}

fn rule() -> impl Strategy<Value = RuleSpec> {
    let one_match = || one_match().boxed();
    let clause = prop_oneof![
        1 => vec(one_match(), 0),
        6 => vec(one_match(), 1),
        2 => vec(one_match(), 2..4),
    ]
    .boxed();
    let clauses = prop_oneof![1 => vec(clause.clone(), 0), 10 => vec(clause, 1..4)];
    clauses.prop_map(support::rule)
}

fn policy(keys: usize) -> impl Strategy<Value = PolicySpec> {
    let scope = select(&[Scope::Global, Scope::Namespace, Scope::WorkloadSelector][..]);
    let action = select(&[Action::Allow, Action::Deny][..]);
    (
        0..keys,
        scope,
        action,
        proptest::bool::weighted(0.2),
        vec(rule(), 0..4),
    )
        .prop_map(|(key, scope, action, dry_run, rules)| PolicySpec {
            dry_run,
            rules,
            // Half of the policies are in the namespace of the workload.
            ..PolicySpec::new(["shop", "other"][key % 2], format!("p{key}"), scope, action)
        })
}

fn workload(keys: usize) -> impl Strategy<Value = Workload> {
    vec(0..keys + 2, 0..5).prop_map(|named| {
        let keys = named.iter();
        let keys = keys.map(|key| format!("{}/p{key}", ["shop", "other"][key % 2]).into());
        Workload::new(WorkloadSpec {
            namespace: "shop".into(),
            authorization_policies: keys.collect(),
            ..WorkloadSpec::default()
        })
    })
}

type Facts = (IpAddr, Option<SpiffeId>, IpAddr, u16);

fn connection() -> impl Strategy<Value = Facts> {
    (ip(), identity(), ip(), port())
}

fn view((source, identity, destination, port): &Facts) -> Connection<'_> {
    Connection::new(*source, identity.as_ref(), (*destination, *port).into())
}

#[derive(Clone, Debug)]
enum Step {
    Upsert(PolicySpec),
    Remove(usize),
    ReplaceAll(Vec<PolicySpec>),
}

fn step(keys: usize) -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => policy(keys).prop_map(Step::Upsert),
        10 => (0..keys).prop_map(Step::Remove),
        1 => vec(policy(keys), 0..20).prop_map(Step::ReplaceAll),
    ]
}

/// Applies steps to the store and to a plain map; some steps share a batch.
fn run(steps: Vec<Step>, batch: usize) -> (PolicyStore, Vec<PolicySpec>) {
    let store = PolicyStore::new();
    let mut known = BTreeMap::new();
    let mut updates = Vec::new();
    for (at, step) in steps.into_iter().enumerate() {
        match step {
            Step::Upsert(policy) => {
                known.insert(policy.key(), policy.clone());
                updates.push(Update::Upsert(policy));
            }
            Step::Remove(key) => {
                let key = format!("{}/p{key}", ["shop", "other"][key % 2]);
                known.remove(key.as_str());
                updates.push(Update::Remove(key.into()));
            }
            Step::ReplaceAll(policies) => {
                assert_eq!(store.apply(std::mem::take(&mut updates)).rejected, []);
                let policies: BTreeMap<_, _> = policies.into_iter().map(|p| (p.key(), p)).collect();
                assert_eq!(
                    store
                        .replace_all(policies.values().cloned().collect())
                        .rejected,
                    []
                );
                known = policies;
            }
        }
        if at % batch == 0 {
            assert_eq!(store.apply(std::mem::take(&mut updates)).rejected, []);
        }
    }
    assert_eq!(store.apply(updates).rejected, []);
    (store, known.into_values().collect())
}

fn agree(
    store: &PolicyStore,
    known: &[PolicySpec],
    workload: &Workload,
    connections: &[Facts],
) -> Result<(), TestCaseError> {
    let index = store.index();
    prop_assert_eq!(index.len(), known.len());
    for facts in connections {
        let connection = view(facts);
        let decision = index.decide(workload, &connection);
        let expected = plain::decide(known, workload, &connection);
        prop_assert_eq!(support::plain(&decision), expected, "{:?}", connection);
        // The rule that is named as the reason does match, alone.
        if let Verdict::Deny(mesh_authz::DenyReason::Explicit(reason)) = decision.verdict {
            let spec = reason.policy().to_spec();
            let only = PolicySpec {
                rules: vec![spec.rules[reason.rule()].clone()],
                ..spec
            };
            prop_assert!(plain::matches_policy(&only, &connection));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_index_equals_the_plain_evaluator(
        steps in vec(step(60), 0..120),
        batch in 1..20_usize,
        workload in workload(60),
        connections in vec(connection(), 20),
    ) {
        let (store, known) = run(steps, batch);
        agree(&store, &known, &workload, &connections)?;
    }

    #[test]
    fn one_policy_is_decided_as_by_the_plain_evaluator(
        policy in policy(2),
        connections in vec(connection(), 20),
    ) {
        let store = support::store(std::slice::from_ref(&policy));
        let workload = support::workload(&[policy.key().as_str()]);
        agree(&store, &[policy], &workload, &connections)?;
    }

    /// Compiling sorts and merges, and changes nothing of the meaning.
    #[test]
    fn a_dump_means_the_same(policy in policy(2), connections in vec(connection(), 20)) {
        let index = support::store(std::slice::from_ref(&policy)).index();
        let dumped = index.policy(&policy.key()).unwrap().to_spec();
        for facts in &connections {
            let (a, b) = (plain::matches_policy(&dumped, &view(facts)), plain::matches_policy(&policy, &view(facts)));
            prop_assert_eq!(a, b);
        }
        let again = support::store(std::slice::from_ref(&dumped)).index();
        prop_assert_eq!(again.policy(&policy.key()).unwrap().to_spec(), dumped);
    }

    /// A DENY more never allows more.
    #[test]
    fn another_deny_allows_nothing_more(
        policies in vec(policy(20), 0..20),
        mut deny in policy(1),
        connections in vec(connection(), 20),
    ) {
        deny.action = Action::Deny;
        deny.name = "new".into();
        let workload = support::workload(&[]);
        let before = PolicyStore::new();
        prop_assert!(before.apply(policies.into_iter().map(Update::Upsert).collect()).rejected.is_empty());
        let old = before.index();
        prop_assert!(before.apply(vec![Update::Upsert(deny)]).rejected.is_empty());
        for facts in &connections {
            let denied = matches!(old.decide(&workload, &view(facts)).verdict, Verdict::Deny(_));
            let still = matches!(before.index().decide(&workload, &view(facts)).verdict, Verdict::Deny(_));
            prop_assert!(!denied || still);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Enough of the same to fill crowded pivots and several shards of the sieve.
    #[test]
    fn large_sets_are_decided_as_by_the_plain_evaluator(
        policies in vec(policy(usize::MAX), 40),
        copies in 30..40_usize,
        removed in vec(any::<Index>(), 0..200),
        connections in vec(connection(), 10),
    ) {
        let mut known: BTreeMap<_, _> = BTreeMap::new();
        for copy in 0..copies {
            for (at, policy) in policies.iter().enumerate() {
                let name = format!("p{at}-{copy}").into();
                let policy = PolicySpec { name, scope: Scope::Namespace, namespace: "shop".into(), ..policy.clone() };
                known.insert(policy.key(), policy);
            }
        }
        let store = support::store(&known.values().cloned().collect::<Vec<_>>());
        let mut removals = Vec::new();
        for at in removed {
            let key = known.keys().nth(at.index(known.len())).unwrap().clone();
            known.remove(&key);
            removals.push(Update::Remove(key));
        }
        prop_assert!(store.apply(removals).rejected.is_empty());
        let known: Vec<_> = known.into_values().collect();
        agree(&store, &known, &support::workload(&[]), &connections)?;
    }
}
