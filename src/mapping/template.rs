//! Value templates: `{actor.user.email ?? actor.user.name}`, `{context.location.domain}.slack.com`.
//!
//! ```text
//! template    = text with placeholders; `{{` and `}}` are braces
//! placeholder = "{" source ("??" source)* ("|" filter)* "}"
//! source      = path | text in quotes of either kind | @id | @rest
//! filter      = first | count | json | join("separator")
//!             | lower | upper | domain | mask | pseudonym | table(name)
//! ```
//!
//! Of the sources the first one counts that is there: neither absent, nor null, nor empty (a list
//! or object of nothing else is empty too). `@id` is the entry's id as the forwarder knows it, which
//! is made of the entry's text where Slack gave none. `@rest` is what no field took of the entry, see
//! `outline`; a field that has it is filled after all others, and stands behind them. A template in
//! which one placeholder finds nothing has no value at all.
//!
//! The filters work from left to right: first those that make one text of what Slack sent, then, in
//! any order and number, those that change a text.
//!
//! | filter | what it makes |
//! | --- | --- |
//! | `first` | of a list its first element that says something |
//! | `count` | how many elements or members; 1 of a single value |
//! | `json` | compact JSON |
//! | `join("; ")` | of a list its elements with this between them; without it there are commas |
//! | `lower`, `upper` | the same in small or capital letters |
//! | `domain` | of an e-mail address or a URL the domain in small letters; of anything else, an IP address too, nothing |
//! | `mask` | `j***@example.com` of an e-mail address, `192.0.2.0` or `2001:db8:1::` of an IP address (its /24 or /48, which still fits a key of addresses), of anything else the first character and `***` |
//! | `pseudonym` | 32 hexadecimal digits, the same for the same text under one key, with no way back without the key; put `lower` before it where case must not matter |
//! | `table(name)` | what `[tables.name]` has for the text, else what it has for `"*"`, else nothing |
//!
//! Where the elements of a list are joined, the filters that change a text work on each of them
//! before: `{details.emails | mask}`. An element of which a filter leaves nothing is left out;
//! where nothing is left of all of them, the placeholder has no value. Nor has one with
//! `pseudonym` where there is no key: the clear text never takes its place.

mod filter;
mod read;

use super::json;
use super::kit::Kit;
use super::lookup::{TableId, Tables};
use super::outline::Outline;
use super::path::{Path, PathId, Paths};
use super::pick::{Found, Kind, Values};
use super::text::Slip;
pub(super) use filter::{Filter, Step};
pub(super) use read::FILTERS;

/// A value still to be filled in.
#[derive(Debug)]
pub(super) struct Template {
    /// As it is written in the file.
    written: Box<str>,
    parts: Box<[Part]>,
}

#[derive(Debug)]
enum Part {
    Text(Box<str>),
    Value(Placeholder),
}

/// One pair of braces.
#[derive(Debug)]
pub(super) struct Placeholder {
    /// As it is written, braces and all.
    written: Box<str>,
    sources: Box<[Source]>,
    first: bool,
    shape: Shape,
    /// What is done to the text, in this order.
    filters: Box<[Step]>,
}

#[derive(Debug)]
enum Source {
    Path(PathId),
    /// A constant, which is always there.
    Text(Box<str>),
    /// The entry's id, which is always there too, and the path at which Slack gives it.
    Id(PathId),
    /// What no field took.
    Rest,
}

/// How a JSON value becomes text.
#[derive(Debug, PartialEq, Eq)]
enum Shape {
    Plain,
    Join(Box<str>),
    Count,
    Json,
}

/// Text buffers that are used again and again.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    text: String,
    spare: String,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// Every mistake in it.
    pub(super) fn parse(text: &str, paths: &mut Paths, tables: &mut Tables) -> Result<Self, Vec<Slip>> {
        read::parts(text, paths, tables).map(|parts| Self { written: text.into(), parts: parts.into() })
    }

    /// What is at a path, looked up in a table.
    pub(super) fn looked_up(path: Path, table: Option<(TableId, &str)>, paths: &mut Paths) -> Self {
        let written = match table {
            Some((_, name)) => format!("{{{path} | table({name})}}"),
            None => format!("{{{path}}}"),
        };
        let step = |(table, _)| Step { filter: Filter::Table(table), at: 0..0 };
        let placeholder = Placeholder {
            written: written.as_str().into(),
            sources: [Source::Path(paths.number(path))].into(),
            first: false,
            shape: Shape::Plain,
            filters: table.into_iter().map(step).collect(),
        };
        Self { written: written.into(), parts: [Part::Value(placeholder)].into() }
    }

    /// As it is written in the file.
    pub(super) fn written(&self) -> &str {
        &self.written
    }

    /// Whether a filter hides something of what Slack sent.
    pub(super) fn hides(&self) -> bool {
        self.placeholders().any(Placeholder::hides)
    }

    /// The value, where every placeholder finds something; else the first that does not.
    pub(super) fn value<'a>(
        &'a self,
        values: Values<'a>,
        buffers: &'a mut Buffers,
    ) -> Result<&'a str, &'a Placeholder> {
        match &*self.parts {
            [Part::Text(text)] => return Ok(text),
            [Part::Value(placeholder)] => {
                if placeholder.is_plain()
                    && let Some(text) = placeholder.chosen(values).ok_or(placeholder)?.lent()
                {
                    return Ok(text);
                }
            }
            _ => {}
        }
        buffers.text.clear();
        for part in &self.parts {
            match part {
                Part::Text(text) => buffers.text.push_str(text),
                Part::Value(placeholder) => placeholder.write(values, buffers)?,
            }
        }
        Ok(&buffers.text)
    }

    /// Every path that the value may be read from.
    pub(super) fn paths(&self) -> impl Iterator<Item = PathId> {
        self.placeholders().flat_map(|placeholder| &placeholder.sources).filter_map(Source::path)
    }

    /// Whether it asks for what no other field took.
    pub(super) fn wants_rest(&self) -> bool {
        self.placeholders().any(|p| p.sources.iter().any(|source| matches!(source, Source::Rest)))
    }

    /// Marks what the value is made of, where the value is `shown` and shows all of it, or where it
    /// is to be hidden.
    pub(super) fn take(&self, values: Values<'_>, outline: &mut Outline, shown: bool) {
        for placeholder in self.placeholders() {
            if placeholder.hides() {
                // The other sources are no less secret than the one that was chosen.
                let paths = placeholder.sources.iter().filter_map(Source::path);
                for member in paths.filter_map(|path| values.member_around(path)) {
                    outline.take(member);
                }
            } else if shown
                && placeholder.is_whole()
                && let Some(member) = placeholder.chosen(values).and_then(|found| found.within?.whole())
            {
                outline.take(member);
            }
        }
    }

    /// The paths of which one must be there for a value; `None` where a constant will do, or where
    /// there is no saying.
    pub(super) fn needs(&self) -> Option<impl Iterator<Item = PathId>> {
        let first = self.placeholders().next()?;
        if self.placeholders().skip(1).any(Placeholder::hides) {
            // It hides its sources even where the first placeholder finds nothing.
            return None;
        }
        let path = |source: &Source| match source {
            Source::Path(path) => Some(*path),
            Source::Text(_) | Source::Id(_) | Source::Rest => None,
        };
        let always = first.sources.iter().any(|source| path(source).is_none());
        (!always).then(|| first.sources.iter().filter_map(path))
    }

    /// Whether the value is the first source that is there, as it stands.
    pub(super) fn is_first_found(&self) -> bool {
        matches!(&*self.parts, [Part::Value(placeholder)] if placeholder.is_plain())
    }

    /// The one placeholder that it is, with nothing beside it.
    pub(super) fn alone(&self) -> Option<&Placeholder> {
        match &*self.parts {
            [Part::Value(placeholder)] => Some(placeholder),
            _ => None,
        }
    }

    /// The value, where it is the same for every entry.
    pub(super) fn constant(&self) -> Option<&str> {
        match &*self.parts {
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Every value that is known without an entry.
    pub(super) fn constants(&self) -> Vec<&str> {
        match &*self.parts {
            [] => vec![""],
            [Part::Text(text)] => vec![text],
            [Part::Value(placeholder)] if placeholder.is_plain() => placeholder.constants().collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.parts.iter().filter_map(|part| match part {
            Part::Value(placeholder) => Some(placeholder),
            Part::Text(_) => None,
        })
    }
}

impl Source {
    /// Where in the entry it lies.
    fn path(&self) -> Option<PathId> {
        match self {
            Self::Path(path) | Self::Id(path) => Some(*path),
            Self::Text(_) | Self::Rest => None,
        }
    }
}

impl Placeholder {
    /// As it is written in the file, braces and all.
    pub(super) fn written(&self) -> &str {
        &self.written
    }

    /// Whether a list's elements are joined by what the mapping says.
    pub(super) fn is_joined(&self) -> bool {
        matches!(self.shape, Shape::Join(_))
    }

    /// Whether a filter hides something of what Slack sent: `domain`, `mask` or `pseudonym`.
    pub(super) fn hides(&self) -> bool {
        self.filters.iter().any(|step| step.filter.hides())
    }

    /// What is done to the text, in this order.
    pub(super) fn filters(&self) -> &[Step] {
        &self.filters
    }

    fn is_plain(&self) -> bool {
        !self.first && self.shape == Shape::Plain && self.filters.is_empty()
    }

    fn constants(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().filter_map(|source| match source {
            Source::Text(text) => Some(&**text),
            Source::Path(_) | Source::Id(_) | Source::Rest => None,
        })
    }

    /// Whether the text shows all that was chosen.
    fn is_whole(&self) -> bool {
        let looks_up = |step: &Step| matches!(step.filter, Filter::Table(_));
        !self.first && self.shape != Shape::Count && !self.filters.iter().any(looks_up)
    }

    /// The first source that is there.
    fn chosen<'a>(&'a self, values: Values<'a>) -> Option<Found<'a>> {
        self.sources.iter().find_map(|source| match source {
            Source::Path(path) => values.at(*path),
            Source::Text(text) => Some(Found::ours(text, Kind::Text)),
            // Slack's, where it gave one.
            Source::Id(path) => {
                let within = values.at(*path).and_then(|id| id.within);
                Some(Found { within, ..Found::ours(values.id(), Kind::Text) })
            }
            Source::Rest => Some(Found::ours(values.rest()?, Kind::Rest)),
        })
    }

    fn write<'a>(&'a self, values: Values<'a>, buffers: &mut Buffers) -> Result<(), &'a Self> {
        let Found { mut raw, kind, .. } = self.chosen(values).ok_or(self)?;
        if self.first && kind == Kind::List {
            raw = json::elements(raw).find(|element| !json::is_nothing(element)).ok_or(self)?;
        }
        if kind != Kind::Text
            && let Some(separator) = self.separator(raw)
        {
            return self.write_each(raw, separator, values.kit(), buffers).ok_or(self);
        }
        let start = buffers.text.len();
        let out = &mut buffers.text;
        match &self.shape {
            Shape::Count => write_number(if kind == Kind::Text { 1 } else { count(raw) }, out),
            Shape::Json if kind == Kind::Text => json::write_string(raw, out),
            Shape::Json => json::write_compact(raw, out),
            Shape::Plain | Shape::Join(_) if kind == Kind::Text => out.push_str(raw),
            Shape::Join(separator) if raw.starts_with('[') => json::write_list(raw, separator, out),
            Shape::Plain | Shape::Join(_) => json::write_text(raw, ",", out),
        }
        self.filtered(start, values.kit(), buffers).ok_or(self)
    }

    /// What stands between a list's elements, where each of them is filtered by itself.
    fn separator(&self, raw: &str) -> Option<&str> {
        if self.filters.is_empty() || !raw.starts_with('[') {
            return None;
        }
        match &self.shape {
            Shape::Plain if !json::elements(raw).any(json::is_container) => Some(","),
            Shape::Join(separator) => Some(separator),
            Shape::Plain | Shape::Count | Shape::Json => None,
        }
    }

    /// Writes a list's elements, each filtered. `None` where nothing is left of any.
    fn write_each(&self, raw: &str, separator: &str, kit: Option<&Kit>, buffers: &mut Buffers) -> Option<()> {
        let mut some = None;
        for element in json::elements(raw).filter(|element| !json::is_nothing(element)) {
            let end = buffers.text.len();
            if some.is_some() {
                buffers.text.push_str(separator);
            }
            let start = buffers.text.len();
            if json::is_container(element) {
                json::write_compact(element, &mut buffers.text);
            } else {
                json::write_text(element, separator, &mut buffers.text);
            }
            match self.filtered(start, kit, buffers) {
                Some(()) => some = Some(()),
                None => buffers.text.truncate(end),
            }
        }
        some
    }

    /// Does to the text from `start` on what the filters say. `None` where they leave nothing.
    fn filtered(&self, start: usize, kit: Option<&Kit>, buffers: &mut Buffers) -> Option<()> {
        self.filters.iter().try_for_each(|step| step.filter.apply(start, kit, buffers))
    }
}

/// How many: elements that say something, members, or the one value.
fn count(raw: &str) -> usize {
    match raw.as_bytes() {
        [b'[', ..] => json::elements(raw).filter(|element| !json::is_nothing(element)).count(),
        [b'{', ..] => json::members(raw),
        _ => 1,
    }
}

fn write_number(number: usize, out: &mut String) {
    use std::fmt::Write as _;
    // Writing into a String cannot fail.
    write!(out, "{number}").unwrap_or_default();
}

#[cfg(test)]
mod tests;
