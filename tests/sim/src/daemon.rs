//! teeterd in simulated time: the real engine and control interface, which can be killed anywhere and started again.

use std::path::{Path, PathBuf};
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
use teeter::engine::{ANSWER_TAKES, Engine};
use teeter::haproxy::{Address, Client, Connect, Connecting, Master, Stream};
use teeter::platform::Clock;
use teeter::platform::{Disk, Platform};
use teeter::state::Caller;
use teeter::store::Store as _;
use teeter_lab::Dice;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tower::ServiceExt as _;

use crate::apps::Apps;
use crate::disk::FailingStore;
use crate::fake::Fake;

/// A teeterd that is up or down; clones are the same one.
#[derive(Clone)]
pub struct Daemon(Arc<Inner>);

struct Inner {
    /// Each with its name.
    haproxys: Vec<(&'static str, Fake)>,
    apps: Apps,
    store: FailingStore,
    config: Config,
    master: bool,
    dice: Mutex<Dice>,
    begun: Instant,
    /// By how many seconds the system's clock has been set otherwise.
    jumped: Mutex<i64>,
    /// How much longer the next write takes.
    stall: Arc<Mutex<Duration>>,
    starting: tokio::sync::Mutex<()>,
    life: Mutex<Option<Life>>,
}

#[derive(Clone)]
struct Life {
    platform: Platform,
    router: Router,
}

/// teeterd is down, or went down before it answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Down;

/// The status of an answer, and its document.
pub type Answered = (u16, Value);

/// Something that ends when this is dropped.
#[derive(Debug)]
pub struct Attending(AbortHandle);

impl Drop for Attending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Daemon {
    /// A teeterd that is down.
    pub fn new(
        haproxys: Vec<(&'static str, Fake)>,
        apps: Apps,
        store: FailingStore,
        text: &str,
        master: bool,
        dice: Dice,
    ) -> Self {
        let config = Config::from_text(text, Path::new("teeter.toml"), std::iter::empty());
        let config = config.unwrap_or_else(|error| panic!("{error}\n{text}"));
        let (dice, begun) = (Mutex::new(dice), Instant::now());
        let life = Mutex::default();
        let (jumped, stall, starting) = (Mutex::default(), Arc::default(), tokio::sync::Mutex::default());
        Self(Arc::new(Inner { haproxys, apps, store, config, master, dice, begun, jumped, stall, starting, life }))
    }

    /// Starts it, unless it is up.
    pub async fn start(&self) {
        let it = &self.0;
        // The store lets one in at a time.
        let _one = it.starting.lock().await;
        if self.life().is_some() {
            return;
        }
        let wall = BEGIN.saturating_add(it.begun.elapsed()).unwrap_or(BEGIN);
        let jumped = jiff::SignedDuration::from_secs(*lock(&it.jumped));
        let clock = Clock::starting_at(wall.saturating_add(jumped).unwrap_or(wall));
        let dice = {
            let mut dice = lock(&it.dice);
            *dice = dice.other(2);
            Mutex::new(dice.other(1))
        };
        let stall = Arc::clone(&it.stall);
        let takes = move || {
            let stall = std::mem::take(&mut *lock(&stall));
            let mut dice = lock(&dice);
            // Most writes are quick; now and then the disk has other things to do.
            let slow = if dice.of(0..50) == 0 { 200_000 } else { 1_500 };
            (stall + Duration::from_micros(dice.of(50..slow)), Duration::from_micros(dice.of(20..500)))
        };
        let platform = Platform::new(clock, Disk::Simulated(Arc::new(takes)));
        let instance = |(name, fake): &(&'static str, Fake)| {
            let way = |to: To| Box::new(Way { fake: fake.clone(), to });
            let socket = |of: &str| PathBuf::from(format!("/sim/{name}{of}.sock"));
            let client = Client::over(Address::Unix(socket("")), way(To::Stats), ANSWER_TAKES);
            let master = it.master.then(|| Master::over(socket("-master"), way(To::Master), ANSWER_TAKES));
            (name.parse().unwrap_or_else(|error| panic!("{error}")), client, master)
        };
        let instances = it.haproxys.iter().map(instance).collect();
        let (farms, holds) = (it.config.farms.clone(), it.config.holds);
        let (store, prober) = (Arc::new(it.store.clone()), Arc::new(it.apps.clone()));
        let starting = Engine::start(farms, holds, instances, store, prober, platform.clone());
        match starting.await {
            Ok(engine) => *lock(&it.life) = Some(Life { platform, router: router(engine) }),
            // As systemd would: it is started again later.
            Err(_) => platform.stop(),
        }
    }

    /// Kills it where it stands, or as soon as it has started.
    pub async fn kill(&self) {
        let _one = self.0.starting.lock().await;
        let life = lock(&self.0.life).take();
        if let Some(life) = life {
            life.platform.stop();
        }
        tokio::task::yield_now().await;
    }

    /// Sets the system's clock, for lives that begin from now on.
    pub fn jump(&self, seconds: i64) {
        *lock(&self.0.jumped) += seconds;
    }

    /// Has the next write take that much longer.
    pub fn stall(&self, by: Duration) {
        *lock(&self.0.stall) = by;
    }

    /// Whether it is up.
    pub fn is_up(&self) -> bool {
        self.life().is_some()
    }

    /// One request of the caller with this process id.
    ///
    /// # Errors
    /// It is down, or was killed before it had answered.
    pub async fn call(&self, method: &str, path: &str, body: Option<&Value>, pid: i32) -> Result<Answered, Down> {
        let life = self.life().ok_or(Down)?;
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let request = request.extension(ConnectInfo(Peer::from(caller(pid)))).body(body).map_err(|_| Down)?;
        // As hyper does it: who hangs up takes the answering with it.
        let answering = life.platform.spawn(async move {
            let response = life.router.oneshot(request).await.unwrap_or_else(|never| match never {});
            let status = response.status().as_u16();
            let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap_or_default();
            (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
        });
        let _hanging_up = Attending(answering.abort_handle());
        answering.await.map_err(|_| Down)
    }

    /// Attends to a run, as the caller of this key, until what is given back is dropped, or it is killed.
    pub fn attend(&self, run: u64, pid: i32, key: &str) -> Option<Attending> {
        let life = self.life()?;
        let key = key.replace(' ', "+");
        let request = Request::builder().uri(format!("/v1/runs/{run}/attend?key={key}"));
        let request = request.extension(ConnectInfo(Peer::from(caller(pid)))).body(Body::empty()).ok()?;
        let attending = life.platform.spawn(async move {
            let response = life.router.oneshot(request).await.unwrap_or_else(|never| match never {});
            // It never says anything, and ends with whoever listens.
            to_bytes(response.into_body(), usize::MAX).await.unwrap_or_default();
        });
        Some(Attending(attending.abort_handle()))
    }

    /// What the store has: holds, runs, routes.
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

/// Which socket.
#[derive(Debug, Clone, Copy)]
enum To {
    Stats,
    Master,
}

#[derive(Debug)]
struct Way {
    fake: Fake,
    to: To,
}

impl Connect for Way {
    fn connect(&self) -> Connecting<'_> {
        Box::pin(async {
            let stream = match self.to {
                To::Stats => self.fake.connect()?,
                To::Master => self.fake.connect_master()?,
            };
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

fn caller(pid: i32) -> Caller {
    let user = format!("user{}", pid % 3);
    Caller { uid: 1000, gid: 1000, pid: Some(pid), user, command: "sim".to_owned(), exe: None, login: None }
}

fn lock<T>(it: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}

/// When every simulation begins.
const BEGIN: Timestamp = Timestamp::constant(1_750_000_000, 0);
