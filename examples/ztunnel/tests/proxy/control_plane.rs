//! Two proxies that a control plane drives: nothing but environment variables is needed.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use mesh_authz::spec::{Action, MatchSpec, PolicySpec, RuleSpec, Scope, StringMatch};
use mesh_xds::convert::{ADDRESS, AUTHORIZATION};
use mesh_xds::local::parse;
use mesh_xds::server::{CaService, ControlServer, Discovery, ServedResource};
use tokio::sync::oneshot;

use crate::harness::{APP, Mesh, Proxy, READINESS, echo, finish, ping};

/// A control plane that listens, until it is dropped.
struct Listening {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Listening {
    fn start(discovery: &Discovery, authority: &CaService, at: SocketAddr) -> Self {
        let (started, address) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let (discovery, authority) = (discovery.clone(), authority.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async move {
                let server = ControlServer::builder(discovery)
                    .service(authority.into_server())
                    .start(at)
                    .await
                    .unwrap();
                started.send(server.address()).unwrap();
                let _ = stopped.await;
                server.stop().await;
            });
        });
        Self {
            address: address.recv().unwrap(),
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The mesh of a test with a control plane that knows it.
struct Driven {
    mesh: Mesh,
    discovery: Discovery,
    authority: CaService,
    /// Whether the authority issues certificates.
    issues: Arc<AtomicBool>,
    listening: Option<Listening>,
}

impl Driven {
    fn new() -> Self {
        let mesh = Mesh::new();
        let discovery = Discovery::new();
        let config = parse(&mesh.yaml(mesh.server), "mesh.yaml").unwrap();
        for mut workload in config.workloads {
            // As Istio's control plane names pods.
            workload.uid = format!("c1//Pod/{}/{}", workload.namespace, workload.name).into();
            discovery.put_workload(&workload);
        }
        for service in &config.services {
            discovery.put_service(service);
        }
        // Whoever shows the name of a service account gets its certificate.
        let issues = Arc::new(AtomicBool::new(true));
        let open = issues.clone();
        let authority = CaService::builder(move |call| {
            if !open.load(Ordering::SeqCst) {
                return Err("closed".to_owned());
            }
            let account = call.token.unwrap_or("nobody");
            let identity = format!("spiffe://cluster.local/ns/ns/sa/{account}");
            identity.parse().map_err(|_| "no such account".to_owned())
        });
        let authority = authority.build().unwrap();
        let listening = Listening::start(&discovery, &authority, (mesh.plain, 0).into());
        Self {
            mesh,
            discovery,
            authority,
            issues,
            listening: Some(listening),
        }
    }

    fn address(&self) -> SocketAddr {
        self.listening.as_ref().unwrap().address
    }

    fn settings(&self, address: Ipv4Addr) -> Vec<(&'static str, String)> {
        let account = if address == self.mesh.client {
            "client"
        } else {
            "server"
        };
        let server = format!("http://{}", self.address());
        vec![
            ("FAKE_CA", String::new()),
            ("CA_ADDRESS", server.clone()),
            ("AUTH_TOKEN", account.to_owned()),
            ("LOCAL_XDS_PATH", String::new()),
            ("XDS_ADDRESS", server),
            ("ISTIO_META_CLUSTER_ID", "c1".to_owned()),
        ]
    }

    fn proxy(&self, address: Ipv4Addr) -> Proxy {
        let settings = self.settings(address);
        let settings: Vec<_> = settings.iter().map(|(n, v)| (*n, v.as_str())).collect();
        self.mesh.proxy(address, &settings)
    }

    fn proxies(&self) -> (Proxy, Proxy) {
        (self.proxy(self.mesh.client), self.proxy(self.mesh.server))
    }
}

fn about_client(name: &str, action: Action, dry_run: bool) -> PolicySpec {
    let mut policy = PolicySpec::new("ns", name, Scope::Namespace, action);
    policy.dry_run = dry_run;
    policy.rules = vec![RuleSpec::of(MatchSpec {
        principals: vec![StringMatch::suffix("/sa/client").unwrap()],
        ..MatchSpec::default()
    })];
    policy
}

fn echoes(client: &Proxy, mesh: &Mesh) {
    let mut stream = client.connect(mesh.vip, 80);
    ping(&mut stream, b"hello").unwrap();
    finish(stream);
}

#[test]
fn traffic_goes_where_the_control_plane_says() {
    let driven = Driven::new();
    let mesh = &driven.mesh;
    let (client, _server) = driven.proxies();
    echo(mesh.server);
    echoes(&client, mesh);
    let line = client.log_line("connection complete", |_| true);
    assert_eq!(line["dst.workload"], "server-1");
    assert_eq!(
        line["src.identity"],
        "spiffe://cluster.local/ns/ns/sa/client"
    );
    assert_eq!(
        line["dst.identity"],
        "spiffe://cluster.local/ns/ns/sa/server"
    );
    let metrics = client.metrics();
    for url in [ADDRESS, AUTHORIZATION] {
        let sample = format!("istio_xds_message_total{{url=\"{url}\"}} ");
        let count = metrics.lines().find_map(|line| line.strip_prefix(&sample));
        assert!(count.is_some_and(|count| count != "0"), "{url}: {metrics}");
    }
    assert!(
        metrics.contains("istio_xds_message_bytes_total{url="),
        "{metrics}"
    );
    let (status, _) = client.http("GET", READINESS, "/healthz/ready");
    assert_eq!(status, 200);
}

#[test]
fn a_policy_that_is_pushed_cuts_and_its_removal_restores() {
    let driven = Driven::new();
    let mesh = &driven.mesh;
    let (client, server) = driven.proxies();
    echo(mesh.server);
    let mut running = client.connect(mesh.server, APP);
    ping(&mut running, b"before").unwrap();
    driven
        .discovery
        .put_policy(&about_client("try", Action::Deny, true));
    while !dump(&server).contains("\"try\"") {}
    ping(&mut running, b"still here").unwrap();

    driven
        .discovery
        .put_policy(&about_client("no", Action::Deny, false));
    let cut = std::io::Read::read(&mut running, &mut [0]);
    assert!(cut.map_or(true, |bytes| bytes == 0));
    let line = server.log_line("connection complete", |line| line["error"].is_string());
    let error = line["error"].as_str().unwrap();
    assert!(error.contains("explicitly denied by: ns/no"), "{error}");

    driven.discovery.remove(AUTHORIZATION, "ns/no");
    while dump(&server).contains("\"no\"") {}
    echoes(&client, mesh);
}

fn dump(proxy: &Proxy) -> String {
    proxy.http("GET", crate::harness::ADMIN, "/config_dump").1
}

#[test]
fn the_proxy_is_ready_when_it_knows_what_there_is_to_know() {
    let driven = Driven::new();
    driven.discovery.faults().hold(true);
    let mesh = &driven.mesh;
    let mut environment = mesh.environment(mesh.client);
    let settings = driven.settings(mesh.client).into_iter();
    environment.extend(settings.map(|(name, value)| (name.to_owned(), value)));
    let client = Proxy::launch(mesh.client, &environment);
    client.log_line("waiting for the control plane", |_| true);
    let (status, body) = client.http("GET", READINESS, "/healthz/ready");
    let pending = "not ready, pending: proxy, state manager\n";
    assert_eq!((status, body.as_str()), (500, pending));
    // Nothing is carried before policies are known.
    assert!(std::net::TcpStream::connect(client.at(15008)).is_err());
    driven.discovery.faults().hold(false);
    client.log_line("serving", |_| true);
    let (status, _) = client.http("GET", READINESS, "/healthz/ready");
    assert_eq!(status, 200);
}

#[test]
fn a_bad_resource_among_good_ones_does_not_keep_the_proxy_from_its_work() {
    let driven = Driven::new();
    let bad = ServedResource::new(ADDRESS, vec![0xff; 8]);
    driven.discovery.put(ADDRESS, "ns/bad", bad);
    let mesh = &driven.mesh;
    let (client, _server) = driven.proxies();
    echo(mesh.server);
    echoes(&client, mesh);
    let line = client.log_line("resource rejected", |_| true);
    assert_eq!(
        (&line["name"], &line["level"]),
        (&"ns/bad".into(), &"warn".into())
    );
    let metrics = client.metrics();
    assert!(
        metrics.contains("\nmesh_xds_resources_rejected_total 1\n"),
        "{metrics}"
    );
}

#[test]
fn traffic_goes_on_while_the_control_plane_is_away_and_changes_apply_when_it_is_back() {
    let mut driven = Driven::new();
    let (client, server) = driven.proxies();
    echo(driven.mesh.server);
    let mut running = client.connect(driven.mesh.server, APP);
    ping(&mut running, b"before").unwrap();
    let address = driven.address();
    drop(driven.listening.take());
    client.log_line("the control plane is away", |_| true);
    ping(&mut running, b"while away").unwrap();
    echoes(&client, &driven.mesh);
    driven
        .discovery
        .put_policy(&about_client("later", Action::Allow, false));
    let listening = Listening::start(&driven.discovery, &driven.authority, address);
    driven.listening = Some(listening);
    while !dump(&server).contains("\"later\"") {}
    ping(&mut running, b"after").unwrap();
    finish(running);
    let ends = "istio_xds_connection_terminations_total{reason=\"ConnectionError\"} ";
    let metrics = client.metrics();
    let count = metrics.lines().find_map(|line| line.strip_prefix(ends));
    assert!(count.unwrap().parse::<u64>().unwrap() > 0, "{metrics}");
}

#[test]
fn a_file_and_a_control_plane_go_together() {
    let driven = Driven::new();
    let mesh = &driven.mesh;
    let extra = "workloads:\n- {uid: extra, name: extra, namespace: ns, workloadIps: [127.0.0.9], services: {}}\n";
    mesh.write(extra);
    let (file, address) = (mesh.file(), format!("http://{}", driven.address()));
    // The certificates come from the same authority as those of the other proxy.
    let both = [
        ("LOCAL_XDS_PATH", file.to_str().unwrap()),
        ("XDS_ADDRESS", address.as_str()),
        ("FAKE_CA", ""),
        ("CA_ADDRESS", address.as_str()),
        ("AUTH_TOKEN", "client"),
    ];
    let client = mesh.proxy(mesh.client, &both);
    let server = driven.proxy(mesh.server);
    let all = dump(&client);
    assert!(
        all.contains("\"uid\": \"extra\"") && all.contains("\"c1//Pod/ns/server-1\""),
        "{all}"
    );
    // The file changes, and nothing of the control plane goes with it.
    mesh.write("{}");
    while dump(&client).contains("\"uid\": \"extra\"") {}
    echo(mesh.server);
    echoes(&client, mesh);
    drop(server);
}

#[test]
fn on_demand_only_what_connections_need_is_fetched() {
    let driven = Driven::new();
    let mesh = &driven.mesh;
    let server = driven.proxy(mesh.server);
    let mut environment = mesh.environment(mesh.client);
    let settings = driven.settings(mesh.client).into_iter();
    environment.extend(settings.map(|(name, value)| (name.to_owned(), value)));
    environment.push(("XDS_ON_DEMAND".to_owned(), "true".to_owned()));
    let client = Proxy::launch(mesh.client, &environment);
    client.log_line("serving", |_| true);
    assert!(!dump(&client).contains("c1//Pod/ns/"), "{}", dump(&client));
    echo(mesh.server);
    let mut stream = client.connect(mesh.server, APP);
    ping(&mut stream, b"hello").unwrap();
    finish(stream);
    let line = client.log_line("connection complete", |_| true);
    assert_eq!(
        line["dst.identity"],
        "spiffe://cluster.local/ns/ns/sa/server"
    );
    let all = dump(&client);
    for (pod, known) in [("client-1", true), ("server-1", true), ("plain-1", false)] {
        assert_eq!(
            all.contains(&format!("c1//Pod/ns/{pod}")),
            known,
            "{pod}: {all}"
        );
    }
    drop(server);
}

#[test]
fn an_authority_that_is_away_at_the_start_is_asked_again() {
    let driven = Driven::new();
    let mesh = &driven.mesh;
    driven.issues.store(false, Ordering::SeqCst);
    let (client, _server) = driven.proxies();
    echo(mesh.server);
    let address = [&[1][..], &mesh.server.octets()].concat();
    assert_ne!(client.socks5(&address, APP).0, 0);
    client.log_line("connection complete", |line| line["level"] == "error");
    let metrics = client.metrics();
    let failed = metrics.lines().find(|line| {
        line.starts_with("istio_tcp_connections_failed_total{")
            && line.contains("response_flags=\"IDENTITY_ERROR\"")
    });
    assert!(failed.is_some(), "{metrics}");
    assert!(
        dump(&client).contains("\"state\": \"Unavailable: "),
        "{}",
        dump(&client)
    );

    driven.issues.store(true, Ordering::SeqCst);
    while client.socks5(&address, APP).0 != 0 {}
    echoes(&client, mesh);
}
