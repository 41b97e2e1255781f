//! The examples that are shipped: one breaks every rule, the other none.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

#[path = "authz/support.rs"]
mod support;

use std::collections::BTreeSet;

use serde_json::Value;
use support::{Run, clean, directory, manifests, meshctl};

fn lint(more: &[&str]) -> Run {
    let (dir, config) = (manifests("questionable"), manifests("questionable.yaml"));
    let (dir, config) = (dir.to_str().unwrap(), config.to_str().unwrap());
    let words = ["authz", "lint", "--manifests", dir, "--mesh-config", config];
    meshctl(&[&words[..], more].concat(), "")
}

#[test]
fn every_rule_is_found_in_the_questionable_example() {
    let run = lint(&["--level", "info", "--output", "json"]);
    assert_eq!(run.code, 1, "{}", run.err);
    let found: Vec<Value> = serde_json::from_str(&run.out).unwrap();
    let rules: BTreeSet<_> = found
        .iter()
        .map(|lint| lint["rule"].as_str().unwrap())
        .collect();
    let expected: Vec<_> = (1..=26).map(|number| format!("L{number:02}")).collect();
    let missing: Vec<_> = expected
        .iter()
        .filter(|rule| !rules.contains(rule.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    for lint in &found {
        assert!(lint["line"].as_u64().unwrap() > 0, "{lint}");
        assert!(lint["file"].as_str().unwrap().ends_with(".yaml"), "{lint}");
        assert!(!lint["field"].as_str().unwrap().is_empty(), "{lint}");
    }
}

#[test]
fn the_clean_example_is_silent() {
    let run = meshctl(
        &["authz", "lint", "--manifests", &clean(), "--level", "info"],
        "",
    );
    assert_eq!((run.code, run.out.as_str()), (0, ""), "{}", run.err);
}

#[test]
fn findings_are_written_as_compilers_do() {
    let run = lint(&["--level", "error"]);
    let first = run.lines().remove(0);
    let (place, rest) = first.split_once(": shop/").unwrap();
    let (file, line) = place.rsplit_once(':').unwrap();
    assert!(file.ends_with("policies.yaml"), "{first}");
    assert!(line.parse::<u32>().unwrap() > 0, "{first}");
    assert!(rest.contains(": error[L"), "{first}");
    assert!(!run.out.contains(": warning["), "{}", run.out);
}

#[test]
fn what_cannot_be_read_is_told_beside_what_is_found() {
    let bad = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
               metadata: {name: p, namespace: shop}\nspec: {rulez: []}\n";
    let dir = directory("lint-bad", &[("bad.yaml", bad)]);
    let run = meshctl(&["authz", "lint", "--manifests", dir.to_str().unwrap()], "");
    assert_eq!(run.code, 2);
    assert!(run.err.contains("bad.yaml:4: "), "{}", run.err);
    assert!(run.err.contains("rulez"), "{}", run.err);
}
