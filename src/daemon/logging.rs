//! Where the daemon's words go.

use std::io::Write;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogLevel, LogSettings, LogTo};

/// Begins to log.
pub(super) fn start(settings: LogSettings) {
    let level = match settings.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let registry = tracing_subscriber::registry().with(level);
    let to_journal = match settings.to {
        LogTo::Journald => true,
        LogTo::Plain => false,
        // systemd sets this for a service whose output goes to the journal.
        LogTo::Auto => std::env::var_os("JOURNAL_STREAM").is_some(),
    };
    if to_journal && let Ok(journal) = tracing_journald::layer() {
        // So that a field is called TEETER_RUN there.
        registry.with(journal.with_field_prefix(Some("TEETER".to_owned()))).init();
    } else {
        registry
            .with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false).with_target(false))
            .init();
    }
}

/// Says something to whoever started the daemon, before there is a log. Nobody may be there to hear it.
pub(super) fn say(text: &str) {
    writeln!(std::io::stderr(), "{text}").unwrap_or_default();
}
