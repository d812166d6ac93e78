//! The last row: a message, what is being typed, or the keys.

use ratatui::layout::Rect;

use super::pen::Pen;
use crate::cli::paint::Ink;
use crate::cli::top::state::{Above, State};

pub(super) fn draw(pen: &mut Pen<'_>, area: Rect, state: &State) {
    let (text, ink) = match (&state.above, &state.message, &state.sending) {
        (Above::Filter, ..) => (format!("/{}_   Enter keeps the filter, Esc shows all", state.filter), Ink::Heading),
        (Above::Text(text), ..) if text.sessions.is_some() => {
            ("Esc back  Enter reads them again  up, down".to_owned(), Ink::Faint)
        }
        (Above::Text(_), ..) => ("Esc back  up, down, PgUp, PgDn".to_owned(), Ink::Faint),
        (Above::Question(_), ..) => ("Esc changes nothing".to_owned(), Ink::Faint),
        (Above::Nothing, Some((text, true)), _) => (text.clone(), Ink::Bad),
        (Above::Nothing, _, Some(command)) => (format!("sending: {command}"), Ink::Held),
        (Above::Nothing, Some((text, false)), None) => (text.clone(), Ink::Held),
        (Above::Nothing, None, None) => {
            let changes = if state.allows_changes { "  d drain  m maint  r ready  f flip" } else { "" };
            (format!("? help  / filter  s sort  Enter sessions  Tab panes{changes}  q quit"), Ink::Faint)
        }
    };
    pen.line(area, 0, &text, ink);
}
