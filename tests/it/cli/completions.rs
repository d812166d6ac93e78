//! Completion in real shells, with live names.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use crate::fixtures::site::{Ended, Site, finish};

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
    let ended = shell("bash", &["--norc", "-c", script, "bash", line], socket).await.expect("bash is here");
    assert_eq!(ended.err, "", "{line}");
    ended.out.lines().map(str::to_owned).collect()
}

/// Runs a shell that finds `teeter` in its PATH. `None`: this shell is not installed.
async fn shell(program: &str, args: &[&str], socket: &Path) -> Option<Ended> {
    let programs = Path::new(env!("CARGO_BIN_EXE_teeter")).parent().expect("it is in a directory");
    let mut command = Command::new(program);
    command.args(args).env("TEETER_SOCKET", socket).env("TERM", "dumb").env("LC_ALL", "C.UTF-8");
    command.env("PATH", format!("{}:/usr/bin:/bin", programs.display()));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    match command.spawn() {
        Ok(child) => Some(finish(child).await),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            teeter_lab::skip(&format!("{program} is not here: its completion is not tried"));
            None
        }
        Err(error) => panic!("{program}: {error}"),
    }
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

/// Types the start of a line in a zsh on a terminal of its own, and presses the tab key: what zsh shows then.
const ZSH: &str = r#"
    zmodload zsh/zpty || exit 7
    zpty typed zsh -f -i
    zpty -w typed 'unsetopt BEEP; PS1=; autoload -Uz compinit && compinit -D -u'
    zpty -w typed 'source <(teeter completions zsh); print BEGUN$((40 + 2))'
    zpty -r -m typed shown '*BEGUN42*' || exit 8
    zpty -n -w typed "$1"$'\t\t'
    zpty -r -m typed shown "$2" || exit 9
    print -r -- "$shown"
"#;

#[tokio::test]
async fn zsh_completes_live_names() {
    let site = Site::start().await;
    let last = ["-f", "-c", ZSH, "zsh", "teeter drain app/w", "*web04*"];
    let Some(ended) = shell("zsh", &last, site.daemon.socket()).await else { return };
    assert_eq!(ended.code, 0, "{ended:?}");
    for name in ["app/web01", "app/web02", "app/web03", "app/web04"] {
        assert!(ended.out.contains(name), "{name}: {ended:?}");
    }
    assert!(!ended.out.contains("api/web"), "{ended:?}");
    // A colon, and a name that only one command takes.
    let farm = ["-f", "-c", ZSH, "zsh", "teeter drain farm:w", "*web/b*"];
    let ended = shell("zsh", &farm, site.daemon.socket()).await.expect("it is here");
    assert!(ended.code == 0 && ended.out.contains("web/a"), "{ended:?}");
}

#[tokio::test]
async fn fish_completes_live_names() {
    let site = Site::start().await;
    let script = "teeter completions fish | source; complete -C $argv[1]";
    for (line, candidates) in [
        ("teeter drain app/w", &["app/web01", "app/web02", "app/web03", "app/web04"][..]),
        ("teeter drain farm:w", &["farm:web", "farm:web/a", "farm:web/b"]),
        ("teeter flip web ", &["a", "all", "b"]),
        ("teeter rollb", &["rollback"]),
    ] {
        let args = ["--no-config", "-c", script, line];
        let Some(ended) = shell("fish", &args, site.daemon.socket()).await else { return };
        // A description follows after a tab.
        let words = ended.out.lines().filter_map(|line| line.split('\t').next());
        let mut offered: Vec<&str> = words.filter(|word| !word.starts_with('-')).collect();
        offered.sort_unstable();
        assert_eq!(offered, candidates, "{line}: {ended:?}");
    }
}
