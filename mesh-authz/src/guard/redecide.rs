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

use super::group::{Entry, Group, Stage};
use super::shared::{Ledger, Settled, Shared, State};
use crate::index::PolicyIndex;

/// How many connections and workloads, taken together, are looked at while the lock is held and
/// before the executor's other tasks have their turn.
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

/// Goes through all workloads once.
struct Pass {
    /// The place of the workload that is next.
    at: u32,
    /// Whether the grace of a policy has ended.
    expired: bool,
}

/// What there is to decide with.
struct Basis {
    index: Arc<PolicyIndex>,
    mesh: Arc<MeshSnapshot>,
    now: Instant,
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
            let mut pass = self.begin();
            while self.turn(&mut pass) {
                yield_once().await;
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

    /// What is newest; to be asked for with the lock held, so that it is not older than what any
    /// connection in the list was admitted with.
    fn basis(&self) -> Basis {
        Basis {
            index: self.policies.watch.load(),
            mesh: self.mesh.watch.load(),
            now: self.shared.timer.now(),
        }
    }

    fn begin(&self) -> Pass {
        let mut state = self.shared.state.lock();
        let Basis { index, mesh, now } = self.basis();
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
        Pass { at: 0, expired }
    }

    /// Takes a pass further by one chunk; whether there is more.
    fn turn(&self, pass: &mut Pass) -> bool {
        let mut wakers = Vec::new();
        let mut state = self.shared.state.lock();
        // Something newer than at the last turn comes with a pass of its own, which does not begin
        // before this one has ended: however often something changes, each workload has its turn.
        let basis = self.basis();
        let State {
            connections,
            ledger,
            ..
        } = &mut *state;
        let mut left = CHUNK;
        while left > 0 && pass.at < connections.groups() {
            left -= 1;
            let group = connections.group_mut(pass.at);
            if group.is_none_or(|group| basis.round(ledger, group, pass, &mut left, &mut wakers)) {
                pass.at += 1;
            }
        }
        let more = pass.at < connections.groups();
        if !wakers.is_empty() {
            self.shared.epoch.fetch_add(1, Ordering::Release);
        }
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        more
    }
}

impl Basis {
    /// Decides about `left` connections of a group, which is lowered; whether the group is done.
    fn round(
        &self,
        ledger: &mut Ledger,
        group: &mut Group,
        pass: &Pass,
        left: &mut usize,
        wakers: &mut Vec<Waker>,
    ) -> bool {
        let known = self.mesh.workload(group.workload().uid());
        let workload = known.unwrap_or(group.workload()).clone();
        group.renew(&self.index, &workload);
        if !group.begin(&self.index, pass.expired) {
            return true;
        }
        let places = group.next(*left);
        let end = places.end;
        *left = left.saturating_sub(places.len());
        let mut undecided = false;
        for entry in group.entries_mut(places) {
            match self.decide(ledger, &workload, entry) {
                Next::Stay => {}
                Next::Wait => undecided = true,
                Next::Go(stage) => wakers.extend(entry.stage.replace(stage)),
            }
        }
        group.advance(end, undecided)
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
                Next::Go(Stage::Cut(Box::new(denial)))
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
