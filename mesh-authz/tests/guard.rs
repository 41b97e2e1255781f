//! Live connections are decided again when policies or workloads change, and only then.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use std::task::Poll;
use std::time::Duration;

use mesh_authz::guard::{Answer, Denial, GRACE};
use mesh_authz::spec::{Action, PolicySpec, RuleSpec, Scope};
use mesh_authz::store::{PolicyStore, Update};
use support::world::{OTHER, UID, World, deny_port, reason, strict};
use support::{from, id, with_rules};
use tokio_test::task::{Spawn, spawn};

#[test]
fn a_new_deny_cuts_what_it_denies_and_nothing_else() {
    let mut world = World::new();
    let cart = id("shop", "cart");
    let mut plain = world.live(UID, &from(None));
    let mut from_cart = world.live(UID, &from(Some(&cart)));
    assert!(plain.poll().is_pending() && from_cart.poll().is_pending());
    world.set(strict("istio-system/strict", Scope::Global));
    world.run();
    assert!(plain.is_woken() && !from_cart.is_woken());
    assert_eq!(
        reason(&mut plain).unwrap(),
        "explicitly denied by: istio-system/strict"
    );
    assert_eq!(reason(&mut from_cart), None);
    assert_eq!((world.counts().cut, world.counts().decided_again), (1, 2));
    assert_eq!(world.denied(), "explicitly denied by: istio-system/strict");
}

#[test]
fn the_last_allow_that_goes_opens_and_the_first_that_comes_cuts() {
    let mut world = World::new();
    let mut live = world.live(UID, &from(None));
    assert!(live.poll().is_pending());
    world.set(with_rules(
        "shop/nothing",
        Scope::Namespace,
        Action::Allow,
        vec![],
    ));
    world.run();
    assert_eq!(
        reason(&mut live).unwrap(),
        "allow policies exist, but none allowed"
    );
    world.remove("shop/nothing");
    world.run();
    assert!(matches!(
        world.ask(UID, &from(None)),
        Answer::Allowed { by: None, .. }
    ));
}

#[test]
fn a_removed_allow_cuts_what_only_it_allowed() {
    let mut world = World::new();
    world.set(with_rules(
        "shop/a",
        Scope::Namespace,
        Action::Allow,
        vec![RuleSpec::default()],
    ));
    world.set(with_rules(
        "shop/nothing",
        Scope::Namespace,
        Action::Allow,
        vec![],
    ));
    let Answer::Allowed { live, by } = world.ask(UID, &from(None)) else {
        panic!("it is allowed");
    };
    let by = by.unwrap();
    assert_eq!((by.to_string().as_str(), by.rule), ("shop/a", 0));
    let mut live = spawn(live);
    assert!(live.poll().is_pending());
    world.remove("shop/a");
    world.run();
    assert!(live.is_woken());
    assert_eq!(
        reason(&mut live).unwrap(),
        "allow policies exist, but none allowed"
    );
}

#[test]
fn a_selector_that_a_workload_update_attaches_cuts() {
    let mut world = World::new();
    world.set(deny_port("shop/d", Scope::WorkloadSelector, 80));
    world.run();
    let (mut live, mut other) = (world.live(UID, &from(None)), world.live(OTHER, &from(None)));
    assert!(live.poll().is_pending() && other.poll().is_pending());
    world.set_workload(UID, &["shop/d"]);
    world.run();
    assert_eq!(reason(&mut live).unwrap(), "explicitly denied by: shop/d");
    assert_eq!(reason(&mut other), None);
    // Only connections of the workload that has changed were looked at.
    assert_eq!(world.counts().decided_again, 1);
    // The selector goes: what it denied may come back.
    world.set_workload(UID, &[]);
    world.run();
    drop(world.live(UID, &from(None)));
}

#[test]
fn a_change_that_concerns_other_workloads_looks_at_nothing() {
    let mut world = World::new();
    let _live = world.live(UID, &from(None));
    world.set(deny_port("other/d", Scope::Namespace, 80));
    world.set(deny_port("shop/unnamed", Scope::WorkloadSelector, 80));
    world.run();
    let mut unhealthy = support::spec(UID, &[]);
    unhealthy.status = mesh_core::model::WorkloadStatus::Unhealthy;
    world.update(Update::Upsert(unhealthy));
    world.run();
    assert_eq!(world.counts().decided_again, 0);
}

#[test]
fn a_namespace_that_changes_brings_other_policies() {
    let mut world = World::new();
    world.set(deny_port("moved/d", Scope::Namespace, 80));
    let mut live = world.live(UID, &from(None));
    let mut moved = support::spec(UID, &[]);
    moved.namespace = "moved".into();
    world.update(Update::Upsert(moved));
    world.run();
    assert_eq!(reason(&mut live).unwrap(), "explicitly denied by: moved/d");
}

#[test]
fn a_workload_that_is_gone_keeps_its_last_record() {
    let mut world = World::new();
    world.set_workload(UID, &["shop/d"]);
    world.set(deny_port("shop/d", Scope::WorkloadSelector, 81));
    let mut live = world.live(UID, &from(None));
    world.update(Update::Remove(UID.into()));
    world.run();
    assert_eq!(reason(&mut live), None);
    world.set(deny_port("shop/d", Scope::WorkloadSelector, 80));
    world.run();
    assert_eq!(reason(&mut live).unwrap(), "explicitly denied by: shop/d");
}

#[test]
fn a_change_before_the_redecider_runs_is_not_lost() {
    let mut world = World::new();
    let mut live = world.live(UID, &from(None));
    world.set(strict("shop/strict", Scope::Namespace));
    // The connection is polled for the first time after it has been cut.
    world.run();
    assert_eq!(
        reason(&mut live).unwrap(),
        "explicitly denied by: shop/strict"
    );
    // Admission sees a change that the redecider has not.
    world.remove("shop/strict");
    let mut next = world.live(UID, &from(None));
    world.run();
    assert_eq!(reason(&mut next), None);
}

#[test]
fn new_connections_wait_for_a_missing_policy_and_go_on_when_it_arrives() {
    let mut world = World::new();
    world.set_workload(UID, &["shop/late"]);
    world.run();
    let mut held = world.held();
    assert!(held.poll().is_pending());
    world.run();
    assert_eq!(world.counts().missing_policies, 1);
    assert_eq!(world.counts().missing_policy_decisions, 1);
    world.clock.advance(GRACE - Duration::from_millis(1));
    world.run();
    assert!(!held.is_woken());
    world.set(deny_port("shop/late", Scope::WorkloadSelector, 81));
    world.run();
    assert!(held.is_woken() && held.poll().is_ready());
    drop(held);
    let mut live = world.live(UID, &from(None));
    assert_eq!(world.counts().missing_policies, 0);
    // The grace that was running concerns nobody any more.
    world.clock.advance(GRACE);
    world.run();
    assert_eq!(reason(&mut live), None);
}

#[test]
fn after_the_grace_a_missing_policy_denies() {
    let mut world = World::new();
    world.set_workload(UID, &["shop/late"]);
    world.run();
    let mut first = world.held();
    assert!(first.poll().is_pending());
    world.run();
    world.clock.advance(GRACE / 2);
    world.run();
    // The time counts from when the reference was first seen, not from this connection.
    let mut second = world.held();
    assert!(second.poll().is_pending());
    world.clock.advance(GRACE / 2);
    world.run();
    assert!(first.is_woken() && first.poll().is_ready());
    assert!(second.is_woken() && second.poll().is_ready());
    assert_eq!(world.denied(), "policy shop/late has not arrived");
    drop((first, second));
    // Still, long after, and without a connection in between.
    world.clock.advance(GRACE * 100);
    world.run();
    assert_eq!(world.denied(), "policy shop/late has not arrived");
    world.set(deny_port("shop/late", Scope::WorkloadSelector, 81));
    world.run();
    drop(world.live(UID, &from(None)));
}

#[test]
fn live_connections_outlive_the_grace_of_a_missing_policy_only_if_it_arrives() {
    for arrives in [false, true] {
        let mut world = World::new();
        let mut live = world.live(UID, &from(None));
        assert!(live.poll().is_pending());
        world.set_workload(UID, &["shop/late"]);
        world.run();
        assert!(!live.is_woken());
        if arrives {
            world.set(deny_port("shop/late", Scope::WorkloadSelector, 81));
            world.run();
        }
        world.clock.advance(GRACE);
        world.run();
        let expected = (!arrives).then(|| "policy shop/late has not arrived".to_owned());
        assert_eq!(reason(&mut live), expected);
    }
}

#[test]
fn one_missing_policy_for_another_has_a_grace_of_its_own() {
    let mut world = World::new();
    let mut live = world.live(UID, &from(None));
    world.set_workload(UID, &["shop/first"]);
    world.run();
    world.clock.advance(GRACE - Duration::from_secs(1));
    world.run();
    world.set_workload(UID, &["shop/second"]);
    world.run();
    world.clock.advance(Duration::from_secs(1));
    world.run();
    assert_eq!(reason(&mut live), None);
    assert_eq!(world.counts().missing_policies, 1);
    world.clock.advance(GRACE - Duration::from_secs(1));
    world.run();
    assert_eq!(
        reason(&mut live).unwrap(),
        "policy shop/second has not arrived"
    );
}

#[test]
fn without_grace_a_missing_policy_denies_at_once() {
    let mut world = World::with_grace(Duration::ZERO);
    let mut live = world.live(UID, &from(None));
    world.set_workload(UID, &["shop/late"]);
    world.run();
    assert_eq!(world.denied(), "policy shop/late has not arrived");
    assert_eq!(
        reason(&mut live).unwrap(),
        "policy shop/late has not arrived"
    );
}

#[test]
fn a_policy_that_is_gone_but_still_named_is_missing_again() {
    let mut world = World::new();
    world.set_workload(UID, &["shop/d"]);
    world.set(deny_port("shop/d", Scope::WorkloadSelector, 81));
    let mut live = world.live(UID, &from(None));
    world.remove("shop/d");
    world.run();
    assert_eq!(reason(&mut live), None);
    world.clock.advance(GRACE);
    world.run();
    assert_eq!(reason(&mut live).unwrap(), "policy shop/d has not arrived");
}

#[test]
fn connections_that_are_dropped_leave_nothing_behind() {
    let mut world = World::new();
    world.set_workload(UID, &["shop/late"]);
    world.run();
    let held: Vec<_> = (0..3).map(|_| world.held()).collect();
    let mut lives: Vec<_> = (0..1000).map(|_| world.live(OTHER, &from(None))).collect();
    for live in &mut lives {
        assert!(live.poll().is_pending());
    }
    assert_eq!(world.counts().connections, 1003);
    drop(held);
    lives.drain(..500);
    assert_eq!(world.counts().connections, 500);
    // Places are used again.
    lives.extend((0..500).map(|_| world.live(OTHER, &from(None))));
    world.set(strict("shop/strict", Scope::Namespace));
    world.run();
    assert!(lives.iter_mut().all(|live| live.poll().is_ready()));
    assert_eq!(world.counts().cut, 1000);
    drop(lives);
    world.set_workload(UID, &[]);
    world.run();
    let counts = world.counts();
    assert_eq!((counts.connections, counts.missing_policies), (0, 0));
}

#[test]
fn many_connections_are_looked_at_a_few_at_a_time() {
    let mut world = World::new();
    let mut lives: Vec<_> = (0..1000).map(|_| world.live(UID, &from(None))).collect();
    for live in &mut lives {
        assert!(live.poll().is_pending());
    }
    world.set(strict("shop/strict", Scope::Namespace));
    // One turn of the redecider, of several: others of the executor's tasks come in between.
    assert!(world.redecider.poll().is_pending());
    let cut = lives.iter().filter(|live| live.is_woken()).count();
    assert!(cut > 0 && cut < 1000, "{cut}");
    assert_eq!(world.denied(), "explicitly denied by: shop/strict");
    world.run();
    assert!(lives.iter().all(Spawn::is_woken));
}

#[test]
fn publishers_that_are_gone_cut_nothing() {
    let mut world = World::new();
    world.set(deny_port("shop/d", Scope::Namespace, 81));
    let mut live = world.live(UID, &from(None));
    world.policies = PolicyStore::new();
    world.run();
    assert_eq!(reason(&mut live), None);
    // Workloads are still watched.
    world.set_workload(UID, &["shop/late"]);
    world.run();
    world.clock.advance(GRACE);
    world.run();
    assert!(matches!(
        live.poll(),
        Poll::Ready(Denial::MissingPolicy { .. })
    ));
}

#[test]
fn dry_run_is_reported_at_admission_and_cuts_nothing() {
    let mut world = World::new();
    let mut live = world.live(UID, &from(None));
    let dry = PolicySpec {
        dry_run: true,
        ..strict("shop/strict", Scope::Namespace)
    };
    let nothing = with_rules("shop/nothing", Scope::Namespace, Action::Allow, vec![]);
    world.set(dry);
    world.set(PolicySpec {
        dry_run: true,
        ..nothing
    });
    world.run();
    assert_eq!(reason(&mut live), None);
    let workload = world.mesh.snapshot().workload(UID).cloned().unwrap();
    let admission = world.guard.admit(&workload, &from(None));
    assert!(matches!(admission.answer, Answer::Allowed { .. }));
    assert!(admission.dry_run.would_deny());
    let lines: Vec<_> = admission.dry_run.lines().collect();
    assert_eq!(
        lines,
        [
            "dry-run: deny policy match: shop/strict",
            "dry-run: no allow policies match"
        ]
    );
}

/// Places of connections that are gone come after those of the ones that wait.
#[test]
fn what_waits_is_not_forgotten_over_empty_places() {
    let mut world = World::new();
    let mut lives: Vec<_> = (0..600).map(|_| world.live(UID, &from(None))).collect();
    lives.truncate(10);
    world.set_workload(UID, &["shop/late"]);
    world.run();
    world.clock.advance(GRACE);
    world.run();
    assert!(lives.iter_mut().all(|live| live.poll().is_ready()));
}
