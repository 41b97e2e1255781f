//! Tokens: section 3 of Istio's and Envoy's behaviour, row by row.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod errors;
mod istio;
mod keys;
mod outputs;
mod places;
mod refresh;
mod requests;
mod signer;
mod truth;
mod web;
