//! A guard over stores, with a clock that is moved by hand.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use mesh_authz::Connection;
use mesh_authz::guard::{Answer, Counts, GRACE, Guard, Held, Live, MissingPolicies, Timer};
use mesh_authz::spec::{Action, MatchSpec, PolicySpec, Scope};
use mesh_authz::store::{PolicyStore, Update};
use mesh_core::model::{Workload, WorkloadSpec};
use mesh_core::store::{Batch, MeshStore};
use tokio_test::task::{Spawn, spawn};

use super::{from, policy, texts};

pub(crate) const UID: &str = "cluster//Pod/shop/web";
pub(crate) const OTHER: &str = "cluster//Pod/shop/db";

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub(crate) struct Clock(Mutex<(Instant, Vec<Waker>)>);

impl Clock {
    pub(crate) fn advance(&self, by: Duration) {
        let mut state = self.0.lock().unwrap();
        state.0 += by;
        let wakers = std::mem::take(&mut state.1);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }
}

pub(crate) struct Sleep(Arc<Clock>, Instant);

impl Future for Sleep {
    type Output = ();
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.0.lock().unwrap();
        if state.0 >= self.1 {
            return Poll::Ready(());
        }
        state.1.push(cx.waker().clone());
        Poll::Pending
    }
}

#[derive(Debug)]
pub(crate) struct Manual(Arc<Clock>);

impl Timer for Manual {
    fn now(&self) -> Instant {
        self.0.0.lock().unwrap().0
    }
    fn sleep_until(&self, at: Instant) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(Sleep(self.0.clone(), at))
    }
}

/// A redecider that runs when it is polled.
pub(crate) type Running = Spawn<Pin<Box<dyn Future<Output = ()> + Send>>>;

fn worker(
    policies: &PolicyStore,
    mesh: &MeshStore,
    missing: &MissingPolicies,
    clock: &Arc<Clock>,
) -> (Guard, Running) {
    let timer = Arc::new(Manual(clock.clone()));
    let (policies, mesh) = (policies.watch(), mesh.watch());
    let (guard, redecider) = Guard::new(policies, mesh, missing.clone(), timer);
    (guard, spawn(Box::pin(redecider.run())))
}

/// Lets a redecider do all that it has to.
pub(crate) fn finish(redecider: &mut Running) {
    assert!(redecider.poll().is_pending());
    while redecider.is_woken() {
        assert!(redecider.poll().is_pending());
    }
}

pub(crate) struct World {
    pub(crate) policies: PolicyStore,
    pub(crate) mesh: MeshStore,
    pub(crate) clock: Arc<Clock>,
    pub(crate) missing: MissingPolicies,
    pub(crate) guard: Guard,
    pub(crate) redecider: Running,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_grace(GRACE)
    }

    pub(crate) fn with_grace(grace: Duration) -> Self {
        let (policies, mesh) = (PolicyStore::new(), MeshStore::new());
        let clock = Arc::new(Clock(Mutex::new((Instant::now(), Vec::new()))));
        let missing = MissingPolicies::new(grace);
        let (guard, redecider) = worker(&policies, &mesh, &missing, &clock);
        let mut world = Self {
            policies,
            mesh,
            clock,
            missing,
            guard,
            redecider,
        };
        world.set_workload(UID, &[]);
        world.set_workload(OTHER, &[]);
        world.run();
        world
    }

    /// Lets the redecider do all that it has to.
    pub(crate) fn run(&mut self) {
        finish(&mut self.redecider);
    }

    /// A guard of another worker over the same stores.
    pub(crate) fn other_worker(&self) -> (Guard, Running) {
        worker(&self.policies, &self.mesh, &self.missing, &self.clock)
    }

    pub(crate) fn set_workload(&mut self, uid: &str, policies: &[&str]) {
        self.update(Update::Upsert(super::spec(uid, policies)));
    }

    pub(crate) fn update(&mut self, update: Update<WorkloadSpec>) {
        let mut batch = Batch::default();
        batch.workloads.push(update);
        self.mesh.apply(batch);
    }

    pub(crate) fn set(&mut self, policy: PolicySpec) {
        assert_eq!(
            self.policies.apply(vec![Update::Upsert(policy)]).upserted,
            1
        );
    }

    pub(crate) fn remove(&mut self, key: &str) {
        assert_eq!(
            self.policies
                .apply(vec![Update::Remove(key.into())])
                .removed,
            1
        );
    }

    pub(crate) fn ask(&self, uid: &str, connection: &Connection<'_>) -> Answer {
        let known = self.mesh.snapshot();
        let workload = known.workload(uid).cloned();
        let fallback = || Arc::new(Workload::new(super::spec(uid, &[])));
        self.guard
            .admit(&workload.unwrap_or_else(fallback), connection)
            .answer
    }

    pub(crate) fn live(&self, uid: &str, connection: &Connection<'_>) -> Spawn<Live> {
        match self.ask(uid, connection) {
            Answer::Allowed { live, .. } => spawn(live),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn held(&self) -> Spawn<Held> {
        match self.ask(UID, &from(None)) {
            Answer::Held(held) => spawn(held),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn denied(&self) -> String {
        match self.ask(UID, &from(None)) {
            Answer::Denied(denial) => denial.to_string(),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.guard.counts()
    }
}

pub(crate) fn deny_port(key: &str, scope: Scope, port: u16) -> PolicySpec {
    let ports = MatchSpec {
        destination_ports: vec![port],
        ..MatchSpec::default()
    };
    policy(key, scope, Action::Deny, ports)
}

pub(crate) fn strict(key: &str, scope: Scope) -> PolicySpec {
    let plain = MatchSpec {
        not_principals: texts(&["*"]),
        ..MatchSpec::default()
    };
    policy(key, scope, Action::Deny, plain)
}

pub(crate) fn reason(live: &mut Spawn<Live>) -> Option<String> {
    match live.poll() {
        Poll::Ready(denial) => Some(denial.to_string()),
        Poll::Pending => None,
    }
}
