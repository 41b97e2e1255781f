//! What would happen to a connection, and why: the answer to `/debug/explain`.
//!
//! Nothing is decided here. The functions that decide about connections are asked, and what they
//! looked at is written down.

mod arrival;
mod departure;
mod endpoints;
mod known;
mod policy;
mod question;
mod story;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hyper::StatusCode;
use mesh_core::model::Workload;

pub(super) use known::Known;
use process::http::{self, Answer};
use question::{Question, Target};
use story::Story;

/// Answers a query such as `src=10.0.0.1&dst=10.0.0.2:80`.
pub(super) fn answer(known: &Known<'_>, query: &str, accept: &str) -> Answer {
    let question = match Question::parse(query, accept) {
        Ok(question) => question,
        Err(problem) => return http::text(StatusCode::BAD_REQUEST, format!("{problem}\n")),
    };
    match explain(known, &question) {
        Ok(story) if question.json => {
            let body = format!("{:#}\n", story.json());
            http::with_type(StatusCode::OK, "application/json", body)
        }
        Ok(story) => http::text(StatusCode::OK, story.to_string()),
        Err(problem) => http::text(StatusCode::NOT_FOUND, format!("{problem}\n")),
    }
}

/// The whole way of a connection, as far as this proxy knows the mesh.
fn explain(known: &Known<'_>, question: &Question) -> Result<Story, String> {
    let mut story = Story::default();
    let (source_ip, client) = source(known, &question.source)?;
    let destination = destination(known, client, &question.destination)?;
    match client {
        Some(client) => {
            story.note("client", departure::client(known, client, source_ip));
            let peer = SocketAddr::new(source_ip, question.source.port().unwrap_or(0));
            departure::explain(known, client, (peer, destination), question, &mut story);
        }
        None => {
            let text = format!("the client {source_ip} is not in the mesh: nothing captures it");
            story.note("client", text);
            match &question.identity {
                // Whoever has an identity of the mesh shows it over HBONE.
                Some(identity) => {
                    let peer = SocketAddr::new(source_ip, question.source.port().unwrap_or(0));
                    arrival::direct(known, (peer, destination), identity, &mut story);
                }
                None => arrival::plain(known, (source_ip, destination), &mut story),
            }
        }
    }
    Ok(story)
}

/// The client's address, and its workload if the mesh knows it.
fn source<'a>(
    known: &Known<'a>,
    target: &Target,
) -> Result<(IpAddr, Option<&'a Arc<Workload>>), String> {
    match target {
        Target::Address(ip, _) => Ok((*ip, known.mesh.workload_at(known.network, *ip))),
        Target::Named {
            namespace, name, ..
        } => {
            let workload = departure::named(known.mesh, namespace, name)
                .ok_or_else(|| format!("src: the mesh has no workload {namespace}/{name}"))?;
            let ip = workload.ips().first().copied();
            let ip = ip.ok_or_else(|| format!("src: {namespace}/{name} has no address"))?;
            Ok((ip, Some(workload)))
        }
        Target::Host { .. } => Err(
            "src: expected an address such as 10.0.0.1 or 10.0.0.1:4711, or a workload as \
             namespace/name"
                .to_owned(),
        ),
    }
}

/// The address that is asked for.
fn destination(
    known: &Known<'_>,
    client: Option<&Arc<Workload>>,
    target: &Target,
) -> Result<SocketAddr, String> {
    let port = target
        .port()
        .ok_or("dst: expected a port, as in 10.0.0.2:80, ns/name:80 or web.example.org:80")?;
    let ip = match target {
        Target::Address(ip, _) => Some(*ip),
        Target::Named {
            namespace, name, ..
        } => departure::named(known.mesh, namespace, name)
            .and_then(|workload| workload.ips().first().copied())
            .or_else(|| departure::vip(known, namespace, name)),
        Target::Host { name, .. } => departure::host(known, client.or(known.local), name, port),
    };
    ip.map(|ip| SocketAddr::new(ip, port))
        .ok_or_else(|| format!("dst: the mesh has no address for {target}"))
}
