//! Spec 3.7: when keys are fetched, and how long they are used. Time is given, nothing waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use mesh_authz::jwt::{
    Authenticator, Document, FetchError, FetchOrder, InvalidJwks, JwksFetcher, JwksSource,
    JwksStore, JwtError, JwtRule, KeySource, Profile, RefreshPolicy, Refresher, fetch,
};
use serde_json::{Value, json};

use crate::requests::{at, bearer, payload_with, request};
use crate::signer::{OTHER_RSA, RSA, Signer, jwks};

const URI: &str = "https://idp.example/keys";
const START: u64 = 1_700_000_000;

/// Documents by address; what is not here is 404. Requests are counted.
#[derive(Default)]
struct Web {
    documents: Mutex<HashMap<String, Document>>,
    requests: Mutex<Vec<String>>,
}

#[async_trait]
impl JwksFetcher for Web {
    async fn get(&self, uri: &http::Uri, limit: usize) -> Result<Document, FetchError> {
        self.requests.lock().unwrap().push(uri.to_string());
        let document = self
            .documents
            .lock()
            .unwrap()
            .get(&uri.to_string())
            .cloned();
        let document = document.ok_or(FetchError::Status(404))?;
        if document.body.len() > limit {
            return Err(FetchError::TooLarge);
        }
        Ok(document)
    }
}

impl Web {
    fn put(&self, uri: &str, body: &str) {
        self.put_for(uri, body, None);
    }

    fn put_for(&self, uri: &str, body: &str, seconds: Option<u64>) {
        let document = Document::new(body, seconds.map(Duration::from_secs));
        self.documents
            .lock()
            .unwrap()
            .insert(uri.to_owned(), document);
    }

    fn requests(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

/// A store with its refresher, an authenticator for issuer `a`, and a clock.
struct World {
    web: Arc<Web>,
    store: JwksStore,
    refresher: Refresher,
    authenticator: Authenticator,
    start: Instant,
    elapsed: Duration,
}

impl World {
    fn new(keys: KeySource) -> Self {
        let store = JwksStore::new();
        let rule = JwtRule::new("https://idp.example", keys);
        let authenticator = Authenticator::new(vec![rule], &store, Profile::strict()).unwrap();
        Self {
            web: Arc::default(),
            // Half of the largest number: no jitter.
            refresher: Refresher::new(
                store.clone(),
                RefreshPolicy::default(),
                Box::new(|| u64::MAX / 2),
            ),
            store,
            authenticator,
            start: Instant::now(),
            elapsed: Duration::ZERO,
        }
    }

    fn remote() -> Self {
        Self::new(KeySource::Remote(URI.into()))
    }

    fn now(&self) -> Instant {
        self.start + self.elapsed
    }

    fn wall(&self) -> SystemTime {
        at(START) + self.elapsed
    }

    fn advance(&mut self, seconds: u64) {
        self.elapsed += Duration::from_secs(seconds);
    }

    /// Carries out what is due, and gives how many fetches that were.
    fn run(&mut self) -> usize {
        let orders = self.refresher.due(self.now());
        for order in &orders {
            let result = tokio_test::block_on(fetch(&*self.web, &order.source));
            self.refresher.done(order, result, self.now(), self.wall());
        }
        orders.len()
    }

    fn orders(&mut self) -> Vec<FetchOrder> {
        self.refresher.due(self.now())
    }

    /// Seconds until the refresher wants to run.
    fn next(&self) -> Option<u64> {
        self.refresher
            .next()
            .map(|next| next.duration_since(self.now()).as_secs())
    }

    fn check(&self, signer: &Signer, kid: &str) -> Result<(), JwtError> {
        let expiry = json!({"exp": START + 10_000_000});
        let token = signer.token(
            "RS256",
            Some(kid),
            &payload_with("https://idp.example", &expiry),
        );
        self.authenticator
            .check(&mut bearer(&token), self.wall())
            .map(|_| ())
    }
}

fn key(signer: &Signer, kid: &str) -> Value {
    signer.jwk_with(&json!({"kid": kid}))
}

/// 3.7.1.
#[test]
fn before_the_first_keys_tokens_are_refused_and_requests_without_pass() {
    let mut world = World::remote();
    assert_eq!(world.check(&RSA, "k"), Err(JwtError::KeysUnavailable));
    assert_eq!(
        JwtError::KeysUnavailable.to_string(),
        "Jwks remote fetch is failed"
    );
    assert_eq!(world.run(), 1, "a new source is fetched at once");
    assert_eq!(
        world.check(&RSA, "k"),
        Err(JwtError::KeysUnavailable),
        "404"
    );
    let without = world
        .authenticator
        .check(&mut request("/", &[]), world.wall());
    assert!(without.unwrap().claims.is_none());
    world.web.put(URI, &jwks(&[key(&RSA, "k")]));
    world.advance(1);
    assert_eq!(world.run(), 1);
    assert_eq!(world.check(&RSA, "k"), Ok(()));
}

#[test]
fn keys_are_fetched_again_when_they_are_stale() {
    let cases = [
        (None, 300),
        (Some(120), 120),
        (Some(0), 60),
        (Some(5), 60),
        (Some(86_400), 3600),
    ];
    for (max_age, expected) in cases {
        let mut world = World::remote();
        world.web.put_for(URI, &jwks(&[]), max_age);
        assert_eq!(world.run(), 1);
        let next = world.next().unwrap();
        assert!(
            next.abs_diff(expected) <= 1,
            "max-age {max_age:?}: {next} s"
        );
        world.advance(next.saturating_sub(1));
        assert_eq!(world.run(), 0, "max-age {max_age:?}: not earlier");
        world.advance(2);
        assert_eq!(world.run(), 1, "max-age {max_age:?}");
    }
}

#[test]
fn times_are_spread_by_a_tenth() {
    for (random, least, most) in [(0, 269, 270), (u64::MAX, 329, 330)] {
        let mut world = World::remote();
        world.refresher = Refresher::new(
            world.store.clone(),
            RefreshPolicy::default(),
            Box::new(move || random),
        );
        world.web.put(URI, &jwks(&[]));
        world.run();
        let next = world.next().unwrap();
        assert!((least..=most).contains(&next), "{next}");
    }
}

#[test]
fn failures_double_the_pause_up_to_five_minutes() {
    let mut world = World::remote();
    let mut pauses = Vec::new();
    for _ in 0..12 {
        assert_eq!(world.run(), 1);
        let next = world.refresher.next().unwrap() - world.now();
        pauses.push((next.as_secs_f64()).round() as u64);
        world.elapsed += next;
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    world.web.put(URI, &jwks(&[]));
    world.run();
    assert!(world.next().unwrap() >= 299, "a success ends it");
    world.advance(302);
    world.web.put(URI, "no keys");
    world.run();
    assert!(
        world.next().unwrap() <= 1,
        "and the next failure begins anew"
    );
}

#[test]
fn the_last_good_keys_are_used_for_a_day() {
    let mut world = World::remote();
    world.web.put(URI, &jwks(&[key(&RSA, "k")]));
    world.run();
    world.web.put(URI, "not a key set");
    world.advance(24 * 3600 - 1);
    world.run();
    assert_eq!(world.check(&RSA, "k"), Ok(()));
    let source = JwksSource::uri(URI).unwrap();
    let held = world.store.remote(source, Duration::ZERO).held();
    assert_eq!(held.failure, Some(FetchError::Jwks(InvalidJwks::Json)));
    world.advance(1);
    assert_eq!(world.check(&RSA, "k"), Err(JwtError::KeysUnavailable));
    world.web.put(URI, &jwks(&[key(&RSA, "k")]));
    world.advance(301);
    world.run();
    assert_eq!(world.check(&RSA, "k"), Ok(()));
}

#[test]
fn an_unknown_key_causes_one_fetch_in_thirty_seconds() {
    let mut world = World::remote();
    world.web.put(URI, &jwks(&[key(&RSA, "k")]));
    world.run();
    world.advance(40);
    let mut wake = world.store.wake();
    for kid in ["a", "b", "c"] {
        assert_eq!(world.check(&RSA, kid), Err(JwtError::NoMatchingKey));
    }
    assert!(
        tokio_test::task::spawn(wake.changed()).poll().is_ready(),
        "the embedder is woken"
    );
    assert!(
        tokio_test::task::spawn(wake.changed()).poll().is_pending(),
        "once"
    );
    assert_eq!(world.run(), 1, "at once");
    assert_eq!(world.check(&RSA, "d"), Err(JwtError::NoMatchingKey));
    world.advance(29);
    assert_eq!(world.run(), 0, "not within 30 s");
    world.advance(1);
    assert_eq!(world.run(), 1, "but then");
    world.advance(31);
    assert_eq!(world.run(), 0, "nobody asked any more");
    assert_eq!(world.web.requests(), 3);
}

#[test]
fn an_unknown_key_does_not_shorten_the_pause_after_failures() {
    let mut world = World::remote();
    world.web.put(URI, &jwks(&[key(&RSA, "k")]));
    world.run();
    world.web.put(URI, "x");
    world.advance(331);
    for _ in 0..8 {
        world.run();
        world.elapsed += world.refresher.next().unwrap() - world.now();
    }
    world.run();
    assert_eq!(world.check(&RSA, "other"), Err(JwtError::NoMatchingKey));
    world.advance(31);
    assert_eq!(world.run(), 0);
}

/// 3.7.3.
#[test]
fn rotated_keys_are_refused_once_they_are_gone() {
    let mut world = World::remote();
    let step = |world: &mut World, keys: &[Value]| {
        world.web.put(URI, &jwks(keys));
        world.advance(331);
        assert_eq!(world.run(), 1);
        (
            world.check(&RSA, "k1").is_ok(),
            world.check(&OTHER_RSA, "k2").is_ok(),
        )
    };
    let (k1, k2) = (key(&RSA, "k1"), key(&OTHER_RSA, "k2"));
    assert_eq!(step(&mut world, std::slice::from_ref(&k1)), (true, false));
    assert_eq!(step(&mut world, &[k1, k2.clone()]), (true, true));
    assert_eq!(step(&mut world, &[k2]), (false, true));
    assert_eq!(
        step(&mut world, &[]),
        (false, false),
        "an issuer without keys has none"
    );
}

#[test]
fn one_fetch_at_a_time_and_a_lost_one_is_given_up() {
    let mut world = World::remote();
    let first = world.orders();
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].timeout, Duration::from_secs(5));
    world.advance(5);
    assert!(world.orders().is_empty(), "it goes on");
    world.advance(1);
    assert!(
        world.orders().is_empty(),
        "given up: a failure with its pause"
    );
    world.advance(2);
    let second = world.orders();
    assert_eq!(second.len(), 1);
    let late = mesh_authz_keys(&world, &RSA);
    world
        .refresher
        .done(&first[0], late, world.now(), world.wall());
    assert_eq!(
        world.check(&RSA, "k"),
        Err(JwtError::KeysUnavailable),
        "the lost one comes too late"
    );
    let good = mesh_authz_keys(&world, &RSA);
    world
        .refresher
        .done(&second[0], good, world.now(), world.wall());
    assert_eq!(world.check(&RSA, "k"), Ok(()));
}

fn mesh_authz_keys(
    world: &World,
    signer: &Signer,
) -> Result<mesh_authz::jwt::FetchedKeys, FetchError> {
    world.web.put(URI, &jwks(&[key(signer, "k")]));
    tokio_test::block_on(fetch(&*world.web, &JwksSource::uri(URI).unwrap()))
}

#[test]
fn sources_are_shared_bounded_and_forgotten() {
    let store = JwksStore::new();
    let source = |number: usize| JwksSource::uri(&format!("https://idp{number}.example/")).unwrap();
    let mut refresher = Refresher::new(store.clone(), RefreshPolicy::default(), Box::new(|| 0));
    let many: Vec<_> = (0..10)
        .map(|number| store.remote(source(number), Duration::from_secs(1)))
        .collect();
    let again = store.remote(source(0), Duration::from_secs(9));
    assert!(Arc::ptr_eq(&many[0], &again), "one source, one set of keys");
    let now = Instant::now();
    let orders = refresher.due(now);
    assert_eq!(orders.len(), 8, "at once");
    let longest = orders.iter().find(|order| order.source == source(0));
    assert!(longest.is_none_or(|order| order.timeout == Duration::from_secs(9)));
    refresher.done(&orders[0], Err(FetchError::Blocked), now, SystemTime::now());
    assert_eq!(refresher.due(now).len(), 1, "the next as soon as one ends");
    drop((many, again));
    assert!(refresher.due(now + Duration::from_secs(1000)).is_empty());
    assert_eq!(refresher.next(), None);
}

#[test]
fn discovery_asks_the_issuer_and_believes_only_what_it_says_about_itself() {
    const ABOUT: &str = "https://idp.example/.well-known/openid-configuration";
    let about = |issuer: &str, uri: &str| json!({"issuer": issuer, "jwks_uri": uri}).to_string();
    let keys = "https://keys.example/k";
    let good = about("https://idp.example", keys);
    let cases = [
        ("good", good.as_str(), Ok(())),
        (
            "another issuer",
            &about("https://evil.example", keys),
            Err(FetchError::Discovery(
                "the document is about another issuer",
            )),
        ),
        (
            "a slash more",
            &about("https://idp.example/", keys),
            Err(FetchError::Discovery(
                "the document is about another issuer",
            )),
        ),
        (
            "no keys",
            r#"{"issuer":"https://idp.example"}"#,
            Err(FetchError::Discovery("there is no jwks_uri")),
        ),
        (
            "no JSON",
            "x",
            Err(FetchError::Discovery("not a JSON object")),
        ),
        (
            "keys in the clear",
            &about("https://idp.example", "http://keys.example/k"),
            Err(FetchError::Discovery(
                "an https issuer with an http jwks_uri",
            )),
        ),
        (
            "keys elsewhere",
            &about("https://idp.example", "ftp://h.example/k"),
            Err(FetchError::Discovery(
                "the scheme is neither http nor https",
            )),
        ),
    ];
    for (name, document, expected) in cases {
        let web = Web::default();
        web.put(ABOUT, document);
        web.put(keys, &jwks(&[key(&RSA, "k")]));
        let source = JwksSource::issuer("https://idp.example").unwrap();
        let result = tokio_test::block_on(fetch(&web, &source));
        assert_eq!(result.map(|_| ()), expected, "{name}");
    }
    let mut world = World::new(KeySource::Discovery);
    world.web.put(ABOUT, &good);
    world.web.put(keys, &jwks(&[key(&RSA, "k")]));
    world.run();
    assert_eq!(world.check(&RSA, "k"), Ok(()));
}

#[test]
fn an_issuer_with_a_path_is_asked_below_it() {
    let first = |issuer: &str| JwksSource::issuer(issuer).unwrap().first();
    assert_eq!(
        first("https://h/a"),
        "https://h/a/.well-known/openid-configuration"
    );
    assert_eq!(
        first("https://h/a/"),
        "https://h/a/.well-known/openid-configuration"
    );
    assert!(JwksSource::issuer("https://h/?q").is_err());
}

#[test]
fn an_issuer_that_is_no_address_has_no_keys() {
    let world = World::remote();
    let rule = JwtRule::new("someone@example.com", KeySource::Discovery);
    let authenticator = Authenticator::new(vec![rule], &world.store, Profile::strict()).unwrap();
    let token = RSA.token(
        "RS256",
        None,
        &payload_with("someone@example.com", &json!({"exp": START + 1})),
    );
    let result = authenticator.check(&mut bearer(&token), at(START));
    assert_eq!(result.unwrap_err(), JwtError::KeysUnavailable);
}
