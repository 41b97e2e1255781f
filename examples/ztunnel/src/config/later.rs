//! Variables of the node proxy that this version does not act on.

use process::env::{ConfigError, Env};

/// Accepted, and named once in the log at start.
const NOT_YET_USED: &[&str] = &[
    "HTTP2_CONNECTION_WINDOW_SIZE",
    "INPOD_PORT_REUSE",
    "INPOD_UDS",
    "ISTIO_META_DNS_CAPTURE",
    "ISTIO_META_DNS_PROXY_ADDR",
    "PREFERED_SERVICE_NAMESPACE",
    "PREFERRED_SERVICE_NAMESPACE",
    "SERVICE_ACCOUNT",
    "TLS12_ENABLED",
];

/// Of no effect without a control plane that describes the mesh.
const FOR_XDS: &[&str] = &["ALT_XDS_HOSTNAME", "XDS_ON_DEMAND", "XDS_ROOT_CA"];
/// Of no effect without a certificate authority of the control plane.
const FOR_AUTHORITY: &[&str] = &[
    "ALT_CA_HOSTNAME",
    "CA_ADDR",
    "CA_ADDRESS",
    "CA_ROOT_CA",
    "SECRET_TTL",
];

/// Not accepted: whoever sets one relies on a protection that would silently be missing.
const REFUSED: &[(&str, &str)] = &[(
    "COMPLIANCE_POLICY",
    "cryptography is not restricted to a policy",
)];

/// The variables that are set and have no effect, with or without `xds` and an `authority` of the
/// control plane.
///
/// # Errors
/// [`ConfigError::Refused`] for a variable that would weaken security if it were ignored.
pub(super) fn ignored(env: &Env, xds: bool, authority: bool) -> Result<Vec<String>, ConfigError> {
    for (name, consequence) in REFUSED {
        if env.text(name).is_some() {
            return Err(ConfigError::Refused(format!(
                "{name} is set but in this version {consequence}; unset it to accept that"
            )));
        }
    }
    let ignored = |name: &&str| {
        let listed = NOT_YET_USED.contains(name)
            || !xds && (FOR_XDS.contains(name) || name.starts_with("XDS_HEADER_"))
            || !authority && (FOR_AUTHORITY.contains(name) || name.starts_with("CA_HEADER_"))
            || !xds && !authority && *name == "AUTH_TOKEN";
        listed && env.text(name).is_some()
    };
    Ok(env.names().filter(ignored).map(str::to_owned).collect())
}
