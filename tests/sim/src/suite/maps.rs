//! Maps: lookups, and changes of entries.

use super::{Found, Subject, answers, becomes, begun, expect, has, same, send, settled};
use crate::fake::Series;

/// Keys and values, in order.
async fn entries<S: Subject>(subject: &S) -> String {
    let answer = subject.ask(&format!("show map {}", subject.map())).await;
    let entry = |line: &str| {
        let (pointer, rest) = line.split_once(' ')?;
        pointer.starts_with("0x").then(|| rest.to_owned())
    };
    answer.lines().filter_map(entry).collect::<Vec<_>>().join(", ")
}

pub(super) async fn a_map_routes_requests<S: Subject>(subject: &mut S) -> Found {
    settled(subject).await?;
    let map = subject.map();
    for (value, backend) in [("api", "api"), ("app", "app"), ("nowhere", "app")] {
        send(subject, &format!("set map {map} web {value}")).await?;
        let (held, _) = begun(subject, None).await?;
        becomes(subject, &format!("{backend}/BACKEND"), &[("scur", "1")]).await?;
        subject.end(held).await;
        becomes(subject, &format!("{backend}/BACKEND"), &[("scur", "0")]).await?;
    }
    send(subject, &format!("del map {map} web")).await?;
    let (held, _) = begun(subject, None).await?;
    becomes(subject, "app/BACKEND", &[("scur", "1")]).await?;
    subject.end(held).await;
    Ok(())
}

pub(super) async fn entries_are_set_added_and_removed<S: Subject>(subject: &mut S) -> Found {
    let map = subject.map();
    same("show map", &entries(subject).await, "web app, shop other")?;
    let found = format!("get map {map} web");
    let app_entry = "type=str, case=sensitive, found=yes, idx=tree, key=\"web\", value=\"app\", type=\"str\"\n\n";
    answers(subject, &found, app_entry).await?;
    send(subject, &format!("add map {map} web api")).await?;
    same("a key that is there twice", &entries(subject).await, "web app, shop other, web api")?;
    answers(subject, &found, app_entry).await?;
    send(subject, &format!("set map {map} web lone")).await?;
    same("both are set", &entries(subject).await, "web lone, shop other, web lone")?;
    send(subject, &format!("del map {map} web")).await?;
    if subject.series() >= Series::V3_4 {
        same("the first is removed", &entries(subject).await, "shop other, web lone")?;
        send(subject, &format!("del map {map} web")).await?;
    }
    same("both are removed", &entries(subject).await, "shop other")?;
    answers(subject, &format!("set map {map} web app"), "entry not found.\n\n").await?;
    send(subject, &format!("add map {map} web api")).await?;
    same("added at the end", &entries(subject).await, "shop other, web api")?;
    let maps = subject.ask("show map").await;
    expect(&maps, maps.starts_with("# id (file) description\n"))?;
    expect(&maps, maps.contains(&format!(" ({map}) pattern loaded from file '{map}' used by map ")))?;
    send(subject, &format!("clear map {map}")).await?;
    same("cleared", &entries(subject).await, "")
}

pub(super) async fn versions_are_prepared_and_committed<S: Subject>(subject: &mut S) -> Found {
    let map = subject.map();
    if subject.series() == Series::V2_2 {
        let words = "Unknown map identifier. Please use #<id> or <file>.\n\n";
        return answers(subject, &format!("add map @1 {map} web api"), words).await;
    }
    answers(subject, &format!("prepare map {map}"), "New version created: 1\n\n").await?;
    send(subject, &format!("add map @1 {map} web api")).await?;
    same("before the commit", &entries(subject).await, "web app, shop other")?;
    send(subject, &format!("commit map @1 {map}")).await?;
    same("after the commit", &entries(subject).await, "web api")?;
    let out_of_range = "Version number out of range.\n\n";
    answers(subject, &format!("commit map @1 {map}"), out_of_range).await?;
    answers(subject, &format!("commit map @9 {map}"), out_of_range).await?;
    answers(subject, &format!("prepare map {map}"), "New version created: 2\n\n").await?;
    answers(subject, &format!("prepare map {map}"), "New version created: 3\n\n").await?;
    send(subject, &format!("add map @3 {map} web lone")).await?;
    send(subject, &format!("commit map @3 {map}")).await?;
    answers(subject, &format!("commit map @2 {map}"), out_of_range).await?;
    same("the later one", &entries(subject).await, "web lone")?;
    answers(subject, &format!("commit map {map}"), "Missing version number.\n\n").await
}

pub(super) async fn a_commit_replaces_everything<S: Subject>(subject: &mut S) -> Found {
    if subject.series() == Series::V2_2 {
        return Ok(());
    }
    settled(subject).await?;
    let map = subject.map();
    answers(subject, &format!("prepare map {map}"), "New version created: 1\n\n").await?;
    // An entry that is added to the current version is not in the prepared one.
    send(subject, &format!("add map {map} extra app")).await?;
    send(subject, &format!("commit map @1 {map}")).await?;
    same("nothing was added", &entries(subject).await, "")?;
    let (held, _) = begun(subject, None).await?;
    becomes(subject, "app/BACKEND", &[("scur", "1")]).await?;
    subject.end(held).await;
    has(subject, "lone/BACKEND", &[("stot", "0")]).await
}
