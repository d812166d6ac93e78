//! The tables that are printed.

use std::io::{self, Write};
use std::num::NonZero;
use std::thread;

use teeter::farm::{BakeSettings, Counts};
use teeter::plan::watch::{Counted, Figures, Verdict};
use teeter_lab::Dice;

use crate::rules::{Played, Watch, play, settings};
use crate::streams::{Version, uniform};

/// Both versions fail alike: every rollback is false.
pub(crate) fn false_rollbacks(out: &mut impl Write, trials: u64) -> io::Result<()> {
    writeln!(out, "Both versions alike, max_5xx = \"1%\", alpha = \"1%\", {trials} watches for each line.")?;
    writeln!(out, "False rollbacks in percent; and how often teeter found the new version no worse.\n")?;
    writeln!(
        out,
        "| counted | failures | share | requests/s | watch | teeter | threshold | Argo | Flagger | no worse |"
    )?;
    writeln!(out, "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|")?;
    let mut worst: f64 = 0.0;
    for concurrent in [false, true] {
        for burst in [1, 10] {
            for share in [0.001, 0.005, 0.01, 0.02, 0.05] {
                for (rate, minutes) in [(5.0, 1.0), (5.0, 10.0), (5.0, 60.0), (50.0, 1.0), (50.0, 10.0), (500.0, 1.0)] {
                    let version = Version { share, burst };
                    let seconds = minutes * 60.0;
                    let watch = Watch { old: version, new: version, rate, seconds, concurrent };
                    let all = played(&watch, trials);
                    let percent = |spoke: fn(&Played) -> Option<u64>| {
                        all.iter().filter(|played| spoke(played).is_some()).count() as f64 * 100.0 / all.len() as f64
                    };
                    worst = worst.max(percent(|played| played.teeter));
                    writeln!(
                        out,
                        "| {} | {} | {:.1}% | {rate} | {minutes} min | {:.2} | {:.1} | {:.1} | {:.1} | {:.0} |",
                        counted(concurrent),
                        failures(burst),
                        share * 100.0,
                        percent(|played| played.teeter),
                        percent(|played| played.threshold),
                        percent(|played| played.argo),
                        percent(|played| played.flagger),
                        percent(|played| played.no_worse),
                    )?;
                }
            }
        }
    }
    writeln!(out, "\nThe largest share of false rollbacks by teeter: {worst:.2}%\n")
}

/// The new version is worse: the requests until each rule says so.
pub(crate) fn detection(out: &mut impl Write, trials: u64) -> io::Result<()> {
    writeln!(
        out,
        "The new version is worse: the median of the requests to it until it was turned down, {trials} watches"
    )?;
    writeln!(out, "for each line; `-` where half of the watches did not turn it down within an hour.\n")?;
    writeln!(out, "| counted | failures | requests/s | old | new | teeter | threshold | Argo | Flagger |")?;
    writeln!(out, "|---|---|---:|---:|---:|---:|---:|---:|---:|")?;
    for concurrent in [false, true] {
        for burst in [1, 10] {
            for rate in [5.0, 50.0, 500.0] {
                for share in [0.001, 0.01, 0.02, 0.05] {
                    for worse in [1.0, 0.2, share + 0.05] {
                        let (old, new) = (Version { share, burst }, Version { share: worse, burst });
                        let seconds = (100_000.0_f64 / rate).min(3600.0);
                        let all = played(&Watch { old, new, rate, seconds, concurrent }, trials);
                        writeln!(
                            out,
                            "| {} | {} | {rate} | {:.1}% | {:.1}% | {} | {} | {} | {} |",
                            counted(concurrent),
                            failures(burst),
                            share * 100.0,
                            worse * 100.0,
                            median(&all, |played| played.teeter),
                            median(&all, |played| played.threshold),
                            median(&all, |played| played.argo),
                            median(&all, |played| played.flagger),
                        )?;
                    }
                }
            }
        }
    }
    writeln!(out)
}

/// Answers of both versions take the same random time: every rollback because of `max_time` is false.
pub(crate) fn slow_answers(out: &mut impl Write, trials: u64) -> io::Result<()> {
    writeln!(
        out,
        "Answer times alike (log-normal, median 50 ms), HAProxy's moving average of 512 answers, 60,000 answers"
    )?;
    writeln!(out, "watched, {trials} watches for each line. False rollbacks in percent.\n")?;
    writeln!(out, "| spread (sigma) | max_time | false rollbacks |\n|---:|---:|---:|")?;
    for sigma in [0.5, 1.0, 1.5, 2.0] {
        for limit in ["150%", "200%", "300%"] {
            let settings: BakeSettings =
                toml::from_str(&format!("for = \"60s\"\nmax_time = \"{limit}\"")).expect("the settings are valid");
            let slow = in_parallel(trials, |dice| slow_watch(sigma, &settings, dice));
            let share = slow.iter().filter(|slow| **slow).count() as f64 * 100.0 / slow.len() as f64;
            writeln!(out, "| {sigma} | {limit} | {share:.2} |")?;
        }
    }
    Ok(())
}

/// Whether a watch on answer times turns a version down that is as fast as the old one.
fn slow_watch(sigma: f64, settings: &BakeSettings, dice: &mut Dice) -> bool {
    let mut average = 50.0 * (sigma * sigma / 2.0).exp();
    let mut answers = |count: u64| {
        for _ in 0..count {
            let normal = (-2.0 * uniform(dice).ln()).sqrt() * (std::f64::consts::TAU * uniform(dice)).cos();
            average += (50.0 * (sigma * normal).exp() - average) / 512.0;
        }
        average.round() as u64
    };
    let side = |requests: u64, average: u64| Counted {
        counts: Counts { requests, time: average * requests, ..Counts::default() },
        ..Counted::default()
    };
    let mut figures = Figures { old: side(15_000, answers(15_000)), ..Figures::default() };
    (1..=600_u64).any(|look| {
        figures.new = side(look * 100, answers(100));
        let since = figures.slow_since.unwrap_or(look * 100);
        figures.slow_since = figures.is_slow(settings).then_some(since);
        figures.judge(settings).verdict == Verdict::Worse
    })
}

fn counted(concurrent: bool) -> &'static str {
    if concurrent { "at the same time" } else { "5 min before" }
}

fn failures(burst: u64) -> &'static str {
    if burst == 1 { "single" } else { "in tens" }
}

fn median(all: &[Played], spoke: impl Fn(&Played) -> Option<u64>) -> String {
    let mut at: Vec<u64> = all.iter().map(|played| spoke(played).unwrap_or(u64::MAX)).collect();
    at.sort_unstable();
    match at.get(at.len() / 2) {
        None | Some(&u64::MAX) => "-".to_owned(),
        Some(median) => median.to_string(),
    }
}

fn played(watch: &Watch, trials: u64) -> Vec<Played> {
    let settings = settings();
    in_parallel(trials, |dice| play(watch, &settings, dice))
}

/// Plays so many times with dice of their own, on every core.
fn in_parallel<T: Send>(trials: u64, one: impl Fn(&mut Dice) -> T + Sync) -> Vec<T> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get) as u64;
    let share = |thread: u64| (thread..trials).step_by(threads as usize);
    let one = &one;
    thread::scope(|scope| {
        let all: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || share(thread).map(|trial| one(&mut Dice::new(7).fork(trial))).collect()))
            .collect();
        all.into_iter()
            .flat_map(|thread: thread::ScopedJoinHandle<'_, Vec<T>>| thread.join().expect("it ends"))
            .collect()
    })
}
