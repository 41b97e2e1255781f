//! Variables of the node proxy that this version does not act on.

use super::env::{ConfigError, Env};

/// Accepted, and named once in the log at start.
const NOT_YET_USED: &[&str] = &[
    "ALT_CA_HOSTNAME",
    "ALT_XDS_HOSTNAME",
    "AUTHZ_POLICY_INFO_LOGGING",
    "AUTH_TOKEN",
    "CA_ADDRESS",
    "CA_ROOT_CA",
    "CLUSTER_DOMAIN",
    "HTTP2_CONNECTION_WINDOW_SIZE",
    "INPOD_PORT_REUSE",
    "INPOD_UDS",
    "INSTANCE_IP",
    "ISTIO_META_DNS_CAPTURE",
    "ISTIO_META_DNS_PROXY_ADDR",
    "POD_NAME",
    "POD_NAMESPACE",
    "PREFERED_SERVICE_NAMESPACE",
    "PREFERRED_SERVICE_NAMESPACE",
    "PROXY_CONFIG",
    "SECRET_TTL",
    "SERVICE_ACCOUNT",
    "TLS12_ENABLED",
    "XDS_ADDRESS",
    "XDS_ON_DEMAND",
    "XDS_ROOT_CA",
];

const NOT_YET_USED_PREFIXES: &[&str] = &["CA_HEADER_", "XDS_HEADER_"];

/// Not accepted: whoever sets one relies on a protection that would silently be missing.
const REFUSED: &[(&str, &str)] = &[
    ("CRL_PATH", "certificate revocation lists are not checked"),
    (
        "COMPLIANCE_POLICY",
        "cryptography is not restricted to a policy",
    ),
];

/// The variables that are set and have no effect.
///
/// # Errors
/// [`ConfigError::Refused`] for a variable that would weaken security if it were ignored.
pub(super) fn ignored(env: &Env) -> Result<Vec<String>, ConfigError> {
    for (name, consequence) in REFUSED {
        if env.text(name).is_some() {
            return Err(ConfigError::Refused(format!(
                "{name} is set but in this version {consequence}; unset it to accept that"
            )));
        }
    }
    let later = |name: &&str| {
        let by_prefix = NOT_YET_USED_PREFIXES.iter().any(|p| name.starts_with(p));
        (NOT_YET_USED.contains(name) || by_prefix) && env.text(name).is_some()
    };
    Ok(env.names().filter(later).map(str::to_owned).collect())
}
