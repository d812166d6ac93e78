//! `teeter verdict`: judges watches of the past, or counters in a file, with the settings that one gives.

use std::io::{self, Read};
use std::path::Path;

use serde::Serialize;

use super::args::Verdict as Arguments;
use super::error::CliError;
use super::{Context, clock, print, tables};
use crate::api::{Exit, RunView, Runs, WatchPointView, WatchVerdict, WatchView};
use crate::farm::{BakeSettings, Share, Span};
use crate::plan::watch::{WatchPoint, replay};

/// A watch that was judged again.
#[derive(Debug, Serialize)]
struct Judged {
    /// The run; `null` for a file.
    run: Option<u64>,
    /// The step; `null` for a file.
    step: Option<String>,
    /// The verdict at its time; `null` for a file.
    then: Option<WatchVerdict>,
    /// The verdict with the settings.
    verdict: WatchVerdict,
    /// Requests to the new side at the point that decided.
    requests: u64,
    /// The numbers behind the verdict, as text.
    text: String,
}

/// `teeter verdict`.
pub(super) async fn verdict(context: &Context, args: Arguments) -> Result<Exit, CliError> {
    let mut all = Vec::new();
    if let Some(file) = &args.file {
        let settings = args.settings(None)?;
        all.push(judge(&points_of(file)?, args.concurrent, &settings));
    }
    for run in runs(context, &args).await? {
        for watch in run.watches.iter().filter(|watch| watch.ended.is_some()) {
            let settings = args.settings(Some(watch))?;
            let judged = judge(&watch.points, watch.concurrent, &settings);
            let step = run.steps.get(watch.step).map(|step| step.text.clone());
            all.push(Judged { run: Some(run.id), step, then: Some(watch.verdict.clone()), ..judged });
        }
    }
    if context.json {
        print::json(&all)?;
    } else {
        print::out(&text(&all))?;
    }
    Ok(Exit::Done)
}

/// The runs to judge. A list of runs has no watches, so each run is read.
async fn runs(context: &Context, args: &Arguments) -> Result<Vec<RunView>, CliError> {
    let mut numbers = args.runs.clone();
    if let Some(farm) = &args.farm {
        let since = args.since.map(|since| since.before(clock::now()));
        let list: Runs = context.client.get("/v1/runs").await?.0;
        let of_farm = list.runs.iter().filter(|run| run.farm == farm.as_str());
        let late = of_farm.filter(|run| since.is_none_or(|since| run.started >= since));
        numbers.extend(late.map(|run| run.id));
        if numbers.is_empty() {
            return Err(CliError::NotFound {
                text: format!("farm {farm} has no run in that time"),
                hint: Some("`teeter runs` lists the latest runs".to_owned()),
            });
        }
        numbers.sort_unstable();
    }
    let mut runs = Vec::new();
    for number in numbers {
        runs.push(context.client.get(&format!("/v1/runs/{number}")).await?.0);
    }
    Ok(runs)
}

impl Arguments {
    /// The settings of a watch, or of a file, with those of the command line.
    fn settings(&self, watch: Option<&WatchView>) -> Result<BakeSettings, CliError> {
        let recorded = |text: Option<&String>| text.and_then(|text| text.parse::<Share>().ok());
        let none = BakeSettings::without_comparison(Span::default());
        let by_default = match watch {
            Some(watch) => BakeSettings {
                max_5xx: recorded(watch.max_5xx.as_ref()),
                max_errors: recorded(watch.max_errors.as_ref()),
                alpha: recorded(Some(&watch.alpha)).unwrap_or(none.alpha),
                min_requests: watch.min_requests,
                ..none
            },
            None => BakeSettings { max_5xx: Some(Share::of(1, 100)).filter(|_| self.max_errors.is_none()), ..none },
        };
        let settings = BakeSettings {
            takes: Span::from_secs(1),
            max_5xx: self.max_5xx.or(by_default.max_5xx),
            max_errors: self.max_errors.or(by_default.max_errors),
            alpha: self.alpha.unwrap_or(by_default.alpha),
            min_requests: self.min_requests.unwrap_or(by_default.min_requests),
            ..by_default
        };
        settings.check().map_err(|text| CliError::Usage { text })?;
        Ok(settings)
    }
}

fn judge(points: &[WatchPointView], concurrent: bool, settings: &BakeSettings) -> Judged {
    let points: Vec<WatchPoint> = points.iter().copied().map(WatchPoint::from).collect();
    let replayed = replay(&points, concurrent, settings);
    Judged {
        run: None,
        step: None,
        then: None,
        verdict: replayed.judgement.verdict.into(),
        requests: replayed.requests,
        text: replayed.judgement.text,
    }
}

/// The points in a file.
fn points_of(file: &Path) -> Result<Vec<WatchPointView>, CliError> {
    let failed = |source| CliError::File { attempt: "read", path: file.to_owned(), source };
    let input: Box<dyn Read> = match file {
        standard if standard == Path::new("-") => Box::new(io::stdin().lock()),
        file => Box::new(std::fs::File::open(file).map_err(failed)?),
    };
    let mut text = String::new();
    input.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(CliError::Usage { text: format!("{} has more than {MOST_BYTES} bytes", file.display()) });
    }
    let points: Vec<WatchPointView> = serde_json::from_str(&text).map_err(|error| CliError::Usage {
        text: format!("{} is not an array of points such as {EXAMPLE}: {error}", file.display()),
    })?;
    let falls = |pair: &[WatchPointView]| {
        let [before, after] = pair else { return false };
        after.new.requests < before.new.requests || after.old.requests < before.old.requests
    };
    if points.windows(2).any(falls) {
        return Err(CliError::Usage {
            text: format!("{}: the counters fall; each point has what was counted until then", file.display()),
        });
    }
    Ok(points)
}

const EXAMPLE: &str = r#"{"ms": 200, "new": {"requests": 9, "hrsp_5xx": 1, "errors": 0}, "old": {…}}"#;

/// The most bytes of a file.
const MOST_BYTES: u64 = 16 << 20;

fn text(all: &[Judged]) -> String {
    let dash = || "-".to_owned();
    let rows = all.iter().map(|one| {
        [
            one.run.map_or_else(dash, |run| run.to_string()),
            one.step.clone().unwrap_or_else(dash),
            one.then.as_ref().map_or_else(dash, ToString::to_string),
            one.verdict.to_string(),
            one.requests.to_string(),
        ]
    });
    let mut text = tables::columns(["RUN", "STEP", "THEN", "WITH THESE SETTINGS", "REQUESTS"], rows, &[0, 4]);
    for one in all {
        let run = one.run.map_or_else(String::new, |run| format!("run {run}: "));
        text.push_str(&format!("\n{run}{}", one.text));
    }
    let count = |verdict: &WatchVerdict| all.iter().filter(|one| one.verdict == *verdict).count();
    let (worse, inconclusive) = (count(&WatchVerdict::Worse), count(&WatchVerdict::Inconclusive));
    text.push_str(&format!(
        "\n\n{} {}: {worse} would be rolled back, {inconclusive} would have no verdict",
        all.len(),
        if all.len() == 1 { "watch" } else { "watches" },
    ));
    text
}
