//! Two proxies that a control plane drives: nothing but environment variables is needed.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;

use mesh_authz::spec::{Action, MatchSpec, PolicySpec, RuleSpec, Scope, StringMatch};
use mesh_xds::convert::{ADDRESS, AUTHORIZATION};
use mesh_xds::local::parse;
use mesh_xds::server::{ControlServer, Discovery, ServedResource};
use tokio::sync::oneshot;

use crate::harness::{APP, Mesh, Proxy, READINESS, echo, finish, ping};

/// A control plane that listens, until it is dropped.
struct Listening {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Listening {
    fn start(discovery: &Discovery, at: SocketAddr) -> Self {
        let (started, address) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let discovery = discovery.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async move {
                let server = ControlServer::builder(discovery).start(at).await.unwrap();
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
    listening: Option<Listening>,
}

impl Driven {
    fn new() -> Self {
        let mesh = Mesh::new();
        let discovery = Discovery::new();
        let config = parse(&mesh.yaml(mesh.server), "mesh.yaml").unwrap();
        for workload in &config.workloads {
            discovery.put_workload(workload);
        }
        for service in &config.services {
            discovery.put_service(service);
        }
        let listening = Listening::start(&discovery, (mesh.plain, 0).into());
        Self {
            mesh,
            discovery,
            listening: Some(listening),
        }
    }

    fn address(&self) -> SocketAddr {
        self.listening.as_ref().unwrap().address
    }

    fn settings(&self) -> [(&'static str, String); 3] {
        [
            ("LOCAL_XDS_PATH", String::new()),
            ("XDS_ADDRESS", format!("http://{}", self.address())),
            ("ISTIO_META_CLUSTER_ID", "c1".to_owned()),
        ]
    }

    fn proxy(&self, address: std::net::Ipv4Addr) -> Proxy {
        let settings = self.settings();
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
    let settings = driven.settings();
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
    driven.listening = Some(Listening::start(&driven.discovery, address));
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
    let both = [
        ("LOCAL_XDS_PATH", file.to_str().unwrap()),
        ("XDS_ADDRESS", address.as_str()),
    ];
    let client = mesh.proxy(mesh.client, &both);
    let server = driven.proxy(mesh.server);
    let all = dump(&client);
    assert!(
        all.contains("\"uid\": \"extra\"") && all.contains("\"uid\": \"server\""),
        "{all}"
    );
    // The file changes, and nothing of the control plane goes with it.
    mesh.write("{}");
    while dump(&client).contains("\"uid\": \"extra\"") {}
    echo(mesh.server);
    echoes(&client, mesh);
    drop(server);
}
