//! The way to the servers of the control plane.

use mesh_xds::control::{ControlEndpoint, ControlError, ControlRoots, ControlToken};

use crate::config::{ControlPlane, Root, Settings, Token};

/// What is known of a server before connecting to it.
///
/// # Errors
/// [`ControlError`] when a setting cannot be used.
pub(crate) fn endpoint(
    server: &ControlPlane,
    settings: &Settings,
) -> Result<ControlEndpoint, ControlError> {
    let roots = match &server.root {
        Root::File(path) => ControlRoots::File(path.clone()),
        Root::Pem(text) => ControlRoots::Pem(text.clone()),
        Root::System => ControlRoots::System,
    };
    let token = match &settings.token {
        Token::None => ControlToken::None,
        Token::File(path) => ControlToken::File(path.clone()),
        Token::Literal(token) => ControlToken::Literal(token.clone()),
    };
    let mut builder = ControlEndpoint::builder(&server.address)
        .roots(roots)
        .token(token)
        .cluster_id(settings.cluster_id.as_str());
    if let Some(name) = &server.alt_hostname {
        builder = builder.alternative_name(name);
    }
    for header in &server.headers {
        builder = builder.header(&header.name, &header.value);
    }
    builder.build()
}
