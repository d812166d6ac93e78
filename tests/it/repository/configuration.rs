//! docs/configuration.md and docs/metrics.md: they have every key, and the configurations that the pages show are accepted.

use std::path::Path;

use regex::Regex;
use teeter::config::Config;

use super::pages::{divided, pages};

/// The error with which a configuration is refused.
fn refused(text: &str) -> Option<String> {
    Config::from_text(text, Path::new("teeter.toml"), std::iter::empty()).err().map(|error| error.to_string())
}

/// Configurations with one unknown key; the error lists the keys that would be known there.
const UNKNOWN: [&str; 18] = [
    "[unknown]",
    "[control]\nunknown = 1",
    "[control.roles]\nunknown = 1",
    "[store]\nunknown = 1",
    "[retention]\nunknown = 1",
    "[[haproxy]]\nname = \"edge\"\nsocket = \"/s\"\nunknown = 1",
    "[log]\nunknown = 1",
    "[metrics]\nunknown = 1",
    "[holds]\nunknown = 1",
    "[farm.web]\nmembers = [\"app/*\"]\nunknown = 1",
    "[farm.web]\nmembers = [\"app/*\"]\nrolling = { unknown = 1 }",
    "[farm.web]\nmembers = [\"app/*\"]\ncanary = { unknown = 1 }",
    "[farm.web]\nmembers = [\"app/*\"]\nbake = { for = \"1m\", unknown = 1 }",
    "[farm.web]\nmembers = [\"app/*\"]\nflip = { unknown = 1 }",
    "[farm.web]\nmembers = [\"app/*\"]\ndrain = { unknown = 1 }",
    "[farm.web]\nmembers = [\"app/*\"]\nverify = { unknown = 1 }",
    "[farm.web]\nmembers = [\"app/*\"]\nverify = { http = { path = \"/\", unknown = 1 } }",
    "[farm.web]\nmembers = [\"app/*\"]\nverify = { warm_up = { paths = [\"/\"], below = \"1s\", unknown = 1 } }",
];

#[test]
fn pages_have_every_key_of_the_configuration() {
    // The keys of [metrics] are on the page of the metrics.
    let page = ["docs/configuration.md", "docs/metrics.md"].map(|page| std::fs::read_to_string(page).unwrap()).concat();
    let known = Regex::new("`([a-z0-9_]+)`").unwrap();
    let (mut keys, mut missing) = (0, Vec::new());
    for text in UNKNOWN {
        let error = refused(text).unwrap_or_else(|| panic!("{text} is accepted"));
        let (_, list) = error.split_once("expected").unwrap_or_else(|| panic!("{text}: {error}"));
        for key in known.captures_iter(list).map(|found| found[1].to_owned()) {
            keys += 1;
            if !Regex::new(&format!(r"[`.\[]{key}\b")).unwrap().is_match(&page) {
                missing.push(format!("{key} in {text}"));
            }
        }
    }
    assert!(missing.is_empty(), "docs/configuration.md and docs/metrics.md lack:\n{}", missing.join("\n"));
    assert!(keys > 60, "only {keys} keys were listed");
}

#[test]
fn configurations_in_the_pages_are_accepted() {
    let (mut read, mut wrong) = (0, Vec::new());
    for page in pages() {
        let (_, blocks) = divided(&std::fs::read_to_string(&page).unwrap());
        for (_, text) in blocks.into_iter().filter(|(language, _)| language == "toml") {
            // A page shows the part that matters, and leaves out the farm's members or its table.
            let farm = "[farm.web]\nmembers = [\"app/*\"]\n";
            let whole = match text.contains("members = ") || !text.contains("[farm.web.") && text.starts_with('[') {
                true => text.clone(),
                false => format!("{farm}{text}"),
            };
            read += 1;
            wrong.extend(refused(&whole).map(|error| format!("{}: {error}\n{whole}", page.display())));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(read > 8, "only {read} configurations were found");
}
