//! A way to Zentra that can be shut: connections are then refused.

use std::net::SocketAddr;
use std::sync::Mutex;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A port that leads to Zentra.
pub(crate) struct Gate {
    address: SocketAddr,
    shut: CancellationToken,
    tasks: TaskTracker,
    deaf: Mutex<Option<TcpSocket>>,
}

impl Gate {
    pub(crate) async fn to(zentra: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shut, tasks) = (CancellationToken::new(), TaskTracker::new());
        let passing = tasks.clone();
        let closing = shut.clone();
        tasks.spawn(async move {
            loop {
                let client = tokio::select! {
                    accepted = listener.accept() => accepted.unwrap().0,
                    () = closing.cancelled() => return,
                };
                passing.spawn(pass(client, zentra, closing.clone()));
            }
        });
        Self { address, shut, tasks, deaf: Mutex::default() }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Refuses connections from now on. Those that stood are closed, at the client too, when this
    /// returns.
    pub(crate) async fn shut(&self) {
        self.shut.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        // Bound and deaf, so that no other test's server gets the port.
        let deaf = TcpSocket::new_v4().unwrap();
        deaf.set_reuseaddr(true).unwrap();
        deaf.bind(self.address).unwrap();
        *self.deaf.lock().unwrap() = Some(deaf);
    }
}

async fn pass(client: TcpStream, zentra: SocketAddr, shut: CancellationToken) {
    let zentra = TcpStream::connect(zentra).await.unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_zentra, mut to_zentra) = zentra.into_split();
    tokio::select! {
        _ = copy(&mut from_client, &mut to_zentra) => return,
        _ = copy(&mut from_zentra, &mut to_client) => {}
        () = shut.cancelled() => {}
    }
    let _ = to_client.shutdown().await;
    // The client closes its side once it has seen this.
    let mut rest = Vec::new();
    let _ = from_client.read_to_end(&mut rest).await;
}
