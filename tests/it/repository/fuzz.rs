//! The fuzzing targets on every file of their corpora, on any toolchain.

use std::path::Path;

use crate::haproxy::transcripts::{every_reply_of_a_master, every_transcript};

#[allow(unreachable_pub, reason = "a crate of its own for the fuzzer, a module here")]
#[path = "../../../fuzz/src/lib.rs"]
mod targets;

#[test]
fn corpora_make_no_target_fail() {
    for (name, target) in targets::TARGETS {
        let mut tried = 0;
        for entry in std::fs::read_dir(format!("fuzz/corpus/{name}")).unwrap() {
            let path = entry.unwrap().path();
            let data = std::fs::read(&path).unwrap();
            println!("{}", path.display());
            target(&data);
            // A truncated input takes other paths than a malformed one.
            target(&data[..data.len() / 2]);
            tried += 1;
        }
        assert!(tried > 0, "the corpus of {name} is empty");
    }
}

#[test]
fn commands_target_detects_an_injection() {
    let read = |line| targets::as_haproxy_reads(line).iter().map(|words| words.join("|")).collect::<Vec<_>>();
    assert_eq!(read("show map a;show info\n"), ["show|map|a", "show|info"]);
    assert_eq!(read("get map a b c\n"), ["get|map|a|b|c"]);
    assert_eq!(read("get map a\\;b c\nquit\n"), ["get|map|a;b|c", "quit"]);
}

/// Makes the seeds of two corpora from the transcripts: `cargo test --test it -- --ignored seeds`.
#[test]
#[ignore = "it writes into the sources"]
fn seeds() {
    for (series, name, received, frames) in every_transcript() {
        if name.ends_with("json") {
            continue;
        }
        let corpus = Path::new("fuzz/corpus");
        let reply = frames.last().unwrap();
        std::fs::write(corpus.join(format!("replies/{series}-{name}")), reply).unwrap();
        // The number of replies, the limit of 32 KiB, and the size of a chunk, seven bytes; see the target.
        let count = u8::try_from(frames.len() - 1).unwrap();
        std::fs::write(
            corpus.join(format!("chunking/{series}-{name}")),
            [&[count, 15, 6], received.as_slice()].concat(),
        )
        .unwrap();
    }
    for (series, name, received) in every_reply_of_a_master() {
        std::fs::write(format!("fuzz/corpus/replies/{series}-{name}"), received).unwrap();
    }
}
