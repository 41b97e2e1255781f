//! The settings of the process, read once from the environment.

mod sources;
mod timeouts;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use mesh_core::identity::TrustDomain;
use mesh_core::name::Name;
use mesh_hbone::sock::wildcard;
use mesh_xds::manifest::POLL_INTERVAL;
use process::control_plane::{Token, XdsSettings};
use process::env::{ConfigError, Env, wrong};
use process::logging::LogFormat;
use process::node::Node;

pub(crate) use sources::Authority;
pub(crate) use timeouts::Timeouts;

use mesh_l7::router::SessionKey;
use sources::Sources;

/// Where Kubernetes' downward API puts the labels of a waypoint's pod, below the working directory.
const POD_LABELS: &str = "./etc/istio/pod/labels";

/// Everything that can be set from outside.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// `PROXY_WORKLOAD_INFO`, `namespace/name/service account` of the waypoint's own pod; else
    /// `POD_NAMESPACE`, `POD_NAME` and `SERVICE_ACCOUNT`.
    pub(crate) workload: WorkloadInfo,
    /// `TRUST_DOMAIN`; default `cluster.local`.
    pub(crate) trust_domain: TrustDomain,
    /// `NETWORK`; default: the unnamed network.
    pub(crate) network: Name,
    /// `ISTIO_META_CLUSTER_ID`, else `CLUSTER_ID`; default `Kubernetes`.
    pub(crate) cluster_id: Name,
    /// `MESH_MANIFESTS`, looked at every `MESH_LOCAL_XDS_INTERVAL` (50 ms); there is this, `xds`, or both.
    pub(crate) manifests: Option<PathBuf>,
    pub(crate) interval: Duration,
    /// `XDS_ADDRESS`, or the discovery address of `PROXY_CONFIG`.
    pub(crate) xds: Option<XdsSettings>,
    /// `FAKE_CA`, or `CA_ADDRESS` and `CA_ADDR`.
    pub(crate) authority: Authority,
    /// `AUTH_TOKEN`.
    pub(crate) token: Token,
    /// What the control plane is told about the proxy.
    pub(crate) node: Node,
    /// `MESH_POD_LABELS`: a file with the labels of the waypoint's own pod.
    pub(crate) pod_labels: PathBuf,
    pub(crate) listen: Listen,
    /// `CONNECTION_TERMINATION_DEADLINE`; default 5 s.
    pub(crate) drain_deadline: Duration,
    /// `WAYPOINT_WORKER_THREADS`; default: the processors that there are.
    pub(crate) workers: NonZeroUsize,
    /// `WAYPOINT_SPREAD_STREAMS`: whether streams of one tunnel are served by several workers; default false.
    pub(crate) spread: bool,
    /// `MESH_HTTP_HEAD_TIMEOUT` and others.
    pub(crate) timeouts: Timeouts,
    /// `MESH_AWAKE`: how long a worker looks for more traffic before it sleeps; 0.
    pub(crate) awake: Duration,
    /// `MESH_ACCESS_LOG`: `text` (Istio's format), `json` (its fields) or `off` (default).
    pub(crate) access_log: Option<LogFormat>,
    /// `MESH_SESSION_KEY`, 32 hexadecimal digits: what tokens of sessions are made with.
    pub(crate) session_key: SessionKey,
    /// `LOG_FORMAT`: `plain` (default) or `json`.
    pub(crate) log_format: LogFormat,
    /// `RUST_LOG`; default `info`.
    pub(crate) log_filter: String,
}

/// The waypoint's own pod.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct WorkloadInfo {
    pub(crate) namespace: Name,
    pub(crate) name: Name,
    pub(crate) service_account: Name,
}

/// The addresses of all listeners: on `MESH_BIND_ADDRESS`, or on all addresses; administration on the loopback
/// interface.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Listen {
    /// `MESH_HBONE_PORT`; 15008. Node proxies are dialled at the same port.
    pub(crate) hbone: SocketAddr,
    /// `MESH_ADMIN_PORT`; 15000.
    pub(crate) admin: SocketAddr,
    /// `MESH_METRICS_PORT`; 15020.
    pub(crate) metrics: SocketAddr,
    /// `MESH_PROXY_METRICS_PORT`; 15090.
    pub(crate) proxy_metrics: SocketAddr,
    /// `MESH_READINESS_PORT`; 15021.
    pub(crate) readiness: SocketAddr,
}

impl Settings {
    /// Reads all settings, for a machine with `cpus` logical processors.
    ///
    /// # Errors
    /// [`ConfigError`] names the variable and what was expected.
    pub(crate) fn from_env(env: &Env, cpus: NonZeroUsize) -> Result<Self, ConfigError> {
        let name = |variable| env.text(variable).map(Name::from);
        let sources = Sources::from_env(env)?;
        let workload = workload(env)?;
        let interval = env.duration("MESH_LOCAL_XDS_INTERVAL", Duration::from_millis(1))?;
        let trust_domain = env.text("TRUST_DOMAIN").unwrap_or("cluster.local");
        let deadline = env.duration("CONNECTION_TERMINATION_DEADLINE", Duration::ZERO)?;
        let format = env.read("LOG_FORMAT", |text| match text {
            "plain" => Ok(LogFormat::Plain),
            "json" => Ok(LogFormat::Json),
            _ => Err("plain or json".to_owned()),
        })?;
        let access_log = env.read("MESH_ACCESS_LOG", |text| match text {
            "text" => Ok(Some(LogFormat::Plain)),
            "json" => Ok(Some(LogFormat::Json)),
            "off" => Ok(None),
            _ => Err("text, json or off".to_owned()),
        })?;
        Ok(Self {
            node: Node::from_env(
                env,
                &sources.metadata,
                (&workload.name, &workload.namespace),
            )?,
            workload,
            trust_domain: trust_domain.parse().map_err(|_| {
                wrong(
                    "TRUST_DOMAIN",
                    trust_domain,
                    "a trust domain such as cluster.local",
                )
            })?,
            network: name("NETWORK").unwrap_or_default(),
            cluster_id: name("ISTIO_META_CLUSTER_ID")
                .or_else(|| name("CLUSTER_ID"))
                .unwrap_or_else(|| "Kubernetes".into()),
            manifests: sources.manifests,
            interval: interval.unwrap_or(POLL_INTERVAL),
            xds: sources.xds,
            authority: Authority::from_env(env)?,
            token: Token::from_env(env),
            pod_labels: env.text("MESH_POD_LABELS").unwrap_or(POD_LABELS).into(),
            listen: Listen::from_env(env)?,
            drain_deadline: deadline.unwrap_or(Duration::from_secs(5)),
            workers: env
                .parse("WAYPOINT_WORKER_THREADS", "a number from 1")?
                .unwrap_or(cpus),
            spread: env.switch("WAYPOINT_SPREAD_STREAMS")?.unwrap_or(false),
            timeouts: Timeouts::from_env(env)?,
            awake: env
                .duration("MESH_AWAKE", Duration::ZERO)?
                .unwrap_or_default(),
            access_log: access_log.flatten(),
            session_key: env
                .read("MESH_SESSION_KEY", session_key)?
                .unwrap_or_default(),
            log_format: format.unwrap_or_default(),
            log_filter: env.text("RUST_LOG").unwrap_or("info").to_owned(),
        })
    }
}

fn session_key(text: &str) -> Result<SessionKey, String> {
    let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let key = u128::from_str_radix(text, 16).ok().filter(|_| digits);
    let key = key.ok_or_else(|| "32 hexadecimal digits".to_owned())?;
    Ok(SessionKey::new(key.to_be_bytes()))
}

impl Listen {
    fn from_env(env: &Env) -> Result<Self, ConfigError> {
        let ipv6 = env.switch("IPV6_ENABLED")?.unwrap_or(true);
        let bind: Option<IpAddr> = env.parse("MESH_BIND_ADDRESS", "an IP address")?;
        let at = |variable, default| -> Result<SocketAddr, ConfigError> {
            let port = env.port(variable, default)?;
            Ok(match bind {
                Some(ip) => SocketAddr::new(ip, port),
                None => wildcard(port, ipv6),
            })
        };
        let private = bind.filter(IpAddr::is_loopback);
        let private = private.unwrap_or(Ipv4Addr::LOCALHOST.into());
        Ok(Self {
            hbone: at("MESH_HBONE_PORT", 15008)?,
            admin: SocketAddr::new(private, env.port("MESH_ADMIN_PORT", 15000)?),
            metrics: at("MESH_METRICS_PORT", 15020)?,
            proxy_metrics: at("MESH_PROXY_METRICS_PORT", 15090)?,
            readiness: at("MESH_READINESS_PORT", 15021)?,
        })
    }
}

fn refused(text: &str) -> ConfigError {
    ConfigError::Refused(text.to_owned())
}

fn workload(env: &Env) -> Result<WorkloadInfo, ConfigError> {
    let expected = "PROXY_WORKLOAD_INFO is not set, expected namespace/name/service-account";
    let parts: Option<[Name; 3]> = match env.text("PROXY_WORKLOAD_INFO") {
        Some(text) => {
            let parts: Vec<Name> = text.split('/').map(Name::from).collect();
            let parts = <[Name; 3]>::try_from(parts).ok();
            let filled = parts.filter(|parts| parts.iter().all(|part| !part.is_empty()));
            let read = filled.ok_or_else(|| {
                wrong(
                    "PROXY_WORKLOAD_INFO",
                    text,
                    "namespace/name/service-account",
                )
            })?;
            Some(read)
        }
        None => ["POD_NAMESPACE", "POD_NAME", "SERVICE_ACCOUNT"]
            .map(|variable| env.text(variable).map(Name::from))
            .into_iter()
            .collect::<Option<Vec<_>>>()
            .and_then(|parts| parts.try_into().ok()),
    };
    let [namespace, name, service_account] = parts.ok_or_else(|| refused(expected))?;
    Ok(WorkloadInfo {
        namespace,
        name,
        service_account,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_key_is_32_digits() {
        let key = session_key("000102030405060708090a0b0c0d0e0f");
        let bytes = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
        assert_eq!(key, Ok(SessionKey::new(bytes)));
        for bad in [
            "",
            "1",
            "+00102030405060708090a0b0c0d0e0f",
            "g00102030405060708090a0b0c0d0e0f",
        ] {
            assert!(session_key(bad).is_err(), "{bad:?}");
        }
    }
}
