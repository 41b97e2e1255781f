//! How requests are spread over the instances of a service.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::application::Application;
use crate::objects::{annotated, pod, policy, routes, service};
use crate::world::World;

const NAMES: [&str; 4] = ["f4", "f5", "f6", "f7"];

/// Pods of the application `fleet` at `NET.4` to `NET.7`.
fn pods() -> String {
    let pods = (4..8).zip(NAMES);
    pods.map(|(last, name)| pod(name, "fleet", last, ""))
        .collect()
}

/// The applications of the fleet.
async fn fleet(world: &World) -> Vec<Application> {
    let mut fleet = Vec::new();
    for (last, name) in (4..8).zip(NAMES) {
        fleet.push(Application::start(name, world.at(last)).await);
    }
    fleet
}

fn counts(fleet: &[Application]) -> Vec<u64> {
    fleet.iter().map(Application::requests).collect()
}

/// Sends requests one after the other; how many each instance received of them.
async fn spread(world: &World, fleet: &[Application], to: IpAddr, requests: usize) -> Vec<u64> {
    let before = counts(fleet);
    let mut connection = world.client.connection(to).await;
    for _ in 0..requests {
        let answer = connection.send("GET", "/", "").await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let after = counts(fleet);
    after
        .iter()
        .zip(before)
        .map(|(after, before)| after - before)
        .collect()
}

/// Services at 10.96.1.1 and so on, each with its own way to choose.
fn services(policies: &[&str]) -> String {
    let mut objects = pods();
    for (at, settings) in (1..).zip(policies) {
        let name = format!("fleet-{at}");
        objects += &service(&name, &format!("10.96.1.{at}"), "fleet", "");
        objects += &policy(&name, &format!("{{loadBalancer: {settings}}}"));
    }
    objects
}

fn address(at: u8) -> IpAddr {
    IpAddr::from([10, 96, 1, at])
}

#[tokio::test]
async fn requests_are_spread_as_each_algorithm_says() {
    let world = World::start(&services(&[
        "{simple: ROUND_ROBIN}",
        "{simple: RANDOM}",
        "{simple: LEAST_REQUEST}",
    ]))
    .await;
    let fleet = fleet(&world).await;

    assert_eq!(spread(&world, &fleet, address(1), 40).await, [10; 4]);

    // Each of 400 goes to an instance with 1/4: 100 with a deviation of 8.7. Five of them are one in a million.
    let random = spread(&world, &fleet, address(2), 400).await;
    assert!(
        random.iter().all(|count| (56..=144).contains(count)),
        "{random:?}"
    );

    // The instance that is busy is chosen only when it is drawn twice, 1 of 16 times.
    let before = counts(&fleet);
    let client = world.client.clone();
    let held = tokio::spawn(async move { client.get(address(3), "/hold").await.status });
    let busy = || {
        fleet
            .iter()
            .zip(&before)
            .position(|(one, count)| one.requests() > *count)
    };
    world
        .until("a request is held", async || busy().is_some())
        .await;
    let busy = busy().unwrap();
    let least = spread(&world, &fleet, address(3), 160).await;
    assert!(least[busy] <= 28, "{busy} of {least:?}");
    let others = least.iter().enumerate().filter(|(at, _)| *at != busy);
    // A third of the others' 150, and five deviations of 5.8.
    assert!(others.clone().all(|(_, count)| *count >= 20), "{least:?}");
    fleet[busy].release();
    assert_eq!(held.await.unwrap(), 200);
}

/// Which instance each key goes to.
async fn placed(
    world: &World,
    to: IpAddr,
    lines: impl Fn(usize) -> (String, String),
) -> BTreeMap<usize, String> {
    let mut connection = world.client.connection(to).await;
    let mut placed = BTreeMap::new();
    for key in 0..60 {
        let (path, headers) = lines(key);
        let answer = connection.send("GET", &path, &headers).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        placed.insert(key, answer.headers["x-app"].clone());
    }
    placed
}

#[tokio::test]
async fn hashes_bring_equal_keys_to_one_instance_and_move_few_when_one_goes() {
    let policies = [
        "{consistentHash: {httpHeaderName: x-user}}",
        "{consistentHash: {httpHeaderName: x-user, maglev: {}}}",
        "{consistentHash: {httpQueryParameterName: user}}",
        "{consistentHash: {useSourceIp: true}}",
    ];
    let world = World::start(&services(&policies)).await;
    let _fleet = fleet(&world).await;
    let by_header = |key: usize| ("/".to_owned(), format!("x-user: user-{key}\r\n"));
    let by_query = |key: usize| (format!("/?user=user-{key}&time={key}"), String::new());
    let ring = placed(&world, address(1), by_header).await;
    let maglev = placed(&world, address(2), by_header).await;
    for (at, first) in [(1, &ring), (2, &maglev)] {
        assert_eq!(placed(&world, address(at), by_header).await, *first, "{at}");
        let mut shares = HashMap::new();
        for name in first.values() {
            *shares.entry(name).or_insert(0) += 1;
        }
        assert_eq!(shares.len(), 4, "{shares:?}");
    }
    // The same texts are placed alike, wherever they stand.
    assert_eq!(placed(&world, address(3), by_query).await, ring);
    let source = placed(&world, address(4), by_header).await;
    assert!(
        source.values().all(|name| *name == source[&0]),
        "{source:?}"
    );

    // An instance goes: its keys move, and few others. Some of those of a ring do, as instances that stay get more
    // places on it.
    let objects = services(&policies).replace(&pod("f7", "fleet", 7, ""), "");
    world.write(&objects);
    let gone = async || {
        let dump = world.fetch(15000, "/config_dump").await.unwrap();
        !dump.contains(&format!("{}:8080", world.at(7)))
    };
    world.until("the instance is gone", gone).await;
    for (at, first) in [(1, ring), (2, maglev)] {
        let smaller = placed(&world, address(at), by_header).await;
        assert!(smaller.values().all(|name| name != "f7"), "{smaller:?}");
        let others = first.iter().filter(|(_, name)| *name != "f7");
        let stayed = others.clone().filter(|(key, name)| smaller[*key] == **name);
        let (stayed, others) = (stayed.count(), others.count());
        // Without a consistent hash it would be a third.
        assert!(stayed * 5 >= others * 3, "{at}: {stayed} of {others}");
    }
}

#[tokio::test]
async fn a_cookie_brings_a_client_back() {
    let world = World::start(&services(&[
        "{consistentHash: {httpCookie: {name: session, path: /, ttl: 60s}}}",
    ]))
    .await;
    let _fleet = fleet(&world).await;
    let mut instances = Vec::new();
    for _ in 0..20 {
        let first = world.client.get(address(1), "/").await;
        let cookie = &first.headers["set-cookie"];
        assert!(
            cookie.starts_with("session=") && cookie.contains("; Max-Age=60; Path=/"),
            "{cookie}"
        );
        let value = cookie.split(';').next().unwrap();
        for _ in 0..3 {
            let lines = format!("cookie: other=1; {value}\r\n");
            let again = world.client.send(address(1), "GET", "/", &lines).await;
            assert_eq!(again.headers["x-app"], first.headers["x-app"]);
            assert!(!again.headers.contains_key("set-cookie"), "{again:?}");
        }
        instances.push(first.headers["x-app"].clone());
    }
    // New clients are spread: that 20 meet in one place is one in 4^19.
    assert!(
        instances.iter().any(|name| *name != instances[0]),
        "{instances:?}"
    );
}

#[tokio::test]
async fn what_is_near_is_used_as_long_as_it_is_well() {
    let zone = |zone: &str| {
        format!(", topology.kubernetes.io/region: eu, topology.kubernetes.io/zone: {zone}")
    };
    let mut objects =
        pod("near", "fleet", 4, &zone("eu-1")) + &pod("far", "fleet", 5, &zone("eu-2"));
    objects += &service(
        "fleet",
        "10.96.1.1",
        "fleet",
        ", trafficDistribution: PreferSameZone",
    );
    objects += &policy(
        "fleet",
        "{outlierDetection: {consecutive5xxErrors: 2, interval: 200ms, baseEjectionTime: 1s, maxEjectionPercent: 100}}",
    );
    // The waypoint is in the zone of the first.
    let world = World::start(&objects).await;
    let near = Application::start("near", world.at(4)).await;
    let far = Application::start("far", world.at(5)).await;
    let fleet = [near.clone(), far.clone()];
    assert_eq!(spread(&world, &fleet, address(1), 20).await, [20, 0]);

    near.fail(true);
    let goes_to =
        async |name: &str| world.client.get(address(1), "/").await.headers["x-app"] == name;
    world
        .until("the far one", async || goes_to("far").await)
        .await;
    // Two failures in a row take it out; what it was asked before counts too.
    assert_eq!(near.seen("/").len(), 22);
    near.fail(false);
    world
        .until("the near one again", async || goes_to("near").await)
        .await;
}

#[tokio::test]
async fn a_new_instance_gets_its_share_little_by_little() {
    const WINDOW: Duration = Duration::from_secs(4);
    let all = services(&["{simple: ROUND_ROBIN, warmup: {duration: 4s, minimumPercent: 10}}"]);
    let without = all.replace(&pod("f7", "fleet", 7, ""), "");
    let world = World::start(&without).await;
    let fleet = fleet(&world).await;
    // Those that were there from the beginning are warm by now.
    spread(&world, &fleet, address(1), 3).await;
    tokio::time::sleep(WINDOW).await;
    let known = async || {
        let dump = world.fetch(15000, "/config_dump").await.unwrap();
        dump.contains(&format!("{}:8080", world.at(7)))
    };
    world.write(&all);
    world.until("the new instance is known", known).await;
    let began = Instant::now();
    let cold = spread(&world, &fleet, address(1), 80).await;
    // A machine that takes long for this has warmed it up meanwhile: nothing is to be seen then.
    if began.elapsed() < WINDOW / 4 {
        assert!(cold[3] <= 12, "{cold:?}, where an equal share is 20");
    }
    tokio::time::sleep(WINDOW).await;
    let warm = spread(&world, &fleet, address(1), 80).await;
    assert!(
        warm.iter().all(|count| (18..=22).contains(count)),
        "{warm:?}"
    );
}

#[tokio::test]
async fn what_takes_long_is_sent_to_another_instance_as_well() {
    let objects = annotated(
        "quick",
        "10.96.1.1",
        "web",
        "retry.waypoint/hedge-after: 200ms",
    ) + &routes(
        "quick",
        "[{retries: {attempts: 0}, route: [{destination: {host: quick}}]}]",
    );
    let world = World::start(&objects).await;
    let quick = "10.96.1.1".parse().unwrap();
    // First attempts are held, the copy is answered.
    let answer = world.client.get(quick, "/late").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let seen = [world.v1.seen("/late"), world.v2.seen("/late")];
    assert_eq!([seen[0].len(), seen[1].len()], [1, 1]);
    let mut attempts = seen.map(|seen| seen[0].attempt());
    attempts.sort_unstable();
    assert_eq!(attempts, [1, 2]);
    let gone = async || world.v1.abandoned() + world.v2.abandoned() == 1;
    world.until("the first to be given up", gone).await;
    // What changes something is sent once.
    let mut connection = world.client.connection(quick).await;
    let length = "content-length: 0\r\n";
    let answer = connection.send("POST", "/slow", length).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(
        world.v1.seen("/slow").len() + world.v2.seen("/slow").len(),
        1
    );
}

/// l7.md 2.3.3: a failure counts as an answer of five seconds, so that failing fast attracts nothing.
#[tokio::test]
async fn peak_ewma_turns_away_from_an_instance_that_fails_or_is_slow() {
    let objects = annotated(
        "soon",
        "10.96.1.1",
        "web",
        "balancing.waypoint/algorithm: peak-ewma",
    ) + &routes(
        "soon",
        "[{retries: {attempts: 0}, route: [{destination: {host: soon}}]}]",
    );
    let world = World::start(&objects).await;
    let soon = "10.96.1.1".parse().unwrap();
    world.v1.fail(true);
    let mut connection = world.client.connection(soon).await;
    while world.v1.requests() == 0 {
        connection.send("GET", "/", "").await.unwrap();
    }
    let before = world.v2.requests();
    for _ in 0..60 {
        connection.send("GET", "/", "").await.unwrap();
    }
    let (failed, answered) = (world.v1.requests(), world.v2.requests() - before);
    assert_eq!(failed + answered, 61);
    // It is drawn alone with a probability of 1/32.
    assert!(failed <= 12, "{failed} of 60 went to the one that fails");
}
