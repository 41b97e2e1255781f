//! Answers of a certificate authority: any bytes are refused with a reason. None is a credential:
//! the key is a fresh one, for which the input cannot have a certificate.
#![no_main]

use std::sync::LazyLock;
use std::time::{Duration, UNIX_EPOCH};

use libfuzzer_sys::fuzz_target;
use mesh_xds::ca::SigningRequest;
use mesh_xds::wire::ca::IstioCertificateResponse;
use prost::Message;

static REQUEST: LazyLock<SigningRequest> = LazyLock::new(|| {
    let id = "spiffe://cluster.local/ns/a/sa/web".parse().unwrap();
    SigningRequest::new(&id).unwrap()
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(response) = IstioCertificateResponse::decode(bytes) else {
        return;
    };
    let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let error = REQUEST.credential(&response.cert_chain, now).unwrap_err();
    assert!(!error.to_string().is_empty());
});
