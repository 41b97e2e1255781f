//! The administration server: what the process knows, its log level, its end.

mod certificates;
mod config;
mod dump;
mod explain;
mod index;
mod policies;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::ACCEPT;
use hyper::{Method, Request, StatusCode};
use mesh_authz::store::PolicyStore;
use mesh_core::credential::CertificateSource;
use mesh_core::identity::SpiffeId;
use mesh_core::resolve::ResolveConfig;
use mesh_core::store::MeshStore;
use mesh_hbone::proxy::MeshTraffic;

use crate::config::Settings;
use process::http::{self, Answer};
use process::logging::Log;
use process::shutdown::Shutdown;

/// What the administration server shows and changes. Clones share it.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) settings: Arc<Settings>,
    pub(crate) store: Arc<MeshStore>,
    pub(crate) policies: Arc<PolicyStore>,
    pub(crate) config: Arc<ResolveConfig>,
    pub(crate) traffic: Option<Arc<MeshTraffic>>,
    pub(crate) certificates: Arc<dyn CertificateSource>,
    pub(crate) identity: SpiffeId,
    pub(crate) log: Log,
    pub(crate) shutdown: Shutdown,
}

impl Admin {
    /// Answers a request.
    pub(crate) async fn answer(self, request: Request<Incoming>) -> Answer {
        let query = request.uri().query().unwrap_or("");
        match (request.uri().path(), request.method()) {
            ("/", &Method::GET) => {
                http::with_type(StatusCode::OK, "text/html; charset=utf-8", index::PAGE)
            }
            ("/config_dump", &Method::GET) => self.config_dump().await,
            ("/debug/explain", &Method::GET) => {
                let accept = request.headers().get(ACCEPT);
                let accept = accept.and_then(|value| value.to_str().ok()).unwrap_or("");
                self.explain(query, accept)
            }
            ("/logging", &Method::POST) => logging(&self.log, query),
            ("/quitquitquit", &Method::POST) => {
                self.shutdown.begin("POST /quitquitquit");
                http::text(StatusCode::OK, "shutting down\n")
            }
            ("/" | "/config_dump" | "/debug/explain" | "/logging" | "/quitquitquit", _) => {
                http::method_not_allowed()
            }
            _ => http::not_found(),
        }
    }

    async fn config_dump(&self) -> Answer {
        let snapshot = self.store.snapshot();
        let certificates = certificates::dump(&*self.certificates, &self.identity).await;
        let policies = policies::dump(&self.policies.index());
        let dump = dump::all(&snapshot, &self.settings, policies, certificates);
        match serde_json::to_vec_pretty(&dump) {
            Ok(body) => http::with_type(StatusCode::OK, "application/json", body),
            Err(error) => http::text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }

    fn explain(&self, query: &str, accept: &str) -> Answer {
        let mesh = self.store.snapshot();
        let local = &self.settings.workload;
        let node = self.settings.node.as_deref();
        let known = explain::Known {
            mesh: &mesh,
            policies: &self.policies.index(),
            config: &self.config,
            network: &self.settings.network,
            local: mesh.local_workload(&local.namespace, &local.name, &local.service_account, node),
            traffic: self.traffic.as_deref(),
        };
        explain::answer(&known, query, accept)
    }
}

/// Says what is logged, after changing it by `level=` and `reset`.
fn logging(log: &Log, query: &str) -> Answer {
    let mut reset = false;
    let mut level = String::new();
    for (name, value) in process::query::pairs(query) {
        match name.as_str() {
            "level" => level = value,
            "reset" => reset = true,
            other => {
                let body = format!("unknown parameter {other}, expected level or reset\n");
                return http::text(StatusCode::BAD_REQUEST, body);
            }
        }
    }
    let changed = if reset || !level.is_empty() {
        log.change(reset, &level)
    } else {
        Ok(())
    };
    match changed {
        Ok(()) => http::text(
            StatusCode::OK,
            format!("current log level is {}\n", log.filter()),
        ),
        Err(error) => http::text(StatusCode::BAD_REQUEST, format!("{error}\n")),
    }
}
