//! Load balancer and connection pool of a traffic policy.

use std::time::Duration;

use mesh_core::lb::{Algorithm, RingSize, SlowStart, TableSize};
use mesh_core::limits::RetryBudget;

use crate::route::{HashCookie, HashInput};
use crate::upstream::{ClusterSettings, Passthrough};

use super::duration::parse_duration;
use super::locality::locality;
use super::outlier::outlier;
use super::policies::limit;
use super::problem::Problem;
use super::types::{
    ConnectionPool, ConsistentHash, LoadBalancer, OutlierSettings, RetryBudgetSettings,
};

/// The blocks of a policy, of which some may be absent.
#[derive(Clone, Copy, Default)]
pub(super) struct Blocks<'a> {
    pub(super) load_balancer: Option<&'a LoadBalancer>,
    pub(super) connection_pool: Option<&'a ConnectionPool>,
    pub(super) outlier_detection: Option<&'a OutlierSettings>,
    pub(super) retry_budget: Option<&'a RetryBudgetSettings>,
}

impl<'a> Blocks<'a> {
    /// These, and those of `wider` where they are absent.
    pub(super) fn or(self, wider: Self) -> Self {
        Self {
            load_balancer: self.load_balancer.or(wider.load_balancer),
            connection_pool: self.connection_pool.or(wider.connection_pool),
            outlier_detection: self.outlier_detection.or(wider.outlier_detection),
            retry_budget: self.retry_budget.or(wider.retry_budget),
        }
    }

    pub(super) fn settings(self, field: &str, problems: &mut Vec<Problem>) -> ClusterSettings {
        let mut out = ClusterSettings::default();
        if let Some(spec) = self.load_balancer {
            let field = format!("{field}.loadBalancer");
            load_balancer(spec, &field, &mut out, problems);
            if let Some(spec) = &spec.locality_lb_setting {
                let outlier = self.outlier_detection.is_some();
                let field = format!("{field}.localityLbSetting");
                out.locality = locality(spec, outlier, &field, problems);
            }
        }
        if let Some(spec) = self.connection_pool {
            connection_pool(spec, &format!("{field}.connectionPool"), &mut out, problems);
        }
        if let Some(spec) = self.outlier_detection {
            let (detection, panic) = outlier(spec, &format!("{field}.outlierDetection"), problems);
            out.balancing.outlier = Some(detection);
            out.balancing.panic_percent = panic;
        }
        if let Some(spec) = self.retry_budget {
            let default = RetryBudget::default();
            let percent = spec
                .percent
                .map_or(default.percent, |percent| percent.value);
            if !(0.0..=100.0).contains(&percent) {
                let problem = format!("{percent}, expected 0 to 100");
                problems.push(Problem::new(
                    format!("{field}.retryBudget.percent"),
                    problem,
                ));
            }
            out.breaker.budget = Some(RetryBudget {
                percent,
                min_concurrency: spec
                    .min_retry_concurrency
                    .unwrap_or(default.min_concurrency),
            });
        }
        out
    }
}

fn load_balancer(
    spec: &LoadBalancer,
    field: &str,
    out: &mut ClusterSettings,
    problems: &mut Vec<Problem>,
) {
    if spec.simple.is_some() && spec.consistent_hash.is_some() {
        problems.push(Problem::new(
            field,
            "expected one of simple and consistentHash",
        ));
    }
    match spec.simple.as_deref() {
        None | Some("UNSPECIFIED" | "LEAST_REQUEST" | "LEAST_CONN") => {}
        Some("ROUND_ROBIN") => out.balancing.algorithm = Algorithm::RoundRobin,
        Some("RANDOM") => out.balancing.algorithm = Algorithm::Random,
        Some("PASSTHROUGH") => out.passthrough = Passthrough::Original,
        Some(other) => {
            let problem =
                format!("{other:?}, expected ROUND_ROBIN, LEAST_REQUEST, RANDOM or PASSTHROUGH");
            problems.push(Problem::new(format!("{field}.simple"), problem));
        }
    }
    if let Some(hash) = &spec.consistent_hash {
        consistent_hash(hash, &format!("{field}.consistentHash"), out, problems);
    }
    let duration = spec
        .warmup
        .as_ref()
        .and_then(|warmup| warmup.duration.as_deref());
    let duration = duration.or(spec.warmup_duration_secs.as_deref());
    if let Some(window) = limit(duration, &format!("{field}.warmup.duration"), problems) {
        let even = SlowStart::within(window);
        let warmup = spec.warmup.clone().unwrap_or_default();
        out.balancing.slow_start = Some(SlowStart {
            min_percent: warmup.minimum_percent.unwrap_or(even.min_percent),
            aggression: warmup.aggression.unwrap_or(even.aggression),
            ..even
        });
    }
}

fn consistent_hash(
    spec: &ConsistentHash,
    field: &str,
    out: &mut ClusterSettings,
    problems: &mut Vec<Problem>,
) {
    let mut inputs = Vec::new();
    if let Some(name) = &spec.http_header_name {
        match http::HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes()) {
            Ok(name) => inputs.push(HashInput::Header(name)),
            Err(_) => problems.push(Problem::new(
                format!("{field}.httpHeaderName"),
                "is no name of a header",
            )),
        }
    }
    if let Some(cookie) = &spec.http_cookie {
        let ttl = cookie.ttl.as_deref().map(parse_duration).transpose();
        let lifetime = ttl.unwrap_or_else(|error| {
            problems.push(Problem::new(format!("{field}.httpCookie.ttl"), error));
            None
        });
        inputs.push(HashInput::Cookie(HashCookie {
            name: cookie.name.as_str().into(),
            path: cookie.path.as_deref().map(Into::into),
            lifetime,
        }));
    }
    if spec.use_source_ip == Some(true) {
        inputs.push(HashInput::SourceAddress);
    }
    if let Some(name) = &spec.http_query_parameter_name {
        inputs.push(HashInput::QueryParameter(name.as_str().into()));
    }
    if inputs.len() != 1 {
        let problem =
            "expected one of httpHeaderName, httpCookie, useSourceIp and httpQueryParameterName";
        problems.push(Problem::new(field, problem));
    }
    out.hashing.inputs = inputs;
    out.balancing.algorithm = match &spec.maglev {
        Some(maglev) => {
            let size = maglev
                .table_size
                .map_or(Some(TableSize::default()), TableSize::new);
            if size.is_none() {
                let problem = "expected a prime of at most 5000011";
                problems.push(Problem::new(format!("{field}.maglev.tableSize"), problem));
            }
            Algorithm::Maglev(size.unwrap_or_default())
        }
        None => {
            let ring = spec
                .ring_hash
                .and_then(|ring| ring.minimum_ring_size)
                .or(spec.minimum_ring_size);
            let default = RingSize::default();
            Algorithm::RingHash(RingSize {
                min: ring.unwrap_or(default.min),
                ..default
            })
        }
    };
}

fn connection_pool(
    spec: &ConnectionPool,
    field: &str,
    out: &mut ClusterSettings,
    problems: &mut Vec<Problem>,
) {
    if let Some(tcp) = &spec.tcp {
        let field = format!("{field}.tcp");
        if let Some(most) = tcp.max_connections {
            out.breaker.connections = most;
        }
        out.connect_timeout = limit(
            tcp.connect_timeout.as_deref(),
            &format!("{field}.connectTimeout"),
            problems,
        );
        out.idle_timeout = duration(
            tcp.idle_timeout.as_deref(),
            &format!("{field}.idleTimeout"),
            problems,
        );
        let longest = tcp.max_connection_duration.as_deref();
        out.max_connection_duration =
            limit(longest, &format!("{field}.maxConnectionDuration"), problems);
    }
    if let Some(http) = &spec.http {
        let field = format!("{field}.http");
        out.breaker.pending = http
            .http1_max_pending_requests
            .unwrap_or(out.breaker.pending);
        out.breaker.requests = http.http2_max_requests.unwrap_or(out.breaker.requests);
        out.breaker.retries = http.max_retries.unwrap_or(out.breaker.retries);
        out.max_requests_per_connection = http.max_requests_per_connection.unwrap_or(0);
        let idle = duration(
            http.idle_timeout.as_deref(),
            &format!("{field}.idleTimeout"),
            problems,
        );
        out.idle_timeout = idle.or(out.idle_timeout);
    }
}

/// A duration of which 0 says something.
fn duration(text: Option<&str>, field: &str, problems: &mut Vec<Problem>) -> Option<Duration> {
    match parse_duration(text?) {
        Ok(time) => Some(time),
        Err(error) => {
            problems.push(Problem::new(field, error));
            None
        }
    }
}
