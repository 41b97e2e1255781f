//! Endpoints of other networks. Sources: node-proxy.md 1.11 (HBONE inside of HBONE), waypoint-xds.md 2.6 and 2.13.

use crate::instance::{Gateway, Instance};
use crate::objects::{pod, service};
use crate::world::World;

/// A service whose instance is in another network, behind a gateway; `account` is that of the instance.
fn objects(account: &str) -> String {
    format!(
        "
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: east, namespace: shop, labels: {{topology.istio.io/network: net2}}}}
spec: {{gatewayClassName: istio-east-west, listeners: [{{name: cross, port: 15008, protocol: HBONE}}]}}
status: {{addresses: [{{value: NET.5}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: east-1, namespace: shop, labels: {{topology.istio.io/network: net2}}}}
spec: {{serviceAccountName: east}}
status: {{podIP: NET.5}}
---
apiVersion: v1
kind: Pod
metadata: {{name: there, namespace: shop, labels: {{app: there, topology.istio.io/network: net2}}}}
spec: {{serviceAccountName: {account}}}
status: {{podIP: 10.99.0.1}}
"
    ) + &service("there", "10.96.1.4", "there", "")
}

#[tokio::test]
async fn an_instance_of_another_network_is_reached_through_its_gateway() {
    let world = World::start("").await;
    let (gateway, instance) = (Gateway::start(&world).await, Instance::start(&world).await);
    world.write(&objects("far"));
    let there = "10.96.1.4".parse().unwrap();
    let known = async || world.client.tunnel("10.96.1.4:80").await.is_ok();
    world.until("the service to be known", known).await;
    for _ in 0..5 {
        let answer = world.client.get(there, "/there").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.body.starts_with("far /there"), "{answer:?}");
    }
    assert_eq!(instance.application.requests(), 5);
    let wanted = "there.shop.svc.cluster.local:80";
    // The gateway, and who is behind it, are asked for the service by its name, by the waypoint.
    for first in [&gateway.first, &instance.first] {
        let (peer, authority, source, _) = first.lock().unwrap().clone().unwrap();
        assert_eq!(peer, "spiffe://cluster.local/ns/shop/sa/wp");
        assert_eq!(authority, wanted);
        assert_eq!(source, "waypoint");
    }
    // Instances of both networks have a share, as nothing says that the near one is better.
    world.write(&(objects("far") + &pod("here", "there", 3, "")));
    let both = async || {
        world.client.get(there, "/both").await;
        let near = !world.api.seen("/both").is_empty();
        near && !instance.application.seen("/both").is_empty()
    };
    world.until("both to have requests", both).await;
}

#[tokio::test]
async fn whoever_is_behind_a_gateway_must_be_one_of_the_services_instances() {
    let world = World::start("").await;
    let (gateway, instance) = (Gateway::start(&world).await, Instance::start(&world).await);
    world.write(&objects("somebody-else"));
    let known = async || world.client.tunnel("10.96.1.4:80").await.is_ok();
    world.until("the service to be known", known).await;
    let answer = world
        .client
        .get("10.96.1.4".parse().unwrap(), "/there")
        .await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(gateway.first.lock().unwrap().is_some(), "it was asked");
    assert_eq!(instance.application.requests(), 0);
    assert!(instance.first.lock().unwrap().is_none());
}
