//! Demands: shared, by name and by alias, and always answered.

use super::*;

fn aliased(name: &str, aliases: &[&str]) -> Resource {
    Resource {
        aliases: aliases.iter().map(ToString::to_string).collect(),
        ..resource(name, "1", "x")
    }
}

fn client() -> Client {
    let mut client = Client::new(Interest::OnDemand);
    client.open();
    client
}

#[test]
fn nothing_is_subscribed_before_a_demand() {
    let mut client = Client::new(Interest::OnDemand);
    let [first] = client.open().try_into().unwrap();
    assert_eq!(first.resource_names_subscribe, ["*"]);
    assert_eq!(first.resource_names_unsubscribe, ["*"]);
    assert!(client.delta.is_synced(), "there is nothing to wait for");
}

#[test]
fn demands_of_one_name_share_a_subscription_and_are_answered_after_it_applies() {
    let mut client = client();
    client.demand("uid");
    assert_eq!(client.request().resource_names_subscribe, ["uid"]);
    client.demand("uid");
    assert_eq!(client.requests(), [], "the server has been asked already");
    assert_eq!(client.answers(), []);
    client
        .delta
        .receive(response(vec![resource("uid", "1", "x")], &[]), client.now);
    assert_eq!(
        client.texts.names(),
        ["uid"],
        "the state comes before the answer"
    );
    assert_eq!(client.answers(), [Answer::Found, Answer::Found]);
    client.demand("uid");
    assert_eq!(
        client.answers(),
        [Answer::Found],
        "what is known is found at once"
    );
}

#[test]
fn an_address_is_answered_by_the_alias_of_a_resource() {
    let mut client = client();
    client.demand("/10.0.0.1");
    client.demand("uid");
    client.requests();
    client.delta.receive(
        response(vec![aliased("uid", &["net/10.0.0.1", "/10.0.0.1"])], &[]),
        client.now,
    );
    assert_eq!(client.answers(), [Answer::Found, Answer::Found]);
    let [ack, ceased] = client.requests().try_into().unwrap();
    assert_eq!(ack.error_detail, None);
    assert_eq!(ceased.resource_names_unsubscribe, ["/10.0.0.1"]);
}

#[test]
fn the_subscription_moves_from_the_alias_to_the_name() {
    let mut client = client();
    client.demand("/10.0.0.1");
    client.requests();
    client.delta.receive(
        response(vec![aliased("uid", &["/10.0.0.1"])], &[]),
        client.now,
    );
    let [_ack, ceased, asked] = client.requests().try_into().unwrap();
    assert_eq!(ceased.resource_names_unsubscribe, ["/10.0.0.1"]);
    assert_eq!(asked.resource_names_subscribe, ["uid"]);
    let [again] = client.open().try_into().unwrap();
    assert_eq!(again.resource_names_subscribe, ["uid"]);
    assert_eq!(versions(&again), pairs(&[("uid", "1")]));
    // Once it is gone, the address is asked for anew.
    client.receive_all(response(Vec::new(), &["uid"]));
    client.demand("/10.0.0.1");
    assert_eq!(client.request().resource_names_subscribe, ["/10.0.0.1"]);
}

#[test]
fn what_does_not_exist_is_not_found_and_can_be_demanded_again() {
    let mut client = client();
    client.demand("/10.0.0.9");
    client.requests();
    client
        .delta
        .receive(response(Vec::new(), &["/10.0.0.9"]), client.now);
    assert_eq!(client.answers(), [Answer::NotFound]);
    let [_ack, ceased] = client.requests().try_into().unwrap();
    assert_eq!(ceased.resource_names_unsubscribe, ["/10.0.0.9"]);
    client.demand("/10.0.0.9");
    assert_eq!(client.request().resource_names_subscribe, ["/10.0.0.9"]);
}

#[test]
fn a_rejected_resource_is_not_taken_for_an_absent_one() {
    let bad = || Resource {
        aliases: vec!["/10.0.0.1".to_owned()],
        ..resource("a", "2", "bad")
    };
    // Before, demanded, answer.
    let cases = [
        ("nothing", "a", Answer::Rejected),
        ("nothing", "/10.0.0.1", Answer::Rejected),
        // The address may be new, and is not known to be in the mesh.
        ("a good one", "/10.0.0.1", Answer::Rejected),
        ("a good one", "a", Answer::Found),
    ];
    for (before, demanded, answer) in cases {
        let mut client = client();
        if before == "a good one" {
            client.demand("a");
            client.receive_all(response(vec![resource("a", "1", "x")], &[]));
            client.answers();
        }
        client.demand(demanded);
        client.requests();
        let received = response(vec![bad()], &[]);
        client.delta.receive(received, client.now);
        assert_eq!(client.answers(), [answer], "{before} before, {demanded}");
        // It can be demanded again, and the server is asked again, unless it is there.
        client.requests();
        client.demand(demanded);
        let asked = client.requests();
        let again = asked
            .iter()
            .any(|request| request.resource_names_subscribe == [demanded]);
        assert_eq!(
            again,
            answer == Answer::Rejected,
            "{before} before, {demanded}"
        );
    }
}

#[test]
fn a_demand_times_out_after_5_s_and_a_late_answer_still_counts() {
    let mut client = client();
    client.demand("a");
    client.pass(Duration::from_secs(3));
    client.demand("a");
    assert_eq!(
        client.delta.wake_at(),
        Some(client.now + Duration::from_secs(2))
    );
    client.pass(Duration::from_secs(2));
    assert_eq!(client.answers(), [Answer::TimedOut]);
    client.pass(Duration::from_secs(3));
    assert_eq!(client.answers(), [Answer::TimedOut]);
    assert_eq!(client.delta.wake_at(), None);
    client.receive_all(response(vec![resource("a", "1", "x")], &[]));
    client.demand("a");
    assert_eq!(client.answers(), [Answer::Found]);
}

#[test]
fn a_demand_waits_for_the_next_stream() {
    let mut client = Client::new(Interest::OnDemand);
    client.demand("a");
    assert_eq!(client.requests(), [], "there is no stream");
    let [first] = client.open().try_into().unwrap();
    assert_eq!(first.resource_names_subscribe, ["a"]);
    assert!(first.resource_names_unsubscribe.is_empty());
    client.delta.closed();
    let [again] = client.open().try_into().unwrap();
    assert_eq!(
        again.resource_names_subscribe,
        ["a"],
        "not answered on the first stream"
    );
    client.receive_all(response(vec![resource("a", "1", "x")], &[]));
    assert_eq!(client.answers(), [Answer::Found]);
}

#[test]
fn demands_beyond_the_limit_time_out_at_once() {
    let config = DeltaConfig {
        demands: 2,
        ..DeltaConfig::default()
    };
    let mut client = Client::with(Interest::OnDemand, config);
    client.open();
    for name in ["a", "b", "c"] {
        client.demand(name);
    }
    assert_eq!(client.answers(), [Answer::TimedOut]);
    client.requests();
    // Names that nobody waits for any more make room.
    client.pass(Duration::from_secs(5));
    assert_eq!(client.answers().len(), 2);
    client.demand("c");
    assert_eq!(client.answers(), []);
    let [ceased, asked] = client.requests().try_into().unwrap();
    assert_eq!(ceased.resource_names_unsubscribe.len(), 1);
    assert_eq!(asked.resource_names_subscribe, ["c"]);
}

#[test]
fn a_name_that_is_demanded_already_needs_no_room() {
    let config = DeltaConfig {
        demands: 2,
        ..DeltaConfig::default()
    };
    let mut client = Client::with(Interest::OnDemand, config);
    client.open();
    client.demand("a");
    client.pass(Duration::from_secs(5));
    assert_eq!(client.answers(), [Answer::TimedOut]);
    client.demand("b");
    client.requests();
    for _ in 0..2 {
        client.demand("b");
        client.demand("a");
    }
    assert_eq!(client.answers(), []);
    assert_eq!(client.requests(), [], "both stay subscribed");
    let both = vec![resource("a", "1", "x"), resource("b", "1", "x")];
    client.receive_all(response(both, &[]));
    assert_eq!(client.answers(), [Answer::Found; 5]);
}

#[test]
fn as_many_may_wait_as_the_limit_says() {
    assert_eq!(DeltaConfig::default().waiting, 65_536);
    let config = DeltaConfig {
        waiting: 3,
        ..DeltaConfig::default()
    };
    let mut client = Client::with(Interest::OnDemand, config);
    client.open();
    for name in ["a", "a", "b", "a", "c"] {
        client.demand(name);
    }
    assert_eq!(client.answers(), [Answer::TimedOut; 2]);
    assert_eq!(client.request().resource_names_subscribe, ["a", "b"]);
    client.receive_all(response(vec![resource("a", "1", "x")], &[]));
    assert_eq!(client.answers(), [Answer::Found; 2]);
    client.demand("c");
    client.pass(Duration::from_secs(5));
    assert_eq!(client.answers(), [Answer::TimedOut; 2], "b and c");
    client.demand("d");
    assert_eq!(client.answers(), [], "those who gave up make room");
}

#[test]
fn what_comes_once_more_before_the_server_heard_that_it_ceased_stays_subscribed() {
    let mut client = client();
    client.demand("a");
    client.requests();
    client.receive_all(response(vec![resource("a", "1", "x")], &[]));
    client
        .delta
        .receive(response(Vec::new(), &["a"]), client.now);
    client
        .delta
        .receive(response(vec![resource("a", "2", "y")], &[]), client.now);
    let requests = client.requests();
    assert_eq!(requests.len(), 2, "two acknowledgements: {requests:?}");
    for ack in requests {
        assert!(ack.resource_names_unsubscribe.is_empty(), "{ack:?}");
    }
    assert_eq!(client.texts.known(), pairs(&[("a", "y")]));
}

#[test]
fn what_comes_once_more_after_it_ceased_is_asked_for_again() {
    let mut client = client();
    client.demand("a");
    client.requests();
    client.receive_all(response(vec![resource("a", "1", "x")], &[]));
    client.receive_all(response(Vec::new(), &["a"]));
    client
        .delta
        .receive(response(vec![resource("a", "2", "y")], &[]), client.now);
    let [_ack, asked] = client.requests().try_into().unwrap();
    assert_eq!(asked.resource_names_subscribe, ["a"]);
    client.receive_all(response(vec![resource("a", "3", "z")], &[]));
    assert_eq!(client.texts.known(), pairs(&[("a", "z")]));
}

#[test]
fn what_comes_after_its_name_made_room_is_asked_for_again() {
    let config = DeltaConfig {
        demands: 1,
        ..DeltaConfig::default()
    };
    let mut client = Client::with(Interest::OnDemand, config);
    client.open();
    client.demand("a");
    client.requests();
    client.pass(Duration::from_secs(5));
    client.demand("b");
    client.requests();
    client
        .delta
        .receive(response(vec![resource("a", "1", "x")], &[]), client.now);
    let [_ack, asked] = client.requests().try_into().unwrap();
    assert_eq!(asked.resource_names_subscribe, ["a"]);
}

#[test]
fn a_demand_of_a_wildcard_type_waits_for_the_first_response() {
    let mut client = Client::new(Interest::All);
    client.open();
    client.demand("a");
    client.demand("b");
    assert_eq!(client.requests(), []);
    client.receive(response(vec![resource("a", "1", "x")], &[]));
    assert_eq!(client.answers(), [Answer::Found, Answer::NotFound]);
    client.demand("c");
    assert_eq!(client.answers(), [Answer::NotFound]);
}

#[test]
fn a_demand_of_an_unknown_type_finds_nothing() {
    let mut client = client();
    client
        .delta
        .demand("type.googleapis.com/other", "a".into(), client.now);
    assert_eq!(client.answers(), [Answer::NotFound]);
}

impl Client {
    fn receive_all(&mut self, response: DeltaDiscoveryResponse) {
        self.delta.receive(response, self.now);
        self.requests();
    }
}
