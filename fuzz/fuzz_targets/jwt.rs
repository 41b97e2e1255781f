//! Tokens in a request: any bytes are refused with a reason or ignored. None verifies: nobody has
//! the private keys, whatever the request says about them.
#![no_main]

use std::sync::LazyLock;
use std::time::{Duration, UNIX_EPOCH};

use http::header::{AUTHORIZATION, COOKIE, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use mesh_authz::jwt::{Authenticator, HeaderPlace, Jwks, JwksStore, JwtRule, KeySource, Profile};

// The public keys of RFC 7517 appendix A.1 and RFC 8037 appendix A.2.
const KEYS: &[u8] = br#"{"keys": [
    {"kty": "EC", "crv": "P-256", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
     "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM", "kid": "1"},
    {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
]}"#;

static RULES: LazyLock<[Authenticator; 2]> = LazyLock::new(|| {
    [Profile::compat(), Profile::strict()].map(|profile| {
        let keys = KeySource::Inline(Jwks::parse(KEYS).unwrap());
        let mut rule = JwtRule::new("", keys);
        rule.from_headers = vec![HeaderPlace::new("authorization", "Bearer ")];
        rule.from_params = vec!["access_token".into()];
        rule.from_cookies = vec!["session".into()];
        rule.output_payload_to_header = Some("x-payload".into());
        Authenticator::new(vec![rule], &JwksStore::new(), profile).unwrap()
    })
});

fuzz_target!(|input: (&[u8], &str, &[u8])| {
    let (header, query, cookie) = input;
    let mut builder = http::Request::builder();
    if let Ok(value) = HeaderValue::from_bytes(header) {
        builder = builder.header(AUTHORIZATION, value);
    }
    if let Ok(value) = HeaderValue::from_bytes(cookie) {
        builder = builder.header(COOKIE, value);
    }
    let request = builder.uri(format!("/p?{query}")).body(());
    let Ok((parts, ())) = request.map(http::Request::into_parts) else {
        return;
    };
    for rules in RULES.iter() {
        let mut parts = parts.clone();
        parts
            .headers
            .insert("x-payload", HeaderValue::from_static("forged"));
        match rules.check(&mut parts, UNIX_EPOCH + Duration::from_secs(1_800_000_000)) {
            Ok(authenticated) => assert!(authenticated.claims.is_none()),
            Err(error) => assert!(error.status().is_client_error()),
        }
        assert!(
            !parts
                .headers
                .contains_key(HeaderName::from_static("x-payload"))
        );
    }
});
