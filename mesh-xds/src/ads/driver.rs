//! Drives the state machine: demands and time whatever else goes on, requests while there is a
//! stream.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use super::clock::now;
use super::demand::Ask;
use super::probe::{Client, ProbeStream};
use super::progress::Progress;
use crate::control::ControlEndpoint;
use crate::delta::{Answer, Delta, DemandId};
use crate::wire::discovery::DeltaDiscoveryRequest;

/// The machine and those who wait for it.
pub(super) struct Driver {
    pub(super) delta: Delta,
    pub(super) asks: mpsc::Receiver<Ask>,
    waiting: HashMap<DemandId, oneshot::Sender<Answer>>,
    /// Nobody can ask any more.
    deaf: bool,
}

/// One stream's way out, and what further streams need.
pub(super) struct Outgoing {
    pub(super) requests: mpsc::Sender<DeltaDiscoveryRequest>,
    next: Option<DeltaDiscoveryRequest>,
    client: Client,
    endpoint: Arc<ControlEndpoint>,
    probe: Option<ProbeStream>,
    progress: Progress,
}

impl Outgoing {
    pub(super) fn new(
        requests: mpsc::Sender<DeltaDiscoveryRequest>,
        client: Client,
        endpoint: Arc<ControlEndpoint>,
        progress: Progress,
    ) -> Self {
        Self {
            requests,
            next: None,
            client,
            endpoint,
            probe: None,
            progress,
        }
    }
}

impl Driver {
    pub(super) fn new(delta: Delta, asks: mpsc::Receiver<Ask>) -> Self {
        Self {
            delta,
            asks,
            waiting: HashMap::new(),
            deaf: false,
        }
    }

    /// Waits for `work`, and lets demands come and time out meanwhile.
    pub(super) async fn attend<F: Future>(&mut self, work: F) -> F::Output {
        let mut work = pin!(work);
        loop {
            self.deliver();
            let wake_at = self.delta.wake_at();
            tokio::select! {
                output = &mut work => return output,
                ask = self.asks.recv(), if !self.deaf => self.ask(ask),
                () = until(wake_at) => self.delta.advance(now()),
            }
        }
    }

    /// Waits for `work`, and sends requests meanwhile, also those of probes.
    pub(super) async fn drive<F: Future>(&mut self, out: &mut Outgoing, work: F) -> F::Output {
        let mut work = pin!(work);
        loop {
            self.deliver();
            self.probe(out);
            if out.next.is_none() {
                out.next = self.delta.next_request(now());
            }
            let wake_at = self.delta.wake_at();
            let Outgoing {
                requests,
                next,
                probe,
                ..
            } = &mut *out;
            tokio::select! {
                output = &mut work => return output,
                // An error means that the stream has ended, which `work` is about to say.
                Ok(permit) = requests.reserve(), if next.is_some() => {
                    if let Some(request) = next.take() {
                        permit.send(request);
                    }
                }
                ask = self.asks.recv(), if !self.deaf => self.ask(ask),
                answer = answer_of(probe), if probe.is_some() => match answer {
                    Some(response) => {
                        let ack = self.delta.probe_received(response, now());
                        if let (Some(ack), Some(probe)) = (ack, probe) {
                            probe.acknowledge(ack);
                        }
                    }
                    None => {
                        self.delta.probe_ended(now());
                        *probe = None;
                    }
                },
                () = until(wake_at) => self.delta.advance(now()),
            }
        }
    }

    /// Drives as long as the server is not late; `None` when it is. A response of which bytes keep
    /// coming is on its way, however long it takes.
    pub(super) async fn drive_in_time<F: Future>(
        &mut self,
        out: &mut Outgoing,
        work: F,
    ) -> Option<F::Output> {
        let mut work = pin!(work);
        loop {
            let late_at = self.delta.late_at();
            if let Some(output) = self.drive(out, by(late_at, work.as_mut())).await {
                return Some(output);
            }
            if let Some(last) = out.progress.last() {
                self.delta.progressed(last);
            }
            if self.delta.late_at() <= late_at {
                return None;
            }
        }
    }

    /// Opens the stream of a probe when one is due, and closes it when it is over.
    fn probe(&mut self, out: &mut Outgoing) {
        if !self.delta.is_probing() {
            out.probe = None;
        }
        if let Some(first) = self.delta.next_probe(now()) {
            let (client, endpoint) = (out.client.clone(), out.endpoint.clone());
            out.probe = Some(ProbeStream::open(client, endpoint, first));
        }
    }

    fn ask(&mut self, ask: Option<Ask>) {
        let Some(ask) = ask else {
            self.deaf = true;
            return;
        };
        let id = self.delta.demand(&ask.type_url, ask.name, now());
        self.waiting.insert(id, ask.answer);
    }

    fn deliver(&mut self) {
        while let Some((id, answer)) = self.delta.next_answer() {
            if let Some(waiting) = self.waiting.remove(&id) {
                // Who has gone does not want to know.
                let _ = waiting.send(answer);
            }
        }
    }
}

async fn answer_of(
    probe: &mut Option<ProbeStream>,
) -> Option<crate::wire::discovery::DeltaDiscoveryResponse> {
    match probe {
        Some(probe) => probe.next().await,
        None => std::future::pending().await,
    }
}

/// Waits for `work` until then; `None` when the time is up.
async fn by<F: Future>(at: Option<Instant>, work: F) -> Option<F::Output> {
    match at {
        Some(at) => tokio::time::timeout_at(at.into(), work).await.ok(),
        None => Some(work.await),
    }
}

async fn until(wake_at: Option<Instant>) {
    match wake_at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
