//! The table of servers, and what is known of the one under the cursor.

use ratatui::layout::Rect;

use super::pen::{Pen, Place};
use crate::cli::args::ServerState;
use crate::cli::live::curve;
use crate::cli::paint::Ink;
use crate::cli::top::layout::Focus;
use crate::cli::top::listing::{Item, Order, Sum};
use crate::cli::top::servers::RowView;
use crate::cli::top::state::State;

/// The columns beside the name, each with its width; 0 where there is no room for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Columns {
    name: u16,
    status: u16,
    version: u16,
    flight: u16,
    queue: u16,
    rate: u16,
    trend: u16,
    check: u16,
    drift: u16,
    held_by: u16,
}

impl Columns {
    fn of(width: u16) -> Self {
        let mut columns = match width {
            0..30 => Self { status: 7, ..Self::NONE },
            30..50 => Self { status: 8, flight: 6, ..Self::NONE },
            50..72 => Self { status: 8, flight: 6, rate: 6, held_by: 10, ..Self::NONE },
            72..110 => Self { status: 8, flight: 6, queue: 5, rate: 6, trend: 8, held_by: 17, ..Self::NONE },
            110..150 => {
                let (trend, held_by) = (10, 24);
                Self { status: 9, version: 8, flight: 6, queue: 5, rate: 6, trend, check: 10, held_by, ..Self::NONE }
            }
            _ => Self {
                name: 0,
                status: 12,
                version: 14,
                flight: 7,
                queue: 6,
                rate: 7,
                trend: 16,
                check: 16,
                drift: 11,
                held_by: 24,
            },
        };
        let others = columns.all().into_iter().skip(1).filter(|width| *width > 0).map(|width| width + 1).sum::<u16>();
        columns.name = width.saturating_sub(others);
        // Names rarely need more; the rest is for reasons.
        if columns.held_by > 0 && columns.name > LONGEST_NAME {
            columns.held_by += columns.name - LONGEST_NAME;
            columns.name = LONGEST_NAME;
        }
        columns
    }

    const NONE: Self =
        Self { name: 0, status: 0, version: 0, flight: 0, queue: 0, rate: 0, trend: 0, check: 0, drift: 0, held_by: 0 };

    fn all(&self) -> [u16; 10] {
        let Self { name, status, version, flight, queue, rate, trend, check, drift, held_by } = *self;
        [name, status, version, flight, queue, rate, trend, check, drift, held_by]
    }

    /// The column and the width of each.
    fn places(&self, row: u16) -> [Place; 10] {
        let mut column = 0;
        self.all().map(|room| {
            let place = Place { row, column, room };
            column += if room > 0 { room + 1 } else { 0 };
            place
        })
    }
}

/// The longest name that does not take room from the reasons.
const LONGEST_NAME: u16 = 48;

/// The columns that hold numbers.
const NUMBERS: [usize; 3] = [3, 4, 5];

pub(super) fn draw(pen: &mut Pen<'_>, area: Rect, state: &State) {
    if area.height == 0 {
        return;
    }
    let columns = Columns::of(area.width);
    pen.heading(area, "", state.focus == Focus::Servers);
    let heads = ["SERVER", "STATUS", "VERSION", "FLIGHT", "QUEUE", "REQ/S", "", "CHECK", "DRIFT", "HELD BY"];
    put_row(pen, area, &columns.places(0), &heads.map(str::to_owned), &[Ink::Heading; 10]);
    let several = state.several();
    for ((at, item), row) in state.shown().zip(1..) {
        let places = columns.places(row);
        match item {
            Item::Heading { name, farm, folded, sum, .. } => {
                let mark = match (folded, pen.marks.now) {
                    (true, mark) => mark,
                    (false, ">") => "v",
                    (false, _) => "▾",
                };
                let indent = if *farm || !is_below_farm(item) { "" } else { "  " };
                let text = format!("{indent}{mark} {name}  {}: {}", sum.servers(), sum.summary);
                put_heading(pen, area, &places, &text, sum);
            }
            Item::Server(_) => {
                let Some(server) = state.row(item) else { continue };
                let indent = indent(state, server);
                let (cells, inks) = cells(pen, server, several, indent, columns);
                put_row(pen, area, &places, &cells, &inks);
            }
        }
        if at == state.cursor && state.focus == Focus::Servers {
            pen.mark(area, row);
        }
    }
    if state.listing.items.is_empty() {
        let text = if state.filter.is_empty() {
            "HAProxy has no servers".to_owned()
        } else {
            format!("no server contains {:?}; Esc shows all", state.filter)
        };
        pen.line(area, 1, &text, Ink::Plain);
    }
}

fn is_below_farm(item: &Item) -> bool {
    matches!(item, Item::Heading { id, .. } if id.starts_with("farm:"))
}

fn indent(state: &State, server: RowView<'_>) -> &'static str {
    match (state.shape.order, &server.server().farm, &server.server().group) {
        (Order::Names, Some(_), Some(_)) => "    ",
        (Order::Names, ..) => "  ",
        _ => "",
    }
}

/// A heading takes the columns up to the numbers.
fn put_heading(pen: &mut Pen<'_>, area: Rect, places: &[Place; 10], text: &str, sum: &Sum) {
    let numbers = places.iter().enumerate().find(|(at, place)| NUMBERS.contains(at) && place.room > 0);
    let room = numbers.map_or(area.width, |(_, place)| place.column.saturating_sub(1));
    pen.put(area, Place { room, ..places[0] }, text, Ink::Heading);
    let rate = sum.rate.map(|rate| rate.to_string()).unwrap_or_default();
    for (at, text) in NUMBERS.into_iter().zip([short(sum.summary.in_flight), short(sum.queued), rate]) {
        pen.put_right(area, places[at], &text, Ink::Heading);
    }
}

fn put_row(pen: &mut Pen<'_>, area: Rect, places: &[Place; 10], cells: &[String; 10], inks: &[Ink; 10]) {
    for (at, place) in places.iter().enumerate().filter(|(_, place)| place.room > 0) {
        if NUMBERS.contains(&at) {
            pen.put_right(area, *place, &cells[at], inks[at]);
        } else {
            pen.put(area, *place, &cells[at], inks[at]);
        }
    }
}

fn cells(pen: &Pen<'_>, row: RowView<'_>, several: bool, indent: &str, columns: Columns) -> ([String; 10], [Ink; 10]) {
    let rates = row.rates();
    let latest = rates.get(rates.len().saturating_sub(usize::from(columns.trend))..).unwrap_or_default();
    let ink = ink(row.state());
    let queued = if row.queued() > 0 { Ink::Bad } else { Ink::Plain };
    let drift = row.drift();
    let cells = [
        format!("{indent}{}", row.name(several)),
        row.status().to_owned(),
        row.version().unwrap_or("-").to_owned(),
        short(row.in_flight()),
        short(row.queued()),
        row.rate().map_or_else(|| "-".to_owned(), short),
        curve(latest, pen.marks),
        row.server().last_check.clone(),
        drift.to_owned(),
        row.held_by(),
    ];
    let plain = Ink::Plain;
    (cells, [ink, ink, plain, plain, queued, plain, plain, plain, Ink::Bad, ink])
}

fn ink(state: ServerState) -> Ink {
    match state {
        ServerState::Up => Ink::Plain,
        ServerState::Down => Ink::Bad,
        ServerState::Held | ServerState::Out => Ink::Held,
        ServerState::Unknown => Ink::Faint,
    }
}

/// A number in five characters at most.
fn short(number: u64) -> String {
    match number {
        0..100_000 => number.to_string(),
        100_000..10_000_000 => format!("{}k", number / 1000),
        _ => format!("{}M", number / 1_000_000),
    }
}

/// The server under the cursor in two rows, with what a narrow table leaves out.
pub(super) fn draw_detail(pen: &mut Pen<'_>, area: Rect, state: &State) {
    let Some(row) = state.item().and_then(|item| state.row(item)) else { return };
    let server = row.server();
    let mut parts = vec![row.name(state.several()), server.address.clone(), row.status().to_owned()];
    parts.extend(row.version().map(|version| format!("version {version}")));
    parts.push(format!("weight {}", server.weight));
    parts.extend(server.backup.then(|| "backup".to_owned()));
    parts.push(format!("{} idle", server.idle));
    parts.extend((!server.last_check.is_empty()).then(|| format!("check {}", server.last_check)));
    parts.extend((!row.drift().is_empty()).then(|| row.drift().to_owned()));
    pen.line(area, 0, &parts.join("  "), Ink::Faint);
    let held_by = row.held_by();
    let old = row.lines().flat_map(|line| &line.old);
    let old = old.map(|old| format!("{} in flight in process {}, which a reload left behind", old.in_flight, old.pid));
    let held = (!held_by.is_empty()).then(|| format!("held by {held_by}"));
    pen.line(area, 1, &held.into_iter().chain(old).collect::<Vec<_>>().join("  "), ink(row.state()));
}
