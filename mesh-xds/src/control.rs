//! The way to a control plane: its address, the roots that prove it, the token that proves us, and
//! the HTTP/2 connection that gRPC runs over.
//!
//! A [`ControlEndpoint`] is what is known before connecting. [`connect`](ControlEndpoint::connect)
//! gives a [`ControlChannel`], a tower service that the generated clients of
//! [`wire`](crate::wire) take; [`request`](ControlEndpoint::request) wraps a message with what the
//! control plane wants to see on each call. Files are read again each time, so rotated roots and
//! tokens count from the next connection or call on.
//!
//! # Example
//! ```no_run
//! use mesh_xds::control::{ControlEndpoint, ControlRoots, ControlToken};
//! use mesh_xds::wire::ca::IstioCertificateRequest;
//! use mesh_xds::wire::ca::istio_certificate_service_client::IstioCertificateServiceClient;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let endpoint = ControlEndpoint::builder("istiod.istio-system.svc:15012")
//!     .roots(ControlRoots::File("root-cert.pem".into()))
//!     .token(ControlToken::File("istio-token".into()))
//!     .cluster_id("Kubernetes")
//!     .build()?;
//! let mut client = IstioCertificateServiceClient::new(endpoint.connect().await?);
//! let request = endpoint.request(IstioCertificateRequest::default()).await?;
//! let answer = client.create_certificate(request).await?;
//! # Ok(())
//! # }
//! ```

mod address;
mod channel;
mod dial;
mod endpoint;
mod error;
mod file;
mod roots;
mod settings;
mod tls;
mod token;

pub use channel::ControlChannel;
pub use dial::{ControlDialer, ControlStream};
pub use endpoint::ControlEndpoint;
pub use error::ControlError;
pub use roots::ControlRoots;
pub use settings::ControlEndpointBuilder;
pub use token::ControlToken;

#[cfg(test)]
mod tests;
