//! What `--help` teaches beyond the list of options: examples, and what exit codes mean.

/// After the list of commands.
pub(super) const AFTER: &str = "\
Exit codes:
  0  done                  5  timed out
  1  failed                6  refused by a guard
  2  not understood        7  aborted, or the hold was ended by somebody else
  3  not found             8  busy: another run or hold is in the way
  4  not permitted         9  HAProxy or teeterd does not answer

Times need a unit: 200ms, 30s, 5m, 2h, 3d, 1w. `teeter COMMAND --help` has examples.";

/// Of `teeter drain`.
pub(super) const DRAIN: &str = "\
Examples:
  teeter drain app/web01 --reason 'new kernel' --for 2h
  teeter drain --host 10.0.0.7 --reason 'new kernel' --for 2h --all-but-min
  teeter drain farm:web/a --reason deploy --grace 30s --on-deadline kill";

/// Of `teeter maint`.
pub(super) const MAINT: &str = "\
Examples:
  teeter maint web01 --reason 'disk full'
  teeter maint --host 10.0.0.7:8080 --reason 'new kernel' --for 2h
  teeter maint 'app/web0[12]' --reason move --no-wait";

/// Of `teeter deploy`.
pub(super) const DEPLOY: &str = "\
Examples:
  teeter deploy web --to v2 --dry-run
  teeter deploy web --to v2 -- ./install.sh
  teeter deploy web --per-server -- sh -c 'ssh $TEETER_SERVERS install-app'

  teeter deploy web --to v2 --strategy rolling --batch 25% -- ./install.sh
  teeter deploy web --strategy blue-green --after-in ./warm.sh -- ./install.sh

A hook that exits with anything but 0 fails the run, which then stops where it is: `teeter show` says what to do.";

/// Of `teeter begin`.
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

What is not reported as failed counts as done. TEETER_GROUP is empty once the run has ended. `work=$(…) || exit` ends
the script when teeter fails or is not there, which `eval \"$(…)\"` alone would not notice.";

/// Of `teeter advance`.
pub(super) const ADVANCE: &str = "\
Examples:
  work=$(teeter advance 3 --step \"$TEETER_STEP\") && eval \"$work\"
  teeter advance 3 --failed 'package not found'
  teeter advance 3                                try the step that failed again

With --failed, 0 says that the failure was recorded.";

/// Of `teeter flip`.
pub(super) const FLIP: &str = "\
Examples:
  teeter flip web b --dry-run
  teeter flip web b               group b gets the traffic, the others stand by
  teeter flip web all             everybody again

Where the farm has a route, no request that begins after the first answer of the new side is served by the old one,
within one HAProxy and unless `sticky` lets clients stay. Without a route servers are turned one after the other, and
`teeter show` says how long that took.";

/// Of `teeter idle`.
pub(super) const IDLE: &str = "\
Example:
  idle=$(teeter idle web) && eval \"$idle\" && install-app --on \"$TEETER_SERVERS\"

Sets TEETER_FARM, TEETER_GROUP, TEETER_SERVERS and TEETER_ADDRESSES. `teeter deploy web --strategy blue-green` works on
that group by itself.";

/// Of `teeter store`.
pub(super) const STORE: &str = "\
Examples:
  teeter store backup /var/backups/teeter-2026-11-21.db
  teeter store verify /var/backups/teeter-2026-11-21.db

Where teeterd is stopped, a backup takes the place of its store, without the -wal and -shm that may be beside it.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use crate::cli::args::Cli;

    /// A terminal of 80 columns breaks what is longer, and a broken command is another one when it is copied.
    #[test]
    fn every_example_fits_on_a_terminal() {
        let cli = Cli::command();
        let texts = cli.get_subcommands().chain([&cli]).filter_map(|command| command.get_after_help());
        let texts: Vec<String> = texts.map(ToString::to_string).collect();
        assert!(texts.len() > 10, "{texts:?}");
        let long = texts.iter().flat_map(|text| text.lines()).filter(|line| line.starts_with("  ") && line.len() > 80);
        assert_eq!(long.collect::<Vec<_>>(), Vec::<&str>::new());
    }
}
