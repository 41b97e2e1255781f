//! The proxy under a control plane: discovery and certificates over gRPC and TLS.

mod certificates;
mod networks;
mod on_demand;
mod outages;
mod plane;
mod policies;
mod resources;
