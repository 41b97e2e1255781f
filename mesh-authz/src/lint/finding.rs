//! What is found.

use std::fmt;

use crate::kube::Provenance;

/// How bad it is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "there are three")]
pub enum Level {
    /// It does not do what it says.
    Error,
    /// It may not do what is meant.
    Warning,
    /// It could be said more simply.
    Info,
}

/// Something that was found.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Lint {
    /// What it is.
    pub rule: LintRule,
    /// In which object.
    pub provenance: Provenance,
    /// In which field, such as `spec.rules[0].from[1].source`.
    pub field: Box<str>,
    /// What it does there, and what to do about it.
    pub message: Box<str>,
}

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $level:ident;)*) => {
        /// What lint looks for.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[non_exhaustive]
        pub enum LintRule {
            $($(#[$doc])* $name,)*
        }

        impl LintRule {
            /// All rules, by their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The number, such as `L01`.
            #[must_use]
            pub fn id(self) -> &'static str {
                match self {
                    $(Self::$name => $id,)*
                }
            }

            /// How bad it is.
            #[must_use]
            pub fn level(self) -> Level {
                match self {
                    $(Self::$name => Level::$level,)*
                }
            }
        }
    };
}

rules! {
    /// A DENY of requests where no waypoint is: a node proxy does not know requests.
    DenyNeedsWaypoint = "L01", Error;
    /// A DENY of HTTP attributes without ports denies all TCP as well.
    DeniesAllTcp = "L02", Warning;
    /// An ALLOW that a request without a token satisfies.
    AllowsWithoutToken = "L03", Error;
    /// An ALLOW that a caller without an identity satisfies, where such callers are accepted.
    AllowsPlaintext = "L04", Error;
    /// The only ALLOW policy of a workload: everything else is denied.
    FirstAllow = "L05", Warning;
    /// A waypoint's policies do not apply to those who go around it.
    WaypointBypass = "L06", Warning;
    /// Addresses that are not the client's behind a waypoint, or that clients choose.
    AddressBehindProxy = "L07", Warning;
    /// A host is compared with its port, and is the client's choice.
    HostChosenByClient = "L08", Warning;
    /// A text that looks like a pattern and is compared as it is.
    NotAPattern = "L09", Warning;
    /// A service account without namespace in a policy of the whole mesh.
    BareServiceAccount = "L10", Warning;
    /// A pseudo header in place of the field that is meant for it.
    PseudoHeader = "L11", Warning;
    /// A rule that nothing satisfies.
    Unreachable = "L12", Error;
    /// A rule that another one of the same action covers.
    Shadowed = "L13", Warning;
    /// An ALLOW rule that a DENY rule covers.
    DeniedAnyway = "L14", Warning;
    /// Two policies that say the same.
    Duplicate = "L15", Info;
    /// Namespaces and service accounts of any trust domain are meant.
    AnyTrustDomain = "L16", Warning;
    /// An external authorizer that cannot be asked.
    AuthorizerNotAsked = "L17", Error;
    /// An external authorizer that lets pass what it does not answer for.
    FailsOpen = "L18", Warning;
    /// A list header whose elements are not looked at one by one.
    ListHeader = "L19", Warning;
    /// Token rules that accept more than is meant, or keys that are not safe.
    TokenRules = "L20", Warning;
    /// A path that a backend may read in another way.
    PathReadOtherwise = "L21", Warning;
    /// A template where a prefix would do.
    NeedlessTemplate = "L22", Info;
    /// An identity or a namespace that nobody has.
    UnknownIdentity = "L23", Error;
    /// A policy that applies to nothing.
    AppliesToNothing = "L24", Warning;
    /// A dry run that is none.
    NotADryRun = "L25", Warning;
    /// Trust domains, which the wire form of a node proxy has no place for.
    TrustDomainAtNode = "L26", Error;
}

impl Lint {
    pub(super) fn new(
        rule: LintRule,
        provenance: &Provenance,
        field: impl fmt::Display,
        message: impl fmt::Display,
    ) -> Self {
        Self {
            rule,
            provenance: provenance.clone(),
            field: field.to_string().into(),
            message: message.to_string().into(),
        }
    }

    pub(super) fn order(&self) -> impl Ord + '_ {
        (&self.provenance, self.rule, &self.field, &self.message)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        })
    }
}

/// As compilers do: `policies.yaml:12: shop/p: error[L01]: spec.rules[0]: ...`.
impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (level, id) = (self.rule.level(), self.rule.id());
        write!(
            f,
            "{}: {level}[{id}]: {}: {}",
            self.provenance, self.field, self.message
        )
    }
}
