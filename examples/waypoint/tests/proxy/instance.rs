//! An instance behind a node proxy: HBONE that ends here.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use mesh_core::tls::TlsContext;
use mesh_hbone::server::{Accepted, Incoming, ServerLayer};
use tokio::net::{TcpListener, TcpStream};
use tower_layer::Layer;
use tower_service::Service;

use crate::application::{Application, PORT};
use crate::world::World;

/// Who asked first, for which authority, and what `x-istio-source` and `forwarded` said.
type First = Arc<Mutex<Option<(String, String, String, String)>>>;

/// An application at the fourth address, which is reached through a node proxy.
pub(crate) struct Instance {
    pub(crate) application: Application,
    pub(crate) first: First,
}

impl Instance {
    pub(crate) async fn start(world: &World) -> Self {
        let address = world.fourth();
        let application = Application::start("far", address).await;
        let first = First::default();
        let to = SocketAddr::from((address, PORT));
        serve(world, address, "shop/far", to, first.clone()).await;
        Self { application, first }
    }
}

/// The gateway of another network at the fifth address: it passes bytes on to the node proxy of [`Instance`].
pub(crate) struct Gateway {
    pub(crate) first: First,
}

impl Gateway {
    pub(crate) async fn start(world: &World) -> Self {
        let first = First::default();
        let to = SocketAddr::from((world.fourth(), 15008));
        serve(world, world.at(5), "shop/east", to, first.clone()).await;
        Self { first }
    }
}

/// Takes HBONE at an address, as an account of a namespace, and carries all of it to one place.
async fn serve(world: &World, address: Ipv4Addr, account: &str, to: SocketAddr, first: First) {
    let (namespace, name) = account.split_once('/').unwrap();
    let identity = format!("spiffe://cluster.local/ns/{namespace}/sa/{name}");
    let tls = Arc::new(TlsContext::with_default_provider().unwrap());
    let layer = ServerLayer::builder(identity.parse().unwrap(), world.certificates(), tls);
    let layer = layer.build().unwrap();
    let listener = TcpListener::bind((address, 15008)).await.unwrap();
    let carry = Carry { to, first };
    tokio::spawn(async move {
        while let Ok((stream, peer)) = listener.accept().await {
            let local = stream.local_addr().unwrap();
            let accepted = Accepted {
                io: stream,
                peer,
                local,
            };
            let mut server = layer.layer(carry.clone());
            tokio::spawn(async move { server.call(accepted).await });
        }
    });
}

/// Carries what is asked for to the application.
#[derive(Clone)]
struct Carry {
    to: SocketAddr,
    first: First,
}

impl Service<Incoming> for Carry {
    type Response = ();
    type Error = std::io::Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = std::io::Result<()>> + Send>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, incoming: Incoming) -> Self::Future {
        let header = |name| {
            let value = incoming.headers().get(name);
            value.map_or("", |value| value.to_str().unwrap()).to_owned()
        };
        let said = (
            incoming.peer().identity().to_string(),
            incoming.authority().to_owned(),
            header("x-istio-source"),
            header("forwarded"),
        );
        self.first.lock().unwrap().get_or_insert(said);
        let to = self.to;
        Box::pin(async move {
            let mut stream = TcpStream::connect(to).await?;
            let mut tunnel = incoming.accept(http::HeaderMap::new()).unwrap();
            tokio::io::copy_bidirectional(&mut tunnel, &mut stream).await?;
            Ok(())
        })
    }
}
