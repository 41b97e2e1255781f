//! Deciding again about live connections.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use mesh_core::model::Workload;
use mesh_core::snapshot::MeshSnapshot;
use mesh_core::watch::Watch;

use super::connections::{Entry, Stage};
use super::shared::{Ledger, Settled, Shared, State};
use crate::index::PolicyIndex;

/// Connections, or workloads, that are looked at while the lock is held and before the executor's
/// other tasks have their turn.
const CHUNK: usize = 256;

/// Decides again about the live connections of a guard: its [`run`](Self::run) is to be spawned.
#[must_use = "live connections are decided again only while this runs"]
pub struct Redecider {
    shared: Arc<Shared>,
    policies: Source<PolicyIndex>,
    mesh: Source<MeshSnapshot>,
}

/// A watched value, until its publisher is gone.
struct Source<T> {
    watch: Watch<T>,
    closed: bool,
}

/// What there is to decide with.
struct Pass {
    index: Arc<PolicyIndex>,
    mesh: Arc<MeshSnapshot>,
    now: Instant,
    /// Whether the grace of a policy has ended.
    expired: bool,
}

impl Redecider {
    pub(super) fn new(
        shared: Arc<Shared>,
        policies: Watch<PolicyIndex>,
        mesh: Watch<MeshSnapshot>,
    ) -> Self {
        let closed = false;
        Self {
            shared,
            policies: Source {
                watch: policies,
                closed,
            },
            mesh: Source {
                watch: mesh,
                closed,
            },
        }
    }

    /// Decides again whenever something changes. Never ends; drop it with the guard.
    ///
    /// When the publishers of policies and workloads are gone, what they published last stays in
    /// force.
    pub async fn run(mut self) {
        loop {
            self.change().await;
            let pass = self.begin();
            let mut at = 0;
            while let Some(next) = pass.next_affected(&self.shared, at) {
                let mut start = 0;
                while pass.chunk(&self.shared, next, start) {
                    start += CHUNK;
                    yield_once().await;
                }
                at = next + 1;
            }
        }
    }

    /// Waits for new policies, a new mesh or the end of a grace.
    async fn change(&mut self) {
        let Self {
            shared,
            policies,
            mesh,
        } = self;
        loop {
            let deadline = shared.state.lock().ledger.missing.next();
            let mut sleep = deadline.map(|at| shared.timer.sleep_until(at));
            let mut policies = pin!(policies.changed());
            let mut mesh = pin!(mesh.changed());
            let changed = poll_fn(|cx| {
                let changed = policies.as_mut().poll(cx).is_ready()
                    || mesh.as_mut().poll(cx).is_ready()
                    || sleep.as_mut().is_some_and(|sleep| poll_sleep(sleep, cx));
                if changed {
                    return Poll::Ready(true);
                }
                let mut state = shared.state.lock();
                if state.ledger.missing.next() != deadline {
                    return Poll::Ready(false);
                }
                let old = state.redecider.replace(cx.waker().clone());
                drop(state);
                drop(old);
                Poll::Pending
            });
            if changed.await {
                return;
            }
        }
    }

    fn begin(&self) -> Pass {
        let (index, mesh) = (self.policies.watch.load(), self.mesh.watch.load());
        let now = self.shared.timer.now();
        let mut state = self.shared.state.lock();
        let State {
            connections,
            ledger,
            ..
        } = &mut *state;
        ledger.missing.retain(|uid, key| {
            let workload = mesh.workload(uid).or_else(|| connections.workload(uid));
            let named = workload.is_some_and(|w| w.authorization_policies().contains(key));
            named && index.policy(key).is_none()
        });
        let expired = ledger.missing.expire(now);
        drop(state);
        Pass {
            index,
            mesh,
            now,
            expired,
        }
    }
}

impl Pass {
    /// The next workload, from `at` on, whose connections must be decided again.
    fn next_affected(&self, shared: &Shared, at: u32) -> Option<u32> {
        let mut state = shared.state.lock();
        let connections = &mut state.connections;
        (at..connections.groups()).find(|at| {
            let Some(group) = connections.group_mut(*at) else {
                return false;
            };
            let known = self.mesh.workload(group.workload.uid());
            let known = known.unwrap_or(&group.workload).clone();
            let old = std::mem::replace(&mut group.workload, known);
            let workload = &group.workload;
            // Two policies that are both missing have the same version.
            let same = old.authorization_policies() == workload.authorization_policies()
                && self
                    .index
                    .versions(workload)
                    .eq(group.versions.iter().copied());
            if !same {
                group.versions.clear();
                group.versions.extend(self.index.versions(workload));
            }
            !same || self.expired && group.undecided
        })
    }

    /// Decides about the connections in a chunk of places of a group; whether there are more.
    fn chunk(&self, shared: &Shared, group: u32, start: usize) -> bool {
        let mut wakers = Vec::new();
        let mut state = shared.state.lock();
        let State {
            connections,
            ledger,
            ..
        } = &mut *state;
        let Some(group) = connections.group_mut(group) else {
            return false;
        };
        let workload = group.workload.clone();
        let mut undecided = false;
        for entry in group.entries_mut(start..start + CHUNK) {
            match self.decide(ledger, &workload, entry) {
                Next::Stay => {}
                Next::Wait => undecided = true,
                Next::Go(stage) => wakers.extend(entry.stage.replace(stage)),
            }
        }
        // What was not decided before this pass has been decided again by its end.
        group.undecided = undecided || start > 0 && group.undecided;
        let more = start + CHUNK < group.slots();
        if !wakers.is_empty() {
            shared.epoch.fetch_add(1, Ordering::Release);
        }
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        more
    }

    fn decide(&self, ledger: &mut Ledger, workload: &Workload, entry: &Entry) -> Next {
        let held = match &entry.stage {
            Stage::Live(_) => false,
            Stage::Held(_) => true,
            Stage::Released | Stage::Cut(_) => return Next::Stay,
        };
        let decision = self.index.decide(workload, &entry.connection());
        ledger.counts.decided_again += 1;
        match ledger.settle(&self.index, workload, &decision, self.now) {
            Settled::Undecided => Next::Wait,
            Settled::Allowed(_) | Settled::Denied(_) if held => Next::Go(Stage::Released),
            Settled::Allowed(_) => Next::Stay,
            Settled::Denied(denial) => {
                ledger.counts.cut += 1;
                Next::Go(Stage::Cut(denial))
            }
        }
    }
}

/// What becomes of a connection that was decided again.
enum Next {
    /// What it was.
    Stay,
    /// What it was, until a policy arrives.
    Wait,
    /// It is told.
    Go(Stage),
}

impl<T: Send + Sync> Source<T> {
    /// Ready at a change; never when there will be none.
    async fn changed(&mut self) {
        if !self.closed {
            match self.watch.changed().await {
                Ok(_) => return,
                Err(_) => self.closed = true,
            }
        }
        std::future::pending().await
    }
}

fn poll_sleep(sleep: &mut Pin<Box<dyn Future<Output = ()> + Send>>, cx: &mut Context<'_>) -> bool {
    sleep.as_mut().poll(cx).is_ready()
}

/// Lets the executor's other tasks have their turn.
async fn yield_once() {
    let mut yielded = false;
    poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl fmt::Debug for Redecider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redecider").finish_non_exhaustive()
    }
}
