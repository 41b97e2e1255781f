//! `OutlierDetection`.

use std::time::Duration;

use mesh_core::lb::OutlierDetection;

use super::policies::limit;
use super::problem::Problem;
use super::types::OutlierSettings;

/// Settings, and the percentage of healthy hosts below which health is disregarded.
pub(super) fn outlier(
    spec: &OutlierSettings,
    field: &str,
    problems: &mut Vec<Problem>,
) -> (OutlierDetection, u32) {
    let mut out = OutlierDetection::default();
    let some = |count: u32| (count > 0).then_some(count);
    if let Some(count) = spec.consecutive_5xx_errors.or(spec.consecutive_errors) {
        out.consecutive_5xx = some(count);
    }
    out.consecutive_gateway = spec.consecutive_gateway_errors.and_then(some);
    if spec.split_external_local_origin_errors {
        out.consecutive_local = some(spec.consecutive_local_origin_failures.unwrap_or(5));
    }
    let mut time = |text: &Option<String>, name: &str, default: Duration| {
        limit(text.as_deref(), &format!("{field}.{name}"), problems).unwrap_or(default)
    };
    out.interval = time(&spec.interval, "interval", out.interval);
    out.base_ejection = time(
        &spec.base_ejection_time,
        "baseEjectionTime",
        out.base_ejection,
    );
    let mut percent = |value: Option<u32>, name: &str, default: u32| {
        let value = value.unwrap_or(default);
        if value > 100 {
            let problem = format!("{value}, expected at most 100");
            problems.push(Problem::new(format!("{field}.{name}"), problem));
        }
        value.min(100)
    };
    out.max_percent = percent(
        spec.max_ejection_percent,
        "maxEjectionPercent",
        out.max_percent,
    );
    let panic = percent(spec.min_health_percent, "minHealthPercent", 0);
    (out, panic)
}
