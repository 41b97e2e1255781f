//! Values that do not compare as they look.

use super::finding::{Lint, LintRule};
use super::inventory::Policy;
use super::walk::{Values, What};
use crate::kube::ActionWord;
use crate::spec::PathTemplate;

/// Headers whose value is a list: a client may add elements before and after the one that is looked for.
const LISTS: [&str; 12] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "connection",
    "cookie",
    "forwarded",
    "te",
    "upgrade",
    "vary",
    "via",
    "x-forwarded-for",
];

pub(super) fn lint(policy: &Policy, found: &mut Vec<Lint>) {
    let denies = policy.object.spec.action == ActionWord::Deny;
    for values in policy.values() {
        // What a client can get around matters where it is to be kept out.
        let guards = denies != values.excluded;
        let at = |index: usize| format!("{}[{index}]", values.field);
        let mut tell = |rule, index: usize, message: String| {
            found.push(Lint::new(rule, &policy.read.provenance, at(index), message));
        };
        if let What::Header(name) = values.what {
            header(name, guards, &values, &mut tell);
        }
        if values.what == What::Host && guards {
            let message =
                "a client chooses the host that it sends; do not deny by it alone".to_owned();
            tell(LintRule::HostChosenByClient, 0, message);
        }
        for (index, value) in values.values.iter().enumerate() {
            if let Some(message) = not_a_pattern(values.what, value) {
                tell(LintRule::NotAPattern, index, message);
            }
            match values.what {
                What::Host => {
                    if let Some(message) = without_port(value, values.values) {
                        tell(LintRule::HostChosenByClient, index, message);
                    }
                }
                What::Path => path(value, &values, index, &mut tell),
                _ => {}
            }
        }
    }
}

fn header(
    name: &str,
    guards: bool,
    values: &Values<'_>,
    tell: &mut impl FnMut(LintRule, usize, String),
) {
    let instead = match name.to_ascii_lowercase().as_str() {
        ":path" => Some("it has the query, so that `?x` goes around an exact value; use paths"),
        ":authority" | "host" => Some("use hosts, which compares without regard to case"),
        ":method" => Some("use methods"),
        _ => None,
    };
    if let Some(instead) = instead {
        tell(LintRule::PseudoHeader, 0, format!("{name}: {instead}"));
    }
    let exact = |value: &&String| !value.starts_with('*') && !value.ends_with('*');
    if guards
        && LISTS.contains(&name.to_ascii_lowercase().as_str())
        && let Some(value) = values.values.iter().find(exact)
    {
        let message = format!(
            "{name} is a list: a line of `{value}, other` is not equal to {value:?}; only the strict profile looks at its elements"
        );
        tell(LintRule::ListHeader, 0, message);
    }
}

/// What looks like a pattern and is compared as it is.
fn not_a_pattern(what: What<'_>, value: &str) -> Option<String> {
    use What::{DestinationIp, Port, RemoteIp, SourceIp};
    if matches!(what, SourceIp | RemoteIp | DestinationIp | Port)
        || (what == What::Path && PathTemplate::is_template(value))
    {
        return None;
    }
    let inner = value
        .get(1..value.len().saturating_sub(1))
        .unwrap_or_default();
    let looks = if value == "**"
        || (value.len() > 2 && value.starts_with('*') && value.ends_with('*'))
    {
        "only one `*`, at the beginning or at the end, is a wildcard"
    } else if inner.contains('*') && what == What::Namespace {
        "a `*` inside is a wildcard where requests are seen, and compared as it is at a node proxy"
    } else if inner.contains('*') && what != What::RequestPrincipal {
        "a `*` inside is compared as it is"
    } else if value.starts_with('^')
        || value.ends_with('$')
        || value.contains(".+")
        || value.contains("\\.")
    {
        "regular expressions are compared as they are"
    } else if what != What::Path
        && !matches!(what, What::Header(_) | What::Claim)
        && value.contains('?')
    {
        "a `?` is compared as it is"
    } else {
        return None;
    };
    Some(format!("{value:?}: {looks}"))
}

/// An exact host without its companion for other ports.
fn without_port(value: &str, all: &[String]) -> Option<String> {
    let exact = !value.contains('*')
        && !value.rsplit(':').next().is_some_and(|port| {
            value.contains(':') && port.bytes().all(|byte| byte.is_ascii_digit())
        });
    let companion = format!("{value}:*");
    let missing = exact && !all.contains(&companion);
    missing.then(|| format!("the host is compared with its port, if it has one; add {companion:?}"))
}

fn path(
    value: &str,
    values: &Values<'_>,
    index: usize,
    tell: &mut impl FnMut(LintRule, usize, String),
) {
    if PathTemplate::is_template(value) {
        let prefix = value.strip_suffix("/{**}");
        if let Some(prefix) = prefix.filter(|prefix| !prefix.contains('{')) {
            tell(
                LintRule::NeedlessTemplate,
                index,
                format!("{value:?}: {prefix:?} and `/*` say the same"),
            );
        } else if value.starts_with("/{**}") {
            tell(
                LintRule::NeedlessTemplate,
                index,
                format!("{value:?} begins with `{{**}}`: a suffix says the same"),
            );
        }
        return;
    }
    let has = |other: &str| values.values.iter().any(|value| value == other);
    let reading = if let Some(prefix) = value
        .strip_suffix('*')
        .filter(|prefix| !prefix.is_empty() && !prefix.ends_with('/'))
    {
        format!(
            "covers {prefix}x as well; {prefix} and {prefix}/* cover the path and what is below it"
        )
    } else if value.contains('*') {
        return;
    } else if value.contains('%') {
        "has an escape that may be decoded before it is compared".to_owned()
    } else if value.contains(';') {
        "has a parameter, which a backend may cut off".to_owned()
    } else if value.len() > 1 && value.ends_with('/') {
        "ends with a slash; a backend may take the path without it for the same".to_owned()
    } else if !has(&format!("{value}/*")) && !has(&format!("{value}/")) && value != "/" {
        format!("does not cover {value}/ nor what is below it")
    } else {
        return;
    };
    tell(
        LintRule::PathReadOtherwise,
        index,
        format!("{value:?} {reading}"),
    );
}
