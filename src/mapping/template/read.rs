//! A template's text taken apart, every mistake in it found.

use std::ops::Range;

use super::{Filter, Part, Placeholder, Shape, Source, Step};
use crate::mapping::lookup::Tables;
use crate::mapping::path::{Path, Paths};
use crate::mapping::text::{Cursor, Slip};
use crate::problem::closest;

/// The parts of a template.
///
/// # Errors
/// Every mistake in it.
pub(super) fn parts(text: &str, paths: &mut Paths, tables: &mut Tables) -> Result<Vec<Part>, Vec<Slip>> {
    let mut reader = Reader { text: Cursor::new(text), whole: text, paths, tables, slips: Vec::new() };
    let parts = reader.parts();
    if reader.slips.is_empty() { Ok(parts) } else { Err(reader.slips) }
}

/// Reads a template, going on after a mistake so that all of them are found.
struct Reader<'t, 'p> {
    text: Cursor<'t>,
    whole: &'t str,
    paths: &'p mut Paths,
    tables: &'p mut Tables,
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
            filters: Box::default(),
        };
        let mut filters = Vec::new();
        while self.eat_spaced("|") {
            self.filter(&mut made, &mut filters)?;
        }
        made.filters = filters.into();
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
                let what = "this alternative is never reached: the one before it is always there";
                self.slips.push(
                    Slip::new(start..self.text.at(), "unreachable", what)
                        .help("put it first, or take it away"),
                );
            }
            always |= matches!(source, Source::Text(_) | Source::Id(_));
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
                    return Ok(Source::Text(plain.into()));
                }
            }
            Some('@') => {
                self.text.next();
                let name = self.text.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
                return match name {
                    "id" => Ok(Source::Id(self.paths.number(Path::key("id")))),
                    "rest" => Ok(Source::Rest),
                    _ => {
                        let slip = Slip::new(
                            start..self.text.at(),
                            "bad-template",
                            format!("there is no `@{name}`"),
                        );
                        Err(slip.help(
                            "`@id` is the entry's id, `@rest` what no field took; \
                             a key that begins with `@` is written in quotes",
                        ))
                    }
                };
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

    /// Reads one filter: into `made` what makes a text, into `filters` what changes one.
    fn filter(&mut self, made: &mut Placeholder, filters: &mut Vec<Step>) -> Result<(), Slip> {
        self.text.skip_spaces();
        let start = self.text.at();
        let name = self.text.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        let named = start..self.text.at().max(start + 1);
        let argument = if self.text.eat('(') { Some(self.argument(name)?) } else { None };
        let at = start..self.text.at().max(start + 1);
        let refuse = |what: String, help: &str| Err(Slip::new(at.clone(), "bad-filter", what).help(help));
        let is_list = made.shape == Shape::Plain && filters.is_empty();
        match (name, argument) {
            (
                "lower" | "upper" | "domain" | "mask" | "pseudonym" | "first" | "count" | "json",
                Some((_, extra)),
            ) => {
                let what = format!("`{name}` takes nothing in brackets");
                return Err(Slip::new(extra, "bad-filter", what).help(format!("write `{name}`")));
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
                return refuse("`join` wants a separator".into(), JOIN);
            }
            ("lower", _) => filters.push(Step { filter: Filter::Lower, at }),
            ("upper", _) => filters.push(Step { filter: Filter::Upper, at }),
            ("domain", _) => filters.push(Step { filter: Filter::Domain, at }),
            ("mask", _) => filters.push(Step { filter: Filter::Mask, at }),
            ("pseudonym", _) => filters.push(Step { filter: Filter::Pseudonym, at }),
            ("table", Some((table, at))) if !table.is_empty() => {
                filters.push(Step { filter: Filter::Table(self.tables.named(&table)), at });
            }
            ("table", _) => {
                return refuse("`table` wants the name of a table".into(), TABLE);
            }
            ("", _) => return refuse("a filter's name is missing after `|`".into(), FILTERS_THERE_ARE),
            (unknown, _) => {
                let help = closest(unknown, FILTERS)
                    .map_or_else(|| FILTERS_THERE_ARE.into(), |meant| format!("did you mean `{meant}`?"));
                let what = format!("there is no filter `{unknown}`");
                return Err(Slip::new(named, "unknown-filter", what).help(help));
            }
        }
        Ok(())
    }

    /// What stands in the brackets of the filter `name`, and where.
    fn argument(&mut self, name: &str) -> Result<(String, Range<usize>), Slip> {
        self.text.skip_spaces();
        let start = self.text.at();
        let text = match self.text.peek() {
            Some('"' | '\'') => self.text.quoted()?,
            _ => self.text.take_while(|c| !matches!(c, ')' | '}' | '|')).trim_end(),
        };
        let at = start..self.text.at().max(start + 1);
        self.text.skip_spaces();
        if self.text.eat(')') {
            return Ok((text.to_owned(), at));
        }
        Err(Slip::new(at, "bad-filter", "the bracket is not closed").help(if name == "table" {
            TABLE
        } else {
            JOIN
        }))
    }

    /// Reads `symbol` with the spaces before it.
    fn eat_spaced(&mut self, symbol: &str) -> bool {
        self.text.skip_spaces();
        self.text.eat_text(symbol)
    }
}

pub(in crate::mapping) const FILTERS: [&str; 10] =
    ["lower", "upper", "join", "first", "count", "json", "domain", "mask", "pseudonym", "table"];
const FILTERS_THERE_ARE: &str = "the filters are first, count, json and join(\", \"), and behind them lower, upper, domain, mask, pseudonym and table(name)";
const JOIN: &str = "write `join(\", \")`";
const TABLE: &str = "write `table(name)`, where a file has `[tables.name]`";

fn unclosed(start: usize) -> Slip {
    Slip::new(start..start + 1, "unclosed-brace", "the brace is not closed")
        .help("close it with `}`, or write `{{` where the text itself holds a brace")
}
