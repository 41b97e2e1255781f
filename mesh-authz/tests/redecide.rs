//! What happens while live connections are being decided again.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use mesh_authz::Connection;
use mesh_authz::guard::{Answer, GRACE, Guard};
use mesh_authz::spec::{Action, MatchSpec, PolicySpec, Scope};
use mesh_core::identity::SpiffeId;
use mesh_core::model::Workload;
use support::world::{OTHER, UID, World, deny_port, finish, reason};
use support::{from, id, policy, texts};
use tokio_test::task::spawn;

/// More than the redecider looks at in one turn.
const MANY: usize = 300;

fn allow(key: &str, account: &str) -> PolicySpec {
    let only = MatchSpec {
        principals: texts(&[&format!("*/sa/{account}")]),
        ..MatchSpec::default()
    };
    policy(key, Scope::Namespace, Action::Allow, only)
}

fn to_port(identity: &SpiffeId, port: u16) -> Connection<'_> {
    let destination = ([10, 0, 0, 2], port).into();
    Connection::new([10, 0, 0, 1].into(), Some(identity), destination)
}

#[test]
fn what_newer_policies_allow_is_not_cut_by_the_pass_that_is_under_way() {
    let mut world = World::new();
    let (cart, late) = (id("shop", "cart"), id("shop", "late"));
    let mut denied = vec![world.live(UID, &to_port(&cart, 81))];
    let mut allowed: Vec<_> = (0..MANY)
        .map(|_| world.live(UID, &from(Some(&cart))))
        .collect();
    denied.push(world.live(UID, &to_port(&cart, 81)));
    world.set(allow("shop/cart", "cart"));
    assert!(world.redecider.poll().is_pending() && world.redecider.is_woken());
    world.set(allow("shop/late", "late"));
    world.set(deny_port("shop/d", Scope::Namespace, 81));
    allowed.push(world.live(UID, &from(Some(&late))));
    world.run();
    for live in &mut allowed {
        assert_eq!(reason(live), None);
    }
    // On both sides of the place where the pass was, the newest policies are in force.
    for live in &mut denied {
        assert_eq!(reason(live).unwrap(), "explicitly denied by: shop/d");
    }
}

#[test]
fn what_waits_by_a_record_that_came_and_went_is_released() {
    let mut world = World::new();
    let mut live = world.live(UID, &from(None));
    world.set_workload(UID, &["shop/late"]);
    let mut held = world.held();
    assert!(held.poll().is_pending());
    // Back to what the other connection was decided with, before the redecider has looked.
    world.set_workload(UID, &[]);
    world.run();
    assert!(held.is_woken() && held.poll().is_ready());
    assert_eq!(reason(&mut live), None);
}

#[test]
fn what_a_pass_saw_of_a_policy_that_came_and_went_does_not_stay() {
    let mut world = World::new();
    let lives = (0..2 * MANY).map(|_| world.live(UID, &from(None)));
    let mut lives: Vec<_> = lives.collect();
    world.set_workload(UID, &["shop/late"]);
    // The first of them meet a missing policy, the others one that allows them.
    assert!(world.redecider.poll().is_pending() && world.redecider.is_woken());
    world.set(deny_port("shop/late", Scope::WorkloadSelector, 81));
    assert!(world.redecider.poll().is_pending());
    world.remove("shop/late");
    // Only some of the others stay.
    lives.truncate(MANY + 10);
    lives.drain(..MANY);
    world.run();
    world.clock.advance(GRACE);
    world.run();
    for live in &mut lives {
        let reason = reason(live).unwrap();
        assert_eq!(reason, "policy shop/late has not arrived");
    }
}

#[test]
fn changes_that_never_end_keep_no_workload_from_its_turn() {
    let mut world = World::new();
    let busy: Vec<_> = (0..MANY).map(|_| world.live(UID, &from(None))).collect();
    let mut other = world.live(OTHER, &from(None));
    world.set(deny_port("shop/d", Scope::WorkloadSelector, 80));
    world.set_workload(OTHER, &["shop/d"]);
    for turn in 0..10 {
        world.set_workload(UID, &["shop/e"]);
        world.set(deny_port("shop/e", Scope::WorkloadSelector, 1000 + turn));
        assert!(world.redecider.poll().is_pending());
    }
    assert_eq!(reason(&mut other).unwrap(), "explicitly denied by: shop/d");
    drop(busy);
}

#[test]
fn workloads_are_looked_at_a_few_at_a_time_as_well() {
    let mut world = World::new();
    let uids: Vec<_> = (0..1000)
        .map(|at| format!("cluster//Pod/shop/{at}"))
        .collect();
    let mut lives: Vec<_> = uids
        .iter()
        .map(|uid| world.live(uid, &from(None)))
        .collect();
    for live in &mut lives {
        assert!(live.poll().is_pending());
    }
    // None is concerned, which takes looking at as well.
    world.set(deny_port("other/d", Scope::Namespace, 80));
    assert!(world.redecider.poll().is_pending());
    assert!(world.redecider.is_woken(), "all were looked at in one turn");
    world.run();
    assert_eq!(world.counts().decided_again, 0);
    world.set(deny_port("shop/d", Scope::Namespace, 80));
    assert!(world.redecider.poll().is_pending());
    let cut = lives.iter().filter(|live| live.is_woken()).count();
    assert!(cut > 0 && cut < 500, "{cut}");
    world.run();
    assert!(lives.iter_mut().all(|live| live.poll().is_ready()));
}

#[test]
fn workers_share_since_when_a_policy_is_missing() {
    let mut world = World::new();
    world.set_workload(UID, &["shop/late"]);
    let (second, mut redecider) = world.other_worker();
    let workload = world.mesh.snapshot().workload(UID).cloned().unwrap();
    drop(world.held());
    world.clock.advance(GRACE - Duration::from_millis(1));
    finish(&mut redecider);
    world.run();
    // The second worker meets it for the first time, but it is not the first that does.
    let Answer::Held(held) = ask(&second, &workload) else {
        panic!("the grace has not ended");
    };
    let mut held = spawn(held);
    assert!(held.poll().is_pending());
    finish(&mut redecider);
    let missing = (world.counts(), second.counts());
    assert_eq!(
        (missing.0.missing_policies, missing.1.missing_policies),
        (1, 1)
    );
    world.clock.advance(Duration::from_millis(1));
    finish(&mut redecider);
    assert!(held.is_woken() && held.poll().is_ready());
    assert!(matches!(ask(&second, &workload), Answer::Denied(_)));
    // One guard goes; for the other it is still missing since then.
    drop((held, second, redecider));
    assert_eq!(world.missing.len(), 1);
    assert_eq!(world.denied(), "policy shop/late has not arrived");
    world.set(deny_port("shop/late", Scope::WorkloadSelector, 81));
    world.run();
    assert!(world.missing.is_empty());
}

fn ask(guard: &Guard, workload: &Arc<Workload>) -> Answer {
    guard.admit(workload, &from(None)).answer
}
