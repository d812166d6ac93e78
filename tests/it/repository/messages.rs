//! docs/messages.md: it has every refusal, failure, wait and finding that teeter prints, and no text that it does not.

use std::path::{Path, PathBuf};

use regex::Regex;
use teeter::api::ProblemKind;
use teeter::plan::FailureKind;

/// Files and folders of which every text is a refusal, a failure, a wait or a finding.
const SOURCES: &[&str] = &[
    "src/plan/veto/text.rs",
    "src/plan/wait.rs",
    "src/plan/watch/measure.rs",
    "src/plan/watch/verdict.rs",
    "src/plan/blind_watch.rs",
    "src/plan/share_weights.rs",
    "src/plan/machine/ask.rs",
    "src/plan/machine/confirm.rs",
    "src/plan/machine/mod.rs",
    "src/plan/machine/outcome.rs",
    "src/plan/machine/rollback.rs",
    "src/plan/machine/step.rs",
    "src/plan/machine/transition.rs",
    "src/plan/machine/watch.rs",
    "src/farm/layout/live_side.rs",
    "src/farm/select",
    "src/engine/error.rs",
    "src/engine/views/doctor",
    "src/engine/holds/not_reached.rs",
    "src/engine/record/troubles.rs",
    "src/engine/fleet/rivals.rs",
    "src/engine/fleet/reach.rs",
    "src/control/problem.rs",
    "src/control/permit.rs",
    "src/cli/hook.rs",
    "src/init/error.rs",
    "src/store/mod.rs",
];

/// Code that makes an error for a user. Every text of a file with such code is looked up, too.
const MAKES_ERRORS: &str =
    r"Message::new\(|#\[error\(|CliError::(Usage|Refused|NotFound) \{|FailureKind::\w+,|Veto::\w+ \{ problem";

/// Files whose errors show the line of a configuration or the value of a name; the page has one line for all of these.
const SHOW_THE_PLACE: &[&str] =
    &["src/config.rs", "src/farm/error.rs", "src/farm/span.rs", "src/haproxy/address.rs", "src/haproxy/name.rs"];

/// Parts of texts in these files after which nothing is to be done: progress, and words that others continue.
const PROGRESS: &[&str] = &[
    "skipped, not deployed to:",
    "every member answers",
    "has not answered yet",
    "paused: it begins no further step",
    "was cut short, without a verdict",
    "going on with",
    "is healthy, except",
    "every member is in service",
    "nothing is to be watched",
    "no worse than before",
    ", the traffic goes to",
    "members in use,",
    "to come back when healthy",
    "taken over, as it was set outside teeter,",
    "(without HAProxy",
    ": the other teeterd has ended",
    "is not in HAProxy",
    "the observer of",
    "did you mean",
    "teeter moves its records of",
    "(by force, while",
    "its caller is back",
    "its caller has gone",
    "connection: close",
    "no further deploy is started",
    "no holds: teeter keeps no server out",
    "without HAProxy {name}",
    "out: no server, all servers",
    "next: no command is needed",
    "adds the paths of health checks",
    "write it to a file with -o FILE",
    "start teeterd with it, then:",
    "drained: nothing is in flight",
    "up: every server takes traffic",
    "answers and agrees with the stored state",
    "would be rolled back, {inconclusive} would have no verdict",
];

/// The page, without line breaks and code marks.
fn page() -> String {
    plain(&std::fs::read_to_string("docs/messages.md").unwrap())
}

/// A text in one line, without code marks.
fn plain(text: &str) -> String {
    text.replace('`', "").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The Rust files of a folder, or one file.
pub(super) fn files(place: &Path) -> Vec<PathBuf> {
    match std::fs::read_dir(place) {
        Ok(entries) => entries.flat_map(|entry| files(&entry.unwrap().path())).collect(),
        Err(_) => vec![place.to_owned()],
    }
}

/// The code of a file, without its comments and its tests.
pub(super) fn program(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let text = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).fold(String::new(), |all, line| all + line + "\n")
}

/// The code without functions that only make hints, which are printed below the text that they belong to.
fn without_hints(code: &str) -> String {
    let mut kept = String::new();
    let mut hint: Option<String> = None;
    for line in code.lines() {
        let indent = &line[..line.len() - line.trim_start().len()];
        if let Some(end) = &hint {
            if line == *end {
                hint = None;
            }
        } else if ["fn hint(", "fn hints(", "fn going_on(", "fn text(&self)"].iter().any(|name| line.contains(name)) {
            hint = Some(format!("{indent}}}"));
        } else {
            kept += &format!("{line}\n");
        }
    }
    kept
}

/// The string literals of code, in one line each.
pub(super) fn literals(code: &str) -> Vec<String> {
    let literal = Regex::new(r#"(?s)"((?:\\.|[^"\\])*)""#).unwrap();
    let broken = Regex::new(r"\\\n\s*").unwrap();
    let whole = |text: &str| broken.replace_all(text, "").replace("\\\"", "\"").replace("\\n", " ").replace("\\r", "");
    literal.captures_iter(code).map(|found| whole(&found[1])).collect()
}

/// The pieces of a text between its values.
fn pieces(text: &str) -> Vec<String> {
    let value = Regex::new(r"\{[^{}]*\}|[`…]").unwrap();
    let braces = text.replace("{{", "\u{1}").replace("}}", "\u{2}");
    value.split(&braces).map(|piece| plain(&piece.replace('\u{1}', "{").replace('\u{2}', "}"))).collect()
}

#[test]
fn page_of_messages_has_every_refusal_failure_wait_and_finding() {
    let makes_errors = Regex::new(MAKES_ERRORS).unwrap();
    let named: Vec<PathBuf> = SOURCES.iter().flat_map(|place| files(Path::new(place))).collect();
    let others = ["src/engine", "src/control", "src/cli", "src/haproxy", "src/farm", "src/config.rs", "src/plan"];
    let others = others.iter().flat_map(|place| files(Path::new(place))).filter(|path| {
        let place = path.to_str().unwrap();
        let tests = place.contains("/tests") || SHOW_THE_PLACE.contains(&place);
        !tests && !named.contains(path) && makes_errors.is_match(&program(path))
    });
    let others: Vec<PathBuf> = others.collect();
    let (page, mut looked_up, mut missing) = (page(), 0, Vec::new());
    for path in named.iter().chain(&others) {
        for text in literals(&without_hints(&program(path))) {
            let is_hint = text.starts_with('`');
            let is_text = text.replace('{', " {").split_whitespace().count() >= 4 && !is_hint;
            if !is_text || PROGRESS.iter().any(|part| plain(&text).contains(part)) {
                continue;
            }
            let pieces = pieces(&text);
            let longest = pieces.iter().max_by_key(|piece| piece.len()).unwrap();
            looked_up += usize::from(longest.len() >= SHORTEST);
            if longest.len() >= SHORTEST && !page.contains(longest.as_str()) {
                missing.push(format!("{}: {text}", path.display()));
            }
        }
    }
    assert!(missing.is_empty(), "docs/messages.md lacks:\n{}", missing.join("\n"));
    assert!(looked_up > 200, "only {looked_up} texts were found in the sources");
}

/// Bytes of a piece of text that identifies it.
const SHORTEST: usize = 12;

#[test]
fn page_of_messages_has_no_text_that_teeter_does_not_print() {
    let all: Vec<String> = files(Path::new("src")).iter().flat_map(|path| literals(&program(path))).collect();
    let all = plain(&all.join("\n").replace("{{", "{").replace("}}", "}"));
    let text = std::fs::read_to_string("docs/messages.md").unwrap();
    let marked = Regex::new("`([^`]+)`").unwrap();
    let (mut compared, mut stale) = (0, Vec::new());
    for row in text.lines().filter(|line| line.starts_with("| ")) {
        // Commands are in later columns.
        let texts = |cell: &str| marked.captures_iter(cell).map(|found| found[1].to_owned()).collect::<Vec<_>>();
        let is_command = |text: &str| ["teeter ", "journalctl "].iter().any(|program| text.starts_with(program));
        let is_text = |text: &String| text.split(' ').count() >= 3 && !is_command(text);
        let cell = row.trim_matches('|').split('|').map(texts).find(|texts| texts.iter().any(is_text));
        for text in cell.unwrap_or_default() {
            let parts = text.split(['…', ':', ';', '"']).map(str::trim);
            for part in parts.filter(|part| part.split(' ').count() >= 3) {
                compared += 1;
                if !all.contains(part) {
                    stale.push(format!("{part:?} in {text}"));
                }
            }
        }
    }
    assert!(stale.is_empty(), "docs/messages.md has texts that no code has:\n{}", stale.join("\n"));
    assert!(compared > 150, "only {compared} texts were compared");
}

#[test]
fn page_of_messages_and_the_interface_have_every_kind_of_problem_with_its_exit_code() {
    let (messages, api) = ("docs/messages.md", "docs/api.md");
    for kind in ProblemKind::ALL {
        let (word, exit) = (kind.word(), kind.exit() as u8);
        let row = format!("| `{word}` | {exit} |");
        assert!(std::fs::read_to_string(messages).unwrap().contains(&row), "{messages} lacks {row}");
        let text = std::fs::read_to_string(api).unwrap();
        let row = text.lines().find(|line| line.starts_with(&format!("| `{word}`")));
        assert!(row.is_some_and(|row| row.ends_with(&format!(" | {exit} |"))), "{api}: {word} {exit}: {row:?}");
    }
}

#[test]
fn page_of_messages_has_every_kind_of_failure() {
    let unknown = serde_json::from_str::<FailureKind>("\"no such kind\"").unwrap_err().to_string();
    // unknown variant `no such kind`, expected one of `work`, `verify`, …
    let kinds: Vec<&str> = unknown.split('`').skip(3).step_by(2).filter(|kind| *kind != "proof").collect();
    assert!(kinds.contains(&"work") && kinds.contains(&"bake"), "{unknown}");
    let text = std::fs::read_to_string("docs/messages.md").unwrap();
    for kind in kinds {
        assert!(text.contains(&format!("\n| `{kind}` | ")), "docs/messages.md lacks the failure {kind}");
    }
}

#[test]
fn every_exit_code_is_on_both_pages_and_in_the_help() {
    let code = std::fs::read_to_string("src/api/problem.rs").unwrap();
    let exits = code.lines().filter_map(|line| line.trim().strip_suffix(',')?.split_once(" = ")?.1.parse::<u8>().ok());
    let exits: Vec<u8> = exits.collect();
    assert!(exits.contains(&0) && exits.contains(&130), "{exits:?}");
    for page in ["docs/messages.md", "docs/reference.md"] {
        let text = std::fs::read_to_string(page).unwrap();
        for exit in &exits {
            assert!(text.contains(&format!("\n| {exit} | ")), "{page} lacks the exit code {exit}");
        }
    }
    let help = std::fs::read_to_string("src/cli/help.rs").unwrap();
    for exit in exits {
        let shown = help.lines().any(|line| line.split_whitespace().any(|word| word == exit.to_string()));
        assert!(shown, "the help lacks the exit code {exit}");
    }
}
