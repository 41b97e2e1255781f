//! A mesh on loopback addresses: a waypoint, applications behind it, and a client.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use mesh_core::credential::CertificateSource;
use mesh_core::tls::TlsContext;
use mesh_hbone::ClientLayer;
use mesh_hbone::proxy::TcpDialer;
use mesh_hbone::sock::SocketOptions;
use mesh_xds::dev_ca::{DevCa, DevCaSource};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower_layer::Layer;

use crate::application::Application;
use crate::client::Client;

/// The virtual addresses of the services `web` and `api`.
pub(crate) const WEB: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 96, 0, 1));
pub(crate) const API: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 96, 0, 2));

static NEXT: AtomicU8 = AtomicU8::new(0);

/// A waypoint for `web` (instances `v1` and `v2`) and `api` (one instance), and a client.
pub(crate) struct World {
    pub(crate) v1: Application,
    pub(crate) v2: Application,
    pub(crate) api: Application,
    pub(crate) client: Client,
    directory: PathBuf,
    net: Net,
    environment: Vec<(&'static str, String)>,
    process: Child,
}

const MESH: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio.io/use-waypoint: wp}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: wp, namespace: shop}
spec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}
status: {addresses: [{value: NET.9}]}
---
apiVersion: v1
kind: Pod
metadata:
  name: wp-1
  namespace: shop
  labels: {gateway.networking.k8s.io/gateway-name: wp, topology.kubernetes.io/region: eu, topology.kubernetes.io/zone: eu-1}
spec: {serviceAccountName: wp}
status: {podIP: NET.9}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.1, selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: shop}
spec: {clusterIP: 10.96.0.2, selector: {app: api}, ports: [{name: http, port: 80, targetPort: 8080}, {name: tcp, port: 81, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: free, namespace: shop, labels: {istio.io/use-waypoint: none}}
spec: {clusterIP: 10.96.0.3, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web-v1, namespace: shop, labels: {app: web, version: v1}}
status: {podIP: NET.1}
---
apiVersion: v1
kind: Pod
metadata: {name: web-v2, namespace: shop, labels: {app: web, version: v2}}
status: {podIP: NET.2}
---
apiVersion: v1
kind: Pod
metadata: {name: api, namespace: shop, labels: {app: api}}
status: {podIP: NET.3}
";

/// The addresses of one world.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Net {
    number: u8,
    third: u8,
}

/// What a world is made of.
pub(crate) struct Plan {
    /// What the mesh is; `NET.1` to `NET.9` are its addresses.
    pub(crate) mesh: String,
    /// Objects beside it.
    pub(crate) objects: String,
    /// Further variables of the process.
    pub(crate) environment: Vec<(&'static str, String)>,
    /// Who issues the client's certificates; the development authority if nobody.
    pub(crate) certificates: Option<Arc<dyn CertificateSource>>,
}

impl Net {
    /// Addresses that no other world has.
    pub(crate) fn next() -> Self {
        Self {
            number: NEXT.fetch_add(1, Ordering::SeqCst),
            third: (std::process::id() % 200) as u8,
        }
    }

    /// One of its addresses: 1 to 3 are those of the applications, 9 is the waypoint's.
    pub(crate) fn at(self, last: u8) -> Ipv4Addr {
        let (block, place) = (self.number / 16, self.number % 16);
        Ipv4Addr::new(127, 78 + block, self.third, place * 16 + last)
    }

    /// Objects with addresses in place of `NET.1` to `NET.15`.
    fn fill(self, objects: &str) -> String {
        // Long numbers first, as others are their beginnings.
        let numbers = (1..16).rev();
        numbers.fold(objects.to_owned(), |objects, last| {
            objects.replace(&format!("NET.{last}"), &self.at(last).to_string())
        })
    }
}

impl Plan {
    /// The mesh that most tests have, and these objects.
    pub(crate) fn of(objects: &str) -> Self {
        Self {
            mesh: MESH.to_owned(),
            objects: objects.to_owned(),
            environment: Vec::new(),
            certificates: None,
        }
    }
}

impl World {
    /// Starts everything, with these objects beside the mesh.
    pub(crate) async fn start(objects: &str) -> Self {
        Self::with(objects, &[]).await
    }

    /// The same with further settings of the process.
    pub(crate) async fn with(objects: &str, settings: &[(&'static str, &str)]) -> Self {
        let mut plan = Plan::of(objects);
        let settings = settings
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        plan.environment.extend(settings);
        Self::launch(Net::next(), plan).await
    }

    /// Starts everything as planned.
    pub(crate) async fn launch(net: Net, plan: Plan) -> Self {
        let (id, number) = (std::process::id(), net.number);
        let directory = std::env::temp_dir().join(format!("waypoint-{id}-{number}"));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(directory.join("manifests")).unwrap();
        std::fs::write(directory.join("manifests/mesh.yaml"), net.fill(&plan.mesh)).unwrap();
        let objects = net.fill(&plan.objects);
        std::fs::write(directory.join("manifests/objects.yaml"), objects).unwrap();
        let process = waypoint(&directory, net.at(9), &plan.environment);
        let source = plan
            .certificates
            .unwrap_or_else(|| certificates(&directory));
        let world = Self {
            v1: Application::start("v1", net.at(1)).await,
            v2: Application::start("v2", net.at(2)).await,
            api: Application::start("api", net.at(3)).await,
            client: client(source, SocketAddr::from((net.at(9), 15008))),
            directory,
            net,
            environment: plan.environment,
            process,
        };
        world.ready().await;
        world
    }

    async fn ready(&self) {
        self.until("ready", async || {
            let page = self.fetch(15021, "/healthz/ready").await;
            page.is_some_and(|page| page.contains("200 OK"))
        })
        .await;
    }

    /// One of the addresses of the world: those above 3 and below 9 are of applications that a test starts.
    pub(crate) fn at(&self, last: u8) -> Ipv4Addr {
        self.net.at(last)
    }

    /// Starts the process again, after its end.
    pub(crate) async fn restart(&mut self) {
        self.process = waypoint(&self.directory, self.net.at(9), &self.environment);
        self.ready().await;
    }

    /// The memory that the process occupies, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(status).unwrap();
        let (_, rest) = status.split_once("VmRSS:").unwrap();
        let kib: u64 = rest.split_whitespace().next().unwrap().parse().unwrap();
        kib * 1024
    }

    /// How many lines the process has logged so far that have all of these texts.
    pub(crate) fn lines(&self, texts: &[&str]) -> usize {
        let log = self.log();
        let lines = log.lines();
        lines
            .filter(|line| texts.iter().all(|text| line.contains(text)))
            .count()
    }

    /// Replaces the objects beside the mesh.
    pub(crate) fn write(&self, objects: &str) {
        let path = self.directory.join("manifests/objects.yaml");
        let new = self.directory.join("new");
        std::fs::write(&new, self.net.fill(objects)).unwrap();
        std::fs::rename(new, path).unwrap();
    }

    /// Replaces a part of the mesh.
    pub(crate) fn edit_mesh(&self, part: &str, by: &str) {
        let path = self.directory.join("manifests/mesh.yaml");
        let mesh = std::fs::read_to_string(&path).unwrap();
        assert!(mesh.contains(part), "{mesh}");
        let new = self.directory.join("new");
        std::fs::write(&new, mesh.replace(part, by)).unwrap();
        std::fs::rename(new, path).unwrap();
    }

    /// Waits for something to hold.
    pub(crate) async fn until(&self, what: &str, holds: impl AsyncFn() -> bool) {
        let began = Instant::now();
        while !holds().await {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "{what}\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What a page of the process says; `None` when there is none.
    pub(crate) async fn fetch(&self, port: u16, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect((self.net.at(9), port)).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        Some(answer)
    }

    /// What the process has logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log")).unwrap()
    }

    /// The address of the application `api`.
    pub(crate) fn third(&self) -> Ipv4Addr {
        self.net.at(3)
    }

    /// The address of the fourth application, which is not there unless a test starts it.
    pub(crate) fn fourth(&self) -> Ipv4Addr {
        self.net.at(4)
    }

    /// Certificates of the development authority.
    pub(crate) fn certificates(&self) -> Arc<DevCaSource> {
        certificates(&self.directory)
    }

    /// Asks the process to stop, and says how it ended.
    pub(crate) async fn stop(&mut self) -> std::process::ExitStatus {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").arg(&id).status().unwrap();
        assert!(sent.success());
        for _ in 0..2000 {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the process goes on");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn waypoint(directory: &Path, address: Ipv4Addr, more: &[(&str, String)]) -> Child {
    let mut log = std::fs::File::options();
    let log = log.create(true).append(true).open(directory.join("log"));
    let binary = std::env::var_os("MESH_TEST_WAYPOINT");
    Command::new(binary.unwrap_or_else(|| env!("CARGO_BIN_EXE_waypoint").into()))
        .env("PROXY_WORKLOAD_INFO", "shop/wp-1/wp")
        .env("MESH_MANIFESTS", directory.join("manifests"))
        .env("MESH_LOCAL_XDS_INTERVAL", "10ms")
        .env("MESH_DEV_CA_DIR", directory.join("ca"))
        .env("MESH_BIND_ADDRESS", address.to_string())
        .env("WAYPOINT_WORKER_THREADS", "2")
        .env("MESH_ACCESS_LOG", "text")
        .env("FAKE_CA", "true")
        .envs(more.iter().map(|(name, value)| (name, value)))
        .stdout(log.unwrap())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

fn certificates(directory: &Path) -> Arc<DevCaSource> {
    let authority = DevCa::open_or_create(directory.join("ca")).unwrap();
    let source = Arc::new(DevCaSource::builder(authority).build().unwrap());
    let renewed = source.clone();
    tokio::spawn(async move { renewed.run().await });
    source
}

fn client(source: Arc<dyn CertificateSource>, waypoint: SocketAddr) -> Client {
    let tls = Arc::new(TlsContext::with_default_provider().unwrap());
    let layer = ClientLayer::builder(source, tls).build().unwrap();
    Client {
        tunnels: layer.layer(TcpDialer::new(SocketOptions::default())),
        waypoint,
        account: "shop/client",
    }
}
