//! Demands over the wire.

use mesh_xds::delta::Answer;

use super::*;

fn on_demand() -> Client {
    Client {
        interest: Interest::OnDemand,
        ..Client::default()
    }
}

#[tokio::test]
async fn a_resource_is_fetched_by_address_and_then_kept_up_to_date() {
    let discovery = Discovery::new();
    discovery.edit(|edit| (0..10).for_each(|index| edit.put_workload(&workload(index))));
    let mut world = World::with(discovery, on_demand()).await;
    world.synced().await;
    assert_eq!(world.mesh.snapshot().workload_count(), 0);
    let both = async {
        tokio::join!(
            world.demand.resource("/10.0.0.3"),
            world.demand.resource("/10.0.0.3")
        )
    };
    assert_eq!(soon(both).await, (Ok(Answer::Found), Ok(Answer::Found)));
    let mesh = world.mesh.snapshot();
    assert_eq!(
        mesh.workload_count(),
        1,
        "the state is there before the answer"
    );
    assert!(mesh.workload_at("", "10.0.0.3".parse().unwrap()).is_some());
    assert_eq!(soon(world.demand.resource(uid(5))).await, Ok(Answer::Found));
    assert_eq!(
        soon(world.demand.resource("/10.9.9.9")).await,
        Ok(Answer::NotFound)
    );

    let mut moved = workload(3);
    moved.node = "elsewhere".into();
    world.discovery.put_workload(&moved);
    world
        .mesh_is(|mesh| {
            mesh.workload(&uid(3))
                .is_some_and(|w| w.node() == "elsewhere")
        })
        .await;
    world.discovery.remove(ADDRESS, &uid(3));
    world.mesh_is(|mesh| mesh.workload(&uid(3)).is_none()).await;
    assert_eq!(
        soon(world.demand.resource("/10.0.0.3")).await,
        Ok(Answer::NotFound)
    );
    world.discovery.put_workload(&workload(3));
    assert_eq!(
        soon(world.demand.resource("/10.0.0.3")).await,
        Ok(Answer::Found)
    );
}

#[tokio::test]
async fn what_was_demanded_comes_back_up_to_date_after_a_reconnect() {
    let discovery = Discovery::new();
    discovery.edit(|edit| (0..3).for_each(|index| edit.put_workload(&workload(index))));
    let mut world = World::with(discovery, on_demand()).await;
    for index in 0..2 {
        let answer = soon(world.demand.resource(uid(index))).await;
        assert_eq!(answer, Ok(Answer::Found));
    }
    world.kill_server().await;
    world.discovery.remove(ADDRESS, &uid(0));
    world.restart_server().await;
    world.mesh_is(|mesh| mesh.workload(&uid(0)).is_none()).await;
    assert!(world.mesh.snapshot().workload(&uid(1)).is_some());
    assert_eq!(world.mesh.snapshot().workload_count(), 1);
}

#[tokio::test]
async fn a_demand_ends_while_the_server_is_slow_or_away() {
    let discovery = Discovery::new();
    discovery.put_workload(&workload(1));
    let mut config = DeltaConfig::default();
    config.demand_timeout = Duration::from_millis(50);
    let client = Client {
        config,
        ..on_demand()
    };
    let mut world = World::with(discovery, client).await;
    world.synced().await;
    world.discovery.faults().hold(true);
    assert_eq!(
        soon(world.demand.resource(uid(1))).await,
        Ok(Answer::TimedOut)
    );
    world.kill_server().await;
    assert_eq!(
        soon(world.demand.resource(uid(1))).await,
        Ok(Answer::TimedOut)
    );
}

#[tokio::test]
async fn a_demand_of_a_client_that_has_ended_is_an_error() {
    let world = World::new().await;
    world.task.abort();
    while !world.task.is_finished() {
        tokio::task::yield_now().await;
    }
    assert!(soon(world.demand.resource("a")).await.is_err());
}
