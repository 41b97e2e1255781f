//! Routes that are chosen by claims of tokens (Istio's `@request.auth.claims`), and what is said about requests.

use crate::token::Issuer;
use crate::world::{Net, Plan, WEB, World};

fn objects(issuer: &Issuer) -> String {
    format!(
        "
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {{name: idp, namespace: shop}}
spec:
  targetRefs: [{{group: '', kind: Service, name: web}}]
  jwtRules: [{{issuer: 'https://idp.example', jwks: '{}'}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: web, namespace: shop}}
spec:
  hosts: [web]
  http:
  - match: [{{headers: {{'@request.auth.claims.groups': {{exact: beta}}}}}}]
    route: [{{destination: {{host: web, subset: v2}}}}]
  - match: [{{headers: {{'@request.auth.claims[org][unit]': {{prefix: lab}}}}}}]
    route: [{{destination: {{host: web, subset: v2}}}}]
  - route: [{{destination: {{host: web, subset: v1}}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: web, namespace: shop}}
spec:
  host: web
  subsets: [{{name: v1, labels: {{version: v1}}}}, {{name: v2, labels: {{version: v2}}}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: closed, namespace: shop}}
spec:
  targetRefs: [{{group: '', kind: Service, name: web}}]
  action: DENY
  rules: [{{from: [{{source: {{principals: [cluster.local/ns/shop/sa/other]}}}}], to: [{{operation: {{methods: [DELETE]}}}}]}}]
",
        issuer.keys()
    )
}

#[tokio::test]
async fn a_route_is_chosen_by_what_a_token_proves() {
    let issuer = Issuer::new();
    let world = World::start(&objects(&issuer)).await;
    let token = |more: &str| {
        let claims =
            format!(r#"{{"iss":"https://idp.example","sub":"me","exp":4102444800{more}}}"#);
        format!("authorization: Bearer {}\r\n", issuer.token(&claims))
    };
    let cases = [
        ("no token", String::new(), "v1"),
        ("no group", token(""), "v1"),
        ("another group", token(r#","groups":["alpha"]"#), "v1"),
        (
            "the group among others",
            token(r#","groups":["alpha","beta"]"#),
            "v2",
        ),
        ("a nested claim", token(r#","org":{"unit":"lab-7"}"#), "v2"),
        (
            "a header in place of a claim",
            "groups: beta\r\nrequest.auth.claims.groups: beta\r\n".to_owned(),
            "v1",
        ),
    ];
    for (name, headers, instance) in cases {
        let answer = world.client.send(WEB, "GET", "/", &headers).await;
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
        assert!(answer.body.starts_with(instance), "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn an_explanation_says_what_policies_decide() {
    let world = World::start(&objects(&Issuer::new())).await;
    let page = "/debug/explain?service=shop/web.shop.svc.cluster.local&method=DELETE";
    let other = "principal=spiffe://cluster.local/ns/shop/sa/other";
    let denied = world
        .fetch(15000, &format!("{page}&{other}"))
        .await
        .unwrap();
    for part in [
        "denied",
        "\"policy\": \"shop/closed\"",
        "VirtualService shop/web",
    ] {
        assert!(denied.contains(part), "{part}: {denied}");
    }
    let allowed = world.fetch(15000, page).await.unwrap();
    assert!(allowed.contains("allowed"), "{allowed}");
    let wrong = world
        .fetch(15000, &format!("{page}&principal=me"))
        .await
        .unwrap();
    assert!(
        wrong.contains("principal: `me`, expected spiffe://"),
        "{wrong}"
    );
}

/// waypoint-xds.md 2.5: what a client says of itself is removed; the waypoint says it where its `Gateway` wants that.
#[tokio::test]
async fn applications_are_told_who_the_client_is_where_the_gateway_says_so() {
    let world = World::start("").await;
    let forged = "x-forwarded-client-cert: By=me;URI=spiffe://evil\r\n";
    let answer = world.client.send(WEB, "GET", "/", forged).await;
    assert!(
        !answer.body.contains("x-forwarded-client-cert"),
        "{answer:?}"
    );
    let mut plan = Plan::of("");
    let without = "metadata: {name: wp, namespace: shop}\nspec: {gatewayClassName";
    let with = "metadata: {name: wp, namespace: shop, annotations: {ambient.istio.io/xfcc-include-client-identity: 'true'}}\nspec: {gatewayClassName";
    assert!(plan.mesh.contains(without));
    plan.mesh = plan.mesh.replace(without, with);
    let world = World::launch(Net::next(), plan).await;
    let told = "x-forwarded-client-cert=By=spiffe://cluster.local/ns/shop/sa/wp;URI=spiffe://cluster.local/ns/shop/sa/client";
    let answer = world.client.send(WEB, "GET", "/", forged).await;
    assert!(answer.body.contains(told), "{answer:?}");
    assert!(!answer.body.contains("evil"), "{answer:?}");
}
