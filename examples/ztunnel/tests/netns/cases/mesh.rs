//! `ztunnel`, `waypoint` and `ztunnel`, all of them told by one directory of manifests.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use libtest_mimic::Trial;

use super::trial_with;
use crate::harness::clients::{Fate, fate};
use crate::harness::{Application, Node, Pod, Proxy, applications, has, log::Line};

const MANIFESTS: &str = include_str!("../manifests.yaml");

/// The services `web`, which has a waypoint, and `direct`, which has none.
const WEB: &str = "http://10.77.2.1/hello";
const DIRECT: &str = "http://10.77.2.2/hello";

const CLIENT: &str = "spiffe://cluster.local/ns/default/sa/client";
const WAYPOINT: &str = "spiffe://cluster.local/ns/default/sa/waypoint";
const SERVER: &str = "spiffe://cluster.local/ns/default/sa/server";

pub(super) fn trials() -> Vec<Trial> {
    let no_curl = || (!has("curl", "--version")).then(|| "needs curl".to_owned());
    vec![
        trial_with(
            "curl_goes_through_the_waypoint_of_a_service_and_straight_where_there_is_none",
            no_curl,
            ways,
        ),
        trial_with(
            "policies_hold_at_the_waypoint_and_at_the_pod_behind_it",
            no_curl,
            policies,
        ),
        trial_with(
            "without_its_waypoint_a_service_is_not_reached_until_it_is_back",
            no_curl,
            killed,
        ),
    ]
}

/// Both services with their pods, and a client.
struct Scene<'n> {
    client: Pod<'n>,
    client_proxy: Proxy,
    server_proxy: Proxy,
    second_proxy: Proxy,
    /// A pod that is not captured, as that of a waypoint is not.
    place: Pod<'n>,
    manifests: PathBuf,
    /// Requests that the pods of `web` and `direct` have received.
    web: Arc<AtomicU64>,
    direct: Arc<AtomicU64>,
    _pods: [Pod<'n>; 2],
    _applications: [Application; 2],
}

impl<'n> Scene<'n> {
    fn new(node: &'n Node) -> Self {
        let manifests = node.mesh_file().with_file_name("manifests");
        std::fs::create_dir(&manifests).unwrap();
        std::fs::write(manifests.join("mesh.yaml"), MANIFESTS).unwrap();
        let captured = |name| {
            let settings = [
                ("LOCAL_XDS_PATH", ""),
                ("MESH_MANIFESTS", manifests.to_str().unwrap()),
            ];
            node.captured_with(name, &settings)
        };
        let (client, client_proxy) = captured("client");
        let (server, server_proxy) = captured("server");
        let (second, second_proxy) = captured("second");
        let [web, direct] = [(); 2].map(|()| Arc::<AtomicU64>::default());
        let counted = |pod: &Pod<'_>, count: &Arc<AtomicU64>| {
            let count = count.clone();
            pod.serve(8080, move |stream| {
                applications::heads(stream, count.clone())
            })
        };
        Self {
            _applications: [counted(&server, &web), counted(&second, &direct)],
            _pods: [server, second],
            place: node.pod("waypoint"),
            client,
            client_proxy,
            server_proxy,
            second_proxy,
            manifests,
            web,
            direct,
        }
    }

    fn waypoint(&self) -> Proxy {
        Proxy::waypoint(&self.place, Path::new(&self.manifests))
    }

    /// Asks as the client with curl: status, head and body of the answer, the status 0 for none.
    fn curl(&self, arguments: &[&str]) -> (u16, String) {
        let output = self
            .client
            .namespace
            .command("curl")
            .args([
                "--silent",
                "--include",
                "--noproxy",
                "*",
                "--max-time",
                "20",
            ])
            .args(["--write-out", "\n%{http_code}"])
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let (said, status) = said.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), said.to_owned())
    }

    /// The requests that the applications of `web` and `direct` have received.
    fn received(&self) -> (u64, u64) {
        (
            self.web.load(Ordering::SeqCst),
            self.direct.load(Ordering::SeqCst),
        )
    }

    /// The requests that a waypoint says it has answered, with these labels.
    fn answered(&self, waypoint: &Proxy, labels: &[(&str, &str)]) -> u64 {
        waypoint
            .metrics(&self.place)
            .sum("istio_requests_total", labels)
    }
}

fn ways() {
    let node = Node::new();
    let scene = Scene::new(&node);
    let waypoint = scene.waypoint();
    for _ in 0..3 {
        let (status, said) = scene.curl(&[WEB]);
        assert_eq!(status, 200, "{said}");
        // What the route adds to the answer and to the request; what the waypoint says of its own attempt.
        assert!(said.contains("x-answered-by: the-route"), "{said}");
        assert!(said.contains("x-sent-by: the-route"), "{said}");
        assert!(said.contains("x-envoy-attempt-count: 1"), "{said}");
        assert!(said.contains("host: 10.77.2.1"), "{said}");
    }
    assert_eq!(scene.received(), (3, 0));
    let labels = [
        ("reporter", "waypoint"),
        ("source_workload", "client"),
        ("source_principal", CLIENT),
        ("destination_workload", "server"),
        ("destination_principal", SERVER),
        ("destination_service", "web.default.svc.cluster.local"),
        ("response_code", "200"),
        ("connection_security_policy", "mutual_tls"),
    ];
    assert_eq!(scene.answered(&waypoint, &labels), 3);
    let to = scene
        .client_proxy
        .log
        .wait_for("the way out", |line: &Line| line.is_end("outbound"));
    to.expect(&[
        ("dst.addr", "10.77.0.8:15008"),
        ("dst.hbone_addr", "10.77.2.1:80"),
        ("dst.service", "web.default.svc.cluster.local"),
        ("dst.identity", WAYPOINT),
        ("error", ""),
    ]);

    let (status, said) = scene.curl(&[DIRECT]);
    assert_eq!(status, 200, "{said}");
    for trace in ["the-route", "x-envoy", "x-request-id"] {
        assert!(!said.contains(trace), "{trace} in {said}");
    }
    assert_eq!(scene.received(), (3, 1));
    assert_eq!(scene.answered(&waypoint, &[]), 3);
    let log = &scene.second_proxy.log;
    let from = log.wait_for("the way in", |line| line.is_end("inbound"));
    from.expect(&[("src.identity", CLIENT), ("dst.addr", "10.77.0.4:15008")]);

    // The waypoint keeps its connection; when it ends, the server's proxy says whose it was.
    waypoint.terminate();
    let log = &scene.server_proxy.log;
    let from = log.wait_for("the way in", |line| line.is_end("inbound"));
    from.expect(&[
        ("src.identity", WAYPOINT),
        ("dst.hbone_addr", "10.77.0.3:8080"),
    ]);
}

fn policies() {
    let node = Node::new();
    let scene = Scene::new(&node);
    let waypoint = scene.waypoint();
    let (status, said) = scene.curl(&["--request", "DELETE", WEB]);
    assert_eq!(status, 403, "{said}");
    assert!(said.ends_with("RBAC: access denied"), "{said}");
    assert_eq!(scene.received(), (0, 0));
    let denied = [("response_code", "403"), ("source_principal", CLIENT)];
    assert_eq!(scene.answered(&waypoint, &denied), 1);
    // The redirect of another route is answered there, too.
    let (status, said) = scene.curl(&["http://10.77.2.1/old/page"]);
    assert_eq!(status, 302, "{said}");
    assert!(
        said.contains("location: http://10.77.2.1/new/page"),
        "{said}"
    );
    assert_eq!(scene.received(), (0, 0));
    // The pod lets nobody in but the waypoint: who goes around it is stopped by the pod's own proxy.
    let around = scene.client.run(fate("10.77.0.3:8080".parse().unwrap()));
    assert_eq!(around, Fate::Closed);
    assert_eq!(scene.received(), (0, 0));
    let line = scene
        .server_proxy
        .log
        .wait_for("the denial", |line| !line.field("error").is_empty());
    line.expect(&[("src.identity", CLIENT)]);
    // As the waypoint it goes.
    assert_eq!(scene.curl(&[WEB]).0, 200);
    assert_eq!(scene.received(), (1, 0));
}

fn killed() {
    let node = Node::new();
    let scene = Scene::new(&node);
    let mut waypoint = scene.waypoint();
    assert_eq!(scene.curl(&[WEB]).0, 200);
    waypoint.kill();
    waypoint.wait();
    for _ in 0..3 {
        assert_eq!(scene.curl(&[WEB]), (0, String::new()));
    }
    assert_eq!(scene.received(), (1, 0));
    // Others are not concerned.
    assert_eq!(scene.curl(&[DIRECT]).0, 200);
    let _again = scene.waypoint();
    let (status, said) = scene.curl(&[WEB]);
    assert_eq!(status, 200, "{said}");
    assert!(said.contains("x-answered-by: the-route"), "{said}");
    assert_eq!(scene.received(), (2, 1));
}
