//! Servers that go away, stall, break off, and tokens that change.

use mesh_xds::control::ControlToken;
use mesh_xds::server::Seen;

use super::*;

#[tokio::test]
async fn a_server_that_is_killed_and_restarted_under_changes_is_caught_up_with() {
    let mut world = World::new().await;
    world.synced().await;
    for round in 0..5 {
        world.discovery.edit(|edit| {
            (0..20).for_each(|index| edit.put_workload(&workload(round * 10 + index)));
        });
        world.kill_server().await;
        let gone = round * 10;
        world.discovery.remove(ADDRESS, &uid(gone));
        world.restart_server().await;
        world.discovery.put_workload(&workload(1000 + round));
        world
            .mesh_is(|mesh| {
                mesh.workload(&uid(1000 + round)).is_some()
                    && mesh.workload(&uid(gone + 19)).is_some()
                    && mesh.workload(&uid(gone)).is_none()
            })
            .await;
    }
}

#[tokio::test]
async fn the_state_stays_while_the_server_is_away() {
    let discovery = Discovery::new();
    discovery.put_workload(&workload(1));
    let mut world = World::with(discovery, Client::default()).await;
    world.synced().await;
    world.kill_server().await;
    for _ in 0..3 {
        world
            .hear(|heard| match heard {
                Heard::Terminated(Termination::ConnectionError) => Some(()),
                _ => None,
            })
            .await;
    }
    assert!(world.mesh.snapshot().workload(&uid(1)).is_some());
}

#[tokio::test]
async fn half_a_response_is_nothing_and_the_next_stream_brings_it_all() {
    let discovery = Discovery::new();
    discovery.edit(|edit| (0..1000).for_each(|index| edit.put_workload(&workload(index))));
    // More than the handshake, less than the response.
    discovery.faults().cut_after(Some(20_000));
    let mut world = World::with(discovery, Client::default()).await;
    world
        .hear(|heard| match heard {
            Heard::Terminated(_) => Some(()),
            Heard::Received(received) => panic!("half of it was taken: {received:?}"),
            _ => None,
        })
        .await;
    assert_eq!(world.mesh.snapshot().workload_count(), 0);
    world.discovery.faults().cut_after(None);
    world.synced().await;
    assert_eq!(world.mesh.snapshot().workload_count(), 1000);
}

#[tokio::test]
async fn a_slow_server_delays_and_does_no_other_harm() {
    let discovery = Discovery::new();
    discovery.faults().delay(Duration::from_millis(30));
    discovery.faults().split(3);
    discovery.edit(|edit| (0..20).for_each(|index| edit.put_workload(&workload(index))));
    let world = World::with(discovery, Client::default()).await;
    world.discovery.remove(ADDRESS, &uid(3));
    world
        .mesh_is(|mesh| mesh.workload_count() == 19 && mesh.workload(&uid(3)).is_none())
        .await;
}

#[tokio::test]
async fn the_token_is_read_again_for_every_stream() {
    fn token_file() -> std::path::PathBuf {
        std::env::temp_dir().join(format!("mesh-xds-token-{}", std::process::id()))
    }
    std::fs::write(token_file(), "first").unwrap();
    let discovery = Discovery::new();
    let mut requests = discovery.requests();
    let client = Client {
        endpoint: Some(|endpoint| {
            endpoint
                .token(ControlToken::File(token_file()))
                .cluster_id("east")
                .header("x-extra", "1")
        }),
        ..Client::default()
    };
    let mut world = World::with(discovery, client).await;
    let shown = |seen: &Seen| match seen {
        Seen::Opened { metadata, .. } => Some(metadata.clone()),
        _ => None,
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let first = soon(requests.find(shown)).await.unwrap();
    assert!(
        first.contains(&pair("authorization", "Bearer first")),
        "{first:?}"
    );
    assert!(first.contains(&pair("clusterid", "east")) && first.contains(&pair("x-extra", "1")));
    world.synced().await;
    std::fs::write(token_file(), "second").unwrap();
    world.kill_server().await;
    world.restart_server().await;
    let second = soon(requests.find(shown)).await.unwrap();
    assert!(
        second.contains(&pair("authorization", "Bearer second")),
        "{second:?}"
    );
    std::fs::remove_file(token_file()).unwrap();
}

#[tokio::test]
async fn a_probe_shows_the_token_of_its_own_time() {
    fn token_file() -> std::path::PathBuf {
        std::env::temp_dir().join(format!("mesh-xds-probe-token-{}", std::process::id()))
    }
    std::fs::write(token_file(), "first").unwrap();
    let discovery = Discovery::new();
    discovery.edit(|edit| (0..50).for_each(|index| edit.put_workload(&workload(index))));
    let mut config = DeltaConfig::default();
    config.request_bytes = 800;
    config.quiet = Duration::from_millis(20);
    let client = Client {
        config,
        endpoint: Some(|endpoint| endpoint.token(ControlToken::File(token_file()))),
        ..Client::default()
    };
    let mut world = World::with(discovery, client).await;
    world.synced().await;
    world.kill_server().await;
    world
        .discovery
        .edit(|edit| (0..20).for_each(|index| edit.remove(ADDRESS, &uid(index))));
    let mut requests = world.discovery.requests();
    world.discovery.faults().hold(true);
    world.restart_server().await;
    let bearer = |seen: &Seen| match seen {
        Seen::Opened { metadata, .. } => {
            let shown = metadata.iter().find(|(name, _)| name == "authorization");
            shown.map(|(_, value)| value.clone())
        }
        _ => None,
    };
    let own = soon(requests.find(bearer)).await.unwrap();
    assert_eq!(own, "Bearer first");
    std::fs::write(token_file(), "second").unwrap();
    world.discovery.faults().hold(false);
    let probe = soon(requests.find(bearer)).await.unwrap();
    assert_eq!(probe, "Bearer second");
    world.mesh_is(|mesh| mesh.workload_count() == 30).await;
    std::fs::remove_file(token_file()).unwrap();
}
