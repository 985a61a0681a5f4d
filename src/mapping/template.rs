//! Value templates: `{actor.user.email ?? actor.user.name}`, `{context.location.domain}.slack.com`.
//!
//! ```text
//! template    = text with placeholders; `{{` and `}}` are braces
//! placeholder = "{" source ("??" source)* ("|" filter)* "}"
//! source      = path | text in quotes of either kind | @id | @rest
//! filter      = lower | upper | first | count | json | join("separator")
//! ```
//!
//! Of the sources the first one counts that is there: neither absent, nor null, nor empty (a list
//! or object of nothing else is empty too). `@id` is the entry's id as the forwarder knows it, which
//! is made of the entry's text where Slack gave none. `@rest` is what no field took of the entry, see
//! `outline`; a field that has it is filled after all others, and stands behind them. The filters work on it, from left to right. A template
//! in which one placeholder finds nothing has no value at all.

mod read;

pub(super) use read::FILTERS;

use super::json;
use super::outline::Outline;
use super::path::{PathId, Paths};
use super::pick::{Found, Kind, Values};
use super::text::Slip;

/// A value still to be filled in.
#[derive(Debug)]
pub(super) struct Template {
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
    cases: Box<[Case]>,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Lower,
    Upper,
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
    pub(super) fn parse(text: &str, paths: &mut Paths) -> Result<Self, Vec<Slip>> {
        read::parts(text, paths).map(|parts| Self { parts: parts.into() })
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

    /// Marks what the value is made of, where the value shows all of it.
    pub(super) fn take(&self, values: Values<'_>, outline: &mut Outline) {
        for placeholder in self.placeholders().filter(|placeholder| placeholder.is_whole()) {
            if let Some(path) = placeholder.chosen_source(values).and_then(|(source, _)| source.path())
                && let Some(member) = values.member(path.index())
            {
                outline.take(member);
            }
        }
    }

    /// The paths of which one must be there for a value; `None` where a constant will do, or where
    /// there is no saying.
    pub(super) fn needs(&self) -> Option<impl Iterator<Item = PathId>> {
        let first = self.placeholders().next()?;
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

    /// Every value that is known without an entry.
    pub(super) fn constants(&self) -> Vec<&str> {
        match &*self.parts {
            [] => vec![""],
            [Part::Text(text)] => vec![text],
            [Part::Value(placeholder)] if placeholder.is_plain() => placeholder.constants().collect(),
            _ => Vec::new(),
        }
    }

    fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
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

    fn is_plain(&self) -> bool {
        !self.first && self.shape == Shape::Plain && self.cases.is_empty()
    }

    fn constants(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().filter_map(|source| match source {
            Source::Text(text) => Some(&**text),
            Source::Path(_) | Source::Id(_) | Source::Rest => None,
        })
    }

    /// Whether the text shows all that was chosen.
    fn is_whole(&self) -> bool {
        !self.first && self.shape != Shape::Count
    }

    /// The first source that is there.
    fn chosen<'a>(&'a self, values: Values<'a>) -> Option<Found<'a>> {
        self.chosen_source(values).map(|(_, found)| found)
    }

    fn chosen_source<'a>(&'a self, values: Values<'a>) -> Option<(&'a Source, Found<'a>)> {
        self.sources.iter().find_map(|source| {
            let found = match source {
                Source::Path(path) => values.at(*path)?,
                Source::Text(text) => Found { raw: text, kind: Kind::Text },
                Source::Id(_) => Found { raw: values.id(), kind: Kind::Text },
                Source::Rest => Found { raw: values.rest()?, kind: Kind::Rest },
            };
            Some((source, found))
        })
    }

    fn write<'a>(&'a self, values: Values<'a>, buffers: &mut Buffers) -> Result<(), &'a Self> {
        let Found { mut raw, kind } = self.chosen(values).ok_or(self)?;
        if self.first && kind == Kind::List {
            raw = json::elements(raw).find(|element| !json::is_nothing(element)).ok_or(self)?;
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
        for case in &self.cases {
            case.apply(start, buffers);
        }
        Ok(())
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

impl Case {
    /// Changes the case of the text from `start` on.
    fn apply(self, start: usize, buffers: &mut Buffers) {
        let Buffers { text, spare } = buffers;
        spare.clear();
        let changed = text.get(start..).unwrap_or_default().chars();
        match self {
            Self::Lower => spare.extend(changed.flat_map(char::to_lowercase)),
            Self::Upper => spare.extend(changed.flat_map(char::to_uppercase)),
        }
        text.truncate(start);
        text.push_str(spare);
    }
}

#[cfg(test)]
mod tests {
    use super::super::pick::Picked;
    use super::super::tree::Tree;
    use super::*;

    const ENTRY: &str = r#"{"s":"Tor Exit","e":"","n":12,"b":false,"l":["a","","B"],"o":{ "k" : [1, 2] },
        "x":"\u00c9\/t\ud800","d":"acme","nothing":[null],"lo":[{"a": 1},"b"]}"#;

    fn value(template: &str) -> Result<String, String> {
        let mut paths = Paths::default();
        let template = Template::parse(template, &mut paths).unwrap();
        let wanted: Vec<PathId> = template.paths().collect();
        let tree = Tree::new(wanted.iter().map(|&id| (id, paths.path(id).unwrap())));
        let mut picked = Picked::default();
        tree.pick(ENTRY, &mut picked, None, paths.len());
        let mut buffers = Buffers::default();
        template
            .value(Values::new("e-1", ENTRY, &picked), &mut buffers)
            .map(str::to_owned)
            .map_err(|placeholder| placeholder.written().to_owned())
    }

    #[test]
    fn placeholders_are_filled() {
        for (template, meant) in [
            ("text", "text"),
            ("{s}", "Tor Exit"),
            ("{n}", "12"),
            ("{b}", "false"),
            ("{l}", "a,B"),
            ("{o}", r#"{"k":[1,2]}"#),
            ("{x}", "É/t\u{fffd}"),
            ("{d}.slack.com", "acme.slack.com"),
            ("{{{d}}}", "{acme}"),
            ("{e ?? nothing ?? s}", "Tor Exit"),
            ("{ e ?? \"none\" }", "none"),
            ("{e ?? 'a \"b\"'}", "a \"b\""),
            ("{s ?? 'x' | lower}", "tor exit"),
            ("{x|lower}", "é/t\u{fffd}"),
            ("{s | lower | upper}", "TOR EXIT"),
            ("{l | join(\"; \")}", "a; B"),
            ("{s | join(\", \")}", "Tor Exit"),
            ("{lo | join(' ')}", r#"{"a":1} b"#),
            ("{lo}", r#"[{"a":1},"b"]"#),
            ("{l | first | upper}", "A"),
            ("{lo | first}", r#"{"a":1}"#),
            ("{s | first}", "Tor Exit"),
            ("{l | count}", "2"),
            ("{o | count}", "1"),
            ("{s | count}", "1"),
            ("{o | json}", r#"{"k":[1,2]}"#),
            ("{x | json}", r#""\u00c9/t\ud800""#),
            ("{l | json}", r#"["a","","B"]"#),
            ("{l[2]}", "B"),
            ("{\"o\".k[1]}", "2"),
            ("{e ?? 'a\"' | json}", r#""a\"""#),
            ("{e ?? 'a\\b\u{1}é' | json}", "\"a\\\\b\\u0001é\""),
            ("{e ?? 'Abc' | first | count}", "1"),
            ("{e ?? 'Abc' | join('-') | lower}", "abc"),
            ("{s} and {n}", "Tor Exit and 12"),
            ("{@id}", "e-1"),
            ("{e ?? @id | upper}", "E-1"),
        ] {
            assert_eq!(value(template).as_deref(), Ok(meant), "{template}");
        }
    }

    #[test]
    fn one_placeholder_without_a_value_leaves_none() {
        assert_eq!(value("{absent}"), Err("{absent}".into()));
        assert_eq!(value("{s} {e ?? nothing} {absent}"), Err("{e ?? nothing}".into()));
        assert_eq!(value("{nothing | count}"), Err("{nothing | count}".into()));
    }

    #[test]
    fn constants_are_known_beforehand() {
        let constants = |text| {
            let template = Template::parse(text, &mut Paths::default()).unwrap();
            template.constants().into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(constants("text"), ["text"]);
        assert_eq!(constants(""), [""]);
        assert_eq!(constants("{a ?? 'x'}"), ["x"]);
        assert!(constants("{a ?? 'x' | upper}").is_empty());
        assert!(constants("{a ?? 'x'} y").is_empty());
    }

    #[test]
    fn every_mistake_is_found_and_placed() {
        let slips = |text: &str| -> Vec<(&'static str, std::ops::Range<usize>)> {
            let slips = Template::parse(text, &mut Paths::default()).unwrap_err();
            slips.into_iter().map(|slip| (slip.code, slip.at)).collect()
        };
        assert_eq!(slips("a {b"), [("unclosed-brace", 2..3)]);
        assert_eq!(slips("{b | lower"), [("unclosed-brace", 0..1)]);
        assert_eq!(slips("{b ?? \"x}"), [("unclosed-quote", 6..9)]);
        assert_eq!(slips("a}"), [("stray-brace", 1..2)]);
        assert_eq!(slips("{}"), [("bad-template", 0..2)]);
        assert_eq!(slips("{a b}"), [("bad-template", 3..4)]);
        assert_eq!(
            slips("{a | lowr} {b..c} {d | mask}"),
            [("unknown-filter", 5..9), ("bad-path", 14..15), ("not-yet", 23..27)]
        );
        assert_eq!(slips("{a | lower | join(',')}"), [("bad-filter", 13..22)]);
        assert_eq!(slips("{a | join}"), [("bad-filter", 5..9)]);
        assert_eq!(slips("{a | lower(1)}"), [("bad-filter", 11..12)]);
        assert_eq!(slips("{a | }"), [("bad-filter", 5..6)]);
        assert_eq!(slips("{a ?? 'x' ?? b}"), [("unreachable", 13..14)]);
        assert_eq!(slips("{@id ?? b}"), [("unreachable", 8..9)]);
        assert_eq!(slips("{@time}"), [("bad-template", 1..6)]);
    }
}
