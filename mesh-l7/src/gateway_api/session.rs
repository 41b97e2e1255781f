//! Sessions that stay with their host.

use std::time::Duration;

use mesh_core::name::Name;

use super::duration::parse_duration;
use super::limits::header_name;
use super::status::Problem;
use super::types::SessionPersistence as Spec;
use crate::route::{SessionCarrier, SessionPersistence};

/// The name of cookies and headers that have none.
const NAME: &str = "mesh-session";

/// `None` when something is wrong, which was told.
pub(super) fn session(
    spec: &Spec,
    field: &str,
    problems: &mut Vec<Problem>,
) -> Option<SessionPersistence> {
    let field = format!("{field}.sessionPersistence");
    let before = problems.len();
    let absolute = ("absoluteTimeout", &spec.absolute_timeout);
    // An older version had it beside the other.
    let idle = ("idleTimeout", &spec.idle_timeout);
    let timeout = [absolute, idle].into_iter();
    let mut timeout = timeout.filter_map(|(name, text)| Some((name, text.as_deref()?)));
    let lifetime = timeout.next().and_then(|(name, text)| {
        let field = format!("{field}.{name}");
        lifetime(text, &field, problems)
    });
    let carrier = match spec.kind.as_deref().unwrap_or("Cookie") {
        "Cookie" => cookie(spec, lifetime, &field, problems),
        "Header" => {
            let header = spec
                .header
                .as_ref()
                .and_then(|header| header.name.as_deref());
            let name = header.or(spec.session_name.as_deref()).unwrap_or(NAME);
            header_name(name, &format!("{field}.header.name"), problems).map(SessionCarrier::Header)
        }
        other => {
            let problem = format!("{other:?}, expected Cookie or Header");
            problems.push(Problem::new(format!("{field}.type"), problem));
            None
        }
    };
    let carrier = carrier.filter(|_| problems.len() == before)?;
    Some(SessionPersistence { carrier, lifetime })
}

fn lifetime(text: &str, field: &str, problems: &mut Vec<Problem>) -> Option<Duration> {
    match parse_duration(text) {
        Ok(time) if time.as_secs() > 0 => Some(time),
        Ok(_) => {
            problems.push(Problem::new(field, "expected a second or more"));
            None
        }
        Err(error) => {
            problems.push(Problem::new(field, error));
            None
        }
    }
}

fn cookie(
    spec: &Spec,
    lifetime: Option<Duration>,
    field: &str,
    problems: &mut Vec<Problem>,
) -> Option<SessionCarrier> {
    let cookie = spec.cookie.clone().unwrap_or_default();
    let name = cookie.name.or_else(|| spec.session_name.clone());
    let name = name.unwrap_or_else(|| NAME.to_owned());
    if !is_token(&name) {
        let problem = "expected a name of a cookie of at most 128 letters, digits and -_.";
        problems.push(Problem::new(format!("{field}.cookie.name"), problem));
    }
    let path = cookie.path.unwrap_or_else(|| "/".to_owned());
    if !is_path(&path) {
        let problem = "expected a path of at most 1024 bytes that begins with / and has no ;";
        problems.push(Problem::new(format!("{field}.cookie.path"), problem));
    }
    let permanent = match cookie.lifetime_type.as_deref().unwrap_or("Session") {
        "Session" => false,
        "Permanent" => {
            if lifetime.is_none() {
                let problem = "expected with a cookie of lifetimeType Permanent";
                problems.push(Problem::new(format!("{field}.absoluteTimeout"), problem));
            }
            true
        }
        other => {
            let problem = format!("{other:?}, expected Session or Permanent");
            problems.push(Problem::new(
                format!("{field}.cookie.lifetimeType"),
                problem,
            ));
            false
        }
    };
    Some(SessionCarrier::Cookie {
        name: Name::from(name.as_str()),
        path: Name::from(path.as_str()),
        permanent,
    })
}

fn is_token(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=128).contains(&name.len()) && name.bytes().all(allowed)
}

/// RFC 6265 section 4.1.1: anything but control characters and `;`.
fn is_path(path: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b';';
    path.starts_with('/') && path.len() <= 1024 && path.bytes().all(allowed)
}
