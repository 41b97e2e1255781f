//! A cluster: its hosts over time.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use hashbrown::HashMap;
use parking_lot::Mutex;

use super::host::{Health, Host, HostSpec, HostState};
use super::outlier::{Event, OutlierDetection, Rates, may_eject, outliers};
use super::set::{Arrangement, HostSet, Pick};
use super::settings::Balancing;
use crate::name::Name;
use crate::random::Random;

/// Time between two looks at hosts whose share grows.
const WARMING_STEP: Duration = Duration::from_millis(100);

/// The hosts that requests to one upstream are spread over, kept up to date by configuration and by
/// what is seen of them.
///
/// Choosing takes no lock; changes replace the arrangement as a whole. What was seen of a host stays
/// as long as updates have its key.
///
/// The time is an argument everywhere, and [`maintain`](Self::maintain) wants to be called from time to
/// time: it says when.
///
/// ```
/// use std::time::Instant;
/// use mesh_core::lb::{Algorithm, Balancing, Cluster, HostSpec, Pick};
///
/// let now = Instant::now();
/// let mut balancing = Balancing::default();
/// balancing.algorithm = Algorithm::RoundRobin;
/// let hosts = ["10.0.0.1:80", "10.0.0.2:80"].map(|address| HostSpec::new(address, address));
/// let cluster = Cluster::new(balancing, hosts.into(), now, &mut || 0);
/// let mut random = || 0;
/// let first = cluster.pick(&Pick::default(), now, &mut random).expect("there are hosts");
/// let second = cluster.pick(&Pick::default(), now, &mut random).expect("there are hosts");
/// assert_ne!(first.target(), second.target());
/// ```
pub struct Cluster<T> {
    epoch: Instant,
    set: ArcSwap<HostSet<T>>,
    /// Held while the set is replaced.
    writer: Mutex<Writer<T>>,
}

struct Writer<T> {
    balancing: Balancing,
    hosts: Vec<Arc<Host<T>>>,
    /// Milliseconds since the epoch.
    next_sweep: u64,
    seed: u64,
}

impl<T> Cluster<T> {
    /// A cluster of these hosts, as it is at `now`.
    #[must_use]
    pub fn new(
        balancing: Balancing,
        hosts: Vec<HostSpec<T>>,
        now: Instant,
        random: &mut impl Random,
    ) -> Self {
        let mut writer = Writer {
            balancing,
            hosts: Vec::new(),
            next_sweep: 0,
            seed: random.next(),
        };
        writer.next_sweep = writer.sweep_after(0);
        writer.replace(hosts, 0);
        Self {
            epoch: now,
            set: ArcSwap::from_pointee(writer.arrange(0)),
            writer: Mutex::new(writer),
        }
    }

    /// The hosts as they are now.
    #[must_use]
    pub fn hosts(&self) -> Arc<HostSet<T>> {
        self.set.load_full()
    }

    /// Replaces the hosts. Those whose key was there before keep what was seen of them; of several
    /// with one key the last counts.
    pub fn update(&self, hosts: Vec<HostSpec<T>>, now: Instant) {
        let mut writer = self.writer.lock();
        let now = self.millis(now);
        writer.replace(hosts, now);
        self.publish(&writer, now);
    }

    /// Replaces the way in which hosts are chosen.
    pub fn set_balancing(&self, balancing: Balancing, now: Instant) {
        let mut writer = self.writer.lock();
        let now = self.millis(now);
        if balancing.outlier.is_none() {
            writer
                .hosts
                .iter()
                .for_each(|host| host.state.counters.admit());
        }
        writer.balancing = balancing;
        writer.next_sweep = writer.sweep_after(now);
        self.publish(&writer, now);
    }

    /// Chooses a host; `None` when there is none that may be chosen.
    #[must_use]
    pub fn pick(
        &self,
        pick: &Pick<'_, T>,
        now: Instant,
        random: &mut impl Random,
    ) -> Option<Arc<Host<T>>> {
        let now = self.millis(now);
        self.set.load().pick(pick, now, random).cloned()
    }

    /// Says how an attempt at a host ended. For how long the host is out because of that, if it is.
    pub fn report(
        &self,
        host: &Host<T>,
        event: Event,
        now: Instant,
        random: &mut impl Random,
    ) -> Option<Duration> {
        let reached = {
            let set = self.set.load();
            host.state.counters.count(event, set.outlier()?)
        };
        if !reached {
            return None;
        }
        let writer = self.writer.lock();
        let now = self.millis(now);
        let time = writer.eject(host, now, random)?;
        self.publish(&writer, now);
        Some(time)
    }

    /// Says how long a host took to begin its answer; for [`Algorithm::PeakEwma`](super::Algorithm).
    pub fn observe(&self, host: &Host<T>, latency: Duration, now: Instant) {
        // The upper bits are dropped on purpose: these times begin anew.
        let now = (self.millis(now) & u64::from(u32::MAX)) as u32;
        host.state.ewma.observe(latency, now);
    }

    /// Does what is due: lets hosts in again, takes out those that do badly, lets shares grow. When
    /// it wants to be called again; `None` when nothing will be due before a change.
    pub fn maintain(&self, now: Instant, random: &mut impl Random) -> Option<Instant> {
        let mut writer = self.writer.lock();
        let millis = self.millis(now);
        let mut changed = writer.is_warming(millis);
        if writer.balancing.outlier.is_some() && millis >= writer.next_sweep {
            changed |= writer.sweep(millis, random);
            writer.next_sweep = writer.sweep_after(millis);
        }
        if changed {
            self.publish(&writer, millis);
        }
        let warming = writer.is_warming(millis).then_some(now + WARMING_STEP);
        let sweep = writer.balancing.outlier.as_ref();
        let sweep = sweep.map(|_| self.epoch + Duration::from_millis(writer.next_sweep));
        warming.into_iter().chain(sweep).min()
    }

    fn millis(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.epoch).as_millis();
        u64::try_from(passed).unwrap_or(u64::MAX)
    }

    fn publish(&self, writer: &Writer<T>, now: u64) {
        self.set.store(Arc::new(writer.arrange(now)));
    }
}

impl<T> Writer<T> {
    fn arrange(&self, now: u64) -> HostSet<T> {
        let arrangement = Arrangement {
            balancing: &self.balancing,
            now,
            seed: self.seed,
        };
        HostSet::new(&self.hosts, &arrangement)
    }

    fn replace(&mut self, specs: Vec<HostSpec<T>>, now: u64) {
        let known = self.hosts.drain(..);
        let mut known: HashMap<Name, Arc<Host<T>>, foldhash::fast::RandomState> =
            known.map(|host| (host.spec.key.clone(), host)).collect();
        let mut hosts: Vec<Arc<Host<T>>> = Vec::with_capacity(specs.len());
        let mut places: HashMap<Name, usize, foldhash::fast::RandomState> = HashMap::default();
        for spec in specs {
            let before = known.remove(&spec.key);
            let state = before.as_ref().map_or_else(
                || {
                    let state = HostState::default();
                    state.healthy_since.store(now, Ordering::Relaxed);
                    Arc::new(state)
                },
                |host| host.state.clone(),
            );
            let was = before.map(|host| host.spec.health);
            if spec.health == Health::Healthy && was.is_some_and(|was| was != Health::Healthy) {
                state.healthy_since.store(now, Ordering::Relaxed);
            }
            let key = spec.key.clone();
            let host = Arc::new(Host { spec, state });
            match places.get(&key).and_then(|at| hosts.get_mut(*at)) {
                Some(twin) => *twin = host,
                None => {
                    places.insert(key, hosts.len());
                    hosts.push(host);
                }
            }
        }
        self.hosts = hosts;
    }

    fn is_warming(&self, now: u64) -> bool {
        self.balancing.slow_start.is_some_and(|slow| {
            // One step more: the last arrangement must have the whole share.
            let window = slow.window + WARMING_STEP;
            self.hosts.iter().any(|host| host.healthy_for(now) < window)
        })
    }

    fn sweep_after(&self, now: u64) -> u64 {
        let interval = self
            .balancing
            .outlier
            .as_ref()
            .map(|settings| settings.interval);
        let interval = interval.unwrap_or_default().max(Duration::from_millis(1));
        now.saturating_add(u64::try_from(interval.as_millis()).unwrap_or(u64::MAX))
    }

    /// Whether anything changed.
    fn sweep(&self, now: u64, random: &mut impl Random) -> bool {
        let mut changed = false;
        for host in &self.hosts {
            if host.state.counters.sweep(now) {
                host.state.healthy_since.store(now, Ordering::Relaxed);
                changed = true;
            }
        }
        let Some(settings) = &self.balancing.outlier else {
            return changed;
        };
        let rates = Rates {
            success_rate: settings.success_rate,
            failure_percentage: settings.failure_percentage,
        };
        let windows: Vec<_> = self
            .hosts
            .iter()
            .map(|host| host.state.counters.take_window())
            .collect();
        for at in outliers(&windows, rates) {
            let host = self.hosts.get(at);
            changed |= host
                .and_then(|host| self.eject(host, now, random))
                .is_some();
        }
        changed
    }

    /// Takes a host out, if as many may be.
    fn eject(&self, host: &Host<T>, now: u64, random: &mut impl Random) -> Option<Duration> {
        let settings = self.balancing.outlier.as_ref()?;
        let known = self.hosts.iter().any(|known| known.is(host));
        let ejected = self.hosts.iter().filter(|host| host.is_ejected()).count();
        if !known || host.is_ejected() || !may_eject(settings, ejected, self.hosts.len()) {
            return None;
        }
        let jitter = Duration::from_nanos(random.below(nanos(settings)));
        Some(host.state.counters.eject(settings, now, jitter))
    }
}

fn nanos(settings: &OutlierDetection) -> u64 {
    u64::try_from(settings.jitter.as_nanos()).unwrap_or(u64::MAX)
}

impl<T> fmt::Debug for Cluster<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("hosts", &self.set.load().hosts())
            .finish_non_exhaustive()
    }
}
