//! The plain evaluator: what a set of Kubernetes policies says about one request, read straight from the JSON.
//!
//! Nothing here is compiled, indexed or remembered, and nothing of the product is used: a decision looks
//! at every policy, rule and value, in the words of the specification. It knows both profiles
//! ([`Profile`]) and the four places where policies are enforced ([`View`]).

pub(crate) mod attach;
pub(crate) mod fields;
pub(crate) mod template;
pub(crate) mod text;
pub(crate) mod trust;

use std::net::{IpAddr, SocketAddr};

use serde_json::{Map, Value};

use self::fields::Scene;

/// Compat: what Istio does. Strict: the listed differences, each of which only denies more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    Compat,
    Strict,
}

pub(crate) const PROFILES: [Profile; 2] = [Profile::Compat, Profile::Strict];

/// Where the decision is made, which is what is known there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// A request over HTTP: everything is known, or known to be absent.
    Request,
    /// A connection whose requests are still to come: what a request would say is unknown.
    Connection,
    /// A TCP filter chain of Envoy: HTTP attributes are taken out when it is configured.
    TcpChain,
    /// A ztunnel, which gets the part of a policy that its wire form can carry.
    Ztunnel,
}

/// True, false, or not to be known here (Kleene).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Truth {
    False,
    Unknown,
    True,
}

impl Truth {
    pub(crate) fn of(known: bool) -> Self {
        if known { Self::True } else { Self::False }
    }

    pub(crate) fn not(self) -> Self {
        match self {
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
            Self::True => Self::False,
        }
    }

    pub(crate) fn all(truths: impl IntoIterator<Item = Self>) -> Self {
        truths.into_iter().min().unwrap_or(Self::True)
    }

    pub(crate) fn any(truths: impl IntoIterator<Item = Self>) -> Self {
        truths.into_iter().max().unwrap_or(Self::False)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Allow,
    Deny,
    Audit,
    Custom,
}

/// What mesh configuration says.
#[derive(Clone, Debug)]
pub(crate) struct Mesh {
    pub(crate) root_namespace: String,
    /// The mesh's own trust domain, then its aliases.
    pub(crate) trust_domains: Vec<String>,
    pub(crate) profile: Profile,
}

impl Mesh {
    pub(crate) fn new(profile: Profile) -> Self {
        Self {
            root_namespace: "istio-system".to_owned(),
            trust_domains: vec!["cluster.local".to_owned()],
            profile,
        }
    }
}

/// The pod that is protected, or the waypoint and the service behind it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Target {
    pub(crate) namespace: String,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) waypoint: bool,
    /// Kind, namespace and name of the services that are served; of a waypoint only.
    pub(crate) services: Vec<(String, String, String)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Conn {
    pub(crate) source: IpAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) remote: Option<IpAddr>,
    /// `TD/ns/NS/sa/SA` of the verified peer.
    pub(crate) identity: Option<String>,
    pub(crate) sni: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Req {
    pub(crate) method: String,
    /// Normalised, without query; `None` is a CONNECT without a path.
    pub(crate) path: Option<String>,
    pub(crate) query: Option<String>,
    pub(crate) host: String,
    /// One entry for each line.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    /// Of a verified token.
    pub(crate) claims: Option<Map<String, Value>>,
    /// Filter to key to value: a string or a list.
    pub(crate) metadata: Map<String, Value>,
}

/// The rule that is named as the reason: namespace, policy, number.
pub(crate) type RuleName = (String, String, usize);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// `None`: there are no ALLOW policies.
    Allow(Option<RuleName>),
    /// `None`: there are ALLOW policies, and none allows.
    Deny(Option<RuleName>),
    /// A request has to say more.
    Undecided,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) verdict: Verdict,
    /// An AUDIT policy matches.
    pub(crate) audit: Option<RuleName>,
    /// The providers that are asked, in their order.
    pub(crate) providers: Vec<String>,
    /// A DENY policy in dry-run matches.
    pub(crate) dry_run_deny: bool,
    /// An ALLOW policy in dry-run matches; `None` when there is none.
    pub(crate) dry_run_allow: Option<bool>,
}

/// Decides about one request (or connection, `req` is then `None`) on what applies of `policies`.
pub(crate) fn decide(
    mesh: &Mesh,
    policies: &[Value],
    target: &Target,
    view: View,
    conn: &Conn,
    req: Option<&Req>,
) -> Decision {
    let applied: Vec<&Value> = policies
        .iter()
        .filter(|policy| attach::applies(mesh, policy, target))
        .collect();
    let scene = Scene {
        mesh,
        view,
        conn,
        req,
    };
    let of = |action: Action, dry: bool| {
        let wanted = applied.iter().copied().filter(move |policy| {
            action_of(policy) == action && is_dry_run(policy) == dry && is_sent(mesh, policy, view)
        });
        wanted.collect::<Vec<_>>()
    };
    let allows = of(Action::Allow, false);
    let mut denies = of(Action::Deny, false);
    let mut customs = of(Action::Custom, false);
    if view == View::Ztunnel {
        // Nobody can be asked there.
        denies.append(&mut customs);
    }
    let denied = matching(&scene, &denies);
    let allowed = matching(&scene, &allows);
    let verdict = match (denied.truth, allowed.truth) {
        (Truth::True, _) => Verdict::Deny(denied.named),
        (Truth::False, _) if allows.is_empty() => Verdict::Allow(None),
        (Truth::False, Truth::True) => Verdict::Allow(allowed.named),
        (_, Truth::False) if !allows.is_empty() => Verdict::Deny(None),
        _ => Verdict::Undecided,
    };
    // An authorizer is asked about requests, and may deny each of them.
    let asks = view == View::Connection && matching(&scene, &customs).truth != Truth::False;
    let verdict = match verdict {
        Verdict::Allow(_) if asks => Verdict::Undecided,
        verdict => verdict,
    };
    let dry_allows = of(Action::Allow, true);
    let dry_allowed = matching(&scene, &dry_allows).truth == Truth::True;
    let mut providers: Vec<String> = customs
        .iter()
        .filter(|policy| matching(&scene, &[policy]).truth == Truth::True)
        .filter_map(|policy| {
            policy["spec"]["provider"]["name"]
                .as_str()
                .map(str::to_owned)
        })
        .collect();
    providers.sort();
    providers.dedup();
    Decision {
        verdict,
        audit: matching(&scene, &of(Action::Audit, false)).named,
        providers,
        dry_run_deny: matching(&scene, &of(Action::Deny, true)).truth == Truth::True,
        dry_run_allow: (!dry_allows.is_empty()).then_some(dry_allowed),
    }
}

/// In Compat a ztunnel gets neither CUSTOM nor AUDIT nor dry-run policies.
fn is_sent(mesh: &Mesh, policy: &Value, view: View) -> bool {
    view != View::Ztunnel
        || mesh.profile == Profile::Strict
        || (matches!(action_of(policy), Action::Allow | Action::Deny) && !is_dry_run(policy))
}

struct Matching {
    truth: Truth,
    named: Option<RuleName>,
}

/// Whether any rule of any of the policies matches, and which of those that do is named.
fn matching(scene: &Scene<'_>, policies: &[&Value]) -> Matching {
    let mut truth = Truth::False;
    let mut names = Vec::new();
    for policy in policies {
        for (number, rule) in list(&policy["spec"]["rules"]).iter().enumerate() {
            let said = fields::rule(scene, policy, rule);
            truth = truth.max(said);
            if said == Truth::True {
                let (namespace, name) = name_of(policy);
                names.push((namespace.to_owned(), name.to_owned(), number));
            }
        }
    }
    let named = match scene.mesh.profile {
        // The text that Envoy calls the rule by: rule[10] comes before rule[2].
        Profile::Compat => names.into_iter().min_by_key(|(namespace, name, number)| {
            format!("ns[{namespace}]-policy[{name}]-rule[{number}]")
        }),
        Profile::Strict => names.into_iter().min(),
    };
    Matching { truth, named }
}

pub(crate) fn action_of(policy: &Value) -> Action {
    match policy["spec"]["action"].as_str() {
        None | Some("ALLOW") => Action::Allow,
        Some("DENY") => Action::Deny,
        Some("AUDIT") => Action::Audit,
        Some("CUSTOM") => Action::Custom,
        Some(other) => panic!("no action: {other}"),
    }
}

/// Go's ParseBool; what it refuses is not dry-run.
pub(crate) fn is_dry_run(policy: &Value) -> bool {
    let text = policy["metadata"]["annotations"]["istio.io/dry-run"].as_str();
    matches!(text, Some("1" | "t" | "T" | "true" | "TRUE" | "True"))
}

pub(crate) fn name_of(policy: &Value) -> (&str, &str) {
    let metadata = &policy["metadata"];
    let name = metadata["name"].as_str().unwrap_or_default();
    (metadata["namespace"].as_str().unwrap_or_default(), name)
}

/// The items of a list; nothing is an empty one.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
