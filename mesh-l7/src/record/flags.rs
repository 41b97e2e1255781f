//! What went wrong with a request, as a small closed set.

use std::fmt;

/// What went wrong with a request: any number of flags, printed with commas as Envoy's `RESPONSE_FLAGS`,
/// `-` for none.
///
/// Source: Envoy's access log documentation, response flags.
///
/// ```
/// use mesh_l7::record::Flags;
///
/// let flags = Flags::UPSTREAM_CONNECT.and(Flags::RETRIES_EXHAUSTED);
/// assert_eq!(flags.to_string(), "URX,UF");
/// assert!(flags.contains(Flags::UPSTREAM_CONNECT));
/// assert_eq!(Flags::NONE.to_string(), "-");
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Flags(u32);

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident = $bit:literal, $text:literal;)*) => {
        impl Flags {
            $($(#[$doc])* pub const $name: Self = Self(1 << $bit);)*

            const ALL: &[(Self, &'static str)] = &[$((Self::$name, $text),)*];
        }
    };
}

flags! {
    /// All retries that were allowed were made.
    RETRIES_EXHAUSTED = 0, "URX";
    /// No rule was met.
    NO_ROUTE = 1, "NR";
    /// The upstream that the rule names is not there.
    NO_CLUSTER = 2, "NC";
    /// The upstream has no host that may be chosen.
    NO_HOST = 3, "UH";
    /// No connection to the host.
    UPSTREAM_CONNECT = 4, "UF";
    /// The host closed the connection.
    UPSTREAM_CLOSED = 5, "UC";
    /// The host reset the stream.
    UPSTREAM_RESET = 6, "UR";
    /// A circuit breaker was open.
    OVERFLOW = 7, "UO";
    /// The time for the request or an attempt was over.
    TIMEOUT = 8, "UT";
    /// The host's answer was not HTTP.
    PROTOCOL_ERROR = 9, "UPE";
    /// A fault was injected: an answer in place of the host's.
    FAULT_ABORT = 10, "FI";
    /// A fault was injected: a delay.
    FAULT_DELAY = 11, "DI";
    /// A local rate limit was reached.
    RATE_LIMITED = 12, "RL";
    /// The client was gone before the end.
    CLIENT_GONE = 13, "DC";
    /// The client's request was not HTTP.
    CLIENT_PROTOCOL_ERROR = 14, "DPE";
    /// Authorization refused the request, or an external authorizer could not be asked.
    UNAUTHORIZED = 15, "UAEX";
    /// Nothing moved for too long.
    IDLE = 16, "SI";
    /// The stream had been open for too long.
    MAX_DURATION = 17, "UMSDR";
}

impl Flags {
    /// Nothing went wrong.
    pub const NONE: Self = Self(0);

    /// These and others.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of another set are in this one.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for (_, text) in Self::ALL.iter().filter(|(flag, _)| self.contains(*flag)) {
            if !first {
                f.write_str(",")?;
            }
            f.write_str(text)?;
            first = false;
        }
        if first { f.write_str("-") } else { Ok(()) }
    }
}
