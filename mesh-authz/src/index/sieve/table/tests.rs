use std::net::IpAddr;
use std::sync::Arc;

use super::*;
use crate::connection::Connection;
use crate::limits::Limits;
use crate::policy::Policy;
use crate::spec::{Action, ClauseSpec, MatchSpec, PolicySpec, RuleSpec, Scope, StringMatch};

/// The rows that a connection from 10.0.0.1 to port 80, with or without the identity of a cart in
/// `shop`, leaves open.
fn open(rules: Vec<RuleSpec>, identified: bool) -> Vec<usize> {
    let spec = PolicySpec::new("ns", "p", Scope::Global, Action::Deny);
    let spec = PolicySpec { rules, ..spec };
    let policy = Arc::new(Policy::new(&spec, &Limits::default(), 1).unwrap());
    let keys = Keys::default();
    let mut table = Table::default();
    let rules = 0..u32::try_from(spec.rules.len()).unwrap();
    let rows: Vec<_> = rules.flat_map(|rule| Row::all(&policy, rule)).collect();
    for (at, row) in rows.iter().enumerate() {
        table.push(&keys, at, row);
    }
    let id = "spiffe://td/ns/shop/sa/cart".parse().unwrap();
    let destination = (IpAddr::from([10, 0, 0, 2]), 80).into();
    let connection = Connection::new([10, 0, 0, 1].into(), identified.then_some(&id), destination);
    let facts = Facts::of(&connection);
    let open = table.open(&keys, &facts, rows.len());
    open.map_or(Vec::new(), |open| open.iter().collect())
}

fn namespaces(texts: &[&str]) -> MatchSpec {
    let exact = texts.iter().map(|text| StringMatch::exact(*text).unwrap());
    MatchSpec {
        namespaces: exact.collect(),
        ..MatchSpec::default()
    }
}

fn not_namespaces(texts: &[&str]) -> MatchSpec {
    let MatchSpec { namespaces, .. } = namespaces(texts);
    MatchSpec {
        not_namespaces: namespaces,
        ..MatchSpec::default()
    }
}

#[test]
fn only_rows_that_may_match_are_open() {
    let present = MatchSpec {
        principals: vec![StringMatch::Presence],
        ..MatchSpec::default()
    };
    let mixed = MatchSpec {
        not_destination_ports: vec![80],
        ..namespaces(&["shop"])
    };
    let rules = [
        namespaces(&["shop"]),
        namespaces(&["other"]),
        not_namespaces(&["shop", "x"]),
        not_namespaces(&["other"]),
        present,
        mixed,
    ];
    let rules = || rules.clone().map(RuleSpec::of).into();
    assert_eq!(open(rules(), true), [0, 3, 4]);
    assert_eq!(open(rules(), false), [2, 3]);
}

/// A hundred rules that exclude the same, and then more in sets of bits than in lists.
#[test]
fn rows_that_exclude_are_shut_out_however_many_there_are() {
    for count in [1, 2, 64, 65, 66, 1024] {
        let rule = RuleSpec::of(not_namespaces(&["shop"]));
        assert_eq!(open(vec![rule.clone(); count], true), Vec::<usize>::new());
        assert_eq!(open(vec![rule; count], false).len(), count);
        let rule = RuleSpec::of(namespaces(&["shop"]));
        assert_eq!(open(vec![rule; count], true).len(), count);
    }
}

#[test]
fn a_rule_has_a_row_for_each_match_of_its_shortest_clause() {
    let clause = |matches| ClauseSpec { matches };
    let rule = RuleSpec {
        clauses: vec![
            clause(vec![
                namespaces(&["a"]),
                namespaces(&["b"]),
                namespaces(&["c"]),
            ]),
            clause(vec![not_namespaces(&["shop"]), not_namespaces(&["d"])]),
            clause(vec![not_namespaces(&["e"])]),
            clause(vec![]),
        ],
    };
    // Of the shortest clause with several: the first is shut out.
    assert_eq!(open(vec![rule], true), [1]);
}
