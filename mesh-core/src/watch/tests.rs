use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread;

use super::*;

fn poll<T>(future: impl Future<Output = T>) -> Poll<T> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Runs a future on this thread; sleeps until it is woken.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Thread(thread::Thread);
    impl std::task::Wake for Thread {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Thread(thread::current())).into();
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        thread::park();
    }
}

#[test]
fn the_first_value_counts_as_seen() {
    let (publisher, mut watch) = channel(1);
    assert!(poll(watch.changed()).is_pending());
    assert!(poll(publisher.watch().changed()).is_pending());
}

#[test]
fn changes_are_coalesced_to_the_newest() {
    let (publisher, mut watch) = channel(0);
    for value in 1..=3 {
        publisher.publish(value);
    }
    assert_eq!(poll(watch.changed()), Poll::Ready(Ok(Arc::new(3))));
    assert!(poll(watch.changed()).is_pending());
}

#[test]
fn each_clone_sees_for_itself() {
    let (publisher, mut first) = channel(0);
    publisher.publish(1);
    let mut second = first.clone();
    assert!(poll(first.changed()).is_ready());
    assert!(poll(second.changed()).is_ready());
    assert!(poll(first.clone().changed()).is_pending());
}

#[test]
fn a_dropped_wait_does_not_lose_the_change() {
    let (publisher, mut watch) = channel(0);
    assert!(poll(watch.changed()).is_pending());
    publisher.publish(1);
    drop(watch.changed());
    assert_eq!(poll(watch.changed()), Poll::Ready(Ok(Arc::new(1))));
    assert_eq!(watch.shared.changed.len(), 0);
}

#[test]
fn the_last_value_is_given_before_the_end() {
    let (publisher, mut watch) = channel(0);
    publisher.publish(1);
    drop(publisher);
    assert_eq!(poll(watch.changed()), Poll::Ready(Ok(Arc::new(1))));
    assert_eq!(poll(watch.changed()), Poll::Ready(Err(Closed)));
    assert_eq!(poll(watch.changed()), Poll::Ready(Err(Closed)));
    assert_eq!(*watch.load(), 1);
}

#[test]
fn a_fixed_value_is_closed_from_the_start() {
    let mut watch = Watch::fixed("value");
    assert_eq!(*watch.load(), "value");
    assert_eq!(poll(watch.changed()), Poll::Ready(Err(Closed)));
}

/// `publish` raises the version before it wakes: a watch that sees the version at once and waits
/// again gets the wake-up of a change that it knows.
#[test]
fn a_late_wake_up_for_a_seen_change_does_not_hide_the_next() {
    #[derive(Default)]
    struct Count(AtomicU64);
    impl std::task::Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    type Change = fn(Publisher<u64>) -> Option<Publisher<u64>>;
    let publish: Change = |publisher| {
        publisher.publish(1);
        Some(publisher)
    };
    let end: Change = |_| None;
    let changes = [("a value", publish, Ok(1)), ("the end", end, Err(Closed))];
    for (name, change, expected) in changes {
        let (publisher, mut watch) = channel(0);
        let shared = watch.shared.clone();
        let count = Arc::new(Count::default());
        let waker = count.clone().into();
        let mut context = Context::from_waker(&waker);
        let mut changed = pin!(watch.changed());
        assert!(changed.as_mut().poll(&mut context).is_pending(), "{name}");
        shared.changed.wake_all();
        assert_eq!(count.0.load(Ordering::Relaxed), 1, "{name}");
        assert!(changed.as_mut().poll(&mut context).is_pending(), "{name}");
        let publisher = change(publisher);
        assert_eq!(count.0.load(Ordering::Relaxed), 2, "{name}");
        let given = changed.as_mut().poll(&mut context);
        assert_eq!(given, Poll::Ready(expected.map(Arc::new)), "{name}");
        drop(publisher);
    }
}

#[test]
fn no_change_is_lost_between_threads() {
    for _ in 0..50 {
        let (publisher, watch) = channel(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                let mut watch = watch.clone();
                scope.spawn(move || {
                    let mut last = 0;
                    while let Ok(value) = block_on(watch.changed()) {
                        assert!(*value > last, "{value} after {last}");
                        last = *value;
                    }
                    assert_eq!(last, 100);
                });
            }
            for value in 1..=100 {
                publisher.publish(value);
            }
            drop(publisher);
        });
    }
}
