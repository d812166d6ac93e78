//! How much of teeterd one caller may take up, and all together: connections, requests and streams at once.
//!
//! Each user has a share of their own, so that one who takes all of it only shuts themselves out. Root and teeterd's
//! own user have theirs apart from what all others share, so that they get in when these have taken everything.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::desk::Window;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Connection,
    /// A request that only reads.
    Request,
    Stream,
    /// A request that changes something: apart, so that who reads too much can still do that.
    Change,
}

/// Why there is no place left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// This user has as many as one may have.
    OfUser(Kind),
    /// All together have as many connections as there may be.
    All,
    /// So many readers wait that one's turn did not come.
    Readers(Window),
}

/// What is there now.
#[derive(Debug)]
pub(super) struct Bounds {
    /// teeterd's own user.
    own: u32,
    /// How many files teeterd may have open.
    files: usize,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// Connections of all who have no share apart.
    shared: usize,
    /// Connections of all.
    connections: usize,
    of_users: HashMap<u32, [usize; 4]>,
}

/// A place that is taken until this is dropped.
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

    /// What is to be told where teeterd may open fewer files than it may have to.
    pub(super) fn too_few_files(&self) -> Option<String> {
        let (files, most) = (self.files, self.files.saturating_sub(RESERVE));
        (files < FILES).then(|| {
            format!(
                "teeterd may have only {files} files open, and {FILES} are what it may need: the control socket takes {most}                  connections at once, so that some are left for HAProxy and the store. To do: raise LimitNOFILE= in its unit,                  or `ulimit -n` where it is started"
            )
        })
    }

    /// Takes a place, if there is one.
    pub(super) fn take(self: &Arc<Self>, uid: u32, kind: Kind) -> Result<Place, Full> {
        let mut counts = self.counts();
        let shares = kind == Kind::Connection && self.shares(uid);
        if counts.of_users.get(&uid).is_some_and(|of_user| of_user[kind as usize] >= kind.most()) {
            return Err(Full::OfUser(kind));
        }
        // What teeterd needs for HAProxy and its store no caller can take away, and root still gets in when others do not.
        let reserve = if shares { RESERVE } else { RESERVE / 2 };
        let many = kind == Kind::Connection && counts.connections >= self.files.saturating_sub(reserve);
        if many || (shares && counts.shared >= MOST_CONNECTIONS) {
            return Err(Full::All);
        }
        counts.shared += usize::from(shares);
        counts.connections += usize::from(kind == Kind::Connection);
        counts.of_users.entry(uid).or_default()[kind as usize] += 1;
        Ok(Place { bounds: Arc::clone(self), uid, kind })
    }

    fn shares(&self, uid: u32) -> bool {
        uid != 0 && uid != self.own
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        // Nothing that is done under the lock can panic half way.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kind {
    /// How many one user may have at once.
    pub(super) fn most(self) -> usize {
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
        if self.kind == Kind::Connection && self.bounds.shares(self.uid) {
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

/// Connections of all users together, but for root's and those of teeterd's own user. With these, and with the others
/// that teeterd opens, they stay below the 1024 files that a service may have open where nobody has allowed more.
pub(super) const MOST_CONNECTIONS: usize = 512;
/// Files that stay for what is not asked over the control socket: HAProxys, probes, the store, the files of maps.
const RESERVE: usize = 128;
/// So many files teeterd may have to open, with every place taken.
const FILES: usize = 1024;
/// Connections of one user. A deploy has three at most: thirty pipelines may run as one user.
const CONNECTIONS_OF_A_USER: usize = 160;
/// Requests of one user that are worked on or waited for, until the last byte of the answer.
const REQUESTS_OF_A_USER: usize = 64;
/// Changes of one user that are worked on or waited for.
const CHANGES_OF_A_USER: usize = 64;
/// Streams of one user: of events, and those that say that somebody attends to a run.
const STREAMS_OF_A_USER: usize = 64;
/// Connections beyond all that which are told so and kept until their request is there; the others are told so and closed.
pub(super) const TOLD_SO: usize = 32;

/// Readers of one user that are answered at once; more of them wait.
pub(super) const READERS_OF_A_USER: usize = 2;
/// Readers of all users together, but for root and teeterd's own user. What they are answered is in memory until it is
/// sent.
pub(super) const READERS: usize = 4;
/// A reader waits so long for a turn.
pub(super) const TURN_COMES: Duration = Duration::from_secs(10);
/// An answer to a reader who takes it drop by drop is cut off after this.
pub(super) const ANSWER_TAKES: Duration = Duration::from_secs(60);
/// The same of a copy of the store, which may be large.
pub(super) const COPY_TAKES: Duration = Duration::from_secs(600);

/// The longest line and headers of a request. A thousand selectors fit.
pub(super) const LONGEST_HEAD: usize = 64 << 10;
/// The longest body of a request.
pub(super) const LONGEST_BODY: usize = 64 << 10;
/// How long a request's line and headers may take, from the end of the one before.
pub(super) const HEAD_TAKES: Duration = Duration::from_secs(10);
/// How long its body may take.
pub(super) const BODY_TAKES: Duration = Duration::from_secs(10);
/// How long somebody may take nothing of an answer that is ready for them.
pub(super) const READER_TAKES: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_takes_everything_shuts_only_themselves_out() {
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
        // Root and teeterd's own user get in all the same, each as often as anybody.
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
        assert!(bounds.too_few_files().is_some_and(|words| words.contains("only 200 files")));
        drop((others, root));
        let left = bounds.counts().connections;
        assert_eq!((left, taken(1001).len()), (0, 72));
    }
}
