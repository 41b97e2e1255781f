//! Rate limits by annotations: what the application received, what the others were told, what is counted.

use std::net::IpAddr;

use crate::objects::{annotated, pod, service};
use crate::world::World;

/// A service `few` with these annotations, for the application `api`.
fn few(annotations: &str) -> String {
    annotated("few", "10.96.0.4", "api", annotations)
}

fn address() -> IpAddr {
    "10.96.0.4".parse().unwrap()
}

fn requests(rules: &str) -> String {
    few(&format!("ratelimit.waypoint/requests: {rules:?}"))
}

async fn statuses<const N: usize>(
    world: &World,
    requests: [(&'static str, &'static str, &'static str, &'static str); N],
) -> [u16; N] {
    let mut statuses = [0; N];
    for (status, (account, method, path, headers)) in statuses.iter_mut().zip(requests) {
        let client = world.client.named(account);
        *status = client.send(address(), method, path, headers).await.status;
    }
    statuses
}

const A: &str = "shop/a";
const B: &str = "shop/b";

#[tokio::test]
async fn every_client_has_its_own_tokens() {
    let world = World::start(&requests("2/1h per identity")).await;
    let get = |account| (account, "GET", "/", "");
    let sent = [get(A), get(A), get(A), get(B), get(B), get(B)];
    assert_eq!(statuses(&world, sent).await, [200, 200, 429, 200, 200, 429]);
    assert_eq!(world.api.requests(), 4);
}

#[tokio::test]
async fn rules_are_for_headers_paths_methods_and_namespaces() {
    let rules = "1/1h per header x-user for path /users/*; 1/1h for method POST for path /orders; \
                 1/1h for namespace stage";
    let world = World::start(&requests(rules)).await;
    let sent = [
        (A, "GET", "/users/1", "x-user: one\r\n"),
        (A, "GET", "/users/2", "x-user: one\r\n"),
        (B, "GET", "/users/2", "x-user: two\r\n"),
        // Those without a user share what they have.
        (A, "GET", "/users", ""),
        (B, "GET", "/users", ""),
        (A, "GET", "/other", "x-user: one\r\n"),
        (A, "POST", "/orders", "content-length: 0\r\n"),
        (B, "POST", "/orders?again", "content-length: 0\r\n"),
        (A, "GET", "/orders", ""),
        ("stage/a", "GET", "/", ""),
        ("stage/b", "GET", "/", ""),
        (A, "GET", "/", ""),
    ];
    let expected = [200, 429, 200, 200, 429, 200, 200, 429, 200, 200, 429, 200];
    assert_eq!(statuses(&world, sent).await, expected);
    assert_eq!(world.api.requests(), 8);
    assert_eq!(world.api.seen("/users").len(), 1);
    let logged =
        async || world.lines(&["\"POST /orders?again HTTP/1.1\" 429 RL local_rate_limited"]) == 1;
    world.until("a line of the access log", logged).await;
}

#[tokio::test]
async fn a_burst_is_more_than_the_rate_and_comes_back_slowly() {
    let world = World::start(&requests("1/1h burst 5")).await;
    let mut passed = 0;
    for _ in 0..8 {
        passed += u64::from(world.client.get(address(), "/").await.status == 200);
    }
    assert_eq!((passed, world.api.requests()), (5, 5));
}

#[tokio::test]
async fn clients_are_told_what_is_left_and_what_is_over_can_be_counted_only() {
    let annotations =
        "ratelimit.waypoint/requests: '2/1h; 1/1h shadow', ratelimit.waypoint/headers: draft-03";
    let world = World::start(&few(annotations)).await;
    let mut connection = world.client.connection(address()).await;
    for (status, remaining) in [(200, "0"), (200, "0"), (429, "0")] {
        let answer = connection.send("GET", "/", "").await.unwrap();
        assert_eq!(answer.status, status);
        assert_eq!(answer.headers["x-ratelimit-remaining"], remaining);
        let reset: u64 = answer.headers["x-ratelimit-reset"].parse().unwrap();
        assert!((3500..=3600).contains(&reset), "{reset}");
        let wait = answer.headers.get("retry-after");
        let expected = (status == 429).then_some(&answer.headers["x-ratelimit-reset"]);
        assert_eq!(wait, expected);
    }
    let page = world.fetch(15020, "/stats/prometheus").await.unwrap();
    let owner = "shop/few.shop.svc.cluster.local:80";
    for (rule, result, count) in [
        ("2/1h", "passed", 2),
        ("2/1h", "limited", 1),
        ("1/1h shadow", "passed", 1),
        ("1/1h shadow", "shadow", 1),
        ("1/1h shadow", "limited", 0),
    ] {
        let line = format!(
            "mesh_local_ratelimit_requests_total{{limit=\"{owner} {rule}\",result=\"{result}\"}} {count}\n"
        );
        assert!(page.contains(&line), "{line}{page}");
    }
    let counted = "response_code=\"429\",grpc_response_status=\"\",response_flags=\"RL\"";
    assert!(page.contains(counted), "{page}");
}

#[tokio::test]
async fn the_gateways_limit_is_for_all_services_together() {
    let objects = few("") + &service("more", "10.96.0.5", "more", "") + &pod("more", "more", 3, "");
    let world = World::start(&objects).await;
    let more = "10.96.0.5".parse().unwrap();
    assert_eq!(world.client.get(more, "/").await.status, 200);
    world.edit_mesh(
        "{name: wp, namespace: shop}",
        "{name: wp, namespace: shop, annotations: {ratelimit.waypoint/requests: 3/1h}}",
    );
    let shown = async || {
        let page = world.fetch(15020, "/stats/prometheus").await.unwrap();
        page.contains("{limit=\"gateway 3/1h\",result=\"passed\"} 0\n")
    };
    world.until("the limit", shown).await;
    let mut answers = Vec::new();
    for service in [address(), more, address(), more, address()] {
        answers.push(world.client.get(service, "/all").await.status);
    }
    assert_eq!(answers, [200, 200, 200, 429, 429]);
    assert_eq!(world.api.seen("/all").len(), 3);
}

#[tokio::test]
async fn a_wrong_rule_is_told_and_the_last_good_ones_stay() {
    let world = World::start(&requests("2/1h")).await;
    assert_eq!(world.client.get(address(), "/").await.status, 200);
    world.write(&requests("2/1h; 5/1h per person"));
    let note = "metadata.annotations.ratelimit.waypoint/requests: `2/1h; 5/1h per person`, \
                expected per identity, namespace, address, path, method, host or header, in rule 2";
    let told = async || {
        let dump = world.fetch(15000, "/config_dump").await.unwrap();
        dump.contains(note) && dump.contains("objects.yaml:5:")
    };
    world.until("what is wrong to be told", told).await;
    let logged = async || world.lines(&["annotation not accepted", "per person"]) == 1;
    world.until("the log to say so", logged).await;
    let answers = statuses(&world, [(A, "GET", "/", ""); 2]).await;
    assert_eq!(answers, [200, 429], "the bucket is as full as it was");
    // A rule beside it fills no bucket.
    world.write(&requests("2/1h; 5/1h per path"));
    let gone = async || {
        let dump = world.fetch(15000, "/config_dump").await.unwrap();
        !dump.contains("per person")
    };
    world.until("the note to be gone", gone).await;
    assert_eq!(world.client.get(address(), "/").await.status, 429);
    world.write(&few(""));
    let free = async || world.client.get(address(), "/").await.status == 200;
    world.until("no limit", free).await;
}
