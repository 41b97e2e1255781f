//! Spec 3.3.3 and 3.3.4: algorithms, and which keys are taken.

use mesh_authz::jwt::{
    Algorithm, InvalidJwks, Jwks, JwtError, JwtRule, KeyProblem, KeySource, LARGEST_JWKS,
    MOST_KEYS, Profile,
};
use serde_json::{Value, json};

use crate::requests::{authenticator, bearer, now, payload, rule, set, subject};
use crate::signer::{EDWARDS, P256, P384, P521, RSA, SECRET, Signer, base64url, jwks};

fn verifies(
    signer: &Signer,
    alg: &str,
    jwk: Value,
    profile: Profile,
) -> Result<Option<String>, JwtError> {
    let rule = JwtRule::new("a", KeySource::Inline(set(&[jwk])));
    let token = signer.token(alg, None, &payload("a"));
    subject(authenticator(vec![rule], profile).check(&mut bearer(&token), now()))
}

const ASYMMETRIC: [(&str, &std::sync::LazyLock<Signer>); 10] = [
    ("RS256", &RSA),
    ("RS384", &RSA),
    ("RS512", &RSA),
    ("PS256", &RSA),
    ("PS384", &RSA),
    ("PS512", &RSA),
    ("ES256", &P256),
    ("ES384", &P384),
    ("ES512", &P521),
    ("EdDSA", &EDWARDS),
];

#[test]
fn every_asymmetric_algorithm_verifies() {
    for (alg, signer) in ASYMMETRIC {
        // RFC 7518 section 3.4 leaves ES512 to those who have P-521.
        if alg == "ES512" && cfg!(not(feature = "aws-lc-rs")) {
            continue;
        }
        let result = verifies(signer, alg, signer.jwk.clone(), Profile::strict());
        assert_eq!(result, Ok(Some("someone".to_owned())), "{alg}");
        let result = verifies(
            signer,
            alg,
            signer.jwk_with(&json!({"alg": alg})),
            Profile::strict(),
        );
        assert_eq!(
            result,
            Ok(Some("someone".to_owned())),
            "{alg} as the key says"
        );
    }
}

/// A token chooses its algorithm, but the key decides which ones there are.
#[test]
fn an_algorithm_is_bound_to_one_type_of_keys() {
    let types = [&*RSA, &*P256, &*P384, &*P521, &*EDWARDS, &*SECRET];
    for (alg, signer) in ASYMMETRIC {
        for other in types {
            if other.jwk["kty"] == signer.jwk["kty"] && other.jwk["crv"] == signer.jwk["crv"] {
                continue;
            }
            let result = verifies(signer, alg, other.jwk.clone(), Profile::compat());
            assert_eq!(
                result,
                Err(JwtError::NoMatchingKey),
                "{alg} with {}",
                other.jwk
            );
        }
    }
}

/// S11.
#[test]
fn symmetric_algorithms_are_refused_unless_switched_on() {
    for alg in ["HS256", "HS384", "HS512"] {
        let strict = verifies(&SECRET, alg, SECRET.jwk.clone(), Profile::strict());
        assert_eq!(strict, Err(JwtError::AlgorithmUnsupported), "{alg}");
        let compat = verifies(&SECRET, alg, SECRET.jwk.clone(), Profile::compat());
        assert_eq!(compat, Ok(Some("someone".to_owned())), "{alg}");
    }
    let short = Signer::hmac(vec![7; 31]);
    let result = verifies(&short, "HS256", short.jwk.clone(), Profile::compat());
    assert_eq!(
        result,
        Err(JwtError::BadSignature),
        "shorter than the hash, RFC 7518 section 3.2"
    );
}

/// The public key, which everybody has, must not serve as the secret of HMAC.
#[test]
fn a_public_key_is_never_a_secret() {
    let forger = Signer::hmac(RSA.public_der());
    let result = verifies(&forger, "HS256", RSA.jwk.clone(), Profile::compat());
    assert_eq!(result, Err(JwtError::NoMatchingKey));
}

#[test]
fn algorithms_are_named_exactly() {
    assert_eq!(Algorithm::from_name("RS256"), Some(Algorithm::Rs256));
    for name in ["none", "None", "", "rs256", "EDDSA", "ES256K", "RS256 "] {
        assert_eq!(Algorithm::from_name(name), None, "{name:?}");
    }
}

fn modulus(bits: usize) -> String {
    let mut bytes = vec![0xff; bits / 8];
    bytes[0] >>= (8 - bits % 8) % 8;
    base64url(&bytes)
}

#[test]
fn keys_that_are_weak_or_wrong_are_left_out() {
    let rsa = |n: &str, e: &str| json!({"kty": "RSA", "n": n, "e": e});
    let mut beside = P256.jwk.clone();
    beside["y"] = P256.jwk["x"].clone();
    let mut other_curve = P256.jwk.clone();
    other_curve["crv"] = "P-384".into();
    let cases = [
        ("no object", json!("RSA"), KeyProblem::NotObject),
        ("no kty", json!({}), KeyProblem::Member("kty")),
        (
            "unknown kty",
            json!({"kty": "X"}),
            KeyProblem::Unsupported("kty"),
        ),
        (
            "kty in lower case",
            json!({"kty": "rsa"}),
            KeyProblem::Unsupported("kty"),
        ),
        (
            "unknown curve",
            json!({"kty": "EC", "crv": "secp256k1"}),
            KeyProblem::Unsupported("crv"),
        ),
        (
            "curve of agreement",
            json!({"kty": "OKP", "crv": "X25519", "x": ""}),
            KeyProblem::Unsupported("crv"),
        ),
        (
            "RSA without n",
            json!({"kty": "RSA", "e": "AQAB"}),
            KeyProblem::Member("n"),
        ),
        (
            "RSA with standard base64",
            rsa("ab+/", "AQAB"),
            KeyProblem::Base64("n"),
        ),
        (
            "RSA of 1024 bits",
            rsa(&modulus(1024), "AQAB"),
            KeyProblem::Rsa,
        ),
        (
            "RSA of 2040 bits",
            rsa(&modulus(2040), "AQAB"),
            KeyProblem::Rsa,
        ),
        (
            "RSA of 8200 bits",
            rsa(&modulus(8200), "AQAB"),
            KeyProblem::Rsa,
        ),
        (
            "RSA padded with zeros",
            rsa(
                &base64url(&[vec![0; 200], vec![0xff; 128]].concat()),
                "AQAB",
            ),
            KeyProblem::Rsa,
        ),
        (
            "RSA with an even modulus",
            rsa(&base64url(&vec![0xfe; 256]), "AQAB"),
            KeyProblem::Rsa,
        ),
        (
            "RSA with exponent 1",
            rsa(&modulus(2048), "AQ"),
            KeyProblem::Rsa,
        ),
        (
            "RSA with exponent 0",
            rsa(&modulus(2048), "AA"),
            KeyProblem::Rsa,
        ),
        ("EC beside the curve", beside, KeyProblem::Point),
        ("EC on another curve", other_curve, KeyProblem::Point),
        (
            "EC without y",
            json!({"kty": "EC", "crv": "P-256", "x": P256.jwk["x"]}),
            KeyProblem::Member("y"),
        ),
        (
            "Ed25519 of 31 bytes",
            json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(&[1; 31])}),
            KeyProblem::Edwards,
        ),
        (
            "empty secret",
            json!({"kty": "oct", "k": ""}),
            KeyProblem::Secret,
        ),
        (
            "for encryption",
            RSA.jwk_with(&json!({"use": "enc"})),
            KeyProblem::Use("use"),
        ),
        (
            "not to verify",
            RSA.jwk_with(&json!({"key_ops": ["sign"]})),
            KeyProblem::Use("key_ops"),
        ),
        (
            "alg of another type",
            RSA.jwk_with(&json!({"alg": "ES256"})),
            KeyProblem::Algorithm,
        ),
        (
            "alg of another curve",
            P256.jwk_with(&json!({"alg": "ES384"})),
            KeyProblem::Algorithm,
        ),
        (
            "alg none",
            RSA.jwk_with(&json!({"alg": "none"})),
            KeyProblem::Algorithm,
        ),
        (
            "alg a number",
            RSA.jwk_with(&json!({"alg": 1})),
            KeyProblem::Member("alg"),
        ),
        (
            "kid a number",
            RSA.jwk_with(&json!({"kid": 1})),
            KeyProblem::Member("kid"),
        ),
    ];
    for (name, key, expected) in cases {
        let good = P256.jwk.clone();
        let set = Jwks::parse(jwks(&[key, good]).as_bytes()).unwrap();
        assert_eq!(set.len(), 1, "{name}: the other key stays");
        let problems: Vec<_> = set
            .skipped()
            .iter()
            .map(|key| (key.index, key.problem))
            .collect();
        assert_eq!(problems, [(0, expected)], "{name}");
    }
    let bound = rsa(&modulus(8192), "AQAB");
    assert_eq!(set(&[bound]).len(), 1, "8192 bits");
}

#[test]
fn key_sets_are_refused_as_a_whole_when_they_are_none() {
    let many = jwks(&vec![EDWARDS.jwk.clone(); MOST_KEYS + 1]);
    let large = format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(LARGEST_JWKS));
    let cases = [
        ("no JSON", "{", InvalidJwks::Json),
        ("a list", "[]", InvalidJwks::Json),
        ("empty", "", InvalidJwks::Json),
        ("no keys", "{}", InvalidJwks::NoKeys),
        ("keys an object", r#"{"keys":{}}"#, InvalidJwks::KeysNotList),
        ("too many keys", &many, InvalidJwks::TooManyKeys),
        ("too large", &large, InvalidJwks::TooLarge),
        (
            "too deep",
            &format!("{{\"keys\":{}{}}}", "[".repeat(32), "]".repeat(32)),
            InvalidJwks::Json,
        ),
    ];
    for (name, text, expected) in cases {
        assert_eq!(
            Jwks::parse(text.as_bytes()).unwrap_err(),
            expected,
            "{name}"
        );
    }
    let most = jwks(&vec![EDWARDS.jwk.clone(); MOST_KEYS]);
    assert_eq!(Jwks::parse(most.as_bytes()).unwrap().len(), MOST_KEYS);
    assert!(Jwks::parse(br#"{"keys":[]}"#).unwrap().is_empty());
}

#[test]
fn sets_that_give_away_secrets_say_so() {
    assert!(!set(&[RSA.jwk.clone(), EDWARDS.jwk.clone()]).has_secrets());
    assert!(set(std::slice::from_ref(&SECRET.jwk)).has_secrets());
    assert!(set(&[RSA.jwk_with(&json!({"d": "AQAB"}))]).has_secrets());
}

#[test]
fn keys_do_not_show_in_debug() {
    let secret = set(std::slice::from_ref(&SECRET.jwk));
    let authenticator = authenticator(vec![rule("a", &SECRET)], Profile::compat());
    let secret_text = SECRET.jwk["k"].as_str().unwrap();
    for text in [format!("{secret:?}"), format!("{authenticator:?}")] {
        assert!(
            !text.contains(secret_text) && !text.contains("7, 7"),
            "{text}"
        );
    }
}
