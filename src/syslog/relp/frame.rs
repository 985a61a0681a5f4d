//! RELP's frames: written whole, read byte by byte.
//!
//! **Invariant:** at most [`MOST_COMMAND`] + [`MOST_DATA`] bytes of a frame are kept, whatever its
//! header promises.

use std::io::Write;

/// The highest transaction number; the next one is 1.
pub(super) const LAST_NUMBER: u32 = 999_999_999;

/// The most bytes that an answer may carry. A real one to `open` has about a hundred.
pub const MOST_DATA: usize = 128 * 1024;

const MOST_COMMAND: usize = 32;
const MOST_DIGITS: u8 = 9;

/// The transaction number behind `number`.
pub(super) const fn after(number: u32) -> u32 {
    if number >= LAST_NUMBER { 1 } else { number.saturating_add(1) }
}

/// Writes one frame behind what stands in `out`.
pub(super) fn write(number: u32, command: &str, data: &[u8], out: &mut Vec<u8>) {
    // A `Vec` takes all that is written to it.
    let _written = write!(out, "{number} {command} {}", data.len());
    if !data.is_empty() {
        out.push(b' ');
        out.extend_from_slice(data);
    }
    out.push(b'\n');
}

/// Bytes that are no RELP frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// Where a transaction number belongs.
    #[error("a frame begins with byte 0x{byte:02x} in place of a number")]
    Number {
        /// The byte that is no digit, or one too many.
        byte: u8,
    },
    /// Where a command belongs.
    #[error("a frame's command has byte 0x{byte:02x} in it, or is too long")]
    Command {
        /// The byte that is no letter, or one too many.
        byte: u8,
    },
    /// Where the length belongs.
    #[error("a frame's length has byte 0x{byte:02x} in it, or is too long")]
    Length {
        /// The byte that is no digit, or one too many.
        byte: u8,
    },
    /// More data than [`MOST_DATA`].
    #[error("a frame promises {length} bytes of data, and an answer has {MOST_DATA} at most")]
    Data {
        /// What the header says.
        length: usize,
    },
    /// The data do not end where the length says.
    #[error("a frame ends with byte 0x{byte:02x} in place of a line feed")]
    Trailer {
        /// The byte that stands there.
        byte: u8,
    },
}

/// The frame that is coming in: whole when [`Incoming::take`] says so.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    part: Part,
    digits: u8,
    number: u32,
    command: Vec<u8>,
    length: usize,
    data: Vec<u8>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Number,
    Command,
    Length,
    Data,
    Trailer,
    Whole,
}

impl Incoming {
    /// Takes bytes from the front of `bytes` up to the end of the next frame; true: it is whole.
    pub(super) fn take(&mut self, bytes: &mut &[u8]) -> Result<bool, BadFrame> {
        if self.part == Part::Whole {
            self.begin();
        }
        while self.part != Part::Whole {
            if self.part == Part::Data {
                self.take_data(bytes);
            }
            let Some((&byte, rest)) = bytes.split_first() else { return Ok(false) };
            *bytes = rest;
            self.part = self.step(byte)?;
        }
        Ok(true)
    }

    /// The whole frame's transaction number.
    pub(super) const fn number(&self) -> u32 {
        self.number
    }

    /// The whole frame's command.
    pub(super) fn command(&self) -> &[u8] {
        &self.command
    }

    /// The whole frame's data.
    pub(super) fn data(&self) -> &[u8] {
        &self.data
    }

    /// Makes room for the next frame. The buffer of a large one is not kept.
    fn begin(&mut self) {
        self.part = Part::Number;
        (self.digits, self.number, self.length) = (0, 0, 0);
        self.command.clear();
        self.data.clear();
        self.data.shrink_to(KEPT);
    }

    /// What the buffers hold on to.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.command.capacity() + self.data.capacity()
    }

    fn step(&mut self, byte: u8) -> Result<Part, BadFrame> {
        match self.part {
            Part::Number => match self.digit(byte) {
                Some(digit) => {
                    self.number = self.number.saturating_mul(10).saturating_add(u32::from(digit));
                    Ok(Part::Number)
                }
                None if byte == b' ' && self.digits > 0 => Ok(Part::Command),
                None => Err(BadFrame::Number { byte }),
            },
            Part::Command => match byte {
                b' ' if !self.command.is_empty() => {
                    self.digits = 0;
                    Ok(Part::Length)
                }
                letter if letter.is_ascii_alphanumeric() && self.command.len() < MOST_COMMAND => {
                    self.command.push(letter);
                    Ok(Part::Command)
                }
                byte => Err(BadFrame::Command { byte }),
            },
            Part::Length => match self.digit(byte) {
                Some(digit) => {
                    self.length = self.length.saturating_mul(10).saturating_add(usize::from(digit));
                    Ok(Part::Length)
                }
                None if self.digits == 0 => Err(BadFrame::Length { byte }),
                None if self.length > MOST_DATA => Err(BadFrame::Data { length: self.length }),
                None if byte == b' ' => Ok(Part::Data),
                None if byte == b'\n' && self.length == 0 => Ok(Part::Whole),
                None => Err(BadFrame::Length { byte }),
            },
            // All data are there: see `take_data`.
            Part::Data | Part::Trailer | Part::Whole => match byte {
                b'\n' => Ok(Part::Whole),
                byte => Err(BadFrame::Trailer { byte }),
            },
        }
    }

    /// The digit that `byte` is, if one may stand there.
    fn digit(&mut self, byte: u8) -> Option<u8> {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10 && self.digits < MOST_DIGITS)?;
        self.digits = self.digits.saturating_add(1);
        Some(digit)
    }

    fn take_data(&mut self, bytes: &mut &[u8]) {
        let missing = self.length.saturating_sub(self.data.len());
        let (data, rest) = bytes.split_at(missing.min(bytes.len()));
        self.data.extend_from_slice(data);
        *bytes = rest;
        if self.data.len() == self.length {
            self.part = Part::Trailer;
        }
    }
}

const KEPT: usize = 1024;
