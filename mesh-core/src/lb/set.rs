//! The hosts of a cluster at one moment, arranged for choosing.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::alias::Alias;
use super::host::{Health, Host};
use super::outlier::OutlierDetection;
use super::pool::{Draw, Pool};
use super::priority::{Count, Load, loads};
use super::settings::{Algorithm, Balancing};
use crate::random::Random;

/// What a request says about the choice of its host.
#[derive(Debug)]
#[non_exhaustive]
pub struct Pick<'a, T> {
    /// For algorithms by hash; without it any host will do.
    pub hash: Option<u64>,
    /// Hosts that were tried before: another one is chosen if one turns up soon.
    pub tried: &'a [Arc<Host<T>>],
    /// How often another one is looked for before a host is tried again; Istio's default is 5.
    pub reselections: u32,
}

impl<T> Default for Pick<'_, T> {
    fn default() -> Self {
        Self {
            hash: None,
            tried: &[],
            reselections: 5,
        }
    }
}

/// The hosts of a cluster at one moment. It never changes.
#[derive(Debug)]
pub struct HostSet<T> {
    hosts: Box<[Arc<Host<T>>]>,
    tiers: Box<[Tier<T>]>,
    outlier: Option<OutlierDetection>,
}

/// The hosts of one priority.
#[derive(Debug)]
struct Tier<T> {
    load: Load,
    /// All of them where health is disregarded.
    healthy: Group<T>,
    degraded: Group<T>,
}

/// Hosts by localities, where those have weights; otherwise all of them in one pool.
#[derive(Debug)]
struct Group<T> {
    localities: Alias,
    pools: Box<[Pool<T>]>,
}

/// What the sets of a cluster have in common.
pub(super) struct Arrangement<'a> {
    pub(super) balancing: &'a Balancing,
    /// Milliseconds since the epoch.
    pub(super) now: u64,
    /// Where turns begin.
    pub(super) seed: u64,
}

impl<T> HostSet<T> {
    pub(super) fn new(hosts: &[Arc<Host<T>>], arrangement: &Arrangement<'_>) -> Self {
        let priorities: BTreeSet<u32> = hosts.iter().map(|host| host.spec.priority).collect();
        let of = |priority: u32| -> Vec<&Arc<Host<T>>> {
            hosts
                .iter()
                .filter(|host| host.spec.priority == priority)
                .collect()
        };
        // Numbers without hosts are left out, as in Envoy's failover.
        let tiers: Vec<Vec<_>> = priorities.into_iter().map(of).collect();
        let counts: Vec<Count> = tiers.iter().map(|hosts| count(hosts)).collect();
        let loads = loads(&counts, arrangement.balancing.panic_percent);
        let tiers = tiers.into_iter().zip(loads);
        Self {
            tiers: tiers
                .map(|(hosts, load)| Tier::new(&hosts, load, arrangement))
                .collect(),
            hosts: hosts.into(),
            outlier: arrangement.balancing.outlier.clone(),
        }
    }

    pub(super) fn outlier(&self) -> Option<&OutlierDetection> {
        self.outlier.as_ref()
    }

    /// All hosts, the ones that are out among them.
    #[must_use]
    pub fn hosts(&self) -> &[Arc<Host<T>>] {
        &self.hosts
    }

    /// Whether a request would find a host.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.tiers
            .iter()
            .any(|tier| tier.load.healthy + tier.load.degraded > 0)
    }

    pub(super) fn pick(
        &self,
        pick: &Pick<'_, T>,
        now: u64,
        random: &mut impl Random,
    ) -> Option<&Arc<Host<T>>> {
        let mut chosen = None;
        for attempt in 0..=pick.reselections {
            let draw = Draw {
                hash: pick.hash,
                attempt,
                now,
            };
            let host = self.group(pick.hash, random)?.choose(draw, random)?;
            if !pick.tried.iter().any(|tried| tried.is(host)) {
                return Some(host);
            }
            chosen = Some(host);
        }
        chosen
    }

    /// Priority and health that a request goes to.
    fn group(&self, hash: Option<u64>, random: &mut impl Random) -> Option<&Group<T>> {
        let mut left = match hash {
            Some(hash) => (hash % 100) as u32,
            None => random.below(100) as u32,
        };
        let healthy = self
            .tiers
            .iter()
            .map(|tier| (tier.load.healthy, &tier.healthy));
        let degraded = self
            .tiers
            .iter()
            .map(|tier| (tier.load.degraded, &tier.degraded));
        for (load, group) in healthy.chain(degraded) {
            if left < load {
                return Some(group);
            }
            left -= load;
        }
        None
    }
}

fn count<T>(hosts: &[&Arc<Host<T>>]) -> Count {
    let of = |health| hosts.iter().filter(|host| host.health() == health).count();
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Count {
        healthy: number(of(Health::Healthy)),
        degraded: number(of(Health::Degraded)),
        total: number(hosts.len()),
    }
}

impl<T> Tier<T> {
    fn new(hosts: &[&Arc<Host<T>>], load: Load, arrangement: &Arrangement<'_>) -> Self {
        let some = |wanted: &dyn Fn(Health) -> bool| -> Vec<&Arc<Host<T>>> {
            hosts
                .iter()
                .copied()
                .filter(|host| wanted(host.health()))
                .collect()
        };
        let healthy = some(&|health| load.panic || health == Health::Healthy);
        let degraded = some(&|health| !load.panic && health == Health::Degraded);
        Self {
            load,
            healthy: Group::new(&healthy, hosts, arrangement),
            degraded: Group::new(&degraded, hosts, arrangement),
        }
    }
}

impl<T> Group<T> {
    /// Some of `all` hosts of a priority.
    fn new(some: &[&Arc<Host<T>>], all: &[&Arc<Host<T>>], arrangement: &Arrangement<'_>) -> Self {
        let pool = |hosts: Vec<&Arc<Host<T>>>| {
            let hosts = hosts
                .into_iter()
                .map(|host| (host.clone(), arrangement.weight(host)));
            Pool::new(hosts.collect(), arrangement.balancing, arrangement.seed)
        };
        let Some(localities) = &arrangement.balancing.localities else {
            return Self {
                localities: Alias::new(&[1.0]),
                pools: Box::new([pool(some.to_vec())]),
            };
        };
        let mut weights = Vec::new();
        let mut pools = Vec::new();
        for (name, weight) in localities {
            let of = |hosts: &[&Arc<Host<T>>]| {
                hosts
                    .iter()
                    .filter(|host| host.spec.locality == *name)
                    .count()
            };
            // A locality that has lost hosts keeps its share while 1.4 times the rest is enough.
            let available = (1.4 * of(some) as f64 / of(all).max(1) as f64).min(1.0);
            weights.push(f64::from(*weight) * available);
            let here = some
                .iter()
                .copied()
                .filter(|host| host.spec.locality == *name);
            pools.push(pool(here.collect()));
        }
        Self {
            localities: Alias::new(&weights),
            pools: pools.into(),
        }
    }

    fn choose(&self, draw: Draw, random: &mut impl Random) -> Option<&Arc<Host<T>>> {
        let mut by_hash = || draw.hash.unwrap_or_default().rotate_left(32);
        let locality = match draw.hash {
            // The same key always goes to the same locality.
            Some(_) => self.localities.draw(&mut by_hash)?,
            None => self.localities.draw(random)?,
        };
        let pool = self.pools.get(usize::try_from(locality).ok()?)?;
        let pool = (!pool.is_empty()).then_some(pool)?;
        pool.choose(draw, random)
    }
}

impl Arrangement<'_> {
    /// The weight of a host, with what slow start leaves of it.
    fn weight<T>(&self, host: &Host<T>) -> f64 {
        let grows = match self.balancing.algorithm {
            Algorithm::RoundRobin | Algorithm::LeastRequest { .. } | Algorithm::PeakEwma => {
                self.balancing.slow_start
            }
            Algorithm::Random | Algorithm::RingHash(_) | Algorithm::Maglev(_) => None,
        };
        let factor = grows.map_or(1.0, |slow| slow.factor(host.healthy_for(self.now)));
        host.weight() * factor
    }
}
