//! How many connections, requests and streams one caller, and all callers together, may have at once.
//!
//! Each user has a separate bound, so a user who exhausts it locks out only themselves. Root and teeterd's own user do
//! not count in the common bound, so they are served even when other users have exhausted it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::desk::ReadKind;

use crate::platform::lock;

/// The things that the bounds count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Connection,
    /// A request that only reads.
    Request,
    Stream,
    /// A request for a change. Counted separately, so a user who reads too much can still make changes.
    Change,
}

/// The bound that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// The bound of one user.
    OfUser(Kind),
    /// The bound for the connections of all users together.
    All,
    /// The bound for readers: a request has waited too long for its turn.
    Readers(ReadKind),
}

/// The current counts.
#[derive(Debug)]
pub(super) struct Bounds {
    /// The user id of teeterd's own user.
    own: u32,
    /// The number of files that teeterd may open.
    files: usize,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// Connections of all users except root and teeterd's own user.
    shared: usize,
    /// Connections of all users.
    connections: usize,
    of_users: HashMap<u32, [usize; 4]>,
}

/// A place that stays occupied until this value is dropped.
#[derive(Debug)]
pub(super) struct Place {
    bounds: Arc<Bounds>,
    uid: u32,
    kind: Kind,
}

impl Bounds {
    pub(super) fn new() -> Arc<Self> {
        let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let files = files.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX);
        Arc::new(Self { own: rustix::process::geteuid().as_raw(), files, counts: Mutex::default() })
    }

    /// A warning if teeterd may open fewer files than it may need.
    pub(super) fn too_few_files(&self) -> Option<String> {
        let (files, connections) = (self.files, self.files.saturating_sub(RESERVE));
        (files < FILES).then(|| {
            format!(
                "teeterd may open only {files} files, and may need {FILES}: the control socket accepts {connections} \
                 connections at once, so that files are left for HAProxy and the store. To do: raise LimitNOFILE= in \
                 the unit of teeterd, or `ulimit -n` where teeterd is started"
            )
        })
    }

    /// Takes a place, if one is free.
    pub(super) fn take(self: &Arc<Self>, uid: u32, kind: Kind) -> Result<Place, Full> {
        let mut counts = self.counts();
        let is_shared = kind == Kind::Connection && self.is_shared(uid);
        if counts.of_users.get(&uid).is_some_and(|of_user| of_user[kind as usize] >= kind.bound()) {
            return Err(Full::OfUser(kind));
        }
        // Keep enough files for HAProxy and the store, and let root in when other users are refused.
        let reserve = if is_shared { RESERVE } else { RESERVE / 2 };
        let no_file_left = kind == Kind::Connection && counts.connections >= self.files.saturating_sub(reserve);
        if no_file_left || (is_shared && counts.shared >= MOST_CONNECTIONS) {
            return Err(Full::All);
        }
        counts.shared += usize::from(is_shared);
        counts.connections += usize::from(kind == Kind::Connection);
        counts.of_users.entry(uid).or_default()[kind as usize] += 1;
        Ok(Place { bounds: Arc::clone(self), uid, kind })
    }

    /// Whether the connections of this user count in the common bound.
    fn is_shared(&self, uid: u32) -> bool {
        uid != 0 && uid != self.own
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        // No code that holds the lock can panic.
        lock(&self.counts)
    }
}

impl Kind {
    /// The greatest number that one user may have at once.
    pub(super) fn bound(self) -> usize {
        match self {
            Self::Connection => CONNECTIONS_OF_A_USER,
            Self::Request => REQUESTS_OF_A_USER,
            Self::Change => CHANGES_OF_A_USER,
            Self::Stream => STREAMS_OF_A_USER,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.bounds.counts();
        counts.connections -= usize::from(self.kind == Kind::Connection);
        if self.kind == Kind::Connection && self.bounds.is_shared(self.uid) {
            counts.shared -= 1;
        }
        if let Some(of_user) = counts.of_users.get_mut(&self.uid) {
            of_user[self.kind as usize] -= 1;
            if *of_user == [0; 4] {
                counts.of_users.remove(&self.uid);
            }
        }
    }
}

/// Connections of all users together, except root and teeterd's own user. With the connections of these two and the
/// other files that teeterd opens, the total stays below 1024, the default limit of open files for a service.
pub(super) const MOST_CONNECTIONS: usize = 512;
/// Files reserved for everything except the control socket: HAProxy, probes, the store, map files.
const RESERVE: usize = 128;
/// Files that teeterd needs when every place is occupied.
const FILES: usize = 1024;
/// Connections of one user. A deploy uses at most three, so thirty pipelines can run as one user.
const CONNECTIONS_OF_A_USER: usize = 160;
/// Requests of one user that run or wait, until the last byte of the answer.
const REQUESTS_OF_A_USER: usize = 64;
/// Changes of one user that run or wait.
const CHANGES_OF_A_USER: usize = 64;
/// Streams of one user: event streams, and the streams of callers that attend to a run.
const STREAMS_OF_A_USER: usize = 64;
/// Connections over the limit that stay open until their request arrives, so that the client reads the 503; further
/// connections get the 503 and are closed at once.
pub(super) const REJECTED_KEPT_OPEN: usize = 32;

/// Readers of one user that are answered at once; further readers wait.
pub(super) const READERS_OF_A_USER: usize = 2;
/// Readers of all users together, except root and teeterd's own user. Their answers are in memory until they are sent.
pub(super) const READERS: usize = 4;
/// The longest time that a request waits for its turn.
pub(super) const TURN_COMES: Duration = Duration::from_secs(10);
/// The longest time that a client may take to receive an answer.
pub(super) const ANSWER_TAKES: Duration = Duration::from_secs(60);
/// The longest time that a client may take to receive a copy of the store, which may be large.
pub(super) const COPY_TAKES: Duration = Duration::from_secs(600);

/// The greatest length of the request line and headers, in bytes. A thousand selectors fit.
pub(super) const LONGEST_HEAD: usize = 64 << 10;
/// The greatest length of the body of a request, in bytes.
pub(super) const LONGEST_BODY: usize = 64 << 10;
/// The time for the request line and headers to arrive, from the end of the previous request.
pub(super) const HEAD_TAKES: Duration = Duration::from_secs(10);
/// The time for the body of a request to arrive.
pub(super) const BODY_TAKES: Duration = Duration::from_secs(10);
/// The time that a client may go without receiving any byte of a ready answer.
pub(super) const READER_TAKES: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_who_exhausts_a_bound_locks_out_only_themselves() {
        let bounds = Arc::new(Bounds { own: 7, files: 4096, counts: Mutex::default() });
        let connect = |uid| bounds.take(uid, Kind::Connection);
        let mut places: Vec<Place> = (0..CONNECTIONS_OF_A_USER).map(|_| connect(1000).unwrap()).collect();
        assert_eq!(connect(1000).unwrap_err(), Full::OfUser(Kind::Connection));
        for uid in 1001.. {
            match connect(uid) {
                Ok(place) => places.push(place),
                Err(full) => {
                    assert_eq!(full, Full::All);
                    break;
                }
            }
        }
        assert_eq!(places.len(), MOST_CONNECTIONS);
        // Root and teeterd's own user are still served, each up to the bound of one user.
        for uid in [0, 7] {
            let own: Vec<_> = std::iter::from_fn(|| connect(uid).ok()).collect();
            assert_eq!(own.len(), CONNECTIONS_OF_A_USER);
        }
        places.clear();
        connect(1001).unwrap();
        assert!(bounds.counts().of_users.is_empty());
        assert_eq!(bounds.counts().shared, 0);
    }

    #[test]
    fn requests_streams_and_changes_are_counted_apart() {
        let bounds = Bounds::new();
        let streams: Vec<_> = std::iter::from_fn(|| bounds.take(1000, Kind::Stream).ok()).collect();
        assert_eq!(streams.len(), STREAMS_OF_A_USER);
        let requests: Vec<_> = std::iter::from_fn(|| bounds.take(1000, Kind::Request).ok()).collect();
        assert_eq!(requests.len(), REQUESTS_OF_A_USER);
        assert!(bounds.take(1000, Kind::Change).is_ok());
        assert!(bounds.take(1001, Kind::Stream).is_ok());
    }

    #[test]
    fn files_are_left_for_haproxy_and_root_gets_in() {
        let bounds = Arc::new(Bounds { own: 7, files: 200, counts: Mutex::default() });
        let taken = |uid| std::iter::from_fn(|| bounds.take(uid, Kind::Connection).ok()).collect::<Vec<_>>();
        let others = taken(1000);
        assert_eq!((others.len(), taken(1001).len()), (72, 0));
        let root = taken(0);
        assert_eq!((root.len(), taken(7).len()), (64, 0));
        assert!(bounds.too_few_files().is_some_and(|text| text.contains("only 200 files")));
        drop((others, root));
        let left = bounds.counts().connections;
        assert_eq!((left, taken(1001).len()), (0, 72));
    }
}
