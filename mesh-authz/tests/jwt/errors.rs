//! Spec 3.3: what is wrong with a token, in which words and with which status.

use mesh_authz::jwt::{JwtError, JwtRule, KeySource, Profile};
use serde_json::{Value, json};

use crate::requests::{
    NOW, at, authenticator, bearer, check, now, payload, payload_with, rule, set, subject,
};
use crate::signer::{EDWARDS, OTHER_RSA, P256, RSA, base64url};

fn text(token: &str, profile: Profile) -> (u16, String) {
    match check(token, profile) {
        Ok(it) if it.claims.is_some() => (200, String::new()),
        Ok(_) => (200, "no token".to_owned()),
        Err(error) => (error.status().as_u16(), error.to_string()),
    }
}

/// A token of issuer `a` with these members in its payload.
fn with(members: &Value) -> String {
    RSA.token("RS256", None, &payload_with("a", members))
}

const FORM: &str =
    "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections";

#[test]
fn malformed_tokens_are_refused_in_the_words_of_envoy() {
    let good = RSA.token("RS256", None, &payload("a"));
    let [header, body, signature] = good.split('.').collect::<Vec<_>>()[..] else {
        panic!()
    };
    let part = |text: &str| base64url(text.as_bytes());
    let rs = part(r#"{"alg":"RS256"}"#);
    let cases = [
        ("no dots", "abc".to_owned(), FORM),
        ("one dot", format!("{header}.{body}"), FORM),
        ("three dots", format!("{good}.x"), FORM),
        ("signature part empty", format!("{header}.{body}."), FORM),
        ("payload part empty", format!("{header}..{signature}"), FORM),
        ("header part empty", format!(".{body}.{signature}"), FORM),
        (
            "header not base64url",
            format!("a+b=.{body}.{signature}"),
            "Jwt header is an invalid Base64url encoded",
        ),
        (
            "padded header",
            format!("{}=.{body}.{signature}", part("{}")),
            "Jwt header is an invalid Base64url encoded",
        ),
        (
            "payload not base64url",
            format!("{rs}.*.{signature}"),
            "Jwt payload is an invalid Base64url encoded",
        ),
        (
            "signature not base64url",
            format!("{header}.{body}.*"),
            "Jwt signature is an invalid Base64url encoded",
        ),
        (
            "header not JSON",
            format!("{}.{body}.{signature}", part("{")),
            "Jwt header is an invalid JSON",
        ),
        (
            "header no object",
            format!("{}.{body}.{signature}", part("[]")),
            "Jwt header is an invalid JSON",
        ),
        (
            "payload not JSON",
            format!("{rs}.{}.{signature}", part("{")),
            "Jwt payload is an invalid JSON",
        ),
        (
            "alg missing",
            format!("{}.{body}.{signature}", part("{}")),
            "Jwt header [alg] field is required and must be a string",
        ),
        (
            "alg a number",
            format!("{}.{body}.{signature}", part(r#"{"alg":1}"#)),
            "Jwt header [alg] field is required and must be a string",
        ),
        (
            "alg none with a signature",
            format!("{}.{body}.{signature}", part(r#"{"alg":"none"}"#)),
            "Jwt header [alg] is not supported",
        ),
        (
            "alg none without",
            format!("{}.{body}.", part(r#"{"alg":"none"}"#)),
            FORM,
        ),
        (
            "alg in lower case",
            format!("{}.{body}.{signature}", part(r#"{"alg":"rs256"}"#)),
            "Jwt header [alg] is not supported",
        ),
        (
            "alg unknown",
            format!("{}.{body}.{signature}", part(r#"{"alg":"ES256K"}"#)),
            "Jwt header [alg] is not supported",
        ),
        (
            "kid a number",
            format!("{}.{body}.{signature}", part(r#"{"alg":"RS256","kid":1}"#)),
            "Jwt header [kid] field is not a string",
        ),
        (
            "critical extension",
            format!(
                "{}.{body}.{signature}",
                part(r#"{"alg":"RS256","crit":["exp"]}"#)
            ),
            "Jwt header [crit] is not supported",
        ),
    ];
    for profile in [Profile::compat(), Profile::strict()] {
        for (name, token, expected) in &cases {
            assert_eq!(
                text(token, profile),
                (401, (*expected).to_owned()),
                "{name}"
            );
        }
        assert_eq!(
            text(&good, profile),
            (200, String::new()),
            "the token that they are made of"
        );
    }
}

#[test]
fn registered_claims_must_have_their_types() {
    let integer = |name| format!("Jwt payload [{name}] field is not an integer");
    let range = |name| format!("Jwt payload [{name}] field is not a positive 64 bit integer");
    let string = |name| format!("Jwt payload [{name}] field is not a string");
    let cases = [
        ("iss a number", json!({"iss": 1}), string("iss")),
        ("iss a list", json!({"iss": ["a"]}), string("iss")),
        ("sub a number", json!({"sub": 1}), string("sub")),
        ("sub a list", json!({"sub": ["a"]}), string("sub")),
        ("jti a number", json!({"jti": 1}), string("jti")),
        ("exp a text", json!({"exp": "1900000000"}), integer("exp")),
        ("exp negative", json!({"exp": -1}), range("exp")),
        (
            "exp a negative fraction",
            json!({"exp": -0.5}),
            range("exp"),
        ),
        ("exp beyond 64 bits", json!({"exp": 1e30}), range("exp")),
        ("nbf a text", json!({"nbf": "1"}), integer("nbf")),
        ("nbf negative", json!({"nbf": -1}), range("nbf")),
        ("iat a text", json!({"iat": "1"}), integer("iat")),
        ("iat negative", json!({"iat": -1}), range("iat")),
        (
            "aud a number",
            json!({"aud": 1}),
            "Jwt payload [aud] field is not a string or string list".to_owned(),
        ),
        (
            "aud with a number",
            json!({"aud": ["a", 1]}),
            "Jwt payload [aud] field is not a string or string list".to_owned(),
        ),
    ];
    for (name, members, expected) in cases {
        assert_eq!(
            text(&with(&members), Profile::strict()),
            (401, expected),
            "{name}"
        );
    }
}

/// 60 s either way (3.3.1).
#[test]
fn times_are_compared_with_a_minute_of_tolerance() {
    let expired = (401, "Jwt is expired".to_owned());
    let early = (401, "Jwt not yet valid".to_owned());
    let good = (200, String::new());
    let cases = [
        ("exp a minute ago", json!({"exp": NOW - 60}), &good),
        ("exp longer ago", json!({"exp": NOW - 61}), &expired),
        ("exp zero", json!({"exp": 0}), &expired),
        ("exp a fraction", json!({"exp": NOW as f64 + 0.5}), &good),
        ("exp a fraction, long ago", json!({"exp": 1000.5}), &expired),
        ("nbf in a minute", json!({"nbf": NOW + 60}), &good),
        ("nbf later", json!({"nbf": NOW + 61}), &early),
        ("iat in the future", json!({"iat": NOW + 10_000}), &good),
    ];
    for (name, members, expected) in cases {
        assert_eq!(
            &text(&with(&members), Profile::strict()),
            expected,
            "{name}"
        );
    }
}

/// S12.
#[test]
fn a_token_without_expiry_passes_unless_the_profile_wants_one() {
    let token = with(&json!({"exp": null}));
    assert_eq!(text(&token, Profile::compat()), (200, String::new()));
    let refused = (401, "Jwt payload [exp] field is required".to_owned());
    assert_eq!(text(&token, Profile::strict()), refused);
    let mut permitted = Profile::strict();
    permitted.expiry_required = false;
    assert_eq!(text(&token, permitted), (200, String::new()));
}

#[test]
fn tokens_of_other_issuers_are_not_configured() {
    let expected = (401, "Jwt issuer is not configured".to_owned());
    for members in [
        json!({"iss": "b"}),
        json!({"iss": null}),
        json!({"iss": "A"}),
        json!({"iss": "a/"}),
    ] {
        assert_eq!(
            text(&with(&members), Profile::strict()),
            expected,
            "{members}"
        );
    }
    let any = authenticator(vec![rule("", &RSA)], Profile::strict());
    let token = with(&json!({"iss": "whoever"}));
    assert!(
        any.check(&mut bearer(&token), now()).is_ok(),
        "a rule without issuer takes all"
    );
}

/// 3.3.2 and S13.
#[test]
fn audiences_are_compared_bare_or_exactly() {
    let denied = Err(JwtError::AudienceNotAllowed);
    let someone = Ok(Some("someone".to_owned()));
    let cases = [
        ("the same", json!("x.example"), &someone, &someone),
        ("in a list", json!(["y", "x.example"]), &someone, &someone),
        ("with https", json!("https://x.example"), &someone, &denied),
        (
            "with http and a slash",
            json!("http://x.example/"),
            &someone,
            &denied,
        ),
        ("with two slashes", json!("x.example//"), &denied, &denied),
        ("another", json!("y.example"), &denied, &denied),
        ("in another case", json!("X.example"), &denied, &denied),
        ("part of it", json!("x.example/a"), &denied, &denied),
        ("empty list", json!([]), &denied, &denied),
        ("missing", Value::Null, &denied, &denied),
    ];
    for (name, audience, compat, strict) in cases {
        let token = with(&json!({"aud": audience}));
        for (profile, expected) in [(Profile::compat(), compat), (Profile::strict(), strict)] {
            let mut limited = rule("a", &RSA);
            limited.audiences = vec!["other".into(), "x.example".into()];
            let authenticator = authenticator(vec![limited], profile);
            let result = subject(authenticator.check(&mut bearer(&token), now()));
            assert_eq!(&result, expected, "{name}: {profile:?}");
        }
    }
    assert_eq!(JwtError::AudienceNotAllowed.status(), 403);
    assert_eq!(
        JwtError::AudienceNotAllowed.to_string(),
        "Audiences in Jwt are not allowed"
    );
}

#[test]
fn signatures_are_verified_with_the_key_that_fits() {
    let key = |kid: &str| RSA.jwk_with(&json!({"kid": kid}));
    let no_key = Err(JwtError::NoMatchingKey);
    let bad = Err(JwtError::BadSignature);
    let good = Ok(Some("someone".to_owned()));
    let rs = |kid: Option<&str>| RSA.token("RS256", kid, &payload("a"));
    let other = |kid: &str| OTHER_RSA.jwk_with(&json!({"kid": kid}));
    let cases = [
        ("its own key", rs(Some("k")), vec![key("k")], &good),
        (
            "no kid in the token: all keys are tried",
            rs(None),
            vec![other("o"), key("k")],
            &good,
        ),
        (
            "no kid in the key",
            rs(Some("k")),
            vec![RSA.jwk.clone()],
            &good,
        ),
        ("another kid", rs(Some("x")), vec![key("k")], &no_key),
        (
            "another alg in the key",
            rs(Some("k")),
            vec![RSA.jwk_with(&json!({"kid": "k", "alg": "RS512"}))],
            &no_key,
        ),
        (
            "the same alg in the key",
            rs(Some("k")),
            vec![RSA.jwk_with(&json!({"kid": "k", "alg": "RS256"}))],
            &good,
        ),
        (
            "a key of another type",
            rs(Some("k")),
            vec![P256.jwk_with(&json!({"kid": "k"}))],
            &no_key,
        ),
        ("no keys", rs(Some("k")), vec![], &no_key),
        (
            "another key with its kid",
            rs(Some("k")),
            vec![other("k")],
            &bad,
        ),
        (
            "two keys with one kid",
            rs(Some("k")),
            vec![other("k"), key("k")],
            &good,
        ),
        (
            "a key for encryption",
            rs(Some("k")),
            vec![RSA.jwk_with(&json!({"kid": "k", "use": "enc"}))],
            &no_key,
        ),
        (
            "a key for signatures",
            rs(Some("k")),
            vec![RSA.jwk_with(&json!({"kid": "k", "use": "sig"}))],
            &good,
        ),
        (
            "a key that may not verify",
            rs(Some("k")),
            vec![RSA.jwk_with(&json!({"kid": "k", "key_ops": ["encrypt"]}))],
            &no_key,
        ),
        (
            "a key that may",
            rs(Some("k")),
            vec![RSA.jwk_with(&json!({"kid": "k", "key_ops": ["verify"]}))],
            &good,
        ),
    ];
    for (name, token, keys, expected) in cases {
        let rule = JwtRule::new("a", KeySource::Inline(set(&keys)));
        let authenticator = authenticator(vec![rule], Profile::strict());
        let result = subject(authenticator.check(&mut bearer(&token), now()));
        assert_eq!(&result, expected, "{name}");
    }
    assert_eq!(
        JwtError::NoMatchingKey.to_string(),
        "Jwks doesn't have key to match kid or alg from Jwt"
    );
    assert_eq!(JwtError::BadSignature.to_string(), "Jwt verification fails");
}

#[test]
fn a_changed_token_does_not_verify() {
    for (signer, alg) in [(&*RSA, "RS256"), (&*P256, "ES256"), (&*EDWARDS, "EdDSA")] {
        let good = signer.token(alg, None, &payload("a"));
        let authenticator = authenticator(vec![rule("a", signer)], Profile::strict());
        let check = |token: &str| subject(authenticator.check(&mut bearer(token), now()));
        assert_eq!(check(&good), Ok(Some("someone".to_owned())), "{alg}");
        let [header, _, signature] = good.split('.').collect::<Vec<_>>()[..] else {
            panic!()
        };
        let body = base64url(
            payload_with("a", &json!({"sub": "root"}))
                .to_string()
                .as_bytes(),
        );
        let forged = format!("{header}.{body}.{signature}");
        assert_eq!(
            check(&forged),
            Err(JwtError::BadSignature),
            "{alg}: another payload"
        );
        let short = format!("{}.{}", good.rsplit_once('.').unwrap().0, &signature[..64]);
        assert_eq!(
            check(&short),
            Err(JwtError::BadSignature),
            "{alg}: a shorter signature"
        );
        let zeros = format!(
            "{}.{}",
            good.rsplit_once('.').unwrap().0,
            base64url(&[0; 64])
        );
        assert_eq!(
            check(&zeros),
            Err(JwtError::BadSignature),
            "{alg}: a signature of zeros"
        );
    }
}

#[test]
fn checks_come_in_the_order_of_envoy() {
    let mut limited = rule("a", &OTHER_RSA);
    limited.audiences = vec!["x".into()];
    let authenticator = authenticator(vec![limited], Profile::strict());
    let check = |members: Value| {
        let result = authenticator.check(&mut bearer(&with(&members)), now());
        result.unwrap_err()
    };
    let past = NOW - 1000;
    assert_eq!(
        check(json!({"iss": "b", "exp": past, "aud": "y"})),
        JwtError::UnknownIssuer
    );
    assert_eq!(check(json!({"exp": past, "aud": "y"})), JwtError::Expired);
    assert_eq!(check(json!({"aud": "y"})), JwtError::AudienceNotAllowed);
    assert_eq!(check(json!({"aud": "x"})), JwtError::BadSignature);
}

/// 3.3.4.
#[test]
fn tokens_are_bounded() {
    let large = with(&json!({"padding": "x".repeat(8 * 1024)}));
    assert_eq!(
        text(&large, Profile::strict()),
        (401, "Jwt is too large".to_owned())
    );
    let filled = with(&json!({"padding": "x".repeat(5_000)}));
    assert!(filled.len() < 8 * 1024 && text(&filled, Profile::strict()).0 == 200);
    let nested = |depth: usize| {
        let lists = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let body = format!(r#"{{"iss":"a","sub":"s","exp":{},"x":{lists}}}"#, NOW + 1);
        RSA.sign(r#"{"alg":"RS256"}"#, &body)
    };
    assert_eq!(text(&nested(31), Profile::strict()).0, 200);
    let expected = (401, "Jwt payload is an invalid JSON".to_owned());
    assert_eq!(text(&nested(32), Profile::strict()), expected);
}

#[test]
fn a_clock_before_1970_trusts_nothing_with_a_start() {
    let authenticator = authenticator(vec![rule("a", &RSA)], Profile::strict());
    let token = with(&json!({"nbf": 1000}));
    let early = std::time::SystemTime::UNIX_EPOCH - std::time::Duration::from_secs(10);
    let result = authenticator.check(&mut bearer(&token), early);
    assert_eq!(result.unwrap_err(), JwtError::NotYetValid);
    assert!(authenticator.check(&mut bearer(&token), at(1000)).is_ok());
}

/// 3.3.7.
#[test]
fn details_for_logs_have_no_spaces() {
    assert_eq!(
        JwtError::Expired.details(),
        "jwt_authn_access_denied{Jwt_is_expired}"
    );
    let text = "jwt_authn_access_denied{Jwks_doesn't_have_key_to_match_kid_or_alg_from_Jwt}";
    assert_eq!(JwtError::NoMatchingKey.details(), text);
}
