//! Reloads: what the new process does not have, and the old process.

use super::{Found, Subject, answers, becomes, begun, expect, has, in_the_end, rows, same, send, settled};
use crate::fake::Series;

async fn pid<S: Subject>(subject: &S) -> String {
    let info = subject.ask("show info").await;
    info.lines().find_map(|line| line.strip_prefix("Pid: ")).unwrap_or_default().to_owned()
}

pub(super) async fn a_reload_forgets_runtime_changes<S: Subject>(subject: &mut S) -> Found {
    settled(subject).await?;
    let map = subject.map();
    send(subject, "set server app/web01 state drain").await?;
    send(subject, "set server app/web02 weight 7").await?;
    send(subject, &format!("set map {map} web api")).await?;
    let before = pid(subject).await;
    subject.reload().await;
    expect("the same process answers", pid(subject).await != before)?;
    has(subject, "app/web01", &[("srv_admin_state", "0"), ("srv_op_state", "2")]).await?;
    has(subject, "app/web02", &[("srv_uweight", "50"), ("stot", "0")]).await?;
    let answer = subject.ask(&format!("get map {map} web")).await;
    expect(&answer, answer.contains("value=\"app\""))?;
    settled(subject).await
}

pub(super) async fn an_old_worker_serves_and_refuses_commands<S: Subject>(subject: &mut S) -> Found {
    settled(subject).await?;
    send(subject, "set server app/web02 state drain").await?;
    let (held, _) = begun(subject, None).await?;
    becomes(subject, "app/web01", &[("scur", "1")]).await?;
    let old = pid(subject).await;
    subject.reload().await;
    has(subject, "app/web01", &[("scur", "0"), ("stot", "0")]).await?;
    // The new process takes over before the old one is stopped.
    let info = awaits(subject, &format!("@!{old} show info"), stopping).await?;
    expect(&info, info.contains(&format!("\nPid: {old}\n")))?;
    let table = subject.ask_master(&format!("@!{old} show stat -1 6 -1")).await;
    let busy = |row: &super::Row, name: &str| {
        row.get("svname").is_some_and(|value| value == name)
            && row.get("pxname").is_some_and(|value| value == "app")
            && row.get("scur").is_some_and(|value| value == "1")
    };
    let rows = rows(&table, ',');
    if subject.series() == Series::V2_2 {
        expect("an old process lists no servers", rows.is_empty() && table.starts_with("# pxname,"))?;
    } else {
        expect(&table, rows.iter().any(|row| busy(row, "web01")) && rows.iter().any(|row| busy(row, "BACKEND")))?;
    }
    let sessions = subject.ask_master(&format!("@!{old} show sess")).await;
    expect(&sessions, sessions.lines().filter(|line| line.contains(" be=app srv=web01 ")).count() == 1)?;
    for command in [
        "set server app/web01 state drain",
        "set server app/web01 weight 1",
        "shutdown sessions server app/web01",
        "disable agent agents/talk",
        "disable health app/web01",
    ] {
        same(command, &subject.ask_master(&format!("@!{old} {command}")).await, "Proxy is disabled.\n\n")?;
    }
    let map = subject.map();
    same("set map", &subject.ask_master(&format!("@!{old} set map {map} web api")).await, "\n")?;
    let answer = subject.ask(&format!("get map {map} web")).await;
    expect(&answer, answer.contains("value=\"app\""))?;
    subject.end(held).await;
    leaves(subject, &old).await
}

/// Asks a master until the answer is the expected one.
async fn awaits<S: Subject>(subject: &S, line: &str, expected: impl Fn(&str) -> bool) -> Result<String, String> {
    in_the_end(async || {
        let answer = subject.ask_master(line).await;
        if expected(&answer) { Ok(answer) } else { Err(format!("`{line}` is answered {answer:?}")) }
    })
    .await
}

/// Whether this is the answer of a process that is stopping.
fn stopping(info: &str) -> bool {
    info.contains("\nStopping: 1\n")
}

/// Waits until a process is no longer listed.
async fn leaves<S: Subject>(subject: &S, pid: &str) -> Found {
    let lists = |list: &str| list.lines().any(|line| line.split_whitespace().next() == Some(pid));
    awaits(subject, "show proc", |list| list.starts_with("#<PID>") && !lists(list)).await.map(|_| ())
}

pub(super) async fn a_master_lists_its_processes<S: Subject>(subject: &mut S) -> Found {
    settled(subject).await?;
    let (held, _) = begun(subject, None).await?;
    let old = pid(subject).await;
    let shape = |list: &str| {
        let word = |line: &str| {
            let numbers = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit()) || word.contains("d0");
            let words = line.split_whitespace().map(|word| if numbers(word) { "N" } else { word });
            words.collect::<Vec<_>>().join(" ")
        };
        list.lines().map(word).collect::<Vec<_>>().join("\n")
    };
    let info = subject.ask("show info").await;
    let version = info.lines().find_map(|line| line.strip_prefix("Version: ")).unwrap_or_default().to_owned();
    let (head, mine, end) = match subject.series() {
        Series::V2_2 => ("<type> <relative PID> <reloads>", "master N N N", "\n# programs"),
        Series::V3_2 | Series::V3_4 => ("<type> <reloads>", "master N [failed: N N", ""),
        _ => ("<type> <reloads>", "master N [failed: N N", "\n# programs"),
    };
    let mine = mine.replace("[failed: N N", "[failed: 0] N");
    let relative = if subject.series() == Series::V2_2 { "N " } else { "" };
    let before = format!(
        "#<PID> {head} <uptime> <version>\nN {mine} {version}\n# workers\nN worker {relative}N N {version}{end}\n"
    );
    same("show proc", &shape(&subject.ask_master("show proc").await), &before)?;
    subject.reload().await;
    let was = if subject.series() == Series::V2_2 { "[was: 1] " } else { "" };
    let old_rows = format!("\n# old workers\nN worker {was}N N {version}{end}\n");
    let after = before.strip_suffix(&format!("{end}\n")).unwrap_or_default().to_owned() + &old_rows;
    let list = awaits(subject, "show proc", |list| list.contains("# old workers")).await?;
    same("show proc", &shape(&list), &after)?;
    expect(&list, list.lines().any(|line| line.starts_with(&format!("{old} "))))?;
    subject.end(held).await;
    leaves(subject, &old).await
}

pub(super) async fn a_master_reports_an_unknown_process<S: Subject>(subject: &mut S) -> Found {
    let answer = subject.ask_master("@!999999 show info").await;
    same("answer", &answer, "Can't find the target PID matching the prefix '@!999999'\n")
}

pub(super) async fn an_open_connection_keeps_an_old_worker<S: Subject>(subject: &mut S) -> Found {
    settled(subject).await?;
    let connection = subject.connect().await;
    let old = pid(subject).await;
    subject.reload().await;
    let ask = format!("@!{old} show info");
    awaits(subject, &ask, stopping).await?;
    for _ in 0..10 {
        let info = subject.ask_master(&ask).await;
        expect(&info, stopping(&info))?;
        tokio::time::sleep(super::SOON).await;
    }
    drop(connection);
    leaves(subject, &old).await?;
    answers(subject, "show cli level", "admin\n\n").await
}
