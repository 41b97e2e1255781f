//! How a connection ended, as a small closed set for labels.

/// How a connection ended: the value behind metric labels, response flags and access logs.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// Both directions ended cleanly.
    #[default]
    Completed,
    /// Policy refused the connection when it began.
    PolicyDenied,
    /// Policy changed and cut the running connection.
    PolicyRevoked,
    /// The next hop could not be reached.
    ConnectFailure,
    /// The TCP connection to the peer's HBONE port timed out, as when a network policy drops it.
    ConnectTimeout,
    /// No connection with an endpoint within the time that a traffic policy allows (`connectTimeout`).
    UpstreamTimeout,
    /// There were more new connections of late than a traffic policy allows.
    RateLimited,
    /// The peer answered the CONNECT request with something other than 200.
    Refused,
    /// The TLS handshake failed or timed out.
    TlsFailure,
    /// The HTTP/2 handshake failed or timed out.
    Http2Failure,
    /// No certificate for the identity could be had.
    IdentityFailure,
    /// A certificate of the peer is revoked.
    CertificateRevoked,
    /// Nothing could be resolved for the destination.
    Unresolved,
    /// The request was malformed or not permitted by the protocol.
    BadRequest,
    /// The deadline of a drain cut the connection.
    Drained,
    /// One side reset the connection.
    Reset,
    /// Copying failed in the middle of the connection for another reason.
    CopyFailure,
    /// The destination has no endpoint that may be chosen.
    NoEndpoint,
    /// The destination has as many connections as it may have.
    Overflow,
}

impl Outcome {
    /// The value of the metric label `response_flags`; `-` for success.
    ///
    /// Source: Istio standard metrics and ztunnel's `response_flags`; what traffic policies do is marked as by
    /// Envoy, since ztunnel has none.
    #[must_use]
    pub const fn response_flags(self) -> &'static str {
        match self {
            Self::Completed | Self::Drained | Self::Reset => "-",
            Self::PolicyDenied | Self::PolicyRevoked => "DENY",
            Self::ConnectFailure
            | Self::Refused
            | Self::Unresolved
            | Self::BadRequest
            | Self::CopyFailure => "CONNECT",
            Self::ConnectTimeout => "NETWORK_POLICY",
            Self::UpstreamTimeout => "UF",
            Self::NoEndpoint => "UH",
            Self::Overflow => "UO",
            Self::RateLimited => "RL",
            Self::TlsFailure => "TLS_FAILURE",
            Self::Http2Failure => "H2_HANDSHAKE_FAILURE",
            Self::IdentityFailure => "IDENTITY_ERROR",
            Self::CertificateRevoked => "CERT_REVOKED",
        }
    }

    /// Whether the connection failed, as opposed to ended.
    ///
    /// A reset is an end that applications choose: many close in no other way.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        !matches!(self, Self::Completed | Self::Drained | Self::Reset)
    }
}
