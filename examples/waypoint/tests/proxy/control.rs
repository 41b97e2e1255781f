//! Certificates, workloads and services from a control plane, routes from manifests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mesh_core::model::{
    GatewayAddress, GatewayDestination, NamespacedHostname, NetworkAddress, ServiceSpec,
    WorkloadSpec,
};
use mesh_xds::ca::CaSource;
use mesh_xds::control::{ControlEndpoint, ControlToken};
use mesh_xds::server::{CaService, ControlServer, Discovery};

use crate::world::{Net, Plan, WEB, World};

/// What the control plane does not say: the service's port by name, and its route.
const OBJECTS: &str = "
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
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.1, selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: shop}
spec:
  parentRefs: [{group: '', kind: Service, name: web}]
  rules: [{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-route, value: 'yes'}]}}], backendRefs: [{name: web, port: 80}]}]
";

/// A workload of the namespace `shop`, and whether it is an instance of `web`.
fn workload(net: Net, name: &str, last: u8, instance: bool) -> WorkloadSpec {
    let service = NamespacedHostname::new("shop", "web.shop.svc.cluster.local");
    let services = vec![(service, [(80, 8080)].into_iter().collect())];
    WorkloadSpec {
        uid: format!("Kubernetes//Pod/shop/{name}").into(),
        name: name.into(),
        namespace: "shop".into(),
        trust_domain: "cluster.local".into(),
        service_account: if instance { "web" } else { "wp" }.into(),
        ips: vec![net.at(last).into()],
        canonical_name: name.into(),
        workload_name: name.into(),
        cluster_id: "Kubernetes".into(),
        services: if instance { services } else { Vec::new() },
        ..WorkloadSpec::default()
    }
}

fn service(net: Net) -> ServiceSpec {
    ServiceSpec {
        name: "web".into(),
        namespace: "shop".into(),
        hostname: "web.shop.svc.cluster.local".into(),
        vips: vec![NetworkAddress::new("", WEB)],
        ports: [(80, 8080)].into_iter().collect(),
        waypoint: Some(GatewayAddress {
            destination: GatewayDestination::Address(NetworkAddress::new("", net.at(9).into())),
            hbone_mtls_port: 15008,
        }),
        ..ServiceSpec::default()
    }
}

#[tokio::test]
async fn a_waypoint_of_a_control_plane() {
    let net = Net::next();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let ca = CaService::builder(move |call| match call.token {
        Some("of-wp") => {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(call.wanted().clone())
        }
        Some("of-client") => Ok(call.wanted().clone()),
        _ => Err("unknown token".to_owned()),
    });
    let ca = ca.build().unwrap();
    let discovery = Discovery::new();
    discovery.edit(|edit| {
        edit.put_workload(&workload(net, "wp-1", 9, false));
        edit.put_workload(&workload(net, "web-v1", 1, true));
        edit.put_service(&service(net));
    });
    let server = ControlServer::builder(discovery.clone()).service(ca.into_server());
    let server = server.start("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", server.address());
    let endpoint = ControlEndpoint::builder(&address);
    let endpoint = endpoint.token(ControlToken::Literal("of-client".to_owned()));
    let (source, worker) = CaSource::builder(endpoint.build().unwrap())
        .build()
        .unwrap();
    tokio::spawn(worker.run());

    let labels = std::env::temp_dir().join(format!("waypoint-labels-{}", std::process::id()));
    let label = "gateway.networking.k8s.io/gateway-name=\"wp\"\npod-template-hash=\"abc\"\n";
    std::fs::write(&labels, label).unwrap();
    let world = World::launch(
        net,
        Plan {
            mesh: OBJECTS.to_owned(),
            objects: String::new(),
            environment: vec![
                ("FAKE_CA", String::new()),
                ("CA_ADDR", address.clone()),
                ("XDS_ADDRESS", address),
                ("AUTH_TOKEN", "of-wp".to_owned()),
                ("MESH_POD_LABELS", labels.display().to_string()),
            ],
            certificates: Some(Arc::new(source)),
        },
    )
    .await;
    for _ in 0..5 {
        let answer = world.client.get(WEB, "/").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.body.contains("x-route=yes"), "{answer:?}");
    }
    assert_eq!((world.v1.requests(), world.v2.requests()), (5, 0));
    assert_eq!(asked.load(Ordering::SeqCst), 1);

    // An instance that comes is used, one that goes is not any more; routes stay.
    discovery.put_workload(&workload(net, "web-v2", 2, true));
    let other = async || world.client.get(WEB, "/").await.body.starts_with("v2");
    world.until("the second instance", other).await;
    let address = "type.googleapis.com/istio.workload.Address";
    discovery.remove(address, "Kubernetes//Pod/shop/web-v1");
    let gone = async || {
        let dump = world.fetch(15000, "/config_dump").await.unwrap();
        !dump.contains(&format!("{}:8080", net.at(1)))
    };
    world.until("the first instance to be gone", gone).await;
    let before = world.v1.requests();
    for _ in 0..10 {
        let answer = world.client.get(WEB, "/").await;
        assert!(
            answer.body.starts_with("v2") && answer.body.contains("x-route=yes"),
            "{answer:?}"
        );
    }
    assert_eq!(world.v1.requests(), before);

    // A control plane that is away changes nothing.
    server.stop().await;
    for _ in 0..5 {
        assert_eq!(world.client.get(WEB, "/").await.status, 200);
    }
    let _ = std::fs::remove_file(labels);
}
