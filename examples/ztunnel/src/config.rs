//! The settings of the process, read once from the environment.

mod control_plane;
mod later;
mod listen;
mod mode;
mod network;
mod proxy_config;
mod sources;
#[cfg(test)]
mod tests;
mod threads;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use mesh_core::identity::TrustDomain;
use mesh_core::name::Name;

pub(crate) use control_plane::{Token, XdsSettings};
pub(crate) use listen::Listen;
pub(crate) use mode::WorkloadInfo;
pub(crate) use network::NetworkSettings;
use process::env;
pub(crate) use process::env::{ConfigError, Env};
pub(crate) use process::logging::LogFormat;
pub(crate) use process::node::Node;
pub(crate) use sources::{Authority, LocalMesh};

use proxy_config::ProxyConfig;

/// Everything that can be set from outside.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// `PROXY_WORKLOAD_INFO`, `namespace/name/service account`.
    pub(crate) workload: WorkloadInfo,
    /// `NETWORK`; default: the unnamed network.
    pub(crate) network: Name,
    /// `NODE_NAME`.
    pub(crate) node: Option<Name>,
    /// `TRUST_DOMAIN`; default `cluster.local`.
    pub(crate) trust_domain: TrustDomain,
    /// `ISTIO_META_CLUSTER_ID`, else `CLUSTER_ID`; default `Kubernetes`.
    pub(crate) cluster_id: Name,
    /// `LOCAL_XDS_PATH`, `LOCAL_XDS` or `MESH_MANIFESTS`.
    pub(crate) local: Option<LocalMesh>,
    /// `XDS_ADDRESS`; there is this, `local`, or both.
    pub(crate) xds: Option<XdsSettings>,
    /// `FAKE_CA` or `CA_ADDRESS`.
    pub(crate) authority: Authority,
    /// `AUTH_TOKEN`.
    pub(crate) token: Token,
    /// What the control plane is told about the proxy.
    pub(crate) node_info: Node,
    /// `CRL_PATH`: revoked certificates.
    pub(crate) crl: Option<PathBuf>,
    /// `AUTHZ_POLICY_INFO_LOGGING`: log what policies decide at the level info instead of debug;
    /// default `false`.
    pub(crate) log_policies: bool,
    /// `IPV6_ENABLED`; default `true`.
    pub(crate) ipv6: bool,
    pub(crate) listen: Listen,
    pub(crate) net: NetworkSettings,
    /// `ENABLE_ORIG_SRC`: keep the client's address toward the workload; absent = where possible.
    pub(crate) original_source: Option<bool>,
    /// `LOCALHOST_APP_TUNNEL`; default `true`.
    pub(crate) localhost_app_tunnel: bool,
    /// `ENABLE_RESPONSE_BAGGAGE`; default `true`.
    pub(crate) response_baggage: bool,
    /// Time that connections have to end after the signal to stop.
    pub(crate) drain_deadline: Duration,
    pub(crate) workers: NonZeroUsize,
    /// `LOG_FORMAT`: `plain` or `json`.
    pub(crate) log_format: LogFormat,
    /// `RUST_LOG`: levels and `scope=level`, separated by commas; default `info`.
    pub(crate) log_filter: String,
    /// `ISTIO_META_ISTIO_VERSION`, for the build metric.
    pub(crate) version: String,
    /// Variables that are set and have no effect in this version.
    pub(crate) ignored: Vec<String>,
}

impl Settings {
    /// Reads all settings, for a machine with `cpus` logical processors.
    ///
    /// # Errors
    /// [`ConfigError`] names the variable and what was expected.
    pub(crate) fn from_env(env: &Env, cpus: NonZeroUsize) -> Result<Self, ConfigError> {
        let config = ProxyConfig::from_env(env)?;
        let env = &env.clone().with_defaults(config.variables());
        mode::check(env)?;
        let workload = mode::workload(env)?;
        let local = LocalMesh::from_env(env)?;
        let xds = XdsSettings::from_env(env, config.discovery_address.as_deref(), local.is_some())?;
        if xds.is_none() && local.is_none() {
            return Err(ConfigError::Refused(
                "no description of the mesh: XDS_ADDRESS is empty, set it to the address of a \
                 control plane, or LOCAL_XDS_PATH to a file, or MESH_MANIFESTS to a directory"
                    .to_owned(),
            ));
        }
        let authority = Authority::from_env(env)?;
        let of_control_plane = matches!(authority, Authority::ControlPlane(_));
        let ignored = later::ignored(env, xds.is_some(), of_control_plane)?;
        let name = |variable| env.text(variable).map(Name::from);
        Ok(Self {
            node_info: Node::from_env(
                env,
                &config.proxy_metadata,
                (&workload.name, &workload.namespace),
            )?,
            workload,
            network: name("NETWORK").unwrap_or_default(),
            node: name("NODE_NAME"),
            trust_domain: trust_domain(env)?,
            cluster_id: name("ISTIO_META_CLUSTER_ID")
                .or_else(|| name("CLUSTER_ID"))
                .unwrap_or_else(|| "Kubernetes".into()),
            local,
            xds,
            authority,
            token: Token::from_env(env),
            crl: env.text("CRL_PATH").map(PathBuf::from),
            log_policies: env.switch("AUTHZ_POLICY_INFO_LOGGING")?.unwrap_or(false),
            ipv6: env.switch("IPV6_ENABLED")?.unwrap_or(true),
            listen: Listen::from_env(env, &config)?,
            net: NetworkSettings::from_env(env)?,
            original_source: env.switch("ENABLE_ORIG_SRC")?,
            localhost_app_tunnel: env.switch("LOCALHOST_APP_TUNNEL")?.unwrap_or(true),
            response_baggage: env.switch("ENABLE_RESPONSE_BAGGAGE")?.unwrap_or(true),
            drain_deadline: drain_deadline(env)?,
            workers: threads::workers(env, cpus, config.concurrency)?,
            log_format: env.read("LOG_FORMAT", log_format)?.unwrap_or_default(),
            log_filter: env.text("RUST_LOG").unwrap_or("info").to_owned(),
            version: env
                .text("ISTIO_META_ISTIO_VERSION")
                .unwrap_or("unknown")
                .to_owned(),
            ignored,
        })
    }
}

fn trust_domain(env: &Env) -> Result<TrustDomain, ConfigError> {
    let text = env.text("TRUST_DOMAIN").unwrap_or("cluster.local");
    text.parse()
        .map_err(|_| env::wrong("TRUST_DOMAIN", text, "a trust domain such as cluster.local"))
}

/// `CONNECTION_TERMINATION_DEADLINE`, else from `TERMINATION_GRACE_PERIOD_SECONDS` with some time
/// to spare before Kubernetes kills the process, else 5 s.
fn drain_deadline(env: &Env) -> Result<Duration, ConfigError> {
    let deadline = env.duration("CONNECTION_TERMINATION_DEADLINE", Duration::ZERO)?;
    let grace = env.parse::<u64>("TERMINATION_GRACE_PERIOD_SECONDS", "a number of seconds")?;
    Ok(deadline.unwrap_or_else(|| {
        Duration::from_secs(match grace {
            Some(seconds) if seconds > 10 => seconds.saturating_sub(5),
            Some(seconds) => seconds.saturating_sub(1).max(1),
            None => 5,
        })
    }))
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "plain" => Ok(LogFormat::Plain),
        "json" => Ok(LogFormat::Json),
        _ => Err("plain or json".to_owned()),
    }
}
