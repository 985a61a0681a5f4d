//! Paths into an entry: `actor.user.id`, `details.new_value[0]`, `details."a.b"`, `entity.*.id`.
//!
//! A path is read once, when a file is compiled, and known by its number from then on.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::text::{Cursor, Slip};

/// A way from an entry's top to one value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Path(Box<[Step]>);

/// One step down.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// The member of that key.
    Key(Box<str>),
    /// The element of that place, counted from 0.
    Index(usize),
    /// The first member that is an object and has what the rest of the path asks for.
    Any,
}

impl Path {
    pub(super) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Whether this is the entry's own action, which a plan is chosen by.
    pub(super) fn is_action(&self) -> bool {
        matches!(&*self.0, [Step::Key(key)] if &**key == "action")
    }

    /// The path to a member of the entry itself.
    pub(super) fn key(key: &str) -> Self {
        Self([Step::Key(key.into())].into())
    }

    /// Reads the path that begins at the cursor, as far as it goes.
    pub(super) fn read(text: &mut Cursor<'_>) -> Result<Self, Slip> {
        let start = text.at();
        let mut steps = Vec::new();
        loop {
            steps.push(step(text)?);
            while text.eat('[') {
                steps.push(index(text)?);
            }
            if !text.eat('.') {
                break;
            }
        }
        if let Some(c) = text.peek().filter(|&c| !ends_path(c)) {
            return Err(stray(text, c));
        }
        if steps.len() > LONGEST {
            return Err(Slip::new(
                start..text.at(),
                "bad-path",
                format!("a path has at most {LONGEST} steps"),
            ));
        }
        Ok(Self(steps.into()))
    }

    /// Reads a text that is a path and nothing else: what a condition's key is.
    pub(super) fn parse(text: &str) -> Result<Self, Slip> {
        let mut cursor = Cursor::new(text);
        let path = Self::read(&mut cursor)?;
        match cursor.peek() {
            None => Ok(path),
            Some(c) => Err(stray(&cursor, c)),
        }
    }
}

/// Deeper than any entry of Slack's; what keeps the walk down an entry short.
const LONGEST: usize = 32;

fn step(text: &mut Cursor<'_>) -> Result<Step, Slip> {
    let start = text.at();
    match text.peek() {
        Some('*') => {
            text.next();
            Ok(Step::Any)
        }
        Some('"' | '\'') => Ok(Step::Key(text.quoted()?.into())),
        _ => {
            let name = text.take_while(is_bare);
            if !name.is_empty() {
                return Ok(Step::Key(name.into()));
            }
            Err(match text.peek() {
                Some(c) if !ends_path(c) && !matches!(c, '.' | '[') => stray(text, c),
                _ => Slip::new(start..start + 1, "bad-path", "a name is missing in the path")
                    .help("a path is names parted by dots, as in `actor.user.id`"),
            })
        }
    }
}

fn index(text: &mut Cursor<'_>) -> Result<Step, Slip> {
    let start = text.at();
    let digits = text.take_while(|c| c.is_ascii_digit());
    let place = digits.parse();
    match place {
        Ok(place) if text.eat(']') => Ok(Step::Index(place)),
        _ => {
            text.take_while(|c| c != ']' && c != '}');
            Err(Slip::new(
                start..text.at().max(start + 1),
                "bad-path",
                "an index is a whole number in brackets",
            )
            .help("write `[0]` for a list's first element, and the list's own name for all of it"))
        }
    }
}

fn stray(text: &Cursor<'_>, c: char) -> Slip {
    let at = text.at();
    Slip::new(at..at + c.len_utf8(), "bad-path", format!("`{c}` can't stand in a path"))
        .help("a key with anything but letters, digits, `_` and `-` in it is written in quotes")
}

/// What may follow a path in a template.
fn ends_path(c: char) -> bool {
    c.is_whitespace() || matches!(c, '}' | '|' | '?')
}

fn is_bare(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, step) in self.0.iter().enumerate() {
            if n > 0 && !matches!(step, Step::Index(_)) {
                f.write_str(".")?;
            }
            match step {
                Step::Key(key) if !key.is_empty() && key.chars().all(is_bare) => f.write_str(key)?,
                Step::Key(key) => write!(f, "\"{key}\"")?,
                Step::Index(place) => write!(f, "[{place}]")?,
                Step::Any => f.write_str("*")?,
            }
        }
        Ok(())
    }
}

/// A path's number: the same in every plan of one set of files, and of all that lie over the same ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct PathId(u32);

impl PathId {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Every path that a set of files names, numbered.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// Those that the files beneath name already.
    below: Option<Arc<Self>>,
    numbers: HashMap<Path, PathId>,
    own: Vec<Path>,
}

impl Paths {
    /// These paths, and more to come.
    pub(super) fn over(below: Arc<Self>) -> Self {
        Self { below: Some(below), ..Self::default() }
    }

    /// The path's number: a new one where it was not seen before.
    pub(super) fn number(&mut self, path: Path) -> PathId {
        if let Some(known) = self.below.as_ref().and_then(|below| below.known(&path)) {
            return known;
        }
        let next = PathId(u32::try_from(self.len()).unwrap_or(u32::MAX));
        let id = *self.numbers.entry(path.clone()).or_insert(next);
        if id == next {
            self.own.push(path);
        }
        id
    }

    fn known(&self, path: &Path) -> Option<PathId> {
        let below = || self.below.as_ref()?.known(path);
        self.numbers.get(path).copied().or_else(below)
    }

    pub(super) fn path(&self, id: PathId) -> Option<&Path> {
        match &self.below {
            Some(below) if id.index() < below.len() => below.path(id),
            _ => self.own.get(id.index() - self.first()),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.first() + self.own.len()
    }

    /// The number of the first path that is not beneath.
    fn first(&self) -> usize {
        self.below.as_ref().map_or(0, |below| below.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_kind_of_step() {
        for (text, steps) in [
            ("actor.user.id", 3),
            ("details.new_value[0]", 3),
            ("details.\"a.b\"", 2),
            ("details.'a b'[1][2].c", 5),
            ("entity.*.id", 3),
            ("a-b_C9", 1),
        ] {
            let path = Path::parse(text).unwrap();
            assert_eq!(path.steps().len(), steps, "{text}");
            assert_eq!(path.to_string(), text.replace('\'', "\""));
        }
    }

    #[test]
    fn refuses_what_is_no_path_and_says_where() {
        for (text, at) in [
            ("", 0..1),
            ("a..b", 2..3),
            (".a", 0..1),
            ("a.", 2..3),
            ("a b", 1..2),
            ("a.é", 2..4),
            ("a[]", 2..3),
            ("a[x]", 2..3),
            ("a[0", 2..3),
            ("a.\"b", 2..4),
        ] {
            assert_eq!(Path::parse(text).unwrap_err().at, at, "{text}");
        }
        assert!(Path::parse(&"a.".repeat(40)).is_err());
        assert!(Path::parse(&vec!["a"; 33].join(".")).is_err());
    }

    #[test]
    fn a_path_has_one_number() {
        let mut paths = Paths::default();
        let a = paths.number(Path::parse("a.b").unwrap());
        let b = paths.number(Path::parse("a.c").unwrap());
        assert_ne!(a, b);
        assert_eq!(paths.number(Path::parse("a.\"b\"").unwrap()), a);
        assert_eq!(paths.len(), 2);
        let mut over = Paths::over(Arc::new(paths));
        assert_eq!(over.number(Path::parse("a.c").unwrap()), b);
        let c = over.number(Path::parse("c").unwrap());
        assert_eq!([a, b, c].map(|id| over.path(id).unwrap().to_string()), ["a.b", "a.c", "c"]);
        assert_eq!(over.len(), 3);
    }
}
