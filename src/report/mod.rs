//! Failures in words for people: what went wrong, where, because of what, what to do.
//!
//! Every command ends in a value or a [`Failure`]; the one place that prints it is `main`.
//!
//! **Invariant:** data goes to standard output, everything else to standard error.

mod exit;
mod output;

use std::error::Error;
use std::fmt::Write as _;

use crate::problem::Problem;
use crate::telemetry::causes;

pub use exit::Exit;
pub use output::{Output, Style, data, notes};

/// Why a command could not do what was asked.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    what: String,
    because: Vec<String>,
    help: Option<String>,
    problems: Vec<Problem>,
}

impl Failure {
    /// A failure in one sentence without full stop.
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), because: Vec::new(), help: None, problems: Vec::new() }
    }

    /// The mistakes of one or more files.
    pub fn of_problems(problems: Vec<Problem>) -> Self {
        let count = match problems.len() {
            1 => "one mistake was found; nothing was started".to_owned(),
            n => format!("{n} mistakes were found; nothing was started"),
        };
        Self { problems, ..Self::new(Exit::Configuration, count) }
    }

    /// An error with the whole chain of its causes.
    pub fn of_error(exit: Exit, error: &(dyn Error + 'static)) -> Self {
        let mut texts = causes(error).into_iter();
        let what = texts.next().unwrap_or_default();
        Self { because: texts.collect(), ..Self::new(exit, what) }
    }

    /// Adds what lies behind it.
    #[must_use]
    pub fn because(mut self, error: &(dyn Error + 'static)) -> Self {
        self.because.extend(causes(error));
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The exit code it leads to.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// The whole message, for standard error.
    pub fn render(&self, style: Style) -> String {
        let mut text = String::new();
        for problem in &self.problems {
            text.push_str(&problem.render(style.colour));
            text.push_str("\n\n");
        }
        let (error, help) = (style.red("error"), style.cyan("help"));
        // Writing to a string cannot fail.
        writeln!(text, "{error}: {}", self.what).unwrap_or_default();
        for because in &self.because {
            writeln!(text, "  because: {because}").unwrap_or_default();
        }
        if let Some(todo) = &self.help {
            writeln!(text, "{help}: {todo}").unwrap_or_default();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_because_and_what_to_do() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot open the store in /var/lib/slackcef")]
        struct Outer(#[source] std::io::Error);
        let error = Outer(std::io::Error::from(std::io::ErrorKind::PermissionDenied));
        let failure = Failure::of_error(Exit::Unavailable, &error).help("let the service's user write there");
        assert_eq!(
            failure.render(Style::PLAIN),
            "error: cannot open the store in /var/lib/slackcef\n  because: permission denied\nhelp: let the service's user write there\n"
        );
        assert_eq!(failure.exit().code(), 69);
    }
}
