mod assigned;
mod balance;
mod info;
mod map;
mod map_change;
mod proc;
mod server;
mod servers_conn;
mod servers_state;
mod sessions;
mod stat;
mod stick;

pub use assigned::CountAssigned;
pub use balance::{BackendRow, ShowBackends, TakesWeights};
pub use info::{Info, Level, ShowCliLevel, ShowInfo};
pub use map::{GetMap, MapEntry, ShowMap};
pub use map_change::{AddMap, CommitMap, DelMap, MapVersion, PrepareMap, SetMap};
pub use proc::{LastReload, ShowProc, Worker};
pub use server::{
    AgentSwitch, SetCommand, SetServerAgentDown, SetServerHealth, SetServerState, SetServerWeight, ShutdownSessions,
    Switch,
};
pub use servers_conn::{ServerConnections, ShowServersConn};
pub use servers_state::{ServerState, ShowServersState};
pub use sessions::{Session, SessionBytes, SessionId, ShowSession, ShowSessions, ShutdownSession};
pub use stat::{ProxyId, ShowStat, StatKind, StatRow};
pub use stick::{ShowStuck, ShowTables, Stuck};
