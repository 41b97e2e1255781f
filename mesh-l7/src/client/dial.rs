//! Making a connection.

use std::error::Error;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tower_service::Service;

use super::connection::Lifetime;
use super::failure::Failure;
use super::http1::Http1;
use super::http2::Http2;
use super::pools::Order;
use super::settings::ClientSettings;

/// What is known of a connection that is to be made, besides where it goes.
pub(super) struct Terms {
    pub(super) http2: bool,
    pub(super) timeout: Duration,
    pub(super) lifetime: Lifetime,
    pub(super) settings: Arc<ClientSettings>,
}

/// Makes a connection and gives it to whoever waits for it.
pub(super) async fn dial<E, C>(connector: C, mut order: Order<E>, terms: Terms)
where
    E: Clone + PartialEq + Send + Sync + 'static,
    C: Service<E>,
    C::Response: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    C::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let Terms {
        http2,
        lifetime,
        settings,
        ..
    } = &terms;
    let endpoint = order.endpoint.clone();
    let dialed = async {
        let io = connect(connector, endpoint).await?;
        match http2 {
            true => Http2::begin(io, *lifetime, settings, || order.live())
                .await
                .map(Ok),
            false => Http1::begin(io, *lifetime, settings, || order.live())
                .await
                .map(Err),
        }
    };
    let dialed = timeout(terms.timeout, dialed).await;
    match dialed {
        Ok(Ok(Ok(connection))) => {
            let max = connection.max;
            order.connected_http2(connection, max);
        }
        Ok(Ok(Err(connection))) => order.connected_http1(connection),
        Ok(Err(failure)) => order.failed(&failure),
        Err(_) => order.failed(&Failure::Timeout),
    }
}

async fn connect<E, C>(mut connector: C, endpoint: E) -> Result<C::Response, Failure>
where
    C: Service<E>,
    C::Error: Into<Box<dyn Error + Send + Sync>>,
{
    poll_fn(|cx| connector.poll_ready(cx))
        .await
        .map_err(Failure::connect)?;
    connector.call(endpoint).await.map_err(Failure::connect)
}
