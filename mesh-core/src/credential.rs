//! The certificate, key and trusted roots that prove an identity, and where they come from.
//!
//! Needs the feature `tls`.

mod bundle;
mod error;
mod fixed;
mod proof;
mod revocation;
mod source;

pub use bundle::TrustBundle;
pub use error::{CertificateError, InvalidCredential};
pub use fixed::FixedSource;
pub use proof::Credential;
pub use revocation::RevocationLists;
pub use source::CertificateSource;

#[cfg(test)]
pub(crate) mod tests;
