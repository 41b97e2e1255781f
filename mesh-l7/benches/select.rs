//! The choice of a route among many: `cargo bench -p mesh-l7 --bench select`.
#![allow(missing_docs, clippy::expect_used)]

use divan::{Bencher, black_box};
use http::HeaderMap;
use mesh_l7::matching::{Head, PathMatch, Regex, RequestMatch, TextMatch};
use mesh_l7::route::{Action, HostTable, Rule, Rules};

fn main() {
    divan::main();
}

const RULES: [usize; 3] = [10, 1_000, 10_000];

fn table(rules: usize, path: impl Fn(usize) -> PathMatch) -> HostTable {
    let rule = |n: usize| {
        let mut rule = Rule::new(format!("rule-{n}"), Action::not_found());
        rule.matches.push(RequestMatch {
            path: path(n),
            method: Some(TextMatch::Exact("GET".into())),
            ..RequestMatch::default()
        });
        rule
    };
    HostTable::of_any(Rules::new((0..rules).map(rule)))
}

fn select(bencher: Bencher<'_, '_>, table: &HostTable, path: &str) {
    let headers = HeaderMap::new();
    bencher.bench_local(|| {
        let head = Head::new("GET", "web.shop:8080", black_box(path), &headers);
        black_box(table.select(&head)).is_some()
    });
}

/// The last of the rules.
#[divan::bench(args = RULES)]
fn exact(bencher: Bencher<'_, '_>, rules: usize) {
    let table = table(rules, |n| {
        PathMatch::Exact(format!("/api/{n}/items").into())
    });
    select(bencher, &table, &format!("/api/{}/items", rules - 1));
}

#[divan::bench(args = RULES)]
fn below(bencher: Bencher<'_, '_>, rules: usize) {
    let table = table(rules, |n| PathMatch::Below(format!("/api/{n}").into()));
    select(bencher, &table, &format!("/api/{}/items/12?q=1", rules - 1));
}

#[divan::bench(args = RULES)]
fn none_matches(bencher: Bencher<'_, '_>, rules: usize) {
    let table = table(rules, |n| PathMatch::Below(format!("/api/{n}").into()));
    select(bencher, &table, "/other/1");
}

#[divan::bench(args = [10, 1_000])]
fn expressions(bencher: Bencher<'_, '_>, rules: usize) {
    let path = |n| PathMatch::Regex(Regex::new(&format!("/api/{n}/[a-z]+/[0-9]+")).expect("valid"));
    let table = table(rules, path);
    select(bencher, &table, &format!("/api/{}/items/12", rules - 1));
}
