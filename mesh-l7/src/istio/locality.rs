//! `LocalityLoadBalancerSetting`.

use std::collections::BTreeMap;

use mesh_core::name::Name;

use super::problem::Problem;
use super::types::LocalitySettings;
use crate::upstream::{
    LabelPreference, LocalityFailover, LocalityPattern, LocalityPreference, LocalityShares,
};

/// The `localityLbSetting` of a mesh's configuration, which counts for upstreams about which nothing else is said, and
/// what is wrong with it. Problems name fields below `field`.
///
/// ```
/// use mesh_l7::istio::{LocalitySettings, compile_mesh_locality};
/// use mesh_l7::upstream::LocalityPreference;
///
/// let spec: LocalitySettings = serde_json::from_str(r#"{"enabled": false}"#).expect("it is a setting");
/// let (preference, problems) = compile_mesh_locality(&spec, "localityLbSetting");
/// assert_eq!(preference, LocalityPreference::Ignored);
/// assert!(problems.is_empty());
/// ```
#[must_use]
pub fn compile_mesh_locality(
    spec: &LocalitySettings,
    field: &str,
) -> (LocalityPreference, Vec<Problem>) {
    let mut problems = Vec::new();
    // Whether anything finds out hosts that are not well is said for each upstream.
    let preference = locality(spec, true, field, &mut problems);
    (preference, problems)
}

/// Where hosts are preferred, by the settings at `field`. `outlier` says whether hosts that are not well are found out.
pub(super) fn locality(
    spec: &LocalitySettings,
    outlier: bool,
    field: &str,
    problems: &mut Vec<Problem>,
) -> LocalityPreference {
    let shares = shares(spec, field, problems);
    let failover = failover(spec, field, problems);
    if spec.enabled == Some(false) {
        return LocalityPreference::Ignored;
    }
    let wants_failover = !spec.failover.is_empty() || !spec.failover_priority.is_empty();
    if shares.is_empty() {
        if wants_failover && !outlier {
            let text = "without outlierDetection nothing fails over";
            problems.push(Problem::note(field, text));
        }
        return LocalityPreference::Failover(failover);
    }
    if wants_failover {
        let text = "expected one of distribute, and failover or failoverPriority";
        problems.push(Problem::new(field, text));
    }
    LocalityPreference::Shares(shares)
}

fn shares(
    spec: &LocalitySettings,
    field: &str,
    problems: &mut Vec<Problem>,
) -> Vec<LocalityShares> {
    let entries = spec.distribute.iter().enumerate();
    let shares = entries.map(|(at, entry)| {
        let field = format!("{field}.distribute[{at}]");
        LocalityShares {
            from: pattern(&entry.from, &format!("{field}.from"), problems),
            to: to(&entry.to, &format!("{field}.to"), problems),
        }
    });
    shares.collect()
}

fn to(
    to: &BTreeMap<String, u32>,
    field: &str,
    problems: &mut Vec<Problem>,
) -> Vec<(LocalityPattern, u32)> {
    let mut wrong = |text: String| problems.push(Problem::new(field, text));
    if let Some((name, share)) = to.iter().find(|(_, share)| !(1..=100).contains(*share)) {
        wrong(format!("{share} for {name}, expected 1 to 100"));
    }
    let sum: u64 = to.values().copied().map(u64::from).sum();
    if sum != 100 {
        wrong(format!("{sum} in all, expected 100"));
    }
    let entries = to.iter();
    entries
        .map(|(name, share)| {
            let at = format!("{field}.{name}");
            (pattern(name, &at, problems), *share)
        })
        .collect()
}

fn pattern(text: &str, field: &str, problems: &mut Vec<Problem>) -> LocalityPattern {
    LocalityPattern::parse(text).unwrap_or_else(|| {
        let problem = format!("expected region/zone/subzone, got `{text}`");
        problems.push(Problem::new(field, problem));
        LocalityPattern::default()
    })
}

fn failover(spec: &LocalitySettings, field: &str, problems: &mut Vec<Problem>) -> LocalityFailover {
    let mut regions: Vec<(Name, Name)> = Vec::new();
    for (at, one) in spec.failover.iter().enumerate() {
        let field = format!("{field}.failover[{at}]");
        for (name, region) in [("from", &one.from), ("to", &one.to)] {
            if region.is_empty() || region.contains(['/', '*']) {
                let problem = format!("expected a region, got `{region}`");
                problems.push(Problem::new(format!("{field}.{name}"), problem));
            }
        }
        if one.from == one.to {
            problems.push(Problem::new(&field, "expected another region"));
        }
        regions.push((one.from.as_str().into(), one.to.as_str().into()));
    }
    let mut labels = Vec::new();
    for (at, label) in spec.failover_priority.iter().enumerate() {
        let (name, value) = match label.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (label.as_str(), None),
        };
        if name.is_empty() {
            let problem = "expected a label, or label=value";
            problems.push(Problem::new(
                format!("{field}.failoverPriority[{at}]"),
                problem,
            ));
        }
        labels.push(LabelPreference {
            name: name.into(),
            value: value.map(Into::into),
        });
    }
    LocalityFailover { regions, labels }
}
