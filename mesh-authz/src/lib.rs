//! Authorization for a service mesh data plane.
//!
//! This crate holds no engine yet. Node proxies ask for a decision through the authorizer hook of
//! `mesh-hbone`; the engine that will stand behind it (policies compiled to an index, decided
//! without allocation, each decision with its reason) is the next piece of work here.
#![forbid(unsafe_code)]

/// Why an authorization policy could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The policy asks for something that this version cannot enforce, so it must not be accepted.
    #[error("policy {policy} cannot be enforced by this version")]
    Unsupported {
        /// `namespace/name` of the policy.
        policy: String,
    },
}
