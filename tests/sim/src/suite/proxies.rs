//! Special proxies: two with one name, disabled backends, static balancing, stick tables, and the backend of a leader.

use super::{Found, Subject, answers, becomes, expect, has, rows, same, send, settled, stays, visit};
use crate::fake::Series;

/// The rows of an answer to `show stat`, each as `PROXY/ROW`.
async fn listed<S: Subject>(subject: &S, command: &str) -> Result<String, String> {
    let answer = subject.ask(command).await;
    expect(&answer, answer.starts_with("# pxname,"))?;
    let name = |row: &super::Row| format!("{}/{}", row["pxname"], row["svname"]);
    Ok(rows(&answer, ',').iter().map(name).collect::<Vec<_>>().join(" "))
}

pub(super) async fn two_proxies_may_have_one_name<S: Subject>(subject: &mut S) -> Found {
    let of_backend = "twin/t1 twin/t2 twin/BACKEND";
    let (of_frontend, frontends, [of_servers, of_all]) = if subject.series() < Series::V3_4 {
        // The frontend is the first of that name in the configuration. It has neither servers nor a sum of them.
        ("twin/FRONTEND", "www/FRONTEND twin/FRONTEND", ["", "twin/FRONTEND"])
    } else {
        // HAProxy refuses such a configuration from 3.4 on, so the frontend has another name.
        ("twin-in/FRONTEND", "www/FRONTEND twin-in/FRONTEND", [of_backend; 2])
    };
    for (command, expected) in [
        ("show stat twin 6 -1", of_servers),
        ("show stat twin 7 -1", of_all),
        ("show stat 3 7 -1", of_frontend),
        ("show stat 11 6 -1", of_backend),
        // HAProxy looks for a name before a number. No name has one of these signs.
        ("show stat +11 6 -1", of_backend),
        ("show stat #11 6 -1", of_backend),
        ("show stat #3 6 -1", ""),
        ("show stat -1/ 1 -1", frontends),
        ("show stat 3 6 -1", ""),
        ("show stat 99 7 -1", ""),
        ("show stat -1 1 -1", frontends),
    ] {
        same(command, &listed(subject, command).await?, expected)?;
    }
    // Commands that are about backends only find the backend.
    for (command, column) in [("show servers state twin", "srv_name"), ("show servers conn twin", "bkname/svname")] {
        let answer = subject.ask(command).await;
        same(command, &rows(&answer, ' ').len().to_string(), "2")?;
        expect(&answer, rows(&answer, ' ').iter().all(|row| row[column].contains('t')))?;
    }
    has(subject, "twin/t1", &[("be_id", "11"), ("iid", "11"), ("srv_id", "1"), ("sid", "1")]).await?;
    send(subject, "set server twin/t1 state drain").await?;
    has(subject, "twin/t1", &[("srv_admin_state", "8"), ("status", "DRAIN")]).await
}

pub(super) async fn a_disabled_backend_refuses_commands<S: Subject>(subject: &mut S) -> Found {
    for order in [
        "set server off/web01 state drain",
        "set server off/web01 state maint",
        "set server off/web01 state ready",
        "set server off/web01 weight 10",
        "set server off/web01 health down",
        "disable health off/web01",
        "enable server off/web01",
        "shutdown sessions server off/web01",
    ] {
        answers(subject, order, "Proxy is disabled.\n\n").await?;
    }
    answers(subject, "set server off/web09 state drain", "No such server.\n\n").await?;
    // One table lists its lines as if they served, the last one first and without numbers. Other tables do not list
    // them.
    let answer = subject.ask("show servers state off").await;
    let row = |row: &super::Row| format!("{}#{}", row["srv_name"], row["srv_id"]);
    let names = rows(&answer, ' ').iter().map(row).collect::<Vec<_>>().join(" ");
    same("show servers state off", &names, "web02#0 web01#0")?;
    has(subject, "off/web01", &[("be_id", "10"), ("srv_op_state", "2"), ("srv_admin_state", "0")]).await?;
    has(subject, "off/web01", &[("srv_check_state", "0"), ("status", "(no such column)")]).await?;
    for command in ["show stat off 7 -1", "show stat 10 7 -1"] {
        same(command, &listed(subject, command).await?, "")?;
    }
    Ok(())
}

pub(super) async fn static_balancing_refuses_weights<S: Subject>(subject: &mut S) -> Found {
    for weight in ["50", "50%", "256"] {
        let words = "Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.\n\n";
        answers(subject, &format!("set server even/e1 weight {weight}"), words).await?;
    }
    for (weight, uweight) in [("0", "0"), ("100", "100"), ("0%", "0"), ("100%", "100")] {
        send(subject, &format!("set server even/e1 weight {weight}")).await?;
        has(subject, "even/e1", &[("srv_uweight", uweight), ("srv_iweight", "100")]).await?;
    }
    // A frontend of the same name would come first. There is none of this name.
    let answer = subject.ask("show stat even 2 -1").await;
    let row = rows(&answer, ',').into_iter().next().unwrap_or_default();
    same("algo", row.get("algo").map_or("", String::as_str), "static-rr")
}

/// The entries of the table of `twin`, each as KEY=SERVER, in order.
async fn stuck<S: Subject>(subject: &S) -> Result<String, String> {
    let answer = subject.ask("show table twin").await;
    let mut lines = answer.lines();
    let head = lines.next().unwrap_or_default();
    let mut found = Vec::new();
    let by = if subject.series() == Series::V2_2 { "server_name=" } else { "server_key=" };
    for line in lines.filter(|line| !line.is_empty()) {
        let value = |key: &str| line.split(' ').find_map(|word| word.strip_prefix(key)).map(str::to_owned);
        let number = |key: &str| value(key).is_some_and(|value| value.parse::<u64>().is_ok());
        let shard = number("shard=") == (subject.series() >= Series::V3_0);
        expect(line, line.starts_with("0x") && number("use=") && number("exp=") && number("server_id=") && shard)?;
        let (key, server) = value("key=").zip(value(by)).ok_or_else(|| format!("no key or no server in {line:?}"))?;
        found.push(format!("{key}={server}"));
    }
    same("show table", head, &format!("# table: twin, type: string, size:1024, used:{}", found.len()))?;
    found.sort();
    Ok(found.join(" "))
}

pub(super) async fn a_stick_table_keeps_clients<S: Subject>(subject: &mut S) -> Found {
    send(subject, &format!("set map {} web twin", subject.map())).await?;
    same("an empty table", &stuck(subject).await?, "")?;
    answers(subject, "show table app", "No such table\n\n").await?;
    answers(subject, "show table nowhere", "No such table\n\n").await?;
    let line = |home: &str| home.replace("web0", "t");
    let home = visit(subject, Some(7)).await?;
    let other = visit(subject, Some(8)).await?;
    expect("two clients have one server", home != other)?;
    // A client without a key is in no table.
    visit(subject, None).await?;
    let both = format!("7={} 8={}", line(&home), line(&other));
    super::in_the_end(async || same("the table", &stuck(subject).await?, &both)).await?;
    let answer = subject.ask("show table twin data.server_id gt 0").await;
    expect(&answer, answer.starts_with("# table: twin, type: string, size:1024, used:2\n0x"))?;
    let refused = "Filter entry #1: Data type not stored in this table\n\n";
    answers(subject, "show table twin data.http_req_cnt gt 0", refused).await?;
    let tables = subject.ask("show table").await;
    expect(&tables, tables.starts_with("# table: twin, type: string, size:1024, used:2\n"))?;
    // In drain they stay. In maintenance they go to another server, and the table has that one.
    send(subject, &format!("set server twin/{} state drain", line(&home))).await?;
    for _ in 0..2 {
        same("a client of the table", &visit(subject, Some(7)).await?, &home)?;
        expect("a new client went to a drained server", visit(subject, None).await? == other)?;
    }
    send(subject, &format!("set server twin/{} state maint", line(&home))).await?;
    same("a client that must move", &visit(subject, Some(7)).await?, &other)?;
    let moved = format!("7={other} 8={other}", other = line(&other));
    super::in_the_end(async || same("the table", &stuck(subject).await?, &moved)).await
}

/// The check of `lead/web01` passes only while `web01` is unhealthy, as the check of a database passes on the leader
/// only.
pub(super) async fn checks_of_a_leader_pass_on_one_line_only<S: Subject>(subject: &mut S) -> Found {
    settled(subject).await?;
    let down = [("srv_op_state", "0"), ("srv_admin_state", "0"), ("srv_check_health", "0"), ("status", "DOWN")];
    becomes(subject, "lead/web01", &down).await?;
    // It is down before, during and after drain.
    send(subject, "set server lead/web01 state drain").await?;
    send(subject, "set server lead/web01 state ready").await?;
    stays(subject, "lead/web01", &down).await?;
    // After maintenance it is down, too, if `health down` is sent in drain.
    let line = "set server lead/web01 state maint;set server lead/web01 state drain;set server lead/web01 health down;\
                set server lead/web01 state ready";
    answers(subject, line, "\n\n\n\n").await?;
    stays(subject, "lead/web01", &down).await?;
    // It is up as soon as it is the leader.
    subject.set_healthy("web01", false);
    becomes(subject, "lead/web01", &[("srv_op_state", "2"), ("status", "UP")]).await?;
    becomes(subject, "app/web01", &[("srv_op_state", "0"), ("status", "DOWN")]).await
}
