//! Two applications and the two copies between them.

use std::sync::Arc;

use mesh_core::telemetry::Traffic;
use mesh_hbone::client::Client;
use mesh_hbone::copy::{CopyError, Meter, Plain, copy};
use mesh_hbone::{BoxError, Incoming};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tower_layer::Layer;

use super::frames::GUARD;
use super::{Fn_, Mesh, Tcp, listen};

/// Client application, copy, tunnel, copy, server application.
pub struct Relay {
    pub client: TcpStream,
    pub server: TcpStream,
    /// The copy beside the client and its meter.
    pub near: JoinHandle<Result<(), CopyError>>,
    pub near_meter: Arc<Meter>,
    pub traffic: Arc<Traffic>,
    /// The ends of the copy beside the server.
    pub far: UnboundedReceiver<(Result<(), CopyError>, u64, u64)>,
    pub pool: Client<Tcp>,
    pub mesh: Mesh,
}

/// Both ends of a TCP connection: dialled, accepted.
pub async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dial = TcpStream::connect(listener.local_addr().unwrap());
    let (dialled, accepted) = tokio::join!(dial, listener.accept());
    (dialled.unwrap(), accepted.unwrap().0)
}

impl Relay {
    pub async fn new() -> Self {
        let mesh = Mesh::new();
        let app = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let app_addr = app.local_addr().unwrap();
        let (report, far) = unbounded_channel();
        let service = Fn_(move |incoming: Incoming| {
            let report = report.clone();
            async move {
                let io = TcpStream::connect(app_addr).await?;
                let tunnel = incoming.accept(http::HeaderMap::new())?;
                let meter = Meter::default();
                let result = copy(tunnel, Plain::new(io), &meter).await;
                let _ = report.send((result, meter.to_server(), meter.to_client()));
                Ok::<_, BoxError>(())
            }
        });
        let (addr, _) = listen(mesh.server_builder().build().unwrap().layer(service)).await;
        let pool = mesh.client();
        let (client, captured) = tcp_pair().await;
        let tunnel = pool.connect(mesh.target(addr)).await.unwrap();
        let traffic = Arc::new(Traffic::default());
        let near_meter = Arc::new(Meter::new(Some(traffic.clone())));
        let meter = near_meter.clone();
        let near = tokio::spawn(async move { copy(Plain::new(captured), tunnel, &meter).await });
        let (server, _) = app.accept().await.unwrap();
        Self {
            client,
            server,
            near,
            near_meter,
            traffic,
            far,
            pool,
            mesh,
        }
    }

    /// How the copy beside the server ended, and what its meter says.
    pub async fn far_end(&mut self) -> (Result<(), CopyError>, u64, u64) {
        let end = timeout(GUARD, self.far.recv()).await;
        end.expect("the far copy has not ended").unwrap()
    }

    /// How the copy beside the client ended.
    pub async fn near_end(&mut self) -> Result<(), CopyError> {
        let end = timeout(GUARD, &mut self.near).await;
        end.expect("the near copy has not ended").unwrap()
    }
}
