//! The size of a terminal.

use std::os::fd::AsFd;

/// The columns and rows of the terminal of an output; `None` if it is no terminal, or does not say.
pub(super) fn size(output: impl AsFd) -> (Option<usize>, Option<usize>) {
    let size = rustix::termios::tcgetwinsize(output).ok();
    let cells = |cells: Option<u16>| cells.filter(|cells| *cells > 0).map(usize::from);
    (cells(size.map(|size| size.ws_col)), cells(size.map(|size| size.ws_row)))
}
