//! Sections that are not in the grammar of a command: exit status, environment, files, see also.

use crate::markdown;
use crate::roff::{bold, escaped, line, section, term};

/// The exit codes, from the page that defines them.
pub(crate) fn exit_status() -> String {
    let page = include_str!("../reference.md");
    let table = page.split_once("## Exit codes\n").map_or("", |(_, rest)| rest);
    let table = table.split("\n## ").next().unwrap_or_default();
    format!("{}{}", section("EXIT STATUS"), markdown::roff(table))
}

/// The environment of `teeter`, and of the hooks that it runs.
pub(crate) fn environment(of_hooks: bool) -> String {
    let mut text = section("ENVIRONMENT");
    text.push_str(&term(
        &bold("TEETER_SOCKET"),
        &escaped("The control socket of teeterd, unless --socket names another one."),
    ));
    text.push_str(&term(
        &bold("NO_COLOR"),
        &escaped("If it is not empty, the output has no colours, unless --color=always is given."),
    ));
    if of_hooks {
        let page = include_str!("../reference.md");
        let table = page.split_once("## Hooks\n").map_or("", |(_, rest)| rest);
        let table: Vec<&str> =
            table.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|')).collect();
        text.push_str(".PP\n");
        text.push_str(&line("Hooks have these variables:"));
        text.push_str(&markdown::roff(&table.join("\n")));
    }
    text
}

/// The files of both programs.
pub(crate) fn files() -> String {
    let files = [
        ("/etc/teeter/teeter.toml", "The configuration of teeterd: see teeter.toml(5)."),
        ("/run/teeter/control.sock", "The control socket."),
        ("/var/lib/teeter/teeter.db", "The store: holds, runs and events."),
    ];
    let files = files.map(|(path, about)| term(&format!("\\fI{}\\fR", escaped(path)), &escaped(about)));
    format!("{}{}", section("FILES"), files.concat())
}

/// Other pages, each with its section of the manual.
pub(crate) fn see_also(pages: &[(&str, char)]) -> String {
    let pages: Vec<String> = pages.iter().map(|(name, of)| format!("{}({of})", bold(name))).collect();
    format!("{}{}", section("SEE ALSO"), line(&pages.join(", ")))
}
