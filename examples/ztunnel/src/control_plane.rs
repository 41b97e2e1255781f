//! The way to the servers of the control plane.

use mesh_xds::control::{ControlEndpoint, ControlError};
use process::control_plane::ControlPlane;

use crate::config::Settings;

/// What is known of a server before connecting to it.
///
/// # Errors
/// [`ControlError`] when a setting cannot be used.
pub(crate) fn endpoint(
    server: &ControlPlane,
    settings: &Settings,
) -> Result<ControlEndpoint, ControlError> {
    server.endpoint(&settings.token, &settings.cluster_id)
}
