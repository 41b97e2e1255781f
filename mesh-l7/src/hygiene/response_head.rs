//! The head of an HTTP/1 response, as bytes.

use super::bad_head::BadHead;
use super::fields::Fields;
use super::framing::{Body, Framing, Version};
use super::lines::{line, lines, version_of};
use super::rules::HygieneRules;
use super::syntax;

/// Checks the head of an HTTP/1 response to a request with this method, from the first byte to the
/// end of the empty line, and says how long the response is.
///
/// `asked_switch` is whether the request asked for another protocol (an upgrade; `CONNECT` is known by
/// its method).
///
/// # Errors
/// [`BadHead`]: the server is at fault, so the client gets 502.
///
/// ```
/// use mesh_l7::hygiene::{Body, HygieneRules, check_response};
///
/// let rules = HygieneRules::default();
/// let framing = check_response(b"HTTP/1.1 200 OK\r\n\r\n", "GET", false, &rules)?;
/// assert_eq!(framing.body, Body::UntilClose);
/// # Ok::<(), mesh_l7::hygiene::BadHead>(())
/// ```
pub fn check_response(
    head: &[u8],
    method: &str,
    asked_switch: bool,
    rules: &HygieneRules,
) -> Result<Framing, BadHead> {
    if head.len() > rules.head_bytes {
        return Err(BadHead::TooLong {
            limit: rules.head_bytes,
        });
    }
    let (start, rest) = line(head)?;
    let (version, status) = status_line(start)?;
    let mut fields = Fields::of_response(rules);
    lines(rest, &mut fields)?;
    let said = fields.body(version)?;
    let switched = status == 101 || (method == "CONNECT" && (200..300).contains(&status));
    if status == 101 && !asked_switch {
        return Err(BadHead::UnexpectedSwitch);
    }
    // RFC 9112 §6.3, 1 and 2.
    let none = method == "HEAD" || status < 200 || status == 204 || status == 304 || switched;
    let body = match said {
        _ if none => Body::None,
        Some(body) => body,
        None => Body::UntilClose,
    };
    Ok(Framing {
        version,
        body,
        keep_alive: fields.persistent(version) && body != Body::UntilClose,
        switches: switched,
    })
}

fn status_line(line: &[u8]) -> Result<(Version, u64), BadHead> {
    let mut parts = line.splitn(3, |&b| b == b' ');
    let (Some(version), Some(status)) = (parts.next(), parts.next()) else {
        return Err(BadHead::StartLine);
    };
    let version = version_of(version)?;
    if !syntax::is_value(parts.next().unwrap_or_default()) {
        return Err(BadHead::StartLine);
    }
    let number = syntax::number(status).filter(|number| (100..=599).contains(number));
    match (number, status.len()) {
        (Some(number), 3) => Ok((version, number)),
        _ => Err(BadHead::Status),
    }
}
