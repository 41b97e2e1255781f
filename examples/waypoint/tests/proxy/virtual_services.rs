//! Virtual services: delegates, and rules by the two ends of connections. Sources: l7.md 1.13, Istio's reference of
//! `VirtualService`.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{API, WEB, World};

fn virtual_service(name: &str, namespace: &str, spec: &str) -> String {
    format!(
        "
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{{spec}}}
"
    )
}

#[tokio::test]
async fn rules_of_delegates_are_in_force_and_one_that_is_missing_answers_500() {
    let root = virtual_service(
        "root",
        "shop",
        "hosts: [web], http: [\
         {match: [{uri: {prefix: /a}}], delegate: {name: team, namespace: team}, headers: {request: {set: {x-root: 'yes'}}}}, \
         {route: [{destination: {host: web}}]}]",
    );
    let delegate = virtual_service(
        "team",
        "team",
        "http: [\
         {match: [{uri: {exact: /a/fixed}}], directResponse: {status: 201}}, \
         {match: [{uri: {prefix: /other}}], directResponse: {status: 202}}, \
         {route: [{destination: {host: api.shop.svc.cluster.local, port: {number: 80}}}]}]",
    );
    let world = World::start(&root).await;
    let status = async |path: &str| world.client.get(WEB, path).await.status;
    assert_eq!(status("/a/1").await, 500, "there is no delegate yet");
    assert_eq!(status("/other").await, 200);
    assert_eq!(world.api.requests(), 0);
    let before = world.v1.requests() + world.v2.requests();
    world.write(&(root.clone() + &delegate));
    let there = async || status("/a/fixed").await == 201;
    world.until("the delegate", there).await;
    let answer = world.client.get(WEB, "/a/1").await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.starts_with("api /a/1 "), "{answer:?}");
    assert!(
        answer.body.contains("x-root=yes"),
        "the root's headers: {answer:?}"
    );
    assert_eq!(
        status("/other").await,
        200,
        "the delegate's rule is not below the root's"
    );
    assert_eq!(world.api.requests(), 1);
    assert_eq!(world.v1.requests() + world.v2.requests(), before + 1);
    world.write(&root);
    let gone = async || status("/a/fixed").await == 500;
    world.until("no delegate any more", gone).await;
    let noted =
        async || world.lines(&["spec.http[0].delegate", "there is no such virtual service"]) > 0;
    world.until("a note", noted).await;
}

#[tokio::test]
async fn rules_are_chosen_by_the_labels_of_the_client_and_by_addresses() {
    // The client of the tests is at 127.0.0.1, and is one pod here.
    let client = |app: &str| {
        format!(
            "
---
apiVersion: v1
kind: Pod
metadata: {{name: client, namespace: shop, labels: {{app: {app}, tier: one}}}}
spec: {{serviceAccountName: client}}
status: {{podIP: 127.0.0.1}}
"
        )
    };
    let http = virtual_service(
        "web",
        "shop",
        "hosts: [web], http: [\
         {match: [{sourceLabels: {app: cart, tier: one}}], directResponse: {status: 201}}, \
         {directResponse: {status: 202}}]",
    );
    let tcp = |conditions: &str| {
        virtual_service(
            "api",
            "shop",
            &format!(
                "hosts: [api], tcp: [\
                 {{match: [{{port: 81, {conditions}}}], route: [{{destination: {{host: web, port: {{number: 80}}, subset: v1}}}}]}}, \
                 {{match: [{{port: 81}}], route: [{{destination: {{host: web, port: {{number: 80}}, subset: v2}}}}]}}]"
            ),
        )
    };
    let subsets = "
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: shop}
spec: {host: web, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
";
    let objects =
        |app: &str, conditions: &str| http.clone() + &client(app) + &tcp(conditions) + subsets;
    let world = World::start(&objects("cart", "sourceLabels: {app: cart}")).await;
    let status = async || world.client.get(WEB, "/").await.status;
    assert_eq!(status().await, 201);
    let stranger = world.client.named("shop/stranger");
    assert_eq!(
        stranger.get(WEB, "/").await.status,
        202,
        "the address of another identity"
    );
    let raw = async |port: u16| -> String {
        let mut tunnel = world.client.tunnel(&format!("{API}:{port}")).await.unwrap();
        tunnel
            .write_all(b"GET /raw HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        let mut answer = vec![0; 28];
        tunnel.read_exact(&mut answer).await.unwrap();
        let text = String::from_utf8(answer).unwrap();
        text.rsplit(": ")
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    assert_eq!(raw(81).await, "v1");
    // What is asked of the two ends, and where connections go.
    for (conditions, expected) in [
        ("sourceLabels: {app: other}", "v2"),
        ("sourceSubnet: 127.0.0.0/8", "v1"),
        ("sourceSubnet: 10.0.0.0/8", "v2"),
        ("destinationSubnets: [10.1.0.0/16, 10.96.0.2]", "v1"),
        ("destinationSubnets: [10.96.0.3]", "v2"),
        ("sourceNamespace: shop", "v1"),
        ("sourceNamespace: other", "v2"),
    ] {
        world.write(&objects("cart", conditions));
        let there = async || raw(81).await == expected;
        world.until(conditions, there).await;
    }
    world.write(&objects("other", "sourceSubnet: 10.0.0.0/8"));
    world
        .until("other labels", async || status().await == 202)
        .await;
}
