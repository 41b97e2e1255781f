//! A node with its pods.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::namespace::Namespace;
use super::{Application, Proxy, rules};

/// The mesh that all proxies are told of.
const MESH: &str = include_str!("../mesh.yaml");

/// A bridge, and a directory for what the proxies share.
pub(crate) struct Node {
    namespace: Namespace,
    directory: PathBuf,
}

impl Node {
    /// A node without pods.
    pub(crate) fn new() -> Self {
        let namespace = Namespace::new("node");
        namespace.configure(
            "link add br0 type bridge\naddr add 10.77.0.1/24 dev br0\nlink set br0 up\n",
        );
        let directory = std::env::temp_dir().join(namespace.name());
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&directory)
            .unwrap();
        std::fs::write(directory.join("mesh.yaml"), MESH).unwrap();
        Self {
            namespace,
            directory,
        }
    }

    /// A pod without capture, and without proxy. Its address is the one in the mesh.
    pub(crate) fn pod(&self, name: &'static str) -> Pod<'_> {
        let ip = address_of(name);
        let namespace = Namespace::new(name);
        self.namespace.configure(&format!(
            "link add {name} type veth peer name eth0 netns {}\nlink set {name} master br0 up\n",
            namespace.name()
        ));
        namespace.configure(&format!(
            "addr add {ip}/24 dev eth0\nlink set eth0 up\nroute add default via 10.77.0.1\n"
        ));
        Pod {
            node: self,
            namespace,
            name,
            ip,
        }
    }

    /// A captured pod and its proxy, which serves already.
    pub(crate) fn captured(&self, name: &'static str) -> (Pod<'_>, Proxy) {
        self.captured_with(name, &[])
    }

    /// A captured pod whose proxy has further settings.
    pub(crate) fn captured_with(
        &self,
        name: &'static str,
        settings: &[(&str, &str)],
    ) -> (Pod<'_>, Proxy) {
        let pod = self.pod(name);
        rules::capture(&pod.namespace);
        let proxy = Proxy::start(&pod, settings);
        (pod, proxy)
    }

    /// The file that describes the mesh.
    pub(crate) fn mesh_file(&self) -> PathBuf {
        self.directory.join("mesh.yaml")
    }

    /// The directory of the development CA, which all proxies trust.
    pub(crate) fn authority(&self) -> PathBuf {
        self.directory.join("ca")
    }

    /// Cuts the wire of a pod.
    pub(crate) fn cut_wire(&self, pod: &Pod<'_>) {
        self.namespace
            .configure(&format!("link set {} down\n", pod.name));
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        remove(&self.directory);
    }
}

fn remove(directory: &Path) {
    // What is left lies in the directory for temporary files.
    let _ = std::fs::remove_dir_all(directory);
}

/// A pod: a namespace on the bridge.
pub(crate) struct Pod<'a> {
    node: &'a Node,
    pub(crate) namespace: Namespace,
    pub(crate) name: &'static str,
    pub(crate) ip: IpAddr,
}

impl Pod<'_> {
    pub(crate) fn node(&self) -> &Node {
        self.node
    }

    /// A port of the pod.
    pub(crate) fn port(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.ip, port)
    }

    /// Runs a client in the pod to its end.
    pub(crate) fn run<T: Send>(&self, client: impl Future<Output = T> + Send) -> T {
        self.namespace.run(client)
    }

    /// Starts a server in the pod on a port.
    pub(crate) fn serve<F, Fut>(&self, port: u16, connection: F) -> Application
    where
        F: Fn(tokio::net::TcpStream) -> Fut + Send + 'static,
        Fut: Future<Output = std::io::Result<()>> + 'static,
    {
        Application::serve(&self.namespace, port, connection)
    }
}

/// The address that the mesh gives to a workload.
fn address_of(name: &str) -> IpAddr {
    let entry = format!("- name: {name}\n  workloadIps: [");
    let (_, rest) = MESH.split_once(&entry).expect("the pod is in the mesh");
    let (ip, _) = rest.split_once(']').unwrap();
    ip.parse::<Ipv4Addr>().unwrap().into()
}
