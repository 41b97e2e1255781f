//! Local rate limits, as annotations say them.

use std::fmt::Write;
use std::time::Instant;

use mesh_core::exposition::{Escaped, Kind, Writer};
use mesh_core::watch::{self, Publisher};
use mesh_l7::limit::{LocalLimit, RateLimits};
use mesh_l7::target::ServiceTarget;

use crate::annotations::{Annotated, Values};

/// The limits that are in force.
#[derive(Debug)]
pub(crate) struct Limits {
    pub(crate) table: Publisher<RateLimits>,
}

impl Limits {
    pub(crate) fn new() -> Self {
        Self {
            table: watch::channel(RateLimits::new([], Instant::now())).0,
        }
    }

    /// Takes over what annotations say. Limits that stay the same keep what they have counted.
    pub(crate) fn take(&self, annotated: &Annotated) {
        let mut limits = Vec::new();
        for (namespace, host, service) in annotated.services() {
            for port in &service.ports {
                let target = ServiceTarget {
                    namespace: namespace.clone(),
                    hostname: host.clone(),
                    port: *port,
                    subset: None,
                };
                let owner = format!("{namespace}/{host}:{port}");
                add(&mut limits, &service.values, &owner, Some(&target));
            }
        }
        add(&mut limits, annotated.gateway(), "gateway", None);
        let table = self.table.load().replaced(limits, Instant::now());
        self.table.publish(table);
    }

    /// Writes what became of requests, limit by limit.
    pub(crate) fn write<W: Write>(&self, writer: &mut Writer<W>) {
        let table = self.table.load();
        let mut counts: Vec<_> = table.counts().collect();
        counts.sort_by(|one, other| one.name.cmp(&other.name));
        let samples = counts.iter().flat_map(|count| {
            let results = [
                ("passed", count.passed),
                ("limited", count.limited),
                ("shadow", count.unenforced),
            ];
            let limit = Escaped(&count.name);
            results
                .map(|(result, number)| (format!("limit=\"{limit}\",result=\"{result}\""), number))
        });
        writer.metric(
            "mesh_local_ratelimit_requests",
            Kind::Counter,
            "Requests that a local rate limit was asked about, by its service, port and rule (unstable).",
            samples,
        );
    }
}

fn add(
    limits: &mut Vec<LocalLimit>,
    values: &Values,
    owner: &str,
    service: Option<&ServiceTarget>,
) {
    for rule in values.limits.iter().flatten() {
        let mut limit = rule.clone();
        limit.name = format!("{owner} {}", rule.name).into();
        limit.service = service.cloned();
        limit.standings = values.standings.unwrap_or_default();
        limits.push(limit);
    }
}
