//! A TOML file read key by key: every mistake becomes a [`Problem`] at its own place, and reading
//! goes on, so that all of them are shown at once.
//!
//! Each key that is asked for is thereby known; whatever a table holds beyond those is a mistake,
//! with the nearest known key as the suggestion. So the list of keys is nowhere written twice.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::problem::{Problem, closest};

/// One file being read.
pub(super) struct Reader {
    file: Arc<str>,
    text: Arc<str>,
    problems: RefCell<Vec<Problem>>,
}

impl Reader {
    pub(super) fn new(file: &str, text: &str) -> Self {
        Self { file: file.into(), text: text.into(), problems: RefCell::default() }
    }

    /// Parses the text, reads it by `read` and gives what that returned, or every problem in file
    /// order.
    pub(super) fn read<T>(self, read: impl FnOnce(&Section<'_, '_>) -> T) -> Result<T, Vec<Problem>> {
        let text = Arc::clone(&self.text);
        let (table, errors) = DeTable::parse_recoverable(&text);
        for error in &errors {
            self.problem(error.span().unwrap_or(0..0), "syntax", error.message().to_owned(), None);
        }
        let mut value = None;
        // Of a file that is not TOML the rest would be guesses.
        if errors.is_empty() {
            let top = Section::new(&self, String::new(), table.get_ref(), 0..0);
            value = Some(read(&top));
            top.finish();
        }
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.span.start);
        match value {
            Some(value) if problems.is_empty() => Ok(value),
            _ => Err(problems),
        }
    }

    fn problem(&self, span: Range<usize>, code: &'static str, what: String, help: Option<String>) {
        self.problems.borrow_mut().push(Problem {
            code,
            file: Arc::clone(&self.file),
            text: Arc::clone(&self.text),
            span,
            what,
            help,
        });
    }
}

/// One table of the file.
pub(super) struct Section<'r, 'i> {
    reader: &'r Reader,
    path: String,
    table: &'i DeTable<'i>,
    span: Range<usize>,
    known: RefCell<BTreeSet<&'static str>>,
}

/// A text of the file with its place.
pub(super) struct Word<'i> {
    pub(super) text: &'i str,
    pub(super) span: Range<usize>,
}

impl<'r, 'i> Section<'r, 'i> {
    fn new(reader: &'r Reader, path: String, table: &'i DeTable<'i>, span: Range<usize>) -> Self {
        Self { reader, path, table, span, known: RefCell::default() }
    }

    /// The place of the table's heading.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Notes a mistake.
    pub(super) fn problem(
        &self,
        span: &Range<usize>,
        code: &'static str,
        what: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.reader.problem(span.clone(), code, what.into(), Some(help.into()));
    }

    /// The place of `key`, where it stands.
    pub(super) fn place(&self, key: &'static str) -> Option<Range<usize>> {
        self.entry(key).map(|(key, _)| key.span())
    }

    /// Takes `key` as known without reading it; says whether it stands there.
    pub(super) fn skip(&self, key: &'static str) -> bool {
        self.entry(key).is_some()
    }

    /// Whether a text stands there.
    pub(super) fn is_text(&self, key: &'static str) -> bool {
        self.entry(key).is_some_and(|(_, value)| matches!(value.get_ref(), DeValue::String(_)))
    }

    /// The value of `key` as it is written, on one line.
    pub(super) fn written(&self, key: &'static str) -> Option<String> {
        let (_, value) = self.entry(key)?;
        let written = self.reader.text.get(value.span())?;
        Some(written.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// The text of `key`.
    pub(super) fn text(&self, key: &'static str) -> Option<Word<'i>> {
        let (_, value) = self.entry(key)?;
        let text = self.expect(key, value, "a text", |value| match value {
            DeValue::String(text) => Some(text.as_ref()),
            _ => None,
        })?;
        Some(Word { text, span: value.span() })
    }

    /// The text of `key`, read by `parse`, whose error says what is wrong and what is right.
    pub(super) fn parsed<T>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let word = self.text(key)?;
        parse(word.text)
            .map_err(|wanted| {
                self.problem(
                    &word.span,
                    "bad-value",
                    format!("`{}` is no value for `{key}`", word.text),
                    wanted,
                );
            })
            .ok()
    }

    /// One of several words.
    pub(super) fn one_of<T: Copy>(&self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        self.parsed(key, |text| {
            choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice).ok_or_else(|| {
                let names: Vec<_> = choices.iter().map(|(name, _)| format!("`{name}`")).collect();
                format!("write one of {}", names.join(", "))
            })
        })
    }

    /// Whether `key` is true.
    pub(super) fn flag(&self, key: &'static str) -> Option<bool> {
        let (_, value) = self.entry(key)?;
        self.expect(key, value, "true or false", |value| match value {
            DeValue::Boolean(flag) => Some(*flag),
            _ => None,
        })
    }

    /// The whole number of `key`, which must lie in `range`.
    pub(super) fn number(&self, key: &'static str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let (_, value) = self.entry(key)?;
        let number = self.expect(key, value, "a whole number", |value| match value {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        })?;
        if range.contains(&number) {
            return Some(number);
        }
        let help = format!("write a number from {} to {}", range.start(), range.end());
        self.problem(&value.span(), "out-of-range", format!("`{key}` cannot be {number}"), help);
        None
    }

    /// The texts of `key`'s list.
    pub(super) fn texts(&self, key: &'static str) -> Option<Vec<Word<'i>>> {
        let (_, value) = self.entry(key)?;
        let items = self.expect(key, value, "a list of texts", |value| match value {
            DeValue::Array(items) => Some(items),
            _ => None,
        })?;
        let words = items.iter().filter_map(|item| {
            let text = self.expect(key, item, "a list of texts", |value| match value {
                DeValue::String(text) => Some(text.as_ref()),
                _ => None,
            })?;
            Some(Word { text, span: item.span() })
        });
        Some(words.collect())
    }

    /// The value of `key`, read by a module that finds its own mistakes in the file of that name
    /// and text.
    pub(super) fn read_by<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&Arc<str>, &Arc<str>, &Spanned<DeValue<'_>>) -> Result<T, Vec<Problem>>,
    ) -> Option<T> {
        let (_, value) = self.entry(key)?;
        let Reader { file, text, problems } = self.reader;
        read(file, text, value).map_err(|found| problems.borrow_mut().extend(found)).ok()
    }

    /// The table of `key`.
    pub(super) fn section(&self, key: &'static str) -> Option<Section<'r, 'i>> {
        let (place, value) = self.entry(key)?;
        let table = self.expect(key, value, "a table", |value| match value {
            DeValue::Table(table) => Some(table),
            _ => None,
        })?;
        Some(Section::new(self.reader, self.path_of(key), table, place.span()))
    }

    /// The tables under `key`, each with its name: `[sources.NAME]`.
    pub(super) fn sections(&self, key: &'static str) -> Vec<(Word<'i>, Section<'r, 'i>)> {
        let Some(outer) = self.section(key) else { return Vec::new() };
        let named = outer.table.iter().filter_map(|(name, value)| {
            let inner = self.expect(key, value, "a table of tables", |value| match value {
                DeValue::Table(table) => Some(table),
                _ => None,
            })?;
            let path = format!("{}.{}", outer.path, name.get_ref());
            let word = Word { text: name.get_ref().as_ref(), span: name.span() };
            Some((word, Section::new(self.reader, path, inner, name.span())))
        });
        let mut named: Vec<_> = named.collect();
        named.sort_by_key(|(name, _)| name.span.start);
        named
    }

    /// Notes whatever the table holds that nobody asked for.
    pub(super) fn finish(&self) {
        let known = self.known.borrow();
        for (key, _) in self.table {
            let name: &str = key.get_ref();
            if known.contains(name) {
                continue;
            }
            let help = closest(name, known.iter().copied()).map_or_else(
                || format!("known here: {}", known.iter().copied().collect::<Vec<_>>().join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            let place =
                if self.path.is_empty() { "the file".to_owned() } else { format!("`[{}]`", self.path) };
            self.problem(&key.span(), "unknown-key", format!("{place} has no key `{name}`"), help);
        }
    }

    fn entry(&self, key: &'static str) -> Option<(&'i Spanned<DeString<'i>>, &'i Spanned<DeValue<'i>>)> {
        self.known.borrow_mut().insert(key);
        self.table.get_key_value(key)
    }

    fn expect<'v, T>(
        &self,
        key: &str,
        value: &'v Spanned<DeValue<'v>>,
        wanted: &str,
        take: impl FnOnce(&'v DeValue<'v>) -> Option<T>,
    ) -> Option<T> {
        let taken = take(value.get_ref());
        if taken.is_none() {
            let what = format!("`{key}` is {wanted}, not {}", described(value.get_ref()));
            self.problem(&value.span(), "wrong-type", what, format!("write {wanted}"));
        }
        taken
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

fn described(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
