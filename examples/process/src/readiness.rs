//! Readiness: what still has to happen before the process can do its work.

use std::collections::BTreeSet;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use parking_lot::Mutex;

use crate::http::{self, Answer};

/// The things that have yet to be ready. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<BTreeSet<&'static str>>>);

/// One thing that has yet to be ready; it is when this is dropped.
#[derive(Debug)]
pub struct Pending {
    readiness: Readiness,
    name: &'static str,
}

impl Readiness {
    /// Something that is not ready until the result is dropped.
    pub fn wait_for(&self, name: &'static str) -> Pending {
        self.0.lock().insert(name);
        Pending {
            readiness: self.clone(),
            name,
        }
    }

    fn pending(&self) -> Vec<&'static str> {
        self.0.lock().iter().copied().collect()
    }

    /// Answers `GET /healthz/ready`.
    pub fn answer(&self, request: &Request<Incoming>) -> Answer {
        self.answer_to(request.method(), request.uri().path())
    }

    fn answer_to(&self, method: &Method, path: &str) -> Answer {
        if path != "/healthz/ready" {
            return http::not_found();
        }
        if method != Method::GET {
            return http::method_not_allowed();
        }
        let pending = self.pending();
        if pending.is_empty() {
            return http::text(StatusCode::OK, "ready\n");
        }
        let body = format!("not ready, pending: {}\n", pending.join(", "));
        http::text(StatusCode::INTERNAL_SERVER_ERROR, body)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.readiness.0.lock().remove(self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_ready_when_everything_is() {
        let readiness = Readiness::default();
        let status = |readiness: &Readiness| {
            readiness
                .answer_to(&Method::GET, "/healthz/ready")
                .status()
                .as_u16()
        };
        let state = readiness.wait_for("state manager");
        let proxy = readiness.wait_for("proxy");
        assert_eq!(readiness.pending(), ["proxy", "state manager"]);
        assert_eq!(status(&readiness), 500);
        drop(state);
        assert_eq!(status(&readiness), 500);
        drop(proxy);
        assert_eq!(status(&readiness), 200);
    }

    #[test]
    fn other_paths_and_methods_are_refused() {
        let readiness = Readiness::default();
        let status = |method, path| readiness.answer_to(&method, path).status().as_u16();
        assert_eq!(status(Method::POST, "/healthz/ready"), 405);
        assert_eq!(status(Method::GET, "/"), 404);
    }
}
