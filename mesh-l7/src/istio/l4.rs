//! `tcp` and `tls` of a `VirtualService`.

use crate::route::{Backend, BackendTarget, Backends, HostMatch, Origin};
use crate::tcp::{TcpRule, TcpRules};

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
            let (server_names, backends) =
                match compiler.matches(&route.matches, list == "tls", &field) {
                    Met::Never => continue,
                    Met::Unknown => (Vec::new(), Backends::default()),
                    Met::By(names) => (names, compiler.backends(&route.route, &field)),
                };
            rules.push(TcpRule {
                name: format!("{namespace}/{name}.{list}[{at}]").into(),
                origin: Origin {
                    kind: "VirtualService",
                    namespace: namespace.into(),
                    name: name.into(),
                    rule: at,
                },
                server_names,
                backends,
            });
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
    /// Those with one of these server names; all when there is none.
    By(Vec<HostMatch>),
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
        let mut names = Vec::new();
        let mut met = matches.is_empty() && !tls;
        if matches.is_empty() && tls {
            self.wrong(field, "match", "expected sniHosts");
        }
        for (at, one) in matches.iter().enumerate() {
            let field = format!("{field}.match[{at}]");
            let unknown = [
                (!one.destination_subnets.is_empty(), "destinationSubnets"),
                (!one.source_subnet.is_empty(), "sourceSubnet"),
            ];
            for (_, name) in unknown.iter().filter(|(said, _)| *said) {
                self.wrong(&field, name, "is not supported");
            }
            let elsewhere =
                !one.gateways.is_empty() && !one.gateways.iter().any(|gateway| gateway == "mesh");
            // Labels and namespaces of clients are not known at a waypoint, as Istio has it.
            let of_clients = !one.source_labels.is_empty() || !one.source_namespace.is_empty();
            let other_port = self
                .port
                .is_some_and(|port| one.port.is_some_and(|of| of != port));
            if elsewhere || of_clients || other_port {
                continue;
            }
            if tls && one.sni_hosts.is_empty() {
                self.wrong(&field, "sniHosts", "missing, expected host names");
            }
            for (place, host) in one.sni_hosts.iter().enumerate() {
                match HostMatch::parse(host) {
                    Ok(host) => names.push(host),
                    Err(_) => {
                        let text = format!("expected a host name, got `{host}`");
                        self.wrong(&field, &format!("sniHosts[{place}]"), &text);
                    }
                }
            }
            met = true;
        }
        if self.problems.len() > before {
            return Met::Unknown;
        }
        match met {
            true => Met::By(names),
            false => Met::Never,
        }
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
