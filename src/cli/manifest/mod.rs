//! `teeter deploy --manifest`: deploys the builds of a file in order, farm by farm, until one fails.

mod file;
mod report;

use std::ffi::OsString;
use std::path::Path;

use futures_util::FutureExt as _;

use self::file::{Build, Environment, Manifest};
use self::report::{Entry, Report};
use super::args::{HookOptions, RunOptions};
use super::carry_out::{CarriedOut, carry_out};
use super::error::CliError;
use super::hooks::Hooks;
use super::interrupt::{self, Interrupt};
use super::{Context, planned, print, result, shell, status};
use crate::api::{Exit, RunRequest, RunView};
use crate::control::client::ClientError;
use crate::farm::FarmName;

/// One build on one farm.
struct Deploy {
    request: RunRequest,
    hooks: Hooks,
}

/// Deploys the builds of a file to one environment.
pub(super) async fn deploy(
    context: &Context,
    path: &Path,
    environment: &str,
    options: &RunOptions,
) -> Result<Exit, CliError> {
    let manifest = Manifest::read(path)?;
    let mut report = Report { environment: environment.to_owned(), deploys: Vec::new() };
    let mut deploys = Vec::new();
    for build in &manifest.builds {
        let Some(here) = build.environments.0.get(environment) else {
            print::err(&format!("{} is not for {environment}: skipped", build.name));
            continue;
        };
        for farm in &here.farms {
            let mut deploy = build.on(here, environment, farm.clone())?;
            deploy.request.without_haproxy = options.without_haproxy();
            deploys.push(deploy);
            report.deploys.push(Entry {
                build: build.name.clone(),
                farm: farm.to_string(),
                result: "not begun".to_owned(),
                exit: None,
                why: None,
                run: None,
                took: None,
            });
        }
    }
    if deploys.is_empty() {
        let known = shell::words(&manifest.environments().into_iter().collect::<Vec<_>>());
        let shown = path.display();
        return Err(CliError::NotFound {
            text: format!("there is no environment {environment:?} in {shown}; there are: {known}"),
            hint: None,
        });
    }
    let plans = match ask(context, &deploys, &mut report).await? {
        Ok(plans) => plans,
        Err(exit) => {
            print::err("no run was started");
            report.print(context.json)?;
            return Ok(exit);
        }
    };
    if options.dry_run {
        return print_plans(context, plans, report);
    }
    let mut interrupt = Interrupt::listen()?;
    let exit = all(context, &deploys, &mut report, &mut interrupt).await;
    report.print(context.json)?;
    Ok(exit)
}

/// Asks teeterd for the plan of each deploy, so that refusals are known before the first deploy starts.
async fn ask(
    context: &Context,
    deploys: &[Deploy],
    report: &mut Report,
) -> Result<Result<Vec<RunView>, Exit>, CliError> {
    let (mut plans, mut refused) = (Vec::new(), None);
    for (deploy, entry) in deploys.iter().zip(&mut report.deploys) {
        let request = RunRequest { dry_run: true, ..deploy.request.clone() };
        match context.client.post("/v1/runs", &request).await {
            Ok(plan) => plans.push(plan),
            Err(ClientError::Problem(problem)) => {
                let exit = ClientError::Problem(problem.clone()).exit();
                print::err(&format!("{} on {}: {}", entry.build, entry.farm, problem.detail));
                problem.hints.iter().for_each(|hint| print::err(&format!("hint: {hint}")));
                entry.went("refused", exit, Some(problem.detail), None);
                refused = refused.or(Some(exit));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(refused.map_or(Ok(plans), Err))
}

/// Prints plans of a dry run.
fn print_plans(context: &Context, plans: Vec<RunView>, mut report: Report) -> Result<Exit, CliError> {
    for (plan, entry) in plans.into_iter().zip(&mut report.deploys) {
        if !context.json {
            print::out(&format!("{}: {}\n", entry.build, planned::plan(&plan, status::width_of_terminal())))?;
        }
        entry.went("planned", Exit::Done, None, Some(plan));
    }
    if context.json {
        report.print(true)?;
    } else {
        print::out("no run was started")?;
    }
    Ok(Exit::Done)
}

/// Deploys one after the other, until one fails.
async fn all(context: &Context, deploys: &[Deploy], report: &mut Report, interrupt: &mut Interrupt) -> Exit {
    let count = deploys.len();
    for (index, (deploy, entry)) in deploys.iter().zip(&mut report.deploys).enumerate() {
        if interrupt.received().now_or_never().is_some() {
            print::err("interrupted: no further deploy is started");
            return interrupt::exit();
        }
        print::err(&format!("{} on {} ({} of {count})", entry.build, entry.farm, index + 1));
        let exit = match carry_out(context, &deploy.request, &deploy.hooks, interrupt).await {
            Ok(CarriedOut::Ended(run)) => {
                let exit = interrupt::exit_unless_interrupted(result::exit(&run));
                result::explain(context, &run).await;
                if exit == Exit::Done {
                    result::notes(&run);
                }
                entry.went(&run.state.to_string(), exit, run.why.clone(), Some(run));
                exit
            }
            Ok(CarriedOut::Left(run)) => {
                let exit = interrupt::exit();
                entry.went("interrupted", exit, None, Some(run));
                exit
            }
            Err(error) => {
                let result =
                    if matches!(error, CliError::Client(ClientError::Problem(_))) { "refused" } else { "lost" };
                print::err(&error.text());
                entry.went(result, error.exit(), Some(error.to_string()), None);
                error.exit()
            }
        };
        if exit != Exit::Done {
            return exit;
        }
    }
    Exit::Done
}

impl Build {
    /// This build on one farm of an environment.
    ///
    /// # Errors
    /// One of its hooks does not exist.
    fn on(&self, here: &Environment, environment: &str, farm: FarmName) -> Result<Deploy, CliError> {
        let options = HookOptions {
            before_out: self.before_out.clone(),
            after_out: self.after_out.clone(),
            after_in: self.after_in.clone(),
            per_server: self.per_server,
            parallel: self.parallel,
            hook_timeout: self.hook_timeout,
        };
        let hook: Vec<OsString> = self.hook.iter().map(OsString::from).collect();
        let hooks = Hooks::find(&hook, &options)?
            .with(vec![("TEETER_BUILD", self.name.clone()), ("TEETER_ENVIRONMENT", environment.to_owned())]);
        let request = RunRequest {
            strategy: here.strategy.or(self.strategy),
            order: self.order,
            version: here.version.clone().or_else(|| self.version.clone()),
            grace: self.grace,
            deadline: self.deadline,
            on_deadline: self.on_deadline,
            on_stall: self.on_stall,
            stall_after: self.stall_after,
            steps: self.steps.clone(),
            pause: self.pause,
            batch: here.batch.or(self.batch),
            settle: self.settle,
            max_failed: self.max_failed,
            allow_outage: self.allow_outage,
            phases: options.phases().map(|(phase, _)| phase).collect(),
            ..RunRequest::new(farm)
        };
        Ok(Deploy { request, hooks })
    }
}
