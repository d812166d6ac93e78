//! A text above the panes, such as the help or the sessions on a server.

/// A text above the panes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Overlay {
    pub(super) title: String,
    pub(super) lines: Vec<String>,
    /// The first line that is shown.
    pub(super) from: usize,
    /// The selectors of the servers whose sessions it lists, if it does.
    pub(super) sessions: Option<Vec<String>>,
}

impl Overlay {
    /// A text under a title.
    pub(super) fn new(title: impl Into<String>, text: &str) -> Self {
        let lines = text.lines().map(str::to_owned).collect();
        Self { title: title.into(), lines, from: 0, sessions: None }
    }

    /// Moves the text up or down; its last line stays on the screen.
    pub(super) fn scroll(&mut self, by: isize) {
        self.from = self.from.saturating_add_signed(by).min(self.lines.len().saturating_sub(1));
    }

    /// The help, with the keys that change traffic only if they may.
    pub(super) fn help(allows_changes: bool) -> Self {
        let changes = if allows_changes { CHANGES } else { "" };
        Self::new("Help", &format!("{KEYS}{changes}{COLUMNS}"))
    }
}

const KEYS: &str = "\
up, down, k, j   move; PgUp, PgDn, Home, End move further
Enter            on a server: list its sessions; on a farm or group: fold it
/                filter: type words, Enter keeps them, Esc shows all again
s                sort by name, state, requests in flight, queue, rate
Tab              go to the servers, the runs, the HAProxys
n                list the notes of teeterd
Esc              go back
q, Ctrl-C        quit; nothing else ends because of that
";

const CHANGES: &str = "
d                drain the server, or all of the group: sticky clients may finish
m                maintenance: no clients at all
r                ready: end your hold; it comes back once teeter has verified it
f                flip the farm to this group; on the farm itself: to all groups
                 Each asks first, and names the servers and how many stay.
";

const COLUMNS: &str = "
STATUS           HAProxy's word; red: takes no traffic, yellow: held
FLIGHT           requests in flight, and connections in use
QUEUE            requests that wait for the server
REQ/S            requests a second between the last two looks; their course
CHECK            the result of HAProxy's last check
DRIFT            set outside: another program has changed the state
                 not agreed: HAProxy does not agree with the store yet
HELD BY          owner and reason of the hold, or another cause
";
