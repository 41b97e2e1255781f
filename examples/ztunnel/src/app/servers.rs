//! The small HTTP servers of the process.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::error::StartError;
use crate::admin::Admin;
use crate::metrics;
use crate::workers::{Shared, resolve_config};
use process::http;
use process::logging::Log;
use process::readiness::Readiness;
use process::shutdown::Shutdown;

pub(super) fn readiness(
    address: SocketAddr,
    readiness: Readiness,
) -> Result<JoinHandle<()>, StartError> {
    let listener = bind("readiness", address)?;
    let answer = move |request| {
        let answer = readiness.answer(&request);
        async move { answer }
    };
    Ok(tokio::spawn(http::serve(listener, answer)))
}

pub(super) fn metrics(shared: &Shared) -> Result<(), StartError> {
    let listener = bind("metrics", shared.settings.listen.metrics)?;
    let metrics = shared.metrics.clone();
    let answer = move |request| {
        let answer = metrics::answer(&metrics, &request);
        async move { answer }
    };
    tokio::spawn(http::serve(listener, answer));
    Ok(())
}

pub(super) fn administration(
    shared: &Shared,
    log: Log,
    shutdown: Shutdown,
) -> Result<(), StartError> {
    let admin = Admin {
        settings: shared.settings.clone(),
        store: shared.store.clone(),
        traffic: shared.traffic.clone(),
        policies: shared.policies.clone(),
        config: Arc::new(resolve_config(&shared.settings)),
        certificates: shared.certificates.clone(),
        identity: shared.identity.clone(),
        log,
        shutdown,
    };
    for (index, address) in shared.settings.listen.admin.iter().enumerate() {
        let listener = match bind("administration", *address) {
            Ok(listener) => listener,
            // A machine without IPv6 has no ::1.
            Err(error) if index > 0 && !error.is_taken() => {
                tracing::debug!(error = &error as &dyn std::error::Error, "not listening");
                continue;
            }
            Err(error) => return Err(error),
        };
        let admin = admin.clone();
        tokio::spawn(http::serve(listener, move |request| {
            admin.clone().answer(request)
        }));
    }
    Ok(())
}

fn bind(what: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    http::bind(address).map_err(|source| StartError::Listen {
        what,
        address,
        source,
    })
}
