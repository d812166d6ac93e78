//! The daemon's log. Log lines may quote untrusted text, so terminal controls are removed.

use std::fmt::Debug;
use std::io::Write;

use tracing::field::{Field, Value, Visit, display};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogLevel, LogSettings, LogTo};
use crate::control::harmless::{lines, one_line};

/// Starts to log.
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
        // The journal then has fields such as TEETER_RUN.
        registry.with(Harmless(journal.with_field_prefix(Some("TEETER".to_owned())))).init();
    } else {
        registry.with(Harmless(plain(std::io::stderr))).init();
    }
}

/// Prints a line on standard error before the log starts. A closed standard error is ignored.
pub(super) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", lines(text));
}

/// Writes each event as a line.
fn plain<S, W>(writer: W) -> impl Layer<S>
where
    S: Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    W: for<'a> tracing_subscriber::fmt::MakeWriter<'a> + 'static,
{
    tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false).with_target(false)
}

/// Passes each event on as one line without terminal controls. teeter has no spans.
struct Harmless<L>(L);

impl<S: Subscriber, L: Layer<S>> Layer<S> for Harmless<L> {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let fields = event.metadata().fields();
        let mut values = Values(std::iter::repeat_with(|| None).take(fields.len()).collect());
        event.record(&mut values);
        let values: Vec<Option<&dyn Value>> = values.0.iter().map(Option::as_deref).collect();
        self.0.on_event(&Event::new(event.metadata(), &fields.value_set_all(&values)), context);
    }
}

/// The values of an event, in the order of its fields.
struct Values(Vec<Option<Box<dyn Value>>>);

impl Values {
    fn put(&mut self, field: &Field, value: impl Value + 'static) {
        if let Some(place) = self.0.get_mut(field.index()) {
            *place = Some(Box::new(value));
        }
    }
}

impl Visit for Values {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, display(one_line(&format!("{value:?}"))));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, one_line(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::haproxy::controls_terminal;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_line_is_one_line_without_terminal_controls() {
        let written = Written::default();
        let writer = written.clone();
        let log = tracing_subscriber::registry().with(Harmless(plain(move || writer.clone())));
        let bad = "a\u{61c}b\u{202e}c\u{2028}d\u{9b}e\u{1b}[2J\nf";
        tracing::subscriber::with_default(log, || {
            tracing::info!(farm = bad, run = 7u64, held = true, shown = %bad, missing = None::<u64>, "says {bad}");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let line = text.strip_suffix('\n').unwrap();
        assert!(!line.chars().any(controls_terminal), "{line:?}");
        let clean = "a?b?c?d?e?[2J f";
        for part in
            [&format!("says {clean}"), &format!("farm=\"{clean}\""), "run=7", "held=true", &format!("shown={clean}")]
        {
            assert!(line.contains(part), "{part}: {line}");
        }
        assert!(line.contains(" INFO ") && !line.contains("missing"), "{line}");
    }
}
