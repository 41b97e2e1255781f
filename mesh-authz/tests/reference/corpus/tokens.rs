//! Rows about tokens and their keys.

use std::time::{Duration, UNIX_EPOCH};

use http::request::Parts;
use mesh_authz::jwt::{
    AddressGuard, Authenticator, Jwks, JwksSource, JwksStore, JwtError, JwtRule, KeySource, Profile,
};

const PROFILES: [Profile; 2] = [Profile::compat(), Profile::strict()];

/// A token of this issuer that nobody has signed.
fn unsigned(issuer: &str) -> String {
    let header = encoded(br#"{"alg":"RS256","kid":"a"}"#);
    let payload = format!(r#"{{"iss":"{issuer}","sub":"me","exp":4102444800}}"#);
    format!(
        "{header}.{}.{}",
        encoded(payload.as_bytes()),
        encoded(b"no signature")
    )
}

/// Base64url without padding (RFC 4648 section 5).
fn encoded(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digit = |bits: u32| char::from(DIGITS[usize::try_from(bits & 63).unwrap()]);
    let text = bytes.chunks(3).flat_map(|chunk| {
        let bits = chunk
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        (0..=chunk.len()).map(move |place| digit(bits >> (18 - 6 * place)))
    });
    text.collect()
}

fn with_token(token: &str) -> Parts {
    let request = http::Request::get("/").header("authorization", format!("Bearer {token}"));
    request.body(()).unwrap().into_parts().0
}

fn checked(rules: Vec<JwtRule>, profile: Profile, token: &str) -> Result<bool, JwtError> {
    let authenticator = Authenticator::new(rules, &JwksStore::new(), profile).unwrap();
    let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let authenticated = authenticator.check(&mut with_token(token), now)?;
    Ok(authenticated.claims.is_some())
}

fn remote(issuer: &str) -> JwtRule {
    JwtRule::new(
        issuer,
        KeySource::Remote(format!("https://{issuer}/keys").into()),
    )
}

/// CVE-2021-21378. Guard: several rules are satisfied by no token, and never by a token that is none
/// of theirs.
#[test]
fn a_token_of_an_unknown_issuer_is_not_a_missing_token() {
    for profile in PROFILES {
        for rules in [
            vec![remote("a.example")],
            vec![remote("a.example"), remote("b.example")],
        ] {
            let refused = checked(rules, profile, &unsigned("evil.example"));
            assert_eq!(refused, Err(JwtError::UnknownIssuer));
        }
    }
}

/// CVE-2025-64527. Guard: keys that are not there are an answer like others.
#[test]
fn a_token_before_its_keys_is_refused() {
    for profile in PROFILES {
        for rules in [
            vec![remote("a.example")],
            vec![remote("a.example"), remote("b.example")],
        ] {
            assert_eq!(
                checked(rules, profile, &unsigned("a.example")),
                Err(JwtError::KeysUnavailable)
            );
        }
    }
}

/// CVE-2026-31837. Guard: without keys of the issuer no other keys are used.
#[test]
fn no_key_takes_the_place_of_keys_that_cannot_be_had() {
    for profile in PROFILES {
        let empty = JwtRule::new(
            "a.example",
            KeySource::Inline(Jwks::parse(br#"{"keys":[]}"#).unwrap()),
        );
        assert_eq!(
            checked(vec![empty], profile, &unsigned("a.example")),
            Err(JwtError::NoMatchingKey)
        );
        assert_eq!(
            checked(vec![remote("a.example")], profile, &unsigned("a.example")),
            Err(JwtError::KeysUnavailable)
        );
    }
}

/// CVE-2026-41413. Guard: what a rule names is not asked for when it is this machine, its link or a
/// metadata service; an answer that is no key set is not told.
#[test]
fn keys_are_not_fetched_from_this_machine_or_its_cloud() {
    let guard = AddressGuard::default();
    for address in [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "169.254.169.254",
        "::1",
        "::",
        "fe80::1",
        "::ffff:169.254.169.254",
        "fd00:ec2::254",
        "64:ff9b::a9fe:a9fe",
    ] {
        assert!(!guard.permits(&[address.parse().unwrap()]), "{address}");
        // One of several is enough: it must not depend on which is tried.
        assert!(
            !guard.permits(&["203.0.113.7".parse().unwrap(), address.parse().unwrap()]),
            "{address}"
        );
    }
    assert!(guard.permits(&["203.0.113.7".parse().unwrap()]));
    for uri in [
        "file:///etc/passwd",
        "ftp://a.example/keys",
        "gopher://a.example",
        "http://user@a.example/",
        "keys",
    ] {
        assert!(JwksSource::uri(uri).is_err(), "{uri}");
    }
    let error = Jwks::parse(b"root:x:0:0:secret").unwrap_err().to_string();
    assert!(
        !error.contains("root") && !error.contains("secret"),
        "{error}"
    );
}
