//! Spec 3.2: where tokens are looked for, and what becomes of them.

use http::Method;
use mesh_authz::jwt::{HeaderPlace, JwtError, JwtRule, Profile};

use crate::requests::{authenticator, now, payload, request, rule, subject};
use crate::signer::{OTHER_RSA, RSA};

type Outcome = Result<Option<String>, JwtError>;

fn outcome(rule: &JwtRule, profile: Profile, target: &str, headers: &[(&str, &str)]) -> Outcome {
    let authenticator = authenticator(vec![rule.clone()], profile);
    subject(authenticator.check(&mut request(target, headers), now()))
}

fn verified() -> Outcome {
    Ok(Some("someone".to_owned()))
}

const MISSING: Outcome = Ok(None);
const BAD: Outcome = Err(JwtError::BadFormat);

/// 3.2.1 to 3.2.3.
#[test]
fn default_places_are_the_bearer_header_and_then_the_parameter() {
    let token = RSA.token("RS256", None, &payload("a"));
    let rule = rule("a", &RSA);
    let header = |value: &str| value.replace("TOKEN", &token);
    let cases = [
        ("Bearer TOKEN", verified()),
        ("bearer TOKEN", MISSING),
        ("BEARER TOKEN", MISSING),
        ("Basic TOKEN", MISSING),
        ("Bearer ", MISSING),
        ("Bearer", MISSING),
        ("BearerTOKEN", MISSING),
        ("TOKEN", MISSING),
        ("Bearer  TOKEN", Err(JwtError::HeaderBase64)),
        ("Bearer TOKEN,TOKEN", BAD),
        ("Bearer x", BAD),
    ];
    for (value, expected) in cases {
        let headers = [("authorization", &*header(value))];
        assert_eq!(
            outcome(&rule, Profile::strict(), "/", &headers),
            expected,
            "{value}"
        );
    }
    let params = [
        ("/?access_token=TOKEN", verified()),
        ("/?a=b&access_token=TOKEN&c", verified()),
        ("/?access%5Ftoken=TOKEN", verified()),
        ("/?access_token=", MISSING),
        ("/?access_token", MISSING),
        ("/?Access_Token=TOKEN", MISSING),
        ("/?access_token=x", BAD),
        ("/", MISSING),
    ];
    for (target, expected) in params {
        assert_eq!(
            outcome(&rule, Profile::strict(), &header(target), &[]),
            expected,
            "{target}"
        );
    }
}

#[test]
fn a_header_that_comes_twice_is_refused() {
    let token = RSA.token("RS256", None, &payload("a"));
    let good = format!("Bearer {token}");
    let rule = rule("a", &RSA);
    for profile in [Profile::compat(), Profile::strict()] {
        let check = |lines: &[&str]| {
            let headers: Vec<_> = lines.iter().map(|&line| ("authorization", line)).collect();
            outcome(&rule, profile, "/", &headers)
        };
        assert_eq!(check(&[&good, &good]), BAD);
        assert_eq!(check(&[&good, "Basic x"]), BAD);
        assert_eq!(check(&["Basic x", &good]), BAD, "whatever the order");
        assert_eq!(check(&["Basic x", "Basic y"]), MISSING);
    }
}

/// 3.2.5.
#[test]
fn a_parameter_or_cookie_that_comes_twice_is_refused_or_read_once() {
    let token = RSA.token("RS256", None, &payload("a"));
    let mut cookie = rule("a", &RSA);
    cookie.from_cookies = vec!["session".into()];
    let target = format!("/?access_token={token}&access_token=x");
    let cookies = format!("session={token}; session=x");
    let headers = [("cookie", &*cookies)];
    let param = rule("a", &RSA);
    assert_eq!(
        outcome(&param, Profile::compat(), &target, &[]),
        verified(),
        "the first"
    );
    assert_eq!(
        outcome(&cookie, Profile::compat(), "/", &headers),
        verified(),
        "the first"
    );
    assert_eq!(outcome(&param, Profile::strict(), &target, &[]), BAD);
    assert_eq!(outcome(&cookie, Profile::strict(), "/", &headers), BAD);
}

#[test]
fn configured_places_replace_both_defaults() {
    let token = RSA.token("RS256", None, &payload("a"));
    let bearer = format!("Bearer {token}");
    let param = format!("/?access_token={token}");
    let own = |change: fn(&mut JwtRule)| {
        let mut rule = rule("a", &RSA);
        change(&mut rule);
        rule
    };
    let rules = [
        own(|rule| rule.from_headers = vec![HeaderPlace::new("X-Token", "")]),
        own(|rule| rule.from_params = vec!["token".into()]),
        own(|rule| rule.from_cookies = vec!["token".into()]),
    ];
    for rule in &rules {
        let headers = [("authorization", &*bearer)];
        assert_eq!(outcome(rule, Profile::strict(), "/", &headers), MISSING);
        assert_eq!(outcome(rule, Profile::strict(), &param, &[]), MISSING);
    }
    let cookie = format!("a=b; token=\"{token}\"");
    let first = outcome(&rules[0], Profile::strict(), "/", &[("x-token", &token)]);
    let second = outcome(
        &rules[1],
        Profile::strict(),
        &format!("/?token={token}"),
        &[],
    );
    let third = outcome(
        &rules[2],
        Profile::strict(),
        "/",
        &[("cookie", "c=d"), ("cookie", &cookie)],
    );
    assert_eq!([first, second, third], [verified(), verified(), verified()]);
}

#[test]
fn a_custom_prefix_is_exact() {
    let token = RSA.token("RS256", None, &payload("a"));
    let mut rule = rule("a", &RSA);
    rule.from_headers = vec![HeaderPlace::new("x-jwt", "istio ")];
    let check = |value: &str| outcome(&rule, Profile::strict(), "/", &[("x-jwt", value)]);
    assert_eq!(check(&format!("istio {token}")), verified());
    assert_eq!(check(&format!("Istio {token}")), MISSING);
    assert_eq!(check(&format!("Bearer {token}")), MISSING);
    assert_eq!(check("istio "), MISSING);
}

/// 3.2.4.
#[test]
fn every_token_that_is_there_must_verify() {
    let good = RSA.token("RS256", None, &payload("a"));
    let forged = OTHER_RSA.token("RS256", None, &payload("a"));
    let rule = rule("a", &RSA);
    let check = |header: &str, param: &str| {
        let headers = [("authorization", &*format!("Bearer {header}"))];
        outcome(
            &rule,
            Profile::strict(),
            &format!("/?access_token={param}"),
            &headers,
        )
    };
    assert_eq!(check(&good, &good), verified());
    assert_eq!(check(&good, &forged), Err(JwtError::BadSignature));
    assert_eq!(check(&forged, &good), Err(JwtError::BadSignature));
    assert_eq!(check(&good, "x"), BAD);
}

/// 3.2.5 and 3.2.6.
#[test]
fn verified_tokens_are_taken_out_unless_they_are_forwarded() {
    let token = RSA.token("RS256", None, &payload("a"));
    let bearer = format!("Bearer {token}");
    let target = format!("/p?a=1&access_token={token}&b=2&access_token={token}");
    let cookies = format!("a=b; session={token}; c=d");
    let mut rule = rule("a", &RSA);
    rule.from_headers = vec![HeaderPlace::new("authorization", "Bearer ")];
    rule.from_params = vec!["access_token".into()];
    rule.from_cookies = vec!["session".into()];
    let run = |rule: &JwtRule, profile| {
        let authenticator = authenticator(vec![rule.clone()], profile);
        let mut parts = request(&target, &[("authorization", &bearer), ("cookie", &cookies)]);
        let _ = authenticator.check(&mut parts, now()).unwrap();
        let cookie = parts
            .headers
            .get("cookie")
            .map(|line| line.to_str().unwrap().to_owned());
        (
            parts.headers.contains_key("authorization"),
            parts.uri.to_string(),
            cookie,
        )
    };
    let stripped = run(&rule, Profile::compat());
    assert_eq!(
        stripped,
        (false, "/p?a=1&b=2".to_owned(), Some(cookies.clone())),
        "cookies stay"
    );
    let mut strict = Profile::strict();
    strict.one_token_per_place = false;
    let stripped = run(&rule, strict);
    assert_eq!(
        stripped,
        (false, "/p?a=1&b=2".to_owned(), Some("a=b; c=d".to_owned()))
    );
    rule.forward_original_token = true;
    assert_eq!(
        run(&rule, strict),
        (true, target.clone(), Some(cookies.clone()))
    );
}

#[test]
fn the_query_goes_with_its_only_parameter() {
    let token = RSA.token("RS256", None, &payload("a"));
    let authenticator = authenticator(vec![rule("a", &RSA)], Profile::strict());
    let mut parts = request(&format!("http://h.example:80/p?access_token={token}"), &[]);
    let _ = authenticator.check(&mut parts, now()).unwrap();
    assert_eq!(parts.uri, "http://h.example:80/p");
}

#[test]
fn a_request_that_is_refused_keeps_its_token() {
    let authenticator = authenticator(vec![rule("a", &RSA)], Profile::strict());
    let mut parts = request("/", &[("authorization", "Bearer x")]);
    assert!(authenticator.check(&mut parts, now()).is_err());
    assert!(parts.headers.contains_key("authorization"));
}

/// 3.3.8.
#[test]
fn a_cors_preflight_is_not_asked_for_its_token() {
    let authenticator = authenticator(vec![rule("a", &RSA)], Profile::strict());
    let origin = ("origin", "https://x.example");
    let method = ("access-control-request-method", "GET");
    let bad = ("authorization", "Bearer x");
    let cases = [
        (
            "preflight",
            Method::OPTIONS,
            vec![origin, method, bad],
            true,
        ),
        ("no origin", Method::OPTIONS, vec![method, bad], false),
        ("no method", Method::OPTIONS, vec![origin, bad], false),
        (
            "another method",
            Method::GET,
            vec![origin, method, bad],
            false,
        ),
    ];
    for (name, verb, headers, passes) in cases {
        let mut parts = request("/", &headers);
        parts.method = verb;
        let result = authenticator.check(&mut parts, now());
        assert_eq!(
            result.as_ref().is_ok_and(|it| it.preflight),
            passes,
            "{name}"
        );
        assert!(result.map_or(true, |it| it.claims.is_none()), "{name}");
    }
}
