use super::*;
use crate::limits::Limits;
use crate::policy::Policy;
use crate::spec::{Action, ClauseSpec, MatchSpec, PolicySpec, RuleSpec, Scope, StringMatch};

/// The probes that a rule is filed under, where so many rules are under each of these probes.
fn probes(clauses: Vec<Vec<MatchSpec>>, crowd: &[(Probe, usize)]) -> Option<Vec<Probe>> {
    let clauses = clauses.into_iter().map(|matches| ClauseSpec { matches });
    let rules = vec![RuleSpec {
        clauses: clauses.collect(),
    }];
    let spec = PolicySpec::new("ns", "p", Scope::Global, Action::Deny);
    let spec = PolicySpec { rules, ..spec };
    let policy = Policy::new(&spec, &Limits::default(), 1).unwrap();
    let keys = Keys::default();
    let rule = policy.rules().first().unwrap();
    let mut crowded = std::collections::HashMap::new();
    let matches = rule.clauses().iter().flat_map(Clause::alternatives);
    for field in matches.flat_map(Match::fields) {
        each_value(&keys, &field.values, |probe, key| {
            let rules = crowd.iter().find(|(crowded, _)| *crowded == probe);
            crowded.insert(key, rules.map_or(0, |(_, rules)| *rules));
        });
    }
    let pivots = pivots(&keys, rule, |key| crowded[&key])?;
    Some(pivots.into_iter().map(|(probe, _)| probe).collect())
}

fn exact(text: &str) -> Vec<StringMatch> {
    vec![StringMatch::exact(text).unwrap()]
}

fn principal() -> MatchSpec {
    MatchSpec {
        principals: exact("td/ns/a/sa/b"),
        ..MatchSpec::default()
    }
}

fn namespace() -> MatchSpec {
    MatchSpec {
        namespaces: exact("a"),
        ..MatchSpec::default()
    }
}

fn not_namespace() -> MatchSpec {
    MatchSpec {
        not_namespaces: exact("a"),
        ..MatchSpec::default()
    }
}

const PRINCIPAL: Probe = Probe::Principal(Part::All);
const NAMESPACE: Probe = Probe::Namespace(Part::All);

#[test]
fn a_rule_is_filed_under_its_most_selective_field() {
    let both = || {
        vec![vec![MatchSpec {
            destination_ports: vec![80, 81],
            ..MatchSpec {
                namespaces: exact("a"),
                ..principal()
            }
        }]]
    };
    assert_eq!(probes(both(), &[]), Some(vec![PRINCIPAL]));
    assert_eq!(probes(both(), &[(PRINCIPAL, 5)]), Some(vec![NAMESPACE]));
    let crowd = [(PRINCIPAL, CROWDED), (NAMESPACE, CROWDED)];
    let ports = vec![Probe::DestinationPort; 2];
    assert_eq!(probes(both(), &crowd), Some(ports));
    let crowd = [crowd[0], crowd[1], (Probe::DestinationPort, CROWDED)];
    assert_eq!(probes(both(), &crowd), None);
}

#[test]
fn one_clause_is_enough_but_all_its_matches_are_needed() {
    let clauses = vec![
        vec![namespace(), not_namespace()],
        vec![principal()],
        vec![],
    ];
    assert_eq!(probes(clauses, &[]), Some(vec![PRINCIPAL]));
    let two = vec![vec![namespace(), principal()]];
    assert_eq!(probes(two, &[]), Some(vec![NAMESPACE, PRINCIPAL]));
    assert_eq!(probes(vec![vec![namespace(), not_namespace()]], &[]), None);
}

#[test]
fn rules_that_match_everything_or_nothing() {
    assert_eq!(probes(vec![], &[]), None);
    assert_eq!(probes(vec![vec![]], &[]), None);
    // No match of the clause can match: there is nothing to find.
    let never = vec![vec![MatchSpec::default()], vec![not_namespace()]];
    assert_eq!(probes(never, &[]), Some(vec![]));
    let some = vec![vec![MatchSpec::default(), namespace()]];
    assert_eq!(probes(some, &[]), Some(vec![NAMESPACE]));
}
