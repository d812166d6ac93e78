//! The environment variables of a hook, and shell assignments with quoted values.

use crate::api::{Exit, RunView, WorkView};

/// The variables for this work; the variables of the group are empty without work.
pub(super) fn variables(run: &RunView, work: Option<&WorkView>) -> Vec<(&'static str, String)> {
    vec![
        ("TEETER_RUN", run.id.to_string()),
        ("TEETER_FARM", run.farm.clone()),
        ("TEETER_VERSION", run.version.clone().unwrap_or_default()),
        ("TEETER_STEP", work.map(|work| work.step.to_string()).unwrap_or_default()),
        ("TEETER_PHASE", work.map(|work| work.phase.to_string()).unwrap_or_default()),
        ("TEETER_GROUP", work.map(|work| work.group.clone()).unwrap_or_default()),
        ("TEETER_SERVERS", work.map(|work| work.servers.join(" ")).unwrap_or_default()),
        ("TEETER_ADDRESSES", work.map(|work| work.addresses.join(" ")).unwrap_or_default()),
    ]
}

/// The same work, one server at a time.
pub(super) fn each_server(work: &WorkView) -> Vec<WorkView> {
    let pairs = work.servers.iter().zip(&work.addresses);
    pairs
        .map(|(server, address)| WorkView {
            servers: vec![server.clone()],
            addresses: vec![address.clone()],
            ..work.clone()
        })
        .collect()
}

/// Assignments for `eval`.
pub(super) fn assignments(variables: &[(&'static str, String)]) -> String {
    variables.iter().map(|(name, value)| format!("{name}={}", quoted(value))).collect::<Vec<_>>().join("\n")
}

/// Text for `eval` after a failed command: no group, so that a loop ends, and the exit code, which `$(...)` loses.
pub(super) fn failed(exit: Exit) -> String {
    format!("TEETER_STEP=''\nTEETER_GROUP=''\nTEETER_SERVERS=''\nTEETER_ADDRESSES=''\n(exit {})", exit as u8)
}

/// A value as one word of a shell.
pub(super) fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:@%+,-".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// Values as words of a shell.
pub(super) fn words(values: &[impl ToString]) -> String {
    values.iter().map(|value| quoted(&value.to_string())).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_special_values_are_quoted() {
        for (value, text) in [
            ("", "''"),
            ("3", "3"),
            ("farm:web/a", "farm:web/a"),
            ("web01 web02", "'web01 web02'"),
            ("it's", r"'it'\''s'"),
            ("$(reboot)", "'$(reboot)'"),
            ("w[1-2]", "'w[1-2]'"),
        ] {
            assert_eq!(quoted(value), text);
        }
    }
}
