//! The shape of the source: imports point one way, and the pure core stays pure.

use std::path::{Path, PathBuf};

/// The modules in the order of `src/lib.rs`.
fn modules() -> Vec<String> {
    let lib = std::fs::read_to_string("src/lib.rs").unwrap();
    lib.lines()
        .filter_map(|line| line.strip_prefix("pub mod "))
        .map(|line| line.trim_end_matches(';').to_owned())
        .collect()
}

fn sources(of: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("src").join(of)];
    let single = Path::new("src").join(format!("{of}.rs"));
    if single.exists() {
        found.push((single.clone(), std::fs::read_to_string(single).unwrap()));
    }
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push((path.clone(), std::fs::read_to_string(path).unwrap()));
            }
        }
    }
    assert!(!found.is_empty(), "no sources of {of}");
    found
}

/// What stands before a file's tests: tests may use what they like.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or_default()
}

/// The same without its comments.
fn bare(text: &str) -> String {
    code(text).lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn imports_point_up() {
    let modules = modules();
    assert_eq!(modules.first().map(String::as_str), Some("haproxy"));
    for (place, module) in modules.iter().enumerate() {
        for (path, text) in sources(module) {
            for below in &modules[place + 1..] {
                assert!(!code(&text).contains(&format!("crate::{below}")), "{} uses {below}", path.display());
            }
        }
    }
}

#[test]
fn the_core_is_pure() {
    for module in ["farm", "plan"] {
        for (path, text) in sources(module) {
            for impure in [
                "tokio",
                "rusqlite",
                "std::net",
                "std::fs",
                "std::io",
                "axum",
                "async fn",
                "::now()",
                "SystemTime",
                "Instant",
            ] {
                assert!(!bare(&text).contains(impure), "{} uses {impure}", path.display());
            }
        }
    }
}

#[test]
fn no_file_grows_without_end() {
    for module in modules() {
        for (path, text) in sources(&module) {
            assert!(text.lines().count() <= 500, "{} is longer than 500 lines", path.display());
        }
    }
}

#[test]
fn what_is_tried_once_is_there() {
    let once = std::fs::read_to_string("tests/matrix/once").unwrap();
    for line in once.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut parts = line.split("::");
        let path = match parts.next().unwrap() {
            "it" => format!("tests/it/{}.rs", parts.next().expect("a module: all of them are not tried once")),
            program => format!("tests/lab/tests/{program}.rs"),
        };
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{line}: {path}: {error}"));
        let test = parts.next().map(|test| format!("fn {test}(")).unwrap_or_default();
        assert!(text.contains(&test) && parts.next().is_none(), "{line}: there is no such test in {path}");
    }
}
