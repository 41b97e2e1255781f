//! A control plane for one test, and proxies that know nothing but its address.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh_core::model::{
    NamespacedHostname, NetworkAddress, ServiceSpec, TunnelProtocol, WorkloadSpec,
};
use mesh_xds::server::{CaService, ControlServer, Discovery, Requests};
use rcgen::{CertificateParams, KeyPair, SanType};
use rustls::ServerConfig;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::harness::{ADMIN, APP, GUARD, Mesh, Proxy};

pub(crate) const ADDRESS: &str = "type.googleapis.com/istio.workload.Address";
pub(crate) const AUTHORIZATION: &str = "type.googleapis.com/istio.security.Authorization";

/// The host name of the service.
pub(crate) const SERVICE: &str = "web.example.org";

/// A runtime on a thread of its own, which ends with it.
struct Background {
    handle: Handle,
    _running: oneshot::Sender<()>,
}

impl Background {
    fn start() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        let (running, ended) = oneshot::channel::<()>();
        std::thread::spawn(move || runtime.block_on(ended));
        Self {
            handle,
            _running: running,
        }
    }
}

/// Discovery and certificate authority on one TLS port, with a client and a server in the mesh.
pub(crate) struct Plane {
    pub(crate) mesh: Mesh,
    pub(crate) discovery: Discovery,
    pub(crate) ca: CaService,
    /// The token that the authority takes, and that the token file has.
    token: Arc<Mutex<String>>,
    runtime: Background,
    /// `None` = plain HTTP/2, which proxies take from a loopback address.
    tls: Option<Arc<ServerConfig>>,
    address: SocketAddr,
    running: Option<ControlServer>,
}

impl Plane {
    /// A running control plane with [`client`](Self::client), [`server`](Self::server) and
    /// [`service`](Self::service).
    pub(crate) fn new() -> Self {
        Self::empty().filled()
    }

    /// The same without TLS, whose proxies have their token in the environment.
    pub(crate) fn plain() -> Self {
        let mut plane = Self::empty();
        plane.stop();
        plane.tls = None;
        plane.start();
        plane.filled()
    }

    fn filled(self) -> Self {
        let plane = self;
        plane.discovery.edit(|edit| {
            edit.put_workload(&plane.client());
            edit.put_workload(&plane.server());
            edit.put_service(&plane.service());
        });
        plane
    }

    /// A running control plane that knows of nothing.
    pub(crate) fn empty() -> Self {
        let token = Arc::new(Mutex::new("first".to_owned()));
        let valid = token.clone();
        let ca = CaService::builder(move |call| match call.token {
            Some(token) if token == *valid.lock().unwrap() => Ok(call.wanted().clone()),
            _ => Err("unknown token".to_owned()),
        });
        Self::with(Mesh::new(), ca.build().unwrap(), token)
    }

    /// Another control plane with the same authority, for the same test.
    pub(crate) fn neighbour(&self) -> Self {
        Self::with(Mesh::new(), self.ca.clone(), self.token.clone())
    }

    fn with(mesh: Mesh, ca: CaService, token: Arc<Mutex<String>>) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::default();
        parameters.subject_alt_names = vec![SanType::IpAddress(Ipv4Addr::LOCALHOST.into())];
        let certificate = parameters.self_signed(&key).unwrap();
        std::fs::write(mesh.directory.join("root.pem"), certificate.pem()).unwrap();
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let mut tls = ServerConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                key.serialize_der().try_into().unwrap(),
            )
            .unwrap();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let mut plane = Self {
            mesh,
            discovery: Discovery::new(),
            ca,
            token,
            runtime: Background::start(),
            tls: Some(Arc::new(tls)),
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            running: None,
        };
        plane.renew_token("first");
        plane.start();
        plane
    }

    /// Starts to serve, where it served before if it did.
    pub(crate) fn start(&mut self) {
        let server =
            ControlServer::builder(self.discovery.clone()).service(self.ca.clone().into_server());
        let server = match &self.tls {
            Some(tls) => server.tls(tls.clone()),
            None => server,
        };
        let running = self
            .runtime
            .handle
            .block_on(server.start(self.address))
            .unwrap();
        self.address = running.address();
        self.running = Some(running);
    }

    /// Breaks all connections and serves no more.
    pub(crate) fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.handle.block_on(running.stop());
        }
    }

    fn token_file(&self) -> PathBuf {
        self.mesh.directory.join("token")
    }

    /// Makes this the only token that is valid, and writes it to where the proxies read it.
    pub(crate) fn renew_token(&self, token: &str) {
        let new = self.mesh.directory.join("token.new");
        std::fs::write(&new, token).unwrap();
        std::fs::rename(new, self.token_file()).unwrap();
        *self.token.lock().unwrap() = token.to_owned();
    }

    /// Runs what is asynchronous, within the time that no test takes.
    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        let guarded = async { tokio::time::timeout(GUARD, future).await };
        self.runtime
            .handle
            .block_on(guarded)
            .expect("nothing happened")
    }

    /// What runs beside the test.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.runtime.handle.spawn(future);
    }

    /// Waits until so many proxies have taken over what was pushed of a type; what they said
    /// against it.
    pub(crate) fn acknowledged(
        &self,
        requests: &mut Requests,
        type_url: &str,
        proxies: usize,
    ) -> Vec<String> {
        self.wait(async {
            let mut against = Vec::new();
            for _ in 0..proxies {
                let answer = requests.acknowledged(type_url).await.unwrap();
                against.extend(answer.err());
            }
            against
        })
    }

    /// The environment of the proxy of the workload at an address of the mesh: as an operator sets
    /// it under a control plane.
    pub(crate) fn environment(&self, address: Ipv4Addr) -> Vec<(String, String)> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let control = format!("{scheme}://{}", self.address);
        let root = self.mesh.directory.join("root.pem");
        let token = match self.tls {
            Some(_) => self.token_file().to_str().unwrap().to_owned(),
            None => self.token.lock().unwrap().clone(),
        };
        let pairs = [
            ("XDS_ADDRESS", control.as_str()),
            ("CA_ADDRESS", control.as_str()),
            ("XDS_ROOT_CA", root.to_str().unwrap()),
            ("CA_ROOT_CA", root.to_str().unwrap()),
            ("AUTH_TOKEN", token.as_str()),
        ];
        let local = ["LOCAL_XDS_PATH", "FAKE_CA", "MESH_DEV_CA_DIR"];
        let mut environment = self.mesh.environment(address);
        environment.retain(|(name, _)| !local.contains(&name.as_str()));
        environment.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        environment
    }

    /// The proxy of the workload at an address.
    pub(crate) fn proxy(&self, address: Ipv4Addr, more: &[(&str, &str)]) -> Proxy {
        let mut environment = self.environment(address);
        environment.extend(more.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())));
        Proxy::start(address, &environment)
    }

    /// The same, which is not waited for.
    pub(crate) fn proxy_that_waits(&self, address: Ipv4Addr) -> Proxy {
        Proxy::launch(address, &self.environment(address))
    }

    /// The proxies of the client and of the server.
    pub(crate) fn proxies(&self) -> (Proxy, Proxy) {
        let server = self.proxy(self.mesh.server, &[]);
        (self.proxy(self.mesh.client, &[]), server)
    }

    pub(crate) fn client(&self) -> WorkloadSpec {
        workload("client", self.mesh.client)
    }

    /// The server, which is the endpoint of the service.
    pub(crate) fn server(&self) -> WorkloadSpec {
        WorkloadSpec {
            services: vec![(
                NamespacedHostname::new("ns", SERVICE),
                [(80, APP)].into_iter().collect(),
            )],
            ..workload("server", self.mesh.server)
        }
    }

    pub(crate) fn service(&self) -> ServiceSpec {
        ServiceSpec {
            name: "web".into(),
            namespace: "ns".into(),
            hostname: SERVICE.into(),
            vips: vec![NetworkAddress::new("", self.mesh.vip.into())],
            ports: [(80, APP)].into_iter().collect(),
            ..ServiceSpec::default()
        }
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A pod that takes HBONE, with the name that its proxy has for it.
pub(crate) fn workload(name: &str, address: Ipv4Addr) -> WorkloadSpec {
    WorkloadSpec {
        uid: format!("cluster//Pod/ns/{name}-1").into(),
        name: format!("{name}-1").into(),
        namespace: "ns".into(),
        trust_domain: "cluster.local".into(),
        service_account: name.into(),
        ips: vec![address.into()],
        tunnel_protocol: TunnelProtocol::Hbone,
        node: "laptop".into(),
        canonical_name: name.into(),
        canonical_revision: "v1".into(),
        workload_name: name.into(),
        cluster_id: "Kubernetes".into(),
        ..WorkloadSpec::default()
    }
}

/// What a proxy knows, as its administration shows it.
pub(crate) fn dump(proxy: &Proxy) -> String {
    proxy.http("GET", ADMIN, "/config_dump").1
}

/// Asks again until it is so.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < GUARD, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
