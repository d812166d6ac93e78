//! The pages of the documentation: where their links lead, and whether the index has all of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex::Regex;

/// All pages.
pub(super) fn pages() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(PathBuf::from).into();
    let mut folders = vec![PathBuf::from("docs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "md") {
                found.push(path);
            }
        }
    }
    found
}

/// The lines of a page outside and inside of its blocks of code, and the language of each block.
pub(super) fn divided(text: &str) -> (String, Vec<(String, String)>) {
    let (mut prose, mut blocks, mut block) = (String::new(), Vec::new(), None);
    for line in text.lines() {
        block = match (line.trim_start().strip_prefix("```"), block.take()) {
            (Some(language), None) => Some((language.to_owned(), String::new())),
            (Some(_), Some(done)) => {
                blocks.push(done);
                None
            }
            (None, Some((language, code))) => Some((language, format!("{code}{line}\n"))),
            (None, None) => {
                prose += &format!("{line}\n");
                None
            }
        };
    }
    assert!(block.is_none(), "a block of code has no end: {block:?}");
    (prose, blocks)
}

/// The names under which links find the headings of a page.
fn anchors(text: &str) -> BTreeSet<String> {
    let (prose, _) = divided(text);
    let headings = prose.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let keeps = |c: &char| c.is_alphanumeric() || [' ', '-', '_'].contains(c);
    headings.map(|line| line.to_lowercase().chars().filter(keeps).collect::<String>().replace(' ', "-")).collect()
}

/// The targets of the links of a page, without those to other sites.
fn links(text: &str) -> Vec<String> {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let (prose, _) = divided(text);
    let targets = link.captures_iter(&prose).map(|found| found[1].to_owned());
    targets.filter(|target| !target.starts_with("http")).collect()
}

#[test]
fn links_of_the_pages_lead_to_files_and_headings() {
    let mut wrong = Vec::new();
    for page in pages() {
        for link in links(&std::fs::read_to_string(&page).unwrap()) {
            let (file, anchor) = link.split_once('#').map_or((&*link, None), |(file, anchor)| (file, Some(anchor)));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let leads = match (target.exists(), anchor) {
                (exists, None) => exists,
                (exists, Some(anchor)) => exists && anchors(&std::fs::read_to_string(target).unwrap()).contains(anchor),
            };
            if !leads {
                wrong.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "links that lead nowhere:\n{}", wrong.join("\n"));
}

#[test]
fn index_of_the_documentation_leads_to_every_page() {
    let index = Path::new("docs/README.md");
    let linked = links(&std::fs::read_to_string(index).unwrap());
    let linked: BTreeSet<PathBuf> = linked.iter().map(|link| link.split('#').next().unwrap().into()).collect();
    for page in pages() {
        let Ok(page) = page.strip_prefix("docs") else { continue };
        assert!(page == Path::new("README.md") || linked.contains(page), "docs/README.md lacks {}", page.display());
    }
    assert!(links(&std::fs::read_to_string("README.md").unwrap()).iter().any(|link| link == "docs/README.md"));
}
