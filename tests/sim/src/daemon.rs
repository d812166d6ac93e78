//! teeterd in simulated time: the real engine and control interface, which can be killed at any moment and started
//! again.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::Request;
use jiff::Timestamp;
use serde_json::Value;
use teeter::config::Config;
use teeter::control::{Peer, router};
use teeter::engine::Engine;
use teeter::platform::{Clock, Disk, Platform};
use teeter::state::Caller;
use teeter::store::Store as _;
use teeter_lab::Dice;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tower::ServiceExt as _;

use crate::apps::Apps;
use crate::daemon_haproxy::Haproxy;
use crate::disk::FailingStore;
use crate::fake::Fake;
use crate::shape::Shape;

/// A teeterd that is up or down. Clones are the same teeterd.
#[derive(Clone)]
pub struct Daemon(Arc<Inner>);

struct Inner {
    /// In the order of their numbers.
    haproxys: Mutex<Vec<Haproxy>>,
    apps: Apps,
    store: FailingStore,
    config: Config,
    master: bool,
    dice: Mutex<Dice>,
    begun: Instant,
    /// The number of seconds that the system's clock has been set forward.
    jumped: Mutex<i64>,
    /// The time that is added to the next write.
    stall: Arc<Mutex<Duration>>,
    starting: tokio::sync::Mutex<()>,
    life: Mutex<Option<Life>>,
    /// How often it was started.
    lives: AtomicU64,
}

#[derive(Clone)]
struct Life {
    platform: Platform,
    router: Router,
}

/// teeterd is down, or went down before it answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Down;

/// The status of an answer, and its JSON document.
pub type Answered = (u16, Value);

/// A request that ends when this is dropped, as when its caller disconnects.
#[derive(Debug)]
pub struct Attending(AbortHandle);

impl Attending {
    /// Whether teeterd has ended it.
    pub fn has_ended(&self) -> bool {
        self.0.is_finished()
    }
}

impl Drop for Attending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Daemon {
    /// A teeterd that is down.
    pub fn new(shape: Shape, fakes: &[Fake], apps: Apps, store: FailingStore, text: &str, dice: Dice) -> Self {
        let config = Config::from_text(text, Path::new("teeter.toml"), std::iter::empty());
        let config = config.unwrap_or_else(|error| panic!("{error}\n{text}"));
        let (dice, begun) = (Mutex::new(dice), Instant::now());
        let named = shape.names().iter().zip(fakes);
        let haproxys = Mutex::new(named.map(|(base, fake)| Haproxy::new(base, fake.clone())).collect());
        let (life, lives, master) = (Mutex::default(), AtomicU64::new(0), shape.master);
        let (jumped, stall, starting) = (Mutex::default(), Arc::default(), tokio::sync::Mutex::default());
        Self(Arc::new(Inner {
            haproxys,
            apps,
            store,
            config,
            master,
            dice,
            begun,
            jumped,
            stall,
            starting,
            life,
            lives,
        }))
    }

    /// Starts it, unless it is up.
    pub async fn start(&self) {
        let inner = &self.0;
        // The store admits one teeterd at a time.
        let _guard = inner.starting.lock().await;
        if self.life().is_some() {
            return;
        }
        let wall = BEGIN.saturating_add(inner.begun.elapsed()).unwrap_or(BEGIN);
        let jumped = jiff::SignedDuration::from_secs(*lock(&inner.jumped));
        let clock = Clock::starting_at(wall.saturating_add(jumped).unwrap_or(wall));
        let dice = {
            let mut dice = lock(&inner.dice);
            *dice = dice.fork(2);
            Mutex::new(dice.fork(1))
        };
        let stall = Arc::clone(&inner.stall);
        let takes = move || {
            let stall = std::mem::take(&mut *lock(&stall));
            let mut dice = lock(&dice);
            // One write in fifty is slow, because the disk is busy.
            let slow = if dice.within(0..50) == 0 { 200_000 } else { 1_500 };
            (stall + Duration::from_micros(dice.within(50..slow)), Duration::from_micros(dice.within(20..500)))
        };
        let platform = Platform::new(clock, Disk::Simulated(Arc::new(takes)));
        let instance = |haproxy: &Haproxy| {
            let name = haproxy.name().parse().unwrap_or_else(|error| panic!("{error}"));
            (name, haproxy.client(), inner.master.then(|| haproxy.master()))
        };
        let instances = lock(&inner.haproxys).iter().filter(|haproxy| haproxy.configured).map(instance).collect();
        let (farms, holds) = (inner.config.farms.clone(), inner.config.holds);
        let (store, prober) = (Arc::new(inner.store.clone()), Arc::new(inner.apps.clone()));
        let starting = Engine::start(farms, holds, instances, store, prober, platform.clone());
        match starting.await {
            Ok(engine) => {
                inner.lives.fetch_add(1, Ordering::Relaxed);
                *lock(&inner.life) = Some(Life { platform, router: router(engine) });
            }
            // It ends, as the program would, and is started again later.
            Err(_) => platform.stop(),
        }
    }

    /// Kills it at once. If it is starting, it is killed as soon as it has started.
    pub async fn kill(&self) {
        let _guard = self.0.starting.lock().await;
        let life = lock(&self.0.life).take();
        if let Some(life) = life {
            life.platform.stop();
        }
        tokio::task::yield_now().await;
    }

    /// Sets the system's clock forward, for every start from now on.
    pub fn jump(&self, seconds: i64) {
        *lock(&self.0.jumped) += seconds;
    }

    /// Gives a HAProxy another name, and perhaps another path of its socket, from the next start on.
    pub fn rename(&self, number: usize, moved: bool) {
        let haproxy = &mut lock(&self.0.haproxys)[number];
        haproxy.renamed += 1;
        haproxy.moved += u32::from(moved);
    }

    /// Whether a HAProxy is configured, from the next start on.
    pub fn configure(&self, number: usize, configured: bool) {
        lock(&self.0.haproxys)[number].configured = configured;
    }

    /// The name of each HAProxy, as it is configured now.
    pub fn names(&self) -> Vec<String> {
        lock(&self.0.haproxys).iter().map(Haproxy::name).collect()
    }

    /// How often it was started; `None` while it is down.
    pub fn life_number(&self) -> Option<u64> {
        self.life().map(|_| self.0.lives.load(Ordering::Relaxed))
    }

    /// Adds this time to the next write.
    pub fn stall(&self, by: Duration) {
        *lock(&self.0.stall) = by;
    }

    /// Whether it is up.
    pub fn is_up(&self) -> bool {
        self.life().is_some()
    }

    /// One request of the caller that has this process id.
    ///
    /// # Errors
    /// It is down, or was killed before it had answered.
    pub async fn call(&self, method: &str, path: &str, body: Option<&Value>, pid: i32) -> Result<Answered, Down> {
        let life = self.life().ok_or(Down)?;
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let request = request.extension(ConnectInfo(Peer::from(caller(pid)))).body(body).map_err(|_| Down)?;
        // As in hyper, a caller that disconnects ends the task that answers it.
        let answering = life.platform.spawn(async move {
            let response = life.router.oneshot(request).await.unwrap_or_else(|never| match never {});
            let status = response.status().as_u16();
            let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap_or_default();
            (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
        });
        let _hanging_up = Attending(answering.abort_handle());
        answering.await.map_err(|_| Down)
    }

    /// Attends a run with this key, until the returned request is dropped or teeterd is killed.
    pub fn attend(&self, run: u64, pid: i32, key: &str) -> Option<Attending> {
        let life = self.life()?;
        let key = key.replace(' ', "+");
        let request = Request::builder().uri(format!("/v1/runs/{run}/attend?key={key}"));
        let request = request.extension(ConnectInfo(Peer::from(caller(pid)))).body(Body::empty()).ok()?;
        let attending = life.platform.spawn(async move {
            let response = life.router.oneshot(request).await.unwrap_or_else(|never| match never {});
            // The answer has no end: the request ends when the caller disconnects.
            let _ = to_bytes(response.into_body(), usize::MAX).await;
        });
        Some(Attending(attending.abort_handle()))
    }

    /// The content of the store.
    pub fn stored(&self) -> teeter::state::State {
        self.0.store.load().unwrap_or_else(|error| panic!("the store cannot be read: {error}"))
    }

    /// Every event that was recorded.
    pub fn events(&self) -> Vec<teeter::state::Event> {
        let query = teeter::store::EventQuery { limit: 100_000, ..Default::default() };
        self.0.store.events(query).unwrap_or_else(|error| panic!("the store cannot be read: {error}"))
    }

    fn life(&self) -> Option<Life> {
        lock(&self.0.life).clone()
    }
}

fn caller(pid: i32) -> Caller {
    let user = format!("user{}", pid % 3);
    Caller { uid: 1000, gid: 1000, pid: Some(pid), user, command: "sim".to_owned(), exe: None, login: None }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// When every simulation begins.
const BEGIN: Timestamp = Timestamp::constant(1_750_000_000, 0);
