//! What one stream has subscribed to and been told, without IO.

use std::collections::{BTreeMap, BTreeSet};

use super::discovery::{Served, State};
use crate::wire::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, Resource};

/// One stream of one client.
#[derive(Debug, Default)]
pub(super) struct Session {
    types: BTreeMap<String, Interest>,
    nonce: u64,
}

/// One type of resources.
#[derive(Debug, Default)]
struct Interest {
    wildcard: bool,
    /// Names and aliases.
    names: BTreeSet<String>,
    /// Names and versions that the client has.
    told: BTreeMap<String, String>,
}

/// What is to be sent about one type.
#[derive(Default)]
struct News {
    resources: Vec<Resource>,
    removed: Vec<String>,
}

impl Session {
    /// The responses that a request asks for, of at most `split` resources each.
    pub(super) fn request(
        &mut self,
        request: DeltaDiscoveryRequest,
        state: &State,
        split: usize,
    ) -> Vec<DeltaDiscoveryResponse> {
        if !request.response_nonce.is_empty() {
            // An acknowledgement, or a rejection: the client keeps what it had. As with Istio,
            // the resource is sent again when it changes.
            return Vec::new();
        }
        let empty = Served::default();
        let served = state.types.get(&request.type_url).unwrap_or(&empty);
        let is_first = !self.types.contains_key(&request.type_url);
        let interest = self.types.entry(request.type_url.clone()).or_default();
        let mut asked = request.resource_names_subscribe;
        if is_first {
            interest.wildcard = asked.is_empty();
            interest.told = request.initial_resource_versions.into_iter().collect();
        }
        for name in &asked {
            interest.wildcard |= name == "*";
            interest.names.insert(name.clone());
            // Who asks for what it has wants to have it again.
            if !is_first {
                interest.told.remove(name);
            }
        }
        for name in &request.resource_names_unsubscribe {
            interest.wildcard &= name != "*";
            interest.names.remove(name);
            interest.told.remove(name);
        }
        asked.retain(|name| interest.names.contains(name) && name != "*");
        let mut news = match interest.wildcard && is_first {
            true => interest.changes(served),
            false => interest.answer(&asked, served),
        };
        if is_first {
            news.removed.extend(interest.vanished(served));
        }
        if !is_first && news.is_empty() {
            return Vec::new();
        }
        self.responses(&request.type_url, news, split)
    }

    /// The responses that changes of the resources call for.
    pub(super) fn changes(&mut self, state: &State, split: usize) -> Vec<DeltaDiscoveryResponse> {
        let empty = Served::default();
        let mut all = Vec::new();
        for (type_url, interest) in &mut self.types {
            let served = state.types.get(type_url).unwrap_or(&empty);
            let mut news = interest.changes(served);
            news.removed.extend(interest.vanished(served));
            if !news.is_empty() {
                all.push((type_url.clone(), news));
            }
        }
        all.into_iter()
            .flat_map(|(type_url, news)| self.responses(&type_url, news, split))
            .collect()
    }

    fn responses(
        &mut self,
        type_url: &str,
        news: News,
        split: usize,
    ) -> Vec<DeltaDiscoveryResponse> {
        let mut responses = Vec::new();
        let mut resources = news.resources.into_iter().peekable();
        let mut removed = Some(news.removed);
        while removed.is_some() || resources.peek().is_some() {
            self.nonce += 1;
            responses.push(DeltaDiscoveryResponse {
                type_url: type_url.to_owned(),
                nonce: self.nonce.to_string(),
                resources: resources.by_ref().take(split).collect(),
                removed_resources: removed.take().unwrap_or_default(),
                ..DeltaDiscoveryResponse::default()
            });
        }
        responses
    }
}

impl News {
    fn is_empty(&self) -> bool {
        self.resources.is_empty() && self.removed.is_empty()
    }
}

impl Interest {
    /// What the client does not have in this version.
    fn changes(&mut self, served: &Served) -> News {
        let mut news = News::default();
        let mut tell = |told: &mut BTreeMap<String, String>, name: &str| {
            let Some(resource) = served.get(name) else {
                return;
            };
            if told.get(name) != Some(&resource.version) {
                told.insert(name.to_owned(), resource.version.clone());
                news.resources.push(resource.encode(name));
            }
        };
        if self.wildcard {
            for (name, _) in served.iter() {
                tell(&mut self.told, name);
            }
        } else {
            let names = self.names.iter().flat_map(|name| served.named(name));
            for name in names.collect::<BTreeSet<_>>() {
                tell(&mut self.told, name);
            }
        }
        news
    }

    /// What was asked for by name; what there is not is removed.
    fn answer(&mut self, asked: &[String], served: &Served) -> News {
        let mut news = News::default();
        let mut found = BTreeSet::new();
        for name in asked {
            let before = found.len();
            found.extend(served.named(name).map(str::to_owned));
            if found.len() == before && served.named(name).next().is_none() {
                news.removed.push(name.clone());
                self.told.remove(name);
            }
        }
        for name in found {
            let Some(resource) = served.get(&name) else {
                continue;
            };
            if self.told.get(&name) != Some(&resource.version) {
                news.resources.push(resource.encode(&name));
                self.told.insert(name.clone(), resource.version.clone());
            }
            // Later changes go by the name of the resource, as with Istio.
            self.names.insert(name);
        }
        news
    }

    /// What the client has and the server does not.
    fn vanished(&mut self, served: &Served) -> Vec<String> {
        let gone = self.told.keys().filter(|name| served.get(name).is_none());
        let gone: Vec<_> = gone.cloned().collect();
        for name in &gone {
            self.told.remove(name);
        }
        gone
    }
}
