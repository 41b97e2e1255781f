use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::thread;

use super::*;

fn poll(future: impl Future<Output = ()> + Unpin) -> bool {
    let mut future = pin!(future);
    matches!(
        future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop())),
        Poll::Ready(())
    )
}

/// Runs a future on this thread; sleeps until it is woken.
fn block_on(future: impl Future<Output = ()>) {
    struct Thread(thread::Thread);
    impl std::task::Wake for Thread {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Thread(thread::current())).into();
    let mut future = pin!(future);
    while future
        .as_mut()
        .poll(&mut Context::from_waker(&waker))
        .is_pending()
    {
        thread::park();
    }
}

#[test]
fn the_phases_follow_each_other() {
    let (trigger, drain) = channel();
    assert!(!poll(drain.draining()) && !poll(drain.forced()));
    trigger.drain();
    assert!(poll(drain.draining()) && !poll(drain.forced()));
    trigger.force();
    assert!(poll(drain.draining()) && poll(drain.forced()));
    trigger.drain();
    assert!(drain.is_forced(), "a late drain takes nothing back");
}

#[test]
fn force_without_drain_begins_both_phases() {
    let (trigger, drain) = channel();
    trigger.force();
    assert!(drain.is_draining() && drain.is_forced());
}

#[test]
fn a_dropped_trigger_signals_nothing() {
    let (trigger, drain) = channel();
    drop(trigger);
    assert!(!drain.is_draining() && !drain.is_forced());
    assert!(!poll(drain.draining()) && !poll(drain.forced()));
}

#[test]
fn finished_means_that_the_last_clone_is_gone() {
    let (trigger, drain) = channel();
    let clones: Vec<_> = (0..10).map(|_| drain.clone()).collect();
    assert_eq!(trigger.participants(), 11);
    drop(drain);
    assert!(!poll(trigger.finished()));
    drop(clones);
    assert_eq!(trigger.participants(), 0);
    assert!(poll(trigger.finished()));
}

#[test]
fn only_the_phase_that_begins_wakes_its_waiters() {
    let (trigger, drain) = channel();
    let (mut draining, mut forced) = (drain.draining(), drain.forced());
    let mut context = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut draining).poll(&mut context).is_pending());
    assert!(Pin::new(&mut forced).poll(&mut context).is_pending());
    assert_eq!((drain.0.draining.len(), drain.0.forced.len()), (1, 1));
    trigger.drain();
    assert!(Pin::new(&mut draining).poll(&mut context).is_ready());
    assert!(Pin::new(&mut forced).poll(&mut context).is_pending());
    drop((draining, forced));
    assert_eq!((drain.0.draining.len(), drain.0.forced.len()), (0, 0));
}

#[test]
fn a_waiting_future_is_small() {
    let (_trigger, drain) = channel();
    assert!(size_of_val(&drain.draining()) <= 48);
}

#[test]
fn no_wake_up_is_lost_between_threads() {
    for _ in 0..200 {
        let (trigger, drain) = channel();
        thread::scope(|scope| {
            for _ in 0..4 {
                let drain = drain.clone();
                scope.spawn(move || {
                    block_on(drain.draining());
                    block_on(drain.forced());
                });
            }
            drop(drain);
            trigger.drain();
            trigger.force();
            block_on(trigger.finished());
        });
        assert_eq!(trigger.participants(), 0);
    }
}
