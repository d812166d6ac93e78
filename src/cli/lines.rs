//! Splits the bytes of a pipe into lines that are safe to print.

use crate::api::LONGEST_OUTPUT_LINE;
use crate::control::harmless::harmless;

/// The start of a line whose end has not arrived yet.
#[derive(Debug, Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// The lines that end in these bytes. A line that is too long is broken, so that no line fills the memory.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let mut part = part;
            while self.partial.len() + part.len() > LONGEST_OUTPUT_LINE {
                let (now, later) = part.split_at(LONGEST_OUTPUT_LINE - self.partial.len());
                self.partial.extend_from_slice(now);
                part = later;
                let rest = self.partial.split_off(whole(&self.partial));
                self.finish(&mut lines);
                self.partial = rest;
            }
            self.partial.extend_from_slice(part);
            if self.partial.ends_with(b"\n") {
                self.finish(&mut lines);
            }
        }
        lines
    }

    /// The rest at the end of the output.
    pub(super) fn end(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        if !self.partial.is_empty() {
            self.finish(&mut lines);
        }
        lines
    }

    fn finish(&mut self, lines: &mut Vec<String>) {
        let begun = std::mem::take(&mut self.partial);
        let line = begun.strip_suffix(b"\n").unwrap_or(&begun);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        // A progress bar overwrites itself: each of its states is a line.
        lines.extend(line.split(|byte| *byte == b'\r').map(harmless));
    }
}

/// The number of bytes that are complete characters, if they are UTF-8 at all.
fn whole(bytes: &[u8]) -> usize {
    let starts = |byte: &u8| byte & 0b1100_0000 != 0b1000_0000;
    match bytes.iter().rev().take(4).position(starts) {
        Some(back) if bytes[bytes.len() - 1 - back] >= 0b1100_0000 => bytes.len() - 1 - back,
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_that_bytes_arrive_in_do_not_change_the_lines() {
        let text = "one\r\ntwo für\n\n10%\r100%\n\x1b[1mlast".as_bytes();
        for size in 1..text.len() {
            let mut lines = Lines::default();
            let mut all: Vec<String> = text.chunks(size).flat_map(|piece| lines.push(piece)).collect();
            all.extend(lines.end());
            assert_eq!(all, ["one", "two für", "", "10%", "100%", "last"], "{size}");
        }
    }

    #[test]
    fn an_endless_line_is_broken_without_loss() {
        let text = "ü".repeat(3 * LONGEST_OUTPUT_LINE);
        let mut lines = Lines::default();
        let mut all = lines.push(format!("x{text}").as_bytes());
        assert!(all.iter().all(|line| line.len() <= LONGEST_OUTPUT_LINE));
        assert!(lines.partial.len() <= LONGEST_OUTPUT_LINE);
        all.extend(lines.end());
        assert_eq!(all.concat(), format!("x{text}"));
    }
}
