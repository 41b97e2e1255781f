//! Configuration and certificate sources of a service mesh data plane.
#![forbid(unsafe_code)]

#[cfg(feature = "ads")]
pub mod ads;
pub mod apply;
#[cfg(feature = "ca")]
pub mod ca;
#[cfg(feature = "control")]
pub mod control;
#[cfg(feature = "delta")]
pub mod convert;
#[cfg(feature = "delta")]
pub mod delta;
#[cfg(all(unix, feature = "dev-ca"))]
pub mod dev_ca;
pub mod duration;
#[cfg(feature = "local")]
pub mod local;
#[cfg(feature = "manifest")]
pub mod manifest;
#[cfg(any(feature = "local", feature = "manifest"))]
pub mod place;
#[cfg(any(all(unix, feature = "dev-ca"), feature = "ca"))]
mod renewal;
#[cfg(feature = "server")]
pub mod server;
#[cfg(any(all(unix, feature = "dev-ca"), feature = "server"))]
mod signing;
#[cfg(any(all(unix, feature = "dev-ca"), feature = "ca", feature = "server"))]
mod svid;
#[cfg(test)]
mod testing;
#[cfg(any(feature = "local", feature = "manifest"))]
pub mod watched_file;
#[cfg(feature = "wire")]
pub mod wire;

/// Why a source could not deliver.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {}
