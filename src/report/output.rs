//! The two streams: data on standard output, words on standard error.

use std::io::{self, IsTerminal, Write};

use super::{Exit, Failure};

/// Whether text is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// ANSI colours are understood and wanted.
    pub colour: bool,
}

impl Style {
    /// No colours.
    pub const PLAIN: Self = Self { colour: false };

    /// Colours on a terminal, unless `NO_COLOR` is set.
    pub fn of(stream: &impl IsTerminal) -> Self {
        Self { colour: stream.is_terminal() && std::env::var_os("NO_COLOR").is_none() }
    }

    /// For what went wrong.
    pub fn red(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// For what went well.
    pub fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// For what needs attention.
    pub fn yellow(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// For what helps.
    pub fn cyan(self, text: &str) -> String {
        self.paint("36", text)
    }

    /// For headings.
    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// For what may be passed over.
    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// One of the streams, with its style.
pub struct Output<W> {
    stream: W,
    /// How to write to it.
    pub style: Style,
    /// People read it as it is written.
    pub is_terminal: bool,
    closed: bool,
}

/// Standard output: data alone.
pub fn data() -> Output<io::StdoutLock<'static>> {
    of(io::stdout().lock())
}

/// Standard error: everything for people.
pub fn notes() -> Output<io::Stderr> {
    of(io::stderr())
}

fn of<W: IsTerminal>(stream: W) -> Output<W> {
    Output { style: Style::of(&stream), is_terminal: stream.is_terminal(), stream, closed: false }
}

impl<W: Write> Output<W> {
    /// Writes one line. A reader that has gone away (`| head`) is no failure; see [`Self::is_closed`].
    ///
    /// # Errors
    /// Any other failure to write: data would be lost in silence.
    pub fn line(&mut self, text: impl AsRef<[u8]>) -> Result<(), Failure> {
        if self.closed {
            return Ok(());
        }
        let written = self.stream.write_all(text.as_ref()).and_then(|()| self.stream.write_all(b"\n"));
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            other => other.map_err(|error| Failure::of_error(Exit::Unavailable, &error)),
        }
    }

    /// Whether the reader has gone away.
    pub fn is_closed(&self) -> bool {
        self.closed
    }
}
