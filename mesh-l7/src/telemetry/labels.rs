//! The labels of Istio's standard metrics, in the text form that metrics are written in.
//!
//! Source: Istio's documentation of standard metrics; order and defaults are those of Istio's waypoints.

use std::fmt::{self, Write as _};

use mesh_core::exposition::Escaped;
use mesh_core::identity::SpiffeId;

use super::end::End;

const UNKNOWN: &str = "unknown";
const REPORTER: &str = "reporter=\"waypoint\"";

/// Who talks with whom.
#[derive(Clone, Debug, Default)]
pub(super) struct Ends<'a> {
    pub(super) source: End<'a>,
    /// The client's identity, as its certificate proved it.
    pub(super) source_identity: Option<&'a SpiffeId>,
    pub(super) destination: End<'a>,
    pub(super) destination_identity: Option<SpiffeId>,
    pub(super) service: Service<'a>,
}

/// A service; empty texts are not known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Service<'a> {
    pub(super) hostname: &'a str,
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
}

/// What came of a request or connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome<'a> {
    /// A request's protocol, status, status of gRPC, and flags.
    Request(&'a str, u16, Option<u32>, &'a str),
    /// A connection's flags.
    Connection(&'a str),
}

/// Names and values without the braces.
pub(super) fn write(ends: &Ends<'_>, outcome: Option<Outcome<'_>>, to: &mut String) {
    to.push_str(REPORTER);
    let mut labels = Labels(to);
    labels.source(ends);
    labels.destination(ends);
    match outcome {
        None => return,
        Some(Outcome::Request(protocol, status, grpc, flags)) => {
            labels.add("request_protocol", protocol);
            labels.raw("response_code", status);
            match grpc {
                Some(grpc) => labels.raw("grpc_response_status", grpc),
                None => labels.raw("grpc_response_status", ""),
            }
            labels.add("response_flags", flags);
        }
        Some(Outcome::Connection(flags)) => {
            labels.add("request_protocol", "tcp");
            labels.add("response_flags", flags);
        }
    }
    let security = match ends.source_identity {
        Some(_) => "mutual_tls",
        None => "none",
    };
    labels.add("connection_security_policy", security);
}

/// The labels of what is counted together because there are too many sets of labels: every value but the
/// reporter is `_overflow`.
pub(super) fn overflow(names: &str) -> String {
    let mut text = REPORTER.to_owned();
    // Values contain no commas here: they are those of nobody.
    for name in names.split(',').skip(1) {
        let name = name.split('=').next().unwrap_or_default();
        let _ = write!(text, ",{name}=\"_overflow\"");
    }
    text
}

struct Labels<'a>(&'a mut String);

impl Labels<'_> {
    fn raw(&mut self, name: &str, value: impl fmt::Display) {
        // Writing to a String does not fail.
        let _ = write!(self.0, ",{name}=\"{value}\"");
    }

    fn add(&mut self, name: &str, value: &str) {
        self.or(name, value, UNKNOWN);
    }

    fn or(&mut self, name: &str, value: &str, default: &str) {
        let value = if value.is_empty() { default } else { value };
        self.raw(name, Escaped(value));
    }

    fn principal(&mut self, name: &str, identity: Option<&SpiffeId>) {
        match identity {
            Some(identity) => self.raw(name, identity),
            None => self.add(name, ""),
        }
    }

    fn source(&mut self, ends: &Ends<'_>) {
        let source = &ends.source;
        // What the certificate says goes before what is looked up.
        let namespace = ends.source_identity.map(|identity| &**identity.namespace());
        self.add("source_workload", source.workload);
        self.add("source_canonical_service", source.canonical_name);
        self.or(
            "source_canonical_revision",
            source.canonical_revision,
            "latest",
        );
        self.add(
            "source_workload_namespace",
            namespace.unwrap_or(source.namespace),
        );
        self.principal("source_principal", ends.source_identity);
        self.add("source_app", source.canonical_name);
        self.add("source_version", source.canonical_revision);
        self.add("source_cluster", source.cluster);
    }

    fn destination(&mut self, ends: &Ends<'_>) {
        let destination = &ends.destination;
        let service = &ends.service;
        self.add("destination_workload", destination.workload);
        self.add("destination_workload_namespace", destination.namespace);
        self.principal("destination_principal", ends.destination_identity.as_ref());
        self.add("destination_app", destination.canonical_name);
        self.add("destination_version", destination.canonical_revision);
        let or_name = |text| first_known(text, destination.canonical_name);
        self.add("destination_service", or_name(service.hostname));
        self.add("destination_canonical_service", destination.canonical_name);
        self.add(
            "destination_canonical_revision",
            destination.canonical_revision,
        );
        self.add("destination_service_name", or_name(service.name));
        self.add(
            "destination_service_namespace",
            first_known(service.namespace, destination.namespace),
        );
        self.add("destination_cluster", destination.cluster);
    }
}

fn first_known<'a>(text: &'a str, default: &'a str) -> &'a str {
    if text.is_empty() { default } else { text }
}
