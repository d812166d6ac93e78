//! The form of answers: their separators, their columns, and the levels that commands need.

use std::time::Duration;

use super::{Found, Subject, answers, compare, expect, row, rows, same, send};
use crate::fake::{Series, columns};

pub(super) async fn an_answer_ends_with_an_empty_line<S: Subject>(subject: &mut S) -> Found {
    answers(subject, "show cli level", "admin\n\n").await
}

pub(super) async fn success_is_an_empty_line<S: Subject>(subject: &mut S) -> Found {
    for command in [
        "set server app/web02 state ready",
        "set server app/web02 weight 50",
        "set server app/web02 health up",
        "enable health app/web02",
        "disable agent app/web02",
        "shutdown sessions server app/web02",
        "set timeout cli 20",
    ] {
        send(subject, command).await?;
    }
    Ok(())
}

pub(super) async fn answers_come_in_the_order_of_commands<S: Subject>(subject: &mut S) -> Found {
    let line = "show cli level;set server app/absent state ready;set server app/web02 state ready;show cli level";
    answers(subject, line, "admin\n\nNo such server.\n\n\nadmin\n\n").await
}

pub(super) async fn a_prompt_separates_answers<S: Subject>(subject: &mut S) -> Found {
    let line = "prompt;show cli level;set server app/absent state ready;set server app/web02 state ready";
    let expected = if subject.series() >= Series::V3_2 {
        "\nadmin\n\nNo such server.\n\n\n> "
    } else {
        "\n> admin\n\n> No such server.\n\n> \n> "
    };
    answers(subject, line, expected).await?;
    answers(subject, "prompt", "\n> ").await
}

pub(super) async fn a_message_may_lack_its_newline<S: Subject>(subject: &mut S) -> Found {
    let expected = match subject.series() {
        Series::V2_2 | Series::V2_6 => "\n> Empty weight string empty or preceded by garbage\n> admin\n\n> ",
        Series::V3_0 => "\n> Empty weight string empty or preceded by garbage\n\n> admin\n\n> ",
        Series::V3_2 | Series::V3_4 => "\nEmpty weight string empty or preceded by garbage\n\nadmin\n\n> ",
    };
    answers(subject, "prompt;set server app/web02 weight abc;show cli level", expected).await
}

pub(super) async fn a_connection_with_a_prompt_stays_open<S: Subject>(subject: &mut S) -> Found {
    answers(
        subject,
        "prompt\nshow cli level\nshow cli level;show cli level",
        match subject.series() {
            Series::V3_2 | Series::V3_4 => "\n> admin\n\n> admin\n\nadmin\n\n> ",
            _ => "\n> admin\n\n> admin\n\n> admin\n\n> ",
        },
    )
    .await
}

pub(super) async fn a_level_limits_commands<S: Subject>(subject: &mut S) -> Found {
    for denied in [
        "set server app/web01 state drain",
        "set server app/absent state drain",
        "set server app/web01 weight 1",
        "disable agent agents/talk",
        "enable health app/web01",
        "shutdown sessions server app/web01",
        "shutdown session 0x1",
    ] {
        same(denied, &subject.ask_operator(denied).await, "Permission denied\n\n")?;
    }
    let map = subject.map();
    // Up to 3.3, commands about maps need no level.
    let of_maps = if subject.series() < Series::V3_4 { "\n" } else { "Permission denied\n\n" };
    for (allowed, answer) in [
        ("show cli level", "operator\n\n".to_owned()),
        ("show sess 0x1", "Session not found.\n\n".to_owned()),
        (&format!("set map {map} web app"), of_maps.to_owned()),
    ] {
        same(allowed, &subject.ask_operator(allowed).await, &answer)?;
    }
    Ok(())
}

pub(super) async fn columns_are_those_of_the_transcripts<S: Subject>(subject: &mut S) -> Found {
    for (command, header) in columns(subject.series()) {
        let answer = subject.ask(command).await;
        let found = answer.lines().find(|line| line.starts_with("# ")).unwrap_or_default();
        same(command, found, header.trim_end())?;
    }
    Ok(())
}

pub(super) async fn rows_are_as_wide_as_headers<S: Subject>(subject: &mut S) -> Found {
    for (command, separator, more) in
        [("show stat -1 6 -1", ',', 0), ("show servers state", ' ', 0), ("show servers conn", ' ', 1)]
    {
        let answer = subject.ask(command).await;
        let mut lines = answer.lines().skip_while(|line| !line.starts_with("# "));
        let width = lines.next().unwrap_or_default()[2..].split(separator).count() + more;
        let mut count = 0;
        for line in lines.filter(|line| !line.is_empty()) {
            count += 1;
            // For a disabled backend, some series leave out the columns of the threads.
            let short = more > 0 && matches!(subject.series(), Series::V2_2 | Series::V3_4) && line.starts_with("off/");
            let width = if short { width - 2 } else { width };
            expect(&format!("{command}: {line:?} has not {width} fields"), line.split(separator).count() == width)?;
        }
        let expected = if separator == ',' { 24 } else { 17 };
        expect(&format!("{command}: {count} rows and not {expected}"), count == expected)?;
    }
    Ok(())
}

pub(super) async fn tables_are_filtered<S: Subject>(subject: &mut S) -> Found {
    let names = |answer: &str, name: &str, separator| {
        let rows = rows(answer, separator);
        rows.iter().filter_map(|row| row.get(name).cloned()).collect::<Vec<_>>().join(" ")
    };
    for (command, column, separator, expected) in [
        ("show stat app 4 -1", "svname", ',', "web01 web02 web03"),
        ("show stat app 6 -1", "svname", ',', "web01 web02 web03 BACKEND"),
        ("show stat -1 2 -1", "pxname", ',', "app api lone pair stay agents twin even lead"),
        ("show servers state api", "srv_name", ' ', "web01 web02"),
        ("show servers conn lone", "bkname/svname", ' ', "lone/solo"),
    ] {
        same(command, &names(&subject.ask(command).await, column, separator), expected)?;
    }
    Ok(())
}

pub(super) async fn refusals_have_known_words<S: Subject>(subject: &mut S) -> Found {
    let map = subject.map();
    for (command, words) in [
        ("set server app/absent state drain", "No such server."),
        ("set server nowhere/web01 state drain", "No such backend."),
        ("set server app state drain", "Require 'backend/server'."),
        ("set server app/web01 state asleep", "'set server <srv> state' expects 'ready', 'drain' and 'maint'."),
        ("set server app/web01 health fine", "'set server <srv> health' expects 'up', 'stopping', or 'down'."),
        ("set server app/web01 weight 300", "Absolute weight can only be between 0 and 256 inclusive."),
        ("set server app/web01 agent down", "agent checks are not enabled on this server."),
        ("set server agents/talk agent sideways", "'set server <srv> agent' expects 'up' or 'down'."),
        ("set server api/web01 health down", "cannot change health on a tracking server."),
        ("enable agent app/web01", "Agent was not configured on this server, cannot enable."),
        ("enable agent app/absent", "No such server."),
        ("shutdown sessions server app/absent", "No such server."),
        ("shutdown session 0x1", "No such session (use 'show sess')."),
        ("show sess 0x1", "Session not found."),
        ("show stat nope 6 -1", "No such proxy."),
        ("show stat #99 6 -1", "No such proxy."),
        ("show servers state nope", "Can't find backend."),
        ("show servers conn nope", "Can't find backend."),
        ("show map /no/such.map", "Unknown map identifier. Please use #<id> or <file>."),
        ("get map /no/such.map web", "Unknown map identifier. Please use #<id> or <file>."),
        ("set map /no/such.map web app", "Unknown map identifier. Please use #<id> or <file>."),
        (&format!("set map {map} absent app"), "entry not found."),
        (&format!("del map {map} absent"), "Key not found."),
        (&format!("get map {map} absent"), "type=str, case=sensitive, found=no"),
    ] {
        answers(subject, command, &format!("{words}\n\n")).await?;
    }
    Ok(())
}

pub(super) async fn unknown_commands_are_answered<S: Subject>(subject: &mut S) -> Found {
    let mut unknown = vec!["frobnicate", "show proc"];
    if subject.series() == Series::V2_2 {
        unknown.extend(["show version", "prepare map x", "commit map @1 x"]);
    }
    for command in unknown {
        let answer = subject.ask(command).await;
        expect(&format!("{command}: {answer:?}"), answer.starts_with("Unknown command"))?;
        expect(&format!("{command}: {answer:?} does not end"), answer.ends_with("\n\n"))?;
    }
    Ok(())
}

pub(super) async fn info_identifies_the_process<S: Subject>(subject: &mut S) -> Found {
    let value = |text: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.map(str::to_owned)
    };
    let (one, two) = (subject.ask("show info").await, subject.ask("show info").await);
    expect(&one, one.starts_with("Name: HAProxy\n") && one.ends_with("\n\n"))?;
    expect("the pid is no number", value(&one, "Pid").is_some_and(|pid| pid.parse::<u32>().is_ok()))?;
    same("Pid", &value(&one, "Pid").unwrap_or_default(), &value(&two, "Pid").unwrap_or_default())?;
    same("Stopping", &value(&one, "Stopping").unwrap_or_default(), "0")?;
    let version = value(&one, "Version").unwrap_or_default();
    expect(&version, version.starts_with(subject.series().name()))?;
    expect(&one, value(&one, "Uptime_sec").is_some_and(|up| up.parse::<u64>().is_ok()))?;
    expect(&one, value(&one, "CurrStreams").is_some() == (subject.series() >= Series::V3_0))?;
    if subject.series() > Series::V2_2 {
        answers(subject, "show version", &format!("{version}\n\n")).await?;
    }
    Ok(())
}

/// Up to 3.0, its whole commands are carried out, because HAProxy notices the closed connection later.
pub(super) async fn a_line_without_newline_is_carried_out_up_to_3_0<S: Subject>(subject: &mut S) -> Found {
    subject.ask_cut("set server lone/solo state drain;set server app/web01 state dra").await;
    let drained = if subject.series() >= Series::V3_2 { "0" } else { "8" };
    super::becomes(subject, "lone/solo", &[("srv_admin_state", drained)]).await?;
    subject.ask_cut("set server pair/p1 state drain").await;
    for server in ["app/web01", "pair/p1"] {
        super::has(subject, server, &[("srv_admin_state", "0")]).await?;
    }
    Ok(())
}

pub(super) async fn a_stopped_process_does_not_answer<S: Subject>(subject: &mut S) -> Found {
    subject.pause(true);
    let answer = tokio::time::timeout(Duration::from_millis(300), subject.ask("show cli level")).await;
    subject.pause(false);
    expect("a stopped process answered", answer.is_err())?;
    answers(subject, "show cli level", "admin\n\n").await?;
    let row = row(subject, "app/web01").await;
    compare("app/web01", &row, &[("srv_admin_state", "0")])
}
