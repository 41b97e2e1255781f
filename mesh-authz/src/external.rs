//! Whom CUSTOM policies ask.
//!
//! [`ExternalAuthorizer`] is the seam. With the feature `ext-authz` there are authorizers that are asked by HTTP and by
//! gRPC as Envoy asks them; the connections to them are whatever implements `Ask`.

#[cfg(feature = "ext-authz")]
mod ask;
mod authorizer;
mod changes;
#[cfg(feature = "ext-authz")]
mod grpc;
#[cfg(feature = "ext-authz")]
mod http;
mod names;
#[cfg(feature = "ext-authz")]
mod wire;

#[cfg(feature = "ext-authz")]
pub use ask::{Ask, Asked};
pub use authorizer::{ExternalAnswer, ExternalAuthorizer, ExternalDenial, ExternalError};
pub use changes::HeaderChanges;
#[cfg(feature = "ext-authz")]
pub use grpc::GrpcAuthorizer;
#[cfg(feature = "ext-authz")]
pub use http::{HttpAuthorizer, HttpCheck};
pub use names::{HeaderNames, InvalidHeaderNames};
