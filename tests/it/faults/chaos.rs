//! A selection of the cases of `make chaos`: faults at some steps of some strategies, under load.

use std::time::Duration;

use teeter_lab::chaos::{self, ChaosReport, ChaosSpec, Fault, Way};
use teeter_lab::drains::Programs;

async fn chaos(ways: &[&str], faults: &[Fault], steps: &[usize], power: usize) -> ChaosReport {
    let spec = ChaosSpec {
        ways: Way::ALL.into_iter().filter(|way| ways.contains(&way.name)).collect(),
        faults: faults.to_vec(),
        steps: Some(steps.to_vec()),
        power,
        pause: Duration::from_secs(2),
        lanes: 2,
        limit: Duration::from_secs(240),
    };
    let programs =
        Programs { teeter: env!("CARGO_BIN_EXE_teeter").into(), teeterd: env!("CARGO_BIN_EXE_teeterd").into() };
    let lines = std::sync::Mutex::new(String::new());
    let log = |line: &str| lines.lock().expect("no thread has panicked").push_str(&format!("{line}\n"));
    let report = chaos::run(&spec, &programs, log).await.expect("it is done");
    let lines = lines.into_inner().expect("no thread has panicked");
    assert!(report.violations.is_empty(), "{lines}{report}");
    for (fault, why) in report.skipped() {
        teeter_lab::skip(&format!("{fault}: {why}"));
    }
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_any_kill_the_store_is_correct_and_one_command_restores_the_farm() {
    let faults = [Fault::KillTeeterd, Fault::KillClient, Fault::KillHook, Fault::KillHaproxy, Fault::Reload];
    let report = chaos(&["see-saw", "blue-green"], &faults, &[2, 4], 0).await;
    assert!(report.cases() >= 16, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_disk_refuses_changes_and_the_run_continues_with_space() {
    chaos(&["see-saw-route"], &[Fault::StoreFull, Fault::MapFull], &[2, 4], 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store_is_whole_after_a_power_loss_and_the_run_continues() {
    let report = chaos(&["see-saw"], &[], &[], 5).await;
    assert!(report.cases() >= 5, "{report}");
}
