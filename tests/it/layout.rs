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

/// The files of a module, with their texts.
fn sources(module: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("src").join(module)];
    let single = Path::new("src").join(format!("{module}.rs"));
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
    assert!(!found.is_empty(), "no sources of {module}");
    found
}

/// A file's code without its tests, which may use any module; empty for a file of tests.
fn code<'a>(path: &Path, text: &'a str) -> &'a str {
    let is_test =
        |part: &std::ffi::OsStr| part.to_str().is_some_and(|part| part == "tests" || part.ends_with("tests.rs"));
    if path.iter().any(is_test) { "" } else { text.split("#[cfg(test)]").next().unwrap_or_default() }
}

/// A file's code without its tests and its comments.
fn bare(path: &Path, text: &str) -> String {
    code(path, text).lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn imports_point_up() {
    let modules = modules();
    assert_eq!(modules.first().map(String::as_str), Some("haproxy"));
    for (place, module) in modules.iter().enumerate() {
        for (path, text) in sources(module) {
            for below in &modules[place + 1..] {
                assert!(!code(&path, &text).contains(&format!("crate::{below}")), "{} uses {below}", path.display());
            }
        }
    }
}

#[test]
fn the_reconciler_knows_the_model_and_the_wire_only() {
    for (path, text) in sources("reconcile") {
        for module in modules() {
            let allowed = ["haproxy", "farm", "platform", "reconcile"].contains(&module.as_str());
            assert!(
                allowed || !code(&path, &text).contains(&format!("crate::{module}")),
                "{} uses {module}",
                path.display()
            );
        }
    }
}

/// The rooms of the engine, in the order in which they may use one another. Files of the engine's root, which put the
/// rooms together, may use all of them.
const ROOMS: [&str; 8] = ["record", "fleet", "verify", "retired", "holds", "runs", "views", "driver"];

/// The names of the methods that a file adds to the engine.
fn engine_methods(text: &str) -> Vec<String> {
    let blocks = text.split("\nimpl Engine {\n").skip(1).map(|rest| rest.split("\n}\n").next().unwrap_or_default());
    let names = blocks.flat_map(|block| block.lines()).filter_map(|line| {
        let after = line.strip_prefix("    ")?.split("fn ").nth(1)?;
        let is_method = line.starts_with("    pub") || line.starts_with("    fn") || line.starts_with("    async fn");
        is_method.then(|| after.split(['(', '<']).next().unwrap_or_default().to_owned())
    });
    names.collect()
}

#[test]
fn rooms_of_the_engine_use_those_before_them_only() {
    let rooms: Vec<Vec<(PathBuf, String)>> = ROOMS.iter().map(|room| sources(&format!("engine/{room}"))).collect();
    for (place, files) in rooms.iter().enumerate() {
        let later = rooms.iter().zip(ROOMS).skip(place + 1);
        for (later_files, later) in later {
            let methods: Vec<String> =
                later_files.iter().flat_map(|(path, text)| engine_methods(code(path, text))).collect();
            for (path, text) in files {
                let text = bare(path, text);
                assert!(!text.contains(&format!("engine::{later}")), "{} uses {later}", path.display());
                for method in &methods {
                    let called = ["self", "engine"].iter().any(|value| text.contains(&format!("{value}.{method}(")));
                    assert!(!called, "{} calls {method} of {later}", path.display());
                }
            }
        }
    }
    // The store and HAProxy instances are reached through types of their own, not through the engine.
    for room in [&rooms[0], &rooms[1]] {
        for (path, text) in room {
            assert!(engine_methods(code(path, text)).is_empty(), "{} adds methods to the engine", path.display());
        }
    }
}

#[test]
fn the_core_is_pure() {
    for module in ["farm", "plan", "state"] {
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
                assert!(!bare(&path, &text).contains(impure), "{} uses {impure}", path.display());
            }
        }
    }
}

#[test]
fn no_source_file_has_more_than_500_lines() {
    for module in modules() {
        for (path, text) in sources(&module) {
            assert!(text.lines().count() <= 500, "{} is longer than 500 lines", path.display());
        }
    }
}

#[test]
fn matrix_once_names_existing_tests() {
    let once = std::fs::read_to_string("tests/matrix/once").unwrap();
    for line in once.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (path, test) = match line.split("::").collect::<Vec<_>>()[..] {
            ["it", "layout"] => ("tests/it/layout.rs".to_owned(), None),
            ["it", folder, module] => (format!("tests/it/{folder}/{module}.rs"), None),
            ["it", folder, module, test] => (format!("tests/it/{folder}/{module}.rs"), Some(test)),
            ["bench" | "lab"] => (format!("tests/lab/tests/{line}.rs"), None),
            [program @ ("bench" | "lab"), test] => (format!("tests/lab/tests/{program}.rs"), Some(test)),
            _ => panic!("{line} is no module and no test"),
        };
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{line}: {path}: {error}"));
        let test = test.map(|test| format!("fn {test}(")).unwrap_or_default();
        assert!(text.contains(&test), "{line}: there is no such test in {path}");
    }
}

#[test]
fn security_page_names_existing_tests_for_every_threat() {
    let text = std::fs::read_to_string("docs/security.md").unwrap();
    let mut code = String::new();
    for folder in ["src", "tests"] {
        for path in rust_below(Path::new(folder)) {
            code.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
    // A test is written between backticks and has two underscores or more; a configuration key has fewer.
    let is_test = |name: &&str| {
        name.matches('_').count() >= 2 && name.chars().all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    let tests = |text: &str| text.split('`').skip(1).step_by(2).filter(is_test).map(str::to_owned).collect::<Vec<_>>();
    for name in tests(&text) {
        assert!(code.contains(&format!("fn {name}(")), "docs/security.md names the test {name}, which is not there");
    }
    let table = text.split("| threat | what is promised | tests |").nth(1).expect("there is a table");
    let rows: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() > 10, "{rows:?}");
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        assert!(cells.len() == 3 && !tests(cells[2]).is_empty(), "{row}");
    }
}

fn rust_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_below(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    found
}
