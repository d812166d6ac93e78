//! Bytes as they come out of a pipe, made lines that can be printed.

use crate::api::LONGEST_OUTPUT_LINE;
use crate::control::harmless::harmless;

/// The beginning of a line whose end has not come yet.
#[derive(Debug, Default)]
pub(super) struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    /// The lines that end in these bytes. One that is too long is broken, so that no line fills the memory.
    pub(super) fn of(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let mut part = part;
            while self.begun.len() + part.len() > LONGEST_OUTPUT_LINE {
                let (now, later) = part.split_at(LONGEST_OUTPUT_LINE - self.begun.len());
                self.begun.extend_from_slice(now);
                part = later;
                let rest = self.begun.split_off(whole(&self.begun));
                self.finish(&mut lines);
                self.begun = rest;
            }
            self.begun.extend_from_slice(part);
            if self.begun.ends_with(b"\n") {
                self.finish(&mut lines);
            }
        }
        lines
    }

    /// What is left when no more comes.
    pub(super) fn end(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        if !self.begun.is_empty() {
            self.finish(&mut lines);
        }
        lines
    }

    fn finish(&mut self, lines: &mut Vec<String>) {
        let begun = std::mem::take(&mut self.begun);
        let line = begun.strip_suffix(b"\n").unwrap_or(&begun);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        // A bar of progress writes over itself: each of its states is a line.
        lines.extend(line.split(|byte| *byte == b'\r').map(harmless));
    }
}

/// How many of these bytes are whole characters, where they are characters at all.
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
    fn lines_are_the_same_in_whatever_pieces_they_come() {
        let text = "one\r\ntwo für\n\n10%\r100%\n\x1b[1mlast".as_bytes();
        for size in 1..text.len() {
            let mut lines = Lines::default();
            let mut all: Vec<String> = text.chunks(size).flat_map(|piece| lines.of(piece)).collect();
            all.extend(lines.end());
            assert_eq!(all, ["one", "two für", "", "10%", "100%", "last"], "{size}");
        }
    }

    #[test]
    fn a_line_without_end_is_broken_and_nothing_of_it_lost() {
        let text = "ü".repeat(3 * LONGEST_OUTPUT_LINE);
        let mut lines = Lines::default();
        let mut all = lines.of(format!("x{text}").as_bytes());
        assert!(all.iter().all(|line| line.len() <= LONGEST_OUTPUT_LINE));
        assert!(lines.begun.len() <= LONGEST_OUTPUT_LINE);
        all.extend(lines.end());
        assert_eq!(all.concat(), format!("x{text}"));
    }
}
