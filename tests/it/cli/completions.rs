//! Completion in a real bash, with live names.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use crate::fixtures::site::{Site, finish};

/// The candidates that bash offers at the end of a line, by the script that `teeter` prints.
async fn offered(line: &str, socket: &Path) -> Vec<String> {
    // As readline does: words are divided at blanks, and at the characters of COMP_WORDBREAKS.
    let script = r#"
        source <(teeter completions bash)
        COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9
        COMP_WORDS=() at_blank=true
        for ((i = 0; i < ${#1}; i++)); do
            char=${1:i:1}
            case $char in
                ' ') at_blank=true ;;
                : | =) COMP_WORDS+=("$char") at_blank=true ;;
                *)
                    if $at_blank; then COMP_WORDS+=(""); at_blank=false; fi
                    COMP_WORDS[-1]+=$char
                    ;;
            esac
        done
        [[ $1 == *' ' ]] && COMP_WORDS+=("")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        word=${COMP_WORDS[COMP_CWORD]}
        [[ $word == [:=] ]] && word=
        _teeter teeter "$word" "" 2>/dev/null
        [ ${#COMPREPLY[@]} = 0 ] || printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let programs = Path::new(env!("CARGO_BIN_EXE_teeter")).parent().expect("it is in a directory");
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", script, "bash", line]).env("TEETER_SOCKET", socket);
    bash.env("PATH", format!("{}:/usr/bin:/bin", programs.display()));
    bash.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let ended = finish(bash.spawn().expect("bash starts")).await;
    assert_eq!(ended.err, "", "{line}");
    ended.out.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn bash_completes_commands_options_and_live_names() {
    let site = Site::start().await;
    assert_eq!(site.teeter(&["maint", "web02", "--reason", "new disk"]).await.code, 0);
    assert_eq!(site.teeter(&["begin", "web", "--without", "web02"]).await.code, 0);
    let owner = site.json(&["status", "app/web02"]).await["servers"][0]["holders"][0].clone();
    let owner = owner.as_str().expect("the hold has an owner").to_owned();
    let owned_by = format!("teeter ready web02 --owner {}", &owner[..2]);
    for (line, candidates) in [
        ("teeter stat", &["status"][..]),
        ("teeter status --wat", &["--watch"]),
        ("teeter status app/", &["app/web01", "app/web02", "app/web03", "app/web04"]),
        ("teeter drain app/web01 web03", &["web03"]),
        ("teeter drain farm:", &["web", "web/a", "web/b"]),
        ("teeter drain farm:web/", &["web/a", "web/b"]),
        ("teeter deploy ", &["web"]),
        ("teeter flip web ", &["a", "b", "all"]),
        ("teeter abort ", &["1"]),
        ("teeter show ", &["1"]),
        ("teeter status --state he", &["held"]),
        ("teeter status --group ", &["a", "b"]),
        ("teeter wait --haproxy ", &["edge"]),
        (&owned_by, &[&owner]),
    ] {
        let offered = offered(line, site.daemon.socket()).await;
        let offered: Vec<&str> = offered
            .iter()
            .map(String::as_str)
            .filter(|word| !word.starts_with("--") || line.contains("--wat"))
            .collect();
        assert_eq!(offered, candidates, "{line}");
    }
}

#[tokio::test]
async fn completion_without_teeterd_still_knows_the_grammar() {
    let nowhere = Path::new("/nowhere/control.sock");
    assert_eq!(offered("teeter drain app/", nowhere).await, Vec::<String>::new());
    assert_eq!(offered("teeter rollb", nowhere).await, ["rollback"]);
}
