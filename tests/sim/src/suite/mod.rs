//! What teeter relies on in HAProxy, as cases that the fake and every real one must pass.
//!
//! A case speaks to a [`Subject`]: raw lines and raw answers, requests of clients, reloads. It knows which series it speaks
//! to, and expects what that series does. What differs from run to run, such as numbers of processes, is not compared.
//!
//! The farm is the same for all. `web` of the map chooses the backend, `app` is the default:
//!
//! | backend | servers |
//! |---|---|
//! | `app`, cookie SRV | `web01`, `web02` of weight 50, `web03` disabled; checked every 50 ms, rise 3, fall 2 |
//! | `api` | `web01`, `web02`, which track those of `app` |
//! | `lone` | `solo`, which takes one request at a time and is not checked; nobody is redispatched |
//! | `pair`, cookie SRV | `p1`, `p2`, which take one request at a time and are not checked |
//! | `stay`, cookie SRV | the same; nobody is redispatched |
//! | `said` | `talk`, which has an agent and no check |
//! | `off`, disabled | `web01`, `web02` |
//! | `twin`, as a frontend before it is called up to 3.2 | `t1`, `t2`, not checked; clients stick by a table |
//! | `even`, balance static-rr | `e1` of weight 100, not checked |
//! | `lead` | `web01`, whose check passes only while `web01` is not well; every 50 ms, rise 3, fall 2 |

mod checks;
mod maps;
mod proxies;
mod reloads;
mod states;
mod traffic;
mod wire;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::fake::Series;

/// A HAProxy that runs the suite's farm.
pub trait Subject {
    /// A request that is being served.
    type Held;
    /// A request that may wait.
    type Pending;
    /// A connection to the stats socket that stays open.
    type Connection;

    /// Which HAProxy it is.
    fn series(&self) -> Series;
    /// The path of the map.
    fn map(&self) -> String;
    /// Sends a line to the stats socket, with its newline, and reads the answer to its end.
    fn ask(&self, line: &str) -> impl Future<Output = String>;
    /// The same without the newline.
    fn ask_cut(&self, line: &str) -> impl Future<Output = String>;
    /// The same as [`Subject::ask`] at level operator.
    fn ask_operator(&self, line: &str) -> impl Future<Output = String>;
    /// The same to the master's socket. The answer ends when nothing more comes.
    fn ask_master(&self, line: &str) -> impl Future<Output = String>;
    /// A connection to the stats socket that has been answered and stays open.
    fn connect(&self) -> impl Future<Output = Self::Connection>;
    /// Begins a request, with the cookies of the client and its name for tables if it has a number, and waits until a server has it; else the
    /// status of the answer.
    fn begin(&mut self, client: Option<u64>) -> impl Future<Output = Result<Self::Held, u16>>;
    /// Begins a request that may have to wait.
    fn queue(&mut self, client: Option<u64>) -> impl Future<Output = Self::Pending>;
    /// Waits until a server has it.
    fn served(&mut self, pending: Self::Pending) -> impl Future<Output = Result<Self::Held, u16>>;
    /// The application server that has it: `web01` also behind `p1` and `t1`.
    fn server(&self, held: &Self::Held) -> String;
    /// Ends it.
    fn end(&mut self, held: Self::Held) -> impl Future<Output = ()>;
    /// Reloads, and waits until another process answers.
    fn reload(&mut self) -> impl Future<Output = ()>;
    /// Whether the checks of an application server find it well.
    fn set_well(&self, server: &str, well: bool);
    /// Whether an application server refuses connections, and has ended those that it had.
    fn set_refusing(&self, server: &str, refuses: bool) -> impl Future<Output = ()>;
    /// What the agent of `said/talk` says.
    fn set_agent(&self, words: &str);
    /// Stops every process in its tracks, or lets them go on.
    fn pause(&self, paused: bool);
}

/// What a case finds: nothing, or what is not as it should be.
pub type Found = Result<(), String>;

/// One case.
pub struct Case<S> {
    /// Its name: what it says of HAProxy.
    pub name: &'static str,
    /// Whether it needs a master.
    pub master: bool,
    /// Tries it.
    pub run: Run<S>,
}

/// How a case is tried.
pub type Run<S> = for<'a> fn(&'a mut S) -> Pin<Box<dyn Future<Output = Found> + 'a>>;

macro_rules! cases {
    ($($module:ident($master:literal): $($name:ident),+ $(,)?;)+) => {
        /// All of them.
        pub fn cases<S: Subject>() -> Vec<Case<S>> {
            vec![$($(Case {
                name: stringify!($name),
                master: $master,
                run: |subject| Box::pin($module::$name(subject)),
            }),+),+]
        }
    };
}

cases! {
    wire(false):
        an_answer_ends_with_an_empty_line,
        silence_is_an_empty_line,
        answers_come_in_the_order_of_commands,
        a_prompt_parts_answers,
        a_message_may_lack_its_newline,
        an_open_prompt_takes_another_line,
        a_level_is_a_limit,
        the_columns_are_those_of_the_transcripts,
        rows_are_as_wide_as_headers,
        tables_are_filtered,
        refusals_have_their_words,
        a_command_may_be_unknown,
        info_says_who_answers,
        a_line_that_is_cut_off_is_carried_out_or_not,
        a_stopped_process_says_nothing;
    states(false):
        a_farm_begins_as_configured,
        drain_keeps_checks_and_health,
        a_drained_server_that_fails_is_down,
        maintenance_rests_checks,
        ready_from_maintenance_is_up_at_once,
        health_down_in_drain_must_be_proved_away,
        health_down_in_maintenance_is_forgotten,
        states_follow_each_other,
        a_disabled_server_is_made_ready,
        trackers_inherit,
        trackers_have_states_of_their_own,
        trackers_follow_health,
        a_server_without_checks_is_told_down,
        a_stopping_server_is_brought_back_by_its_checks;
    checks(false):
        failures_and_successes_are_counted,
        a_disabled_check_freezes,
        an_agent_changes_the_state,
        an_agent_undoes_a_drain,
        an_agent_speaks_of_health_and_weight,
        a_disabled_agent_is_not_heard,
        an_agent_is_told_down,
        weights_are_set;
    traffic(false):
        turns_are_taken,
        requests_are_counted,
        drain_keeps_its_clients,
        maintenance_sends_its_clients_away,
        no_weight_keeps_its_clients,
        a_backend_without_servers_answers_503,
        a_full_server_lets_requests_wait,
        a_queue_outlives_the_last_server_or_not,
        a_queue_when_its_server_drains,
        a_queue_when_its_server_is_maintained,
        a_queue_without_redispatch_when_its_server_drains,
        a_queue_without_redispatch_when_its_server_is_maintained,
        a_refused_connection_is_tried_again_where_it_was,
        sessions_of_a_server_are_ended,
        sessions_are_listed_and_ended;
    proxies(false):
        a_name_may_be_that_of_two_proxies,
        a_disabled_proxy_takes_no_orders,
        a_static_balance_takes_no_weights,
        a_table_keeps_its_clients,
        a_line_may_be_down_by_design;
    maps(false):
        a_map_turns_requests,
        entries_are_set_added_and_removed,
        versions_are_prepared_and_committed,
        a_commit_replaces_everything;
    reloads(true):
        a_reload_forgets,
        an_old_worker_serves_and_obeys_no_more,
        a_master_lists_its_processes,
        a_master_knows_who_is_gone,
        an_open_connection_keeps_an_old_worker;
}

type Row = BTreeMap<String, String>;

/// The row of `BACKEND/SERVER` (or `BACKEND/BACKEND`) in `show servers state` and in `show stat` together.
async fn row<S: Subject>(subject: &S, server: &str) -> Row {
    let mut row = pick(&subject.ask("show servers state").await, ' ', server, ("be_name", "srv_name"));
    row.extend(pick(&subject.ask("show stat -1 6 -1").await, ',', server, ("pxname", "svname")));
    at_rest(&mut row);
    row
}

/// A check that is under way at the moment is left out: the lowest bit of states, and a star before what the last found.
fn at_rest(row: &mut Row) {
    for (name, value) in row {
        if matches!(name.as_str(), "srv_check_state" | "srv_agent_state")
            && let Ok(bits) = value.parse::<u32>()
        {
            *value = (bits & !1).to_string();
        }
        if let Some(found) = value.strip_prefix("* ") {
            *value = found.to_owned();
        }
    }
}

fn pick(table: &str, separator: char, server: &str, (backend, name): (&str, &str)) -> Row {
    let (px, sv) = server.split_once('/').unwrap_or((server, "BACKEND"));
    rows(table, separator)
        .into_iter()
        .find(|row| row.get(backend).is_some_and(|it| it == px) && row.get(name).is_some_and(|it| it == sv))
        .unwrap_or_default()
}

fn rows(table: &str, separator: char) -> Vec<Row> {
    let mut lines = table.lines().skip_while(|line| !line.starts_with("# "));
    let header: Vec<&str> = lines.next().unwrap_or("# ")[2..].split(separator).collect();
    let named = |line: &str| {
        header.iter().map(|name| (*name).to_owned()).zip(line.split(separator).map(str::to_owned)).collect()
    };
    lines.filter(|line| !line.is_empty()).map(named).collect()
}

/// Holds where every named column is as wished.
async fn has<S: Subject>(subject: &S, server: &str, wished: &[(&str, &str)]) -> Found {
    let row = row(subject, server).await;
    compare(server, &row, wished)
}

/// The same in the end: what takes its time is waited for.
async fn becomes<S: Subject>(subject: &S, server: &str, wished: &[(&str, &str)]) -> Found {
    in_the_end(async || has(subject, server, wished).await).await
}

/// Tries until it is so, as long as anything may take.
async fn in_the_end<T>(found: impl AsyncFn() -> Result<T, String>) -> Result<T, String> {
    for _ in 1..PATIENCE {
        if let Ok(found) = found().await {
            return Ok(found);
        }
        tokio::time::sleep(SOON).await;
    }
    found().await.map_err(|error| format!("in the end {error}"))
}

/// The same for a while, from now on.
async fn stays<S: Subject>(subject: &S, server: &str, wished: &[(&str, &str)]) -> Found {
    for _ in 0..20 {
        has(subject, server, wished).await?;
        tokio::time::sleep(SOON).await;
    }
    Ok(())
}

fn compare(server: &str, row: &Row, wished: &[(&str, &str)]) -> Found {
    for (column, wish) in wished {
        let now = row.get(*column).map_or("(no such column)", String::as_str);
        if now != *wish {
            let others: Vec<_> = wished.iter().map(|(name, _)| format!("{name}={:?}", row.get(*name))).collect();
            return Err(format!("{column} of {server} is {now:?}, not {wish:?} ({})", others.join(" ")));
        }
    }
    Ok(())
}

/// Sends a command that says nothing.
async fn tell<S: Subject>(subject: &S, line: &str) -> Found {
    says(subject, line, "\n").await
}

async fn says<S: Subject>(subject: &S, line: &str, answer: &str) -> Found {
    same(line, &subject.ask(line).await, answer)
}

fn same(what: &str, found: &str, wished: &str) -> Found {
    if found == wished { Ok(()) } else { Err(format!("{what}: {found:?}, not {wished:?}")) }
}

fn holds(what: &str, holds: bool) -> Found {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

/// Waits until checks have found both servers well.
async fn settled<S: Subject>(subject: &S) -> Found {
    for server in ["app/web01", "app/web02"] {
        becomes(subject, server, &[("check_status", "L7OK"), ("status", "UP"), ("srv_check_health", "4")]).await?;
    }
    Ok(())
}

/// A request, to the server that has it.
async fn begun<S: Subject>(subject: &mut S, client: Option<u64>) -> Result<(S::Held, String), String> {
    let held = subject.begin(client).await.map_err(|status| format!("a request was answered with {status}"))?;
    let server = subject.server(&held);
    Ok((held, server))
}

/// A visit of a client that is over at once: which server it was at.
async fn visit<S: Subject>(subject: &mut S, client: Option<u64>) -> Result<String, String> {
    let (held, server) = begun(subject, client).await?;
    subject.end(held).await;
    Ok(server)
}

const SOON: Duration = Duration::from_millis(10);
const PATIENCE: usize = 500;
