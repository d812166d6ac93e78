//! How the screen is divided. Pure: the size and what there is to show are arguments.

/// The pane that has the keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Focus {
    #[default]
    Servers,
    Runs,
    Haproxys,
}

impl Focus {
    /// The next one.
    pub(super) fn next(self) -> Self {
        match self {
            Self::Servers => Self::Runs,
            Self::Runs => Self::Haproxys,
            Self::Haproxys => Self::Servers,
        }
    }
}

/// The rows of each part of the screen, from above to below; 0 where a part is not shown. The last row is the line of
/// keys and messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// The numbers of all servers, the time, and whether the data is old.
    pub(super) head: u16,
    /// The table with its heading.
    pub(super) servers: u16,
    /// What is known of the server under the cursor.
    pub(super) detail: u16,
    pub(super) runs: u16,
    pub(super) haproxys: u16,
    pub(super) foot: u16,
}

impl Layout {
    /// Divides `rows` rows. `runs` and `haproxys` are the rows that these panes could fill, without their headings.
    pub(super) fn of(rows: u16, focus: Focus, runs: u16, haproxys: u16) -> Self {
        let foot = u16::from(rows > 1);
        let head = match rows {
            0 => 0,
            1..10 => 1,
            _ => 2,
        };
        let rest = rows.saturating_sub(head + foot);
        let mut layout = Self { head, foot, ..Self::default() };
        // In a low terminal the pane that has the keys is alone.
        if rest < ALL_PANES {
            match focus {
                Focus::Servers => layout.servers = rest,
                Focus::Runs => layout.runs = rest,
                Focus::Haproxys => layout.haproxys = rest,
            }
            return layout;
        }
        layout.detail = 2;
        let rest = rest - layout.detail;
        let share = |wanted: u16| (wanted + 1).min((rest / 5).max(2));
        (layout.runs, layout.haproxys) = (share(runs), share(haproxys));
        let large = |wanted: u16, other: u16| (wanted + 1).clamp(2, rest.saturating_sub(other + LEAST_TABLE).max(2));
        match focus {
            Focus::Servers => {}
            Focus::Runs => layout.runs = large(runs, layout.haproxys).max(layout.runs),
            Focus::Haproxys => layout.haproxys = large(haproxys, layout.runs).max(layout.haproxys),
        }
        layout.servers = rest.saturating_sub(layout.runs + layout.haproxys);
        layout
    }

    /// The rows for lines of the table.
    pub(super) fn table(&self) -> usize {
        usize::from(self.servers.saturating_sub(1))
    }
}

/// The fewest rows, without head and foot, for all panes at once.
const ALL_PANES: u16 = 13;

/// The fewest rows of the table beside a large pane.
const LEAST_TABLE: u16 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_fill_the_screen_and_no_more() {
        for rows in 0..80 {
            for focus in [Focus::Servers, Focus::Runs, Focus::Haproxys] {
                for (runs, haproxys) in [(0, 1), (3, 2), (40, 40)] {
                    let parts = Layout::of(rows, focus, runs, haproxys);
                    let Layout { head, servers, detail, runs, haproxys, foot } = parts;
                    assert_eq!(head + servers + detail + runs + haproxys + foot, rows, "{parts:?}");
                    assert!(rows < 16 || servers >= 4, "{rows}: {parts:?}");
                }
            }
        }
    }
}
