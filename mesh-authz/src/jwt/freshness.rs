//! How long what was fetched is fresh.

use std::time::Duration;

/// The freshness that values of `Cache-Control` give (RFC 9111 section 5.2.2): zero for `no-store`
/// and `no-cache`, else the least `max-age`, else nothing.
#[must_use]
pub fn max_age<'v>(values: impl IntoIterator<Item = &'v str>) -> Option<Duration> {
    let directives = values.into_iter().flat_map(|value| value.split(','));
    directives
        .filter_map(seconds)
        .min()
        .map(Duration::from_secs)
}

fn seconds(directive: &str) -> Option<u64> {
    let directive = directive.trim();
    let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
    if name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache") {
        return Some(0);
    }
    if !name.eq_ignore_ascii_case("max-age") {
        return None;
    }
    // What is no number is stale (RFC 9111 section 4.2.1).
    Some(value.trim_matches('"').parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::max_age;

    #[test]
    fn cache_control_is_read_as_rfc_9111_says() {
        let cases: [(&[&str], Option<u64>); 9] = [
            (&[], None),
            (&["public"], None),
            (&["max-age=120"], Some(120)),
            (&["public, Max-Age=120, must-revalidate"], Some(120)),
            (&["max-age=\"120\""], Some(120)),
            (&["max-age=120", "max-age=60"], Some(60)),
            (&["no-store, max-age=120"], Some(0)),
            (&["no-cache"], Some(0)),
            (&["max-age=soon"], Some(0)),
        ];
        for (values, expected) in cases {
            let seconds = max_age(values.iter().copied());
            assert_eq!(seconds, expected.map(Duration::from_secs), "{values:?}");
        }
    }
}
