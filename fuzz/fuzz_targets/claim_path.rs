//! Keys of claims: any text is refused, or gives names that lead to at most one claim, and to the
//! same one however often it is read.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mesh_authz::claims::{ClaimPath, VerifiedClaims};

static CLAIMS: LazyLock<VerifiedClaims> = LazyLock::new(|| {
    let text = r#"{"iss": "i", "scope": "a b", "a": {"b": ["c", 1]}, "a.b": "d", "[a": "e"}"#;
    VerifiedClaims::assume_verified(serde_json::from_str(text).unwrap())
});

fuzz_target!(|key: &str| {
    let route = ClaimPath::from_route_key(key).ok().flatten();
    let paths = [
        ClaimPath::from_condition_key(key).ok(),
        ClaimPath::from_brackets(key).ok(),
        route,
    ];
    for path in paths.into_iter().flatten() {
        assert!(!path.names().is_empty() && path.names().len() <= 32);
        assert!(path.names().iter().all(|name| !name.is_empty()));
        let texts: Vec<&str> = CLAIMS.strings(path.names()).collect();
        assert_eq!(path.any(&CLAIMS, |_| true), !texts.is_empty());
        // Names without brackets are spelled in one way.
        if path.names().iter().all(|name| !name.contains(['[', ']'])) {
            let brackets: String = path
                .names()
                .iter()
                .map(|name| format!("[{name}]"))
                .collect();
            if let Ok(again) = ClaimPath::from_brackets(&brackets) {
                assert_eq!(again, path);
            }
        }
    }
});
