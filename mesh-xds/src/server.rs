//! A small control plane: delta discovery, and whatever further gRPC services are given to it, on
//! one listener.
//!
//! For tests, for embedding, for single hosts. It is not meant to serve many proxies: a change
//! costs a look at all resources for each client.
//!
//! It is for clients that are trusted: the listener bounds the length of a request, and neither the
//! number of clients, their streams and subscriptions nor the time of a handshake. Do not expose it.
//!
//! [`CaService`] is a certificate authority to serve beside it.
//!
//! [`Discovery`] holds the resources and outlives listeners, so a [`ControlServer`] can be stopped
//! and started again on its port while clients live on. [`Faults`] make it as bad as servers get.
//!
//! ```
//! use mesh_core::model::WorkloadSpec;
//! use mesh_xds::server::{ControlServer, Discovery};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let discovery = Discovery::new();
//! discovery.put_workload(&WorkloadSpec { uid: "a".into(), ..WorkloadSpec::default() });
//! let server = ControlServer::builder(discovery.clone()).start("127.0.0.1:0").await?;
//! println!("clients connect to http://{}", server.address());
//! server.stop().await;
//! # Ok(())
//! # }
//! ```

mod ca;
mod discovery;
mod fault;
mod listener;
mod resource;
mod route;
mod seen;
mod service;
mod session;

pub use ca::{CaCall, CaService, CaServiceBuilder};
pub use discovery::{Discovery, Edit};
pub use fault::Faults;
pub use listener::{ControlServer, ControlServerBuilder};
pub use resource::ServedResource;
pub use seen::{Requests, Seen};
