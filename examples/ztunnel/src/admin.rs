//! The administration server: what the process knows, its log level, its end.

mod certificates;
mod dump;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use mesh_core::credential::CertificateSource;
use mesh_core::identity::SpiffeId;
use mesh_core::store::MeshStore;

use crate::config::Settings;
use crate::http::{self, Answer};
use crate::logging::Log;
use crate::shutdown::Shutdown;

/// What the administration server shows and changes. Clones share it.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) settings: Arc<Settings>,
    pub(crate) store: Arc<MeshStore>,
    pub(crate) certificates: Arc<dyn CertificateSource>,
    pub(crate) identity: SpiffeId,
    pub(crate) log: Log,
    pub(crate) shutdown: Shutdown,
}

const HELP: &str = "\
/config_dump            GET   the mesh, the settings and the certificates, as JSON
/logging                GET   what is logged
/logging?level=<list>   POST  change it: levels and scope=level, separated by commas
/logging?reset          POST  back to what it was at the start
/quitquitquit           POST  finish the connections and exit
";

impl Admin {
    /// Answers a request.
    pub(crate) async fn answer(self, request: Request<Incoming>) -> Answer {
        let method = request.method();
        match (request.uri().path(), method) {
            ("/", &Method::GET) => http::text(StatusCode::OK, HELP),
            ("/config_dump", &Method::GET) => self.config_dump().await,
            ("/logging", &Method::GET | &Method::POST) => {
                logging(&self.log, method, request.uri().query())
            }
            ("/quitquitquit", &Method::POST) => {
                self.shutdown.begin("POST /quitquitquit");
                http::text(StatusCode::OK, "shutting down\n")
            }
            ("/" | "/config_dump" | "/logging" | "/quitquitquit", _) => http::method_not_allowed(),
            _ => http::not_found(),
        }
    }

    async fn config_dump(&self) -> Answer {
        let snapshot = self.store.snapshot();
        let certificates = certificates::dump(&*self.certificates, &self.identity).await;
        let dump = dump::all(&snapshot, &self.settings, certificates);
        match serde_json::to_vec_pretty(&dump) {
            Ok(body) => http::with_type(StatusCode::OK, "application/json", body),
            Err(error) => http::text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }
}

/// Shows what is logged, or changes it by `level=` and `reset`.
fn logging(log: &Log, method: &Method, query: Option<&str>) -> Answer {
    let query = query.unwrap_or("");
    if query.is_empty() {
        return http::text(
            StatusCode::OK,
            format!("current log level is {}\n", log.filter()),
        );
    }
    if method != Method::POST {
        return http::method_not_allowed();
    }
    let mut reset = false;
    let mut level = String::new();
    for part in query.split('&') {
        match part.split_once('=').unwrap_or((part, "")) {
            ("level", value) => level = unescape(value),
            ("reset", _) => reset = true,
            (other, _) => {
                let body = format!("unknown parameter {other}, expected level or reset\n");
                return http::text(StatusCode::BAD_REQUEST, body);
            }
        }
    }
    match log.change(reset, &level) {
        Ok(()) => http::text(
            StatusCode::OK,
            format!("current log level is {}\n", log.filter()),
        ),
        Err(error) => http::text(StatusCode::BAD_REQUEST, format!("{error}\n")),
    }
}

/// The characters that occur in a list of levels, without their percent forms.
fn unescape(text: &str) -> String {
    let pairs = [
        ("%2C", ","),
        ("%2c", ","),
        ("%3D", "="),
        ("%3d", "="),
        ("%3A", ":"),
        ("%3a", ":"),
    ];
    pairs
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}
