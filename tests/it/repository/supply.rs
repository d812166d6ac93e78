//! The crates that teeter is built from, with their features, their licences, and the code that they run at build time.
//! A review of these lists shows what a change of Cargo.toml or Cargo.lock brings.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// The crates of both programs, on Linux. `TEETER_SUPPLY=write cargo test --test it supply` writes the file anew.
const PRODUCT: &str = "tests/supply/product.txt";

/// The licences that allow distribution of the programs. A crate must be available under one of them.
const LICENCES: [&str; 9] = [
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "ISC",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "Unlicense",
    "Unicode-3.0",
    "Zlib",
];

/// Crates of which two versions are built, for the programs or for tests, and the reason.
const TWICE: [(&str, &str); 3] = [
    ("getrandom", "ring has 0.2, which is what seeds TLS; tests have 0.4, by tempfile and proptest"),
    ("itertools", "ratatui has 0.14; criterion, which only the benches have, has 0.13"),
    ("syn", "the macros of tokio, utoipa and strum, which ratatui uses, still have 2; it is not in either program"),
];

/// Crates that only tests use, and pulldown-cmark for the manual pages, that run code at build time. Those of the programs
/// are in `PRODUCT`.
const RUN_FOR_TESTS: [&str; 6] = ["alloca", "getrandom", "num-traits", "pulldown-cmark", "zerocopy", "zerocopy-derive"];

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The target whose crates are listed, whatever the machine is.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The output of a cargo command about the crates in Cargo.lock. Cargo downloads those that are missing.
fn cargo(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(args).arg("--locked").output().unwrap();
    assert!(output.status.success(), "cargo {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The crates of `cargo tree` with these arguments: name, version, licence and features.
fn tree(args: &[&str]) -> BTreeSet<[String; 4]> {
    let target = ["--target", TARGET, "--prefix", "none", "--no-dedupe"];
    let text = cargo(&[&["tree", "--format", "{p}|{l}|{f}"], args, &target].concat());
    let lines = text.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let mut parts = line.split('|');
            let mut part = || parts.next().unwrap_or_default().to_owned();
            let (package, licence, features) = (part(), part(), part());
            let mut words = package.split(' ');
            let mut word = || words.next().unwrap_or_default().to_owned();
            [word(), word(), licence, features]
        })
        .collect()
}

/// The crates that run code at build time, by name and version: `builds` for a build script, `expands` for a macro.
fn running() -> BTreeMap<[String; 2], &'static str> {
    let metadata = cargo(&["metadata", "--format-version", "1", "--filter-platform", TARGET]);
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let mut running = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        let field = |key: &str| package[key].as_str().unwrap().to_owned();
        let targets = package["targets"].as_array().unwrap();
        let has = |kind: &str| targets.iter().any(|target| target["kind"].as_array().unwrap().contains(&kind.into()));
        for (kind, word) in [("custom-build", "builds"), ("proc-macro", "expands")] {
            if has(kind) {
                running.insert([field("name"), format!("v{}", field("version"))], word);
            }
        }
    }
    running
}

#[test]
fn crates_of_the_product_match_their_list() {
    let running = running();
    let mut crates: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
    for [name, version, licence, features] in tree(&["-p", "teeter", "-e", "normal,build"]) {
        let runs = running.get(&[name.clone(), version]).map(|word| format!(" {word}")).unwrap_or_default();
        let has = crates.entry(format!("{name}{runs}")).or_insert((licence, BTreeSet::new()));
        has.1.extend(features.split(',').map(str::to_owned));
    }
    let line = |(name, (licence, features)): (&String, &(String, BTreeSet<String>))| {
        let features: Vec<_> = features.iter().filter(|feature| !feature.is_empty()).map(String::as_str).collect();
        format!("{name} ({licence}): {}", features.join(" ")).trim_end().to_owned()
    };
    let is: Vec<String> = crates.iter().map(line).collect();
    if std::env::var_os("TEETER_SUPPLY").is_some_and(|what| what == "write") {
        std::fs::write(PRODUCT, is.join("\n") + "\n").unwrap();
    }
    let text = std::fs::read_to_string(PRODUCT).unwrap();
    let was: Vec<&str> = text.lines().collect();
    let more: Vec<_> = is.iter().filter(|line| !was.contains(&line.as_str())).collect();
    let less: Vec<_> = was.iter().filter(|line| !is.iter().any(|now| now == *line)).collect();
    assert!(more.is_empty() && less.is_empty(), "not as in {PRODUCT}; now: {more:#?}\nno longer: {less:#?}");
}

#[test]
fn every_licence_allows_distribution() {
    for [name, version, licence, _] in tree(&["--workspace", "-e", "normal,build,dev"]) {
        let parts = licence.replace('/', " OR ").replace("  OR  ", " OR ");
        let fits = |choice: &str| LICENCES.contains(&choice.trim_matches(['(', ')', ' ']));
        let allowed = parts.split(" AND ").all(|part| part.split(" OR ").any(fits));
        assert!(allowed, "{name} {version} is under {licence:?}");
    }
}

#[test]
fn crates_come_from_the_registry_with_a_version() {
    for lock in ["Cargo.lock", "fuzz/Cargo.lock"] {
        let lock: toml::Table = std::fs::read_to_string(lock).unwrap().parse().unwrap();
        for package in lock["package"].as_array().unwrap() {
            let source = package.get("source").map(|source| source.as_str().unwrap());
            assert!(source.is_none_or(|source| source == REGISTRY), "{package:?}");
            assert_eq!(source.is_some(), package.get("checksum").is_some(), "{package:?}");
        }
    }
    for manifest in
        ["Cargo.toml", "tests/lab/Cargo.toml", "tests/sim/Cargo.toml", "docs/manual/Cargo.toml", "fuzz/Cargo.toml"]
    {
        let manifest: toml::Table = std::fs::read_to_string(manifest).unwrap().parse().unwrap();
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (name, wanted) in manifest.get(section).and_then(toml::Value::as_table).into_iter().flatten() {
                let version = wanted.as_str().or_else(|| wanted.get("version")?.as_str());
                let fixed = version.map_or(wanted.get("path").is_some(), |version| !version.contains('*'));
                assert!(fixed, "{name} = {wanted:?}");
            }
        }
    }
}

#[test]
fn duplicate_crates_have_a_reason() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for [name, version, ..] in tree(&["--workspace", "-e", "normal,build,dev"]) {
        versions.entry(name).or_default().insert(version);
    }
    versions.retain(|_, versions| versions.len() > 1);
    assert_eq!(versions.keys().collect::<Vec<_>>(), TWICE.map(|(name, _)| name), "{versions:?}");
}

#[test]
fn crates_that_run_at_build_time_are_listed() {
    let running = running();
    let runs = |[name, version, ..]: &[String; 4]| running.contains_key(&[name.clone(), version.clone()]);
    let names =
        |args: &[&str]| -> BTreeSet<String> { tree(args).into_iter().filter(runs).map(|[name, ..]| name).collect() };
    let product = names(&["-p", "teeter", "-e", "normal,build"]);
    let all = names(&["--workspace", "-e", "normal,build,dev"]);
    assert_eq!(all.difference(&product).collect::<Vec<_>>(), RUN_FOR_TESTS);
}
