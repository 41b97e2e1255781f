//! Syncing, changes, rejections.

use mesh_authz::spec::{Action, PolicySpec, Scope};
use mesh_xds::convert::AUTHORIZATION;
use mesh_xds::server::{Seen, ServedResource};

use super::*;

#[tokio::test]
async fn resources_and_their_changes_reach_the_stores() {
    let discovery = Discovery::new();
    discovery.put_workload(&workload(1));
    discovery.put_service(&service());
    let policy = PolicySpec::new("ns", "deny", Scope::Namespace, Action::Deny);
    discovery.put_policy(&policy);
    let mut world = World::with(discovery, Client::default()).await;
    world.synced().await;
    let mesh = world.mesh.snapshot();
    assert!(mesh.workload(&uid(1)).is_some());
    assert!(mesh.service("ns", "web.ns.svc.cluster.local").is_some());
    assert!(world.policies.index().policy("ns/deny").is_some());

    world.discovery.edit(|edit| {
        edit.put_workload(&workload(2));
        edit.remove(ADDRESS, &uid(1));
        edit.remove(AUTHORIZATION, "ns/deny");
    });
    world.mesh_is(|mesh| mesh.workload(&uid(2)).is_some()).await;
    assert!(
        world.mesh.snapshot().workload(&uid(1)).is_none(),
        "one response, one snapshot"
    );
    let mut policies = world.policies.watch();
    soon(async {
        while policies.load().policy("ns/deny").is_some() {
            policies.changed().await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn the_client_is_ready_after_the_first_response_of_each_type() {
    let discovery = Discovery::new();
    discovery.faults().hold(true);
    let mut requests = discovery.requests();
    let mut world = World::with(discovery, Client::default()).await;
    let first_of = |seen: &Seen| match seen {
        Seen::Request { request, .. } if request.node.is_some() => Some(request.type_url.clone()),
        _ => None,
    };
    // The server reads on once its response has gone.
    assert_eq!(
        soon(requests.find(first_of)).await.unwrap(),
        ADDRESS,
        "before policies"
    );
    while let Ok(heard) = world.heard.try_recv() {
        assert!(!matches!(heard, Heard::Synced), "nothing has been received");
    }
    world.discovery.faults().hold(false);
    assert_eq!(soon(requests.find(first_of)).await.unwrap(), AUTHORIZATION);
    let mut order = Vec::new();
    world
        .hear(|heard| {
            let synced = matches!(heard, Heard::Synced);
            order.push(heard);
            synced.then_some(())
        })
        .await;
    let responses = order
        .iter()
        .filter(|heard| matches!(heard, Heard::Received(_)));
    assert_eq!(responses.count(), 2, "{order:?}");
}

#[tokio::test]
async fn a_bad_resource_among_a_thousand_good_ones_is_named_and_can_be_repaired() {
    let discovery = Discovery::new();
    discovery.edit(|edit| {
        (0..1000).for_each(|index| edit.put_workload(&workload(index)));
        let garbage = ServedResource::new(ADDRESS, &b"\xff\xff"[..]);
        edit.put(ADDRESS, &uid(1000), garbage);
    });
    let mut requests = discovery.requests();
    let mut world = World::with(discovery, Client::default()).await;
    world.synced().await;
    assert_eq!(world.mesh.snapshot().workload_count(), 1000);
    let nack = soon(requests.acknowledged(ADDRESS)).await.unwrap();
    let message = nack.unwrap_err();
    assert!(
        message.starts_with(&format!("{}: the message is malformed", uid(1000))),
        "{message}"
    );
    // Repaired, it is taken over and acknowledged.
    world.discovery.put_workload(&workload(1000));
    world.mesh_is(|mesh| mesh.workload_count() == 1001).await;
    assert_eq!(soon(requests.acknowledged(ADDRESS)).await, Some(Ok(())));
    // Spoilt again, the last good one stays.
    let garbage = ServedResource::new(ADDRESS, &b"\xff\xfe"[..]);
    world.discovery.put(ADDRESS, &uid(1000), garbage);
    let nack = soon(requests.acknowledged(ADDRESS)).await.unwrap();
    assert!(nack.is_err());
    assert!(world.mesh.snapshot().workload(&uid(1000)).is_some());
}

#[tokio::test]
async fn a_first_sync_in_many_responses_ends_the_same() {
    let discovery = Discovery::new();
    discovery.faults().split(7);
    discovery.edit(|edit| (0..100).for_each(|index| edit.put_workload(&workload(index))));
    let world = World::with(discovery, Client::default()).await;
    world.mesh_is(|mesh| mesh.workload_count() == 100).await;
}

#[tokio::test]
async fn what_was_removed_while_the_client_was_away_goes() {
    let discovery = Discovery::new();
    discovery.edit(|edit| (0..3).for_each(|index| edit.put_workload(&workload(index))));
    let mut world = World::with(discovery, Client::default()).await;
    world.synced().await;
    world.kill_server().await;
    world.discovery.remove(ADDRESS, &uid(1));
    world.discovery.put_workload(&workload(9));
    let mut requests = world.discovery.requests();
    world.restart_server().await;
    world.mesh_is(|mesh| mesh.workload(&uid(9)).is_some()).await;
    world.mesh_is(|mesh| mesh.workload(&uid(1)).is_none()).await;
    let first = requests.find(|seen| match seen {
        Seen::Request { request, .. } => Some(request.clone()),
        _ => None,
    });
    let first = soon(first).await.unwrap();
    assert_eq!(first.initial_resource_versions.len(), 3, "what it knew");
    let received = loop {
        let received = world.received().await;
        if !received.is_first {
            break received;
        }
    };
    assert_eq!(
        (received.upserted, received.removed),
        (1, 1),
        "nothing is sent twice"
    );
}

#[tokio::test]
async fn what_did_not_fit_into_the_first_request_goes_when_it_is_gone() {
    let discovery = Discovery::new();
    discovery.edit(|edit| (0..50).for_each(|index| edit.put_workload(&workload(index))));
    let client = Client {
        config: {
            let mut config = DeltaConfig::default();
            config.request_bytes = 800;
            config.quiet = Duration::from_millis(20);
            config
        },
        ..Client::default()
    };
    let mut world = World::with(discovery, client).await;
    world.synced().await;
    world.kill_server().await;
    world
        .discovery
        .edit(|edit| (0..20).for_each(|index| edit.remove(ADDRESS, &uid(index))));
    world.restart_server().await;
    world.mesh_is(|mesh| mesh.workload_count() == 30).await;
    for index in 20..50 {
        assert!(
            world.mesh.snapshot().workload(&uid(index)).is_some(),
            "{index}"
        );
    }
}
