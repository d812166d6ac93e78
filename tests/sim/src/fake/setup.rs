//! The configuration of a fake: its series, and its frontends, backends and servers.

use std::path::PathBuf;
use std::time::Duration;

/// The series of HAProxy that the fake behaves like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Series {
    /// 2.2.
    V2_2,
    /// 2.6.
    V2_6,
    /// 3.0.
    V3_0,
    /// 3.2.
    V3_2,
    /// 3.4.
    V3_4,
}

impl Series {
    /// Every series that the fake knows.
    pub const ALL: [Self; 5] = [Self::V2_2, Self::V2_6, Self::V3_0, Self::V3_2, Self::V3_4];

    /// The name of the series, as `2.6`.
    pub fn name(self) -> &'static str {
        match self {
            Self::V2_2 => "2.2",
            Self::V2_6 => "2.6",
            Self::V3_0 => "3.0",
            Self::V3_2 => "3.2",
            Self::V3_4 => "3.4",
        }
    }
}

/// The level of a stats socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It may read most things.
    User,
    /// It may read everything.
    Operator,
    /// It may read and change everything.
    Admin,
}

/// The whole configuration.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The series.
    pub series: Series,
    /// The frontends, in order.
    pub frontends: Vec<FrontendSetup>,
    /// The backends, in order.
    pub backends: Vec<BackendSetup>,
    /// Whether there is a master with its socket.
    pub master: bool,
    /// `stats socket … level`.
    pub level: Level,
    /// `stats maxconn`: a connection beyond this is not served until another one ends.
    pub cli_connections: usize,
    /// `stats timeout`.
    pub cli_timeout: Duration,
    /// `hard-stop-after`: the time after which an old process is ended.
    pub hard_stop_after: Option<Duration>,
}

impl Setup {
    /// A configuration without frontends and backends, with a master, at level admin.
    pub fn new(series: Series) -> Self {
        Self {
            series,
            frontends: Vec::new(),
            backends: Vec::new(),
            master: true,
            level: Level::Admin,
            cli_connections: 10,
            cli_timeout: Duration::from_secs(10),
            hard_stop_after: None,
        }
    }

    /// Adds a frontend.
    #[must_use]
    pub fn frontend(mut self, name: &str, route: Route) -> Self {
        self.frontends.push(FrontendSetup { name: name.to_owned(), route });
        self
    }

    /// Adds a backend.
    #[must_use]
    pub fn backend(mut self, backend: BackendSetup) -> Self {
        self.backends.push(backend);
        self
    }
}

/// A `frontend`.
#[derive(Debug, Clone)]
pub struct FrontendSetup {
    /// Its name.
    pub name: String,
    /// How it chooses the backend of a request.
    pub route: Route,
}

/// How a frontend chooses the backend of a request.
#[derive(Debug, Clone)]
pub enum Route {
    /// `default_backend`.
    To(String),
    /// `use_backend %[str(KEY),map_str(FILE)]`, and the default backend if the entry is missing or names no backend.
    Map {
        /// The file of the map.
        file: PathBuf,
        /// The key that is looked up.
        key: String,
        /// `default_backend`. Without one the answer is 503.
        default: Option<String>,
    },
    /// As in canary.cfg: of a hundred clients, the number in the entry `KEY.share` goes to the backend in `KEY.trial`.
    Canary {
        /// The file of the map.
        file: PathBuf,
        /// The key that is looked up.
        key: String,
        /// `default_backend`.
        default: Option<String>,
    },
    /// As in pin.cfg: a client that had version V goes to the backend in `KEY@V`, if a server is up there.
    Pin {
        /// The file of the map.
        file: PathBuf,
        /// The key that is looked up.
        key: String,
        /// The key of each backend's version, such as `web.a` of `web_a`.
        versions: Vec<(String, String)>,
        /// `default_backend`.
        default: Option<String>,
    },
}

/// `balance`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Balance {
    /// `roundrobin`.
    RoundRobin,
    /// `leastconn`.
    LeastConn,
    /// `random`.
    Random,
    /// `source`: by the client. It is static: weights other than 0% and 100% are refused.
    Source,
    /// `static-rr`: as round robin, but static.
    StaticRr,
    /// `first`: the first server that has room.
    First,
}

impl Balance {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "roundrobin",
            Self::LeastConn => "leastconn",
            Self::Random => "random",
            Self::Source => "source",
            Self::StaticRr => "static-rr",
            Self::First => "first",
        }
    }

    /// Whether it is static: weights cannot be changed while HAProxy runs.
    pub(super) fn is_static(self) -> bool {
        matches!(self, Self::Source | Self::StaticRr)
    }
}

/// A `backend`.
#[derive(Debug, Clone)]
pub struct BackendSetup {
    /// Its name.
    pub name: String,
    /// How it chooses a server.
    pub balance: Balance,
    /// `cookie NAME insert`: a client goes to the server whose cookie value it has.
    pub cookie: Option<String>,
    /// `stick on`, with a key that each client has: a client goes to its server of the table. The entry expires this
    /// long after its last request.
    pub stick: Option<Duration>,
    /// `disabled`: it gets no requests, refuses commands, and is not in the statistics.
    pub disabled: bool,
    /// `option redispatch`.
    pub redispatch: bool,
    /// `retries`.
    pub retries: u32,
    /// `timeout queue`.
    pub queue_timeout: Duration,
    /// Its servers, in order.
    pub servers: Vec<ServerSetup>,
}

impl BackendSetup {
    /// A backend without servers: round robin, no sticky clients, redispatch, three retries.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            balance: Balance::RoundRobin,
            cookie: None,
            stick: None,
            disabled: false,
            redispatch: true,
            retries: 3,
            queue_timeout: Duration::from_secs(10),
            servers: Vec::new(),
        }
    }

    /// Adds a server.
    #[must_use]
    pub fn server(mut self, server: ServerSetup) -> Self {
        self.servers.push(server);
        self
    }
}

/// A `server`.
#[derive(Debug, Clone)]
pub struct ServerSetup {
    /// Its name.
    pub name: String,
    /// `ADDRESS:PORT`.
    pub address: String,
    /// `weight`.
    pub weight: u16,
    /// `maxconn`; 0 is no limit.
    pub maxconn: u64,
    /// `cookie VALUE`.
    pub cookie: Option<String>,
    /// `check`.
    pub check: Option<CheckSetup>,
    /// `agent-check`, and its `agent-inter`.
    pub agent: Option<Duration>,
    /// `track BACKEND/SERVER`.
    pub track: Option<String>,
    /// `disabled`.
    pub disabled: bool,
    /// `backup`.
    pub backup: bool,
    /// `on-marked-down shutdown-sessions`.
    pub shutdown_on_down: bool,
}

impl ServerSetup {
    /// A server of weight 100 without checks.
    pub fn new(name: &str, address: &str) -> Self {
        Self {
            name: name.to_owned(),
            address: address.to_owned(),
            weight: 100,
            maxconn: 0,
            cookie: None,
            check: None,
            agent: None,
            track: None,
            disabled: false,
            backup: false,
            shutdown_on_down: false,
        }
    }

    /// `check inter … fall … rise …`.
    #[must_use]
    pub fn check(mut self, inter: Duration, fall: u32, rise: u32) -> Self {
        self.check = Some(CheckSetup { inter, fall, rise });
        self
    }

    /// `track BACKEND/SERVER`.
    #[must_use]
    pub fn track(mut self, server: &str) -> Self {
        self.track = Some(server.to_owned());
        self
    }
}

/// The settings of a health check.
#[derive(Debug, Clone, Copy)]
pub struct CheckSetup {
    /// The time between two checks.
    pub inter: Duration,
    /// The number of failures in a row after which a server is down.
    pub fall: u32,
    /// The number of successes in a row after which a server is up.
    pub rise: u32,
}
