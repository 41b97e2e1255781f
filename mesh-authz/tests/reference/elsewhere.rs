//! What the tables of the specification say and no single decision shows: where it has its test.

/// Strict's differences (1.16) that are not within a rule, and divergences (1.9.8) that are not about one
/// decision: the row, the file, the test.
const ELSEWHERE: [(&str, &str, &str); 15] = [
    ("S1", "mesh-l7/src/hygiene/tests/table.rs", "two_hosts"),
    (
        "1.2.6",
        "mesh-authz/tests/kube/conversion.rs",
        "the_scope_follows_namespace_selector_and_targets",
    ),
    (
        "S5",
        "mesh-core/src/target/tests.rs",
        "normalising_twice_changes_nothing_more",
    ),
    (
        "S6",
        "mesh-core/src/tls/tests.rs",
        "a_peer_with_two_identities_is_refused_and_has_none",
    ),
    (
        "S7",
        "mesh-authz/tests/guard.rs",
        "after_the_grace_a_missing_policy_denies",
    ),
    (
        "S9",
        "mesh-authz/tests/kube/projection.rs",
        "tcp_that_an_authorizer_guards_is_never_let_through_unasked",
    ),
    (
        "S11",
        "mesh-authz/tests/jwt/errors.rs",
        "signatures_are_verified_with_the_key_that_fits",
    ),
    (
        "S12",
        "mesh-authz/tests/jwt/errors.rs",
        "a_token_without_expiry_passes_unless_the_profile_wants_one",
    ),
    (
        "S13",
        "mesh-authz/tests/jwt/errors.rs",
        "audiences_are_compared_bare_or_exactly",
    ),
    (
        "S14",
        "mesh-authz/tests/external.rs",
        "grpc_answers_mean_what_envoy_takes_them_for",
    ),
    (
        "S15",
        "mesh-hbone/src/proxy/passthrough/tests.rs",
        "policy_is_asked_without_an_identity_and_a_denial_resets",
    ),
    (
        "D7",
        "mesh-core/src/tls/tests.rs",
        "a_peer_without_an_identity_is_refused",
    ),
    (
        "D10",
        "mesh-authz/tests/guard.rs",
        "without_grace_a_missing_policy_denies_at_once",
    ),
    (
        "D11",
        "mesh-authz/tests/guard.rs",
        "a_selector_that_a_workload_update_attaches_cuts",
    ),
    (
        "1.13.3",
        "mesh-core/src/target/tests.rs",
        "each_mode_does_what_the_table_says",
    ),
];

/// What has no test yet.
const NOT_YET: [&str; 0] = [];

#[test]
fn every_other_row_has_its_test() {
    let family = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap();
    for (row, file, test) in ELSEWHERE {
        let text = std::fs::read_to_string(family.join(file)).unwrap();
        assert!(
            text.contains(&format!("fn {test}(")),
            "{row}: {file} has no test {test}"
        );
    }
    let within = ["S2", "S3", "S4", "S8", "S10"];
    let strict = (1..=15).map(|number| format!("S{number}"));
    let (mut tested, mut missing) = (0, Vec::new());
    for row in strict {
        let elsewhere = ELSEWHERE.iter().any(|(of, _, _)| *of == row);
        if elsewhere || within.contains(&row.as_str()) {
            tested += 1;
        } else {
            missing.push(row);
        }
    }
    println!("1.16 Strict: {tested} of 15 differences have tests, not yet: {missing:?}");
    assert_eq!(missing, NOT_YET);
}
