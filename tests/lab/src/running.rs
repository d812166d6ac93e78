//! The thread of an application server: it listens, serves, and carries out commands.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::admin;
use crate::app::{Replacement, Shared};
use crate::generation::Generation;
use crate::http1;

/// A command to the server's thread.
pub(crate) enum Order {
    Replace(String, oneshot::Sender<io::Result<()>>),
    Stop(oneshot::Sender<io::Result<()>>),
    Start(oneshot::Sender<io::Result<()>>),
    Quit,
}

/// Sends a command to a server's thread and waits until it is carried out.
pub(crate) async fn order(
    orders: &mpsc::UnboundedSender<Order>,
    make: impl FnOnce(oneshot::Sender<io::Result<()>>) -> Order,
) -> io::Result<()> {
    let (done, outcome) = oneshot::channel();
    orders.send(make(done)).map_err(|_| gone())?;
    outcome.await.map_err(|_| gone())?
}

/// The server's thread: it listens, serves, and carries out commands until it is to quit.
pub(crate) async fn run(
    shared: Arc<Shared>,
    admin_addr: SocketAddr,
    orders: mpsc::UnboundedSender<Order>,
    mut inbox: mpsc::UnboundedReceiver<Order>,
    ready: oneshot::Sender<io::Result<()>>,
) {
    let bound = async { Ok((listen(admin_addr).await?, Service::start(&shared).await?)) };
    let (desk, service) = match bound.await {
        Ok(both) => both,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    let _ = ready.send(Ok(()));
    let mut service = Some(service);
    let mut admins = JoinSet::new();
    loop {
        tokio::select! {
            order = inbox.recv() => {
                let (done, outcome) = match order {
                    None | Some(Order::Quit) => return,
                    Some(Order::Stop(done)) => {
                        end(&mut service).await;
                        (done, Ok(()))
                    }
                    Some(Order::Start(done)) => (done, begin(&mut service, &shared).await),
                    Some(Order::Replace(version, done)) => {
                        let at = Instant::now();
                        let in_flight = end(&mut service).await;
                        shared.replaced(Replacement { at, in_flight, version });
                        (done, begin(&mut service, &shared).await)
                    }
                };
                let _ = done.send(outcome);
            }
            () = accept(&mut service, &shared) => {}
            Ok((stream, _)) = desk.accept() => {
                admins.spawn(admin::administer(stream, Arc::clone(&shared), orders.clone()));
            }
            Some(_) = admins.join_next() => {}
        }
    }
}

/// The version that runs, with its listener and its connections.
struct Service {
    listener: TcpListener,
    connections: JoinSet<()>,
    generation: Arc<Generation>,
}

impl Service {
    async fn start(shared: &Shared) -> io::Result<Self> {
        Ok(Self {
            listener: listen(shared.addr).await?,
            connections: JoinSet::new(),
            generation: Arc::new(Generation::new(&shared.name, &shared.version(), shared.cold_start())),
        })
    }
}

async fn begin(service: &mut Option<Service>, shared: &Shared) -> io::Result<()> {
    if service.is_none() {
        *service = Some(Service::start(shared).await?);
    }
    Ok(())
}

/// Stops a version at once. Returns the number of requests that were in flight and are cut off.
async fn end(service: &mut Option<Service>) -> usize {
    let Some(Service { listener, mut connections, generation }) = service.take() else {
        return 0;
    };
    drop(listener);
    generation.stop();
    connections.shutdown().await;
    generation.broken()
}

/// Accepts a connection, or notices that one has ended.
async fn accept(service: &mut Option<Service>, shared: &Arc<Shared>) {
    let Some(service) = service else {
        return std::future::pending().await;
    };
    tokio::select! {
        accepted = service.listener.accept() => {
            if let Ok((stream, _)) = accepted {
                let generation = Arc::clone(&service.generation);
                service.connections.spawn(http1::serve(stream, Arc::clone(shared), generation));
            }
        }
        Some(_) = service.connections.join_next() => {}
    }
}

/// Listens. It tries for a while, because the last process on this port may just be ending.
async fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let attempt = TcpSocket::new_v4().and_then(|socket| {
            socket.set_reuseaddr(true)?;
            socket.bind(addr)?;
            // With a short backlog, new connections would wait a second when many come at once.
            socket.listen(1024)
        });
        match attempt {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            done => return done,
        }
    }
}

/// The error when the thread has ended.
pub(crate) fn gone() -> io::Error {
    io::Error::other("the application server has ended")
}
