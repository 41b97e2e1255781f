use mesh_core::name::Name;
use proptest::prelude::*;

use super::*;
use crate::policy::Texts;
use crate::policy::bytes::Reader;
use crate::spec::{Action, Scope};
use crate::spec::{MatchSpec, ServiceAccountMatch, StringMatch};

fn spec(rules: Vec<RuleSpec>) -> PolicySpec {
    PolicySpec {
        rules,
        ..PolicySpec::new("ns", "p", Scope::Global, Action::Deny)
    }
}

fn error(spec: &PolicySpec) -> String {
    let error = compile(spec, &Limits::default()).unwrap_err();
    error.to_string()
}

fn second_match(second: MatchSpec) -> PolicySpec {
    let good = MatchSpec {
        destination_ports: vec![1],
        ..MatchSpec::default()
    };
    let clause = |matches| ClauseSpec { matches };
    let clauses = vec![clause(vec![]), clause(vec![good, second])];
    spec(vec![RuleSpec::default(), RuleSpec { clauses }])
}

#[test]
fn a_mistake_is_reported_with_its_place() {
    let empty = || vec![StringMatch::Presence, StringMatch::Exact(Name::default())];
    type List = fn(&mut MatchSpec) -> &mut Vec<StringMatch>;
    let names: [(_, List); 4] = [
        ("namespaces", |m| &mut m.namespaces),
        ("not_namespaces", |m| &mut m.not_namespaces),
        ("principals", |m| &mut m.principals),
        ("not_principals", |m| &mut m.not_principals),
    ];
    for (name, list) in names {
        let mut wrong = MatchSpec::default();
        *list(&mut wrong) = empty();
        let expected = format!(
            "policy ns/p: rules[1].clauses[1].matches[1].{name}[1]: a text to match is empty"
        );
        assert_eq!(error(&second_match(wrong)), expected);
    }
    let account = |namespace: &str, name: &str| ServiceAccountMatch {
        namespace: namespace.into(),
        service_account: name.into(),
    };
    for account in [account("", "a"), account("a", "")] {
        let wrong = MatchSpec {
            not_service_accounts: vec![account],
            ..MatchSpec::default()
        };
        let expected = "policy ns/p: rules[1].clauses[1].matches[1].not_service_accounts[0]: \
                        a service account needs namespace and name";
        assert_eq!(error(&second_match(wrong)), expected);
    }
}

#[test]
fn a_policy_needs_a_key() {
    for (namespace, name, place) in [
        ("", "p", "namespace"),
        ("ns", "", "name"),
        ("a/b", "p", "namespace"),
        ("ns", "p/q", "name"),
    ] {
        let spec = PolicySpec::new(namespace, name, Scope::Global, Action::Allow);
        let error = compile(&spec, &Limits::default()).unwrap_err();
        assert_eq!((&*error.place, error.problem), (place, Problem::Key));
    }
}

fn of_size(rules: usize, clauses: usize, matches: usize, values: usize) -> PolicySpec {
    let one = MatchSpec {
        destination_ports: vec![80; values],
        ..MatchSpec::default()
    };
    let clause = ClauseSpec {
        matches: vec![one; matches],
    };
    let rule = RuleSpec {
        clauses: vec![clause; clauses],
    };
    spec(vec![rule; rules])
}

#[test]
fn every_limit_holds_and_its_value_is_allowed() {
    let limits = Limits {
        rules: 3,
        clauses: 4,
        matches: 5,
        parts: 20,
        text: 6,
    };
    let problem = |spec: &PolicySpec| compile(spec, &limits).err().map(|error| error.problem);
    for (spec, what, found, limit) in [
        (of_size(4, 0, 0, 0), "rules", 4, 3),
        (of_size(1, 5, 0, 0), "clauses", 5, 4),
        (of_size(1, 1, 6, 0), "matches", 6, 5),
        (of_size(1, 1, 1, 19), "parts", 21, 20),
        (of_size(3, 4, 1, 1), "parts", 21, 20),
    ] {
        assert_eq!(
            problem(&spec),
            Some(Problem::TooMany { what, found, limit })
        );
    }
    for spec in [
        of_size(3, 4, 0, 0),
        of_size(1, 1, 5, 2),
        of_size(1, 1, 1, 18),
    ] {
        assert_eq!(problem(&spec), None);
    }
    let text = |length: usize| {
        RuleSpec::of(MatchSpec {
            principals: vec![StringMatch::Suffix("x".repeat(length).into())],
            ..MatchSpec::default()
        })
    };
    assert_eq!(problem(&spec(vec![text(6)])), None);
    let long = Problem::LongText {
        length: 7,
        limit: 6,
    };
    assert_eq!(problem(&spec(vec![text(7)])), Some(long));
}

#[test]
fn the_defaults_let_the_largest_policy_of_istio_through() {
    // 512 rules; or 512 sources in one rule.
    for spec in [of_size(512, 2, 1, 16), of_size(1, 1, 512, 64)] {
        assert_eq!(compile(&spec, &Limits::default()).err(), None);
    }
}

proptest! {
    /// What covers another value stands for it, and the list still fits the same texts.
    #[test]
    fn lists_of_texts_fit_what_one_of_their_values_fits(
        values in proptest::collection::vec(("[ab]{1,4}", 0..4_u8), 1..8),
        text in "[ab]{0,6}",
    ) {
        let values: Vec<_> = values.into_iter().map(|(text, kind)| match kind {
            0 => StringMatch::exact(text),
            1 => StringMatch::prefix(text),
            2 => StringMatch::suffix(text),
            _ => Ok(StringMatch::Presence),
        }).collect::<Result<_, _>>().unwrap();
        let fits = values.iter().any(|value| value.matches(&text));
        let mut writer = Writer::default();
        Texts::write(&mut writer, values.iter());
        let texts = Texts::read(&mut Reader(&writer.0)).unwrap();
        prop_assert_eq!(texts.fit(text.as_bytes(), false), fits);
    }
}
