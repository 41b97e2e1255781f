//! The settings of the process, read once from the environment.

mod duration;
mod env;
mod later;
mod listen;
mod network;
#[cfg(test)]
mod tests;
mod threads;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use mesh_core::identity::TrustDomain;
use mesh_core::name::Name;
use mesh_xds::dev_ca::DevCa;
use mesh_xds::local::POLL_INTERVAL;

pub(crate) use env::{ConfigError, Env};
pub(crate) use listen::Listen;
pub(crate) use network::NetworkSettings;

/// Where the mesh is described.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum MeshSource {
    /// A file that is watched (`LOCAL_XDS_PATH`), looked at in this interval
    /// (`MESH_LOCAL_XDS_INTERVAL`, default 500 ms).
    File(PathBuf, Duration),
    /// The text itself (`LOCAL_XDS`).
    Inline(String),
}

/// Who the workload is that the process serves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct WorkloadInfo {
    pub(crate) namespace: Name,
    pub(crate) name: Name,
    pub(crate) service_account: Name,
}

/// How lines are written to the log.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum LogFormat {
    /// Fields separated by tabs, then `key=value`.
    #[default]
    Plain,
    /// One JSON object per line.
    Json,
}

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
    /// `LOCAL_XDS_PATH` or `LOCAL_XDS`.
    pub(crate) mesh: MeshSource,
    /// `MESH_DEV_CA_DIR`, used with `FAKE_CA=true`; default: `mesh-dev-ca` in the user's runtime or
    /// cache directory.
    pub(crate) dev_ca: PathBuf,
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
        let ignored = later::ignored(env)?;
        check_mode(env)?;
        let workload = env
            .read("PROXY_WORKLOAD_INFO", workload_info)?
            .ok_or_else(|| {
                refused("PROXY_WORKLOAD_INFO is not set, expected namespace/name/service-account")
            })?;
        let name = |variable| env.text(variable).map(Name::from);
        Ok(Self {
            workload,
            network: name("NETWORK").unwrap_or_default(),
            node: name("NODE_NAME"),
            trust_domain: trust_domain(env)?,
            cluster_id: name("ISTIO_META_CLUSTER_ID")
                .or_else(|| name("CLUSTER_ID"))
                .unwrap_or_else(|| "Kubernetes".into()),
            mesh: mesh_source(env)?,
            dev_ca: dev_ca(env)?,
            ipv6: env.switch("IPV6_ENABLED")?.unwrap_or(true),
            listen: Listen::from_env(env)?,
            net: NetworkSettings::from_env(env)?,
            original_source: env.switch("ENABLE_ORIG_SRC")?,
            localhost_app_tunnel: env.switch("LOCALHOST_APP_TUNNEL")?.unwrap_or(true),
            response_baggage: env.switch("ENABLE_RESPONSE_BAGGAGE")?.unwrap_or(true),
            drain_deadline: drain_deadline(env)?,
            workers: threads::workers(env, cpus)?,
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

fn refused(text: &str) -> ConfigError {
    ConfigError::Refused(text.to_owned())
}

fn check_mode(env: &Env) -> Result<(), ConfigError> {
    if env.switch("ENABLE_PROXY")? == Some(false) {
        return Err(refused("ENABLE_PROXY is false: there is nothing to run"));
    }
    match env.text("PROXY_MODE").unwrap_or("shared") {
        "dedicated" => Ok(()),
        "shared" => Err(refused(
            "shared mode is not available yet, set PROXY_MODE=dedicated",
        )),
        other => Err(env::wrong("PROXY_MODE", other, "dedicated")),
    }
}

fn workload_info(text: &str) -> Result<WorkloadInfo, String> {
    let expected = || "namespace/name/service-account".to_owned();
    let mut parts = text.split('/').map(Name::from);
    let mut next = || {
        parts
            .next()
            .filter(|part| !part.is_empty())
            .ok_or_else(expected)
    };
    let info = WorkloadInfo {
        namespace: next()?,
        name: next()?,
        service_account: next()?,
    };
    if next().is_ok() {
        Err(expected())
    } else {
        Ok(info)
    }
}

fn trust_domain(env: &Env) -> Result<TrustDomain, ConfigError> {
    let text = env.text("TRUST_DOMAIN").unwrap_or("cluster.local");
    text.parse()
        .map_err(|_| env::wrong("TRUST_DOMAIN", text, "a trust domain such as cluster.local"))
}

fn mesh_source(env: &Env) -> Result<MeshSource, ConfigError> {
    let interval = env
        .duration("MESH_LOCAL_XDS_INTERVAL", Duration::from_millis(1))?
        .unwrap_or(POLL_INTERVAL);
    match (env.text("LOCAL_XDS_PATH"), env.text("LOCAL_XDS")) {
        (Some(path), None) => Ok(MeshSource::File(path.into(), interval)),
        (None, Some(text)) => Ok(MeshSource::Inline(text.to_owned())),
        (Some(_), Some(_)) => Err(refused(
            "LOCAL_XDS_PATH and LOCAL_XDS are both set, expected one of them",
        )),
        (None, None) => Err(refused(
            "no description of the mesh: set LOCAL_XDS_PATH to a file \
             (this version has no control plane client)",
        )),
    }
}

fn dev_ca(env: &Env) -> Result<PathBuf, ConfigError> {
    if env.switch("FAKE_CA")? != Some(true) {
        return Err(refused(
            "no certificate authority: this version has no CA client, set FAKE_CA=true to use the \
             built-in authority for development",
        ));
    }
    env.text("MESH_DEV_CA_DIR")
        .map(PathBuf::from)
        .or_else(|| DevCa::default_directory(|name| env.text(name).map(Into::into)))
        .ok_or_else(|| {
            refused("no directory for the development CA: set MESH_DEV_CA_DIR to a private one")
        })
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
