//! How long a connection may last, and be silent.

use std::future::{Future, pending};
use std::time::Duration;

use mesh_hbone::copy::Meter;
use tokio::time::{Instant, sleep, sleep_until};

/// Time without a byte after which a connection is cut, unless its upstream says otherwise: that of
/// Envoy's TCP proxy.
const IDLE: Duration = Duration::from_secs(3600);
/// How often it is looked whether bytes have moved: this often in the time that they may not.
const LOOKS: u32 = 8;

/// How long a connection may last, and be silent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    idle: Option<Duration>,
    longest: Option<Duration>,
}

/// Which limit was reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stopped {
    Idle,
    TooLong,
}

impl Limits {
    /// Zero is no limit; without a limit for silence there is one of 1 h.
    pub(super) fn new(idle: Option<Duration>, longest: Option<Duration>) -> Self {
        let positive = |limit: &Duration| !limit.is_zero();
        Self {
            idle: Some(idle.unwrap_or(IDLE)).filter(positive),
            longest: longest.filter(positive),
        }
    }

    /// Waits for a connection that counts its bytes to end, or to reach a limit: it is dropped then. That it is
    /// silent is found an eighth of the time too late at most.
    pub(super) async fn hold<T>(
        self,
        copied: impl Future<Output = T>,
        meter: &Meter,
    ) -> Result<T, Stopped> {
        let end = self
            .longest
            .and_then(|limit| Instant::now().checked_add(limit));
        let too_long = async {
            match end {
                Some(end) => sleep_until(end).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            ended = copied => Ok(ended),
            () = self.silent(meter) => Err(Stopped::Idle),
            () = too_long => Err(Stopped::TooLong),
        }
    }

    async fn silent(self, meter: &Meter) {
        let Some(limit) = self.idle else {
            return pending().await;
        };
        let carried = || (meter.to_server(), meter.to_client());
        let mut before = carried();
        let mut looks = 0;
        while looks < LOOKS {
            sleep(limit / LOOKS).await;
            let now = carried();
            looks = if now == before { looks + 1 } else { 0 };
            before = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_and_age_end_a_connection() {
        let seconds = Duration::from_secs;
        let cases = [
            ("silent", Some(seconds(8)), None, Some((Stopped::Idle, 8))),
            ("by default", None, None, Some((Stopped::Idle, 3600))),
            ("never", Some(seconds(0)), Some(seconds(0)), None),
            (
                "old",
                Some(seconds(0)),
                Some(seconds(5)),
                Some((Stopped::TooLong, 5)),
            ),
        ];
        for (name, idle, longest, stopped) in cases {
            let meter = Meter::default();
            let began = Instant::now();
            let copied = async {
                match stopped {
                    Some(_) => pending().await,
                    None => sleep(seconds(7200)).await,
                }
            };
            let ended = Limits::new(idle, longest).hold(copied, &meter).await;
            let expected = stopped.map_or(Ok(()), |(stopped, _)| Err(stopped));
            assert_eq!(ended, expected, "{name}");
            let after = stopped.map_or(7200, |(_, after)| after);
            assert_eq!(began.elapsed().as_secs(), after, "{name}");
        }
    }
}
