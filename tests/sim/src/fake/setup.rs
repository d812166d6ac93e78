//! What haproxy.cfg would say: the frontends, backends and servers of a fake, and which HAProxy it is.

use std::path::PathBuf;
use std::time::Duration;

/// Which HAProxy it behaves like.
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
    /// All that are known.
    pub const ALL: [Self; 5] = [Self::V2_2, Self::V2_6, Self::V3_0, Self::V3_2, Self::V3_4];

    /// As in `2.6`.
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

/// What a connection to the stats socket may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Look at most things.
    User,
    /// Look at everything.
    Operator,
    /// Everything.
    Admin,
}

/// The whole configuration.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Which HAProxy.
    pub series: Series,
    /// Where clients come in.
    pub frontends: Vec<FrontendSetup>,
    /// Where they are sent.
    pub backends: Vec<BackendSetup>,
    /// Whether there is a master with its socket.
    pub master: bool,
    /// `stats socket … level`.
    pub level: Level,
    /// `stats maxconn`: connections beyond it are accepted and not answered until another one ends.
    pub cli_connections: usize,
    /// `stats timeout`.
    pub cli_timeout: Duration,
    /// How long an old worker may take to leave.
    pub hard_stop_after: Option<Duration>,
}

impl Setup {
    /// A HAProxy with neither frontends nor backends, with a master, at level admin.
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

    /// With another frontend.
    #[must_use]
    pub fn frontend(mut self, name: &str, route: Route) -> Self {
        self.frontends.push(FrontendSetup { name: name.to_owned(), route });
        self
    }

    /// With another backend.
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
    /// Where its requests go.
    pub route: Route,
}

/// How a frontend chooses the backend of a request.
#[derive(Debug, Clone)]
pub enum Route {
    /// `default_backend`.
    To(String),
    /// `use_backend %[str(KEY),map_str(FILE)]`, and the default where the entry is missing or names no backend.
    Map {
        /// The file of the map.
        file: PathBuf,
        /// The key that is looked up.
        key: String,
        /// `default_backend`; 503 where there is none.
        default: Option<String>,
    },
    /// The same after canary.cfg: of a hundred clients, as many as the entry `KEY.share` says go where `KEY.trial` says.
    Canary {
        /// The file of the map.
        file: PathBuf,
        /// The key that is looked up.
        key: String,
        /// `default_backend`.
        default: Option<String>,
    },
    /// After pin.cfg: a client that was told the version V goes where `KEY@V` says, if a server is up there.
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
    /// `source`: by the client. Static: weights other than 0% and 100% are refused.
    Source,
    /// `static-rr`: as round robin. Static.
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

    /// Whether weights cannot be changed while it runs.
    pub(super) fn is_static(self) -> bool {
        matches!(self, Self::Source | Self::StaticRr)
    }
}

/// A `backend`.
#[derive(Debug, Clone)]
pub struct BackendSetup {
    /// Its name.
    pub name: String,
    /// How servers are chosen.
    pub balance: Balance,
    /// `cookie NAME insert`: clients stick to the server whose cookie value they have.
    pub cookie: Option<String>,
    /// `stick on` something that each client has: clients stick to the server that the table has for them, until they
    /// have not come for this long.
    pub stick: Option<Duration>,
    /// `disabled`: it takes no request and no order, and is in no statistics.
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
    /// A backend without servers: round robin, nobody sticks, redispatch on, three retries.
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

    /// With another server.
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
    /// `maxconn`; 0 for none.
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
    /// The time from one to the next.
    pub inter: Duration,
    /// So many failures in a row are needed for down.
    pub fall: u32,
    /// So many successes in a row are needed for up.
    pub rise: u32,
}
