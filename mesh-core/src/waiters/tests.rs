use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Wake};

use super::*;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

#[test]
fn a_waiter_is_woken_once_and_then_ready() {
    let (waiters, flag) = (Waiters::default(), AtomicBool::new(false));
    let mut wait = pin!(waiters.wait(|| flag.load(Ordering::SeqCst).then_some(7)));
    let woken = Arc::new(Count::default());
    let waker = woken.clone().into();
    let mut context = Context::from_waker(&waker);
    assert!(wait.as_mut().poll(&mut context).is_pending());
    assert!(wait.as_mut().poll(&mut context).is_pending());
    assert_eq!(waiters.len(), 1);
    flag.store(true, Ordering::SeqCst);
    waiters.wake_all();
    waiters.wake_all();
    assert_eq!(woken.get(), 1);
    assert_eq!(wait.as_mut().poll(&mut context), Poll::Ready(7));
    assert_eq!(waiters.len(), 0);
}

#[test]
fn the_latest_waker_is_the_one_that_is_woken() {
    let waiters = Waiters::default();
    let mut wait = pin!(waiters.wait(|| None::<()>));
    let counts = [Arc::new(Count::default()), Arc::new(Count::default())];
    for count in &counts {
        let waker = count.clone().into();
        assert!(
            wait.as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
    }
    waiters.wake_all();
    assert_eq!(counts.each_ref().map(|count| count.get()), [0, 1]);
}

#[test]
fn a_dropped_future_leaves_nothing_behind() {
    let waiters = Waiters::default();
    drop(waiters.wait(|| None::<()>));
    assert_eq!(waiters.len(), 0);
    let woken = Arc::new(Count::default());
    let waker = woken.clone().into();
    let mut futures: Vec<_> = (0..1000).map(|_| waiters.wait(|| None::<()>)).collect();
    for future in &mut futures {
        assert!(
            Pin::new(future)
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
    }
    assert_eq!(waiters.len(), 1000);
    futures.truncate(1);
    assert_eq!(waiters.len(), 1);
    waiters.wake_all();
    assert_eq!(woken.get(), 1);
    futures.clear();
    let entries = waiters.entries.lock();
    assert!(entries.entries.is_empty() && entries.entries.capacity() <= KEPT);
    // The futures and the list held the only other references to the waker.
    drop(waker);
    assert_eq!(Arc::strong_count(&woken), 1);
}

#[test]
fn entries_are_used_again() {
    let waiters = Waiters::default();
    let waker = Waker::noop();
    let mut first = waiters.wait(|| None::<()>);
    assert!(
        Pin::new(&mut first)
            .poll(&mut Context::from_waker(waker))
            .is_pending()
    );
    for _ in 0..100 {
        let mut other = waiters.wait(|| None::<()>);
        assert!(
            Pin::new(&mut other)
                .poll(&mut Context::from_waker(waker))
                .is_pending()
        );
    }
    assert_eq!(waiters.entries.lock().entries.len(), 2);
}
