//! The machine: streams, responses, demands and time in; requests and answers out.

use std::collections::VecDeque;
use std::time::Instant;

use mesh_core::name::Name;

use super::config::{DeltaConfig, Subscription};
use super::demands::{Answer, DemandId};
use super::doubt::Probe;
use super::initial;
use super::kind::{Answers, Kind};
use super::nack;
use crate::apply::Rejection;
use crate::wire::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, Status};

/// `INVALID_ARGUMENT` of gRPC.
const INVALID_ARGUMENT: i32 = 3;

/// A client of one control plane. See [the module](super) for what it promises.
///
/// Whoever drives it calls [`opened`](Self::opened) for each new stream, [`receive`](Self::receive)
/// for each response and [`advance`](Self::advance) when [`wake_at`](Self::wake_at) has come, and
/// after each of these, and after a [`demand`](Self::demand), sends every
/// [`next_request`](Self::next_request), hands out every [`next_answer`](Self::next_answer), and
/// opens a further stream for a [`next_probe`](Self::next_probe).
#[derive(Debug)]
pub struct Delta {
    config: DeltaConfig,
    kinds: Vec<Kind>,
    is_open: bool,
    /// When the server is late with its first response of the stream.
    late_at: Option<Instant>,
    outgoing: VecDeque<DeltaDiscoveryRequest>,
    answers: Answers,
    next_demand: u64,
    probe: Option<Probe>,
}

/// What a response was and what came of it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Received {
    /// The type URL.
    pub type_url: String,
    /// Whether there is a subscription to the type. If not, the response has been rejected.
    pub is_known: bool,
    /// Whether this was the first response of the type since the client was made.
    pub is_first: bool,
    /// How many resources were applied.
    pub upserted: usize,
    /// How many known resources were removed.
    pub removed: usize,
    /// Resources that were not taken over.
    pub rejected: Vec<Rejection>,
    /// How many fields had a value that this version does not know, and count as absent.
    pub ignored: usize,
}

impl Delta {
    /// A client with these subscriptions, which are sent in this order.
    #[must_use]
    pub fn new(config: DeltaConfig, subscriptions: impl IntoIterator<Item = Subscription>) -> Self {
        Self {
            config,
            kinds: subscriptions.into_iter().map(Kind::new).collect(),
            is_open: false,
            late_at: None,
            outgoing: VecDeque::new(),
            answers: Answers::new(),
            next_demand: 0,
            probe: None,
        }
    }

    /// A stream has been opened: the subscriptions are sent, with what is known of the resources.
    pub fn opened(&mut self, now: Instant) {
        self.closed();
        self.is_open = true;
        let mut is_owed = false;
        for kind in &mut self.kinds {
            is_owed |= kind.is_owed();
            self.outgoing.extend(kind.start(&self.config, now));
        }
        self.late_at = is_owed.then(|| now + self.config.first_response);
    }

    /// The stream is gone. Resources stay, demands go on waiting.
    pub fn closed(&mut self) {
        self.is_open = false;
        self.late_at = None;
        self.outgoing.clear();
        self.probe = None;
        self.kinds.iter_mut().for_each(Kind::closed);
    }

    /// Applies a response of the stream, and queues its acknowledgement or rejection.
    pub fn receive(&mut self, response: DeltaDiscoveryResponse, now: Instant) -> Received {
        self.late_at = None;
        let mut reply = DeltaDiscoveryRequest {
            type_url: response.type_url.clone(),
            response_nonce: response.nonce.clone(),
            ..DeltaDiscoveryRequest::default()
        };
        let type_url = response.type_url.clone();
        let kind = self.kinds.iter_mut().find(|k| k.type_url() == type_url);
        let mut received = Received {
            type_url,
            is_known: kind.is_some(),
            ..Received::default()
        };
        if let Some(kind) = kind {
            received.is_first = !kind.synced;
            let outcome = kind.receive(response, &mut self.answers);
            kind.doubt.heard(now, &self.config);
            received.upserted = outcome.upserted;
            received.removed = outcome.removed;
            received.ignored = outcome.ignored;
            received.rejected = outcome.rejected;
        }
        if let Some(message) = self.rejection(&received) {
            reply.error_detail = Some(Status {
                code: INVALID_ARGUMENT,
                message,
                details: Vec::new(),
            });
        }
        if self.is_open {
            self.outgoing.push_back(reply);
        }
        received
    }

    fn rejection(&self, received: &Received) -> Option<String> {
        let limit = self.config.rejection_bytes;
        if !received.is_known {
            let known: Vec<_> = self.kinds.iter().map(Kind::type_url).collect();
            let reason = format!("expected one of {}", known.join(", "));
            return Some(nack::message(
                &[Rejection::new(received.type_url.as_str(), reason)],
                limit,
            ));
        }
        (!received.rejected.is_empty()).then(|| nack::message(&received.rejected, limit))
    }

    /// Wants a resource of a type that is subscribed on demand, by its name or an alias, such as
    /// `network/ip` of a workload.
    ///
    /// The answer comes by [`next_answer`](Self::next_answer), after at most
    /// [`DeltaConfig::demand_timeout`] also while there is no stream.
    ///
    /// With a wildcard subscription, whatever the first response of the type has not brought does
    /// not exist: should a server split what it has, demands of what is in later parts are answered
    /// as not found. Istio's control plane does not split.
    pub fn demand(&mut self, type_url: &str, name: Name, now: Instant) -> DemandId {
        let id = DemandId(self.next_demand);
        self.next_demand += 1;
        match self.kinds.iter_mut().find(|k| k.type_url() == type_url) {
            Some(kind) => kind.demand(name, id, now, &self.config, &mut self.answers),
            None => self.answers.push_back((id, Answer::NotFound)),
        }
        id
    }

    /// Adds names to a [named](super::Interest::Named) subscription.
    pub fn subscribe(&mut self, type_url: &str, names: impl IntoIterator<Item = Name>) {
        if let Some(kind) = self.kinds.iter_mut().find(|k| k.type_url() == type_url) {
            kind.add_names(names);
        }
    }

    /// Takes names out of a [named](super::Interest::Named) subscription; the resources are removed.
    pub fn unsubscribe(&mut self, type_url: &str, names: impl IntoIterator<Item = Name>) {
        if let Some(kind) = self.kinds.iter_mut().find(|k| k.type_url() == type_url) {
            kind.remove_names(names);
        }
    }

    /// Lets demands time out whose time is over.
    pub fn advance(&mut self, now: Instant) {
        for kind in &mut self.kinds {
            let expired = kind.demands.expire(now).into_iter();
            let timed_out = expired.map(|id| (id, Answer::TimedOut));
            self.answers.extend(timed_out);
        }
        if self.probe.as_ref().is_some_and(|probe| probe.until <= now) {
            self.probe_ended(now);
        }
    }

    /// When [`advance`](Self::advance) and [`next_probe`](Self::next_probe) have something to do.
    #[must_use]
    pub fn wake_at(&self) -> Option<Instant> {
        let demands = self.kinds.iter().filter_map(|k| k.demands.next_deadline());
        let probes = match &self.probe {
            Some(probe) => Some(probe.until),
            None => self.kinds.iter().filter_map(|k| k.doubt.ask_at()).min(),
        };
        demands.chain(probes).min()
    }

    /// A part of the first response came at this time: the server has
    /// [`DeltaConfig::first_response`] from then on for more of it.
    pub fn progressed(&mut self, at: Instant) {
        if let Some(late_at) = &mut self.late_at {
            *late_at = (*late_at).max(at + self.config.first_response);
        }
    }

    /// When a stream is given up on which nothing has come: [`DeltaConfig::first_response`] after it
    /// was [opened](Self::opened), or after the last [progress](Self::progressed). `None` once a
    /// response has come, and when the first requests call for no response: there are no wildcard
    /// subscriptions, and all the names have versions.
    #[must_use]
    pub fn late_at(&self) -> Option<Instant> {
        self.late_at
    }

    /// The next request for the stream.
    pub fn next_request(&mut self, now: Instant) -> Option<DeltaDiscoveryRequest> {
        if !self.is_open {
            return None;
        }
        if self.outgoing.is_empty() {
            for kind in &mut self.kinds {
                self.outgoing.extend(kind.changes(&self.config, now));
            }
        }
        self.outgoing.pop_front()
    }

    /// The next demand that has been answered.
    pub fn next_answer(&mut self) -> Option<(DemandId, Answer)> {
        self.answers.pop_front()
    }

    /// The first request of a further stream, when resources are in doubt and it is time to ask.
    ///
    /// Responses of that stream go to [`probe_received`](Self::probe_received). It is closed when
    /// [`is_probing`](Self::is_probing) turns false.
    pub fn next_probe(&mut self, now: Instant) -> Option<DeltaDiscoveryRequest> {
        if !self.is_open || self.probe.is_some() {
            return None;
        }
        let due = |kind: &Kind| kind.doubt.ask_at().is_some_and(|at| at <= now);
        let (at, kind) = self.kinds.iter_mut().enumerate().find(|(_, k)| due(k))?;
        let mut first = kind.request();
        first.node = Some(self.config.node.clone());
        let names = kind.doubt.ask();
        let request = initial::subscribe(first, names.iter(), self.config.request_bytes);
        let request = request.into_iter().next()?;
        let asked = &request.resource_names_subscribe;
        self.probe = Some(Probe {
            kind: at,
            unanswered: asked.iter().map(|name| name.as_str().into()).collect(),
            until: now + self.config.probe_timeout,
        });
        Some(request)
    }

    /// Whether the stream of a probe is still of use.
    #[must_use]
    pub fn is_probing(&self) -> bool {
        self.probe.is_some()
    }

    /// Takes a response to a probe; the acknowledgement to send.
    ///
    /// Removals count for what is in doubt. Resources exist and are not applied: the other stream
    /// brings them, in an order with their later changes. Until it does they stay in doubt.
    pub fn probe_received(
        &mut self,
        response: DeltaDiscoveryResponse,
        now: Instant,
    ) -> Option<DeltaDiscoveryRequest> {
        let probe = self.probe.as_mut()?;
        let kind = self.kinds.get_mut(probe.kind)?;
        if kind.type_url() != response.type_url {
            return None;
        }
        let mut reply = kind.request();
        reply.response_nonce = response.nonce;
        for resource in &response.resources {
            probe.unanswered.remove(resource.name.as_str());
            kind.doubt.exists(&resource.name);
        }
        let mut gone = Vec::new();
        for name in response.removed_resources {
            if probe.unanswered.remove(name.as_str()) && kind.doubt.mentioned(&name) {
                gone.push(name.into());
            }
        }
        kind.remove(gone);
        if probe.unanswered.is_empty() {
            self.probe_ended(now);
        }
        Some(reply)
    }

    /// The stream of a probe has failed or ended.
    pub fn probe_ended(&mut self, now: Instant) {
        if let Some(probe) = self.probe.take()
            && let Some(kind) = self.kinds.get_mut(probe.kind)
        {
            let answered = probe.unanswered.is_empty();
            kind.doubt.probed(answered, now, self.config.probe_timeout);
        }
    }

    /// Whether every wildcard subscription has been answered once, with or without rejections.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.kinds.iter().all(Kind::is_ready)
    }

    /// How many resources of a type are known.
    #[must_use]
    pub fn known(&self, type_url: &str) -> usize {
        let kind = self.kinds.iter().find(|k| k.type_url() == type_url);
        kind.map_or(0, |kind| kind.retained.len())
    }
}
