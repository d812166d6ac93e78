//! The parts of `--help` beside the list of options: examples, and the meaning of exit codes.

/// Printed after the list of commands.
pub(super) const AFTER: &str = "\
Exit codes:
  0  done                  5  timed out
  1  failed                6  refused by a guard
  2  not understood        7  aborted, or another user ended the hold
  3  not found             8  busy: another run or hold is in the way
  4  not permitted         9  HAProxy or teeterd does not answer
130  interrupted with Ctrl-C; the run or hold goes on

Times need a unit: 200ms, 30s, 5m, 2h, 3d, 1w. `teeter COMMAND --help` has examples.";

/// Printed after the options of `teeter status`.
pub(super) const STATUS: &str = "\
Examples:
  teeter status
  teeter status --all --watch
  teeter status --farm web --group a
  teeter status --state down --state held
  teeter status web01 'api/web0[1-4]'
  teeter status --host 10.0.0.7

A server is listed if it is named (SEL, --host), selected by state, version or holder, or not in its normal state: it
is not up, requests are queued for it, its checks fail, or a hold or another program keeps it out or changes it. A
server and the lines that track it are one row.";

/// Printed after the options of `teeter top`.
pub(super) const TOP: &str = "\
Examples:
  teeter top
  teeter top --interval 5s --filter 'web held'
  teeter top --allow-changes

Keys: the arrows move, Enter lists the sessions on a server or folds a group, / filters, s sorts, Tab goes to the runs
and to the HAProxys, Esc goes back, ? explains every key and column, q quits. It needs a terminal; where there is none,
`teeter status --watch` prints the status again and again.";

/// Printed after the options of `teeter drain`.
pub(super) const DRAIN: &str = "\
Examples:
  teeter drain app/web01 --reason 'new kernel' --for 2h
  teeter drain --host 10.0.0.7 --reason 'new kernel' --for 2h --all-but-min
  teeter drain farm:web/a --reason deploy --grace 30s --on-deadline kill";

/// Printed after the options of `teeter maint`.
pub(super) const MAINT: &str = "\
Examples:
  teeter maint web01 --reason 'disk full'
  teeter maint --host 10.0.0.7:8080 --reason 'new kernel' --for 2h
  teeter maint 'app/web0[12]' --reason move --no-wait";

/// Printed after the options of `teeter deploy`.
pub(super) const DEPLOY: &str = "\
Examples:
  teeter deploy web --to v2 --dry-run
  teeter deploy web --to v2 -- ./install.sh
  teeter deploy web --per-server -- sh -c 'ssh $TEETER_SERVERS install-app'

  teeter deploy web --to v2 --strategy rolling --batch 25% -- ./install.sh
  teeter deploy web --strategy blue-green --after-in ./warm.sh -- ./install.sh

A hook that exits with a code other than 0 fails the run. The run then stops at its step, and `teeter show` prints
the commands that continue or end it.";

/// Printed after the options of `teeter begin`.
pub(super) const BEGIN: &str = "\
Example:
  work=$(teeter begin web --to v2) || exit
  eval \"$work\"
  report() { teeter advance \"$TEETER_RUN\" --step \"$TEETER_STEP\" \"$@\"; }
  while [ -n \"$TEETER_GROUP\" ]; do
      for server in $TEETER_SERVERS; do
          install-app \"$server\" \"$TEETER_VERSION\" && continue
          report --failed \"install-app on $server\"
          exit 1
      done
      work=$(report) || exit
      eval \"$work\"
  done

Work that is not reported as failed counts as done. TEETER_GROUP is empty once the run has ended. `work=$(…) || exit`
ends the script if teeter fails or is not installed; `eval \"$(…)\"` alone would ignore that.";

/// Printed after the options of `teeter advance`.
pub(super) const ADVANCE: &str = "\
Examples:
  work=$(teeter advance 3 --step \"$TEETER_STEP\") && eval \"$work\"
  teeter advance 3 --failed 'package not found'
  teeter advance 3                                try the failed step again

With --failed, exit code 0 means that the failure was recorded.";

/// Printed after the options of `teeter flip`.
pub(super) const FLIP: &str = "\
Examples:
  teeter flip web b --dry-run
  teeter flip web b               group b gets the traffic; others: standby
  teeter flip web all             all groups get traffic again

If the farm has a route, each HAProxy switches at once: after the first answer of the new side, the old side gets no
new requests, except from sticky clients that `sticky` lets stay. Without a route, the servers are switched one after
the other, and `teeter show` prints how long that took.";

/// Printed after the options of `teeter idle`.
pub(super) const IDLE: &str = "\
Example:
  idle=$(teeter idle web) && eval \"$idle\" && install-app --on \"$TEETER_SERVERS\"

Sets TEETER_FARM, TEETER_GROUP, TEETER_SERVERS and TEETER_ADDRESSES. `teeter deploy web --strategy blue-green` chooses
that group itself.";

/// Printed after the options of `teeter report`.
pub(super) const REPORT: &str = "\
Examples:
  teeter report 3 -o run3.html
  teeter report --farm web -o web.html             the runs of the last 30 days
  teeter report --farm web --since 2026-11-01 >november.html
  teeter report 3 --json | jq '.run.drains'

A run: its timeline with each flip, the curves of drains and watches, its steps with their times, the output of its
hooks and its record. A farm: how its runs ended, how long deploys and drains took, and a table of at most 500 runs, the latest ones.

A page is one file without scripts, fonts or links: it opens in any browser, in light and dark, and prints on paper.
With --json the same data is written as one JSON document.";

/// Printed after the options of `teeter verdict`.
pub(super) const VERDICT: &str = "\
Examples:
  teeter verdict 17                           # by the settings that run 17 had
  teeter verdict --farm web --since 30d --max-5xx 0.5%
  teeter verdict --file counters.json --max-5xx 1%

THEN is the verdict at its time. A run keeps at most 32 points of each watch, and teeterd looks more often: so a
rollback may come some requests later here. Answer times (max_time) are not judged again.";

/// Printed after the options of `teeter completions`.
pub(super) const COMPLETIONS: &str = "\
Examples:
  source <(teeter completions bash)      # in ~/.bashrc
  source <(teeter completions zsh)       # in ~/.zshrc, after compinit
  teeter completions fish | source       # in ~/.config/fish/config.fish
  teeter completions powershell | Out-String | Invoke-Expression

The Debian package installs the scripts for bash, zsh and fish. Names come from teeterd; without an answer within
0.4 seconds there are none, and commands and options are completed all the same.";

/// Printed after the options of `teeter store`.
pub(super) const STORE: &str = "\
Examples:
  teeter store backup /var/backups/teeter-2026-11-21.db
  teeter store verify /var/backups/teeter-2026-11-21.db

To restore: stop teeterd, copy the backup over its store, and remove the -wal and -shm files beside the store.";

/// Printed after the options of `teeter init`.
pub(super) const INIT: &str = "\
Examples:
  sudo teeter init --cfg /etc/haproxy/haproxy.cfg
  sudo teeter init --cfg /etc/haproxy/haproxy.cfg -o /etc/teeter/teeter.toml
  teeter init --haproxy tcp://127.0.0.1:9999 --name edge

Then: teeterd --check --config FILE, start teeterd, and `teeter deploy FARM --dry-run`.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use crate::cli::args::Cli;

    /// A terminal of 80 columns breaks longer lines, and a broken command is wrong when it is copied.
    #[test]
    fn every_example_fits_into_80_columns() {
        let cli = Cli::command();
        let texts = cli.get_subcommands().chain([&cli]).filter_map(|command| command.get_after_help());
        let texts: Vec<String> = texts.map(ToString::to_string).collect();
        assert!(texts.len() > 10, "{texts:?}");
        let long = texts.iter().flat_map(|text| text.lines()).filter(|line| line.starts_with("  ") && line.len() > 80);
        assert_eq!(long.collect::<Vec<_>>(), Vec::<&str>::new());
    }
}
