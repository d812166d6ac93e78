//! Tests of the bench of flips: a few flips of two peers on a real HAProxy, and the written report.

use std::io;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

#[test]
fn a_small_bench_counts_its_flips_and_ends() -> io::Result<()> {
    let out = tempfile::tempdir()?;
    let report = bench(out.path(), &["--ways", "dataplane,reload", "--flips", "3", "--connections", "8"])?;
    let rows = report["rows"].as_array().map_or(&[][..], Vec::as_slice);
    assert_eq!(rows.len(), 2, "{report}");
    for row in rows {
        assert_eq!((&row["flips"], &row["failed"], &row["unclean"]), (&3.into(), &0.into(), &0.into()), "{row}");
        // Between two flips one half answers all requests, a few thousand of them.
        assert!(row["requests"].as_u64() > Some(3 * 2000), "{row}");
        assert_eq!(row["each"].as_array().map(Vec::len), Some(3));
        assert!(row["flip_ms"]["p50"].as_f64() > Some(0.0), "{row}");
    }
    assert!(std::fs::read_to_string(out.path().join("bench-flip.svg"))?.contains("Data Plane API order"));
    Ok(())
}

#[test]
fn a_way_whose_program_is_missing_is_an_error() {
    let out = tempfile::tempdir().and_then(|out| bench(out.path(), &["--ways", "ansible", "--flips", "1"]));
    assert!(out.is_err_and(|error| error.to_string().contains("--ansible is not given")));
}

fn bench(out: &Path, args: &[&str]) -> io::Result<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
    let output = command.arg("bench-flip").arg("--out").arg(out).args(args).output()?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    serde_json::from_slice(&std::fs::read(out.join("bench-flip.json"))?).map_err(io::Error::other)
}
