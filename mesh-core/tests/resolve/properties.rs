//! What holds in every mesh, for every request.

use std::sync::Arc;

use mesh_core::authority::{AuthorityHost, ConnectAuthority};
use mesh_core::model::{
    ApplicationProtocol, GatewayAddress, LoadBalancingMode, NetworkAddress, NetworkMode,
    ServiceSpec, TunnelProtocol, Visibility, WorkloadSpec,
};
use mesh_core::resolve::{
    Hop, HopAddress, InboundRequest, IpFamily, OutboundRequest, OutboundRoute, ResolveConfig,
    RouteReason, Step, TunnelAuthority, inbound, outbound, outbound_hostname, outbound_traced,
    passthrough,
};
use mesh_core::snapshot::MeshSnapshot;
use proptest::prelude::*;

use crate::mesh::{self as m, ServiceSpecExt, WorkloadSpecExt};

// Few values each, so that records meet: the interesting meshes are those with collisions.
fn some_ip() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..6u8).prop_map(|n| format!("10.0.0.{n}")),
        (0..3u8).prop_map(|n| format!("fd00::{n}")),
        Just("127.0.0.1".to_owned()),
    ]
}

fn some_port() -> impl Strategy<Value = u16> {
    prop_oneof![
        Just(0),
        Just(80),
        Just(8080),
        Just(15001),
        Just(15006),
        Just(15008),
        any::<u16>()
    ]
}

fn some_name() -> impl Strategy<Value = String> {
    prop_oneof![(0..4u8).prop_map(|n| format!("s{n}")), Just(" ".to_owned())]
}

fn some_network() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => Just(""), 1 => Just("remote")]
}

fn some_gateway() -> impl Strategy<Value = Option<GatewayAddress>> {
    let port = prop_oneof![3 => Just(15008), 1 => some_port()];
    let reference = (some_network(), some_ip(), some_name(), port, any::<bool>());
    proptest::option::weighted(
        0.4,
        reference.prop_map(|(network, ip, name, port, named)| {
            if named {
                m::by_name_at(&format!("{name}.default"), port)
            } else {
                m::by_ip_on(network, &ip, port)
            }
        }),
    )
}

fn some_ports() -> impl Strategy<Value = Vec<(u16, u16)>> {
    proptest::collection::vec((some_port(), some_port()), 0..4)
}

fn some_workload() -> impl Strategy<Value = WorkloadSpec> {
    let place = (
        some_name(),
        some_network(),
        proptest::collection::vec(some_ip(), 0..3),
    );
    let services = proptest::collection::vec((some_name(), some_ports()), 0..3);
    let nature = (any::<[bool; 4]>(), 0..3u8, some_port(), 0..3u32);
    (place, services, some_gateway(), some_gateway(), nature).prop_map(
        |((name, network, ips), services, waypoint, gateway, (flags, tunnel, port, capacity))| {
            let ips: Vec<_> = ips.iter().map(String::as_str).collect();
            let [hostname, host_network, tunnelled, nobody] = flags;
            let mut workload = m::pod(&name, &ips).network(network);
            for (service, ports) in services {
                workload = workload.of(&service, &ports);
            }
            if tunnelled && tunnel > 0 {
                workload = workload.tunnel(ApplicationProtocol::Proxy, port);
            }
            workload.with(|w| {
                w.waypoint = waypoint;
                w.network_gateway = gateway;
                w.capacity = capacity;
                w.hostname = if hostname {
                    format!("{name}.default").into()
                } else {
                    "".into()
                };
                w.service_account = if nobody && capacity == 0 {
                    "".into()
                } else {
                    name.into()
                };
                w.tunnel_protocol = match tunnel {
                    0 => TunnelProtocol::None,
                    1 => TunnelProtocol::LegacyIstioMtls,
                    _ => TunnelProtocol::Hbone,
                };
                if host_network && tunnel == 0 {
                    w.network_mode = NetworkMode::HostNetwork;
                }
            })
        },
    )
}

fn some_service() -> impl Strategy<Value = ServiceSpec> {
    let vips = proptest::collection::vec((some_network(), some_ip()), 0..3);
    let weighted = proptest::collection::vec((some_gateway(), 0..3u32), 0..3);
    let nature = (
        any::<[bool; 4]>(),
        some_ports(),
        proptest::option::of(24..=30u8),
    );
    (some_name(), vips, some_gateway(), weighted, nature).prop_map(
        |(name, vips, waypoint, weighted, ([sans, private, other, passthrough], ports, cidr))| {
            let weighted: Vec<_> = weighted
                .into_iter()
                .filter_map(|(w, n)| Some((w?, n)))
                .collect();
            let mut service = m::service(&name, &[]).weighted(&weighted);
            if !ports.is_empty() {
                service = service.ports(&ports);
            }
            if let Some(length) = cidr {
                service = service.cidr("", &format!("10.0.0.0/{length}"));
            }
            if other {
                service = service.namespace("other");
            }
            service.with(|s| {
                s.vips = vips
                    .iter()
                    .map(|(n, vip)| NetworkAddress::new(*n, m::ip(vip)))
                    .collect();
                s.waypoint = waypoint;
                if sans {
                    *s = s.clone().sans(&["fleet"]);
                }
                if private {
                    s.visibility = Visibility::Namespace;
                }
                if passthrough && private {
                    *s = s.clone().passthrough();
                }
            })
        },
    )
}

#[derive(Clone, Debug)]
struct Case {
    snapshot: Arc<MeshSnapshot>,
    source: WorkloadSpec,
    destination: std::net::SocketAddr,
}

fn some_case() -> impl Strategy<Value = Case> {
    let workloads = proptest::collection::vec(some_workload(), 1..8);
    let services = proptest::collection::vec(some_service(), 0..6);
    (workloads, services, some_ip(), some_port()).prop_map(|(workloads, services, ip, port)| Case {
        source: workloads[workloads.len() - 1].clone(),
        snapshot: m::snapshot(workloads, services),
        destination: std::net::SocketAddr::new(m::ip(&ip), port),
    })
}

impl Case {
    fn source(&self) -> &Arc<mesh_core::model::Workload> {
        self.snapshot.workload(&self.source.uid).unwrap()
    }

    fn request(&self) -> OutboundRequest {
        let source = self
            .source
            .ips
            .first()
            .copied()
            .unwrap_or(m::ip("10.9.9.9"));
        OutboundRequest::new(source, self.destination)
    }

    fn route(&self, random: u64) -> Option<OutboundRoute> {
        let config = ResolveConfig::new();
        outbound(
            &self.snapshot,
            &config,
            self.source(),
            &self.request(),
            &mut || random,
        )
        .ok()
    }

    /// The services that may have been addressed.
    fn services(&self) -> impl Iterator<Item = &Arc<mesh_core::model::Service>> {
        let (network, ip) = (&self.source.network, self.destination.ip());
        let exact = self.snapshot.services_at(network, ip).iter();
        exact.chain(
            self.snapshot
                .cidr_services_at(network, ip)
                .map(|(_, service)| service),
        )
    }
}

/// The authority rule of each hop.
fn check_authority(case: &Case, route: &OutboundRoute) -> Result<(), TestCaseError> {
    let original = ConnectAuthority::try_from(case.destination);
    match &route.hop {
        Hop::Passthrough { to } => {
            prop_assert_eq!(*to, case.destination);
            prop_assert!(matches!(
                route.reason,
                RouteReason::UnknownDestination | RouteReason::PassthroughService
            ));
        }
        Hop::Tcp { .. } => {
            let workload = route.destination.as_ref().unwrap();
            prop_assert_ne!(workload.tunnel_protocol(), TunnelProtocol::Hbone);
        }
        Hop::Hbone {
            authority: TunnelAuthority::OfDialledIp(_),
            to,
            ..
        } => {
            let looked_up = matches!(to, HopAddress::Hostname { .. });
            prop_assert!(looked_up);
        }
        Hop::Hbone {
            authority: TunnelAuthority::Is(authority),
            to,
            ..
        } => match route.reason {
            // To a waypoint: the original destination.
            RouteReason::ServiceWaypoint | RouteReason::WorkloadWaypoint => {
                prop_assert_eq!(Ok(authority), original.as_ref());
            }
            // To a workload: the IP that is dialled, on the HBONE port.
            _ => {
                let HopAddress::Ip(to) = to else {
                    panic!("{to:?}")
                };
                prop_assert_eq!(authority.ip(), Some(to.ip()));
                prop_assert_eq!(to.port(), 15008);
            }
        },
        Hop::DoubleHbone { authority, .. } => {
            let hostname = &route.service.as_ref().unwrap().spec().hostname;
            prop_assert_eq!(authority.host(), &AuthorityHost::Name(hostname.clone()));
            prop_assert_eq!(authority.port().get(), case.destination.port());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_authority_follows_the_hop(case in some_case(), random: u64) {
        if let Some(route) = case.route(random) {
            check_authority(&case, &route)?;
        }
    }

    #[test]
    fn who_asks_why_gets_the_same_answer(case in some_case(), random: u64) {
        let source = case.source();
        let mut steps = 0;
        let traced = outbound_traced(
            &case.snapshot,
            &ResolveConfig::new(),
            source,
            &case.request(),
            &mut || random,
            &mut |_: Step<'_>| steps += 1,
        );
        let plain = outbound(
            &case.snapshot,
            &ResolveConfig::new(),
            source,
            &case.request(),
            &mut || random,
        );
        prop_assert!(plain.is_err() || steps > 0);
        prop_assert_eq!(m::show(traced), m::show(plain));
    }

    #[test]
    fn the_chosen_workload_is_always_expected(case in some_case(), random: u64) {
        let Some(route) = case.route(random) else { return Ok(()) };
        let expected = match &route.hop {
            Hop::Hbone { expected, .. } => Some((expected, &route.destination)),
            Hop::DoubleHbone { gateway_expected, .. } => Some((gateway_expected, &route.gateway)),
            Hop::Passthrough { .. } | Hop::Tcp { .. } => None,
        };
        if let Some((expected, workload)) = expected {
            let identity = workload.as_ref().unwrap().identity();
            prop_assert!(identity.is_none_or(|id| expected.contains(&id)));
        }
    }

    #[test]
    fn no_hop_leads_back_to_the_proxy(case in some_case(), random: u64) {
        let Some(route) = case.route(random) else { return Ok(()) };
        let config = ResolveConfig::new();
        let own = |ip: std::net::IpAddr| ip.is_loopback() || case.source.ips.contains(&ip);
        let end = match &route.hop {
            Hop::Passthrough { to } | Hop::Tcp { to: HopAddress::Ip(to) } => Some((to.ip(), to.port())),
            Hop::Hbone { authority: TunnelAuthority::Is(authority), .. } => {
                authority.ip().map(|ip| (ip, authority.port().get()))
            }
            _ => None,
        };
        if let Some((ip, port)) = end {
            prop_assert!(!(own(ip) && config.illegal_ports.contains(port)));
        }
        if matches!(route.reason, RouteReason::ServiceWaypoint | RouteReason::WorkloadWaypoint)
            && matches!(route.hop, Hop::Hbone { .. })
        {
            let waypoint = route.destination.unwrap();
            prop_assert_ne!(waypoint.uid(), case.source().uid());
        }
    }

    #[test]
    fn nobody_but_a_waypoint_gets_around_a_waypoint(case in some_case(), random: u64) {
        // A source that belongs to no service and that no reference by address or name can mean.
        let mut case = case;
        case.source = m::pod("nobody", &["10.8.8.8"]).network(&case.source.network);
        let mut workloads: Vec<_> = vec![case.source.clone()];
        workloads.extend(case.snapshot.workloads().map(|w| respec(w)));
        let services = case.snapshot.services().map(|s| s.spec().clone()).collect();
        case.snapshot = m::snapshot(workloads, services);
        let Some(route) = case.route(random) else { return Ok(()) };
        let has_waypoint = match (&route.service, &route.destination) {
            (Some(service), _) => {
                let spec = service.spec();
                let total: u32 = spec.weighted_waypoints.iter().map(|w| w.weight).sum();
                spec.waypoint.is_some() || total > 0
            }
            (None, Some(workload)) if route.reason == RouteReason::Workload => {
                workload.waypoint().is_some()
            }
            _ => false,
        };
        let direct = [
            RouteReason::ServiceEndpoint,
            RouteReason::PassthroughService,
            RouteReason::Workload,
        ];
        prop_assert!(!(has_waypoint && direct.contains(&route.reason)), "{route:?}");
    }

    #[test]
    fn what_is_invisible_is_never_addressed(case in some_case(), random: u64) {
        let Some(route) = case.route(random) else { return Ok(()) };
        if let Some(service) = route.service {
            let spec = service.spec();
            prop_assert!(spec.visibility == Visibility::Public || spec.namespace == case.source.namespace);
            prop_assert!(case.services().any(|s| Arc::ptr_eq(s, &service)));
            prop_assert_eq!(
                route.reason == RouteReason::PassthroughService,
                service.mode() == LoadBalancingMode::Passthrough
                    && matches!(route.hop, Hop::Passthrough { .. })
            );
        }
    }

    #[test]
    fn inbound_ends_at_the_tcp_destination_and_never_at_the_proxy(
        case in some_case(),
        peer in some_ip(),
        authority in (prop_oneof![some_ip(), some_name().prop_map(|n| n + ".default")], some_port()),
        flags: [bool; 4],
    ) {
        let (host, port) = authority;
        let host = if host.contains("::") { format!("[{host}]") } else { host };
        let Ok(authority) = format!("{host}:{port}").parse::<ConnectAuthority>() else {
            return Ok(());
        };
        let mut config = ResolveConfig::new();
        let [require, localhost, other, named] = flags;
        config.require_waypoints = require;
        config.localhost_app_tunnel = localhost;
        let mut request =
            InboundRequest::new((m::ip(&peer), 1).into(), case.destination, &authority);
        request.from_other_network = other;
        request.forwarded_host = named.then_some("s0.default");
        let local = case.source();
        let result = inbound(&case.snapshot, &config, local, &request);
        match result {
            Ok(route) => {
                prop_assert_eq!(route.destination.ip(), case.destination.ip());
                prop_assert_eq!(route.destination.port(), route.dial.port());
                prop_assert!(!config.illegal_ports.contains(route.dial.port()));
                prop_assert!(route.dial.ip() == case.destination.ip() || route.dial.ip().is_loopback());
                prop_assert!(!(other && route.source.is_some()));
            }
            Err(error) => {
                prop_assert!([400, 401, 503].contains(&error.status()));
                prop_assert!(error.outcome().is_failure());
            }
        }
        let plain = passthrough(&case.snapshot, &config, local, request.peer, case.destination);
        if let Ok(plain) = plain {
            prop_assert_eq!(plain.destination, case.destination);
            prop_assert!(!config.illegal_ports.contains(plain.destination.port()));
        }
    }

    #[test]
    fn a_waypoint_takes_what_clients_send_it(case in some_case(), random: u64) {
        let Some(route) = case.route(random) else { return Ok(()) };
        let through = [RouteReason::ServiceWaypoint, RouteReason::WorkloadWaypoint];
        let Hop::Hbone { authority: TunnelAuthority::Is(authority), to: HopAddress::Ip(to), .. } =
            &route.hop
        else {
            return Ok(());
        };
        let waypoint = route.destination.as_ref().unwrap();
        // What the records of its own network say is all that it can know.
        if !through.contains(&route.reason) || waypoint.network() != case.source().network() {
            return Ok(());
        }
        let request = InboundRequest::new((m::ip("10.9.9.9"), 1).into(), *to, authority);
        if let Err(error) = inbound(&case.snapshot, &ResolveConfig::new(), waypoint, &request) {
            prop_assert_ne!(error.status(), 400, "{}", error);
        }
    }

    #[test]
    fn any_host_name_has_an_answer(case in some_case(), host in ".{0,300}", v6: bool) {
        let prefer = if v6 { IpFamily::V6 } else { IpFamily::V4 };
        let config = ResolveConfig::new();
        let _ = outbound_hostname(&case.snapshot, &config, case.source(), &host, 80, prefer);
    }
}

/// The description of a workload that is in a snapshot, as far as these properties need it.
fn respec(workload: &mesh_core::model::Workload) -> WorkloadSpec {
    let keys = workload
        .services()
        .map(|(key, ports)| (key.clone(), ports.clone()));
    WorkloadSpec {
        uid: workload.uid().into(),
        name: workload.name().into(),
        namespace: workload.namespace().clone(),
        trust_domain: workload.trust_domain().clone(),
        service_account: workload.service_account().clone(),
        network: workload.network().clone(),
        ips: workload.ips().to_vec(),
        hostname: workload.hostname().clone(),
        tunnel_protocol: workload.tunnel_protocol(),
        network_mode: workload.network_mode(),
        waypoint: workload.waypoint().cloned(),
        network_gateway: workload.network_gateway().cloned(),
        services: keys.collect(),
        ..WorkloadSpec::default()
    }
}
