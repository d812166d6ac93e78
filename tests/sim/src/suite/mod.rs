//! The behaviour of HAProxy that teeter relies on, as cases that the fake and every real HAProxy must pass.
//!
//! A case uses a [`Subject`]: raw lines and raw answers, requests of clients, reloads. It knows the series of its
//! subject and expects the behaviour of that series. Values that differ from run to run, such as process ids, are not
//! compared.
//!
//! The farm is the same in all cases. The entry `web` of the map chooses the backend, and `app` is the default:
//!
//! | backend | servers |
//! |---|---|
//! | `app`, cookie SRV | `web01`, `web02` of weight 50, `web03` disabled; checked every 50 ms, rise 3, fall 2 |
//! | `api` | `web01`, `web02`, which track those of `app` |
//! | `lone` | `solo`, which takes one request at a time and is not checked; no redispatch |
//! | `pair`, cookie SRV | `p1`, `p2`, which take one request at a time and are not checked |
//! | `stay`, cookie SRV | as `pair`; no redispatch |
//! | `agents` | `talk`, which has an agent and no check |
//! | `off`, disabled | `web01`, `web02` |
//! | `twin`; up to 3.2 a frontend has the same name | `t1`, `t2`, not checked; a stick table |
//! | `even`, balance static-rr | `e1` of weight 100, not checked |
//! | `lead` | `web01`, whose check passes only while `web01` is unhealthy; every 50 ms, rise 3, fall 2 |

mod checks;
mod dynamic;
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

    /// Its series.
    fn series(&self) -> Series;
    /// The path of the map.
    fn map(&self) -> String;
    /// Sends a line to the stats socket, with its newline, and reads the answer to its end.
    fn ask(&self, line: &str) -> impl Future<Output = String>;
    /// Sends a line without its newline, and reads the answer to its end.
    fn ask_cut(&self, line: &str) -> impl Future<Output = String>;
    /// As [`Subject::ask`], at level operator.
    fn ask_operator(&self, line: &str) -> impl Future<Output = String>;
    /// As [`Subject::ask`], to the master's socket. The answer ends when nothing more comes.
    fn ask_master(&self, line: &str) -> impl Future<Output = String>;
    /// Opens a connection to the stats socket, waits until it is answered, and keeps it open.
    fn connect(&self) -> impl Future<Output = Self::Connection>;
    /// Begins a request and waits until a server has it. Gives the status if no server gets it. A client that has a
    /// number has cookies and is known to stick tables.
    fn begin(&mut self, client: Option<u64>) -> impl Future<Output = Result<Self::Held, u16>>;
    /// Begins a request that may have to wait for a server.
    fn queue(&mut self, client: Option<u64>) -> impl Future<Output = Self::Pending>;
    /// Waits until a server has the request.
    fn served(&mut self, pending: Self::Pending) -> impl Future<Output = Result<Self::Held, u16>>;
    /// The application server that has the request. `p1` and `t1` are lines of `web01`.
    fn server(&self, held: &Self::Held) -> String;
    /// Ends a request.
    fn end(&mut self, held: Self::Held) -> impl Future<Output = ()>;
    /// Reloads, and waits until another process answers.
    fn reload(&mut self) -> impl Future<Output = ()>;
    /// Sets whether the checks of an application server pass.
    fn set_healthy(&self, server: &str, healthy: bool);
    /// Sets whether an application server refuses connections. If it does, it ends those that it has.
    fn set_refusing(&self, server: &str, refuses: bool) -> impl Future<Output = ()>;
    /// Sets the words of the agent of `agents/talk`.
    fn set_agent(&self, words: &str);
    /// Stops every process, as SIGSTOP does, or lets them continue.
    fn pause(&self, paused: bool);
}

/// The result of a case: the error describes what is not as expected.
pub type Found = Result<(), String>;

/// One case.
pub struct Case<S> {
    /// Its name, which states the behaviour of HAProxy.
    pub name: &'static str,
    /// Whether it needs a master.
    pub master: bool,
    /// Runs it.
    pub run: Run<S>,
}

/// The function that runs a case.
pub type Run<S> = for<'a> fn(&'a mut S) -> Pin<Box<dyn Future<Output = Found> + 'a>>;

macro_rules! cases {
    ($($module:ident($master:literal): $($name:ident),+ $(,)?;)+) => {
        /// Every case.
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
        success_is_an_empty_line,
        answers_come_in_the_order_of_commands,
        a_prompt_separates_answers,
        a_message_may_lack_its_newline,
        a_connection_with_a_prompt_stays_open,
        a_level_limits_commands,
        columns_are_those_of_the_transcripts,
        rows_are_as_wide_as_headers,
        tables_are_filtered,
        refusals_have_known_words,
        unknown_commands_are_answered,
        info_identifies_the_process,
        a_line_without_newline_is_carried_out_up_to_3_0,
        a_stopped_process_does_not_answer;
    states(false):
        a_farm_begins_as_configured,
        drain_keeps_checks_and_health,
        a_drained_server_that_fails_is_down,
        maintenance_pauses_checks,
        ready_from_maintenance_is_up_at_once,
        health_down_in_drain_lasts_until_checks_pass,
        health_down_in_maintenance_is_forgotten,
        states_follow_each_other,
        a_disabled_server_is_made_ready,
        trackers_inherit_states,
        trackers_have_states_of_their_own,
        trackers_follow_health,
        health_down_stops_a_server_without_checks,
        checks_bring_a_stopping_server_back;
    checks(false):
        failures_and_successes_are_counted,
        a_disabled_check_freezes,
        an_agent_changes_the_state,
        an_agent_undoes_a_drain,
        an_agent_sets_health_and_weight,
        a_disabled_agent_has_no_effect,
        set_agent_down_stops_a_server,
        weights_are_set;
    traffic(false):
        round_robin_follows_weights,
        requests_are_counted,
        drain_keeps_sticky_clients,
        maintenance_sends_sticky_clients_away,
        weight_0_keeps_sticky_clients,
        a_backend_without_servers_answers_503,
        requests_wait_for_a_full_server,
        the_queue_of_a_backend_without_servers_waits_up_to_2_6,
        drain_redistributes_the_queue,
        maintenance_redistributes_the_queue,
        drain_without_redispatch_keeps_the_queue,
        maintenance_without_redispatch_redistributes_the_queue_in_new_series,
        a_refused_connection_is_retried_on_the_same_server,
        shutdown_ends_the_sessions_of_a_server,
        a_listed_session_can_be_ended;
    proxies(false):
        two_proxies_may_have_one_name,
        a_disabled_backend_refuses_commands,
        static_balancing_refuses_weights,
        a_stick_table_keeps_clients,
        checks_of_a_leader_pass_on_one_line_only;
    dynamic(false):
        only_an_unused_server_is_deleted,
        a_server_with_requests_is_not_deleted,
        a_deleted_server_is_in_no_table,
        an_added_server_is_in_maintenance,
        an_added_server_without_enabled_checks_counts_as_up,
        an_added_server_may_track,
        a_server_added_beside_maintenance_waits_for_health;
    maps(false):
        a_map_routes_requests,
        entries_are_set_added_and_removed,
        versions_are_prepared_and_committed,
        a_commit_replaces_everything;
    reloads(true):
        a_reload_forgets_runtime_changes,
        an_old_worker_serves_and_refuses_commands,
        a_master_lists_its_processes,
        a_master_reports_an_unknown_process,
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

/// Removes the marks of a check that is running: the lowest bit of states, and a star before the last result.
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
        .find(|row| row.get(backend).is_some_and(|value| value == px) && row.get(name).is_some_and(|value| value == sv))
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

/// Expects these values in these columns.
async fn has<S: Subject>(subject: &S, server: &str, expected: &[(&str, &str)]) -> Found {
    let row = row(subject, server).await;
    compare(server, &row, expected)
}

/// Waits for these values in these columns.
async fn becomes<S: Subject>(subject: &S, server: &str, expected: &[(&str, &str)]) -> Found {
    in_the_end(async || has(subject, server, expected).await).await
}

/// Repeats a check until it succeeds, as long as anything may take.
async fn in_the_end<T>(found: impl AsyncFn() -> Result<T, String>) -> Result<T, String> {
    for _ in 1..PATIENCE {
        if let Ok(found) = found().await {
            return Ok(found);
        }
        tokio::time::sleep(SOON).await;
    }
    found().await.map_err(|error| format!("in the end {error}"))
}

/// Expects these values in these columns for a while.
async fn stays<S: Subject>(subject: &S, server: &str, expected: &[(&str, &str)]) -> Found {
    for _ in 0..20 {
        has(subject, server, expected).await?;
        tokio::time::sleep(SOON).await;
    }
    Ok(())
}

fn compare(server: &str, row: &Row, expected: &[(&str, &str)]) -> Found {
    for (column, value) in expected {
        let now = row.get(*column).map_or("(no such column)", String::as_str);
        if now != *value {
            let others: Vec<_> = expected.iter().map(|(name, _)| format!("{name}={:?}", row.get(*name))).collect();
            return Err(format!("{column} of {server} is {now:?}, not {value:?} ({})", others.join(" ")));
        }
    }
    Ok(())
}

/// Sends a command and expects an empty answer.
async fn send<S: Subject>(subject: &S, line: &str) -> Found {
    answers(subject, line, "\n").await
}

/// Sends a command and expects this answer.
async fn answers<S: Subject>(subject: &S, line: &str, answer: &str) -> Found {
    same(line, &subject.ask(line).await, answer)
}

fn same(what: &str, found: &str, expected: &str) -> Found {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?}, not {expected:?}")) }
}

fn expect(what: &str, holds: bool) -> Found {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

/// Waits until the checks of both servers have passed.
async fn settled<S: Subject>(subject: &S) -> Found {
    for server in ["app/web01", "app/web02"] {
        becomes(subject, server, &[("check_status", "L7OK"), ("status", "UP"), ("srv_check_health", "4")]).await?;
    }
    Ok(())
}

/// Begins a request. Gives it and its server.
async fn begun<S: Subject>(subject: &mut S, client: Option<u64>) -> Result<(S::Held, String), String> {
    let held = subject.begin(client).await.map_err(|status| format!("a request was answered with {status}"))?;
    let server = subject.server(&held);
    Ok((held, server))
}

/// Begins and ends a request. Gives its server.
async fn visit<S: Subject>(subject: &mut S, client: Option<u64>) -> Result<String, String> {
    let (held, server) = begun(subject, client).await?;
    subject.end(held).await;
    Ok(server)
}

const SOON: Duration = Duration::from_millis(10);
const PATIENCE: usize = 500;
