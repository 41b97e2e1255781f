//! One type of resources: what is wanted, what is there, who waits.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Instant;

use mesh_core::name::Name;

use super::config::{DeltaConfig, Interest, Subscription};
use super::demands::{Answer, DemandId, Demands};
use super::doubt::Doubt;
use super::initial;
use super::resources::{Applied, Change, Incoming, Resources};
use super::retained::Retained;
use super::version::Version;
use crate::apply::Rejection;
use crate::wire::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, Resource};

/// Answers to demands, until they are fetched.
pub(super) type Answers = VecDeque<(DemandId, Answer)>;

enum Wanted {
    All,
    Named(BTreeSet<Name>),
    OnDemand,
}

pub(super) struct Kind {
    resources: Box<dyn Resources>,
    type_url: Box<str>,
    wanted: Wanted,
    pub(super) retained: Retained,
    pub(super) demands: Demands,
    pub(super) doubt: Doubt,
    /// Whether the stream has had the first request of this type.
    started: bool,
    /// Whether a response has ever been processed.
    pub(super) synced: bool,
    /// Changes of the subscription that the server has not heard of. Removals are sent first.
    unsubscribe: BTreeSet<Name>,
    subscribe: BTreeSet<Name>,
}

/// What a response did.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) upserted: usize,
    pub(super) removed: usize,
    pub(super) rejected: Vec<Rejection>,
    pub(super) ignored: usize,
}

/// What is remembered of a resource while it is being applied.
struct Arrival {
    name: Name,
    is_new: bool,
    version: Version,
    aliases: Vec<String>,
}

impl Kind {
    pub(super) fn new(subscription: Subscription) -> Self {
        Self {
            type_url: subscription.resources.type_url().into(),
            resources: subscription.resources,
            wanted: match subscription.interest {
                Interest::All => Wanted::All,
                Interest::Named(names) => Wanted::Named(names.into_iter().collect()),
                Interest::OnDemand => Wanted::OnDemand,
            },
            retained: Retained::default(),
            demands: Demands::default(),
            doubt: Doubt::default(),
            started: false,
            synced: false,
            unsubscribe: BTreeSet::new(),
            subscribe: BTreeSet::new(),
        }
    }

    pub(super) fn type_url(&self) -> &str {
        &self.type_url
    }

    pub(super) fn request(&self) -> DeltaDiscoveryRequest {
        DeltaDiscoveryRequest {
            type_url: self.type_url.to_string(),
            ..DeltaDiscoveryRequest::default()
        }
    }

    /// Whether nothing is missing that is to be waited for.
    pub(super) fn is_ready(&self) -> bool {
        self.synced || !matches!(self.wanted, Wanted::All)
    }

    /// Whether a server has to answer the first requests of a stream: that everything which is
    /// asked for is as it was, it need not say.
    pub(super) fn is_owed(&self) -> bool {
        let unknown = |name: &Name| !self.retained.contains(name);
        match &self.wanted {
            Wanted::All => true,
            Wanted::Named(names) => names.iter().any(unknown),
            Wanted::OnDemand => self.demands.names().any(unknown),
        }
    }

    pub(super) fn closed(&mut self) {
        self.started = false;
        self.doubt = Doubt::default();
        self.subscribe.clear();
        self.unsubscribe.clear();
    }

    /// The first requests of a stream; none while there is nothing to subscribe to: a request
    /// without names would be a wildcard subscription.
    pub(super) fn start(
        &mut self,
        config: &DeltaConfig,
        now: Instant,
    ) -> Vec<DeltaDiscoveryRequest> {
        let mut first = self.request();
        first.node = Some(config.node.clone());
        let limit = config.request_bytes;
        let requests = match &self.wanted {
            Wanted::All => {
                let (request, left_out) = initial::wildcard(first, &self.retained, limit);
                self.doubt = Doubt::new(left_out, now, config);
                vec![request]
            }
            Wanted::Named(names) if names.is_empty() => return Vec::new(),
            Wanted::Named(names) => initial::named(first, names.iter(), &self.retained, limit),
            Wanted::OnDemand => {
                let known = self.retained.iter().map(|(name, _)| name);
                let names: BTreeSet<_> = known.chain(self.demands.names()).collect();
                if names.is_empty() {
                    // How Istio's clients subscribe to nothing yet.
                    first.resource_names_subscribe.push("*".to_owned());
                    first.resource_names_unsubscribe.push("*".to_owned());
                }
                initial::named(first, names.into_iter(), &self.retained, limit)
            }
        };
        self.started = true;
        self.subscribe.clear();
        self.unsubscribe.clear();
        requests
    }

    /// Requests for what has changed about the subscription.
    pub(super) fn changes(
        &mut self,
        config: &DeltaConfig,
        now: Instant,
    ) -> Vec<DeltaDiscoveryRequest> {
        if !self.started {
            return match &self.wanted {
                Wanted::Named(names) if !names.is_empty() => self.start(config, now),
                _ => Vec::new(),
            };
        }
        let mut requests = Vec::new();
        let limit = config.request_bytes;
        if !self.unsubscribe.is_empty() {
            let names = std::mem::take(&mut self.unsubscribe);
            for mut request in initial::subscribe(self.request(), names.iter(), limit) {
                let names = &mut request.resource_names_subscribe;
                request.resource_names_unsubscribe = std::mem::take(names);
                requests.push(request);
            }
        }
        if !self.subscribe.is_empty() {
            let names = std::mem::take(&mut self.subscribe);
            requests.extend(initial::subscribe(self.request(), names.iter(), limit));
        }
        requests
    }

    fn ask_for(&mut self, name: Name) {
        self.subscribe.insert(name);
    }

    fn cease(&mut self, name: &Name) {
        if !self.subscribe.remove(name) {
            self.unsubscribe.insert(name.clone());
        }
    }

    /// Whether the stream has, or is about to have, a subscription on demand to the name itself.
    fn is_subscribed(&self, name: &str) -> bool {
        self.retained.contains(name) || self.demands.contains(name)
    }

    /// Subscribes to the name of a resource that has come without a subscription to it: it was found
    /// by an alias, or was on its way when the subscription ceased. Whatever is kept is kept up to
    /// date, by its name.
    fn keep(&mut self, name: &Name) {
        if !self.unsubscribe.remove(name) {
            self.ask_for(name.clone());
        }
    }

    pub(super) fn add_names(&mut self, names: impl IntoIterator<Item = Name>) {
        let Wanted::Named(wanted) = &mut self.wanted else {
            return;
        };
        for name in names {
            if wanted.insert(name.clone()) {
                self.subscribe.insert(name);
            }
        }
    }

    pub(super) fn remove_names(&mut self, names: impl IntoIterator<Item = Name>) {
        let mut removed = Vec::new();
        for name in names {
            if let Wanted::Named(wanted) = &mut self.wanted
                && wanted.remove(&name)
            {
                removed.extend(self.retained.remove(&name));
                self.cease(&name);
            }
        }
        if !removed.is_empty() {
            self.resources.apply(Change::new(removed, Vec::new()));
        }
    }

    pub(super) fn demand(
        &mut self,
        name: Name,
        id: DemandId,
        now: Instant,
        config: &DeltaConfig,
        answers: &mut Answers,
    ) {
        if self.retained.contains(&name) {
            return answers.push_back((id, Answer::Found));
        }
        if matches!(self.wanted, Wanted::All) && self.synced {
            return answers.push_back((id, Answer::NotFound));
        }
        let on_demand = matches!(self.wanted, Wanted::OnDemand);
        if self.demands.waiting() >= config.waiting {
            return answers.push_back((id, Answer::TimedOut));
        }
        if self.demands.len() >= config.demands && !self.demands.contains(&name) {
            match self.demands.evict() {
                Some(idle) if on_demand => self.cease(&idle),
                Some(_) => {}
                None => return answers.push_back((id, Answer::TimedOut)),
            }
        }
        let until = now + config.demand_timeout;
        if self.demands.enter(name.clone(), id, until) && on_demand {
            self.ask_for(name);
        }
    }

    pub(super) fn receive(
        &mut self,
        response: DeltaDiscoveryResponse,
        answers: &mut Answers,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let count = response.removed_resources.len();
        let (mut removed, mut gone) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for name in response.removed_resources {
            self.doubt.mentioned(&name);
            // What this client never had, another source may have put where the resources go.
            removed.extend(self.retained.remove(&name));
            gone.push(name);
        }
        outcome.removed = removed.len();
        let (incoming, arrivals) = self.arrivals(response.resources, &mut outcome.rejected);
        let applied = self.resources.apply(Change::new(removed, incoming));
        outcome.ignored = applied.ignored;
        for name in gone {
            self.answer_removal(&name, answers);
        }
        outcome.upserted = arrivals.len().saturating_sub(applied.rejected.len());
        self.settle(arrivals, &applied, answers);
        outcome.rejected.extend(applied.rejected);
        self.synced = true;
        if matches!(self.wanted, Wanted::All) && !self.demands.is_empty() {
            // Everything is wanted and here: what has not come does not exist.
            let waiting = self.demands.drain().into_iter();
            answers.extend(waiting.map(|id| (id, Answer::NotFound)));
        }
        outcome
    }

    /// Removes what a probe found to be gone.
    pub(super) fn remove(&mut self, names: Vec<Name>) {
        for name in &names {
            self.retained.remove(name);
        }
        if !names.is_empty() {
            self.resources.apply(Change::new(names, Vec::new()));
        }
    }

    /// Sorts out what can be applied: of the right type, with a name, the last of its name.
    fn arrivals(
        &mut self,
        resources: Vec<Resource>,
        rejected: &mut Vec<Rejection>,
    ) -> (Vec<Incoming>, Vec<Arrival>) {
        let last: HashMap<&str, usize, foldhash::fast::RandomState> = resources
            .iter()
            .enumerate()
            .map(|(at, resource)| (resource.name.as_str(), at))
            .collect();
        let repeated = last.len() < resources.len();
        let keep: Vec<bool> = match repeated {
            true => resources
                .iter()
                .enumerate()
                .map(|(at, resource)| last.get(resource.name.as_str()) == Some(&at))
                .collect(),
            false => Vec::new(),
        };
        drop(last);
        let mut incoming = Vec::with_capacity(resources.len());
        let mut arrivals = Vec::with_capacity(resources.len());
        for (at, resource) in resources.into_iter().enumerate() {
            if keep.get(at) == Some(&false) || !self.is_wanted(&resource) {
                continue;
            }
            self.doubt.mentioned(&resource.name);
            let body = match self.body(&resource) {
                Ok(body) => body,
                Err(reason) => {
                    let name = match resource.name.as_str() {
                        "" => "(no name)",
                        name => name,
                    };
                    rejected.push(Rejection::new(name, reason));
                    continue;
                }
            };
            let retained = self.retained.get(&resource.name).cloned();
            let known = retained.is_some();
            let name = retained.unwrap_or_else(|| resource.name.into());
            arrivals.push(Arrival {
                name: name.clone(),
                is_new: !known,
                version: Version::new(&resource.version),
                aliases: resource.aliases,
            });
            incoming.push(Incoming { name, body, known });
        }
        (incoming, arrivals)
    }

    /// Whether the client asked for it. With names, what comes late for a name that is not wanted
    /// any more would never be removed again.
    fn is_wanted(&self, resource: &Resource) -> bool {
        match &self.wanted {
            Wanted::All | Wanted::OnDemand => true,
            Wanted::Named(names) => {
                let mut of = resource.aliases.iter().chain([&resource.name]);
                of.any(|name| names.contains(name.as_str()))
            }
        }
    }

    fn body(&self, resource: &Resource) -> Result<bytes::Bytes, String> {
        if resource.name.is_empty() {
            return Err("a resource without a name".to_owned());
        }
        match &resource.resource {
            None => Err("there is no resource in it".to_owned()),
            Some(any) if any.type_url != *self.type_url => Err(format!(
                "expected a resource of type {}, got {}",
                self.type_url, any.type_url
            )),
            Some(any) => Ok(any.value.clone()),
        }
    }

    /// Keeps the versions of what was accepted, and answers demands of all that came.
    fn settle(&mut self, arrivals: Vec<Arrival>, applied: &Applied, answers: &mut Answers) {
        let rejected: BTreeSet<&str> = applied.rejected.iter().map(|r| &*r.name).collect();
        let replaced: BTreeSet<&str> = applied.replaced.iter().map(|name| &**name).collect();
        let on_demand = matches!(self.wanted, Wanted::OnDemand);
        let new = arrivals.iter().filter(|arrival| arrival.is_new);
        self.retained.reserve(new.count());
        for arrival in arrivals {
            let Arrival {
                name,
                version,
                aliases,
                ..
            } = arrival;
            // No version of the server's: it sends again what was rejected, after a reconnect too.
            let version = match rejected.contains(&*name) {
                false => Some(version),
                true => replaced.contains(&*name).then(|| Version::new("")),
            };
            if let Some(version) = version {
                if on_demand && !self.is_subscribed(&name) {
                    self.keep(&name);
                }
                self.retained.insert(&name, version);
            }
            if !self.demands.is_empty() {
                let rejected = rejected.contains(&*name);
                self.answer_arrival(&name, &aliases, rejected, answers);
            }
        }
    }

    fn answer_arrival(
        &mut self,
        name: &Name,
        aliases: &[String],
        rejected: bool,
        answers: &mut Answers,
    ) {
        let there = self.retained.contains(name);
        let answer = |there: bool| match there {
            true => Answer::Found,
            false => Answer::Rejected,
        };
        let on_demand = matches!(self.wanted, Wanted::OnDemand);
        let by_name = self.demands.answered(name);
        if by_name.is_some() && on_demand && !there {
            self.cease(name);
        }
        let by_name = by_name.unwrap_or_default().into_iter();
        answers.extend(by_name.map(|id| (id, answer(there))));
        let mut waiting = Vec::new();
        for alias in aliases.iter().filter(|alias| **alias != **name) {
            let Some(ids) = self.demands.answered(alias) else {
                continue;
            };
            waiting.extend(ids);
            if on_demand {
                self.cease(&alias.as_str().into());
            }
        }
        // The version that is in force may be from before the alias.
        let answer = answer(there && !rejected);
        answers.extend(waiting.into_iter().map(|id| (id, answer)));
    }

    fn answer_removal(&mut self, name: &str, answers: &mut Answers) {
        if matches!(self.wanted, Wanted::OnDemand) {
            self.cease(&name.into());
        }
        if let Some(waiting) = self.demands.answered(name) {
            answers.extend(waiting.into_iter().map(|id| (id, Answer::NotFound)));
        }
    }
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kind")
            .field("type_url", &self.type_url)
            .field("retained", &self.retained.len())
            .field("synced", &self.synced)
            .finish_non_exhaustive()
    }
}
