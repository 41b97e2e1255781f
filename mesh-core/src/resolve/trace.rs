//! The steps of a decision, for those who want to know why.

use std::sync::Arc;

use crate::balance::{PickMode, Picked};
use crate::model::{GatewayAddress, Service, Workload};

/// A step of a decision, in the order in which it was taken.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Step<'a> {
    /// The address that was asked for is that of a service.
    Service(&'a Arc<Service>),
    /// The address that was asked for is that of a workload.
    Workload(&'a Arc<Workload>),
    /// The address that was asked for is not in the mesh.
    UnknownDestination,
    /// The destination has a waypoint; of several, this one was drawn.
    Waypoint {
        /// The reference to it.
        reference: &'a GatewayAddress,
        /// Whether it is the source itself, which goes to what is behind it.
        is_source: bool,
    },
    /// The upstream is in another network, behind this gateway.
    NetworkGateway {
        /// What is there: the endpoint or the waypoint.
        upstream: &'a Arc<Workload>,
        /// The reference to the gateway.
        reference: &'a GatewayAddress,
    },
    /// An endpoint of a service was chosen, or none could be.
    ///
    /// [`candidates`](crate::balance::candidates) with the same arguments tells about the others.
    Endpoint {
        /// The service.
        service: &'a Arc<Service>,
        /// The service port.
        port: u16,
        /// What the endpoint is wanted for.
        mode: PickMode,
        /// The chosen one.
        picked: Option<Picked<'a>>,
    },
}

/// Hears of the steps of a decision. Implemented by every closure of that shape.
pub trait Trace {
    /// A step was taken.
    fn step(&mut self, step: Step<'_>);
}

impl<F: FnMut(Step<'_>)> Trace for F {
    fn step(&mut self, step: Step<'_>) {
        self(step);
    }
}

/// Hears nothing: what a decision costs that nobody asks about.
#[derive(Debug)]
pub(super) struct Untraced;

impl Trace for Untraced {
    #[inline(always)]
    fn step(&mut self, _: Step<'_>) {}
}
