//! Every strategy, with a sample to deploy: for tests that apply to all of them.

use teeter_lab::Sample;

/// A strategy, the sample and the farm that it deploys, and its options on the command line.
pub(super) struct StrategyCase {
    pub(super) strategy: &'static str,
    pub(super) farm: &'static str,
    pub(super) sample: Sample,
    options: &'static [&'static str],
}

pub(super) const CASES: [StrategyCase; 5] = [
    StrategyCase { strategy: "see-saw", farm: "web", sample: Sample::Servers, options: &[] },
    StrategyCase { strategy: "see-saw", farm: "web", sample: Sample::Route, options: &[] },
    StrategyCase {
        strategy: "rolling",
        farm: "web",
        sample: Sample::Servers,
        options: &["--batch", "2", "--settle", "0s"],
    },
    StrategyCase { strategy: "blue-green", farm: "shop", sample: Sample::BlueGreen, options: &[] },
    StrategyCase {
        strategy: "canary",
        farm: "web",
        sample: Sample::Servers,
        options: &["--steps", "10%", "--pause", "10ms"],
    },
];

impl StrategyCase {
    /// The arguments of `teeter begin`, with more of them.
    pub(super) fn begin(&self, more: &[&'static str]) -> Vec<&'static str> {
        let begin = ["begin", self.farm, "--strategy", self.strategy];
        begin.iter().chain(self.options).chain(more).copied().collect()
    }
}
