//! The head of an HTTP/1 request, as bytes.

use mesh_core::target::{BadTarget, Host, RequestForm};

use super::bad_head::BadHead;
use super::fields::{Fields, Upgrade};
use super::framing::{Body, Framing, Version};
use super::lines::{line, lines, version_of};
use super::rules::{AbsoluteForm, HygieneRules, Methods};
use super::syntax;

/// Checks the head of an HTTP/1 request, from the first byte to the end of the empty line, and says
/// how long the request is.
///
/// What a lenient parser repairs is refused: see [`BadHead`]. One empty line before the head is
/// allowed (RFC 9112 §2.2).
///
/// # Errors
/// [`BadHead`], with the status of the answer.
///
/// ```
/// use mesh_l7::hygiene::{BadHead, Body, HygieneRules, check};
///
/// let rules = HygieneRules::default();
/// let framing = check(b"POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 5\r\n\r\n", &rules)?;
/// assert_eq!(framing.body, Body::Length(5));
///
/// let both = b"POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
/// assert_eq!(check(both, &rules), Err(BadHead::LengthAndCoding));
/// # Ok::<(), BadHead>(())
/// ```
pub fn check(head: &[u8], rules: &HygieneRules) -> Result<Framing, BadHead> {
    if head.len() > rules.head_bytes {
        return Err(BadHead::TooLong {
            limit: rules.head_bytes,
        });
    }
    let head = head.strip_prefix(b"\r\n").unwrap_or(head);
    let (start, rest) = line(head)?;
    let request = start_line(start, rules)?;
    let mut fields = Fields::of_request(rules);
    let host = lines(rest, &mut fields)?;
    if !fields.host && request.version == Version::Http11 {
        return Err(BadHead::NoHost);
    }
    if let (Some(named), Some(host)) = (request.form.host()?, host) {
        let agree = Host::parse(host)?.as_str() == named.as_str();
        if rules.absolute_form == AbsoluteForm::MustAgree && !agree {
            return Err(BadHead::HostMismatch);
        }
    }
    let connect = matches!(request.form, RequestForm::Authority(_));
    let body = fields.body(request.version)?.unwrap_or(Body::None);
    if connect && body != Body::None {
        return Err(BadHead::UnexpectedBody);
    }
    let upgrade = fields.asked_upgrade();
    if upgrade == Upgrade::Refused {
        return Err(BadHead::Upgrade);
    }
    Ok(Framing {
        version: request.version,
        body,
        keep_alive: fields.persistent(request.version),
        switches: connect || upgrade == Upgrade::Allowed,
    })
}

struct Start<'a> {
    form: RequestForm<'a>,
    version: Version,
}

fn start_line<'a>(line: &'a [u8], rules: &HygieneRules) -> Result<Start<'a>, BadHead> {
    let mut parts = line.split(|&b| b == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(BadHead::StartLine);
    };
    let method = method_text(method, rules)?;
    let version = version_of(version)?;
    if version == Version::Http10 && !rules.http10 {
        return Err(BadHead::Http10);
    }
    if target.contains(&b'#') {
        return Err(BadTarget::Fragment.into());
    }
    let form = RequestForm::parse(method, target)?;
    Ok(Start { form, version })
}

pub(super) fn method_text<'a>(method: &'a [u8], rules: &HygieneRules) -> Result<&'a str, BadHead> {
    const STANDARD: [&str; 9] = [
        "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
    ];
    let text = std::str::from_utf8(method).map_err(|_| BadHead::Method)?;
    let known = rules.methods == Methods::Token || STANDARD.contains(&text);
    match syntax::is_token(method) && known {
        true => Ok(text),
        false => Err(BadHead::Method),
    }
}
