//! The small HTTP servers: administration, metrics, readiness.

use std::io;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use mesh_core::exposition::{Format, Writer};
use mesh_l7::telemetry::Metrics;
use process::http::{self, Answer};
use process::readiness::Readiness;
use tokio::task::JoinHandle;

use crate::config::Listen;
use crate::explain::explain;
use crate::mesh::Mesh;

/// Serves metrics, for those who merge them and for those who do not.
pub(crate) fn metrics(listen: &Listen, metrics: &Arc<Metrics>, mesh: &Arc<Mesh>) -> io::Result<()> {
    for address in [listen.metrics, listen.proxy_metrics] {
        let (listener, metrics, mesh) = (http::bind(address)?, metrics.clone(), mesh.clone());
        let answer = move |request: Request<Incoming>| {
            let answer = page(&metrics, &mesh, &request);
            async move { answer }
        };
        tokio::spawn(http::serve(listener, answer));
    }
    Ok(())
}

fn page(metrics: &Metrics, mesh: &Mesh, request: &Request<Incoming>) -> Answer {
    if !["/metrics", "/stats/prometheus"].contains(&request.uri().path()) {
        return http::not_found();
    }
    if request.method() != Method::GET {
        return http::method_not_allowed();
    }
    let mut writer = Writer::new(Format::Prometheus, String::new());
    metrics.write(&mut writer);
    mesh.limits.write(&mut writer);
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    http::with_type(StatusCode::OK, kind, writer.finish())
}

/// Serves readiness until the task is aborted.
pub(crate) fn readiness(listen: &Listen, readiness: Readiness) -> io::Result<JoinHandle<()>> {
    let listener = http::bind(listen.readiness)?;
    let answer = move |request| {
        let answer = readiness.answer(&request);
        async move { answer }
    };
    Ok(tokio::spawn(http::serve(listener, answer)))
}

/// Serves administration.
pub(crate) fn administration(listen: &Listen, mesh: &Arc<Mesh>) -> io::Result<()> {
    let (listener, mesh) = (http::bind(listen.admin)?, mesh.clone());
    let answer = move |request: Request<Incoming>| {
        let answer = administer(&mesh, &request);
        async move { answer }
    };
    tokio::spawn(http::serve(listener, answer));
    Ok(())
}

fn administer(mesh: &Mesh, request: &Request<Incoming>) -> Answer {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/config_dump") => {
            let text = format!("{:#}\n", dump(mesh));
            http::with_type(StatusCode::OK, "application/json", text)
        }
        (&Method::GET, "/debug/explain") => {
            match explain(mesh, request.uri().query().unwrap_or_default()) {
                Ok(said) => {
                    let text = format!("{said:#}\n");
                    http::with_type(StatusCode::OK, "application/json", text)
                }
                Err(problem) => http::text(StatusCode::BAD_REQUEST, format!("{problem}\n")),
            }
        }
        (&Method::GET, _) => http::not_found(),
        _ => http::method_not_allowed(),
    }
}

/// Upstreams as they are used, and what is to be said about objects.
fn dump(mesh: &Mesh) -> serde_json::Value {
    let upstreams = mesh.upstreams.known();
    let upstreams = upstreams.iter().map(|upstream| {
        let hosts = upstream.cluster.hosts();
        let hosts = hosts.hosts().iter().map(|host| {
            serde_json::json!({
                "address": host.spec().key.as_str(),
                "weight": host.spec().weight,
                "priority": host.spec().priority,
                "locality": host.spec().locality.as_str(),
                "active": host.active(),
                "ejected": host.is_ejected(),
            })
        });
        serde_json::json!({
            "service": upstream.target.hostname.as_str(),
            "port": upstream.target.port,
            "subset": upstream.target.subset.as_deref(),
            "protocol": format!("{:?}", upstream.protocol),
            "settings": format!("{:?}", upstream.settings),
            "hosts": hosts.collect::<Vec<_>>(),
        })
    });
    let routing = mesh.routing.load();
    let notes = routing.notes.iter().map(|(_, note)| note.to_string());
    let (_, problems) = &*mesh.annotated.load();
    let notes = notes.chain(problems.iter().map(ToString::to_string));
    serde_json::json!({
        "upstreams": upstreams.collect::<Vec<_>>(),
        "servicePortsWithRoutes": routing.table.len(),
        "notes": notes.collect::<Vec<_>>(),
    })
}
