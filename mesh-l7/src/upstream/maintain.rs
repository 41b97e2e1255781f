//! What hosts want done from time to time.

use std::sync::Arc;
use std::time::Duration;

use mesh_core::random::ThreadRandom;
use tokio::time::{Instant, sleep_until};

use super::model::Upstream;

/// The longest time between two looks: upstreams may have come meanwhile.
const LONGEST: Duration = Duration::from_secs(1);

/// Does for all upstreams what is due, forever: hosts that were taken out come back, those that do badly
/// are taken out, shares of new hosts grow.
///
/// One task of an application runs it; `upstreams` is asked for the present ones each time, at least once
/// in a second. Without it hosts that were taken out never come back.
///
/// # Cancellation
/// It stops when the future is dropped, and may be begun again.
pub async fn maintain<E, I>(mut upstreams: impl FnMut() -> I)
where
    I: IntoIterator<Item = Arc<Upstream<E>>>,
{
    loop {
        let now = Instant::now();
        let due = upstreams().into_iter().filter_map(|upstream| {
            let cluster = &upstream.cluster;
            cluster.maintain(now.into_std(), &mut ThreadRandom)
        });
        let latest = now + LONGEST;
        let next = due
            .min()
            .map_or(latest, |due| Instant::from_std(due).min(latest));
        sleep_until(next).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::ServiceTarget;
    use crate::upstream::{ClusterSettings, Protocol};
    use mesh_core::lb::{Event, HostSpec, OutlierDetection, SmallFleet};

    #[tokio::test(start_paused = true)]
    async fn a_host_that_was_taken_out_comes_back() {
        let mut settings = ClusterSettings::default();
        let mut outlier = OutlierDetection::default();
        outlier.consecutive_5xx = Some(1);
        outlier.small_fleet = SmallFleet::One;
        settings.balancing.outlier = Some(outlier);
        let target = ServiceTarget {
            namespace: "shop".into(),
            hostname: "web".into(),
            port: 80,
            subset: None,
        };
        let hosts = ["a", "b"].map(|key| HostSpec::new(key, ())).into();
        let now = Instant::now().into_std();
        let upstream = Arc::new(Upstream::new(target, settings, Protocol::Http1, hosts, now));
        let cluster = upstream.cluster.clone();
        let task = tokio::spawn(maintain(move || [upstream.clone()]));
        let host = cluster.hosts().hosts()[0].clone();
        let out = cluster.report(&host, Event::Error, now, &mut || 0);
        assert_eq!(out, Some(Duration::from_secs(30)));
        tokio::time::sleep(Duration::from_secs(29)).await;
        assert!(host.is_ejected());
        // Ten seconds are between sweeps.
        tokio::time::sleep(Duration::from_secs(12)).await;
        assert!(!host.is_ejected());
        task.abort();
    }
}
