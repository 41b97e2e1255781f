//! Responses: what applies, what is rejected, what the server hears.

use super::*;

#[test]
fn the_first_request_is_a_wildcard_subscription_with_the_node() {
    let mut client = Client::new(Interest::All);
    client.delta.opened(client.now);
    let first = client.request();
    assert_eq!(first.type_url, TYPE);
    assert_eq!(first.node.as_ref().unwrap().id, "node");
    assert!(first.resource_names_subscribe.is_empty(), "{first:?}");
    assert!(first.initial_resource_versions.is_empty(), "{first:?}");
}

#[test]
fn a_response_is_applied_and_acknowledged() {
    let mut client = Client::new(Interest::All);
    client.open();
    assert!(!client.delta.is_synced());
    let both = vec![resource("a", "1", "first"), resource("b", "1", "second")];
    let received = client.delta.receive(response(both, &[]), client.now);
    assert!(received.is_first && received.is_known, "{received:?}");
    assert_eq!((received.upserted, received.removed), (2, 0));
    let ack = client.request();
    assert_eq!(ack.response_nonce, "nonce");
    assert_eq!(ack.type_url, TYPE);
    assert_eq!(ack.error_detail, None);
    assert!(
        ack.node.is_none() && ack.resource_names_subscribe.is_empty(),
        "{ack:?}"
    );
    assert!(client.delta.is_synced());
    let changed = vec![resource("a", "2", "changed")];
    client.receive(response(changed, &["b", "unheard of"]));
    assert_eq!(client.texts.known(), pairs(&[("a", "changed")]));
}

#[test]
fn good_resources_of_a_response_apply_and_the_bad_one_keeps_what_it_was() {
    let mut client = Client::new(Interest::All);
    client.open();
    client.receive(response(vec![resource("a", "1", "good")], &[]));
    let mixed = vec![
        resource("a", "2", "bad"),
        resource("b", "2", "new"),
        resource("c", "2", "bad"),
    ];
    let received = client.delta.receive(response(mixed, &[]), client.now);
    assert_eq!(received.upserted, 1);
    let nack = client.request();
    assert_eq!(nack.response_nonce, "nonce");
    assert_eq!(
        nack.error_detail.unwrap().message,
        "a: it is bad; c: it is bad"
    );
    assert_eq!(client.texts.known(), pairs(&[("a", "good"), ("b", "new")]));
    // The server hears of the version that is in force; the resource that never was is unknown.
    let again = client.open().remove(0);
    assert_eq!(versions(&again), pairs(&[("a", "1"), ("b", "2")]));
    let ack = client.receive(response(vec![resource("a", "3", "repaired")], &[]));
    assert_eq!(ack.error_detail, None);
    assert_eq!(
        client.texts.known(),
        pairs(&[("a", "repaired"), ("b", "new")])
    );
}

#[test]
fn a_thousand_good_resources_make_the_client_ready_beside_a_bad_one() {
    let mut client = Client::new(Interest::All);
    client.open();
    let name = |i| format!("resource-{i}");
    let mut all: Vec<_> = (0..1000).map(|i| resource(&name(i), "1", "good")).collect();
    all.push(resource("bad-one", "1", "bad"));
    let nack = client.receive(response(all, &[]));
    assert_eq!(nack.error_detail.unwrap().message, "bad-one: it is bad");
    assert_eq!(client.texts.names().len(), 1000);
    assert!(client.delta.is_synced());
}

#[test]
fn a_response_of_an_unknown_type_is_rejected() {
    let mut client = Client::new(Interest::All);
    client.open();
    let other = DeltaDiscoveryResponse {
        type_url: "type.googleapis.com/other".into(),
        ..response(vec![resource("a", "1", "x")], &[])
    };
    let received = client.delta.receive(other, client.now);
    assert!(!received.is_known);
    let nack = client.request();
    assert_eq!(nack.type_url, "type.googleapis.com/other");
    let message = nack.error_detail.unwrap().message;
    assert_eq!(
        message,
        "type.googleapis.com/other: expected one of type.googleapis.com/test.Text"
    );
    assert_eq!(client.texts.known(), []);
    assert!(!client.delta.is_synced());
}

#[test]
fn resources_without_name_or_body_or_of_another_type_are_rejected() {
    let mut client = Client::new(Interest::All);
    client.open();
    let empty = Resource {
        resource: None,
        ..resource("empty", "1", "")
    };
    let mut other = resource("other", "1", "x");
    other.resource.as_mut().unwrap().type_url = "type.googleapis.com/other".into();
    let all = vec![
        resource("", "1", "x"),
        empty,
        other,
        resource("good", "1", "x"),
    ];
    let nack = client.receive(response(all, &[]));
    assert_eq!(
        nack.error_detail.unwrap().message,
        "(no name): a resource without a name; empty: there is no resource in it; other: expected a \
         resource of type type.googleapis.com/test.Text, got type.googleapis.com/other"
    );
    assert_eq!(client.texts.names(), ["good"]);
}

#[test]
fn the_last_of_resources_with_one_name_counts() {
    let mut client = Client::new(Interest::All);
    client.open();
    let repeated = vec![
        resource("a", "1", "x"),
        resource("b", "1", "x"),
        resource("a", "2", "y"),
    ];
    client.receive(response(repeated, &[]));
    assert_eq!(client.texts.known(), pairs(&[("a", "y"), ("b", "x")]));
    let repeated = vec![resource("a", "3", "z"), resource("a", "4", "bad")];
    client.receive(response(repeated, &[]));
    assert_eq!(client.texts.known(), pairs(&[("a", "y"), ("b", "x")]));
    assert_eq!(
        versions(&client.open()[0]),
        pairs(&[("a", "2"), ("b", "1")])
    );
}

#[test]
fn a_resource_that_is_removed_and_sent_by_one_response_is_there() {
    let mut client = Client::new(Interest::All);
    client.open();
    client.receive(response(vec![resource("a", "1", "old")], &[]));
    client.receive(response(vec![resource("a", "2", "new")], &["a"]));
    assert_eq!(client.texts.known(), pairs(&[("a", "new")]));
    assert_eq!(versions(&client.open()[0]), pairs(&[("a", "2")]));
}

#[test]
fn types_are_subscribed_in_their_order() {
    struct Of(&'static str);
    impl Resources for Of {
        fn type_url(&self) -> &str {
            self.0
        }
        fn apply(&mut self, _: Change) -> Applied {
            Applied::default()
        }
    }
    let subscriptions = ["address", "authorization"].map(|url| Subscription::new(Of(url)));
    let mut delta = Delta::new(DeltaConfig::default(), subscriptions);
    let now = Instant::now();
    delta.opened(now);
    let urls: Vec<_> = std::iter::from_fn(|| delta.next_request(now))
        .map(|request| request.type_url)
        .collect();
    assert_eq!(urls, ["address", "authorization"]);
}

#[test]
fn named_subscriptions_ask_for_names_only() {
    let mut client = Client::new(Interest::Named(Vec::new()));
    assert_eq!(client.open(), [], "a request without names would mean all");
    client.delta.subscribe(TYPE, ["a".into(), "b".into()]);
    let first = client.request();
    assert_eq!(first.resource_names_subscribe, ["a", "b"]);
    assert!(first.node.is_some());
    client.receive(response(
        vec![resource("a", "1", "x"), resource("b", "1", "x")],
        &[],
    ));
    client.delta.subscribe(TYPE, ["b".into(), "c".into()]);
    client.delta.unsubscribe(TYPE, ["a".into()]);
    assert_eq!(
        client.texts.names(),
        ["b"],
        "what nobody wants goes at once"
    );
    let [ceased, asked] = client.requests().try_into().unwrap();
    assert_eq!(ceased.resource_names_unsubscribe, ["a"]);
    assert_eq!(asked.resource_names_subscribe, ["c"]);
    // What was on its way when it was unsubscribed would never be removed.
    client.receive(response(vec![resource("a", "2", "late")], &[]));
    assert_eq!(client.texts.names(), ["b"]);
    let [again] = client.open().try_into().unwrap();
    assert_eq!(again.resource_names_subscribe, ["b", "c"]);
    assert_eq!(versions(&again), pairs(&[("b", "1")]));
}

#[test]
fn a_removal_of_what_the_client_never_had_leaves_other_sources_alone() {
    let mut client = Client::new(Interest::All);
    let other = ("local".to_owned(), "of another source".to_owned());
    client.texts.0.lock().unwrap().known.extend([other.clone()]);
    client.open();
    client.receive(response(vec![resource("a", "1", "x")], &[]));
    let removals = response(Vec::new(), &["local", "a"]);
    let received = client.delta.receive(removals, client.now);
    assert_eq!(received.removed, 1);
    assert_eq!(client.texts.known(), [other]);
}
