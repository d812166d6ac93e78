//! `teeter top`: all servers, runs and HAProxys on one screen that stays open.
//!
//! `state` is pure: keys and answers in, effects out. `draw` only draws it. `fetch` reads from teeterd, `terminal` is
//! the only part that knows the terminal.

mod change;
mod draw;
mod fetch;
mod keys;
mod layout;
mod listing;
mod overlay;
mod question;
mod servers;
mod state;
mod terminal;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use self::draw::Look;
use self::fetch::{Fetch, Fetched};
use self::state::{Effect, Failure, State};
use self::terminal::Terminal;
use super::args::Top;
use super::error::CliError;
use super::interrupt::{self, Interrupt};
use super::live::Marks;
use super::{Context, clock, paint, queries};
use crate::api::{Exit, Sessions};
use crate::control::client::ClientError;

/// What arrives beside keys and answers of the reader.
enum News {
    Sessions(Vec<String>, Result<Sessions, String>),
    Sent(String, Result<String, Failure>),
}

/// `teeter top`.
pub(super) async fn top(context: &Context, args: Top) -> Result<Exit, CliError> {
    if context.json {
        let text = "`teeter top` draws a screen and prints no document; `teeter status --json` prints one".to_owned();
        return Err(CliError::Usage { text });
    }
    if let Some(refusal) = Terminal::refusal() {
        return Err(refusal);
    }
    let (shown, shown_now) = watch::channel(Vec::new());
    let interval = args.interval.duration();
    let mut fetch = Fetch::new(&context.client, interval, shown_now);
    // If the first request fails, its message is better than an empty screen.
    let first = fetch.read().await?;
    let mut interrupt = Interrupt::listen()?;
    let mut resized = signal(SignalKind::window_change()).map_err(CliError::Signals)?;
    let mut terminal = Terminal::open()?;
    let mut state = State::new(&args.filter, args.allow_changes);
    state.resize(terminal.rows());
    first.into_iter().for_each(|first| state.add(first, clock::now()));
    let mut keys = terminal::keys();
    let (answers, mut fetched) = mpsc::channel::<Fetched>(1);
    let reader = tokio::spawn(fetch.run(answers));
    let (tell, mut news) = mpsc::channel::<News>(8);
    let look = Look {
        marks: Marks::for_locale(|name| std::env::var(name).ok()),
        colours: paint::paints(),
        interval: args.interval,
        zone: TimeZone::system(),
    };
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let exit = loop {
        let drawn = terminal.draw(|frame| draw::draw(frame, &state, &look, clock::now()))?;
        shown.send_if_modified(|before| {
            let now = state.shown_backends();
            let changed = *before != now;
            *before = now;
            changed
        });
        let again = async {
            match drawn {
                true => std::future::pending().await,
                false => tokio::time::sleep(AGAIN).await,
            }
        };
        tokio::select! {
            biased;
            () = interrupt.received() => break interrupt::exit(),
            key = keys.recv() => match key.map(|key| state.handle(key)) {
                Some(Effect::Draw) => {}
                Some(Effect::Quit(exit)) => break exit,
                Some(Effect::Sessions(selectors)) => spawn(context, &tell, async |context| {
                    let read = queries::sessions_on(&context, &selectors).await.map_err(|error| text(error.into()));
                    News::Sessions(selectors, read)
                }),
                Some(Effect::Send(change)) => spawn(context, &tell, async move |context| {
                    let answer = change.send(&context.client).await.map_err(failure);
                    News::Sent(change.command, answer)
                }),
                // The terminal is gone.
                None => break Exit::Failed,
            },
            Some(Fetched { at, answer }) = fetched.recv() => match answer {
                Ok(snapshot) => state.add(snapshot, at),
                Err(why) => state.fail(why, at),
            },
            Some(news) = news.recv() => match news {
                News::Sessions(selectors, read) => {
                    let at = clock::within(clock::now(), &look.zone, "%H:%M:%S");
                    state.show_sessions(selectors, read, &at);
                }
                News::Sent(command, answer) => state.sent(&command, answer),
            },
            _ = resized.recv() => {}
            _ = second.tick() => {}
            () = again => {}
        }
        state.resize(terminal.rows());
    };
    reader.abort();
    drop(terminal);
    Ok(exit)
}

/// Does something beside the screen, and reports it.
fn spawn<F>(context: &Context, tell: &mpsc::Sender<News>, work: impl FnOnce(Context) -> F + 'static)
where
    F: Future<Output = News> + Send + 'static,
{
    let (context, tell) = (Context { client: context.client.clone(), json: false }, tell.clone());
    let work = work(context);
    tokio::spawn(async move {
        // The screen may be closed by now.
        let _ = tell.send(work.await).await;
    });
}

/// Why a change has not begun, or may not have begun.
fn failure(error: CliError) -> Failure {
    let refused = matches!(error, CliError::Client(ClientError::Problem(_)));
    let unknown = "\nIt is not known whether the change is stored: `teeter holds` and `teeter runs` show it.";
    Failure { refused, text: text(error) + if refused { "" } else { unknown } }
}

/// An error as it is printed elsewhere, without the name of the program.
fn text(error: CliError) -> String {
    let text = error.text();
    text.strip_prefix("teeter: ").unwrap_or(&text).to_owned()
}

/// The pause before the next attempt to draw on a terminal that is behind.
const AGAIN: Duration = Duration::from_millis(50);
