//! Where the rules of evaluation differ between Istio as it is and the safer choice.

/// Which of two meanings each of some details of policies has.
///
/// [`compat`](Self::compat) is Istio bit for bit; [`strict`](Self::strict), the default, differs in
/// the switches below and never allows more than Istio does.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Semantics {
    /// Values that a DENY asks for or that are excluded are compared with a host as well without
    /// its port and without one dot at its end.
    pub host_without_port: bool,
    /// Values that a DENY asks for or that are excluded are compared as well with each element of
    /// a header line that is a list with commas.
    pub header_elements: bool,
    /// In a DENY and in excluded paths, `{*}` stands for any bytes but `/`, and not for those only
    /// that Envoy takes.
    pub wide_templates: bool,
    /// `*` asks for a header that is not empty, where it is asked for by an ALLOW.
    pub header_not_empty: bool,
    /// The rule that is reported, where several match, is the one with the least number, and not
    /// the one whose identifier `ns[NS]-policy[NAME]-rule[I]` is first as a text.
    pub numeric_order: bool,
    /// A `*` inside of a namespace stands for any characters, as it does at Envoy. At ztunnel it is an
    /// ordinary character, which no namespace has; see [`at_node_proxy`](Self::at_node_proxy).
    pub namespace_wildcards: bool,
}

impl Semantics {
    /// Istio bit for bit.
    #[must_use]
    pub const fn compat() -> Self {
        Self {
            host_without_port: false,
            header_elements: false,
            wide_templates: false,
            header_not_empty: false,
            numeric_order: false,
            namespace_wildcards: true,
        }
    }

    /// The safer choice everywhere.
    #[must_use]
    pub const fn strict() -> Self {
        Self {
            host_without_port: true,
            header_elements: true,
            wide_templates: true,
            header_not_empty: true,
            numeric_order: true,
            namespace_wildcards: true,
        }
    }
}

impl Semantics {
    /// The same where only connections are seen: as ztunnel compares values there.
    #[must_use]
    pub const fn at_node_proxy(self) -> Self {
        Self {
            namespace_wildcards: false,
            ..self
        }
    }
}

impl Default for Semantics {
    fn default() -> Self {
        Self::strict()
    }
}
