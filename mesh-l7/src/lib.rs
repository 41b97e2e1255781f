//! HTTP routing and resilience layers of a service mesh data plane.
//!
//! This crate holds no layers yet: HTTP serving, routing, retries, balancing and HTTP telemetry
//! are later work. The node proxy is complete without them, as it never parses application bytes.
#![forbid(unsafe_code)]

/// Why an HTTP route configuration could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The route asks for something that this version cannot do, so it must not be accepted.
    #[error("route {route} is not supported by this version")]
    Unsupported {
        /// `namespace/name` of the route.
        route: String,
    },
}
