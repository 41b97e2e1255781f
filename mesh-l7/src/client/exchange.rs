//! One request and its answer.

use std::error::Error;

use http::{Request, Response, Version};
use mesh_core::lb::Host;
use tokio::io::{AsyncRead, AsyncWrite};
use tower_service::Service;

use super::connection::Lifetime;
use super::dial::{Terms, dial};
use super::pool::Handed;
use super::pools::{Lease, Taken, Wanted};
use super::request::{prepare_http1, prepare_http2};
use super::resources::Resources;
use super::unsuccessful::Unsuccessful;
use super::{over_http1, over_http2};
use crate::attempt::{Attempt, AttemptError};
use crate::body::Body;
use crate::record::Record;
use crate::upstream::{Protocol, Upstream};

pub(super) async fn exchange<E, C>(
    mut resources: Resources<E, C>,
    attempt: Attempt<E>,
) -> Result<Response<Body>, AttemptError>
where
    E: Clone + PartialEq + Send + Sync + 'static,
    C: Service<E> + Clone + Send + 'static,
    C::Response: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    C::Error: Into<Box<dyn Error + Send + Sync>>,
    C::Future: Send + 'static,
{
    let Attempt {
        upstream,
        host,
        request,
    } = attempt;
    let http2 = speaks_http2(upstream.protocol, &request);
    let record = Record::of(request.extensions()).cloned();
    let mut prepared = match http2 {
        true => prepare_http2(request, &upstream.target)?,
        false => prepare_http1(request, &upstream.target),
    };
    let mut fresh = false;
    loop {
        let lease = lease(&mut resources, &upstream, &host, http2, fresh).await?;
        if let Some(record) = &record {
            record.note(|entry| entry.sent = Some(entry.start.elapsed()));
        }
        let answered = match lease {
            Lease::Http1(lease) => over_http1::send(lease, prepared, &resources.settings).await,
            Lease::Http2(lease) => over_http2::send(lease, prepared, &resources.settings).await,
        };
        prepared = match answered {
            Ok(response) => return Ok(response),
            Err(Unsuccessful::Unsent(again, _) | Unsuccessful::Stale(again, _)) if !fresh => again,
            Err(Unsuccessful::Unsent(_, cause)) => return Err(AttemptError::BeforeRequest(cause)),
            Err(Unsuccessful::Stale(_, cause)) => return Err(AttemptError::Reset(cause)),
            Err(Unsuccessful::Ended(error)) => return Err(error),
        };
        fresh = true;
    }
}

fn speaks_http2<B>(protocol: Protocol, request: &Request<B>) -> bool {
    match protocol {
        Protocol::Http1 => false,
        Protocol::Http2 => true,
        Protocol::Client => request.version() == Version::HTTP_2,
    }
}

/// The right to send a request on a connection, which is made if need be.
async fn lease<E, C>(
    // Not shared: a connector need not be `Sync`.
    resources: &mut Resources<E, C>,
    upstream: &Upstream<E>,
    host: &Host<E>,
    http2: bool,
    fresh: bool,
) -> Result<Lease<E>, AttemptError>
where
    E: Clone + PartialEq + Send + Sync + 'static,
    C: Service<E> + Clone + Send + 'static,
    C::Response: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    C::Error: Into<Box<dyn Error + Send + Sync>>,
    C::Future: Send + 'static,
{
    let settings = resources.settings.clone();
    let wanted = Wanted {
        http2,
        fresh,
        streams: usize::try_from(settings.http2.streams).unwrap_or(usize::MAX),
    };
    loop {
        match resources.pools.take(upstream, host, wanted) {
            Taken::Lease(lease) => return Ok(lease),
            Taken::Overflow => return Err(AttemptError::Overflow),
            Taken::Wait(waiting, _pending, order) => {
                if let Some(order) = order {
                    let connector = resources.connector.clone();
                    let of_upstream = upstream.settings.connect_timeout;
                    let terms = Terms {
                        http2,
                        timeout: of_upstream.unwrap_or(settings.connect_timeout),
                        lifetime: Lifetime::of(&upstream.settings, &settings),
                        settings: settings.clone(),
                    };
                    tokio::spawn(dial(connector, order, terms));
                }
                match waiting.await {
                    Ok(Handed::Lease(lease)) => return Ok(lease),
                    Ok(Handed::Failed(failure)) => return Err(failure.into()),
                    // Also where a dial ended without a word, as when the runtime shuts down.
                    Ok(Handed::Again) | Err(_) => {}
                }
            }
        }
    }
}
