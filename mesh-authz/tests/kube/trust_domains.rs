//! The trust domains that a mesh takes for one.

use mesh_authz::kube::TrustDomains;
use mesh_authz::spec::{MatchSpec, PolicySpec, RuleSpec, StringMatch};
use mesh_authz::store::{PolicyStore, Update};
use mesh_authz::{Connection, Verdict};
use mesh_core::identity::SpiffeId;
use mesh_core::model::{Workload, WorkloadSpec};
use serde_json::json;

use crate::support::accepted;

fn bundle(all: &[&str]) -> TrustDomains {
    let mut all = all.iter().map(|domain| domain.parse().unwrap());
    TrustDomains::new(all.next().unwrap(), all)
}

fn texts(all: &[&str]) -> Vec<StringMatch> {
    all.iter()
        .map(|text| StringMatch::parse(text).unwrap())
        .collect()
}

/// The cases of Istio's own table for aliases, and the rules beside them.
#[test]
fn principals_are_expanded_to_all_aliases() {
    for (name, domains, principals, expected) in [
        (
            "no alias",
            vec!["cluster.local"],
            vec!["cluster.local/ns/foo/sa/bar"],
            vec!["cluster.local/ns/foo/sa/bar"],
        ),
        ("*", vec!["cluster.local"], vec!["*"], vec!["*"]),
        (
            "any trust domain",
            vec!["cluster.local"],
            vec!["*/ns/foo/sa/bar"],
            vec!["*/ns/foo/sa/bar"],
        ),
        (
            "one alias, one principal",
            vec!["td2", "td1"],
            vec!["td1/ns/foo/sa/bar"],
            vec!["td2/ns/foo/sa/bar", "td1/ns/foo/sa/bar"],
        ),
        (
            "one alias, two principals",
            vec!["td1", "cluster.local"],
            vec!["cluster.local/ns/foo/sa/bar", "cluster.local/ns/yyy/sa/zzz"],
            vec![
                "td1/ns/foo/sa/bar",
                "cluster.local/ns/foo/sa/bar",
                "td1/ns/yyy/sa/zzz",
                "cluster.local/ns/yyy/sa/zzz",
            ],
        ),
        (
            "patterns without trust domain",
            vec!["td1", "cluster.local"],
            vec!["*/ns/foo/sa/bar", "*sa/zzz", "*"],
            vec!["*/ns/foo/sa/bar", "*sa/zzz", "*"],
        ),
        (
            "two aliases, two principals",
            vec!["td2", "td1", "cluster.local"],
            vec!["cluster.local/ns/foo/sa/bar", "td1/ns/yyy/sa/zzz"],
            vec![
                "td2/ns/foo/sa/bar",
                "td1/ns/foo/sa/bar",
                "cluster.local/ns/foo/sa/bar",
                "td2/ns/yyy/sa/zzz",
                "td1/ns/yyy/sa/zzz",
                "cluster.local/ns/yyy/sa/zzz",
            ],
        ),
        (
            "a pattern at the trust domain",
            vec!["td2", "foo-td1", "cluster.local"],
            vec!["*-td1/ns/foo/sa/bar"],
            vec![
                "td2/ns/foo/sa/bar",
                "*-td1/ns/foo/sa/bar",
                "cluster.local/ns/foo/sa/bar",
            ],
        ),
        (
            "another trust domain",
            vec!["td1", "td2"],
            vec!["some-td/ns/foo/sa/bar"],
            vec!["some-td/ns/foo/sa/bar"],
        ),
        (
            "the last alias",
            vec!["td1", "td2", "some-td"],
            vec!["some-td/ns/foo/sa/bar"],
            vec![
                "td1/ns/foo/sa/bar",
                "td2/ns/foo/sa/bar",
                "some-td/ns/foo/sa/bar",
            ],
        ),
        (
            "one of two",
            vec!["new-td", "td2", "td3"],
            vec!["td1/ns/some-ns/sa/some-sa", "td2/ns/foo/sa/bar"],
            vec![
                "td1/ns/some-ns/sa/some-sa",
                "new-td/ns/foo/sa/bar",
                "td2/ns/foo/sa/bar",
                "td3/ns/foo/sa/bar",
            ],
        ),
        (
            "cluster.local is the mesh, whatever its name",
            vec!["td1"],
            vec!["cluster.local/ns/foo/sa/bar"],
            vec!["td1/ns/foo/sa/bar"],
        ),
        (
            "a pattern that fits two",
            vec!["old-td", "new-td"],
            vec!["*-td/ns/foo/sa/bar"],
            vec!["*-td/ns/foo/sa/bar"],
        ),
        (
            "a pattern at the end too",
            vec!["td1", "td2"],
            vec!["td1/ns/foo/sa/*"],
            vec!["td1/ns/foo/sa/*", "td2/ns/foo/sa/*"],
        ),
        (
            "four segments",
            vec!["td1", "td2"],
            vec!["td1/ns/foo/sa"],
            vec!["td1/ns/foo/sa"],
        ),
        (
            "six segments",
            vec!["td1", "td2"],
            vec!["td1/ns/foo/sa/bar/x"],
            vec!["td1/ns/foo/sa/bar/x"],
        ),
        (
            "with a scheme",
            vec!["td1", "td2"],
            vec!["spiffe://td1/ns/foo/sa/bar"],
            vec!["spiffe://td1/ns/foo/sa/bar"],
        ),
        (
            "the same twice",
            vec!["td1", "td2"],
            vec!["td1/ns/a/sa/b", "td2/ns/a/sa/b"],
            vec!["td1/ns/a/sa/b", "td2/ns/a/sa/b"],
        ),
    ] {
        let expanded = bundle(&domains).principals(&texts(&principals));
        assert_eq!(expanded, texts(&expected), "{name}");
    }
}

#[test]
fn trust_domains_are_expanded_when_they_are_exactly_one_of_the_mesh() {
    let domains = bundle(&["td1", "td2"]);
    for (given, expected) in [
        (vec!["td1"], vec!["td1", "td2"]),
        (vec!["td2"], vec!["td1", "td2"]),
        (vec!["other"], vec!["other"]),
        (vec!["td*"], vec!["td*"]),
        (vec!["*"], vec!["*"]),
        (vec!["cluster.local"], vec!["cluster.local"]),
        (vec!["td2", "td1", "other"], vec!["td1", "td2", "other"]),
    ] {
        assert_eq!(
            domains.trust_domains(&texts(&given)),
            texts(&expected),
            "{given:?}"
        );
    }
}

#[test]
fn every_place_of_a_policy_is_expanded_excluded_ones_too() {
    let policy = accepted(json!({ "action": "DENY", "rules": [{
        "from": [{ "source": { "principals": ["td2/ns/a/sa/b"], "notPrincipals": ["td2/ns/c/sa/d"] } }],
        "when": [
            { "key": "source.principal", "values": ["td2/ns/e/sa/f"], "notValues": ["td2/ns/g/sa/h"] },
            { "key": "source.trustDomain", "values": ["td2"], "notValues": ["td2"] },
            { "key": "source.namespace", "values": ["td2"] },
            { "key": "source.serviceAccount", "values": ["td2"] },
        ],
    }] }));
    let expanded = bundle(&["td1", "td2"]).expand(policy.policy.clone());
    let both = |rest: &str| texts(&[&format!("td1/{rest}"), &format!("td2/{rest}")]);
    let clauses = &expanded.rules[0].clauses;
    assert_eq!(clauses[0].matches[0].principals, both("ns/a/sa/b"));
    assert_eq!(clauses[0].matches[0].not_principals, both("ns/c/sa/d"));
    assert_eq!(clauses[1].matches[0].principals, both("ns/e/sa/f"));
    assert_eq!(clauses[1].matches[0].not_principals, both("ns/g/sa/h"));
    assert_eq!(clauses[2].matches[0].trust_domains, texts(&["td1", "td2"]));
    assert_eq!(
        clauses[2].matches[0].not_trust_domains,
        texts(&["td1", "td2"])
    );
    assert_eq!(
        clauses[3..],
        policy.policy.rules[0].clauses[3..],
        "these are of every trust domain"
    );
}

/// P16: an identity of any alias is decided like the same one of the mesh's own trust domain.
#[test]
fn an_identity_of_an_alias_is_decided_like_one_of_the_mesh() {
    let rules = ["cluster.local/ns/a/sa/b", "td1/ns/a/sa/b", "old/ns/a/sa/b"];
    for (action, principal) in ["ALLOW", "DENY"]
        .iter()
        .flat_map(|a| rules.map(|r| (*a, r)))
    {
        let source = json!({ "principals": [principal] });
        let spec = json!({ "action": action, "rules": [{ "from": [{ "source": source }] }] });
        let store = PolicyStore::new();
        let policy = bundle(&["td1", "old"]).expand(accepted(spec).policy);
        assert!(
            store
                .apply(vec![Update::Upsert(policy)])
                .rejected
                .is_empty()
        );
        let decide = |id: &str| {
            let id: SpiffeId = id.parse().unwrap();
            let from = "10.0.0.1".parse().unwrap();
            let connection = Connection::new(from, Some(&id), "10.0.0.2:80".parse().unwrap());
            let here = WorkloadSpec {
                namespace: "foo".into(),
                ..WorkloadSpec::default()
            };
            matches!(
                store
                    .index()
                    .decide(&Workload::new(here), &connection)
                    .verdict,
                Verdict::Allow(_)
            )
        };
        let matches = action == "ALLOW";
        assert_eq!(
            decide("spiffe://td1/ns/a/sa/b"),
            matches,
            "{action} {principal}"
        );
        assert_eq!(
            decide("spiffe://old/ns/a/sa/b"),
            matches,
            "{action} {principal}"
        );
        assert_eq!(
            decide("spiffe://other/ns/a/sa/b"),
            !matches,
            "{action} {principal}"
        );
        assert_eq!(
            decide("spiffe://td1/ns/a/sa/c"),
            !matches,
            "{action} {principal}"
        );
    }
}

/// A policy of the wire is expanded like one of an object.
#[test]
fn policies_of_any_source_are_expanded() {
    let mut policy = PolicySpec::new(
        "foo",
        "wire",
        mesh_authz::spec::Scope::Global,
        mesh_authz::spec::Action::Deny,
    );
    policy.rules.push(RuleSpec::of(MatchSpec {
        principals: texts(&["cluster.local/ns/a/sa/b"]),
        ..MatchSpec::default()
    }));
    let expanded = bundle(&["td1", "old"]).expand(policy);
    let principals = &expanded.rules[0].clauses[0].matches[0].principals;
    assert_eq!(*principals, texts(&["td1/ns/a/sa/b", "old/ns/a/sa/b"]));
}
