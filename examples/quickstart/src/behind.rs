//! A service behind a waypoint, all of it from manifests as users write them.

use std::fs::{self, DirBuilder};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mesh_core::drain;
use mesh_core::identity::SpiffeId;
use mesh_core::resolve::ResolveConfig;
use mesh_core::telemetry::Telemetry;
use mesh_core::tls::TlsContext;
use mesh_xds::dev_ca::{DevCa, DevCaSource};
use process::env::Env;
use tokio::net::TcpListener;
use waypoint::Waypoint;

use crate::failure::Result;
use crate::instance::Instance;
use crate::mesh::{Parts, only};

/// The host that clients ask for.
pub(crate) const HOST: &str = "catalog.default.svc.cluster.local";
pub(crate) const SHOP: &str = "spiffe://cluster.local/ns/default/sa/shop";
const WAYPOINT: &str = "spiffe://cluster.local/ns/default/sa/waypoint";
const CATALOG: &str = "spiffe://cluster.local/ns/default/sa/catalog";

/// Where the waypoint is, and the instances' proxies, as `waypoint.yaml` has it.
const WAYPOINT_IP: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const INSTANCES: [(&str, Ipv4Addr); 3] = [
    ("catalog-v1-a", Ipv4Addr::new(127, 0, 0, 3)),
    ("catalog-v1-b", Ipv4Addr::new(127, 0, 0, 4)),
    ("catalog-v2", Ipv4Addr::new(127, 0, 0, 5)),
];

/// A mesh with a waypoint, and the catalog behind it.
pub(crate) struct Behind {
    pub(crate) waypoint: Waypoint,
    /// Where the waypoint takes HBONE.
    pub(crate) hbone: SocketAddr,
    /// Where shop's applications find SOCKS5.
    pub(crate) shop: SocketAddr,
    pub(crate) v1: Instance,
    /// Another one of version 1, the one that fails.
    pub(crate) failing: Instance,
    pub(crate) v2: Instance,
    directory: Private,
    /// The proxies end with it.
    _stop: drain::Trigger,
}

impl Behind {
    pub(crate) async fn start(telemetry: Arc<dyn Telemetry>) -> Result<Self> {
        let directory = Private::create()?;
        let (port, listeners) = listeners().await?;
        let manifests = directory.0.join("manifests");
        fs::create_dir(&manifests)?;
        let yaml = include_str!("../manifests/waypoint.yaml").replace("15008", &port.to_string());
        fs::write(manifests.join("waypoint.yaml"), yaml)?;
        let authority = directory.0.join("ca");
        let waypoint = start_waypoint(&manifests, &authority, port)?;

        let certificates = DevCaSource::builder(DevCa::open_or_create(authority)?).build()?;
        let mut config = ResolveConfig::new();
        config.hbone_port = port;
        let (stop, drain) = drain::channel();
        let parts = Parts {
            certificates: Arc::new(certificates),
            tls: Arc::new(TlsContext::with_default_provider()?),
            snapshots: waypoint.snapshots(),
            config,
            telemetry,
            drain,
        };
        let v1 = Instance::start("catalog, version 1\n").await?;
        let failing = Instance::start("catalog, version 1\n").await?;
        let v2 = Instance::start("catalog, version 2\n").await?;
        let instances = [&v1, &failing, &v2].into_iter().zip(INSTANCES);
        for ((instance, (name, _)), listener) in instances.zip(listeners) {
            let identity: SpiffeId = CATALOG.parse()?;
            let workload = format!("Kubernetes//Pod/default/{name}");
            let authorizer = only(WAYPOINT.parse()?);
            parts.server_proxy(
                listener,
                (&*workload, identity),
                authorizer,
                instance.address,
            )?;
        }
        let shop = parts.client_proxy("Kubernetes//Pod/default/shop").await?;
        Ok(Self {
            hbone: SocketAddr::from((WAYPOINT_IP, port)),
            waypoint,
            shop,
            v1,
            v2,
            failing,
            directory,
            _stop: stop,
        })
    }

    pub(crate) async fn stop(self) {
        self.waypoint.stop().await;
        drop(self.directory);
    }
}

fn start_waypoint(manifests: &Path, authority: &Path, port: u16) -> Result<Waypoint> {
    let (ip, port) = (WAYPOINT_IP.to_string(), port.to_string());
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let (manifests, authority) = (text(manifests), text(authority));
    let env = Env::of(&[
        ("PROXY_WORKLOAD_INFO", "default/waypoint/waypoint"),
        ("MESH_MANIFESTS", &manifests),
        ("FAKE_CA", "true"),
        ("MESH_DEV_CA_DIR", &authority),
        ("MESH_BIND_ADDRESS", &ip),
        ("MESH_HBONE_PORT", &port),
        ("WAYPOINT_WORKER_THREADS", "1"),
    ]);
    Waypoint::start(&env)
}

/// Listeners of the instances' proxies at one port that is free at the waypoint's address too: usually 15008.
async fn listeners() -> Result<(u16, Vec<TcpListener>)> {
    let mut last = None;
    for _ in 0..10 {
        let first = TcpListener::bind((WAYPOINT_IP, 0)).await;
        let first = first.map_err(|error| {
            format!("{WAYPOINT_IP} is no address of this machine ({error}); Linux has all of 127.0.0.0/8")
        })?;
        let port = first.local_addr()?.port();
        let mut listeners = Vec::new();
        for (_, ip) in INSTANCES {
            match TcpListener::bind((ip, port)).await {
                Ok(listener) => listeners.push(listener),
                Err(error) => last = Some(error),
            }
        }
        if listeners.len() == INSTANCES.len() {
            return Ok((port, listeners));
        }
    }
    Err(last.map_or_else(|| "no free port".into(), Into::into))
}

/// A directory for this user alone, which ends with the value.
struct Private(PathBuf);

impl Private {
    fn create() -> std::io::Result<Self> {
        let name = format!("mesh-quickstart-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // What is left of it is in the directory of temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}
