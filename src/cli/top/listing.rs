//! What the table lists: farms, groups and servers, or servers alone in the order of a number.

use std::collections::BTreeSet;

use clap::ValueEnum as _;

use super::servers::{RowView, Servers, group_of};
use crate::cli::args::ServerState;
use crate::cli::status::Summary;

/// The order of the table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Order {
    /// Farms, their groups, their servers, by name.
    #[default]
    Names,
    /// Servers that take no traffic first.
    State,
    /// The most requests in flight first.
    InFlight,
    /// The longest queue first.
    Queue,
    /// The most requests a second first.
    Rate,
}

impl Order {
    /// The next one.
    pub(super) fn next(self) -> Self {
        match self {
            Self::Names => Self::State,
            Self::State => Self::InFlight,
            Self::InFlight => Self::Queue,
            Self::Queue => Self::Rate,
            Self::Rate => Self::Names,
        }
    }

    /// The order in a word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Names => "name",
            Self::State => "state",
            Self::InFlight => "in flight",
            Self::Queue => "queue",
            Self::Rate => "rate",
        }
    }
}

/// A line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    /// A farm, or a group of one.
    Heading {
        /// What identifies it: `farm:web/a`, or `backend:app`; also its selector, if it is of a farm.
        id: String,
        /// Its name as the table shows it.
        name: String,
        /// Whether it is a farm rather than a group.
        farm: bool,
        /// Whether its servers are hidden.
        folded: bool,
        /// Numbers of its servers.
        sum: Sum,
    },
    /// A server: the number of its row.
    Server(usize),
}

/// How many servers are in which state, and their requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) summary: Summary,
    pub(super) queued: u64,
    pub(super) rate: Option<u64>,
}

impl Sum {
    fn add(&mut self, row: RowView<'_>) {
        self.summary.add(row.state(), row.in_flight());
        self.queued += row.queued();
        if let Some(rate) = row.rate() {
            self.rate = Some(self.rate.unwrap_or(0) + rate);
        }
    }

    /// The number of servers.
    pub(super) fn servers(&self) -> usize {
        self.summary.servers()
    }
}

/// What the table lists.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) items: Vec<Item>,
    /// Numbers of all listed servers, folded ones included.
    pub(super) sum: Sum,
}

/// How the table is listed.
#[derive(Debug, Default)]
pub(super) struct Shape {
    pub(super) order: Order,
    /// Lower-case words; a server is listed if it contains each.
    pub(super) words: Vec<String>,
    /// The headings whose servers are hidden.
    pub(super) folded: BTreeSet<String>,
}

impl Listing {
    /// Lists the servers.
    pub(super) fn of(servers: &Servers, shape: &Shape) -> Self {
        let chosen = servers.rows().enumerate().filter(|(_, row)| shape.words.iter().all(|word| has(*row, word)));
        let mut listing = Self::default();
        if shape.order == Order::Names {
            listing.add_tree(chosen, shape);
        } else {
            let mut rows: Vec<(usize, RowView<'_>)> = chosen.inspect(|(_, row)| listing.sum.add(*row)).collect();
            // A stable sort: rows with the same number stay in the order of names.
            rows.sort_by_key(|(_, row)| std::cmp::Reverse(number(*row, shape.order)));
            listing.items = rows.into_iter().map(|(number, _)| Item::Server(number)).collect();
        }
        listing
    }

    fn add_tree<'a>(&mut self, rows: impl Iterator<Item = (usize, RowView<'a>)>, shape: &Shape) {
        let (mut farm, mut group): (Option<usize>, Option<usize>) = (None, None);
        for (number, row) in rows {
            let view = row.server();
            let farm_id = view.farm.as_ref().map(|farm| format!("farm:{farm}"));
            if farm.and_then(|at| self.id(at)) != farm_id.as_deref() {
                farm =
                    farm_id.clone().map(|id| self.add_heading(id, view.farm.clone().unwrap_or_default(), true, shape));
                group = None;
            }
            let group_id = match &farm_id {
                Some(farm) => format!("{farm}/{}", group_of(view)),
                None => format!("backend:{}", view.backend),
            };
            // Members that are in no group stand directly below their farm.
            let has_heading = view.farm.is_none() || view.group.is_some();
            let hidden = farm.is_some_and(|at| self.is_folded(at));
            if has_heading && !hidden && group.and_then(|at| self.id(at)) != Some(group_id.as_str()) {
                group = Some(self.add_heading(group_id, group_of(view).to_owned(), false, shape));
            }
            for at in farm.into_iter().chain(group.filter(|_| has_heading && !hidden)) {
                if let Some(Item::Heading { sum, .. }) = self.items.get_mut(at) {
                    sum.add(row);
                }
            }
            self.sum.add(row);
            let folded = has_heading && group.is_some_and(|at| self.is_folded(at));
            if !hidden && !folded {
                self.items.push(Item::Server(number));
            }
        }
    }

    fn add_heading(&mut self, id: String, name: String, farm: bool, shape: &Shape) -> usize {
        let folded = shape.folded.contains(&id);
        self.items.push(Item::Heading { id, name, farm, folded, sum: Sum::default() });
        self.items.len() - 1
    }

    fn id(&self, at: usize) -> Option<&str> {
        self.items.get(at).and_then(|item| if let Item::Heading { id, .. } = item { Some(id.as_str()) } else { None })
    }

    fn is_folded(&self, at: usize) -> bool {
        matches!(self.items.get(at), Some(Item::Heading { folded: true, .. }))
    }
}

/// The number by which a row is sorted, the largest first.
fn number(row: RowView<'_>, order: Order) -> u64 {
    match order {
        Order::Names => 0,
        // What is down needs attention before what is held.
        Order::State => match row.state() {
            ServerState::Unknown => 4,
            ServerState::Down => 3,
            ServerState::Held => 2,
            ServerState::Out => 1,
            ServerState::Up => 0,
        },
        Order::InFlight => row.in_flight(),
        Order::Queue => row.queued(),
        Order::Rate => row.rate().unwrap_or(0),
    }
}

/// Whether a row contains a word: in a name, its version, or what holds it. The word for a state means that state alone.
fn has(row: RowView<'_>, word: &str) -> bool {
    let contains = |text: &str| text.to_ascii_lowercase().contains(word);
    if let Ok(state) = ServerState::from_str(word, false) {
        return row.state() == state;
    }
    row.lines().any(|line| {
        let texts = [&line.farm, &line.group, &line.version];
        texts.into_iter().flatten().any(|text| contains(text))
            || [&line.server, &line.backend, &line.instance, &line.address, &line.status]
                .into_iter()
                .any(|text| contains(text))
            || line.held_by.iter().any(|text| contains(text))
    })
}
