//! A certificate authority in memory that speaks Istio's protocol.

mod request;
mod roots;
mod service;

pub use service::{CaCall, CaService, CaServiceBuilder};

#[cfg(test)]
mod tests;
