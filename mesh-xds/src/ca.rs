//! Certificates from a mesh's certificate authority, over Istio's protocol
//! (`istio.v1.auth.IstioCertificateService`).
//!
//! A [`CaSource`] is a [`CertificateSource`](mesh_core::credential::CertificateSource): it fetches
//! a certificate when an identity is first asked for, shares the fetch between all who wait, and
//! replaces the certificate at 40 to 60 per cent of its lifetime. Its [`CaWorker`] does the
//! fetching and must run for as long as certificates are wanted. While the authority is away, the
//! last good certificates are served until they expire.
//!
//! A [`SigningRequest`] alone is the protocol's content without its transport.
//!
//! # Example
//! ```no_run
//! use mesh_core::credential::CertificateSource;
//! use mesh_xds::ca::CaSource;
//! use mesh_xds::control::{ControlEndpoint, ControlRoots, ControlToken};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let endpoint = ControlEndpoint::builder("https://istiod.istio-system.svc:15012")
//!     .roots(ControlRoots::File("./var/run/secrets/istio/root-cert.pem".into()))
//!     .token(ControlToken::File("./var/run/secrets/tokens/istio-token".into()))
//!     .build()?;
//! let (source, worker) = CaSource::builder(endpoint).build()?;
//! tokio::spawn(worker.run());
//! let id = "spiffe://cluster.local/ns/default/sa/web".parse()?;
//! let credential = source.credential(&id).await?;
//! println!("{} until {:?}", credential.id(), credential.not_after());
//! # Ok(())
//! # }
//! ```

mod backoff;
mod client;
mod entries;
mod error;
mod request;
mod response;
mod schedule;
mod settings;
mod source;
mod worker;

pub use entries::IdentityState;
pub use error::CaError;
pub use request::SigningRequest;
pub use settings::CaSourceBuilder;
pub use source::CaSource;
pub use worker::CaWorker;

#[cfg(test)]
mod tests;
