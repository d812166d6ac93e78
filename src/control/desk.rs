//! Where readers wait until it is their turn: so many at a time, and so many of one user, until the last byte of the answer.
//!
//! Each user has places of their own and passes through them into what all share. So of one who asks a hundred times, a
//! few stand among the others, and whoever comes next waits for those and not for the hundred.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::bounds::{ANSWER_TAKES, COPY_TAKES, Full, READERS, READERS_OF_A_USER, TURN_COMES};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Window {
    /// What a look, or some records, answer.
    Reads,
    /// What goes over everything: the doctor, and whether the store is whole.
    Dear,
    /// The same, where all of it is sent, too.
    Copy,
}

impl Window {
    /// How long an answer may take to be taken.
    pub(super) fn sent_within(self) -> Duration {
        match self {
            Self::Reads | Self::Dear => ANSWER_TAKES,
            Self::Copy => COPY_TAKES,
        }
    }
}

/// The places of all readers.
#[derive(Debug)]
pub(super) struct Desk {
    /// teeterd's own user.
    own: u32,
    reads: Row,
    dear: Row,
}

/// The places at one window.
#[derive(Debug)]
struct Row {
    of_a_user: usize,
    all: Arc<Semaphore>,
    users: Mutex<HashMap<u32, Weak<Semaphore>>>,
}

/// A place at the desk, until this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _of_user: OwnedSemaphorePermit,
    _of_all: Option<OwnedSemaphorePermit>,
}

/// Who sends a request, on the way to the desk.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    pub(super) desk: Arc<Desk>,
    pub(super) uid: u32,
}

impl Reader {
    /// Waits for one's turn.
    pub(super) async fn turn(&self, at: Window) -> Result<Turn, Full> {
        let turn = tokio::time::timeout(TURN_COMES, self.desk.turn(self.uid, at)).await;
        turn.map_err(|_| Full::Readers(at))
    }
}

impl Desk {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            own: rustix::process::geteuid().as_raw(),
            reads: Row::new(READERS_OF_A_USER, READERS),
            dear: Row::new(1, 1),
        })
    }

    async fn turn(&self, uid: u32, at: Window) -> Turn {
        // Two of what is dear are never worked on at once. Other places root and teeterd's own user have apart.
        let (row, shares) = match at {
            Window::Dear | Window::Copy => (&self.dear, true),
            Window::Reads => (&self.reads, uid != 0 && uid != self.own),
        };
        let of_user = place(row.of_user(uid)).await;
        let of_all = if shares { Some(place(Arc::clone(&row.all)).await) } else { None };
        Turn { _of_user: of_user, _of_all: of_all }
    }
}

impl Row {
    fn new(of_a_user: usize, all: usize) -> Self {
        Self { of_a_user, all: Arc::new(Semaphore::new(all)), users: Mutex::default() }
    }

    fn of_user(&self, uid: u32) -> Arc<Semaphore> {
        // Nothing that is done under the lock can panic half way.
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(row) = users.get(&uid).and_then(Weak::upgrade) {
            return row;
        }
        users.retain(|_, row| row.strong_count() > 0);
        let row = Arc::new(Semaphore::new(self.of_a_user));
        users.insert(uid, Arc::downgrade(&row));
        row
    }
}

/// Who asks first has it first.
async fn place(of: Arc<Semaphore>) -> OwnedSemaphorePermit {
    match of.acquire_owned().await {
        Ok(place) => place,
        // It is never closed.
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
    async fn whoever_asks_a_hundred_times_keeps_nobody_out() {
        let desk = desk();
        let turn = |uid| desk.turn(uid, Window::Reads).boxed();
        let mut greedy: Vec<_> = (0..100).map(|_| turn(1000)).collect();
        let served: Vec<_> = greedy.iter_mut().filter_map(|it| it.now_or_never()).collect();
        assert_eq!(served.len(), READERS_OF_A_USER);
        // Others have places for as long as there are any, and then take turns with what one has: not with a hundred.
        let mut others: Vec<_> = (1001..).map(turn).map_while(|mut it| (&mut it).now_or_never()).collect();
        assert_eq!(served.len() + others.len(), READERS);
        let mut next = turn(2000);
        assert!((&mut next).now_or_never().is_none());
        others.pop();
        let next = next.now_or_never().expect("it is its turn");
        // Root and teeterd's own user wait for none of them.
        for uid in [0, 7] {
            assert!(turn(uid).now_or_never().is_some());
        }
        drop((served, next, others, greedy));
        assert_eq!(desk.reads.all.available_permits(), READERS);
    }

    #[tokio::test]
    async fn what_is_dear_is_done_once_at_a_time_and_by_turns() {
        let desk = desk();
        let turn = |uid| desk.turn(uid, Window::Dear).boxed();
        let first = turn(1000).await;
        let mut again = turn(1000);
        assert!((&mut again).now_or_never().is_none());
        let (mut root, mut other) = (turn(0), turn(1001));
        assert!((&mut root).now_or_never().is_none());
        assert!((&mut other).now_or_never().is_none());
        drop(first);
        // The second one of the first user stands behind those who came before it to what all share.
        assert!((&mut again).now_or_never().is_none());
        drop((&mut root).now_or_never().expect("it is root's turn"));
        assert!((&mut again).now_or_never().is_none());
        drop(other.now_or_never().expect("it is the other's turn"));
        assert!(again.now_or_never().is_some());
    }
}
