//! Which fields of a match a node proxy knows, and what the others are called.

use mesh_core::name::Name;

use crate::kube::authorization::Origin;
use crate::kube::settings::Profile;
use crate::spec::MatchSpec;

/// Adds the names of the fields that a node proxy does not know.
///
/// A condition is named by its key. The fields of sources and operations have the names that they
/// have there, and so has what comes from no object.
pub(super) fn unsupported(
    from: &MatchSpec,
    origin: Option<&Origin>,
    profile: Profile,
    to: &mut Vec<Name>,
) {
    let rest = rest(from, origin, profile);
    if rest == MatchSpec::default() {
        return;
    }
    if let Some(Origin::When(key)) = origin {
        return to.push(key.clone());
    }
    let before = to.len();
    let named = [
        ("hosts", rest.hosts.is_empty()),
        ("notHosts", rest.not_hosts.is_empty()),
        ("methods", rest.methods.is_empty()),
        ("notMethods", rest.not_methods.is_empty()),
        ("paths", rest.paths.is_empty()),
        ("notPaths", rest.not_paths.is_empty()),
        ("remoteIpBlocks", rest.remote_ips.is_empty()),
        ("notRemoteIpBlocks", rest.not_remote_ips.is_empty()),
        ("requestPrincipals", rest.request_principals.is_empty()),
        (
            "notRequestPrincipals",
            rest.not_request_principals.is_empty(),
        ),
        ("trustDomains", rest.trust_domains.is_empty()),
        ("notTrustDomains", rest.not_trust_domains.is_empty()),
        (
            "connection.sni",
            rest.snis.is_empty() && rest.not_snis.is_empty(),
        ),
    ];
    to.extend(
        named
            .iter()
            .filter(|(_, empty)| !empty)
            .map(|(name, _)| Name::from(*name)),
    );
    let headers = rest.headers.iter();
    to.extend(headers.map(|each| format!("request.headers[{}]", each.name).into()));
    to.extend(rest.claims.iter().map(|each| {
        let names = each.path.iter().map(|name| format!("[{name}]"));
        format!("request.auth.claims{}", names.collect::<String>()).into()
    }));
    let metadata = rest.metadata.iter();
    to.extend(metadata.map(|each| format!("experimental.{}[{}]", each.filter, each.key).into()));
    if to.len() == before {
        to.push("a condition that this version does not know".into());
    }
}

/// The fields that a node proxy knows.
pub(super) fn known(from: &MatchSpec, origin: Option<&Origin>, profile: Profile) -> MatchSpec {
    let compat = profile == Profile::Compat;
    let condition = matches!(origin, Some(Origin::When(_)));
    let mut known = MatchSpec {
        namespaces: from.namespaces.clone(),
        not_namespaces: from.not_namespaces.clone(),
        principals: from.principals.clone(),
        not_principals: from.not_principals.clone(),
        source_ips: from.source_ips.clone(),
        not_source_ips: from.not_source_ips.clone(),
        destination_ips: from.destination_ips.clone(),
        not_destination_ips: from.not_destination_ips.clone(),
        destination_ports: from.destination_ports.clone(),
        not_destination_ports: from.not_destination_ports.clone(),
        ..MatchSpec::default()
    };
    // The wire form has a place for the service accounts of sources, which istiod does not fill
    // from conditions, and none for trust domains.
    if !(compat && condition) {
        known.service_accounts.clone_from(&from.service_accounts);
        known
            .not_service_accounts
            .clone_from(&from.not_service_accounts);
    }
    if !compat {
        known.trust_domains.clone_from(&from.trust_domains);
        known.not_trust_domains.clone_from(&from.not_trust_domains);
    }
    known
}

/// The fields that a node proxy does not know.
fn rest(from: &MatchSpec, origin: Option<&Origin>, profile: Profile) -> MatchSpec {
    let known = known(from, origin, profile);
    let mut rest = MatchSpec {
        namespaces: Vec::new(),
        not_namespaces: Vec::new(),
        principals: Vec::new(),
        not_principals: Vec::new(),
        source_ips: Vec::new(),
        not_source_ips: Vec::new(),
        destination_ips: Vec::new(),
        not_destination_ips: Vec::new(),
        destination_ports: Vec::new(),
        not_destination_ports: Vec::new(),
        // All others, a field of a later version too.
        ..from.clone()
    };
    if known.service_accounts == from.service_accounts {
        rest.service_accounts.clear();
    }
    if known.not_service_accounts == from.not_service_accounts {
        rest.not_service_accounts.clear();
    }
    if known.trust_domains == from.trust_domains {
        rest.trust_domains.clear();
    }
    if known.not_trust_domains == from.not_trust_domains {
        rest.not_trust_domains.clear();
    }
    rest
}
