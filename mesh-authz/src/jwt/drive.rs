//! Driving a refresher on tokio (feature `jwks-http`).

use std::sync::Arc;

use mesh_core::clock::WallClock;
use mesh_core::watch::Watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::fetch::{FetchError, FetchedKeys, JwksFetcher, fetch};
use super::refresh::{FetchOrder, Refresher};

/// Carries out what `refresher` orders, for as long as the future is polled. `wake` is
/// [`JwksStore::wake`](super::JwksStore::wake) of the refresher's store.
///
/// # Cancellation
/// Dropping the future ends all fetches; keys stay as they are.
pub async fn drive(
    mut refresher: Refresher,
    mut wake: Watch<()>,
    fetcher: Arc<dyn JwksFetcher>,
    clock: Arc<dyn WallClock>,
) {
    let mut fetches = JoinSet::new();
    let mut ended = false;
    loop {
        for order in refresher.due(Instant::now().into_std()) {
            fetches.spawn(carry_out(fetcher.clone(), order));
        }
        let next = refresher.next();
        let pause = async {
            match next {
                Some(next) => sleep_until(next.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            Some(fetched) = fetches.join_next() => {
                // A fetcher that panics is an order that is lost, and given up after its time.
                if let Ok((order, result)) = fetched {
                    refresher.done(&order, result, Instant::now().into_std(), clock.now());
                }
            }
            changed = wake.changed(), if !ended => ended = changed.is_err(),
            () = pause => {}
        }
    }
}

async fn carry_out(
    fetcher: Arc<dyn JwksFetcher>,
    order: FetchOrder,
) -> (FetchOrder, Result<FetchedKeys, FetchError>) {
    let fetched = timeout(order.timeout, fetch(&*fetcher, &order.source)).await;
    let result = fetched.unwrap_or(Err(FetchError::TimedOut));
    (order, result)
}
