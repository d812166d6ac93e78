//! `teeter deploy`: starts a run, does its work with the caller's hook, and follows it to its end.

use super::args::Deploy;
use super::carry_out::{CarriedOut, carry_out};
use super::error::CliError;
use super::hooks::Hooks;
use super::interrupt::{self, Interrupt};
use super::take_over::take_over;
use super::{Context, manifest, planned, print, result, status};
use crate::api::{Exit, RunView};

/// `teeter deploy`.
pub(super) async fn deploy(context: &Context, args: Deploy) -> Result<Exit, CliError> {
    if let (Some(path), Some(environment)) = (&args.manifest, &args.environment) {
        return manifest::deploy(context, path, environment, &args.options).await;
    }
    if let Some(run) = args.resume {
        let hooks = Hooks::find(&args.hook, &args.hooks)?;
        let mut interrupt = Interrupt::listen()?;
        return conclude(context, take_over(context, run, &hooks, &mut interrupt).await?).await;
    }
    let no_farm = || CliError::Usage { text: "name a farm, or a file with --manifest".to_owned() };
    let request = args.request().ok_or_else(no_farm)?;
    if args.options.dry_run {
        let run: RunView = context.client.post("/v1/runs", &request).await?;
        return planned(context, &run);
    }
    let hooks = Hooks::find(&args.hook, &args.hooks)?;
    // From here on, a signal does not end this process before it has printed what it leaves behind.
    let mut interrupt = Interrupt::listen()?;
    conclude(context, carry_out(context, &request, &hooks, &mut interrupt).await?).await
}

/// Prints how the deploy of one run ended.
async fn conclude(context: &Context, carried_out: CarriedOut) -> Result<Exit, CliError> {
    let run = match carried_out {
        CarriedOut::Ended(run) => run,
        CarriedOut::Left(run) => {
            if context.json {
                print::json(&run)?;
            }
            return Ok(interrupt::exit());
        }
    };
    Ok(interrupt::exit_unless_interrupted(result::conclude(context, &run).await?))
}

/// Prints the plan of a dry run.
///
/// # Errors
/// See [`print::out`].
pub(super) fn planned(context: &Context, run: &RunView) -> Result<Exit, CliError> {
    if context.json {
        print::json(run)?;
    } else {
        print::out(&planned::planned(run, status::width_of_terminal()))?;
    }
    Ok(Exit::Done)
}
