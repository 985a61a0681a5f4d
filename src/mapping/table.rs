//! Reading TOML tables so that every mistake in them is found, each with its place.
//!
//! Serde stops at the first mistake; the spanned tree is walked by hand instead. A value of the
//! wrong type, a key that nobody knows, a mistake inside a string: each is noted and the reading
//! goes on.

use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::lookup::{Tables, Use};
use super::path::Paths;
use super::stratum::Stratum;
use super::text::{self, Slip};
use super::{MappingFile, Origin};
use crate::problem::{self, Problem};

/// A TOML value with its place.
pub(super) type Value<'i> = Spanned<DeValue<'i>>;

/// One `key = value` of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member<'t, 'i> {
    pub(super) key: &'t Spanned<std::borrow::Cow<'i, str>>,
    pub(super) value: &'t Value<'i>,
}

impl<'t> Member<'t, '_> {
    pub(super) fn name(&self) -> &'t str {
        self.key.get_ref()
    }
}

/// A table's members in the order of the file.
pub(super) fn members<'t, 'i>(table: &'t DeTable<'i>) -> Vec<Member<'t, 'i>> {
    let mut members: Vec<_> = table.iter().map(|(key, value)| Member { key, value }).collect();
    members.sort_by_key(|member| member.key.span().start);
    members
}

/// Where something stands: the number of its file, and its bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At {
    pub(super) file: usize,
    pub(super) start: usize,
    pub(super) end: usize,
    /// Counted from 1.
    pub(super) line: u32,
}

impl At {
    /// Where all files begin.
    pub(super) const FIRST: Self = Self { file: 0, start: 0, end: 0, line: 1 };
}

/// What a file says, and where it says so.
#[derive(Debug, Clone)]
pub(super) struct Set<T> {
    pub(super) what: T,
    pub(super) at: At,
}

/// The files that are read, the paths they name and the mistakes they hold.
#[derive(Debug)]
pub(super) struct Reading<'f> {
    pub(super) paths: Paths,
    pub(super) tables: Tables,
    /// Where the tables are looked into.
    pub(super) uses: Vec<Use>,
    /// The first place that makes a pseudonym.
    pub(super) wants_key: Option<At>,
    /// The first place that asks for what the organization trusts.
    pub(super) asks_trusted: Option<At>,
    pub(super) problems: Problems<'f>,
}

impl<'f> Reading<'f> {
    /// The reading of these files, of which those of `below` come first and are read already.
    pub(super) fn new(files: &'f [MappingFile], below: Option<&Arc<Stratum>>) -> Self {
        let (paths, tables, noted) = below.map_or_else(Default::default, |below| {
            (Paths::over(below.paths.clone()), below.tables.clone(), below.problems.clone())
        });
        let problems = Problems { files, noted };
        Self { paths, tables, uses: Vec::new(), wants_key: None, asks_trusted: None, problems }
    }
}

/// The mistakes of files.
#[derive(Debug)]
pub(super) struct Problems<'f> {
    files: &'f [MappingFile],
    noted: Vec<(At, Problem)>,
}

impl<'f> Problems<'f> {
    pub(super) fn file(&self, number: usize) -> Option<&'f MappingFile> {
        self.files.get(number)
    }

    /// The file and line of a place.
    pub(super) fn origin(&self, at: &At) -> Origin {
        Origin { file: self.file(at.file).map_or_else(|| "".into(), |file| file.name.clone()), line: at.line }
    }

    /// Notes a mistake.
    pub(super) fn note(
        &mut self,
        at: At,
        code: &'static str,
        what: impl Into<String>,
        help: impl Into<Help>,
    ) {
        let (file, text) = match self.file(at.file) {
            Some(file) => (file.name.clone(), file.text.clone()),
            None => ("mappings".into(), "".into()),
        };
        let span = at.start..at.end;
        let problem = Problem { code, file, text, span, what: what.into(), help: help.into().0 };
        self.noted.push((at, problem));
    }

    /// Notes a mistake in a file that the one at `at` names.
    pub(super) fn note_beyond(&mut self, at: At, problem: Problem) {
        self.noted.push((at, problem));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.noted.is_empty()
    }

    /// Every mistake as it was noted, with its place.
    pub(super) fn into_noted(self) -> Vec<(At, Problem)> {
        self.noted
    }

    /// Every mistake in the order of files and places, each once.
    pub(super) fn sorted(self) -> Vec<Problem> {
        let mut noted = self.noted;
        noted.sort_by(|(a, one), (b, other)| a.cmp(b).then_with(|| one.code.cmp(other.code)));
        noted.dedup_by(|(_, one), (_, other)| one == other);
        noted.into_iter().map(|(_, problem)| problem).collect()
    }
}

/// What to do about a mistake, where there is something to say.
#[derive(Debug, Default)]
pub(super) struct Help(Option<String>);

impl Help {
    pub(super) const NONE: Self = Self(None);
}

impl<T: Into<String>> From<T> for Help {
    fn from(text: T) -> Self {
        Self(Some(text.into()))
    }
}

/// One file while it is read.
#[derive(Debug)]
pub(super) struct InFile<'r, 'f> {
    pub(super) reading: &'r mut Reading<'f>,
    pub(super) file: usize,
    /// Where each line but the first begins.
    lines: Vec<usize>,
}

impl<'r, 'f> InFile<'r, 'f> {
    pub(super) fn new(reading: &'r mut Reading<'f>, file: usize) -> Self {
        let text = reading.problems.file(file).map_or("", |file| &file.text);
        let breaks = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
        let lines = breaks.map(|(at, _)| at.saturating_add(1)).collect();
        Self { reading, file, lines }
    }
}

impl InFile<'_, '_> {
    pub(super) fn at(&self, span: Range<usize>) -> At {
        let above = self.lines.partition_point(|&begin| begin <= span.start);
        let line = u32::try_from(above).unwrap_or(u32::MAX).saturating_add(1);
        At { file: self.file, start: span.start, end: span.end, line }
    }

    pub(super) fn set<T>(&self, span: Range<usize>, what: T) -> Set<T> {
        Set { what, at: self.at(span) }
    }

    pub(super) fn problem(
        &mut self,
        span: Range<usize>,
        code: &'static str,
        what: impl Into<String>,
        help: impl Into<Help>,
    ) {
        let at = self.at(span);
        self.reading.problems.note(at, code, what, help);
    }

    /// Notes the mistakes inside a string that lies at `span` and means `decoded`.
    pub(super) fn slips(
        &mut self,
        span: &Range<usize>,
        decoded: &str,
        slips: impl IntoIterator<Item = Slip>,
    ) {
        for slip in slips {
            let at = self.within(span, decoded, &slip.at);
            self.problem(at, slip.code, slip.what, slip.help.map_or(Help::NONE, Help::from));
        }
    }

    /// Where bytes of a string lie in the file, which lies at `span` and means `decoded`.
    pub(super) fn within(&self, span: &Range<usize>, decoded: &str, at: &Range<usize>) -> Range<usize> {
        let file = self.reading.problems.file(self.file).map_or("", |file| &file.text);
        text::within_string(file, span, decoded, at)
    }

    /// A key that the table does not have.
    pub(super) fn unknown(&mut self, member: Member<'_, '_>, table: &str, known: &[&str]) {
        let name = member.name();
        let help = problem::closest(name, known.iter().copied()).map_or_else(
            || format!("{table} has {}", listed(known)),
            |meant| format!("did you mean `{meant}`?"),
        );
        self.problem(member.key.span(), "unknown-key", format!("{table} has no key `{name}`"), help);
    }

    /// A value of the wrong type.
    pub(super) fn wrong_type(&mut self, name: &str, wanted: &str, value: &Value<'_>, help: impl Into<Help>) {
        let what = format!("`{name}` is {wanted}, not {}", kind(value.get_ref()));
        self.problem(value.span(), "wrong-type", what, help);
    }

    pub(super) fn text<'t>(&mut self, name: &str, value: &'t Value<'_>) -> Option<&'t str> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            let help = match value.get_ref() {
                DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) => {
                    Help::from("put it in quotes")
                }
                _ => Help::NONE,
            };
            self.wrong_type(name, "a text", value, help);
        }
        text
    }

    pub(super) fn boolean(&mut self, name: &str, value: &Value<'_>) -> Option<bool> {
        let boolean = value.get_ref().as_bool();
        if boolean.is_none() {
            self.wrong_type(name, "true or false", value, Help::NONE);
        }
        boolean
    }

    pub(super) fn table<'t, 'i>(&mut self, name: &str, value: &'t Value<'i>) -> Option<&'t DeTable<'i>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.wrong_type(name, "a table", value, Help::NONE);
        }
        table
    }

    pub(super) fn list<'t, 'i>(&mut self, name: &str, value: &'t Value<'i>) -> Option<&'t [Value<'i>]> {
        let list = value.get_ref().as_array();
        if list.is_none() {
            self.wrong_type(name, "a list", value, Help::NONE);
        }
        list.map(|list| &**list)
    }

    /// A whole number, however it is written.
    pub(super) fn integer(&mut self, name: &str, value: &Value<'_>) -> Option<i64> {
        let integer = value.get_ref().as_integer();
        let Some(integer) = integer else {
            self.wrong_type(name, "a whole number", value, Help::NONE);
            return None;
        };
        // Beyond 64 bits it is out of every range that we have.
        Some(i64::from_str_radix(integer.as_str(), integer.radix()).unwrap_or(i64::MAX))
    }
}

/// `a`, `b` and `c`.
pub(super) fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => "nothing".into(),
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
