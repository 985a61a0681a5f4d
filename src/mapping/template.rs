//! Value templates: `{actor.user.email ?? actor.user.name}`, `{context.location.domain}.slack.com`.
//!
//! ```text
//! template    = text with placeholders; `{{` and `}}` are braces
//! placeholder = "{" source ("??" source)* ("|" filter)* "}"
//! source      = path | text in quotes of either kind
//! filter      = lower | upper | first | count | json | join("separator")
//! ```
//!
//! Of the sources the first one counts that is there: neither absent, nor null, nor empty (a list
//! or object of nothing else is empty too). The filters work on it, from left to right. A template
//! in which one placeholder finds nothing has no value at all.

use super::json;
use super::path::{Path, PathId, Paths};
use super::pick::{Found, Kind, Values};
use super::text::{Cursor, Slip};

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
    Text {
        plain: Box<str>,
        json: Box<str>,
    },
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
        let mut reader = Reader { text: Cursor::new(text), whole: text, paths, slips: Vec::new() };
        let parts = reader.parts();
        if reader.slips.is_empty() { Ok(Self { parts: parts.into() }) } else { Err(reader.slips) }
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
        self.placeholders().flat_map(|placeholder| &placeholder.sources).filter_map(|source| match source {
            Source::Path(path) => Some(*path),
            Source::Text { .. } => None,
        })
    }

    /// The paths of which one must be there for a value; `None` where a constant will do, or where
    /// there is no saying.
    pub(super) fn needs(&self) -> Option<impl Iterator<Item = PathId>> {
        let first = self.placeholders().next()?;
        let constant = first.constants().next().is_some();
        let path = |source: &Source| match source {
            Source::Path(path) => Some(*path),
            Source::Text { .. } => None,
        };
        (!constant).then(|| first.sources.iter().filter_map(path))
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
            Source::Text { plain, .. } => Some(&**plain),
            Source::Path(_) => None,
        })
    }

    /// The first source that is there.
    fn chosen<'a>(&'a self, values: Values<'a>) -> Option<Found<'a>> {
        self.sources.iter().find_map(|source| match source {
            Source::Path(path) => values.at(*path),
            Source::Text { json, .. } => Some(Found { raw: json, kind: Kind::Escaped }),
        })
    }

    fn write<'a>(&'a self, values: Values<'a>, buffers: &mut Buffers) -> Result<(), &'a Self> {
        let mut raw = self.chosen(values).ok_or(self)?.raw;
        if self.first && raw.starts_with('[') {
            raw = json::elements(raw).find(|element| !json::is_nothing(element)).ok_or(self)?;
        }
        let is_list = raw.starts_with('[');
        let start = buffers.text.len();
        match &self.shape {
            Shape::Plain => json::write_text(raw, ",", &mut buffers.text),
            Shape::Join(separator) if is_list => json::write_list(raw, separator, &mut buffers.text),
            Shape::Join(separator) => json::write_text(raw, separator, &mut buffers.text),
            Shape::Json => json::write_compact(raw, &mut buffers.text),
            Shape::Count => write_number(count(raw), &mut buffers.text),
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

/// Reads a template, going on after a mistake so that all of them are found.
struct Reader<'t, 'p> {
    text: Cursor<'t>,
    whole: &'t str,
    paths: &'p mut Paths,
    slips: Vec<Slip>,
}

impl Reader<'_, '_> {
    fn parts(&mut self) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        while let Some(c) = self.text.peek() {
            let start = self.text.at();
            if self.text.eat_text("{{") {
                plain.push('{');
            } else if self.text.eat_text("}}") {
                plain.push('}');
            } else if self.text.eat('{') {
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain).into()));
                }
                match self.placeholder(start) {
                    Ok(placeholder) => parts.push(Part::Value(placeholder)),
                    Err(slip) => self.recover(start, slip),
                }
            } else {
                self.text.next();
                if c == '}' {
                    self.slips.push(
                        Slip::new(start..start + 1, "stray-brace", "a `}` without its `{`")
                            .help("write `}}` where the text itself holds a brace"),
                    );
                }
                plain.push(c);
            }
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain.into()));
        }
        parts
    }

    /// Notes the mistake and goes on after the placeholder's end, if it has one.
    fn recover(&mut self, start: usize, slip: Slip) {
        self.text.take_while(|c| c != '}');
        let closed = self.text.next().is_some();
        self.slips.push(if closed || slip.code == "unclosed-quote" { slip } else { unclosed(start) });
    }

    fn placeholder(&mut self, start: usize) -> Result<Placeholder, Slip> {
        let sources = self.sources()?;
        let mut made = Placeholder {
            written: Box::default(),
            sources: sources.into(),
            first: false,
            shape: Shape::Plain,
            cases: Box::default(),
        };
        while self.eat_spaced("|") {
            self.filter(&mut made)?;
        }
        match self.text.peek() {
            Some('}') => self.text.next(),
            Some(c) => {
                let at = self.text.at();
                let what = format!("`{c}` is not expected here");
                return Err(Slip::new(at..at + c.len_utf8(), "bad-template", what)
                    .help("a placeholder is `{path}`, `{path ?? path ?? \"text\"}` or `{path | filter}`"));
            }
            None => return Err(unclosed(start)),
        };
        made.written = self.whole.get(start..self.text.at()).unwrap_or_default().into();
        Ok(made)
    }

    fn sources(&mut self) -> Result<Vec<Source>, Slip> {
        let mut sources = Vec::new();
        let mut always = false;
        loop {
            self.text.skip_spaces();
            let start = self.text.at();
            let source = self.source()?;
            if always {
                let what = "this alternative is never reached: the text before it is always there";
                self.slips.push(
                    Slip::new(start..self.text.at(), "unreachable", what)
                        .help("put the text last, or take away what follows it"),
                );
            }
            always |= matches!(source, Source::Text { .. });
            sources.push(source);
            if !self.eat_spaced("??") {
                return Ok(sources);
            }
        }
    }

    fn source(&mut self) -> Result<Source, Slip> {
        let start = self.text.at();
        match self.text.peek() {
            Some('"' | '\'') => {
                let plain = self.text.quoted()?;
                // `"a.b".c`: a path may begin with a quoted key.
                if matches!(self.text.peek(), Some('.' | '[')) {
                    self.text = Cursor::starting(self.whole, start);
                } else {
                    let json = serde_json::Value::from(plain).to_string();
                    return Ok(Source::Text { plain: plain.into(), json: json.into() });
                }
            }
            Some('}') => {
                let slip =
                    Slip::new(start.saturating_sub(1)..start + 1, "bad-template", "the braces are empty");
                return Err(slip.help("name a path, as in `{actor.user.id}`, or write `{{` for a brace"));
            }
            _ => {}
        }
        Ok(Source::Path(self.paths.number(Path::read(&mut self.text)?)))
    }

    fn filter(&mut self, made: &mut Placeholder) -> Result<(), Slip> {
        self.text.skip_spaces();
        let start = self.text.at();
        let name = self.text.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        let argument = if self.text.eat('(') { Some(self.argument()?) } else { None };
        let at = start..self.text.at().max(start + 1);
        let refuse = |what: String, help: &str| Err(Slip::new(at.clone(), "bad-filter", what).help(help));
        let is_list = made.shape == Shape::Plain && made.cases.is_empty();
        match (name, argument) {
            ("lower" | "upper" | "first" | "count" | "json", Some((_, extra))) => {
                return Err(Slip::new(extra, "bad-filter", format!("`{name}` takes nothing in brackets")));
            }
            ("first" | "join" | "count" | "json", _) if !is_list => {
                let what =
                    format!("`{name}` works on what Slack sent, which an earlier filter made into text");
                return refuse(what, "put it first");
            }
            ("first", _) => made.first = true,
            ("count", _) => made.shape = Shape::Count,
            ("json", _) => made.shape = Shape::Json,
            ("join", Some((separator, _))) => made.shape = Shape::Join(separator.into()),
            ("join", None) => {
                return refuse("`join` wants a separator".into(), "write `join(\", \")`");
            }
            ("lower", _) => made.cases = with(&made.cases, Case::Lower),
            ("upper", _) => made.cases = with(&made.cases, Case::Upper),
            (later, _) if LATER.contains(&later) => {
                let what = format!("the filter `{later}` is not in this version yet");
                return Err(Slip::new(at, "not-yet", what).help(FILTERS_THERE_ARE));
            }
            ("", _) => return refuse("a filter's name is missing after `|`".into(), FILTERS_THERE_ARE),
            (unknown, _) => {
                let help = crate::problem::closest(unknown, FILTERS)
                    .map_or_else(|| FILTERS_THERE_ARE.into(), |meant| format!("did you mean `{meant}`?"));
                return Err(
                    Slip::new(at, "unknown-filter", format!("there is no filter `{unknown}`")).help(help)
                );
            }
        }
        Ok(())
    }

    /// What stands in a filter's brackets, and where.
    fn argument(&mut self) -> Result<(String, std::ops::Range<usize>), Slip> {
        self.text.skip_spaces();
        let start = self.text.at();
        let text = match self.text.peek() {
            Some('"' | '\'') => self.text.quoted()?,
            _ => self.text.take_while(|c| !matches!(c, ')' | '}' | '|')),
        };
        let at = start..self.text.at().max(start + 1);
        self.text.skip_spaces();
        if self.text.eat(')') {
            return Ok((text.to_owned(), at));
        }
        Err(Slip::new(at, "bad-filter", "the bracket is not closed").help("write `join(\", \")`"))
    }

    /// Reads `symbol` with the spaces before it.
    fn eat_spaced(&mut self, symbol: &str) -> bool {
        self.text.skip_spaces();
        self.text.eat_text(symbol)
    }
}

const FILTERS: [&str; 6] = ["lower", "upper", "join", "first", "count", "json"];
const LATER: [&str; 4] = ["domain", "mask", "pseudonym", "table"];
const FILTERS_THERE_ARE: &str = "the filters are lower, upper, join(\", \"), first, count and json";

fn with(cases: &[Case], case: Case) -> Box<[Case]> {
    cases.iter().copied().chain([case]).collect()
}

fn unclosed(start: usize) -> Slip {
    Slip::new(start..start + 1, "unclosed-brace", "the brace is not closed")
        .help("close it with `}`, or write `{{` where the text itself holds a brace")
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
        tree.pick(ENTRY, &mut picked, paths.len());
        let mut buffers = Buffers::default();
        template
            .value(Values::new(ENTRY, &picked), &mut buffers)
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
            ("{x | json}", r#""\u00c9\/t\ud800""#),
            ("{l | json}", r#"["a","","B"]"#),
            ("{l[2]}", "B"),
            ("{\"o\".k[1]}", "2"),
            ("{e ?? 'a\"' | json}", r#""a\"""#),
            ("{s} and {n}", "Tor Exit and 12"),
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
    }
}
