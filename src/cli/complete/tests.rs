//! What a completion gives without teeterd.

use clap::ValueEnum as _;

use super::names::{socket, starting_with};
use super::*;

#[test]
fn every_shell_has_a_script_that_calls_teeter() {
    for shell in Shell::value_variants() {
        let script = script(*shell);
        assert!(script.contains(VARIABLE) && script.contains("teeter"), "{shell:?}: {script}");
    }
}

#[test]
fn the_socket_is_that_of_the_line() {
    let of = |line: &str| socket(line.split(' ').map(str::to_owned), Some("/env.sock".into()));
    assert_eq!(of("-- teeter status --socket /a.sock web").to_str(), Some("/a.sock"));
    assert_eq!(of("-- teeter --socket=/b.sock status").to_str(), Some("/b.sock"));
    assert_eq!(of("-- teeter status").to_str(), Some("/env.sock"));
    assert_eq!(socket(std::iter::empty(), None).to_str(), Some("/run/teeter/control.sock"));
}

#[test]
fn candidates_begin_with_what_is_typed_and_appear_once() {
    let names = ["web1", "web10", "api1", "web1"].map(str::to_owned);
    let found = starting_with("web".as_ref(), names);
    let found: Vec<_> = found.iter().map(|candidate| candidate.get_value().to_string_lossy().into_owned()).collect();
    assert_eq!(found, ["web1", "web10"]);
}
