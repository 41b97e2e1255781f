//! The labels of a connection, in the text form that metrics are written in.

use std::fmt::{self, Write as _};

use mesh_core::exposition::Escaped;
use mesh_core::model::Workload;
use mesh_core::telemetry::{Connection, Direction, Security};

use super::end::{End, destination_identity};

const UNKNOWN: &str = "unknown";

/// The value of the label `reporter`.
pub(super) fn reporter(direction: Direction) -> &'static str {
    match direction {
        Direction::Inbound => "destination",
        _ => "source",
    }
}

/// Writes the labels of a connection without the braces, in the order of Istio's node proxy.
pub(super) fn write(connection: &Connection, response_flags: &str, to: &mut String) {
    let source = End::source(connection);
    let destination = End::destination(connection);
    let any_known = source.is_some() || destination.is_some();
    let (source, destination) = (source.unwrap_or_default(), destination.unwrap_or_default());
    let service = connection.service.as_deref().map(|s| s.spec());
    let mut labels = Labels(to);

    labels.add("reporter", reporter(connection.direction));
    labels.end("source", &source, connection.source_identity.as_ref());
    labels.add("destination_service", service.map_or("", |s| &s.hostname));
    labels.add(
        "destination_service_namespace",
        service.map_or("", |s| &s.namespace),
    );
    labels.add("destination_service_name", service.map_or("", |s| &s.name));
    let identity = destination_identity(connection);
    labels.end("destination", &destination, identity.as_ref());
    labels.add("request_protocol", "tcp");
    labels.add("response_flags", response_flags);
    let security = match connection.security {
        Security::MutualTls => "mutual_tls",
        _ => UNKNOWN,
    };
    labels.add("connection_security_policy", security);
    if any_known {
        labels.add("source_region", source.region);
        labels.add("source_zone", source.zone);
        labels.add("destination_region", destination.region);
        labels.add("destination_zone", destination.zone);
    }
}

/// Writes the labels of a look-up of a host name, in the order of Istio's node proxy.
pub(super) fn write_lookup(source: Option<&Workload>, hostname: &str, to: &mut String) {
    let identity = source.and_then(Workload::identity);
    let source = source.map(End::of_workload).unwrap_or_default();
    let mut labels = Labels(to);
    labels.end("source", &source, identity.as_ref());
    labels.add("hostname", hostname);
}

struct Labels<'a>(&'a mut String);

impl Labels<'_> {
    fn add(&mut self, name: &str, value: &str) {
        let value = if value.is_empty() { UNKNOWN } else { value };
        let separator = if self.0.is_empty() { "" } else { "," };
        // Writing to a String does not fail.
        let _ = write!(self.0, "{separator}{name}=\"{}\"", Escaped(value));
    }

    fn end(&mut self, side: &str, end: &End<'_>, identity: Option<&impl fmt::Display>) {
        let principal = identity.map_or_else(String::new, ToString::to_string);
        for (name, value) in [
            ("workload", end.workload),
            ("canonical_service", end.canonical_name),
            ("canonical_revision", end.canonical_revision),
            ("workload_namespace", end.namespace),
            ("principal", principal.as_str()),
            ("app", end.canonical_name),
            ("version", end.canonical_revision),
            ("cluster", end.cluster),
        ] {
            let value = if value.is_empty() { UNKNOWN } else { value };
            let separator = if self.0.is_empty() { "" } else { "," };
            let _ = write!(self.0, "{separator}{side}_{name}=\"{}\"", Escaped(value));
        }
    }
}
