//! Spec 3.2.7 and 3.5: what the application gets of a token.

use mesh_authz::jwt::{
    Authenticator, ClaimToHeader, HeaderPlace, Jwks, JwksStore, JwtRule, KeySource, Profile,
    RuleProblem,
};
use serde_json::{Value, json};

use crate::requests::{authenticator, bearer, now, payload, payload_with, request, rule};
use crate::signer::{RSA, base64url};

fn with_outputs() -> JwtRule {
    let mut rule = rule("a", &RSA);
    rule.output_payload_to_header = Some("x-payload".into());
    rule.output_claim_to_headers = vec![ClaimToHeader::new("X-Sub", "sub")];
    rule
}

/// 3.2.7.
#[test]
fn copies_of_output_headers_that_clients_send_are_removed() {
    let forged = [
        ("x-payload", "forged"),
        ("x-sub", "root"),
        ("X-SUB", "root"),
        ("x-other", "kept"),
    ];
    let rules = authenticator(vec![rule("b", &RSA), with_outputs()], Profile::strict());
    let mut without = request("/", &forged);
    let result = rules.check(&mut without, now()).unwrap();
    assert!(result.claims.is_none());
    assert!(!without.headers.contains_key("x-payload") && !without.headers.contains_key("x-sub"));
    assert!(without.headers.contains_key("x-other"));

    let token = RSA.token("RS256", None, &payload("a"));
    let mut parts = request("/", &forged);
    parts
        .headers
        .insert("authorization", format!("Bearer {token}").parse().unwrap());
    let _ = rules.check(&mut parts, now()).unwrap();
    let lines: Vec<_> = parts.headers.get_all("x-sub").iter().collect();
    assert_eq!(lines, ["someone"], "one line, by the rule");
    let expected = base64url(payload("a").to_string().as_bytes());
    assert_eq!(parts.headers["x-payload"], *expected);

    let other = RSA.token("RS256", None, &payload("b"));
    let mut parts = request("/", &forged);
    parts
        .headers
        .insert("authorization", format!("Bearer {other}").parse().unwrap());
    let _ = rules.check(&mut parts, now()).unwrap();
    assert!(
        !parts.headers.contains_key("x-sub"),
        "not by the rule that was satisfied"
    );

    let mut preflight = request(
        "/",
        &[
            ("x-sub", "root"),
            ("origin", "o"),
            ("access-control-request-method", "GET"),
        ],
    );
    preflight.method = http::Method::OPTIONS;
    let _ = rules.check(&mut preflight, now()).unwrap();
    assert!(
        !preflight.headers.contains_key("x-sub"),
        "also of a preflight"
    );
}

#[test]
fn nothing_is_read_from_a_header_that_rules_write() {
    let token = RSA.token("RS256", None, &payload("a"));
    let mut reader = rule("a", &RSA);
    reader.from_headers = vec![HeaderPlace::new("x-sub", "")];
    let rules = authenticator(vec![reader, with_outputs()], Profile::strict());
    let result = rules
        .check(&mut request("/", &[("x-sub", &token)]), now())
        .unwrap();
    assert!(result.claims.is_none());
}

/// 3.5.4.
#[test]
fn claims_are_written_as_envoy_writes_them() {
    let claims = json!({
        "text": "t", "empty": "", "int": 42, "negative": -7, "large": 9_007_199_254_740_993_u64,
        "whole": 2.0, "fraction": 1.5, "yes": true, "no": false, "null": null,
        "list": ["a", 1], "object": {"inner": {"deep": "d"}}, "a.b": "dotted", "break": "a\r\nx: y",
        "zero": "a\0b", "umlaut": "ü",
    });
    let cases = [
        ("text", Some("t")),
        ("empty", None),
        ("int", Some("42")),
        ("negative", Some("-7")),
        ("large", Some("9007199254740993")),
        ("whole", Some("2")),
        ("fraction", Some("1.500000")),
        ("yes", Some("true")),
        ("no", Some("false")),
        ("null", None),
        ("list", Some("WyJhIiwxXQ==")),
        ("object.inner", Some("eyJkZWVwIjoiZCJ9")),
        ("object.inner.deep", Some("d")),
        ("object.other", None),
        ("text.inner", None),
        ("a.b", None),
        ("break", None),
        ("zero", None),
        ("missing", None),
    ];
    let mut members = claims.clone();
    let null = members.as_object_mut().unwrap().remove("null");
    assert_eq!(null, Some(Value::Null));
    let mut body = payload_with("a", &members);
    body["null"] = Value::Null;
    let token = RSA.token("RS256", None, &body);
    for (claim, expected) in cases {
        let mut rule = rule("a", &RSA);
        rule.output_claim_to_headers = vec![ClaimToHeader::new("x-claim", claim)];
        let mut parts = bearer(&token);
        let _ = authenticator(vec![rule], Profile::strict())
            .check(&mut parts, now())
            .unwrap();
        let written = parts
            .headers
            .get("x-claim")
            .map(|value| value.to_str().unwrap());
        assert_eq!(written, expected, "{claim}");
    }
}

/// 3.5.2.
#[test]
fn the_payload_header_keeps_the_bytes_of_the_token() {
    let text = r#"{ "iss":"a", "sub":"s", "exp":1900000000, "scope":"read  write" }"#;
    let token = RSA.sign(r#"{"alg":"RS256"}"#, text);
    let mut parts = bearer(&token);
    let rules = authenticator(vec![with_outputs()], Profile::strict());
    let result = rules.check(&mut parts, now()).unwrap();
    assert_eq!(parts.headers["x-payload"], *base64url(text.as_bytes()));
    let claims = result.claims.unwrap();
    assert_eq!(
        claims.strings(&["scope".into()]).collect::<Vec<_>>(),
        ["read", "write"]
    );
}

/// 3.1.1.
#[test]
fn rules_that_cannot_be_enforced_are_refused() {
    let change = |change: &dyn Fn(&mut JwtRule)| {
        let mut changed = rule("a", &RSA);
        change(&mut changed);
        let rules = vec![rule("z", &RSA), changed];
        let error = Authenticator::new(rules, &JwksStore::new(), Profile::strict());
        error
            .map(|_| ())
            .map_err(|error| (error.rule, error.problem))
    };
    let uri = |uri: &str| change(&|rule| rule.keys = KeySource::Remote(uri.into()));
    let named = |field, name: &str| Err((1, RuleProblem::HeaderName(field, name.to_owned())));
    let empty = |field| Err((1, RuleProblem::Empty(field)));
    let cases = [
        (
            "empty audience",
            change(&|rule| rule.audiences = vec!["".into()]),
            empty("`audiences`"),
        ),
        (
            "empty parameter",
            change(&|rule| rule.from_params = vec!["".into()]),
            empty("`fromParams`"),
        ),
        (
            "empty cookie",
            change(&|rule| rule.from_cookies = vec!["".into()]),
            empty("`fromCookies`"),
        ),
        (
            "empty header",
            change(&|rule| rule.from_headers = vec![HeaderPlace::new("", "")]),
            named("`fromHeaders`", ""),
        ),
        (
            "header with a space",
            change(&|rule| rule.from_headers = vec![HeaderPlace::new("a b", "")]),
            named("`fromHeaders`", "a b"),
        ),
        (
            "empty output",
            change(&|rule| rule.output_payload_to_header = Some("".into())),
            named("`outputPayloadToHeader`", ""),
        ),
        (
            "pseudo header",
            change(&|rule| rule.output_payload_to_header = Some(":path".into())),
            named("`outputPayloadToHeader`", ":path"),
        ),
        (
            "output with a dot",
            change(&|rule| rule.output_claim_to_headers = vec![ClaimToHeader::new("a.b", "c")]),
            named("`outputClaimToHeaders`", "a.b"),
        ),
        (
            "empty claim",
            change(&|rule| rule.output_claim_to_headers = vec![ClaimToHeader::new("a", "")]),
            empty("`outputClaimToHeaders`"),
        ),
        (
            "one header twice",
            change(&|rule| {
                rule.output_claim_to_headers =
                    vec![ClaimToHeader::new("a", "x"), ClaimToHeader::new("A", "y")]
            }),
            Err((1, RuleProblem::SameHeader("a".to_owned()))),
        ),
        (
            "payload and claim in one header",
            change(&|rule| {
                rule.output_payload_to_header = Some("a".into());
                rule.output_claim_to_headers = vec![ClaimToHeader::new("a", "x")];
            }),
            Err((1, RuleProblem::SameHeader("a".to_owned()))),
        ),
        (
            "another scheme",
            uri("ftp://h.example/keys"),
            Err((1, RuleProblem::Uri("the scheme is neither http nor https"))),
        ),
        (
            "relative",
            uri("/keys"),
            Err((1, RuleProblem::Uri("the scheme is neither http nor https"))),
        ),
        (
            "user information",
            uri("https://u:p@h/keys"),
            Err((1, RuleProblem::Uri("user information is refused"))),
        ),
        (
            "too long",
            uri(&format!("https://h/{}", "a".repeat(2048))),
            Err((1, RuleProblem::Uri("longer than 2048 bytes"))),
        ),
        ("https", uri("https://h.example/keys"), Ok(())),
        (
            "http with a port",
            uri("http://h.example:8000/keys"),
            Ok(()),
        ),
    ];
    for (name, result, expected) in cases {
        assert_eq!(result, expected, "{name}");
    }
    let nobody = JwtRule::new("", KeySource::Discovery);
    let error = Authenticator::new(vec![nobody], &JwksStore::new(), Profile::strict()).unwrap_err();
    assert_eq!(error.problem, RuleProblem::NoIssuer);
    let keys = KeySource::Inline(Jwks::parse(br#"{"keys":[]}"#).unwrap());
    let many = vec![JwtRule::new("a", keys); 4097];
    let error = Authenticator::new(many, &JwksStore::new(), Profile::strict()).unwrap_err();
    assert_eq!(error.problem, RuleProblem::TooMany);
}
