//! teeter never calls a server drained while a request is on it. The servers count their requests themselves, under
//! traffic of every kind.

use std::time::Duration;

use teeter_lab::drains::{self, DrainsSpec, Kind, Programs};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drained_server_is_empty_and_stays_empty() {
    let number = |name: &str, usual| std::env::var(name).map_or(usual, |text| text.parse().expect("a number"));
    // `TEETER_SEED=7 TEETER_DRAINS=1000 cargo test …`: another seed, more drains.
    let (seed, count) = (number("TEETER_SEED", 1), number("TEETER_DRAINS", 100));
    let spec = DrainsSpec {
        count: usize::try_from(count).expect("a count"),
        seed,
        kinds: Kind::ALL.to_vec(),
        limit: Duration::from_secs(120 + count),
    };
    let programs =
        Programs { teeter: env!("CARGO_BIN_EXE_teeter").into(), teeterd: env!("CARGO_BIN_EXE_teeterd").into() };
    let report = drains::run(&spec, &programs).await.expect("the drains are done");
    assert!(report.violations.is_empty() && report.failures.is_empty(), "{report}");
    // Every kind of traffic was drained.
    for kind in Kind::ALL {
        assert!(report.count(kind) > 0 || count < 30, "no drain of {kind}\n{report}");
    }
}
