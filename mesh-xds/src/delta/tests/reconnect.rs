//! Reconnects: what the server hears, within the limit, and what becomes of what it does not.

use prost::Message;

use super::*;

/// Room for the first request and a few entries of `n-0` and the like.
fn tight() -> DeltaConfig {
    DeltaConfig {
        request_bytes: 80,
        ..DeltaConfig::default()
    }
}

/// A client that knows `n-0` to `n-9`, of which a first request can mention fewer.
fn reconnected() -> (Client, Vec<String>) {
    let mut client = Client::with(Interest::All, tight());
    client.open();
    let all = (0..10).map(|i| resource(&format!("n-{i}"), "1", "x"));
    client.receive(response(all.collect(), &[]));
    client.delta.closed();
    let [first] = client.open().try_into().unwrap();
    assert!(first.encoded_len() <= 80, "{}", first.encoded_len());
    let mentioned: Vec<_> = versions(&first).into_iter().map(|(name, _)| name).collect();
    assert!((1..10).contains(&mentioned.len()), "{mentioned:?}");
    (client, mentioned)
}

fn left_out(mentioned: &[String]) -> Vec<String> {
    let all = (0..10).map(|i| format!("n-{i}"));
    all.filter(|name| !mentioned.contains(name)).collect()
}

#[test]
fn retained_versions_are_echoed_and_not_removed_or_rejected_ones() {
    let mut client = Client::new(Interest::All);
    client.open();
    let three = vec![
        resource("a", "1", "x"),
        resource("b", "", "x"),
        resource("c", "1", "bad"),
    ];
    client.receive(response(three, &[]));
    client.receive(response(vec![resource("a", "9a0c3f1e2b4d5c6f", "y")], &[]));
    client.receive(response(vec![resource("d", "1", "x")], &[]));
    client.receive(response(Vec::new(), &["d"]));
    client.delta.closed();
    assert_eq!(client.requests(), [], "there is no stream");
    let [first] = client.open().try_into().unwrap();
    assert_eq!(
        versions(&first),
        pairs(&[("a", "9a0c3f1e2b4d5c6f"), ("b", "")])
    );
    assert_eq!(
        client.texts.names(),
        ["a", "b"],
        "the state outlives the stream"
    );
}

/// The server has to hear of what was put in the place of a rejected resource: it is told without
/// a version, so that it sends the resource again, and says so when that is gone.
#[test]
fn what_is_in_the_place_of_a_rejected_resource_is_echoed_and_removed() {
    let mut client = Client::new(Interest::All);
    client.open();
    let all = vec![resource("a", "1", "x"), resource("b", "1", "worse")];
    let answer = client.receive(response(all, &[]));
    assert!(answer.error_detail.is_some(), "it is rejected nevertheless");
    assert_eq!(client.texts.known(), pairs(&[("a", "x"), ("b", "instead")]));
    client.delta.closed();
    let [first] = client.open().try_into().unwrap();
    assert_eq!(versions(&first), pairs(&[("a", "1"), ("b", "")]));
    client.receive(response(Vec::new(), &["b"]));
    assert_eq!(client.texts.names(), ["a"]);
    // What was good and is replaced has no version of the server either.
    client.receive(response(vec![resource("a", "2", "worse")], &[]));
    client.delta.closed();
    let [first] = client.open().try_into().unwrap();
    assert_eq!(versions(&first), pairs(&[("a", "")]));
}

#[test]
fn what_was_removed_meanwhile_goes() {
    let mut client = Client::new(Interest::All);
    client.open();
    client.receive(response(vec![resource("a", "1", "x")], &[]));
    client.delta.closed();
    client.open();
    client.receive(response(Vec::new(), &["a"]));
    assert_eq!(client.texts.names(), [""; 0]);
}

#[test]
fn a_request_for_200_000_workloads_stays_below_4_mib() {
    let mut client = Client::new(Interest::All);
    client.open();
    let name = |i| {
        format!(
            "Kubernetes//Pod/namespace-{}/deployment-5f7d8c9b6-{i:06}",
            i % 100
        )
    };
    let version = |i: u32| format!("{:016x}", i.wrapping_mul(2_654_435_761));
    let all = (0..200_000).map(|i| resource(&name(i), &version(i), "x"));
    client.receive(response(all.collect(), &[]));
    client.delta.closed();
    let [first] = client.open().try_into().unwrap();
    let bytes = first.encoded_len();
    assert!(bytes <= 4 * 1024 * 1024 - 64 * 1024, "{bytes}");
    assert!(bytes > 4_000_000, "it uses what it may: {bytes}");
    assert!(first.initial_resource_versions.len() > 45_000);
}

#[test]
fn names_on_demand_are_subscribed_in_as_many_requests_as_it_takes() {
    let mut client = Client::with(Interest::OnDemand, tight());
    client.open();
    let all: Vec<_> = (0..20).map(|i| format!("n-{i:02}")).collect();
    let resources = all.iter().map(|name| resource(name, "1", "x"));
    let resources = response(resources.collect(), &[]);
    client.delta.receive(resources, client.now);
    client.delta.closed();
    let requests = client.open();
    assert!(requests.len() > 1);
    assert!(requests.iter().all(|request| request.encoded_len() <= 80));
    let names = requests.iter().flat_map(|r| &r.resource_names_subscribe);
    assert_eq!(names.collect::<Vec<_>>(), all.iter().collect::<Vec<_>>());
}

#[test]
fn a_limit_below_any_request_does_not_turn_names_into_a_wildcard() {
    let mut config = tight();
    config.request_bytes = 1;
    let names = ["a", "b"].map(Into::into).to_vec();
    let mut client = Client::with(Interest::Named(names), config);
    let requests = client.open();
    let names: Vec<_> = requests
        .iter()
        .map(|r| r.resource_names_subscribe.len())
        .collect();
    assert_eq!(names, [1, 1]);
}

#[test]
fn nothing_in_doubt_is_removed_by_waiting() {
    let (mut client, _) = reconnected();
    client.receive(response(Vec::new(), &[]));
    for _ in 0..1000 {
        client.pass(Duration::from_secs(10));
        if client.delta.next_probe(client.now).is_some() {
            client.delta.probe_ended(client.now);
        }
    }
    assert_eq!(client.texts.names().len(), 10);
}

#[test]
fn what_is_sent_again_is_not_in_doubt() {
    let (mut client, mentioned) = reconnected();
    let again = left_out(&mentioned);
    let again = again.iter().map(|name| resource(name, "1", "x"));
    client.receive(response(again.collect(), &[]));
    assert_eq!(client.delta.wake_at(), None);
    client.pass(Duration::from_secs(3600));
    assert_eq!(client.delta.next_probe(client.now), None);
}

#[test]
fn what_is_left_in_doubt_is_asked_for_by_name_once_the_server_is_quiet() {
    let (mut client, mentioned) = reconnected();
    let rest = left_out(&mentioned);
    let [gone, late, again @ ..] = rest.as_slice() else {
        panic!("too few: {rest:?}");
    };
    let again = again.iter().map(|name| resource(name, "1", "x"));
    client.receive(response(again.collect(), &[]));
    client.pass(Duration::from_secs(4));
    assert_eq!(
        client.delta.next_probe(client.now),
        None,
        "the server may not be done"
    );
    client.pass(Duration::from_secs(1));
    let probe = client.delta.next_probe(client.now).unwrap();
    assert_eq!(probe.resource_names_subscribe, [gone.clone(), late.clone()]);
    assert!(
        probe.node.is_some(),
        "it is the first request of its stream"
    );
    assert_eq!(client.delta.next_probe(client.now), None, "one at a time");
    let ack = client.delta.probe_received(
        response(vec![resource(late, "2", "probed")], &[gone]),
        client.now,
    );
    assert_eq!(ack.unwrap().response_nonce, "nonce");
    assert!(!client.delta.is_probing());
    let later = client.now + Duration::from_secs(30);
    assert_eq!(
        client.delta.wake_at(),
        Some(later),
        "it may go before its stream brings it"
    );
    let known = client.texts.known();
    assert!(
        !known.contains(&(gone.clone(), "x".to_owned())),
        "{known:?}"
    );
    assert!(
        known.contains(&(late.clone(), "x".to_owned())),
        "its stream brings it: {known:?}"
    );
}

#[test]
fn a_removal_on_a_probe_does_not_remove_what_came_meanwhile() {
    let (mut client, mentioned) = reconnected();
    let rest = left_out(&mentioned);
    client.receive(response(Vec::new(), &[]));
    client.pass(Duration::from_secs(5));
    client.delta.next_probe(client.now).unwrap();
    client.receive(response(vec![resource(&rest[0], "2", "new")], &[]));
    let removed: Vec<_> = rest.iter().map(String::as_str).collect();
    client
        .delta
        .probe_received(response(Vec::new(), &removed), client.now);
    assert!(client.texts.names().contains(&rest[0]));
    assert!(!client.texts.names().contains(&rest[1]));
}

#[test]
fn a_probe_removes_nothing_that_it_did_not_ask_for() {
    let (mut client, mentioned) = reconnected();
    client.receive(response(Vec::new(), &[]));
    client.pass(Duration::from_secs(5));
    client.delta.next_probe(client.now).unwrap();
    client
        .delta
        .probe_received(response(Vec::new(), &[&mentioned[0]]), client.now);
    assert!(client.texts.names().contains(&mentioned[0]));
}

#[test]
fn failed_probes_are_repeated_with_growing_pauses() {
    let (mut client, _) = reconnected();
    client.receive(response(Vec::new(), &[]));
    client.pass(Duration::from_secs(5));
    for pause in [30, 60, 120, 240, 480, 480] {
        assert!(client.delta.next_probe(client.now).is_some());
        client.delta.probe_ended(client.now);
        assert_eq!(
            client.delta.wake_at(),
            Some(client.now + Duration::from_secs(pause))
        );
        client.pass(Duration::from_secs(pause));
    }
    assert!(client.delta.next_probe(client.now).is_some());
    client.pass(Duration::from_secs(30));
    assert!(!client.delta.is_probing(), "a probe without an answer ends");
}

#[test]
fn a_server_that_never_says_anything_is_probed_after_a_minute() {
    let (client, _) = reconnected();
    assert_eq!(
        client.delta.wake_at(),
        Some(client.now + Duration::from_secs(60))
    );
}

#[test]
fn a_server_that_is_never_quiet_is_probed_within_a_minute_of_its_first_response() {
    let (mut client, mentioned) = reconnected();
    let rest = left_out(&mentioned);
    client.receive(response(Vec::new(), &[]));
    for _ in 0..14 {
        client.pass(Duration::from_secs(4));
        assert_eq!(client.delta.next_probe(client.now), None);
        client.receive(response(vec![resource("busy", "1", "x")], &[]));
    }
    client.pass(Duration::from_secs(4));
    let probe = client.delta.next_probe(client.now).unwrap();
    assert_eq!(probe.resource_names_subscribe, rest);
    let removed: Vec<_> = rest.iter().map(String::as_str).collect();
    client
        .delta
        .probe_received(response(Vec::new(), &removed), client.now);
    assert_eq!(client.texts.names().len(), mentioned.len() + 1);
    assert_eq!(client.delta.wake_at(), None, "no doubt is left");
}

#[test]
fn responses_change_nothing_about_the_pause_after_a_probe() {
    let (mut client, _) = reconnected();
    client.receive(response(Vec::new(), &[]));
    client.pass(Duration::from_secs(5));
    for pause in [30, 60, 120] {
        assert!(client.delta.next_probe(client.now).is_some());
        client.receive(response(vec![resource("busy", "1", "x")], &[]));
        client.delta.probe_ended(client.now);
        let again = client.now + Duration::from_secs(pause);
        for _ in 0..pause - 1 {
            client.pass(Duration::from_secs(1));
            client.receive(response(vec![resource("busy", "1", "x")], &[]));
            assert_eq!(client.delta.wake_at(), Some(again));
        }
        client.pass(Duration::from_secs(1));
    }
    assert!(client.delta.next_probe(client.now).is_some());
}

#[test]
fn a_first_response_is_waited_for_only_where_the_server_owes_one() {
    let mut client = Client::new(Interest::All);
    assert_eq!(client.delta.late_at(), None, "there is no stream");
    client.open();
    let late = client.now + Duration::from_secs(60);
    assert_eq!(client.delta.late_at(), Some(late));
    client.pass(Duration::from_secs(59));
    client.receive(response(Vec::new(), &[]));
    assert_eq!(client.delta.late_at(), None);
    client.open();
    assert!(client.delta.late_at().is_some());
    client.delta.closed();
    assert_eq!(client.delta.late_at(), None);

    for interest in [Interest::OnDemand, Interest::Named(Vec::new())] {
        let mut client = Client::new(interest.clone());
        client.open();
        assert_eq!(client.delta.late_at(), None, "nothing is asked for yet");
        client.demand("a");
        client.delta.subscribe(TYPE, ["a".into()]);
        client.open();
        assert!(client.delta.late_at().is_some(), "{interest:?}");
        client.receive(response(vec![resource("a", "1", "x")], &[]));
        client.open();
        assert_eq!(
            client.delta.late_at(),
            None,
            "it may be as it was: {interest:?}"
        );
    }
}
