//! The metrics: the numbers of the engine in the OpenMetrics format, and in the older text format of Prometheus.
//!
//! Names, labels and units are a promise: docs/metrics.md lists them. There is no label for servers, users or versions
//! of the application, because such a label has no bound.

mod families;

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::registry::Registry;

use self::families::Families;
use crate::engine::Numbers;

/// A format of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The text format 0.0.4 of Prometheus, which the textfile collector of node_exporter reads.
    Prometheus,
}

impl Format {
    /// The format for a request with this `Accept` header: OpenMetrics, unless the client accepts plain text only.
    pub fn accepted(accept: Option<&str>) -> Self {
        match accept {
            Some(accept) if !accept.contains("openmetrics") && accept.contains("text/plain") => Self::Prometheus,
            _ => Self::OpenMetrics,
        }
    }

    /// Its content type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
        }
    }
}

/// The metrics in a format. `refusals` has the refused requests by reason.
///
/// # Errors
/// The text cannot be written, which a text in memory never reports.
pub fn encode(numbers: Numbers, refusals: BTreeMap<String, u64>, format: Format) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Families { numbers, refusals }));
    let mut encoded = String::new();
    match format {
        Format::OpenMetrics => text::encode(&mut encoded, &registry)?,
        Format::Prometheus => prometheus_text::encode(&mut encoded, &registry)?,
    }
    Ok(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_gets_the_format_that_it_accepts() {
        for (accept, format) in [
            (None, Format::OpenMetrics),
            (Some("*/*"), Format::OpenMetrics),
            (Some("application/openmetrics-text;version=1.0.0,text/plain;q=0.5"), Format::OpenMetrics),
            (Some("text/plain; version=0.0.4"), Format::Prometheus),
        ] {
            assert_eq!(Format::accepted(accept), format, "{accept:?}");
        }
    }

    #[test]
    fn both_formats_have_the_same_samples() {
        let refusals = || BTreeMap::from([("busy".to_owned(), 2)]);
        let samples = |format| {
            let text = encode(Numbers::default(), refusals(), format).unwrap();
            text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>()
        };
        let open = samples(Format::OpenMetrics);
        assert_eq!(open, samples(Format::Prometheus));
        assert!(open.contains(&"teeter_refused_requests_total{reason=\"busy\"} 2".to_owned()), "{open:?}");
        assert!(open.iter().any(|line| line.starts_with("teeter_build_info{")), "{open:?}");
    }
}
