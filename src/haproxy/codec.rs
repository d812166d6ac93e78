//! Framing: where one reply ends and the next begins. It does not look at the meaning of a reply.
//!
//! A connection carries one line, which begins with `prompt`. HAProxy up to 3.1 then ends every reply, also the one to
//! `prompt`, with a newline and `> ` ([`Quirk::PromptAfterEachReply`]). Since 3.2 an empty line ends every reply, also
//! the one to `prompt`, and `> ` comes after the last reply. The codec does not know the version, which only a reply
//! has. It looks at the bytes after the first newline: the reply to `show info`, which is never empty and never begins
//! with `>`.
//!
//! In a table with quoted fields, a mark inside quotes does not end the reply. HAProxy up to 2.6 prints a server's
//! answer to a check with its newlines, so the answer may contain a prompt or an empty line.
//!
//! [`Quirk::PromptAfterEachReply`]: super::Quirk::PromptAfterEachReply

use bytes::{Bytes, BytesMut};
use memchr::memmem;
use tokio_util::codec::{Decoder, Encoder};

use super::error::FrameError;
use super::line::Line;

/// Writes one [`Line`] and reads the replies to it: one frame for each reply, without the bytes that end the reply.
#[derive(Debug)]
pub struct Codec {
    ending: Ending,
    /// For each expected reply, whether it may have quoted fields.
    quotes: Vec<bool>,
    seen: usize,
    /// Where the search for the end of the reply continues.
    scanned: usize,
    /// Up to where the quotes are counted, and whether a quoted field is open there.
    counted: (usize, bool),
    /// How many bytes of replies may still follow.
    budget: usize,
}

/// How the process at the other end marks the end of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Unknown,
    Prompt,
    EmptyLine,
}

impl Codec {
    /// A codec that takes at most `budget` bytes of replies.
    pub fn new(budget: usize) -> Self {
        Self { ending: Ending::Unknown, quotes: Vec::new(), seen: 0, scanned: 0, counted: (0, false), budget }
    }

    /// Whether every reply to the line has been read.
    pub fn is_done(&self) -> bool {
        self.seen == self.quotes.len()
    }

    /// The number of replies read so far.
    pub fn seen(&self) -> usize {
        self.seen
    }

    /// Whether a place is inside quotes. A quote inside a field is doubled: it closes and opens the field again.
    fn is_quoted(&mut self, bytes: &[u8], place: usize) -> bool {
        let (counted, open) = self.counted;
        let new_quotes = memchr::memchr_iter(b'"', &bytes[counted..place]).count();
        self.counted = (place, open ^ (new_quotes % 2 == 1));
        self.counted.1
    }

    fn frame(&mut self, bytes: &mut BytesMut, body: usize, end: usize) -> Result<Option<Bytes>, FrameError> {
        self.budget = self.budget.checked_sub(body + end).ok_or(FrameError::TooLong)?;
        (self.scanned, self.counted) = (0, (0, false));
        self.seen += 1;
        let frame = bytes.split_to(body + end).freeze();
        Ok(Some(frame.slice(..body)))
    }
}

impl Decoder for Codec {
    type Item = Bytes;
    type Error = FrameError;

    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        if self.is_done() || bytes.is_empty() {
            return Ok(None);
        }
        if self.ending == Ending::Unknown {
            if bytes.starts_with(PROMPT) {
                let _ = bytes.split_to(PROMPT.len());
                self.ending = Ending::Prompt;
            } else if PROMPT.starts_with(bytes) {
                return Ok(None);
            } else {
                if bytes.starts_with(b"\n") {
                    let _ = bytes.split_to(1);
                }
                self.ending = Ending::EmptyLine;
            }
        }
        let (mark, kept) = match self.ending {
            Ending::Prompt => (PROMPT, 0),
            // A reply without text is its empty line alone.
            Ending::EmptyLine if bytes.first() == Some(&b'\n') => return self.frame(bytes, 0, 1),
            Ending::EmptyLine | Ending::Unknown => (EMPTY_LINE, 1),
        };
        // A refusal is not a table.
        let quotes = self.quotes.get(self.seen).is_some_and(|quotes| *quotes) && bytes.starts_with(b"#");
        while let Some(at) = memmem::find(&bytes[self.scanned..], mark) {
            let end = self.scanned + at;
            if !(quotes && self.is_quoted(bytes, end)) {
                return self.frame(bytes, end + kept, mark.len() - kept);
            }
            self.scanned = end + 1;
        }
        // The mark may be cut in two at the end of the bytes that have arrived.
        self.scanned = bytes.len().saturating_sub(mark.len() - 1);
        if bytes.len() > self.budget { Err(FrameError::TooLong) } else { Ok(None) }
    }

    fn decode_eof(&mut self, bytes: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        match self.decode(bytes)? {
            Some(frame) => Ok(Some(frame)),
            None if self.is_done() => Ok(None),
            None => Err(FrameError::Truncated { seen: self.seen, expected: self.quotes.len() }),
        }
    }
}

impl Encoder<&Line> for Codec {
    type Error = FrameError;

    fn encode(&mut self, line: &Line, bytes: &mut BytesMut) -> Result<(), FrameError> {
        self.quotes.extend_from_slice(line.quotes());
        bytes.extend_from_slice(line.to_wire().as_bytes());
        Ok(())
    }
}

const PROMPT: &[u8] = b"\n> ";
const EMPTY_LINE: &[u8] = b"\n\n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::haproxy::commands::{ShowCliLevel, ShowStat};
    use proptest::prelude::*;

    fn frames(wire: &[u8], commands: usize, chunk: usize) -> Result<Vec<String>, FrameError> {
        let mut line = Line::new();
        for _ in 1..commands {
            let _ = line.push(&ShowCliLevel);
        }
        frames_of(&line, wire, chunk)
    }

    fn frames_of(line: &Line, wire: &[u8], chunk: usize) -> Result<Vec<String>, FrameError> {
        let mut codec = Codec::new(1 << 20);
        codec.encode(line, &mut BytesMut::new())?;
        let (mut bytes, mut frames) = (BytesMut::new(), Vec::new());
        for part in wire.chunks(chunk.max(1)) {
            bytes.extend_from_slice(part);
            while let Some(frame) = codec.decode(&mut bytes)? {
                frames.push(String::from_utf8_lossy(&frame).into_owned());
            }
        }
        while !codec.is_done() {
            if let Some(frame) = codec.decode_eof(&mut bytes)? {
                frames.push(String::from_utf8_lossy(&frame).into_owned());
            }
        }
        Ok(frames)
    }

    // The same line on two versions: show info (shortened), set server state, an unknown server, a bad weight
    // (whose message lacks its newline on 2.6) and show cli level.
    const ON_2_6: &[u8] = b"\n> Name: HAProxy\nPid: 7\n\n> \n> No such server.\n\n> Empty weight\n> admin\n\n> ";
    const ON_3_2: &[u8] = b"\nName: HAProxy\nPid: 7\n\n\nNo such server.\n\nEmpty weight\n\nadmin\n\n> ";

    #[test]
    fn both_dialects_give_the_same_replies() {
        let expected = ["Name: HAProxy\nPid: 7", "", "No such server.", "Empty weight", "admin"];
        for wire in [ON_2_6, ON_3_2] {
            let got = frames(wire, 5, usize::MAX).unwrap();
            let got: Vec<&str> = got.iter().map(|frame| frame.trim_end()).collect();
            assert_eq!(got, expected);
        }
    }

    #[test]
    fn a_mark_inside_quotes_does_not_end_a_reply() {
        let table = "# pxname,last_chk,x\napp,\"Host\n> \n\n\"\"x,y\n> # pxname\n\n> end\",7\napp,,8\n";
        let mut line = Line::new();
        let _ = line.push(&ShowStat::default());
        let _ = line.push(&ShowCliLevel);
        let on_2_6 = format!("\n> Name: HAProxy\n\n> {table}\n> admin\n\n> ");
        let on_3_2 = format!("\nName: HAProxy\n\n{table}\nadmin\n\n> ");
        for (wire, chunk) in [(&on_2_6, 1), (&on_2_6, 7), (&on_2_6, 999), (&on_3_2, 1), (&on_3_2, 7), (&on_3_2, 999)] {
            let got = frames_of(&line, wire.as_bytes(), chunk).unwrap();
            assert_eq!(got.iter().map(|frame| frame.trim_end()).collect::<Vec<_>>()[1..], [table.trim_end(), "admin"]);
        }
        // A refusal may have any number of quotes.
        let refused = frames_of(&line, b"\n> Name: HAProxy\n\n> No \"such\n\n> admin\n\n> ", 999).unwrap();
        assert_eq!(refused[1..], ["No \"such\n", "admin\n"]);
    }

    #[test]
    fn an_early_end_is_an_error() {
        for wire in [&ON_2_6[..40], &ON_3_2[..40], b"".as_slice(), b"\n".as_slice()] {
            assert!(matches!(frames(wire, 5, 7), Err(FrameError::Truncated { .. })));
        }
    }

    #[test]
    fn an_endless_reply_is_cut_off() {
        let mut codec = Codec::new(1000);
        codec.encode(&Line::new(), &mut BytesMut::new()).unwrap();
        let mut bytes = BytesMut::from(vec![b'x'; 1001].as_slice());
        assert!(matches!(codec.decode(&mut bytes), Err(FrameError::TooLong)));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_frames(chunk in 1usize..60) {
            for wire in [ON_2_6, ON_3_2] {
                prop_assert_eq!(frames(wire, 5, chunk).unwrap(), frames(wire, 5, usize::MAX).unwrap());
            }
        }

        #[test]
        fn no_bytes_make_the_codec_panic(wire in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'>'), Just(b' '), any::<u8>()], 0..200), chunk in 1usize..60) {
            let _ = frames(&wire, 3, chunk);
        }
    }
}
