//! Which endpoints a service prefers, and who may see it.

use mesh_core::model::{HealthPolicy, LoadBalancing, LoadBalancingMode, RoutingScope, Visibility};

/// A preference by locality. Source: Kubernetes, `trafficDistribution`; Istio takes the annotation
/// `networking.istio.io/traffic-distribution` alike.
///
/// # Errors
/// The value is not known.
pub(super) fn distribution(word: &str) -> Result<Option<LoadBalancing>, String> {
    use RoutingScope::{Network, Node, Region, Subzone, Zone};
    let scopes = match word.to_ascii_lowercase().as_str() {
        "" | "any" => return Ok(None),
        "preferclose" | "prefersamezone" => vec![Network, Region, Zone],
        "prefersamenode" => vec![Network, Region, Zone, Subzone, Node],
        _ => {
            return Err(format!(
                "expected PreferSameZone, PreferSameNode or PreferClose, got `{word}`"
            ));
        }
    };
    Ok(Some(LoadBalancing {
        routing_preferences: scopes,
        mode: LoadBalancingMode::Failover,
        health_policy: HealthPolicy::OnlyHealthy,
    }))
}

/// `internalTrafficPolicy: Local`.
pub(super) fn local() -> LoadBalancing {
    LoadBalancing {
        routing_preferences: vec![RoutingScope::Node],
        mode: LoadBalancingMode::Strict,
        health_policy: HealthPolicy::OnlyHealthy,
    }
}

/// A service entry whose connections go to the address that the client wants.
pub(super) fn passthrough() -> LoadBalancing {
    LoadBalancing {
        routing_preferences: Vec::new(),
        mode: LoadBalancingMode::Passthrough,
        health_policy: HealthPolicy::AllowAll,
    }
}

/// Who may see a service that is exported to these namespaces; `None` for nobody.
///
/// # Errors
/// The choice is narrower than the data plane can keep apart: what is seen then is the own
/// namespace only.
pub(super) fn visibility<'a>(
    namespace: &str,
    export_to: impl Iterator<Item = &'a str>,
) -> Result<Option<Visibility>, String> {
    let words: Vec<&str> = export_to
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .collect();
    if words.is_empty() || words.contains(&"*") {
        return Ok(Some(Visibility::Public));
    }
    if words.iter().all(|word| *word == "~") {
        return Ok(None);
    }
    let own = |word: &&&str| **word == "." || **word == namespace || **word == "~";
    match words.iter().find(|word| !own(word)) {
        None => Ok(Some(Visibility::Namespace)),
        Some(other) => Err(format!(
            "expected `*`, `.` or `~`, got `{other}`; it is visible in its own namespace only"
        )),
    }
}
