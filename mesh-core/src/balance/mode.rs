//! Purposes that endpoints are chosen for.

/// What the endpoint is wanted for.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum PickMode {
    /// A destination: the service must have the port.
    #[default]
    Standard,
    /// A waypoint or gateway: an endpoint with an application tunnel needs no service port.
    Waypoint,
}
