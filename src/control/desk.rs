//! The desk, at which requests that read wait for their turn. A bounded number of them, in all and for each user, is
//! answered at a time; a turn lasts until the last byte of the answer.
//!
//! Each request first takes one of its user's places, then one of the shared places. So if one user sends a hundred
//! requests, only a few of them wait for the shared places, and the next user waits for those few and not for a
//! hundred.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::bounds::{ANSWER_TAKES, COPY_TAKES, Full, READERS, READERS_OF_A_USER, TURN_COMES};

use crate::platform::lock;

/// The kind of answer that a request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadKind {
    /// An answer from a look at HAProxy or from some records.
    Cheap,
    /// An answer from all HAProxy instances or all records: the doctor, and the verification of the store.
    Expensive,
    /// A copy of the whole store.
    Backup,
}

impl ReadKind {
    /// The longest time that a client may take to receive the answer.
    pub(super) fn sent_within(self) -> Duration {
        match self {
            Self::Cheap | Self::Expensive => ANSWER_TAKES,
            Self::Backup => COPY_TAKES,
        }
    }
}

/// The places of all readers.
#[derive(Debug)]
pub(super) struct Desk {
    /// The user id of teeterd's own user.
    own: u32,
    cheap: Places,
    expensive: Places,
}

/// The places for one kind of answer.
#[derive(Debug)]
struct Places {
    of_a_user: usize,
    all: Arc<Semaphore>,
    users: Mutex<HashMap<u32, Weak<Semaphore>>>,
}

/// A place at the desk, which is free again when this value is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _of_user: OwnedSemaphorePermit,
    _of_all: Option<OwnedSemaphorePermit>,
}

/// The sender of a request that reads.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    pub(super) desk: Arc<Desk>,
    pub(super) uid: u32,
}

impl Reader {
    /// Waits for the reader's turn.
    pub(super) async fn turn(&self, kind: ReadKind) -> Result<Turn, Full> {
        let turn = tokio::time::timeout(TURN_COMES, self.desk.turn(self.uid, kind)).await;
        turn.map_err(|_| Full::Readers(kind))
    }
}

impl Desk {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            own: rustix::process::geteuid().as_raw(),
            cheap: Places::new(READERS_OF_A_USER, READERS),
            expensive: Places::new(1, 1),
        })
    }

    async fn turn(&self, uid: u32, kind: ReadKind) -> Turn {
        // Expensive answers are computed one at a time. For cheap answers, root and teeterd's own user do not use the
        // shared places.
        let (places, is_shared) = match kind {
            ReadKind::Expensive | ReadKind::Backup => (&self.expensive, true),
            ReadKind::Cheap => (&self.cheap, uid != 0 && uid != self.own),
        };
        let of_user = take_place(places.of_user(uid)).await;
        let of_all = if is_shared { Some(take_place(Arc::clone(&places.all)).await) } else { None };
        Turn { _of_user: of_user, _of_all: of_all }
    }
}

impl Places {
    fn new(of_a_user: usize, all: usize) -> Self {
        Self { of_a_user, all: Arc::new(Semaphore::new(all)), users: Mutex::default() }
    }

    fn of_user(&self, uid: u32) -> Arc<Semaphore> {
        // No code that holds the lock can panic.
        let mut users = lock(&self.users);
        if let Some(places) = users.get(&uid).and_then(Weak::upgrade) {
            return places;
        }
        users.retain(|_, places| places.strong_count() > 0);
        let places = Arc::new(Semaphore::new(self.of_a_user));
        users.insert(uid, Arc::downgrade(&places));
        places
    }
}

/// Waits for a place, in the order of the requests.
async fn take_place(places: Arc<Semaphore>) -> OwnedSemaphorePermit {
    match places.acquire_owned().await {
        Ok(place) => place,
        // The semaphore is never closed.
        Err(_) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn desk() -> Arc<Desk> {
        let desk = Desk::new();
        Arc::new(Desk { own: 7, ..Arc::into_inner(desk).unwrap() })
    }

    #[tokio::test]
    async fn a_hundred_requests_of_one_user_block_no_other_user() {
        let desk = desk();
        let turn = |uid| desk.turn(uid, ReadKind::Cheap).boxed();
        let mut greedy: Vec<_> = (0..100).map(|_| turn(1000)).collect();
        let served: Vec<_> = greedy.iter_mut().filter_map(|turn| turn.now_or_never()).collect();
        assert_eq!(served.len(), READERS_OF_A_USER);
        // Other users get the free places, then wait for the few places of the first user: not for a hundred.
        let mut others: Vec<_> = (1001..).map(turn).map_while(|mut turn| (&mut turn).now_or_never()).collect();
        assert_eq!(served.len() + others.len(), READERS);
        let mut next = turn(2000);
        assert!((&mut next).now_or_never().is_none());
        others.pop();
        let next = next.now_or_never().expect("the next reader has its turn");
        // Root and teeterd's own user do not wait for other users.
        for uid in [0, 7] {
            assert!(turn(uid).now_or_never().is_some());
        }
        drop((served, next, others, greedy));
        assert_eq!(desk.cheap.all.available_permits(), READERS);
    }

    #[tokio::test]
    async fn expensive_answers_are_computed_one_at_a_time_and_users_take_turns() {
        let desk = desk();
        let turn = |uid| desk.turn(uid, ReadKind::Expensive).boxed();
        let first = turn(1000).await;
        let mut again = turn(1000);
        assert!((&mut again).now_or_never().is_none());
        let (mut root, mut other) = (turn(0), turn(1001));
        assert!((&mut root).now_or_never().is_none());
        assert!((&mut other).now_or_never().is_none());
        drop(first);
        // The first user's second request waits behind the requests that reached the shared places earlier.
        assert!((&mut again).now_or_never().is_none());
        drop((&mut root).now_or_never().expect("root has its turn"));
        assert!((&mut again).now_or_never().is_none());
        drop(other.now_or_never().expect("the other user has its turn"));
        assert!(again.now_or_never().is_some());
    }
}
