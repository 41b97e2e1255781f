//! Random policies and requests: the index, what is left of it for a connection, and the plain
//! evaluator agree, and the laws of decisions hold. `MESH_AUTHZ_PAIRS=200000` for as many.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::unreachable,
    missing_docs
)]

mod support;

use std::collections::BTreeSet;

use http::{HeaderMap, HeaderName, HeaderValue};
use mesh_authz::claims::VerifiedClaims;
use mesh_authz::plain::{self, PlainVerdict};
use mesh_authz::spec::{
    Action, ClaimMatch, ClauseSpec, HeaderMatch, MatchSpec, MetadataMatch, PathMatch, PolicySpec,
    RequestPrincipalMatch, RuleSpec, Scope, StringMatch,
};
use mesh_authz::store::{PolicyStore, Update};
use mesh_authz::{Connection, Limits, Metadata, PolicyTarget, Request, Semantics, Verdict};
use mesh_core::identity::SpiffeId;
use mesh_core::model::Workload;
use mesh_core::name::Name;
use mesh_core::target::{PathNormalization, Target};

/// Numbers that look random: xorshift64*.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap() % sides
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())]
    }

    /// An empty list most of the time.
    fn list<T>(&mut self, odds: usize, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        if self.roll(odds) > 0 {
            return Vec::new();
        }
        (0..=self.roll(3)).map(|_| one(self)).collect()
    }
}

const NAMESPACES: [&str; 3] = ["shop", "batch", "shop-2"];
const ACCOUNTS: [&str; 3] = ["cart", "web", "job"];
const METHODS: [&str; 4] = ["GET", "PUT", "POST", "DELETE"];
const HOSTS: [&str; 6] = [
    "shop.example",
    "shop.example:8080",
    "api.shop.example",
    "Shop.Example.",
    "db",
    "",
];
const PATHS: [&str; 8] = [
    "/",
    "/api",
    "/api/",
    "/api/v1/carts",
    "/api/v1/carts/7",
    "/admin",
    "/api/v2//x",
    "/a|b/c",
];
const VALUES: [&str; 6] = ["admin", "user", "admin,user", "", " admin ", "ops"];
const IPS: [&str; 4] = ["10.0.0.1", "10.1.2.3", "192.168.0.9", "fd00::7"];

/// A pattern that may fit `text`.
fn pattern(dice: &mut Dice, text: &str) -> StringMatch {
    let text = text.trim();
    let cut = if text.is_empty() {
        0
    } else {
        dice.roll(text.len())
    };
    let parsed = match dice.roll(5) {
        0 => StringMatch::parse("*"),
        1 => StringMatch::prefix(text.get(..cut.max(1)).unwrap_or("x")),
        2 => StringMatch::suffix(text.get(cut..).unwrap_or("x")),
        _ => StringMatch::exact(text),
    };
    parsed.unwrap_or(StringMatch::Presence)
}

fn identity(dice: &mut Dice) -> String {
    let (ns, account) = (dice.one(&NAMESPACES), dice.one(&ACCOUNTS));
    format!("{}/ns/{ns}/sa/{account}", dice.one(&["td", "td-2"]))
}

fn net(dice: &mut Dice) -> ipnet::IpNet {
    let ip: std::net::IpAddr = dice.one(&IPS).parse().unwrap();
    let most = if ip.is_ipv4() { 33 } else { 129 };
    ipnet::IpNet::new(ip, u8::try_from(dice.roll(most)).unwrap()).unwrap()
}

fn path(dice: &mut Dice) -> PathMatch {
    match dice.roll(4) {
        0 => {
            let all = [
                "/api/{*}/carts",
                "/api/{**}",
                "/{*}/v1/{**}",
                "/api/{**}/7",
                "/{*}/{**}",
            ];
            PathMatch::parse(dice.one(&all)).unwrap()
        }
        _ => {
            let text = dice.one(&PATHS);
            PathMatch::Text(pattern(dice, text))
        }
    }
}

fn request_principal(dice: &mut Dice) -> RequestPrincipalMatch {
    let all = [
        "*",
        "idp*",
        "idp/*",
        "idp/al*",
        "*alice",
        "*/bob",
        "*dp/bob",
        "idp/alice",
        "idp",
    ];
    RequestPrincipalMatch::parse(dice.one(&all)).unwrap()
}

fn one_match(dice: &mut Dice) -> MatchSpec {
    // Few fields of many.
    let odds = 6 + dice.roll(12);
    let text = |all: &'static [&'static str]| {
        move |dice: &mut Dice| {
            let text = dice.one(all);
            pattern(dice, text)
        }
    };
    let principal = |dice: &mut Dice| {
        let text = identity(dice);
        pattern(dice, &text)
    };
    let port = |dice: &mut Dice| dice.one(&[80_u16, 8080, 443]);
    let values = |dice: &mut Dice| {
        let mut lists = (dice.list(2, text(&VALUES)), dice.list(3, text(&VALUES)));
        if lists.0.is_empty() && lists.1.is_empty() {
            lists.0.push(StringMatch::Presence);
        }
        lists
    };
    let header = |dice: &mut Dice| {
        let (values, not_values) = values(dice);
        let names = ["x-role", "x-team", ":method", ":path", ":authority"];
        let name = Name::from(dice.one(&names));
        HeaderMatch {
            name,
            values,
            not_values,
        }
    };
    let claim = |dice: &mut Dice| {
        let (values, not_values) = values(dice);
        let paths: [&[&str]; 3] = [&["groups"], &["scope"], &["org", "team"]];
        let path = dice
            .one(&paths)
            .iter()
            .map(|name| Name::from(*name))
            .collect();
        ClaimMatch {
            path,
            values,
            not_values,
        }
    };
    let metadata = |dice: &mut Dice| {
        let (values, not_values) = values(dice);
        let element = dice.roll(2) == 0;
        let (filter, key) = ("f".into(), dice.one(&["k", "l"]).into());
        MetadataMatch {
            filter,
            key,
            element,
            values,
            not_values,
        }
    };
    MatchSpec {
        namespaces: dice.list(odds, text(&NAMESPACES)),
        not_namespaces: dice.list(odds * 2, text(&NAMESPACES)),
        principals: dice.list(odds, principal),
        not_principals: dice.list(odds * 2, principal),
        source_ips: dice.list(odds * 2, net),
        not_source_ips: dice.list(odds * 2, net),
        destination_ips: dice.list(odds * 3, net),
        not_destination_ips: dice.list(odds * 3, net),
        destination_ports: dice.list(odds, port),
        not_destination_ports: dice.list(odds * 2, port),
        service_accounts: dice.list(odds, |dice| {
            support::account(&format!(
                "{}/{}",
                dice.one(&NAMESPACES),
                dice.one(&ACCOUNTS)
            ))
        }),
        not_service_accounts: dice.list(odds * 2, |dice| {
            support::account(&format!(
                "{}/{}",
                dice.one(&NAMESPACES),
                dice.one(&ACCOUNTS)
            ))
        }),
        trust_domains: dice.list(odds * 2, text(&["td", "td-2"])),
        not_trust_domains: dice.list(odds * 3, text(&["td", "td-2"])),
        remote_ips: dice.list(odds * 2, net),
        not_remote_ips: dice.list(odds * 2, net),
        snis: dice.list(odds * 3, text(&["shop.example", "db"])),
        not_snis: dice.list(odds * 3, text(&["shop.example", "db"])),
        hosts: dice.list(odds, text(&HOSTS)),
        not_hosts: dice.list(odds * 2, text(&HOSTS)),
        methods: dice.list(odds, text(&METHODS)),
        not_methods: dice.list(odds * 2, text(&METHODS)),
        paths: dice.list(odds, path),
        not_paths: dice.list(odds * 2, path),
        request_principals: dice.list(odds, request_principal),
        not_request_principals: dice.list(odds * 2, request_principal),
        headers: dice.list(odds, header),
        claims: dice.list(odds, claim),
        metadata: dice.list(odds * 2, metadata),
    }
}

fn rule(dice: &mut Dice) -> RuleSpec {
    let clauses = (0..dice.roll(4)).map(|_| {
        let matches = (0..dice.roll(4)).map(|_| one_match(dice)).collect();
        ClauseSpec { matches }
    });
    RuleSpec {
        clauses: clauses.collect(),
    }
}

fn policy(dice: &mut Dice, at: usize) -> PolicySpec {
    let scopes = [
        Scope::Global,
        Scope::Namespace,
        Scope::Namespace,
        Scope::WorkloadSelector,
    ];
    let actions = [
        Action::Allow,
        Action::Allow,
        Action::Deny,
        Action::Deny,
        Action::Audit,
        Action::Custom,
    ];
    let (scope, action) = (dice.one(&scopes), dice.one(&actions));
    let namespace = dice.one(&NAMESPACES);
    let rules = if dice.roll(20) == 0 { 30 } else { dice.roll(4) };
    let tryable = matches!(action, Action::Allow | Action::Deny);
    PolicySpec {
        dry_run: tryable && dice.roll(5) == 0,
        provider: (action == Action::Custom).then(|| dice.one(&["opa", "authz"]).into()),
        // Rules that fit little, so that many policies do not all come to the same.
        rules: (0..rules).map(|_| rule(dice)).collect(),
        ..PolicySpec::new(namespace, format!("p{at}"), scope, action)
    }
}

#[derive(Debug)]
struct Noted(&'static str);

impl Metadata for Noted {
    fn text(&self, _: &str, key: &str, fits: &dyn Fn(&str) -> bool) -> bool {
        key == "k" && fits(self.0)
    }
    fn element(&self, _: &str, key: &str, fits: &dyn Fn(&str) -> bool) -> bool {
        key == "l" && fits(self.0)
    }
}

/// A connection and a request, owned.
struct Asked {
    identity: Option<SpiffeId>,
    addresses: [std::net::IpAddr; 3],
    port: u16,
    sni: Option<&'static str>,
    method: &'static str,
    host: &'static str,
    path: Option<&'static str>,
    headers: HeaderMap,
    claims: Option<VerifiedClaims>,
    noted: Noted,
}

impl Asked {
    fn roll(dice: &mut Dice) -> Self {
        let mut headers = HeaderMap::new();
        for _ in 0..dice.roll(4) {
            let name = dice.one(&["x-role", "x-team", "x-other"]);
            let value = HeaderValue::from_static(dice.one(&VALUES));
            headers.append(HeaderName::from_static(name), value);
        }
        let groups = match dice.roll(3) {
            0 => serde_json::json!(dice.one(&VALUES)),
            1 => serde_json::json!([dice.one(&VALUES), 7, dice.one(&VALUES)]),
            _ => serde_json::json!(7),
        };
        let claims = serde_json::json!({
            "iss": dice.one(&["idp", "other", ""]),
            "sub": dice.one(&["alice", "bob", ""]),
            "scope": dice.one(&["admin ops", "user"]),
            "groups": groups,
            "org": { "team": dice.one(&VALUES) },
        });
        let serde_json::Value::Object(mut claims) = claims else {
            unreachable!()
        };
        if dice.roll(4) == 0 {
            claims.remove(dice.one(&["iss", "sub"]));
        }
        let id = format!("spiffe://{}", identity(dice));
        Self {
            identity: (dice.roll(4) > 0).then(|| id.parse().unwrap()),
            addresses: std::array::from_fn(|_| dice.one(&IPS).parse().unwrap()),
            port: dice.one(&[80, 8080, 22]),
            sni: (dice.roll(2) == 0).then_some("shop.example"),
            method: dice.one(&METHODS),
            host: dice.one(&HOSTS),
            path: (dice.roll(10) > 0).then(|| dice.one(&PATHS)),
            headers,
            claims: (dice.roll(3) > 0).then(|| VerifiedClaims::assume_verified(claims)),
            noted: Noted(dice.one(&VALUES)),
        }
    }

    fn connection(&self) -> Connection<'_> {
        let destination = (self.addresses[1], self.port).into();
        let connection = Connection::new(self.addresses[0], self.identity.as_ref(), destination);
        let connection = connection.with_remote(self.addresses[2]);
        self.sni.map_or(connection, |sni| connection.with_sni(sni))
    }
}

fn pairs() -> usize {
    let pairs = std::env::var("MESH_AUTHZ_PAIRS").ok();
    pairs.map_or(2_000, |pairs| pairs.parse().unwrap())
}

const REQUESTS: usize = 40;

/// Each set of policies with what it is asked about.
fn each_set(mut check: impl FnMut(&mut Dice, Vec<PolicySpec>, Semantics)) {
    let mut dice = Dice(0x5eed_0fa5_1ac4_e9d1);
    for set in 0..pairs() / REQUESTS {
        let policies = match set % 4 {
            0 | 1 => 1 + dice.roll(6),
            2 => 10 + dice.roll(30),
            _ => 100 + dice.roll(100),
        };
        let policies = (0..policies).map(|at| policy(&mut dice, at)).collect();
        let semantics = if dice.roll(2) == 0 {
            Semantics::strict()
        } else {
            Semantics::compat()
        };
        check(&mut dice, policies, semantics);
    }
}

fn store(policies: &[PolicySpec], semantics: Semantics) -> PolicyStore {
    let store = PolicyStore::with_semantics(Limits::default(), semantics);
    let applied = store.apply(policies.iter().cloned().map(Update::Upsert).collect());
    assert_eq!(applied.rejected, []);
    store
}

/// The keys of policies with a selector, some of them.
fn named(dice: &mut Dice, policies: &[PolicySpec]) -> Vec<Name> {
    let selected = policies
        .iter()
        .filter(|p| p.scope == Scope::WorkloadSelector);
    let mut named: Vec<Name> = selected
        .filter(|_| dice.roll(2) == 0)
        .map(PolicySpec::key)
        .collect();
    if dice.roll(20) == 0 {
        named.push("shop/late".into());
    }
    named
}

fn workload(named: &[Name]) -> Workload {
    let named: Vec<&str> = named.iter().map(Name::as_str).collect();
    support::workload(&named)
}

#[test]
fn index_residual_and_plain_evaluator_agree() {
    let mut seen = BTreeSet::new();
    let mut asked_pairs = 0;
    each_set(|dice, policies, semantics| {
        let store = store(&policies, semantics);
        // Changes leave what a new start would give.
        let mut policies = policies;
        if dice.roll(2) == 0 {
            let gone = policies.split_off(policies.len() / 2);
            let gone = gone.iter().map(|p| Update::Remove(p.key())).collect();
            let _ = store.apply(gone);
            for at in 1000..1000 + dice.roll(30) {
                let new = policy(dice, at);
                let _ = store.apply(vec![Update::Upsert(new.clone())]);
                policies.push(new);
            }
        }
        let index = store.index();
        for _ in 0..REQUESTS {
            let asked = Asked::roll(dice);
            let named = named(dice, &policies);
            let workload = workload(&named);
            let target = match dice.roll(3) {
                0 => PolicyTarget::named(&named),
                _ => PolicyTarget::workload(&workload),
            };
            let connection = asked.connection();
            let path = asked
                .path
                .map(|path| Target::normalize(path.as_bytes(), PathNormalization::None).unwrap());
            let mut request = Request::new(asked.method, asked.host, &asked.headers);
            request = request.with_metadata(&asked.noted);
            if let Some(path) = &path {
                request = request.with_target(path);
            }
            if let Some(claims) = &asked.claims {
                request = request.with_claims(claims);
            }
            let context = || format!("{policies:#?}\n{connection:?}\n{request:?}\n{semantics:?}");
            asked_pairs += 1;

            let decision = index.decide_request(&target, &connection, &request);
            let expected =
                plain::decide_request(&policies, &target, &connection, &request, semantics);
            assert_eq!(support::plain(&decision), expected, "{}", context());
            seen.insert(format!("{:?}", expected.verdict));
            let residual = index.residual(&target, &connection);
            let left = residual.decide(&request);
            assert_eq!(support::plain(&left), expected, "residual\n{}", context());

            let providers = index.providers(&target, &connection, &request);
            let providers: Vec<&str> = providers.map(|(name, _)| name).collect();
            let asked_for = plain::providers(&policies, &target, &connection, &request, semantics);
            let asked_for: Vec<&str> = asked_for.iter().map(Name::as_str).collect();
            assert_eq!(providers, asked_for, "{}", context());

            // What a connection decides, its requests do not change.
            let alone = support::plain(&index.decide(&workload, &connection));
            let expected_alone = plain::decide(&policies, &workload, &connection);
            assert_eq!(alone, expected_alone, "connection\n{}", context());
            let with_request =
                index.decide_request(&PolicyTarget::workload(&workload), &connection, &request);
            let with_request = support::plain(&with_request).verdict;
            let open = [PlainVerdict::NeedsRequest, PlainVerdict::Undecided];
            if !open.contains(&alone.verdict) {
                assert_eq!(alone.verdict, with_request, "{}", context());
            }
            // The case of a host does not count, that of a method does.
            let upper = asked.host.to_uppercase();
            let mut shouted = request;
            shouted.host = &upper;
            let authority = policies
                .iter()
                .flat_map(|p| &p.rules)
                .flat_map(|r| &r.clauses);
            let mut authority = authority.flat_map(|c| &c.matches).flat_map(|m| &m.headers);
            if !authority.any(|header| header.name == ":authority") {
                let decision = index.decide_request(&target, &connection, &shouted);
                assert_eq!(support::plain(&decision), expected, "{}", context());
            }
        }
    });
    assert_eq!(asked_pairs, pairs() / REQUESTS * REQUESTS);
    println!("{asked_pairs} pairs: {seen:?}");
    assert_eq!(seen.len(), 4, "{seen:?}");
}

/// One or two policies with one condition of those whose meaning differs.
fn touchy(dice: &mut Dice) -> Vec<PolicySpec> {
    let one = |dice: &mut Dice| {
        let host = |dice: &mut Dice| {
            let text = dice.one(&["shop.example", "db", "api.shop.example:80"]);
            vec![pattern(dice, text)]
        };
        let value = |dice: &mut Dice| {
            let text = dice.one(&["admin", "user", "ops"]);
            vec![pattern(dice, text)]
        };
        let template =
            |dice: &mut Dice| vec![PathMatch::parse(dice.one(&["/{*}/c", "/{**}/c"])).unwrap()];
        let header = |values, not_values| {
            let name = "x-role".into();
            vec![HeaderMatch {
                name,
                values,
                not_values,
            }]
        };
        let none = MatchSpec::default();
        match dice.roll(6) {
            0 => MatchSpec {
                hosts: host(dice),
                ..none
            },
            1 => MatchSpec {
                not_hosts: host(dice),
                ..none
            },
            2 => MatchSpec {
                headers: header(value(dice), vec![]),
                ..none
            },
            3 => MatchSpec {
                headers: header(vec![], value(dice)),
                ..none
            },
            4 => MatchSpec {
                paths: template(dice),
                ..none
            },
            _ => MatchSpec {
                not_paths: template(dice),
                ..none
            },
        }
    };
    let policy = |at: usize| {
        let action = dice.one(&[Action::Allow, Action::Deny]);
        PolicySpec {
            rules: vec![RuleSpec::of(one(dice))],
            ..PolicySpec::new("root", format!("p{at}"), Scope::Global, action)
        }
    };
    (0..2).map(policy).collect()
}

/// The strict meaning only ever denies more.
#[test]
fn strict_allows_nothing_that_compat_denies() {
    let (mut stricter, mut dice) = (0, Dice(0xdead_5eed));
    let workload = workload(&[]);
    let target = PolicyTarget::workload(&workload);
    for _ in 0..pairs() {
        let policies = touchy(&mut dice);
        let strict = store(&policies, Semantics::strict()).index();
        let compat = store(&policies, Semantics::compat()).index();
        let asked = Asked::roll(&mut dice);
        let connection = asked.connection();
        let path = dice.one(&["/a|b/c", "/a/c", "/a[/b/c"]);
        let path = Target::normalize(path.as_bytes(), PathNormalization::None).unwrap();
        let request = Request::new(asked.method, asked.host, &asked.headers).with_target(&path);
        let strict = strict
            .decide_request(&target, &connection, &request)
            .verdict;
        let compat = compat
            .decide_request(&target, &connection, &request)
            .verdict;
        let strict = matches!(strict, Verdict::Allow(_));
        let compat = matches!(compat, Verdict::Allow(_));
        assert!(
            compat || !strict,
            "{policies:#?}\n{connection:?}\n{request:?}"
        );
        stricter += usize::from(compat && !strict);
    }
    assert!(stricter > 50, "{stricter}");
}
