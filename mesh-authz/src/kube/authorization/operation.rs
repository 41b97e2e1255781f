//! What an operation becomes.

use super::Operation;
use super::convert::Conversion;
use super::values::{self, path, port, text};
use crate::kube::fault::Fault;
use crate::kube::path::Path;
use crate::spec::MatchSpec;

impl Conversion<'_> {
    pub(super) fn operation(&mut self, from: &Operation, at: &Path<'_>) -> MatchSpec {
        let found = &mut self.found;
        if *from == Operation::default() {
            found.fault(at, Fault::NoFields);
        }
        let texts = |list: &[String], field, found: &mut _| {
            values::list(list, &at.field(field), found, text)
        };
        let ports = |list: &[String], field, found: &mut _| {
            values::list(list, &at.field(field), found, port)
        };
        let paths = |list: &[String], field, found: &mut _| {
            values::list(list, &at.field(field), found, path)
        };
        MatchSpec {
            hosts: texts(&from.hosts, "hosts", found),
            not_hosts: texts(&from.not_hosts, "notHosts", found),
            destination_ports: ports(&from.ports, "ports", found),
            not_destination_ports: ports(&from.not_ports, "notPorts", found),
            methods: texts(&from.methods, "methods", found),
            not_methods: texts(&from.not_methods, "notMethods", found),
            paths: paths(&from.paths, "paths", found),
            not_paths: paths(&from.not_paths, "notPaths", found),
            ..MatchSpec::default()
        }
    }
}

impl Operation {
    /// Whether nothing is said about a connection, only about requests.
    pub(super) fn is_http_only(&self) -> bool {
        self.ports.is_empty() && self.not_ports.is_empty()
    }
}
