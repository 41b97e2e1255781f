//! Configuration from a control plane: [`delta`](crate::delta) over gRPC.
//!
//! An [`AdsClient`] keeps one stream open for as long as it runs, fills the sinks of its
//! subscriptions, and reconnects with growing, random pauses; what the sinks hold stays in force
//! meanwhile. Responses are decoded, converted and applied on the task that runs the client: give
//! it a thread that carries no traffic where first syncs are large.
//!
//! ```no_run
//! use std::sync::Arc;
//! use mesh_core::store::MeshStore;
//! use mesh_xds::ads::{AdsClient, NodeIdentity};
//! use mesh_xds::control::{ControlEndpoint, ControlRoots, ControlToken};
//! use mesh_xds::convert::Addresses;
//! use mesh_xds::delta::Subscription;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let istiod = ControlEndpoint::builder("istiod.istio-system.svc:15012")
//!     .roots(ControlRoots::File("root-cert.pem".into()))
//!     .token(ControlToken::File("istio-token".into()))
//!     .build()?;
//! let store = Arc::new(MeshStore::new());
//! let client = AdsClient::builder(istiod, NodeIdentity::new("ztunnel", "ztunnel-x7v", "istio-system"))
//!     .subscribe(Subscription::new(Addresses::new(store.clone())))
//!     .build();
//! tokio::spawn(client.run());
//! # Ok(())
//! # }
//! ```

mod backoff;
mod client;
mod clock;
mod demand;
mod driver;
mod node;
mod observer;
mod probe;
mod progress;

pub use client::{AdsClient, AdsClientBuilder};
pub use demand::{AdsGone, Demand};
pub use node::{Metadata, NodeError, NodeIdentity};
pub use observer::{AdsError, AdsObserver, Termination};
