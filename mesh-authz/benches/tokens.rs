//! W12: what a token costs, by algorithm and by what is done with it.
//!
//! `verified` is a whole request with a token of one of three algorithms; `refused` stops before the
//! signature, at an expired token; `without` has no token at all.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use divan::Bencher;
use http::request::Parts;
use mesh_authz::jwt::{Authenticator, Jwks, JwksStore, JwtRule, KeySource, Profile};
use serde_json::json;

#[allow(dead_code, reason = "shared with the tests of tokens")]
#[path = "../tests/jwt/signer.rs"]
mod signer;

use signer::{EDWARDS, P256, RSA, Signer};

const NOW: u64 = 1_800_000_000;

fn main() {
    divan::main();
}

fn signer(alg: &str) -> &'static LazyLock<Signer> {
    match alg {
        "RS256" => &RSA,
        "ES256" => &P256,
        _ => &EDWARDS,
    }
}

fn rules(alg: &str) -> Authenticator {
    let keys = signer::jwks(std::slice::from_ref(&signer(alg).jwk));
    let keys = KeySource::Inline(Jwks::parse(keys.as_bytes()).unwrap());
    let rule = JwtRule::new("https://idp.example", keys);
    Authenticator::new(vec![rule], &JwksStore::new(), Profile::strict()).unwrap()
}

fn request(alg: &str, expiry: u64) -> Parts {
    let payload = json!({
        "iss": "https://idp.example", "sub": "cart", "exp": expiry, "iat": NOW, "aud": "shop",
        "scope": "read write", "groups": ["a", "b", "c"], "email": "cart@idp.example",
    });
    let token = signer(alg).token(alg, None, &payload);
    let request = http::Request::builder().header("authorization", format!("Bearer {token}"));
    request.body(()).unwrap().into_parts().0
}

fn run(bencher: Bencher<'_, '_>, alg: &str, expiry: u64, good: bool) {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
    let rules = rules(alg);
    let parts = request(alg, expiry);
    bencher
        .with_inputs(|| parts.clone())
        .bench_local_refs(|parts| {
            assert_eq!(rules.check(parts, now).is_ok(), good);
        });
}

#[divan::bench(args = ["RS256", "ES256", "EdDSA"])]
fn verified(bencher: Bencher<'_, '_>, alg: &str) {
    run(bencher, alg, NOW + 60, true);
}

#[divan::bench]
fn refused(bencher: Bencher<'_, '_>) {
    run(bencher, "ES256", 1000, false);
}

#[divan::bench]
fn without(bencher: Bencher<'_, '_>) {
    let rules = rules("ES256");
    let (parts, ()) = http::Request::new(()).into_parts();
    bencher
        .with_inputs(|| parts.clone())
        .bench_local_refs(|parts| {
            assert!(rules.check(parts, SystemTime::UNIX_EPOCH).is_ok());
        });
}
