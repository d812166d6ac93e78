//! Attends to a run: teeterd notices when this process ends, for any reason, and takes reports on the run's work only
//! from this process.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use serde_json::Value;
use tokio::task::AbortHandle;

use super::watch::PAUSE;
use crate::control::client::{Client, ClientError, Stream, with_query};

/// How teeterd recognises this process at the runs that it attends to.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    key: String,
    place: String,
    what: String,
}

impl Identity {
    /// The identity of a process that runs this command.
    pub(super) fn new(what: String) -> Self {
        // Only this process knows the key: hooks do not get it.
        let key =
            [RandomState::new(), RandomState::new()].map(|state| format!("{:016x}", state.build_hasher().finish()));
        Self { key: key.concat(), place: place(), what }
    }

    /// The path of the stream that is open while this process attends to a run.
    fn path(&self, run: u64) -> String {
        let Self { key, place, what } = self.clone();
        with_query(&format!("/v1/runs/{run}/attend"), [("key", key), ("place", place), ("what", what)])
    }

    /// The key of its reports.
    pub(super) fn key(&self) -> &str {
        &self.key
    }
}

/// Attends to a run until this value is dropped, across restarts of teeterd.
#[derive(Debug)]
pub(super) struct Attend(AbortHandle);

impl Attend {
    /// Starts to attend to a run.
    pub(super) fn to(client: &Client, run: u64, identity: &Identity) -> Self {
        Self::from_stream(client, identity.path(run), None)
    }

    /// Starts to attend to a run to which another caller may attend.
    ///
    /// # Errors
    /// Another caller attends to it, or teeterd refuses or is away.
    pub(super) async fn at_once(client: &Client, run: u64, identity: &Identity) -> Result<Self, ClientError> {
        let path = identity.path(run);
        let stream = client.stream::<Value>(&path).await?;
        Ok(Self::from_stream(client, path, Some(stream)))
    }

    fn from_stream(client: &Client, path: String, mut open: Option<Stream<Value>>) -> Self {
        let client = client.clone();
        let attending = tokio::spawn(async move {
            loop {
                let stream = match open.take() {
                    Some(stream) => Some(stream),
                    None => client.stream(&path).await.ok(),
                };
                if let Some(mut stream) = stream {
                    while let Some(Ok(_)) = stream.next().await {}
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self(attending.abort_handle())
    }
}

impl Drop for Attend {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The terminal of this process and the host that it is used from; empty without a terminal.
fn place() -> String {
    let open = (0..=2).filter_map(|number| std::fs::read_link(format!("/proc/self/fd/{number}")).ok());
    let terminals = open.filter_map(|path| Some(path.to_str()?.strip_prefix("/dev/")?.to_owned()));
    let mut place = terminals.into_iter().find(|name| name.starts_with("pts/") || name.starts_with("tty"));
    if let (Some(place), Ok(from)) = (&mut place, std::env::var("SSH_CONNECTION"))
        && let Some(host) = from.split_whitespace().next()
    {
        place.push_str(&format!(" from {host}"));
    }
    place.unwrap_or_default()
}
