//! The mesh that waypoints are measured in: addresses, and manifests as a user would write them.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use mesh_core::credential::CertificateSource;
use mesh_core::identity::{SpiffeId, TrustDomain};
use mesh_core::resolve::ResolveConfig;
use mesh_core::store::MeshStore;
use mesh_hbone::proxy::{LocalWorkload, MeshResolver};
use mesh_xds::dev_ca::{DevCa, DevCaSource};
use mesh_xds::manifest::{ManifestSource, MeshOptions};

/// Versions of HTTP, each with a port of every service: both ends of a way speak the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Version {
    /// HTTP/1.1, port 80 of services.
    Http1,
    /// HTTP/2 with prior knowledge, port 81 of services.
    Http2,
}

/// The services of the mesh. All have the same application behind them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Service {
    /// Behind our waypoint.
    Waypoint,
    /// Behind the forwarder, which is a waypoint as far as the mesh knows.
    Forwarder,
    /// Behind none.
    Plain,
}

/// Where everything is, and the directory of manifests and of the certificate authority. Its text form is what
/// a process in the middle is told.
#[derive(Clone, Debug)]
pub struct World {
    network: [u8; 3],
    /// The port of HBONE at all addresses.
    pub(crate) hbone: u16,
    /// The application's ports, by version.
    pub(crate) application: [u16; 2],
    directory: PathBuf,
}

/// The last bytes of addresses.
const SERVER: u8 = 1;
const CLIENT: u8 = 2;
const FORWARDER: u8 = 8;
const WAYPOINT: u8 = 9;

/// Services that only exist to have routes, when many routes are wanted.
const ROUTED_SERVICES: usize = 500;

impl World {
    /// A world in a fresh directory, with the ports of the application and of HBONE.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn create(network: [u8; 3], hbone: u16, application: [u16; 2]) -> io::Result<Self> {
        let [_, high, low] = network;
        let name = format!("mesh-lab-{}-{high}-{low}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(directory.join("manifests"))?;
        Ok(Self {
            network,
            hbone,
            application,
            directory,
        })
    }

    /// The loopback network of this process, so that two of them can measure at a time.
    #[must_use]
    pub fn own_network(number: u8) -> [u8; 3] {
        let id = u8::try_from(std::process::id() % 250).unwrap_or(0);
        [127, 100_u8.saturating_add(number), id]
    }

    /// Writes the manifests: the mesh, and `routes` objects of kind HTTPRoute beside it.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, routes: usize) -> io::Result<()> {
        let mut mesh = include_str!("mesh.yaml").to_owned();
        let parts = [
            ("SERVER", self.ip(SERVER).to_string()),
            ("CLIENT", self.ip(CLIENT).to_string()),
            ("FORWARDER_IP", self.ip(FORWARDER).to_string()),
            ("WAYPOINT_IP", self.ip(WAYPOINT).to_string()),
            ("HBONE_PORT", self.hbone.to_string()),
            ("HTTP1", self.port(Version::Http1).to_string()),
            ("HTTP2", self.port(Version::Http2).to_string()),
        ];
        for (name, value) in parts {
            mesh = mesh.replace(name, &value);
        }
        fs::write(self.manifests().join("mesh.yaml"), mesh)?;
        fs::write(self.manifests().join("routes.yaml"), many(routes))
    }

    /// The directory of manifests.
    #[must_use]
    pub fn manifests(&self) -> PathBuf {
        self.directory.join("manifests")
    }

    /// The directory of the certificate authority.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.directory.join("ca")
    }

    /// Where what a process in the middle says is kept.
    #[must_use]
    pub fn log(&self, name: &str) -> PathBuf {
        self.directory
            .join(format!("{}.log", name.replace(' ', "-")))
    }

    pub(crate) fn ip(&self, last: u8) -> Ipv4Addr {
        let [a, b, c] = self.network;
        Ipv4Addr::new(a, b, c, last)
    }

    pub(crate) fn port(&self, version: Version) -> u16 {
        let [http1, http2] = self.application;
        match version {
            Version::Http1 => http1,
            Version::Http2 => http2,
        }
    }

    /// The application itself.
    #[must_use]
    pub fn application(&self, version: Version) -> SocketAddr {
        SocketAddr::from((self.ip(SERVER), self.port(version)))
    }

    /// Where the server's node proxy takes HBONE.
    #[must_use]
    pub fn server(&self) -> SocketAddr {
        SocketAddr::from((self.ip(SERVER), self.hbone))
    }

    /// Where our waypoint, or the forwarder in its place, takes HBONE.
    #[must_use]
    pub fn middle(&self, service: Service) -> SocketAddr {
        let last = match service {
            Service::Waypoint => WAYPOINT,
            Service::Forwarder | Service::Plain => FORWARDER,
        };
        SocketAddr::from((self.ip(last), self.hbone))
    }

    /// The identity of a service account of the mesh.
    ///
    /// # Errors
    /// When the name is none.
    pub fn identity(account: &str) -> io::Result<SpiffeId> {
        let text = format!("spiffe://cluster.local/ns/lab/sa/{account}");
        text.parse().map_err(io::Error::other)
    }

    /// Certificates of the mesh's authority.
    ///
    /// # Errors
    /// When the authority cannot be opened.
    pub fn certificates(&self) -> io::Result<Arc<dyn CertificateSource>> {
        let authority = DevCa::open_or_create(self.authority()).map_err(io::Error::other)?;
        let source = DevCaSource::builder(authority).build();
        Ok(Arc::new(source.map_err(io::Error::other)?))
    }

    /// The mesh as the node proxy of a pod sees it.
    ///
    /// # Errors
    /// When the manifests cannot be read.
    pub fn resolver(&self, pod: &str) -> io::Result<MeshResolver> {
        let store = Arc::new(MeshStore::new());
        let domain: TrustDomain = "cluster.local".parse().map_err(io::Error::other)?;
        let mut source =
            ManifestSource::new(self.manifests(), MeshOptions::new(domain), store.clone());
        let problem = |problem: mesh_xds::manifest::Problem| io::Error::other(problem.to_string());
        source.first_look().map_err(problem)?;
        let mut config = ResolveConfig::new();
        config.hbone_port = self.hbone;
        let local = LocalWorkload::Uid(format!("Kubernetes//Pod/lab/{pod}").as_str().into());
        Ok(MeshResolver::new(store.watch(), config, local))
    }

    /// Removes the directory.
    pub fn remove(&self) {
        // What is left of it is in the directory of temporary files.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl Service {
    /// Where clients connect to it.
    #[must_use]
    pub fn address(self, version: Version) -> SocketAddr {
        let last = match self {
            Self::Waypoint => 1,
            Self::Forwarder => 2,
            Self::Plain => 3,
        };
        let port = match version {
            Version::Http1 => 80,
            Version::Http2 => 81,
        };
        SocketAddr::from((Ipv4Addr::new(10, 96, 0, last), port))
    }
}

/// Routes of some hundred services, each with a path, a method and a header.
fn many(routes: usize) -> String {
    let mut text = String::new();
    for service in 0..ROUTED_SERVICES.min(routes) {
        let (high, low) = (service / 250, service % 250);
        // Writing to a String does not fail.
        let _ = write!(
            text,
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: routed-{service}, namespace: lab, \
             labels: {{istio.io/use-waypoint: wp}}}}\nspec: {{clusterIP: 10.97.{high}.{low}, \
             selector: {{app: server}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}\n"
        );
    }
    for route in 0..routes {
        let service = route % ROUTED_SERVICES;
        let _ = write!(
            text,
            "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n\
             metadata: {{name: route-{route}, namespace: lab}}\nspec:\n  \
             parentRefs: [{{group: \"\", kind: Service, name: routed-{service}, port: 80}}]\n  rules:\n  \
             - matches: [{{path: {{type: PathPrefix, value: /api/v1/part-{route}}}, method: GET, \
             headers: [{{name: x-tenant, value: tenant-{route}}}]}}]\n    \
             backendRefs: [{{name: routed-{service}, port: 80}}]\n"
        );
    }
    text
}

impl std::fmt::Display for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ([a, b, c], [http1, http2]) = (self.network, self.application);
        let directory = self.directory.display();
        write!(f, "{a}.{b}.{c} {} {http1} {http2} {directory}", self.hbone)
    }
}

impl FromStr for World {
    type Err = io::Error;

    fn from_str(text: &str) -> io::Result<Self> {
        let wrong = || io::Error::other(format!("{text:?} is no world"));
        let mut parts = text.splitn(5, ' ');
        let network = parts.next().ok_or_else(wrong)?;
        let network: Vec<u8> = network
            .split('.')
            .filter_map(|part| part.parse().ok())
            .collect();
        let mut port = || parts.next()?.parse().ok();
        let (hbone, http1, http2) = (port(), port(), port());
        Ok(Self {
            network: network.try_into().map_err(|_| wrong())?,
            hbone: hbone.ok_or_else(wrong)?,
            application: [http1.ok_or_else(wrong)?, http2.ok_or_else(wrong)?],
            directory: Path::new(parts.next().ok_or_else(wrong)?).to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_is_told_as_text() {
        let world = World {
            network: [127, 100, 7],
            hbone: 15008,
            application: [1, 2],
            directory: "/a directory/with spaces".into(),
        };
        let told: World = world.to_string().parse().unwrap();
        assert_eq!(told.to_string(), world.to_string());
        assert_eq!(
            told.middle(Service::Waypoint),
            world.middle(Service::Waypoint)
        );
        assert!("127.1".parse::<World>().is_err());
    }
}
