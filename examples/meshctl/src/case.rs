//! A question with everything that is needed to answer it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderMap;
use mesh_authz::claims::VerifiedClaims;
use mesh_authz::jwt::{Authenticator, JwtError};
use mesh_authz::{Connection, Request};

use crate::mesh::{Mesh, Subject};
use crate::question::{Layer, Question};
use crate::request::{HttpRequest, Malformed, Read};
use crate::unknown::Attribute;

const UNKNOWN_IP: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// A question with everything that is needed to answer it.
#[derive(Debug)]
pub(crate) struct Case<'q> {
    pub(crate) subject: Rc<Subject>,
    pub(crate) layer: Layer,
    pub(crate) connection: Connection<'q>,
    /// Whether the port of the connection is known.
    pub(crate) port: Option<u16>,
    pub(crate) request: Option<HttpRequest>,
    pub(crate) malformed: Option<Malformed>,
    pub(crate) tokens: Tokens,
    /// What policies may ask for and is not known.
    pub(crate) unknown: Vec<Attribute>,
}

/// What tokens come to.
#[derive(Clone, Debug)]
pub(crate) enum Tokens {
    /// There is no request.
    NotAsked,
    /// There is none that a rule reads.
    None,
    /// They were given as verified.
    Given(Arc<VerifiedClaims>),
    /// One was verified.
    Verified(Arc<VerifiedClaims>),
    /// The request is answered with this.
    Refused(JwtError),
    /// The keys are not in the manifests.
    KeysUnknown,
}

impl<'q> Case<'q> {
    /// # Errors
    /// What is wrong with the question.
    pub(crate) fn new(mesh: &Mesh, question: &'q Question) -> Result<Self, String> {
        let subject = mesh.subject(question)?;
        let layer = question.layer();
        let (source, destination) = (&question.source, &question.destination);
        let mut unknown = Vec::new();
        if source.address.is_none() {
            unknown.push(Attribute::Source);
        }
        if destination.address.is_none() {
            unknown.push(Attribute::Destination);
        }
        let mut connection = Connection::new(
            source.address.unwrap_or(UNKNOWN_IP),
            source.identity.as_ref(),
            destination
                .address
                .unwrap_or(SocketAddr::new(UNKNOWN_IP, 0)),
        );
        if let Some(remote) = source.remote_ip {
            connection = connection.with_remote(remote);
        }
        if let Some(sni) = &destination.sni {
            connection = connection.with_sni(sni);
        }
        let mut case = Self {
            subject,
            layer,
            connection,
            port: destination.address.map(|address| address.port()),
            request: None,
            malformed: None,
            tokens: Tokens::NotAsked,
            unknown,
        };
        if let (Layer::L7, Some(asked)) = (layer, &question.request) {
            let read = HttpRequest::read(asked, &mesh.configuration)?;
            case.add(read, question)?;
        }
        Ok(case)
    }

    fn add(&mut self, read: Read, question: &Question) -> Result<(), String> {
        let mut request = match read {
            Ok(request) => request,
            Err(malformed) => {
                self.malformed = Some(malformed);
                return Ok(());
            }
        };
        self.tokens = match &question.claims {
            Some(claims) => {
                let claims = VerifiedClaims::assume_verified(claims.clone());
                Tokens::Given(Arc::new(claims))
            }
            None => verify(
                self.subject.tokens.as_ref().map_err(Clone::clone)?,
                &mut request,
            )?,
        };
        let absent = [
            (request.method.is_none(), Attribute::Method),
            (request.host.is_none(), Attribute::Host),
            (request.path_unknown, Attribute::Path),
        ];
        let absent = absent.into_iter().filter(|(is_absent, _)| *is_absent);
        self.unknown.extend(absent.map(|(_, attribute)| attribute));
        self.request = Some(request);
        Ok(())
    }

    /// Calls `f` with the request in the form in which policies are asked.
    pub(crate) fn with_request<T>(&self, f: impl FnOnce(Option<&Request<'_>>) -> T) -> T {
        let Some(known) = &self.request else {
            return f(None);
        };
        let method = known.method.as_deref().unwrap_or_default();
        let host = known.host.as_deref().unwrap_or_default();
        let mut request = Request::new(method, host, &known.headers);
        if let Some(target) = &known.target {
            request = request.with_target(target);
        }
        if let Tokens::Given(claims) | Tokens::Verified(claims) = &self.tokens {
            request = request.with_claims(claims);
        }
        f(Some(&request))
    }
}

/// Verifies the tokens of a request, and leaves it as policies see it.
fn verify(rules: &Authenticator, request: &mut HttpRequest) -> Result<Tokens, String> {
    if rules.issuers().next().is_none() {
        return Ok(Tokens::None);
    }
    let mut parts = http::Request::new(()).into_parts().0;
    if let Some(method) = &request.method {
        let method = http::Method::from_bytes(method.as_bytes());
        parts.method = method.map_err(|_| "request.method: expected a method".to_owned())?;
    }
    if let Some(target) = request
        .target
        .as_ref()
        .filter(|target| !target.is_asterisk())
    {
        let uri = target.as_str().parse();
        parts.uri = uri.map_err(|error| format!("request.path: {error}"))?;
    }
    parts.headers = std::mem::take(&mut request.headers);
    let checked = rules.check(&mut parts, SystemTime::now());
    request.headers = std::mem::replace(&mut parts.headers, HeaderMap::new());
    Ok(match checked {
        Ok(proven) => proven.claims.map_or(Tokens::None, Tokens::Verified),
        Err(JwtError::KeysUnavailable) => Tokens::KeysUnknown,
        Err(error) => Tokens::Refused(error),
    })
}
