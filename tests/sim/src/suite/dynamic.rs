//! `add server` and `del server`, from 2.6 on: what a controller does to lines while teeter works.

use super::{Found, Row, Subject, answers, becomes, begun, expect, has, in_the_end, row, same, send, settled};
use crate::fake::Series;

/// The answer to a command whose text lacks its newline up to 2.6.
fn plain<S: Subject>(subject: &S, text: &str) -> String {
    if subject.series() <= Series::V2_6 { format!("{text}\n") } else { format!("{text}\n\n") }
}

/// 2.2 knows neither command. Whether this case ends here.
async fn lacks_commands<S: Subject>(subject: &S) -> Result<bool, String> {
    if subject.series() > Series::V2_2 {
        return Ok(false);
    }
    for command in ["add server pair/p3 127.0.0.1:9", "del server pair/p1"] {
        let answer = subject.ask(command).await;
        expect(&format!("{command} is unknown: {answer}"), answer.starts_with("Unknown command"))?;
    }
    Ok(true)
}

/// The address of the server `BACKEND/SERVER`.
async fn address<S: Subject>(subject: &S, server: &str) -> Result<String, String> {
    let row: Row = row(subject, server).await;
    let column = |name: &str| row.get(name).cloned().ok_or_else(|| format!("{server} has no {name}"));
    Ok(format!("{}:{}", column("srv_addr")?, column("srv_port")?))
}

pub(super) async fn only_an_unused_server_is_deleted<S: Subject>(subject: &mut S) -> Found {
    if lacks_commands(subject).await? {
        return Ok(());
    }
    for (server, words) in
        [("pair", "Require 'backend/server'."), ("none/p1", "No such backend."), ("pair/none", "No such server.")]
    {
        answers(subject, &format!("del server {server}"), &plain(subject, words)).await?;
    }
    same("a low level", &subject.ask_operator("del server pair/p1").await, "Permission denied\n\n")?;
    let maintenance = plain(subject, "Only servers in maintenance mode can be deleted.");
    answers(subject, "del server pair/p1", &maintenance).await?;
    send(subject, "set server pair/p1 state drain").await?;
    answers(subject, "del server pair/p1", &maintenance).await?;
    // A line that another one tracks, or has tracked, stays.
    let tracked =
        plain(subject, "This server cannot be removed at runtime due to other configuration elements pointing to it.");
    send(subject, "set server app/web01 state maint").await?;
    answers(subject, "del server app/web01", &tracked).await?;
    send(subject, "set server api/web01 state maint").await?;
    answers(subject, "del server api/web01", &plain(subject, "Server deleted.")).await?;
    answers(subject, "del server app/web01", &tracked).await
}

pub(super) async fn a_server_with_requests_is_not_deleted<S: Subject>(subject: &mut S) -> Found {
    if lacks_commands(subject).await? {
        return Ok(());
    }
    let map = subject.map();
    send(subject, &format!("set map {map} web pair")).await?;
    send(subject, "set server pair/p2 state maint").await?;
    let (held, _) = begun(subject, None).await?;
    send(subject, "set server pair/p1 state maint").await?;
    let used = plain(subject, "Server still has connections attached to it, cannot remove it.");
    answers(subject, "del server pair/p1", &used).await?;
    subject.end(held).await;
    in_the_end(async || answers(subject, "del server pair/p1", &plain(subject, "Server deleted.")).await).await
}

pub(super) async fn a_deleted_server_is_in_no_table<S: Subject>(subject: &mut S) -> Found {
    if lacks_commands(subject).await? {
        return Ok(());
    }
    send(subject, "set server api/web01 state maint").await?;
    answers(subject, "del server api/web01", &plain(subject, "Server deleted.")).await?;
    let row = row(subject, "api/web01").await;
    expect(&format!("a deleted server is listed: {row:?}"), row.is_empty())?;
    answers(subject, "set server api/web01 state ready", "No such server.\n\n").await?;
    answers(subject, "del server api/web01", &plain(subject, "No such server.")).await
}

pub(super) async fn an_added_server_is_in_maintenance<S: Subject>(subject: &mut S) -> Found {
    if lacks_commands(subject).await? {
        return Ok(());
    }
    settled(subject).await?;
    let address = address(subject, "app/web01").await?;
    let add = format!("add server app/added {address} check inter 50ms rise 3 fall 2 weight 50");
    same("a low level", &subject.ask_operator(&add).await, "Permission denied\n\n")?;
    answers(subject, &add, "New server registered.\n\n").await?;
    let added = [("srv_op_state", "0"), ("srv_admin_state", "1"), ("srv_uweight", "50"), ("srv_check_health", "0")];
    has(subject, "app/added", &added).await?;
    has(subject, "app/added", &[("status", "MAINT"), ("srv_check_state", "2")]).await?;
    answers(subject, &add, "Already exists a server with the same name in backend.\n\n").await?;
    // Its checks have to be enabled. Made ready it is up at once, as from any maintenance.
    send(subject, "enable health app/added").await?;
    has(subject, "app/added", &[("srv_admin_state", "1"), ("srv_check_state", "6"), ("status", "MAINT")]).await?;
    send(subject, "set server app/added state ready").await?;
    has(subject, "app/added", &[("srv_op_state", "2"), ("srv_admin_state", "0")]).await?;
    becomes(subject, "app/added", &[("status", "UP"), ("check_status", "L7OK"), ("srv_check_health", "4")]).await
}

pub(super) async fn an_added_server_without_enabled_checks_counts_as_up<S: Subject>(subject: &mut S) -> Found {
    if lacks_commands(subject).await? {
        return Ok(());
    }
    let address = address(subject, "app/web01").await?;
    answers(subject, &format!("add server app/added {address} check"), "New server registered.\n\n").await?;
    send(subject, "set server app/added state ready").await?;
    let up = [("srv_op_state", "2"), ("srv_admin_state", "0"), ("status", "no check"), ("srv_uweight", "1")];
    has(subject, "app/added", &up).await
}

pub(super) async fn an_added_server_may_track<S: Subject>(subject: &mut S) -> Found {
    if lacks_commands(subject).await? {
        return Ok(());
    }
    settled(subject).await?;
    let address = address(subject, "app/web01").await?;
    for (track, missing) in [("app/none", "server 'none'"), ("none/web01", "proxy 'none'")] {
        let words = format!("unable to find required {missing} for tracking.\n\n");
        answers(subject, &format!("add server api/added {address} track {track}"), &words).await?;
    }
    let add = format!("add server api/added {address} track app/web01 weight 10");
    answers(subject, &add, "New server registered.\n\n").await?;
    has(subject, "api/added", &[("srv_op_state", "0"), ("srv_admin_state", "1"), ("srv_uweight", "10")]).await?;
    send(subject, "set server api/added state ready").await?;
    has(subject, "api/added", &[("srv_op_state", "2"), ("srv_admin_state", "0"), ("tracked", "app/web01")]).await?;
    send(subject, "set server app/web01 state maint").await?;
    has(subject, "api/added", &[("srv_op_state", "0"), ("srv_admin_state", "2")]).await
}

/// HAProxy does not give a new line the maintenance of the line that it tracks: it is down until that one's health
/// changes.
pub(super) async fn a_server_added_beside_maintenance_waits_for_health<S: Subject>(subject: &mut S) -> Found {
    if lacks_commands(subject).await? {
        return Ok(());
    }
    settled(subject).await?;
    let address = address(subject, "app/web01").await?;
    send(subject, "set server app/web01 state maint").await?;
    let add = format!("add server api/added {address} track app/web01");
    answers(subject, &add, "New server registered.\n\n").await?;
    send(subject, "set server api/added state ready").await?;
    let down = [("srv_op_state", "0"), ("srv_admin_state", "0")];
    has(subject, "api/added", &down).await?;
    send(subject, "set server app/web01 state ready").await?;
    has(subject, "api/added", &down).await?;
    send(subject, "set server app/web01 health down").await?;
    becomes(subject, "api/added", &[("srv_op_state", "2"), ("srv_admin_state", "0")]).await
}
