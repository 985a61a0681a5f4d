//! Files of cases as they are written: every case, and every mistake in them with its place.

use std::collections::BTreeSet;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::super::load;
use super::super::plans::Plans;
use super::super::table::{Help, InFile, Member, Reading, Value, members};
use super::super::{Layer, MappingFile, naming};
use super::{Case, CaseFile, Expectation, entry};
use crate::cef::Severity;
use crate::event::Entry;
use crate::problem::{Problem, closest};

/// Understands files of cases for the mapping that `plans` were made of.
///
/// # Errors
/// Every mistake of every file, in the order of files and lines; also where an entry that a case
/// keeps in a file of its own can't be read.
pub fn read(files: &[CaseFile], plans: &Plans) -> Result<Vec<Case>, Vec<Problem>> {
    let texts: Vec<_> = files
        .iter()
        .map(|file| MappingFile::new(file.path.display().to_string(), Layer::Customer, file.text.clone()))
        .collect();
    let mut reading = Reading::new(&texts, None);
    let names = plans.names();
    let mut cases = Vec::new();
    for (number, file) in files.iter().enumerate() {
        let folder = file.path.parent().unwrap_or(Path::new("."));
        let (table, errors) = DeTable::parse_recoverable(&file.text);
        let mut inside = InFile::new(&mut reading, number);
        for error in &errors {
            let span = error.span().unwrap_or(file.text.len()..file.text.len());
            inside.problem(span, "syntax", error.message().trim(), Help::NONE);
        }
        // What follows a slip of syntax may be read quite otherwise than it was meant.
        if errors.is_empty() {
            CasesIn { file: inside, folder, names: &names }.document(table.get_ref(), &mut cases);
        }
    }
    if reading.problems.is_empty() { Ok(cases) } else { Err(reading.problems.sorted()) }
}

const TOP: [&str; 2] = ["version", "cases"];
const CASE: [&str; 7] = ["name", "entry", "file", "expect", "absent", "dropped", "exact"];

/// One file while it is read.
struct CasesIn<'r, 'f> {
    file: InFile<'r, 'f>,
    /// Where entries in files of their own are looked for.
    folder: &'r Path,
    /// The keys and labels that the mapping sets.
    names: &'r BTreeSet<&'r str>,
}

/// The members of one case, as far as they are there.
#[derive(Default)]
struct Parts<'t, 'i> {
    name: Option<Member<'t, 'i>>,
    entry: Option<Member<'t, 'i>>,
    file: Option<Member<'t, 'i>>,
    expect: Option<Member<'t, 'i>>,
    absent: Option<Member<'t, 'i>>,
    dropped: Option<Member<'t, 'i>>,
    exact: Option<Member<'t, 'i>>,
}

impl CasesIn<'_, '_> {
    fn document(&mut self, table: &DeTable<'_>, into: &mut Vec<Case>) {
        if self.file.version(table).is_none() {
            return;
        }
        let mut found = false;
        for member in members(table) {
            match member.name() {
                "version" => {}
                "cases" => {
                    found = true;
                    self.cases(member.value, into);
                }
                _ => self.file.unknown(member, "a file of cases", &TOP),
            }
        }
        if !found {
            let help = "begin each case with `[[cases]]`";
            self.file.problem(0..0, "key-missing", "there is no case in this file", help);
        }
    }

    fn cases(&mut self, value: &Value<'_>, into: &mut Vec<Case>) {
        let Some(list) = value.get_ref().as_array() else {
            self.file.wrong_type("cases", "a list of tables", value, "begin each case with `[[cases]]`");
            return;
        };
        let first = into.len();
        for (number, case) in list.iter().enumerate() {
            let Some(table) = self.file.table("cases", case) else { continue };
            let Some(case) = self.case(number, case, table) else { continue };
            let twin = into.iter().skip(first).find(|other| other.name == case.0.name);
            if let Some(twin) = twin {
                let what = format!("another case has the same name, on line {}", twin.origin.line);
                self.file.problem(case.1, "duplicate", what, "say what is special about each");
            }
            into.push(case.0);
        }
    }

    /// One case, with the place of its name.
    fn case(
        &mut self,
        number: usize,
        value: &Value<'_>,
        table: &DeTable<'_>,
    ) -> Option<(Case, std::ops::Range<usize>)> {
        let mut parts = Parts::default();
        for member in members(table) {
            match member.name() {
                "name" => parts.name = Some(member),
                "entry" => parts.entry = Some(member),
                "file" => parts.file = Some(member),
                "expect" => parts.expect = Some(member),
                "absent" => parts.absent = Some(member),
                "dropped" => parts.dropped = Some(member),
                "exact" => parts.exact = Some(member),
                name if self.names.contains(name) => {
                    let what = format!("a case has no key `{name}`");
                    let help = format!(
                        "what the event shall hold stands in `expect`: `expect = {{ {name} = \"…\" }}`"
                    );
                    self.file.problem(member.key.span(), "unknown-key", what, help);
                }
                _ => self.file.unknown(member, "a case", &CASE),
            }
        }
        // All parts are read, so that all their mistakes are found.
        let entry = self.entry(value, &parts);
        let expectation = self.expectation(&parts);
        let Some(name) = parts.name else {
            let help = "add `name = \"what it is about\"`";
            self.file.problem(value.span(), "key-missing", "the case has no name", help);
            return None;
        };
        let told = self.file.text("name", name.value)?;
        if told.trim().is_empty() || told.chars().any(char::is_control) {
            let help = "it is shown when the case fails: one line of text";
            self.file.problem(name.value.span(), "bad-name", "this can't be the name of a case", help);
        }
        let at = self.file.at(name.key.span());
        let origin = self.file.reading.problems.origin(&at);
        let case =
            Case { name: told.to_owned(), origin, file: self.file.file, number, entry: entry?, expectation };
        Some((case, name.value.span()))
    }

    fn entry(&mut self, case: &Value<'_>, parts: &Parts<'_, '_>) -> Option<Entry> {
        match (parts.entry, parts.file) {
            (Some(member), None) => {
                if member.value.get_ref().is_table() {
                    let help = "write it as Slack sends it: entry = '''{\"action\": …}'''";
                    self.file.wrong_type("entry", "JSON in quotes", member.value, help);
                    return None;
                }
                let text = self.file.text("entry", member.value)?;
                let slip = match entry::entry(text) {
                    Ok(entry) => return Some(entry),
                    Err(slip) => slip,
                };
                self.file.slips(&member.value.span(), text, [slip]);
                None
            }
            (None, Some(member)) => self.entry_of_file(member),
            (Some(_), Some(file)) => {
                let help = "take one of them away";
                self.file.problem(file.key.span(), "no-effect", "the case has both `entry` and `file`", help);
                None
            }
            (None, None) => {
                let place = parts.name.map_or_else(|| case.span(), |name| name.value.span());
                let help = "add `entry = '''{\"action\": …}'''`, or `file = \"entries/login.json\"`";
                self.file.problem(place, "key-missing", "the case has no entry", help);
                None
            }
        }
    }

    fn entry_of_file(&mut self, member: Member<'_, '_>) -> Option<Entry> {
        let name = self.file.text("file", member.value)?;
        let path = self.folder.join(name);
        let text = match load::text(&path) {
            Ok(text) => text,
            Err(error) => {
                let why = std::error::Error::source(&error).map_or_else(
                    || error.to_string(),
                    |source| format!("can't read {}: {source}", path.display()),
                );
                let help = "the path begins at the folder of this file";
                self.file.problem(member.value.span(), "unreadable", why, help);
                return None;
            }
        };
        let slip = match entry::entry(&text) {
            Ok(entry) => return Some(entry),
            Err(slip) => slip,
        };
        let at = self.file.at(member.value.span());
        let problem = Problem {
            code: slip.code,
            file: path.display().to_string().into(),
            text: text.into(),
            span: slip.at,
            what: slip.what,
            help: slip.help,
        };
        self.file.reading.problems.note_beyond(at, problem);
        None
    }

    /// What is expected; `None` where nothing is said, or a mistake was noted.
    fn expectation(&mut self, parts: &Parts<'_, '_>) -> Option<Expectation> {
        let dropped = match parts.dropped {
            Some(member) => Some(self.file.boolean("dropped", member.value)?),
            None => None,
        };
        let exact = match parts.exact {
            Some(member) => self.file.boolean("exact", member.value)?,
            None => false,
        };
        let others = [parts.expect, parts.absent, parts.exact];
        if dropped == Some(true) {
            let Some(other) = others.into_iter().flatten().next() else {
                return Some(Expectation::Dropped);
            };
            let what = format!("`{}` has no effect: the entry is expected to be dropped", other.name());
            self.file.problem(other.key.span(), "no-effect", what, "take it away, or take `dropped` away");
            return None;
        }
        if let (Some(exact), None, true) =
            (parts.exact, parts.expect, parts.absent.is_some() || dropped.is_some())
        {
            let help = "add `expect = { … }`, or take `exact` away";
            self.file.problem(exact.key.span(), "no-effect", "`exact` goes with `expect` alone", help);
            return None;
        }
        if dropped.is_none() && parts.expect.is_none() && parts.absent.is_none() {
            return None;
        }
        let fields = parts.expect.map(|member| self.expected(member)).unwrap_or_default();
        let absent = parts.absent.map(|member| self.absent(member, &fields)).unwrap_or_default();
        Some(Expectation::Event { fields, absent, exact })
    }

    fn expected(&mut self, member: Member<'_, '_>) -> Vec<(String, String)> {
        let Some(table) = self.file.table("expect", member.value) else { return Vec::new() };
        let mut fields = Vec::new();
        for member in members(table) {
            let name = member.name();
            if name != "name" && name != "severity" && !self.is_name(name, member.key.span()) {
                continue;
            }
            let value = match member.value.get_ref() {
                DeValue::String(text) => text.to_string(),
                DeValue::Integer(number) => number.to_string(),
                DeValue::Float(number) => number.to_string(),
                DeValue::Boolean(truth) => truth.to_string(),
                _ => {
                    self.file.wrong_type(name, "a text or a number", member.value, Help::NONE);
                    continue;
                }
            };
            if value.is_empty() {
                let help = format!("to say that it is not there write `absent = [\"{name}\"]`");
                self.file.problem(member.value.span(), "empty-value", "a key is never sent empty", help);
            }
            if name == "severity" && value.parse().ok().and_then(Severity::new).is_none() {
                let what = "a severity is a whole number from 0 to 10";
                self.file.problem(member.value.span(), "severity-range", what, Help::NONE);
            }
            fields.push((name.to_owned(), value));
        }
        if table.is_empty() {
            let help = "name at least one key, or take `expect` away and let `--bless` write it";
            self.file.problem(member.value.span(), "no-effect", "nothing is expected here", help);
        }
        fields
    }

    fn absent(&mut self, member: Member<'_, '_>, expected: &[(String, String)]) -> Vec<String> {
        let mut absent = Vec::new();
        for value in self.file.list("absent", member.value).unwrap_or_default() {
            let Some(name) = value.get_ref().as_str() else {
                self.file.wrong_type("absent", "a list of keys in quotes", value, Help::NONE);
                continue;
            };
            if matches!(name, "name" | "severity") {
                let what = format!("every event has a {name}");
                self.file.problem(value.span(), "never-true", what, Help::NONE);
            } else if expected.iter().any(|(other, _)| other == name) {
                let what = format!("`{name}` is expected, and expected to be absent");
                self.file.problem(value.span(), "never-true", what, "take one of them away");
            } else if self.is_name(name, value.span()) {
                absent.push(name.to_owned());
            }
        }
        absent
    }

    /// Whether an event of this mapping may have a key or label of that name; where not, a mistake
    /// is noted.
    fn is_name(&mut self, name: &str, span: std::ops::Range<usize>) -> bool {
        if self.names.contains(name) {
            return true;
        }
        match naming::key(name) {
            // The mapping may well leave a key of CEF's alone; one of its own must be somewhere.
            Ok(key) if key.definition().is_some() => return true,
            Ok(_) => {
                let what = format!("no file of this mapping sets `{name}`");
                let help = self
                    .meant(name)
                    .unwrap_or_else(|| "name a CEF key, or a key or label that the mapping sets".into());
                self.file.problem(span, "unknown-key", what, help);
            }
            Err(refused) => {
                let label_of =
                    name.strip_suffix("Label").filter(|key| crate::cef::Key::definition_of(key).is_some());
                let help = match label_of {
                    Some(key) => format!("expect the value under `{key}`, or under the label itself"),
                    None => self.meant(name).unwrap_or(refused.help),
                };
                self.file.problem(span, refused.code, refused.what, help);
            }
        }
        false
    }

    /// The name that was most likely meant.
    fn meant(&self, name: &str) -> Option<String> {
        let meant = closest(name, self.names.iter().copied().chain(["name", "severity"]))?;
        Some(format!("did you mean `{meant}`?"))
    }
}
