//! `tcp` and `tls` of a `VirtualService`.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::route::{Backend, BackendTarget, Backends, HostMatch, Origin};
use crate::tcp::{TcpConditions, TcpRule, TcpRules};

use super::problem::Problem;
use super::types::{L4Destination, L4Match, VirtualServiceSpec};
use super::virtual_service::Destinations;

/// Rules for connections to one port, compiled.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CompiledConnections {
    /// The rules: those of `tls` before those of `tcp`.
    pub rules: TcpRules,
    /// What is wrong, field by field.
    pub problems: Vec<Problem>,
}

/// Makes rules for connections to a port of `tcp` and `tls` of a `VirtualService`; without a port, of all
/// that they say.
///
/// A rule whose conditions cannot hold at a waypoint is left out. One whose conditions are wrong has no destination:
/// what it was meant for is not known, and a later rule must not take it.
#[must_use]
pub fn compile_connections(
    namespace: &str,
    name: &str,
    spec: &VirtualServiceSpec,
    port: Option<u16>,
    destinations: &dyn Destinations,
) -> CompiledConnections {
    let mut compiler = Compiler {
        namespace,
        port,
        destinations,
        problems: Vec::new(),
    };
    let for_mesh = |gateways: &[String]| {
        gateways.is_empty() || gateways.iter().any(|gateway| gateway == "mesh")
    };
    let mut rules = Vec::new();
    if for_mesh(&spec.gateways) {
        let tls = (0_u32..).zip(&spec.tls).map(|one| ("tls", one));
        let tcp = (0_u32..).zip(&spec.tcp).map(|one| ("tcp", one));
        for (list, (at, route)) in tls.chain(tcp) {
            let field = format!("spec.{list}[{at}]");
            let (alternatives, backends) =
                match compiler.matches(&route.matches, list == "tls", &field) {
                    Met::Never => continue,
                    Met::Unknown => (vec![Alternative::default()], Backends::default()),
                    Met::By(met) => (met, compiler.backends(&route.route, &field)),
                };
            rules.extend(alternatives.into_iter().map(|one| TcpRule {
                name: format!("{namespace}/{name}.{list}[{at}]").into(),
                origin: Origin {
                    kind: "VirtualService",
                    namespace: namespace.into(),
                    name: name.into(),
                    rule: at,
                },
                server_names: one.server_names,
                conditions: one.conditions,
                backends: backends.clone(),
            }));
        }
    }
    CompiledConnections {
        rules: TcpRules::new(rules),
        problems: compiler.problems,
    }
}

/// Which connections meet a rule.
enum Met {
    /// None that comes to a waypoint.
    Never,
    /// Something is wrong with its conditions.
    Unknown,
    /// Those that meet one of these.
    By(Vec<Alternative>),
}

/// Connections with one of these server names, all when there is none, for which the conditions hold.
#[derive(Default)]
struct Alternative {
    server_names: Vec<HostMatch>,
    conditions: TcpConditions,
}

struct Compiler<'a> {
    namespace: &'a str,
    port: Option<u16>,
    destinations: &'a dyn Destinations,
    problems: Vec<Problem>,
}

impl Compiler<'_> {
    fn matches(&mut self, matches: &[L4Match], tls: bool, field: &str) -> Met {
        let before = self.problems.len();
        let mut met = Vec::new();
        if matches.is_empty() {
            match tls {
                true => self.wrong(field, "match", "expected sniHosts"),
                false => met.push(Alternative::default()),
            }
        }
        for (at, one) in matches.iter().enumerate() {
            let field = format!("{field}.match[{at}]");
            let conditions = self.conditions(one, &field);
            let elsewhere =
                !one.gateways.is_empty() && !one.gateways.iter().any(|gateway| gateway == "mesh");
            let other_port = self
                .port
                .is_some_and(|port| one.port.is_some_and(|of| of != port));
            if elsewhere || other_port {
                continue;
            }
            if tls && one.sni_hosts.is_empty() {
                self.wrong(&field, "sniHosts", "missing, expected host names");
            }
            let mut server_names = Vec::new();
            for (place, host) in one.sni_hosts.iter().enumerate() {
                match HostMatch::parse(host) {
                    Ok(host) => server_names.push(host),
                    Err(_) => {
                        let text = format!("expected a host name, got `{host}`");
                        self.wrong(&field, &format!("sniHosts[{place}]"), &text);
                    }
                }
            }
            met.push(Alternative {
                server_names,
                conditions,
            });
        }
        if self.problems.len() > before {
            return Met::Unknown;
        }
        match met.is_empty() {
            true => Met::Never,
            false => Met::By(met),
        }
    }

    /// What is asked of the two ends.
    fn conditions(&mut self, spec: &L4Match, field: &str) -> TcpConditions {
        let mut destinations = Vec::new();
        for (at, text) in spec.destination_subnets.iter().enumerate() {
            let place = format!("destinationSubnets[{at}]");
            destinations.extend(self.network(text, field, &place));
        }
        let source = spec.source_subnet.as_str();
        let source = match source.is_empty() {
            true => None,
            false => self.network(source, field, "sourceSubnet"),
        };
        TcpConditions {
            destinations,
            sources: source.into_iter().collect(),
            source_namespace: Some(spec.source_namespace.as_str())
                .filter(|name| !name.is_empty())
                .map(Into::into),
            source_labels: spec.source_labels.clone(),
        }
    }

    /// An address stands for itself.
    fn network(&mut self, text: &str, field: &str, below: &str) -> Option<IpNet> {
        let address = text
            .parse()
            .map(|ip: IpAddr| IpNet::from(ip.to_canonical()));
        let network = address.ok().or_else(|| text.parse().ok());
        if network.is_none() {
            let text = format!("expected an address or a network, got `{text}`");
            self.wrong(field, below, &text);
        }
        network
    }

    fn wrong(&mut self, field: &str, below: &str, text: &str) {
        self.problems
            .push(Problem::new(format!("{field}.{below}"), text));
    }

    /// As destinations of HTTP: the weight of one alone says nothing, of several 0 is nothing.
    fn backends(&mut self, routes: &[L4Destination], field: &str) -> Backends {
        let alone = routes.len() == 1;
        if routes.is_empty() {
            self.wrong(field, "route", "missing, expected destinations");
        }
        let mut backends = Vec::new();
        for (at, route) in routes.iter().enumerate() {
            if route.weight == 0 && !alone {
                continue;
            }
            let destination = &route.destination;
            let port = destination.port.map(|port| port.number);
            let subset = destination.subset.as_deref();
            let found =
                self.destinations
                    .destination(self.namespace, &destination.host, port, subset);
            let target = match found {
                Ok(target) => BackendTarget::Service(target),
                Err(invalid) => {
                    let field = format!("{field}.route[{at}].destination");
                    self.problems.push(Problem::note(field, invalid));
                    BackendTarget::Invalid(invalid)
                }
            };
            backends.push(Backend {
                weight: if alone { 1 } else { route.weight },
                ..Backend::new(target)
            });
        }
        Backends::new(backends)
    }
}
