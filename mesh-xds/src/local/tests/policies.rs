//! Policies of local files: the format of Istio's node proxy.

use mesh_authz::spec::{
    Action, ClauseSpec, MatchSpec, PolicySpec, RuleSpec, Scope, ServiceAccountMatch, StringMatch,
};
use mesh_authz::store::PolicyStore;
use mesh_core::store::MeshStore;

use crate::local::{LocalError, parse, replace};

/// Every field in every form.
const ALL: &str = "policies:
- name: all
  namespace: ns
  scope: WorkloadSelector
  action: Deny
  dryRun: true
  rules:
  - - - namespaces: [!Exact a, !Prefix b, !Suffix c, !Presence []]
        notNamespaces: [!Exact d]
        serviceAccounts: [{namespace: ns, serviceAccount: sa}]
        notServiceAccounts: [{namespace: ns, serviceAccount: sb}]
        principals: [!Suffix /sa/x]
        notPrincipals: [!Presence []]
        sourceIps: [10.0.0.0/8, 'fd00::/8']
        notSourceIps: [10.1.0.0/16]
        destinationIps: [10.2.0.1/32]
        notDestinationIps: ['::/0']
        destinationPorts: [80, 443]
        notDestinationPorts: [9090]
      - destinationPorts: [81]
    - []
  - []
";

#[test]
fn every_field_is_read() {
    let (exact, prefix, suffix) = (
        |text: &str| StringMatch::Exact(text.into()),
        |text: &str| StringMatch::Prefix(text.into()),
        |text: &str| StringMatch::Suffix(text.into()),
    );
    let account = |name: &str| ServiceAccountMatch::new("ns", name).unwrap();
    let ranges = |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect();
    let full = MatchSpec {
        namespaces: vec![exact("a"), prefix("b"), suffix("c"), StringMatch::Presence],
        not_namespaces: vec![exact("d")],
        principals: vec![suffix("/sa/x")],
        not_principals: vec![StringMatch::Presence],
        source_ips: ranges(&["10.0.0.0/8", "fd00::/8"]),
        not_source_ips: ranges(&["10.1.0.0/16"]),
        destination_ips: ranges(&["10.2.0.1/32"]),
        not_destination_ips: ranges(&["::/0"]),
        destination_ports: vec![80, 443],
        not_destination_ports: vec![9090],
        service_accounts: vec![account("sa")],
        not_service_accounts: vec![account("sb")],
        ..MatchSpec::default()
    };
    let port = MatchSpec {
        destination_ports: vec![81],
        ..MatchSpec::default()
    };
    let clause = |matches| ClauseSpec { matches };
    let mut expected = PolicySpec::new("ns", "all", Scope::WorkloadSelector, Action::Deny);
    expected.dry_run = true;
    expected.rules = vec![
        RuleSpec {
            clauses: vec![clause(vec![full, port]), clause(vec![])],
        },
        RuleSpec::default(),
    ];
    let config = parse(ALL, "mesh.yaml").unwrap();
    assert_eq!(config.policies, [expected]);
}

fn policy(more: &str) -> String {
    format!("policies:\n- name: p\n  namespace: ns\n  scope: Namespace\n  action: Allow\n{more}\n")
}

#[test]
fn a_policy_is_enforced_unless_it_says_otherwise() {
    let config = parse(&policy("  rules: []"), "mesh.yaml").unwrap();
    let expected = PolicySpec::new("ns", "p", Scope::Namespace, Action::Allow);
    assert_eq!(config.policies, [expected]);
}

#[test]
fn what_is_wrong_is_told_with_line_and_field() {
    let rule = |text: &str| policy(&format!("  rules: [[[{text}]]]"));
    let table = [
        (policy("  rules: 7"), 6, "policies[0].rules", "expected"),
        (policy(""), 5, "policies[0]", "missing field `rules`"),
        (
            rule("{principals: [a]}"),
            6,
            "principals[0]",
            "unknown variant `a`",
        ),
        (
            rule("{principals: [!Regex a]}"),
            6,
            "principals[0]",
            "Regex",
        ),
        (
            rule("{principals: [!Exact '']}"),
            6,
            "principals[0]",
            "a text to match is empty",
        ),
        (
            rule("{sourceIps: [10.0.0.0/33]}"),
            6,
            "sourceIps[0]",
            "expected a range of IP",
        ),
        (
            rule("{destinationPorts: [65536]}"),
            6,
            "destinationPorts[0]",
            "expected a port",
        ),
        (rule("{paths: [/a]}"), 6, "paths", "unknown field `paths`"),
        (
            rule("{serviceAccounts: [{namespace: ns, serviceAccount: ''}]}"),
            6,
            "serviceAccounts[0]",
            "needs namespace and name",
        ),
        (
            policy("  rules: []").replace("name: p", "name: a/b"),
            2,
            "policies[0].name",
            "without '/'",
        ),
        (
            policy("  rules: []").replace("Namespace", "Cluster"),
            4,
            "policies[0].scope",
            "unknown variant `Cluster`",
        ),
    ];
    for (text, line, field, says) in table {
        let error = parse(&text, "mesh.yaml").unwrap_err();
        let place = error.place().unwrap();
        assert_eq!(place.line, line, "{error}");
        assert!(place.field.contains(field), "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
    let twice = format!(
        "{0}{1}",
        policy("  rules: []"),
        &policy("  rules: []")["policies:\n".len()..]
    );
    let error = parse(&twice, "mesh.yaml").unwrap_err().to_string();
    assert!(
        error.contains("policies[1].name: ns/p is already used at line 2"),
        "{error}"
    );
}

#[test]
fn references_to_policies_have_namespace_and_name() {
    for (list, says) in [
        ("[p]", "expected namespace/name of a policy, got `p`"),
        (
            "[a/b/c]",
            "expected namespace/name of a policy, got `a/b/c`",
        ),
        ("[/p]", "expected namespace/name"),
    ] {
        let text = format!(
            "workloads:\n- {{name: w, namespace: ns, workloadIps: [10.0.0.1], services: {{}},\n   \
             authorizationPolicies: {list}}}\n"
        );
        let error = parse(&text, "mesh.yaml").unwrap_err().to_string();
        assert!(error.contains("authorizationPolicies[0]"), "{error}");
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn policies_are_replaced_and_refused_where_nothing_enforces_them() {
    let (mesh, policies) = (MeshStore::new(), PolicyStore::new());
    let mut changes = policies.watch();
    let take = |text: &str| {
        replace(
            &mesh,
            Some(&policies),
            parse(text, "mesh.yaml").unwrap(),
            "",
        )
    };
    assert_eq!(take(ALL).unwrap().policies, 1);
    assert!(policies.index().policy("ns/all").is_some());
    assert_eq!(take("{}").unwrap().policies, 0);
    assert!(policies.index().policy("ns/all").is_none());
    // Whoever watches hears of it.
    let mut heard = std::pin::pin!(changes.changed());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(heard.as_mut().poll(&mut context).is_ready());

    let config = parse(ALL, "mesh.yaml").unwrap();
    let error = replace(&mesh, None, config, "mesh.yaml").unwrap_err();
    assert!(matches!(error, LocalError::Policies { .. }), "{error}");
    let config = parse("{}", "mesh.yaml").unwrap();
    assert!(replace(&mesh, None, config, "mesh.yaml").is_ok());
}
