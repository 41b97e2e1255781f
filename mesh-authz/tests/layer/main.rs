//! Layers for HTTP requests: what clients get, what the inner service gets, what is recorded.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod authn;
mod authz;
mod inner;
mod policies;
#[allow(dead_code, reason = "shared with the tests of tokens")]
#[path = "../jwt/signer.rs"]
mod signer;
