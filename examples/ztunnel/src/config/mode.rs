//! In which mode the process runs, and for whom.

use mesh_core::name::Name;

use process::env::{self, ConfigError, Env};

/// Who the workload is that the process serves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct WorkloadInfo {
    pub(crate) namespace: Name,
    pub(crate) name: Name,
    pub(crate) service_account: Name,
}

fn refused(text: &str) -> ConfigError {
    ConfigError::Refused(text.to_owned())
}

/// Refuses what this version does not run as.
pub(super) fn check(env: &Env) -> Result<(), ConfigError> {
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

/// The workload that is served.
pub(super) fn workload(env: &Env) -> Result<WorkloadInfo, ConfigError> {
    let info = env.read("PROXY_WORKLOAD_INFO", workload_info)?;
    info.ok_or_else(|| {
        refused("PROXY_WORKLOAD_INFO is not set, expected namespace/name/service-account")
    })
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
