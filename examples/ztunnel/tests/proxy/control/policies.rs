//! Policies that the control plane pushes, on new and on running connections.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Instant;

use ipnet::IpNet;
use mesh_authz::spec::{
    Action, MatchSpec, PolicySpec, RuleSpec, Scope, ServiceAccountMatch, StringMatch,
};
use mesh_xds::server::Requests;

use super::plane::{ADDRESS, AUTHORIZATION, Plane, eventually};
use crate::harness::{APP, Proxy, echo, ping};

fn deny(name: &str, what: MatchSpec) -> PolicySpec {
    policy(name, Scope::Namespace, Action::Deny, what)
}

fn policy(name: &str, scope: Scope, action: Action, what: MatchSpec) -> PolicySpec {
    let mut policy = PolicySpec::new("ns", name, scope, action);
    policy.rules.push(RuleSpec::of(what));
    policy
}

/// Whether the client gets through to the server.
fn reaches(client: &Proxy, to: Ipv4Addr) -> bool {
    let (reply, mut stream) = client.socks5(&[&[1][..], &to.octets()].concat(), APP);
    reply == 0 && ping(&mut stream, b"hello").is_ok()
}

/// Waits until a connection is over.
fn is_cut(mut stream: TcpStream) {
    // What was on its way may still come.
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
                return;
            }
        }
    }
}

/// A field of a match, with a value that fits the client's connections and one that does not.
struct Field {
    name: &'static str,
    fits: MatchSpec,
    other: MatchSpec,
    excludes: MatchSpec,
    excludes_other: MatchSpec,
}

macro_rules! field {
    ($name:ident, $not:ident, $fits:expr, $other:expr) => {
        Field {
            name: stringify!($name),
            fits: MatchSpec {
                $name: vec![$fits],
                ..MatchSpec::default()
            },
            other: MatchSpec {
                $name: vec![$other],
                ..MatchSpec::default()
            },
            excludes: MatchSpec {
                $not: vec![$fits],
                ..MatchSpec::default()
            },
            excludes_other: MatchSpec {
                $not: vec![$other],
                ..MatchSpec::default()
            },
        }
    };
}

fn fields(server: Ipv4Addr) -> Vec<Field> {
    let net = |text: &str| text.parse::<IpNet>().unwrap();
    let only = |ip: Ipv4Addr| IpNet::new(ip.into(), 32).unwrap();
    let account = |name| ServiceAccountMatch::new("ns", name).unwrap();
    let exact = |text: &str| StringMatch::exact(text).unwrap();
    let prefix = |text: &str| StringMatch::prefix(text).unwrap();
    let suffix = |text: &str| StringMatch::suffix(text).unwrap();
    vec![
        field!(namespaces, not_namespaces, exact("ns"), exact("n")),
        field!(namespaces, not_namespaces, prefix("n"), prefix("s")),
        field!(namespaces, not_namespaces, suffix("s"), suffix("n")),
        field!(
            principals,
            not_principals,
            exact("cluster.local/ns/ns/sa/client"),
            exact("spiffe://cluster.local/ns/ns/sa/client")
        ),
        field!(
            principals,
            not_principals,
            prefix("cluster.local/"),
            prefix("local")
        ),
        field!(
            principals,
            not_principals,
            suffix("/client"),
            suffix("/server")
        ),
        field!(
            principals,
            not_principals,
            StringMatch::Presence,
            exact("nobody")
        ),
        field!(
            source_ips,
            not_source_ips,
            net("127.0.0.0/8"),
            net("10.0.0.0/8")
        ),
        field!(
            destination_ips,
            not_destination_ips,
            only(server),
            net("10.0.0.0/8")
        ),
        field!(destination_ports, not_destination_ports, APP, 80),
        field!(
            service_accounts,
            not_service_accounts,
            account("client"),
            account("server")
        ),
    ]
}

/// A client and a server, and what it takes to change policies between them.
struct Scene {
    plane: Plane,
    client: Proxy,
    server: Proxy,
    requests: Requests,
}

impl Scene {
    fn new() -> Self {
        let plane = Plane::new();
        echo(plane.mesh.server);
        let (client, server) = plane.proxies();
        let requests = plane.discovery.requests();
        Self {
            plane,
            client,
            server,
            requests,
        }
    }

    fn to(&self) -> Ipv4Addr {
        self.plane.mesh.server
    }

    /// A connection that has carried something.
    fn open(&self) -> TcpStream {
        let mut stream = self.client.connect(self.to(), APP);
        ping(&mut stream, b"hello").unwrap();
        stream
    }

    /// Makes these the only policies, and waits until both proxies have them.
    fn put(&mut self, policies: &[&PolicySpec]) {
        for policy in policies {
            self.plane.discovery.put_policy(policy);
            self.settle(AUTHORIZATION);
        }
    }

    fn remove(&mut self, name: &str) {
        self.plane
            .discovery
            .remove(AUTHORIZATION, &format!("ns/{name}"));
        self.settle(AUTHORIZATION);
    }

    fn settle(&mut self, type_url: &str) {
        let against = self.plane.acknowledged(&mut self.requests, type_url, 2);
        assert_eq!(against, Vec::<String>::new());
    }
}

#[test]
fn every_field_of_a_match_decides_about_new_and_running_connections() {
    let mut scene = Scene::new();
    for field in fields(scene.to()) {
        let name = field.name;
        // What does not fit changes nothing.
        let mut running = scene.open();
        scene.put(&[&deny("a", field.other), &deny("b", field.excludes)]);
        ping(&mut running, b"still there").unwrap();
        assert!(reaches(&scene.client, scene.to()), "{name}: not denied");
        scene.remove("a");
        scene.remove("b");
        // What fits ends what runs and refuses what is new.
        for what in [field.fits, field.excludes_other] {
            let begun = Instant::now();
            scene.plane.discovery.put_policy(&deny("c", what));
            is_cut(running);
            eprintln!(
                "{name}: a running connection ended {:?} after the push",
                begun.elapsed()
            );
            scene.settle(AUTHORIZATION);
            assert!(!reaches(&scene.client, scene.to()), "{name}: denied");
            scene.remove("c");
            running = scene.open();
        }
    }
    let denied = scene.server.log_line("connection complete", |line| {
        line["error"]
            .as_str()
            .is_some_and(|error| error.contains("explicitly denied by: ns/c"))
    });
    assert_eq!(
        denied["src.identity"],
        "spiffe://cluster.local/ns/ns/sa/client"
    );
    let cut = scene.server.log_line("connection complete", |line| {
        line["error"]
            .as_str()
            .is_some_and(|error| error.contains("policy change"))
    });
    assert_eq!(cut["level"], "error");
}

#[test]
fn a_policy_takes_effect_at_once_and_its_removal_too() {
    let mut scene = Scene::new();
    let nobody = policy(
        "nobody",
        Scope::Namespace,
        Action::Allow,
        MatchSpec {
            principals: vec![StringMatch::exact("nobody").unwrap()],
            ..MatchSpec::default()
        },
    );
    for _ in 0..5 {
        let mut transfer = scene.open();
        let begun = Instant::now();
        scene.plane.discovery.put_policy(&nobody);
        eventually("the policy takes effect", || {
            !reaches(&scene.client, scene.to())
        });
        eprintln!(
            "a new connection was refused {:?} after the push",
            begun.elapsed()
        );
        // A transfer that is under way: writes fail once it is cut.
        eventually("the transfer is cut", || {
            transfer.write_all(&[0; 1024]).is_err()
        });
        scene.settle(AUTHORIZATION);
        scene.remove("nobody");
        eventually("traffic is back", || reaches(&scene.client, scene.to()));
    }
    let line = scene.server.log_line("connection complete", |line| {
        let text = "allow policies exist, but none allowed";
        line["error"]
            .as_str()
            .is_some_and(|error| error.contains(text))
    });
    assert_eq!(line["direction"], "inbound");
}

#[test]
fn a_policy_is_attached_to_a_running_connection_by_a_change_of_the_workload() {
    let mut scene = Scene::new();
    let everything = policy(
        "selected",
        Scope::WorkloadSelector,
        Action::Deny,
        MatchSpec {
            principals: vec![StringMatch::Presence],
            ..MatchSpec::default()
        },
    );
    scene.put(&[&everything]);
    let running = scene.open();
    let mut server = scene.plane.server();
    server.authorization_policies = vec!["ns/selected".into()];
    scene.plane.discovery.put_workload(&server);
    is_cut(running);
    scene.settle(ADDRESS);
    assert!(!reaches(&scene.client, scene.to()));
    scene.plane.discovery.put_workload(&scene.plane.server());
    scene.settle(ADDRESS);
    assert!(reaches(&scene.client, scene.to()));
}

#[test]
fn a_policy_that_has_not_arrived_holds_connections_until_it_does() {
    let mut scene = Scene::new();
    let mut server = scene.plane.server();
    server.authorization_policies = vec!["ns/late".into()];
    scene.plane.discovery.put_workload(&server);
    scene.settle(ADDRESS);
    let (address, client) = (scene.to(), &scene.client);
    let late = policy(
        "late",
        Scope::WorkloadSelector,
        Action::Allow,
        MatchSpec {
            namespaces: vec![StringMatch::exact("ns").unwrap()],
            ..MatchSpec::default()
        },
    );
    std::thread::scope(|threads| {
        let reaching = threads.spawn(|| reaches(client, address));
        // The request has arrived and waits.
        scene
            .server
            .log_line("connection opened", |line| line["direction"] == "inbound");
        assert!(!reaching.is_finished());
        scene.plane.discovery.put_policy(&late);
        assert!(reaching.join().unwrap());
    });
}

#[test]
fn a_dry_run_changes_nothing_and_says_what_it_would_have_done() {
    let mut scene = Scene::new();
    let mut dry = deny(
        "dry",
        MatchSpec {
            principals: vec![StringMatch::Presence],
            ..MatchSpec::default()
        },
    );
    dry.dry_run = true;
    let mut running = scene.open();
    scene.put(&[&dry]);
    ping(&mut running, b"still there").unwrap();
    assert!(reaches(&scene.client, scene.to()));
    let (status, _) = scene
        .server
        .http("POST", crate::harness::ADMIN, "/logging?level=debug");
    assert_eq!(status, 200);
    assert!(reaches(&scene.client, scene.to()));
    let would = "dry-run: deny policy match: ns/dry";
    let line = scene.server.log_line("policy decision", |line| {
        let decision = line["decision"].as_str();
        decision.is_some_and(|decision| decision.starts_with(would))
    });
    assert_eq!(line["scope"], "rbac");
}
