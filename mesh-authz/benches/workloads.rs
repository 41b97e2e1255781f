//! Decisions of large policy sets, as a table: `cargo bench -p mesh-authz --bench workloads`.
//!
//! Each decision is timed by itself, which costs about as much as the first line says; `hot` are
//! times of one question that is asked a hundred times in a row: the least and the 99th percentile of
//! all questions; `turn p99` is that of the least time of each question when all are asked in turn.
//! Each question is made anew before it is timed, as if it had just been received: it is at hand, and
//! what the index makes a decision read is not. `--lines` measures nothing, but calls `lines` for each
//! question with an empty first cache, for a tool that counts:
//! `valgrind --tool=callgrind --cache-sim=yes --collect-atstart=no --toggle-collect='workloads::lines*'`.
//! Bytes are those asked of the allocator by what is left of a first sync, for policies and index.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
use std::time::Instant;

use http::HeaderMap;
use mesh_authz::claims::VerifiedClaims;
use mesh_authz::spec::{
    Action, ClaimMatch, ClauseSpec, HeaderMatch, MatchSpec, PathMatch, PolicySpec, RuleSpec, Scope,
    ServiceAccountMatch, StringMatch,
};
use mesh_authz::store::{PolicyStore, Update};
use mesh_authz::{Connection, PolicyIndex, PolicyTarget, Request};
use mesh_core::identity::SpiffeId;
use mesh_core::model::{Workload, WorkloadSpec};
use mesh_core::target::{PathNormalization, Target};

/// Counts what is allocated.
struct Counting;

static BYTES: AtomicIsize = AtomicIsize::new(0);
static CALLS: AtomicUsize = AtomicUsize::new(0);

#[expect(unsafe_code, reason = "an allocator cannot be written without")]
// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size().cast_signed(), Ordering::Relaxed);
        CALLS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size().cast_signed(), Ordering::Relaxed);
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Questions by number.
struct Asks {
    count: usize,
    make: Box<dyn Fn(usize) -> Ask>,
}

impl Asks {
    fn of(all: Vec<Ask>) -> Self {
        let count = all.len();
        let make = Box::new(move |at: usize| all[at].clone());
        Self { count, make }
    }
}

/// What is asked.
#[derive(Clone)]
struct Ask {
    namespace: String,
    identity: Option<SpiffeId>,
    source: std::net::IpAddr,
    method: &'static str,
    host: &'static str,
    path: String,
    headers: HeaderMap,
    claims: Option<Arc<VerifiedClaims>>,
}

impl Ask {
    fn of(principal: &str, path: &str) -> Self {
        Self {
            namespace: "shop".into(),
            identity: Some(format!("spiffe://{principal}").parse().unwrap()),
            source: [10, 0, 0, 1].into(),
            method: "GET",
            host: "shop.example",
            path: path.into(),
            headers: HeaderMap::new(),
            claims: None,
        }
    }
}

const CART: &str = "cluster.local/ns/shop/sa/cart";

fn exact(text: impl Into<String>) -> Vec<StringMatch> {
    vec![StringMatch::exact(text.into()).unwrap()]
}

fn path(pattern: impl Into<String>) -> Vec<PathMatch> {
    vec![PathMatch::parse(&pattern.into()).unwrap()]
}

fn account(at: usize) -> String {
    format!("cluster.local/ns/ns-{}/sa/account-{at}", at % 200)
}

fn m() -> MatchSpec {
    MatchSpec::default()
}

/// Policies of one rule each that deny everywhere.
fn denials(count: usize, rule: impl Fn(usize) -> MatchSpec) -> Vec<PolicySpec> {
    let policy = |at| {
        let mut policy =
            PolicySpec::new("root", format!("policy-{at}"), Scope::Global, Action::Deny);
        policy.rules.push(RuleSpec::of(rule(at)));
        policy
    };
    (0..count).map(policy).collect()
}

struct Cell {
    name: String,
    policies: Vec<PolicySpec>,
    asks: Asks,
}

fn cell(name: impl Into<String>, policies: Vec<PolicySpec>, asks: Vec<Ask>) -> Cell {
    Cell {
        name: name.into(),
        policies,
        asks: Asks::of(asks),
    }
}

/// The bench `rbac` of the node proxy of Istio.
fn w0() -> Cell {
    let rule = |policy: usize, rule: usize| {
        let three = |what: &str| {
            let text = format!("{what}-{policy}-{rule}");
            vec![
                StringMatch::exact(text.clone()).unwrap(),
                StringMatch::prefix(format!("prefix-{text}")).unwrap(),
                StringMatch::suffix(format!("suffix-{text}")).unwrap(),
            ]
        };
        RuleSpec::of(MatchSpec {
            namespaces: three("namespace"),
            principals: three("principal"),
            source_ips: vec![
                format!("172.{}.{rule}.0/24", 16 + policy % 16)
                    .parse()
                    .unwrap(),
            ],
            destination_ports: vec![u16::try_from(10_000 + rule).unwrap()],
            ..m()
        })
    };
    let policies = (0..10_000).map(|at| PolicySpec {
        rules: (0..10).map(|number| rule(at, number)).collect(),
        ..PolicySpec::new("root", format!("policy-{at}"), Scope::Global, Action::Deny)
    });
    cell("W0 10k x 10", policies.collect(), vec![Ask::of(CART, "/")])
}

fn w1(count: usize) -> Vec<Cell> {
    let policies = || {
        denials(count, |at| MatchSpec {
            principals: exact(account(at)),
            ..m()
        })
    };
    let asks = [
        ("miss", CART.to_owned()),
        ("first", account(0)),
        ("last", account(count - 1)),
    ];
    asks.into_iter()
        .map(|(what, id)| {
            cell(
                format!("W1 principals {count} {what}"),
                policies(),
                vec![Ask::of(&id, "/")],
            )
        })
        .collect()
}

fn w2(count: usize) -> Cell {
    let policies = denials(count, |at| {
        if at % 2 == 0 {
            return MatchSpec {
                namespaces: exact(format!("ns-{at}")),
                ..m()
            };
        }
        let one = ServiceAccountMatch::new(format!("ns-{}", at % 200), format!("account-{at}"));
        MatchSpec {
            service_accounts: vec![one.unwrap()],
            ..m()
        }
    });
    cell(
        format!("W2 namespaces, accounts {count}"),
        policies,
        vec![Ask::of(CART, "/")],
    )
}

fn w3(count: usize) -> Cell {
    let policies = denials(count, |at| {
        let bits = u32::try_from(at).unwrap().wrapping_mul(2_654_435_761);
        let net = if at % 4 == 0 {
            let v6 = std::net::Ipv6Addr::from((0x2001_0db8_u128 << 96) | u128::from(bits) << 40);
            ipnet::IpNet::new(v6.into(), u8::try_from(48 + at % 80).unwrap())
        } else {
            // Not in 10.0.0.0/8.
            let v4 = std::net::Ipv4Addr::from(bits | 0x8000_0000);
            ipnet::IpNet::new(v4.into(), u8::try_from(8 + at % 25).unwrap())
        };
        MatchSpec {
            source_ips: vec![net.unwrap().trunc()],
            ..m()
        }
    });
    let mut v6 = Ask::of(CART, "/");
    v6.source = "2001:db9::1".parse().unwrap();
    cell(
        format!("W3 ranges {count}"),
        policies,
        vec![Ask::of(CART, "/"), v6],
    )
}

fn w4(count: usize) -> Cell {
    let policies = denials(count, |at| {
        let paths = match at % 3 {
            0 => path(format!("/svc-{at}/*")),
            1 => path(format!("*/item-{at}.json")),
            _ => path(format!("/svc-{at}/list")),
        };
        MatchSpec { paths, ..m() }
    });
    let asks = ["/svc/none", "/shop/cart/7/items/none.json", "/svc-x/list"];
    cell(
        format!("W4 paths {count}"),
        policies,
        asks.map(|p| Ask::of(CART, p)).to_vec(),
    )
}

fn w5(count: usize) -> Cell {
    let policies = denials(count, |at| {
        let paths = match at % 3 {
            0 => path(format!("/svc-{at}/{{*}}/items/{{*}}")),
            1 => path(format!("/svc-{at}/v1/{{**}}")),
            _ => path(format!("/{{*}}/svc-{at}/{{**}}/tail")),
        };
        MatchSpec { paths, ..m() }
    });
    let asks = [
        "/svc/1/items/none",
        "/svc-3/1/things/2",
        "/a/svc-x/b/c/tail",
    ];
    cell(
        format!("W5 templates {count}"),
        policies,
        asks.map(|p| Ask::of(CART, p)).to_vec(),
    )
}

fn w6(count: usize) -> Cell {
    let policies = denials(count, |at| {
        let values = exact(format!("group-{at}"));
        if at % 2 == 0 {
            let claim = ClaimMatch {
                path: vec!["groups".into()],
                values,
                not_values: vec![],
            };
            return MatchSpec {
                claims: vec![claim],
                ..m()
            };
        }
        let header = HeaderMatch {
            name: "x-team".into(),
            values,
            not_values: vec![],
        };
        MatchSpec {
            headers: vec![header],
            ..m()
        }
    });
    let mut ask = Ask::of(CART, "/");
    ask.headers.insert("x-team", "none".parse().unwrap());
    let claims = serde_json::json!({"iss": "idp", "sub": "a", "groups": ["a", "b", "c"]});
    let serde_json::Value::Object(claims) = claims else {
        panic!()
    };
    ask.claims = Some(Arc::new(VerifiedClaims::assume_verified(claims)));
    cell(format!("W6 claims, headers {count}"), policies, vec![ask])
}

/// 200 namespaces, each with a policy that allows nothing, and others of one rule.
fn w7(count: usize) -> Cell {
    let mut policies = Vec::new();
    for ns in 0..200 {
        let name = format!("ns-{ns}");
        policies.push(PolicySpec::new(
            name,
            "nothing",
            Scope::Namespace,
            Action::Allow,
        ));
    }
    for at in 0..count {
        // The same in each namespace.
        let turn = at / 200;
        let source = match turn % 20 {
            0..12 => MatchSpec {
                principals: exact(account(at * 7 % 50_000)),
                ..m()
            },
            12..15 => MatchSpec {
                namespaces: exact(format!("ns-{}", at / 200 % 200)),
                ..m()
            },
            _ => MatchSpec::default(),
        };
        let mut operation = MatchSpec::default();
        if turn % 10 < 7 {
            operation.paths = path(format!("/api/v{}/things-{}/*", at % 3, at / 200 % 97));
        }
        if turn % 3 == 0 {
            operation.methods = vec![
                StringMatch::exact("GET").unwrap(),
                StringMatch::exact("PUT").unwrap(),
            ];
        }
        if turn % 10 >= 7 || turn % 4 == 0 {
            operation.destination_ports = vec![[80, 8080, 9000][turn % 3]];
        }
        let clauses = [source, operation].into_iter().filter(|one| *one != m());
        let clauses = clauses
            .map(|one| ClauseSpec { matches: vec![one] })
            .collect();
        let action = if turn % 20 == 1 {
            Action::Deny
        } else {
            Action::Allow
        };
        policies.push(PolicySpec {
            rules: vec![RuleSpec { clauses }],
            ..PolicySpec::new(
                format!("ns-{}", at % 200),
                format!("policy-{at}"),
                Scope::Namespace,
                action,
            )
        });
    }
    // Few namespaces and callers get most of the traffic.
    let zipf =
        |at: usize, of: usize| (of as f64).powf((at * 7919 % 4096) as f64 / 4096.0) as usize - 1;
    let make = move |at: usize| {
        let caller = account(zipf(at * 31, 50_000) % 50_000);
        let mut ask = Ask::of(
            &caller,
            &format!("/api/v{}/things-{}/item", at % 4, at % 120),
        );
        ask.namespace = format!("ns-{}", zipf(at, 200));
        ask.method = ["GET", "PUT", "POST"][at % 3];
        ask
    };
    Cell {
        name: format!("W7 mixed mesh {count}"),
        policies,
        asks: Asks {
            count: 4096,
            make: Box::new(make),
        },
    }
}

fn w8(count: usize) -> Vec<Cell> {
    let port = |at: usize| u16::try_from(at % 60_000 + 100).unwrap();
    let ask = || vec![Ask::of(CART, "/")];
    let negative = denials(count, |at| MatchSpec {
        not_principals: vec![
            StringMatch::exact(account(at)).unwrap(),
            StringMatch::Presence,
        ],
        not_destination_ports: vec![port(at)],
        ..m()
    });
    let stars = denials(count, |at| MatchSpec {
        principals: vec![StringMatch::Presence],
        paths: path("*"),
        hosts: vec![StringMatch::Presence],
        methods: vec![StringMatch::Presence],
        not_namespaces: exact("shop"),
        not_destination_ports: vec![port(at)],
        ..m()
    });
    let hot = denials(count, |at| MatchSpec {
        principals: exact(CART),
        not_destination_ports: vec![80, port(at)],
        ..m()
    });
    let long: String = (0..2000)
        .map(|at| if at % 20 == 0 { '/' } else { 'a' })
        .collect();
    let prefixes = denials(count.min(10_000), |at| MatchSpec {
        paths: vec![PathMatch::Text(
            StringMatch::prefix(&long[..1 + at % 2000]).unwrap(),
        )],
        not_methods: exact("GET"),
        ..m()
    });
    vec![
        cell(format!("W8 negatives only {count}"), negative, ask()),
        cell(format!("W8 all * {count}"), stars, ask()),
        cell(format!("W8 one hot principal {count}"), hot, ask()),
        cell(
            format!("W8 prefixes of one path {}", prefixes.len()),
            prefixes,
            vec![Ask::of(CART, &long)],
        ),
    ]
}

/// Calls `decide` for each of the asks in turn.
fn each_decision(
    index: &PolicyIndex,
    asks: &Asks,
    rounds: usize,
    by_residual: bool,
    mut time: impl FnMut(&dyn Fn()),
) {
    for at in (0..rounds).map(|round| round % asks.count) {
        let ask = (asks.make)(at);
        let workload = workload(&ask.namespace);
        let path = Target::normalize(ask.path.as_bytes(), PathNormalization::None).unwrap();
        let connection = Connection::new(
            ask.source,
            ask.identity.as_ref(),
            ([10, 0, 0, 2], 80).into(),
        );
        let mut request = Request::new(ask.method, ask.host, &ask.headers).with_target(&path);
        if let Some(claims) = &ask.claims {
            request = request.with_claims(claims);
        }
        let target = PolicyTarget::workload(&workload);
        if by_residual {
            let residual = index.residual(&target, &connection);
            time(&|| {
                let _ = black_box(residual.decide(black_box(&request)));
            });
        } else {
            time(&|| {
                let _ = black_box(index.decide_request(&target, &connection, black_box(&request)));
            });
        }
    }
}

fn workload(namespace: &str) -> Workload {
    Workload::new(WorkloadSpec {
        namespace: namespace.into(),
        ..WorkloadSpec::default()
    })
}

/// Median and 99th percentile in nanoseconds, and the 99th percentile of the least time of each
/// question: all are asked in turn, so what is looked at is not at hand, but a pause of the machine
/// rarely meets the same question each time.
fn percentiles(index: &PolicyIndex, asks: &Asks, by_residual: bool) -> (u128, u128, u128) {
    let mut times = Vec::new();
    each_decision(index, asks, 20_000, by_residual, |decide| {
        let start = Instant::now();
        decide();
        times.push(start.elapsed().as_nanos());
    });
    let each = (0..asks.count.min(times.len())).map(|at| times.iter().skip(at).step_by(asks.count));
    let mut least: Vec<_> = each.filter_map(|own| own.min().copied()).collect();
    least.sort_unstable();
    times.sort_unstable();
    let p99 = |times: &[u128]| times[times.len() * 99 / 100];
    (times[times.len() / 2], p99(&times), p99(&least))
}

fn measure(cell: Cell) {
    let rules: usize = cell
        .policies
        .iter()
        .map(|policy| policy.rules.len().max(1))
        .sum();
    let batch: Vec<_> = cell.policies.into_iter().map(Update::Upsert).collect();
    let store = PolicyStore::new();
    let start = Instant::now();
    let applied = store.apply(batch);
    let compile = start.elapsed();
    assert!(applied.rejected.is_empty());
    let index = PolicyIndex::clone(&store.index());
    drop(store);
    if std::env::args().any(|arg| arg == "--lines") {
        return counted(&index, &cell.asks);
    }
    report(&cell.name, rules, compile, &index, &cell.asks);
    let with = BYTES.load(Ordering::Relaxed);
    drop(index);
    let kept = with - BYTES.load(Ordering::Relaxed);
    println!("{:>8.0} B/rule", kept as f64 / rules as f64);
}

/// Asks each question once, with a first cache that is full of something else.
fn counted(index: &PolicyIndex, asks: &Asks) {
    let mut other = vec![0_u8; 1 << 18];
    each_decision(index, asks, asks.count, false, |decide| {
        for byte in other.iter_mut().step_by(64) {
            *byte = byte.wrapping_add(1);
        }
        black_box(&mut other);
        lines(decide);
    });
}

/// What a tool is told to count.
#[inline(never)]
fn lines(decide: &dyn Fn()) {
    decide();
}

fn report(
    name: &str,
    rules: usize,
    compile: std::time::Duration,
    index: &PolicyIndex,
    asks: &Asks,
) {
    let (p50, p99, turn99) = percentiles(index, asks, false);
    let (left50, left99, _) = percentiles(index, asks, true);
    let mut least = f64::MAX;
    let mut hot = Vec::new();
    each_decision(index, asks, 1000, false, |decide| {
        let mut own = f64::MAX;
        for _ in 0..5 {
            let start = Instant::now();
            (0..100).for_each(|_| decide());
            own = own.min(start.elapsed().as_nanos() as f64 / 100.0);
        }
        least = least.min(own);
        hot.push(own);
    });
    hot.sort_unstable_by(f64::total_cmp);
    let hot99 = hot[hot.len() * 99 / 100];
    let mut allocations = 0;
    each_decision(index, asks, 1000, false, |decide| {
        let before = CALLS.load(Ordering::Relaxed);
        decide();
        allocations += CALLS.load(Ordering::Relaxed) - before;
    });
    print!(
        "{name:<34} {rules:>7} {:>8.1} {least:>8.0} {hot99:>8.0} {p50:>7} {p99:>7} {turn99:>8} {left50:>8} {left99:>8} {allocations:>6}",
        compile.as_secs_f64() * 1000.0
    );
}

fn main() {
    let mut clock = Vec::new();
    for _ in 0..10_000 {
        let start = Instant::now();
        clock.push(start.elapsed().as_nanos());
    }
    clock.sort_unstable();
    println!("the clock itself: {} ns", clock[clock.len() / 2]);
    println!(
        "{:<34} {:>7} {:>8} {:>8} {:>8} {:>7} {:>7} {:>8} {:>8} {:>8} {:>6}",
        "",
        "rules",
        "sync ms",
        "hot min",
        "hot p99",
        "p50",
        "p99",
        "turn p99",
        "left p50",
        "left p99",
        "allocs"
    );
    let only = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let cells: Vec<Box<dyn Fn() -> Vec<Cell>>> = vec![
        Box::new(|| vec![w0()]),
        Box::new(|| w1(1000)),
        Box::new(|| w1(100_000)),
        Box::new(|| vec![w2(100_000)]),
        Box::new(|| vec![w3(100_000)]),
        Box::new(|| vec![w4(100_000)]),
        Box::new(|| vec![w5(10_000)]),
        Box::new(|| vec![w6(10_000)]),
        Box::new(|| vec![w7(1000), w7(100_000)]),
        Box::new(|| w8(1000)),
        Box::new(|| w8(100_000)),
    ];
    for make in cells {
        for cell in make() {
            if only
                .as_ref()
                .is_none_or(|only| cell.name.contains(only.as_str()))
            {
                measure(cell);
            }
        }
    }
}
