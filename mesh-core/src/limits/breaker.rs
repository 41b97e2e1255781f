//! Connections, pending requests, requests and retries of one upstream.

use super::{Limit, Permit, RetryBudget};

/// What a [`CircuitBreaker`] allows. The default is Istio's: no limit.
///
/// Source: Envoy's `CircuitBreakers.Thresholds`; Istio's `DestinationRule.trafficPolicy.connectionPool`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BreakerSettings {
    /// Connections at once.
    pub connections: u32,
    /// Requests that wait for a connection or a stream at once.
    pub pending: u32,
    /// Requests in flight at once.
    pub requests: u32,
    /// Retries in flight at once; not looked at where there is a budget.
    pub retries: u32,
    /// Retries in flight in proportion to the requests.
    pub budget: Option<RetryBudget>,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            connections: u32::MAX,
            pending: u32::MAX,
            requests: u32::MAX,
            retries: u32::MAX,
            budget: None,
        }
    }
}

/// The limits of one upstream. Clones count together.
///
/// What is over a limit is refused at once (Envoy's response flag `UO`), never queued.
#[derive(Clone, Debug)]
pub struct CircuitBreaker {
    connections: Limit,
    pending: Limit,
    requests: Limit,
    retries: Limit,
    budget: Option<RetryBudget>,
}

impl CircuitBreaker {
    /// A breaker that nothing counts in yet.
    #[must_use]
    pub fn new(settings: BreakerSettings) -> Self {
        Self {
            connections: Limit::new(settings.connections),
            pending: Limit::new(settings.pending),
            requests: Limit::new(settings.requests),
            retries: Limit::new(settings.retries),
            budget: settings.budget,
        }
    }

    /// A breaker with other settings that counts what this one counts, for a change of configuration.
    #[must_use]
    pub fn with_settings(&self, settings: BreakerSettings) -> Self {
        let next = Self {
            budget: settings.budget,
            ..self.clone()
        };
        next.connections.set_max(settings.connections);
        next.pending.set_max(settings.pending);
        next.requests.set_max(settings.requests);
        next.retries.set_max(settings.retries);
        next
    }

    /// One more connection.
    #[must_use]
    pub fn connection(&self) -> Option<Permit> {
        self.connections.acquire()
    }

    /// One more request that waits for a connection.
    #[must_use]
    pub fn pending(&self) -> Option<Permit> {
        self.pending.acquire()
    }

    /// One more request in flight.
    #[must_use]
    pub fn request(&self) -> Option<Permit> {
        self.requests.acquire()
    }

    /// One more retry in flight, by the budget where there is one.
    #[must_use]
    pub fn retry(&self) -> Option<Permit> {
        let Some(budget) = self.budget else {
            return self.retries.acquire();
        };
        let requests = self.requests.in_use().saturating_add(self.pending.in_use());
        self.retries.acquire_below(budget.allowed(requests))
    }

    /// The limits by name, for metrics: connections, pending, requests, retries.
    pub fn limits(&self) -> impl Iterator<Item = (&'static str, &Limit)> {
        [
            ("connections", &self.connections),
            ("pending", &self.pending),
            ("requests", &self.requests),
            ("retries", &self.retries),
        ]
        .into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_counts_by_itself() {
        let breaker = CircuitBreaker::new(BreakerSettings {
            connections: 1,
            pending: 2,
            requests: 3,
            retries: 4,
            budget: None,
        });
        let take: [(&dyn Fn() -> Option<Permit>, usize); 4] = [
            (&|| breaker.connection(), 1),
            (&|| breaker.pending(), 2),
            (&|| breaker.request(), 3),
            (&|| breaker.retry(), 4),
        ];
        let mut held = Vec::new();
        for (take, fit) in take {
            let taken: Vec<_> = (0..10).filter_map(|_| take()).collect();
            assert_eq!(taken.len(), fit);
            held.push(taken);
        }
        let refused: Vec<_> = breaker.limits().map(|(_, limit)| limit.refused()).collect();
        assert_eq!(refused, [9, 8, 7, 6]);
    }

    #[test]
    fn a_budget_takes_the_place_of_the_limit_of_retries() {
        let breaker = CircuitBreaker::new(BreakerSettings {
            retries: 0,
            budget: Some(RetryBudget::default()),
            ..BreakerSettings::default()
        });
        let few: Vec<_> = (0..10).filter_map(|_| breaker.retry()).collect();
        assert_eq!(few.len(), 3);
        let _requests: Vec<_> = (0..25).filter_map(|_| breaker.request()).collect();
        let _pending: Vec<_> = (0..25).filter_map(|_| breaker.pending()).collect();
        let more: Vec<_> = (0..10).filter_map(|_| breaker.retry()).collect();
        assert_eq!(few.len() + more.len(), 10, "a fifth of 50");
    }

    #[test]
    fn new_settings_keep_what_is_in_flight() {
        let breaker = CircuitBreaker::new(BreakerSettings::default());
        let _two = [breaker.request(), breaker.request()];
        let tighter = breaker.with_settings(BreakerSettings {
            requests: 2,
            ..BreakerSettings::default()
        });
        assert!(tighter.request().is_none());
    }
}
