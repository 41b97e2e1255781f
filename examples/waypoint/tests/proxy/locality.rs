//! Hosts near the waypoint, which is in `eu/eu-1`. Source: l7.md 1.14 and 2.4, Istio's "Locality Load Balancing".

use crate::application::Application;
use crate::objects::{pod, policy, routes, service};
use crate::world::World;

const OUTLIERS: &str = "outlierDetection: {consecutive5xxErrors: 2, interval: 100ms, baseEjectionTime: 2s, maxEjectionPercent: 100}";

/// A service with an instance in the waypoint's zone, and one in another, under this traffic policy.
fn objects(traffic: &str) -> String {
    let zone = |zone: &str| {
        format!(", topology.kubernetes.io/region: eu, topology.kubernetes.io/zone: {zone}")
    };
    pod("near", "zones", 4, &zone("eu-1"))
        + &pod("far", "zones", 5, &zone("eu-2"))
        + &service("zones", "10.96.1.2", "zones", "")
        + &routes(
            "zones",
            "[{retries: {attempts: 0}, route: [{destination: {host: zones}}]}]",
        )
        + &policy("zones", traffic)
}

struct Zones {
    world: World,
    near: Application,
    far: Application,
}

impl Zones {
    async fn start(traffic: &str) -> Self {
        let world = World::start(&objects(traffic)).await;
        let near = Application::start("near", world.at(4)).await;
        let far = Application::start("far", world.at(5)).await;
        Self { world, near, far }
    }

    /// Sends so many requests, and says how many each instance received of them.
    async fn send(&self, requests: usize) -> (u64, u64) {
        let received = || (self.near.requests(), self.far.requests());
        let before = received();
        let zones = "10.96.1.2".parse().unwrap();
        let mut connection = self.world.client.connection(zones).await;
        for _ in 0..requests {
            connection.send("GET", "/", "").await.unwrap();
        }
        let after = received();
        (after.0 - before.0, after.1 - before.1)
    }
}

#[tokio::test]
async fn another_zone_takes_over_while_the_instances_of_the_own_are_out() {
    let zones = Zones::start(&format!("{{{OUTLIERS}}}")).await;
    assert_eq!(zones.send(20).await, (20, 0));
    zones.near.fail(true);
    assert_eq!(zones.send(22).await, (2, 20), "two failures are enough");
    zones.near.fail(false);
    let back = async || zones.send(5).await == (5, 0);
    zones.world.until("the own zone is back", back).await;
}

#[tokio::test]
async fn shares_and_the_switch_for_localities_are_in_force_as_they_are_written() {
    let zones = Zones::start("{loadBalancer: {simple: RANDOM}}").await;
    let (near, far) = zones.send(200).await;
    assert!(
        (60..=140).contains(&near),
        "without outlier detection all are alike: {near} and {far}"
    );
    let to = |setting: &str| {
        let objects = objects(&format!(
            "{{loadBalancer: {{simple: RANDOM, localityLbSetting: {setting}}}, {OUTLIERS}}}"
        ));
        zones.world.write(&objects);
    };
    to("{failoverPriority: ['topology.kubernetes.io/zone=eu-2']}");
    let only_far = async || zones.send(10).await == (0, 10);
    zones
        .world
        .until("a zone in place of the own", only_far)
        .await;
    to("{distribute: [{from: 'eu/eu-1/*', to: {'eu/eu-1/*': 25, 'eu/eu-2': 75}}]}");
    let both = async || zones.send(20).await.0 > 0;
    zones.world.until("shares", both).await;
    let (near, far) = zones.send(400).await;
    assert_eq!(near + far, 400);
    // Five standard deviations.
    assert!((57..=143).contains(&near), "{near} and {far}");
    to("{distribute: [{from: eu, to: {us: 100}}]}");
    let nobody = async || {
        let answer = zones
            .world
            .client
            .get("10.96.1.2".parse().unwrap(), "/")
            .await;
        answer.body == "no healthy upstream"
    };
    zones.world.until("nobody has a share", nobody).await;
    to("{enabled: false}");
    let again = async || zones.send(20).await.0 > 0;
    zones.world.until("all are alike", again).await;
    let (near, far) = zones.send(200).await;
    assert!((60..=140).contains(&near), "{near} and {far}");
}

#[tokio::test]
async fn the_mesh_has_a_say_about_localities_where_no_rule_has() {
    let zones = Zones::start(&format!("{{{OUTLIERS}}}")).await;
    assert_eq!(zones.send(20).await, (20, 0));
    let mesh = |setting: &str| {
        let config = format!(
            "
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: istio, namespace: istio-system}}
data:
  mesh: |
    localityLbSetting: {setting}
"
        );
        let objects = objects(&format!("{{{OUTLIERS}}}")) + &config;
        zones.world.write(&objects);
    };
    mesh("{failoverPriority: ['topology.kubernetes.io/zone=eu-2']}");
    let only_far = async || zones.send(10).await == (0, 10);
    zones
        .world
        .until("a zone in place of the own", only_far)
        .await;
    mesh("{enabled: false}");
    let both = async || {
        let (near, far) = zones.send(40).await;
        near > 0 && far > 0
    };
    zones.world.until("all are alike", both).await;
}
