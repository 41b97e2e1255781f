//! The authority as a gRPC service.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mesh_core::clock::{SystemClock, WallClock};
use mesh_core::identity::SpiffeId;
use parking_lot::Mutex;
use prost_types::value::Kind;
use tonic::{Code, Request, Response, Status};

use super::request;
use super::roots::Roots;
use crate::wire::ca::istio_certificate_service_server::{
    IstioCertificateService, IstioCertificateServiceServer,
};
use crate::wire::ca::{IstioCertificateRequest, IstioCertificateResponse};

/// Source: Istio's default for workloads.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// Who calls, and what for.
#[derive(Debug)]
#[non_exhaustive]
pub struct CaCall<'a> {
    /// The bearer token, unchecked.
    pub token: Option<&'a str>,
    /// The header `clusterid`.
    pub cluster: Option<&'a str>,
    /// The identity of the signing request.
    pub requested: &'a SpiffeId,
    /// `ImpersonatedIdentity`: the caller acts for somebody else.
    pub impersonated: Option<&'a SpiffeId>,
}

impl CaCall<'_> {
    /// The identity that is asked for: the impersonated one, else that of the signing request.
    #[must_use]
    pub fn wanted(&self) -> &SpiffeId {
        self.impersonated.unwrap_or(self.requested)
    }
}

/// Who may have which certificate.
type Authorize = dyn Fn(&CaCall<'_>) -> Result<SpiffeId, String> + Send + Sync;

/// A certificate authority in memory, for tests, embedding and single hosts.
///
/// It signs ECDSA P-256 keys of callers that have proven to hold them, for the identity that a
/// callback grants. Its root lives as long as the value: nothing is stored. Clones are one
/// authority.
///
/// # Example
/// ```
/// use mesh_xds::server::CaService;
///
/// let ca = CaService::builder(|call| match call.token {
///     Some("secret") => Ok(call.wanted().clone()),
///     _ => Err("unknown token".to_owned()),
/// })
/// .build()?;
/// let service = ca.clone().into_server(); // a tower service for an HTTP/2 server
/// ca.rotate()?; // certificates come from a new root, the old one stays trusted
/// # drop(service);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct CaService(Arc<State>);

/// Sets up a [`CaService`].
#[must_use]
pub struct CaServiceBuilder {
    authorize: Box<Authorize>,
    lifetime: Duration,
    clock: Arc<dyn WallClock>,
}

struct State {
    authorize: Box<Authorize>,
    clock: Arc<dyn WallClock>,
    lifetime: Mutex<Duration>,
    roots: Mutex<Arc<Roots>>,
    failure: Mutex<Option<(Code, String)>>,
    delay: Mutex<Duration>,
    requests: AtomicU64,
}

impl CaServiceBuilder {
    /// The longest lifetime of a certificate; default 24 hours. Callers may ask for less.
    pub fn lifetime(self, lifetime: Duration) -> Self {
        Self { lifetime, ..self }
    }

    /// The clock that certificates are dated by; default: the operating system's.
    pub fn clock(self, clock: Arc<dyn WallClock>) -> Self {
        Self { clock, ..self }
    }

    /// The authority, with a new root that is valid for ten years.
    ///
    /// # Errors
    /// When the cryptography fails.
    pub fn build(self) -> Result<CaService, rcgen::Error> {
        let roots = Roots::new(self.clock.now())?;
        Ok(CaService(Arc::new(State {
            authorize: self.authorize,
            clock: self.clock,
            lifetime: Mutex::new(self.lifetime),
            roots: Mutex::new(Arc::new(roots)),
            failure: Mutex::default(),
            delay: Mutex::default(),
            requests: AtomicU64::new(0),
        })))
    }
}

impl CaService {
    /// An authority for those whom `authorize` admits.
    ///
    /// It says which identity a caller gets a certificate for; [`CaCall::wanted`] is the one that
    /// the caller asks for. An error refuses the call; the caller does not see its text.
    pub fn builder(
        authorize: impl Fn(&CaCall<'_>) -> Result<SpiffeId, String> + Send + Sync + 'static,
    ) -> CaServiceBuilder {
        CaServiceBuilder {
            authorize: Box::new(authorize),
            lifetime: LIFETIME,
            clock: Arc::new(SystemClock),
        }
    }

    /// The service for an HTTP/2 server.
    #[must_use]
    pub fn into_server(self) -> IstioCertificateServiceServer<Self> {
        IstioCertificateServiceServer::new(self)
    }

    /// The trusted roots, in PEM: the one that signs first.
    #[must_use]
    pub fn roots(&self) -> String {
        self.0.roots.lock().bundle()
    }

    /// Signs with a new root from now on. The former one is trusted beside it until the next
    /// rotation.
    ///
    /// # Errors
    /// When the cryptography fails; nothing changes then.
    pub fn rotate(&self) -> Result<(), rcgen::Error> {
        let mut roots = self.0.roots.lock();
        *roots = roots.rotated(self.0.clock.now())?;
        Ok(())
    }

    /// The longest lifetime of the certificates to come.
    pub fn set_lifetime(&self, lifetime: Duration) {
        *self.0.lifetime.lock() = lifetime;
    }

    /// Refuses all calls with this status; `None` = serves them again.
    pub fn set_failure(&self, failure: Option<(Code, String)>) {
        *self.0.failure.lock() = failure;
    }

    /// Waits before each answer; zero = answers at once.
    pub fn set_delay(&self, delay: Duration) {
        *self.0.delay.lock() = delay;
    }

    /// How many calls there were, refused ones included.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.0.requests.load(Ordering::Relaxed)
    }

    fn sign(&self, call: &Request<IstioCertificateRequest>) -> Result<Vec<String>, Status> {
        let message = call.get_ref();
        let request = request::Request::read(&message.csr).map_err(Status::invalid_argument)?;
        let impersonated = impersonated(message)?;
        let header = |name| call.metadata().get(name)?.to_str().ok();
        let authorization = header("authorization");
        let granted = (self.0.authorize)(&CaCall {
            token: authorization.and_then(|value| value.strip_prefix("Bearer ")),
            cluster: header("clusterid"),
            requested: &request.id,
            impersonated: impersonated.as_ref(),
        });
        // Opaque, as Istio's: a caller that is not authentic learns nothing.
        let id = granted.map_err(|_| Status::unauthenticated("request authenticate failure"))?;
        let now = self.0.clock.now();
        let lifetime = self.lifetime(message.validity_duration);
        let not_after = now.checked_add(lifetime).unwrap_or(now);
        let roots = self.0.roots.lock().clone();
        let leaf = roots.sign(&id, &request.key, now, not_after);
        let leaf = leaf.map_err(|_| Status::internal("the certificate could not be signed"))?;
        Ok(vec![leaf, roots.bundle()])
    }

    /// What a caller gets that asks for so many seconds.
    fn lifetime(&self, asked: i64) -> Duration {
        let longest = *self.0.lifetime.lock();
        let asked = u64::try_from(asked).ok().filter(|asked| *asked > 0);
        asked.map_or(longest, |asked| Duration::from_secs(asked).min(longest))
    }
}

#[tonic::async_trait]
impl IstioCertificateService for CaService {
    async fn create_certificate(
        &self,
        call: Request<IstioCertificateRequest>,
    ) -> Result<Response<IstioCertificateResponse>, Status> {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
        let delay = *self.0.delay.lock();
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let failure = self.0.failure.lock().clone();
        if let Some((code, message)) = failure {
            return Err(Status::new(code, message));
        }
        let cert_chain = self.sign(&call)?;
        Ok(Response::new(IstioCertificateResponse { cert_chain }))
    }
}

fn impersonated(message: &IstioCertificateRequest) -> Result<Option<SpiffeId>, Status> {
    const REFUSAL: &str = "ImpersonatedIdentity is not a SPIFFE ID of a workload";
    let metadata = message.metadata.as_ref();
    let Some(value) = metadata.and_then(|metadata| metadata.fields.get("ImpersonatedIdentity"))
    else {
        return Ok(None);
    };
    let refuse = || Status::invalid_argument(REFUSAL);
    match &value.kind {
        Some(Kind::StringValue(id)) => id.parse().map(Some).map_err(|_| refuse()),
        _ => Err(refuse()),
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("requests", &self.requests)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for CaServiceBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CaServiceBuilder")
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}
