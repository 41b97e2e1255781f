//! Polling what is slow only when it has something to say.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use parking_lot::Mutex;

/// Keeps futures that are rarely ready, such as timers and signals, from being polled each time that the task that
/// waits for them is woken for something else.
pub(crate) struct Gate {
    bell: Arc<Bell>,
    /// What is rung; made once.
    waker: Waker,
    /// The task that waits, as the bell knows it.
    task: Option<Waker>,
}

struct Bell {
    rung: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, Ordering::AcqRel)
            && let Some(task) = &*self.task.lock()
        {
            task.wake_by_ref();
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

impl Default for Gate {
    /// One that lets the first poll pass.
    fn default() -> Self {
        let bell = Arc::new(Bell {
            rung: AtomicBool::new(true),
            task: Mutex::new(None),
        });
        Self {
            waker: bell.clone().into(),
            bell,
            task: None,
        }
    }
}

impl Gate {
    /// Lets the next poll pass.
    pub(crate) fn open(&self) {
        self.bell.rung.store(true, Ordering::Release);
    }

    /// Polls, if something has changed since the last time. `poll` is to be polled until it is pending.
    pub(crate) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let known = self
            .task
            .as_ref()
            .is_some_and(|task| task.will_wake(cx.waker()));
        if !known {
            // What rings from here on reaches this task.
            self.task = Some(cx.waker().clone());
            *self.bell.task.lock() = Some(cx.waker().clone());
        }
        if !self.bell.rung.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        self.bell.rung.store(false, Ordering::Release);
        let polled = poll(&mut Context::from_waker(&self.waker));
        if polled.is_ready() {
            // There may be more.
            self.open();
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::Future;
    use std::pin::pin;

    use tokio::sync::Notify;
    use tokio_test::task::spawn;

    use super::*;

    #[test]
    fn what_waits_is_polled_when_it_was_woken_and_not_otherwise() {
        let (mut gate, notify, polls) = (Gate::default(), Notify::new(), Cell::new(0));
        let mut notified = pin!(notify.notified());
        let mut task = spawn(());
        let mut poll = |gate: &mut Gate, cx: &mut Context<'_>| {
            gate.poll(cx, |cx| {
                polls.set(polls.get() + 1);
                notified.as_mut().poll(cx)
            })
        };
        for _ in 0..3 {
            assert!(task.enter(|cx, _| poll(&mut gate, cx)).is_pending());
        }
        assert_eq!(polls.get(), 1);
        gate.open();
        assert!(task.enter(|cx, _| poll(&mut gate, cx)).is_pending());
        assert_eq!(polls.get(), 2);
        notify.notify_one();
        assert!(task.is_woken());
        assert!(task.enter(|cx, _| poll(&mut gate, cx)).is_ready());
    }

    #[test]
    fn a_task_that_changes_is_the_one_that_is_woken() {
        let (mut gate, notify) = (Gate::default(), Notify::new());
        let mut notified = Box::pin(notify.notified());
        let mut first = spawn(());
        let polled = first.enter(|cx, _| gate.poll(cx, |cx| notified.as_mut().poll(cx)));
        assert!(polled.is_pending());
        let mut second = spawn(());
        let polled =
            second.enter(|cx, _| gate.poll(cx, |_| -> Poll<()> { panic!("nothing rang") }));
        assert!(polled.is_pending());
        notify.notify_one();
        assert!(second.is_woken());
        assert!(!first.is_woken());
    }
}
