//! The first requests of a stream, within the limit.

use mesh_core::name::Name;
use prost::Message;

use super::retained::Retained;
use crate::wire::discovery::DeltaDiscoveryRequest;

/// The first request of a wildcard subscription with as many known versions as fit, and the names
/// that did not.
pub(super) fn wildcard(
    mut request: DeltaDiscoveryRequest,
    retained: &Retained,
    limit: usize,
) -> (DeltaDiscoveryRequest, Vec<Name>) {
    let mut room = limit.saturating_sub(request.encoded_len());
    let sized = retained.iter().map(|(name, version)| {
        let bytes = entry_bytes(name.len(), version.len());
        (version.is_empty(), bytes, name, version)
    });
    let mut entries: Vec<_> = sized.collect();
    if entries.iter().map(|(_, bytes, ..)| bytes).sum::<usize>() > room {
        entries.sort_unstable_by(|a, b| (a.0, a.1, a.2).cmp(&(b.0, b.1, b.2)));
    }
    let mut left_out = Vec::new();
    for (_, bytes, name, version) in entries {
        match room.checked_sub(bytes) {
            Some(rest) if left_out.is_empty() => {
                room = rest;
                let versions = &mut request.initial_resource_versions;
                versions.insert(name.to_string(), version.to_string());
            }
            _ => left_out.push(name.clone()),
        }
    }
    (request, left_out)
}

/// The first requests of a subscription to names: all of them, with the versions that are known as
/// far as they fit beside the names of the first request.
pub(super) fn named<'a>(
    first: DeltaDiscoveryRequest,
    names: impl Iterator<Item = &'a Name>,
    retained: &Retained,
    limit: usize,
) -> Vec<DeltaDiscoveryRequest> {
    let mut requests = subscribe(first, names, limit);
    let Some(first) = requests.first_mut() else {
        return requests;
    };
    let mut room = limit.saturating_sub(first.encoded_len());
    for name in &first.resource_names_subscribe {
        let Some(version) = retained.version(name) else {
            continue;
        };
        let Some(rest) = room.checked_sub(entry_bytes(name.len(), version.len())) else {
            break;
        };
        room = rest;
        let versions = &mut first.initial_resource_versions;
        versions.insert(name.clone(), version.to_string());
    }
    requests
}

/// Requests that subscribe to names: the first as given, further ones when it gets too long. Each
/// has a name as long as there are names: a first request without any would subscribe to all.
pub(super) fn subscribe<'a>(
    first: DeltaDiscoveryRequest,
    names: impl Iterator<Item = &'a Name>,
    limit: usize,
) -> Vec<DeltaDiscoveryRequest> {
    let further = DeltaDiscoveryRequest {
        type_url: first.type_url.clone(),
        ..DeltaDiscoveryRequest::default()
    };
    let mut room = limit.saturating_sub(first.encoded_len());
    let mut requests = vec![first];
    for name in names {
        let bytes = text_bytes(name.len());
        let has_names = requests
            .last()
            .is_some_and(|last| !last.resource_names_subscribe.is_empty());
        if room < bytes && has_names {
            room = limit.saturating_sub(further.encoded_len());
            requests.push(further.clone());
        }
        room = room.saturating_sub(bytes);
        if let Some(request) = requests.last_mut() {
            request.resource_names_subscribe.push(name.to_string());
        }
    }
    requests
}

/// The most that a text field takes.
pub(super) fn text_bytes(len: usize) -> usize {
    1 + prost::length_delimiter_len(len) + len
}

/// The most that an entry of a map of texts takes.
fn entry_bytes(name: usize, version: usize) -> usize {
    text_bytes(text_bytes(name) + text_bytes(version))
}
