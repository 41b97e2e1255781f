//! What the values of a field are compared with.

/// What the values of a field are compared with.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Dimension {
    DestinationPort,
    DestinationIp,
    SourceIp,
    RemoteIp,
    ServiceAccount,
    Namespace,
    TrustDomain,
    Principal,
    Sni,
    Method,
    Host,
    Path,
    RequestPrincipal,
    Header,
    Claim,
    Metadata,
}

impl Dimension {
    /// In the order in which fields are compared: those that are quick to compare come first.
    pub(crate) const ALL: [Self; 16] = [
        Self::DestinationPort,
        Self::DestinationIp,
        Self::SourceIp,
        Self::RemoteIp,
        Self::ServiceAccount,
        Self::Namespace,
        Self::TrustDomain,
        Self::Principal,
        Self::Sni,
        Self::Method,
        Self::Host,
        Self::Path,
        Self::RequestPrincipal,
        Self::Header,
        Self::Claim,
        Self::Metadata,
    ];

    /// Its place in [`ALL`](Self::ALL).
    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    pub(crate) fn of(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// Whether it is only known of a request.
    pub(crate) fn needs_request(self) -> bool {
        self >= Self::Method
    }

    /// Whether a field of it has a name: of a header, a claim, or what was noted.
    pub(crate) fn is_named(self) -> bool {
        self >= Self::Header
    }

    /// As a field is called in a [`MatchSpec`](crate::spec::MatchSpec).
    pub(crate) fn field(self) -> &'static str {
        match self {
            Self::DestinationPort => "destination_ports",
            Self::DestinationIp => "destination_ips",
            Self::SourceIp => "source_ips",
            Self::RemoteIp => "remote_ips",
            Self::ServiceAccount => "service_accounts",
            Self::Namespace => "namespaces",
            Self::TrustDomain => "trust_domains",
            Self::Principal => "principals",
            Self::Sni => "snis",
            Self::Method => "methods",
            Self::Host => "hosts",
            Self::Path => "paths",
            Self::RequestPrincipal => "request_principals",
            Self::Header => "headers",
            Self::Claim => "claims",
            Self::Metadata => "metadata",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_places() {
        for (place, dimension) in (0..).zip(Dimension::ALL) {
            assert_eq!(dimension.code(), place);
            assert_eq!(Dimension::of(place), Some(dimension));
        }
        assert_eq!(Dimension::of(16), None);
    }
}
