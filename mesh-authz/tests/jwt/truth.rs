//! Spec 3.4: missing and invalid tokens are different things.

use mesh_authz::jwt::{HeaderPlace, JwtError, JwtRule, Profile};
use serde_json::json;

use crate::requests::{authenticator, now, payload, payload_with, request, rule};
use crate::signer::{OTHER_RSA, P256, RSA, Signer};

fn in_header(issuer: &str, signer: &Signer, header: &str) -> JwtRule {
    let mut rule = rule(issuer, signer);
    rule.from_headers = vec![HeaderPlace::new(header, "")];
    rule
}

/// The issuer whose claims a request gets, or the error.
fn issuer(
    rules: &[JwtRule],
    profile: Profile,
    headers: &[(&str, &str)],
) -> Result<Option<String>, JwtError> {
    let result = authenticator(rules.to_vec(), profile).check(&mut request("/", headers), now())?;
    Ok(result
        .claims
        .and_then(|claims| claims.issuer().map(str::to_owned)))
}

#[test]
fn the_truth_table_holds_in_both_profiles() {
    let a = RSA.token("RS256", None, &payload("a"));
    let b = OTHER_RSA.token("RS256", None, &payload("b"));
    let expired = RSA.token("RS256", None, &payload_with("a", &json!({"exp": 1})));
    let forged = P256.token("ES256", None, &payload("a"));
    let crossed = RSA.token("RS256", None, &payload("b"));
    let unknown = RSA.token("RS256", None, &payload("c"));
    let one = [rule("a", &RSA)];
    let two = [rule("b", &OTHER_RSA), rule("a", &RSA)];
    let apart = [
        in_header("a", &RSA, "x-a"),
        in_header("b", &OTHER_RSA, "x-b"),
    ];
    let bearer = |token: &str| format!("Bearer {token}");
    let (text_a, text_b) = (bearer(&a), bearer(&b));
    let (text_expired, text_forged) = (bearer(&expired), bearer(&forged));
    let (text_crossed, text_unknown) = (bearer(&crossed), bearer(&unknown));
    let some = |issuer: &str| Ok(Some(issuer.to_owned()));
    let auth = "authorization";
    let cases = [
        ("none, one rule", &one[..], vec![], Ok(None)),
        ("none, two rules", &two[..], vec![], Ok(None)),
        (
            "one valid, one rule",
            &one[..],
            vec![(auth, &*text_a)],
            some("a"),
        ),
        (
            "one valid, two rules: the first",
            &two[..],
            vec![(auth, &*text_a)],
            some("a"),
        ),
        (
            "one valid, two rules: the second",
            &two[..],
            vec![(auth, &*text_b)],
            some("b"),
        ),
        (
            "expired, one rule",
            &one[..],
            vec![(auth, &*text_expired)],
            Err(JwtError::Expired),
        ),
        (
            "expired, two rules",
            &two[..],
            vec![(auth, &*text_expired)],
            Err(JwtError::Expired),
        ),
        (
            "wrong key, one rule",
            &one[..],
            vec![(auth, &*text_forged)],
            Err(JwtError::NoMatchingKey),
        ),
        (
            "wrong key, two rules",
            &two[..],
            vec![(auth, &*text_forged)],
            Err(JwtError::NoMatchingKey),
        ),
        (
            "unknown issuer, one rule",
            &one[..],
            vec![(auth, &*text_unknown)],
            Err(JwtError::UnknownIssuer),
        ),
        (
            "unknown issuer, two rules",
            &two[..],
            vec![(auth, &*text_unknown)],
            Err(JwtError::UnknownIssuer),
        ),
        (
            "key of another issuer, one rule",
            &one[..],
            vec![(auth, &*text_crossed)],
            Err(JwtError::UnknownIssuer),
        ),
        (
            "key of another issuer, two rules",
            &two[..],
            vec![(auth, &*text_crossed)],
            Err(JwtError::BadSignature),
        ),
        (
            "valid for one rule, invalid for the other",
            &apart[..],
            vec![("x-a", &*a), ("x-b", "x")],
            some("a"),
        ),
        (
            "the other way round",
            &apart[..],
            vec![("x-a", "x"), ("x-b", &*b)],
            some("b"),
        ),
        (
            "invalid for one, nothing for the other",
            &apart[..],
            vec![("x-a", "x")],
            Err(JwtError::BadFormat),
        ),
        (
            "a bad token where no rule looks",
            &apart[..],
            vec![(auth, "Bearer x")],
            Ok(None),
        ),
    ];
    for profile in [Profile::compat(), Profile::strict()] {
        for (name, rules, headers, expected) in &cases {
            assert_eq!(
                &issuer(rules, profile, headers),
                expected,
                "{name}: {profile:?}"
            );
        }
    }
}

#[test]
fn one_invalid_token_among_those_of_one_rule_is_refused() {
    let a = RSA.token("RS256", None, &payload("a"));
    let mut rule = rule("a", &RSA);
    rule.from_headers = vec![HeaderPlace::new("x-1", ""), HeaderPlace::new("x-2", "")];
    let rules = [rule];
    let check = |headers: &[(&str, &str)]| issuer(&rules, Profile::compat(), headers);
    assert_eq!(
        check(&[("x-1", &a), ("x-2", "x")]),
        Err(JwtError::BadFormat)
    );
    assert_eq!(
        check(&[("x-1", "x"), ("x-2", &a)]),
        Err(JwtError::BadFormat)
    );
    assert_eq!(check(&[("x-1", &a), ("x-2", &a)]), Ok(Some("a".to_owned())));
}

/// 3.4.1.
#[test]
fn two_identities_in_one_request_are_told_or_refused() {
    let a = RSA.token("RS256", None, &payload("a"));
    let other = RSA.token("RS256", None, &payload_with("a", &json!({"sub": "else"})));
    let b = OTHER_RSA.token("RS256", None, &payload("b"));
    let apart = [
        in_header("b", &OTHER_RSA, "x-b"),
        in_header("a", &RSA, "x-a"),
    ];
    let mut both = rule("a", &RSA);
    both.from_headers = vec![HeaderPlace::new("x-a", ""), HeaderPlace::new("x-b", "")];
    let cases = [
        ("two rules", apart.to_vec(), (&a, &b), true),
        ("one rule", vec![both.clone()], (&a, &other), true),
        ("one rule, one identity", vec![both], (&a, &a), false),
    ];
    for (name, rules, (first, second), ambiguous) in cases {
        let headers = [("x-a", first.as_str()), ("x-b", second.as_str())];
        let compat = authenticator(rules.clone(), Profile::compat());
        let result = compat.check(&mut request("/", &headers), now()).unwrap();
        assert_eq!(result.ambiguous, ambiguous, "{name}");
        assert_eq!(result.provider, Some(0), "{name}: the first by issuer");
        assert_eq!(result.claims.unwrap().issuer(), Some("a"), "{name}");
        let strict = authenticator(rules, Profile::strict());
        let result = strict.check(&mut request("/", &headers), now());
        assert_eq!(
            result.err(),
            ambiguous.then_some(JwtError::Ambiguous),
            "{name}"
        );
    }
}

/// 3.1.2.
#[test]
fn rules_are_ordered_by_issuer() {
    let rules = vec![rule("c", &RSA), rule("a", &RSA), rule("b", &RSA)];
    let authenticator = authenticator(rules, Profile::strict());
    let issuers: Vec<_> = authenticator
        .issuers()
        .map(|issuer| issuer.as_str())
        .collect();
    assert_eq!(issuers, ["a", "b", "c"]);
}
