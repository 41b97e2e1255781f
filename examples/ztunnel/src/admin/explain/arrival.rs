//! The server's side: what its proxy would do with the connection.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::Arc;

use mesh_authz::spec::Action;
use mesh_authz::{Connection, Explanation, PolicyReport, Verdict};
use mesh_core::authority::ConnectAuthority;
use mesh_core::identity::SpiffeId;
use mesh_core::model::Workload;
use mesh_core::resolve::{InboundRequest, inbound, passthrough};

use serde_json::{Value, json};

use super::known::Known;
use super::story::Story;

/// The most policies, and rules of one, that are written down.
const MOST: usize = 100;
const MOST_RULES: usize = 20;
/// Where HBONE connections arrive.
const HBONE_PORT: u16 = 15008;

fn who(known: &Known<'_>, server: &Workload) -> String {
    let own = known.local.is_some_and(|local| local.uid() == server.uid());
    if own {
        format!("this proxy, for {}", server.uid())
    } else {
        format!(
            "the proxy of {}, asked with what this one knows,",
            server.uid()
        )
    }
}

/// A CONNECT request that reaches the proxy of `server`.
pub(super) fn tunnelled(
    known: &Known<'_>,
    server: &Arc<Workload>,
    (peer, local): (SocketAddr, SocketAddr),
    (authority, identity): (&ConnectAuthority, Option<&SpiffeId>),
    story: &mut Story,
) {
    let mut request = InboundRequest::new(peer, local, authority);
    request.peer_identity = identity;
    let who = who(known, server);
    match inbound(known.mesh, known.config, server, &request) {
        Err(error) => {
            let text = format!("{who} refuses the request: {error}");
            story.conclude(Some(false), text);
        }
        Ok(route) => {
            let text = format!("{who} takes the request for {}", route.destination);
            story.note("arrival", text);
            decide(
                known,
                server,
                (peer.ip(), route.destination),
                identity,
                story,
            );
        }
    }
}

/// A CONNECT request for an address, which reaches the proxy there from outside of the mesh.
pub(super) fn direct(
    known: &Known<'_>,
    (peer, destination): (SocketAddr, SocketAddr),
    identity: &SpiffeId,
    story: &mut Story,
) {
    let Some(server) = known.mesh.workload_at(known.network, destination.ip()) else {
        let text =
            format!("{destination} is not a workload of the mesh: no proxy of it is involved");
        return story.conclude(None, text);
    };
    let Some(port) = NonZeroU16::new(destination.port()) else {
        let text = format!("{destination} cannot be connected to");
        return story.conclude(Some(false), text);
    };
    let authority = ConnectAuthority::from_ip(destination.ip(), port);
    let local = SocketAddr::new(destination.ip(), HBONE_PORT);
    let ends = (&authority, Some(identity));
    tunnelled(known, server, (peer, local), ends, story);
}

/// A plain TCP connection to an address.
pub(super) fn plain(
    known: &Known<'_>,
    (source, destination): (IpAddr, SocketAddr),
    story: &mut Story,
) {
    let Some(server) = known.mesh.workload_at(known.network, destination.ip()) else {
        let text =
            format!("{destination} is not a workload of the mesh: no proxy of it is involved");
        return story.conclude(None, text);
    };
    let who = who(known, server);
    let peer = SocketAddr::new(source, 0);
    match passthrough(known.mesh, known.config, server, peer, destination) {
        Err(error) => {
            let text = format!("{who} closes the connection: {error}");
            story.conclude(Some(false), text);
        }
        Ok(route) => {
            let text = format!("{who} takes the plain connection to {}", route.destination);
            story.note("arrival", text);
            decide(known, server, (source, route.destination), None, story);
        }
    }
}

/// What policies say.
fn decide(
    known: &Known<'_>,
    server: &Workload,
    (source, destination): (IpAddr, SocketAddr),
    identity: Option<&SpiffeId>,
    story: &mut Story,
) {
    let connection = Connection::new(source, identity, destination);
    let allowed = matches!(
        known.policies.decide(server, &connection).verdict,
        Verdict::Allow(_)
    );
    let explanation = known.policies.explain(server, &connection, MOST);
    let client = identity.map_or("a client without identity".to_owned(), |id| id.to_string());
    let Explanation {
        verdict,
        dry_run_would_deny,
        missing,
        policies,
        omitted,
        ..
    } = explanation;
    let mut text = format!("{client} at {source} asks for {destination}: {verdict}");
    for key in missing {
        text.push_str(&format!("; the workload names {key}, which is not known"));
    }
    if dry_run_would_deny {
        text.push_str("; policies that are not enforced would deny it");
    }
    if omitted > 0 {
        text.push_str(&format!("; {omitted} policies are not shown"));
    }
    story.list("policies", text, policies.iter().map(policy).collect());
    story.conclude(Some(allowed), verdict);
}

/// A policy that applies, and why it matches or does not.
fn policy(report: &PolicyReport) -> (String, Value) {
    let action = match report.action {
        Action::Allow => "ALLOW",
        Action::Deny => "DENY",
        Action::Audit => "AUDIT",
        Action::Custom => "CUSTOM",
    };
    let dry_run = if report.dry_run { ", not enforced" } else { "" };
    let fate = match report.matched {
        Some(rule) => format!("matches by rule {rule}"),
        None if report.rules.is_empty() => "has no rules and never matches".to_owned(),
        None => {
            let failed = report.rules.iter().enumerate().filter_map(|(at, rule)| {
                let field = rule.failed.first()?;
                let (place, found, expected) = (&field.place, &field.found, &field.expected);
                Some(format!(
                    "rule {at}: {place} is {found}, expected {expected}"
                ))
            });
            let failed: Vec<_> = failed.take(MOST_RULES).collect();
            format!("does not match ({})", failed.join("; "))
        }
    };
    let rules = report.rules.iter().take(MOST_RULES).map(|rule| {
        let failed = rule.failed.iter().map(|field| {
            json!({ "field": field.place, "found": field.found, "expected": field.expected })
        });
        json!({ "matches": rule.matches, "failed": failed.collect::<Vec<_>>() })
    });
    let data = json!({
        "policy": report.key.as_str(),
        "action": action,
        "dryRun": report.dry_run,
        "matchedRule": report.matched,
        "rules": rules.collect::<Vec<_>>(),
    });
    (format!("{action} {}{dry_run}: {fate}", report.key), data)
}
