//! A certificate authority for development, shared through a directory by the processes of one
//! user.
//!
//! **For development and tests only.** The authority's key lies in a file: each process of the
//! user can issue any identity to itself, nothing checks who asks, and nothing can be revoked. A
//! mesh that carries anything of value takes its certificates from its control plane.
//!
//! # Example
//! ```no_run
//! use std::sync::Arc;
//! use mesh_core::credential::CertificateSource;
//! use mesh_xds::dev_ca::{DevCa, DevCaSource};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let directory = DevCa::default_directory(|name| std::env::var_os(name))
//!     .ok_or("no directory for the development CA")?;
//! let source = Arc::new(DevCaSource::builder(DevCa::open_or_create(directory)?).build()?);
//! tokio::spawn({
//!     let source = source.clone();
//!     async move { source.run().await }
//! });
//! let id = "spiffe://cluster.local/ns/default/sa/web".parse()?;
//! let credential = source.credential(&id).await?;
//! # Ok(())
//! # }
//! ```

mod authority;
mod directory;
mod error;
mod source;

pub use authority::DevCa;
pub use error::DevCaError;
pub use source::{DevCaSource, DevCaSourceBuilder};

#[cfg(test)]
mod tests;
