//! Equally good hosts, and the choice of one of them.

use std::sync::Arc;

use super::alias::Alias;
use super::host::Host;
use super::maglev::Maglev;
use super::ring::Ring;
use super::sequence::Sequence;
use super::settings::{Algorithm, Balancing};
use crate::random::Random;

/// How often a second host is drawn that is not the first one.
const REDRAWS: u32 = 3;

/// What a choice looks at besides the hosts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draw {
    pub(super) hash: Option<u64>,
    pub(super) attempt: u32,
    /// Milliseconds since the epoch of the cluster.
    pub(super) now: u64,
}

/// Equally good hosts.
#[derive(Debug)]
pub(super) struct Pool<T> {
    hosts: Box<[Arc<Host<T>>]>,
    chooser: Chooser,
    bounded_load: Option<u32>,
}

#[derive(Debug)]
enum Chooser {
    Turns(Sequence),
    Chance(Alias),
    Least(Alias, u32),
    Ewma(Alias),
    Ring(Ring),
    Maglev(Maglev),
}

impl<T> Pool<T> {
    /// Hosts with their effective weights.
    pub(super) fn new(hosts: Vec<(Arc<Host<T>>, f64)>, balancing: &Balancing, seed: u64) -> Self {
        let weights: Vec<f64> = hosts.iter().map(|(_, weight)| *weight).collect();
        let keyed = hosts
            .iter()
            .map(|(host, weight)| (host.spec.key.as_str(), *weight));
        let chooser = match balancing.algorithm {
            Algorithm::RoundRobin => Chooser::Turns(Sequence::new(&weights, seed)),
            Algorithm::Random => Chooser::Chance(Alias::new(&weights)),
            Algorithm::LeastRequest { choices } => Chooser::Least(Alias::new(&weights), choices),
            Algorithm::PeakEwma => Chooser::Ewma(Alias::new(&weights)),
            Algorithm::RingHash(size) => Chooser::Ring(Ring::new(keyed, size)),
            Algorithm::Maglev(size) => Chooser::Maglev(Maglev::new(keyed, size)),
        };
        Self {
            hosts: hosts.into_iter().map(|(host, _)| host).collect(),
            chooser,
            bounded_load: balancing.bounded_load,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// Chooses a host; `None` when there is none.
    pub(super) fn choose(&self, draw: Draw, random: &mut impl Random) -> Option<&Arc<Host<T>>> {
        match &self.chooser {
            Chooser::Turns(turns) => self.host(turns.next()?),
            Chooser::Chance(alias) => self.host(alias.draw(random)?),
            Chooser::Least(alias, choices) => self.least(alias, *choices, random),
            Chooser::Ewma(alias) => self.soonest(alias, draw.now, random),
            Chooser::Ring(ring) => self.hashed(draw, random, |hash, at| ring.host(hash, at)),
            Chooser::Maglev(table) => self.hashed(draw, random, |hash, at| table.host(hash, at)),
        }
    }

    fn host(&self, at: u32) -> Option<&Arc<Host<T>>> {
        self.hosts.get(usize::try_from(at).ok()?)
    }

    /// Of equally busy ones the first that was drawn, so that an idle cluster is used by weights.
    fn least(
        &self,
        alias: &Alias,
        choices: u32,
        random: &mut impl Random,
    ) -> Option<&Arc<Host<T>>> {
        let mut best = self.host(alias.draw(random)?)?;
        for _ in 1..choices.clamp(2, 64) {
            let other = self.host(alias.draw(random)?)?;
            let busier = |host: &Host<T>, than: &Host<T>| {
                f64::from(host.active()) * than.weight() > f64::from(than.active()) * host.weight()
            };
            if busier(best, other) {
                best = other;
            }
        }
        Some(best)
    }

    fn soonest(&self, alias: &Alias, now: u64, random: &mut impl Random) -> Option<&Arc<Host<T>>> {
        // The upper bits are dropped on purpose: these times begin anew.
        let now = (now & u64::from(u32::MAX)) as u32;
        let cost = |host: &Host<T>| host.state.ewma.cost(host.active(), now);
        let one = self.host(alias.draw(random)?)?;
        let mut other = self.host(alias.draw(random)?)?;
        // Of few hosts one is often drawn twice, and then it would get requests however slow it is.
        for _ in 0..REDRAWS {
            if !Arc::ptr_eq(one, other) {
                break;
            }
            other = self.host(alias.draw(random)?)?;
        }
        Some(if cost(other) < cost(one) { other } else { one })
    }

    fn hashed(
        &self,
        draw: Draw,
        random: &mut impl Random,
        at: impl Fn(u64, u32) -> Option<u32>,
    ) -> Option<&Arc<Host<T>>> {
        let hash = draw.hash.unwrap_or_else(|| random.next());
        let first = self.host(at(hash, draw.attempt)?)?;
        let Some(factor) = self.bounded_load else {
            return Some(first);
        };
        let active: u64 = self.hosts.iter().map(|host| u64::from(host.active())).sum();
        // One more is about to come.
        let average = (active + 1) as f64 / self.hosts.len() as f64;
        let most = (average * f64::from(factor.max(100)) / 100.0).ceil() as u64;
        let fits = |host: &&Arc<Host<T>>| u64::from(host.active()) < most;
        let tries = u32::try_from(self.hosts.len()).unwrap_or(u32::MAX).min(256);
        let others = (1..=tries).filter_map(|next| self.host(at(hash, draw.attempt + next)?));
        Some(
            std::iter::once(first)
                .chain(others)
                .find(fits)
                .unwrap_or(first),
        )
    }
}
