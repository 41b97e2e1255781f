//! What a traffic policy says about connections to a service, in words.

use mesh_core::model::{Service, Workload};
use mesh_hbone::proxy::{MeshTraffic, TrafficSettings};

use super::known::Known;
use super::story::Story;

/// Notes what applies to connections of this proxy's workload, if anything does.
pub(super) fn explain(
    known: &Known<'_>,
    source: &Workload,
    (service, port): (&Service, u16),
    story: &mut Story,
) {
    let own = known.local.is_some_and(|local| local.uid() == source.uid());
    let Some(traffic) = known.traffic.filter(|_| own) else {
        return;
    };
    let key = service.key();
    let Some(settings) = traffic.settings(&key.namespace, &key.hostname) else {
        return;
    };
    let mut text = say(settings.port(port));
    if settings.connection_rate.is_some() {
        text += ", new ones are limited";
    }
    story.note("traffic policy", text + &now(traffic, service, port));
}

fn say(settings: &TrafficSettings) -> String {
    let mut parts = vec![format!(
        "the endpoint is chosen by {:?} instead",
        settings.balancing.algorithm
    )];
    parts.push(match settings.max_connections {
        u32::MAX => "any number of connections".to_owned(),
        most => format!("{most} connections at most"),
    });
    let attempts = settings.attempts;
    let tried = match settings.connect_timeout {
        None => format!("{attempts} endpoints are tried"),
        Some(time) => format!("{attempts} endpoints are tried, each for {time:?}"),
    };
    let out = match settings.balancing.outlier {
        None => "",
        Some(_) => ", those that fail are taken out",
    };
    format!("{}, {tried}{out}", parts.join("; "))
}

fn now(traffic: &MeshTraffic, service: &Service, port: u16) -> String {
    let key = service.key();
    let counts = traffic.counts();
    let mut counts = counts.iter();
    let counts = counts.find(|one| one.port == port && one.service == key);
    let (connections, ejected, endpoints) = counts.map_or((0, 0, 0), |one| {
        (one.connections, one.ejected, one.endpoints)
    });
    format!(
        "; now there are {connections} connections, and {ejected} of {endpoints} known endpoints are out"
    )
}
