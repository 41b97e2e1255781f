//! What went wrong with a request, as a small closed set.

use std::fmt;

/// What went wrong with a request: any number of flags, printed with commas as Envoy's `RESPONSE_FLAGS`,
/// `-` for none.
///
/// Source: Envoy's access log documentation, response flags. What Envoy has for its caches, extensions and
/// health checks (`RFCF`, `NFCF`, `LH`) is not there.
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
    ($($(#[$doc:meta])* $name:ident = $bit:literal, $short:literal, $long:literal;)*) => {
        impl Flags {
            $($(#[$doc])* pub const $name: Self = Self(1 << $bit);)*

            /// Each with its short and its long name.
            const ALL: &[(Self, &'static str, &'static str)] =
                &[$((Self::$name, $short, $long),)*];
        }
    };
}

// The order in which they are printed: that in which a request comes to have them, as Envoy prints.
flags! {
    /// The load on this proxy was too high.
    OVERLOADED = 0, "OM", "OverloadManagerTerminated";
    /// The client's request was not HTTP.
    CLIENT_PROTOCOL_ERROR = 1, "DPE", "DownstreamProtocolError";
    /// Headers that only proxies may send were not what they must be.
    INVALID_PROXY_HEADERS = 2, "IH", "InvalidEnvoyRequestHeaders";
    /// Authorization refused the request, or an external authorizer could not be asked.
    UNAUTHORIZED = 3, "UAEX", "UnauthorizedExternalService";
    /// A fault was injected: a delay.
    FAULT_DELAY = 4, "DI", "DelayInjected";
    /// A fault was injected: an answer in place of the host's.
    FAULT_ABORT = 5, "FI", "FaultInjected";
    /// A rate limit was reached.
    RATE_LIMITED = 6, "RL", "RateLimited";
    /// The rate limit service could not be asked.
    RATE_LIMIT_ERROR = 7, "RLSE", "RateLimitServiceError";
    /// No rule was met.
    NO_ROUTE = 8, "NR", "NoRouteFound";
    /// The upstream that the rule names is not there.
    NO_CLUSTER = 9, "NC", "NoClusterFound";
    /// Dropped because the upstream has too much to do.
    DROPPED = 10, "DO", "DropOverload";
    /// The upstream's name could not be looked up.
    NAME_LOOKUP = 11, "DF", "DnsResolutionFailed";
    /// All retries that were allowed were made.
    RETRIES_EXHAUSTED = 12, "URX", "UpstreamRetryLimitExceeded";
    /// The upstream has no host that may be chosen.
    NO_HOST = 13, "UH", "NoHealthyUpstream";
    /// No connection to the host.
    UPSTREAM_CONNECT = 14, "UF", "UpstreamConnectionFailure";
    /// The host closed the connection.
    UPSTREAM_CLOSED = 15, "UC", "UpstreamConnectionTermination";
    /// The host reset the stream.
    UPSTREAM_RESET = 16, "UR", "UpstreamRemoteReset";
    /// This proxy reset the stream.
    LOCAL_RESET = 17, "LR", "LocalReset";
    /// A circuit breaker was open.
    OVERFLOW = 18, "UO", "UpstreamOverflow";
    /// The time for the request or an attempt was over.
    TIMEOUT = 19, "UT", "UpstreamRequestTimeout";
    /// The host's answer was not HTTP.
    PROTOCOL_ERROR = 20, "UPE", "UpstreamProtocolError";
    /// The stream to the host had been open for too long.
    MAX_DURATION = 21, "UMSDR", "UpstreamMaxStreamDurationReached";
    /// Nothing moved for too long.
    IDLE = 22, "SI", "StreamIdleTimeout";
    /// The connection of the client had been open for too long.
    CLIENT_MAX_DURATION = 23, "DT", "DurationTimeout";
    /// The client was gone before the end.
    CLIENT_GONE = 24, "DC", "DownstreamConnectionTermination";
    /// The client reset the stream.
    CLIENT_RESET = 25, "DR", "DownstreamRemoteReset";
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

    /// Their long names with commas, `-` for none: Envoy's `RESPONSE_FLAGS_LONG`.
    ///
    /// ```
    /// use mesh_l7::record::Flags;
    ///
    /// assert_eq!(Flags::NO_ROUTE.long().to_string(), "NoRouteFound");
    /// ```
    pub fn long(self) -> impl fmt::Display {
        fmt::from_fn(move |f| self.write(f, |(_, _, long)| long))
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn write(
        self,
        f: &mut fmt::Formatter<'_>,
        name: impl Fn(&(Self, &'static str, &'static str)) -> &'static str,
    ) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("-");
        }
        let flags = Self::ALL.iter().filter(|(flag, ..)| self.contains(*flag));
        for (place, flag) in flags.enumerate() {
            if place > 0 {
                f.write_str(",")?;
            }
            f.write_str(name(flag))?;
        }
        Ok(())
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, |(_, short, _)| short)
    }
}
