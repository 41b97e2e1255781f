//! What is reported about requests: Istio's metrics, access logs, trace context.
//!
//! [`TelemetryLayer`] is the outermost layer. It follows a request until both directions are done, reset or
//! dropped, and gives the complete [`Entry`](crate::record::Entry) to a [`Sink`], such as [`Metrics`].
//! Nothing here waits, and nothing is formatted on a request's way except what a log line needs.
//!
//! ```
//! use std::convert::Infallible;
//! use std::sync::Arc;
//! use mesh_core::exposition::{Format, Writer};
//! use mesh_l7::body::Body;
//! use mesh_l7::telemetry::{Metrics, MetricsSettings, TelemetryLayer};
//! use tower_layer::Layer;
//! use tower_service::Service;
//!
//! #[derive(Clone)]
//! struct Hello;
//! impl Service<http::Request<Body>> for Hello {
//!     type Response = http::Response<Body>;
//!     type Error = Infallible;
//!     type Future = std::future::Ready<Result<Self::Response, Infallible>>;
//!     fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
//!         std::task::Poll::Ready(Ok(()))
//!     }
//!     fn call(&mut self, _: http::Request<Body>) -> Self::Future {
//!         std::future::ready(Ok(http::Response::new(Body::empty())))
//!     }
//! }
//!
//! let metrics = Arc::new(Metrics::new(MetricsSettings::default()));
//! let mut service = TelemetryLayer::new(metrics.clone()).layer(Hello);
//! let response = tokio_test::block_on(service.call(http::Request::new(Body::empty())))?;
//! drop(response);
//!
//! let mut writer = Writer::new(Format::Prometheus, String::new());
//! metrics.write(&mut writer);
//! let page = writer.finish();
//! assert!(page.contains("istio_requests_total{reporter=\"waypoint\",source_workload=\"unknown\""));
//! # Ok::<(), Infallible>(())
//! ```

mod access_log;
mod end;
mod grpc;
mod labels;
mod layer;
mod metrics;
mod place;
mod sink;
mod trace;
mod watched;
mod workloads;

pub use access_log::{
    AccessLog, BadFormat, Format, FormatProblem, LogCounters, LogWriter, Redaction, Sampling,
    Surroundings,
};
pub use layer::{ResponseFuture, Telemetry, TelemetryLayer};
pub use metrics::{Metrics, MetricsSettings};
pub use sink::{Needs, Sink};
pub use trace::{B3, B3Ids, Decision, InvalidB3, TraceFormats, TracePlace, TraceSettings};
pub use workloads::{MeshWorkloads, Workloads};
