//! Reading a `when`, with every mistake in it.

use std::ops::Range;
use std::sync::Arc;

use toml::de::DeValue;

use super::number::Number;
use super::test::Named;
use super::{AtPath, Condition, Test, asn, network, pattern};
use crate::mapping::path::Path;
use crate::mapping::table::{Help, InFile, Member, Value, members};
use crate::mapping::text::Slip;
use crate::problem;

/// What a key of a `when` stands for.
#[derive(Debug)]
pub(in crate::mapping) struct Subject<S> {
    pub(in crate::mapping) of: S,
    /// What it can be, where that is known.
    pub(in crate::mapping) known: Option<Known>,
}

/// Every value that something can have.
#[derive(Debug)]
pub(in crate::mapping) struct Known {
    pub(in crate::mapping) values: Vec<String>,
    /// The same in words.
    pub(in crate::mapping) in_words: String,
}

/// How the keys of a `when` are read; a mistake is noted.
pub(in crate::mapping) type Subjects<'c, S> =
    dyn FnMut(&mut InFile<'_, '_>, Member<'_, '_>) -> Option<Subject<S>> + 'c;

impl InFile<'_, '_> {
    /// Reads the `when` of a rule. `None` where it holds a mistake, which is noted.
    pub(in crate::mapping) fn condition(&mut self, value: &Value<'_>) -> Option<Arc<Condition<AtPath>>> {
        self.condition_on(value, &mut |file, member| match Path::parse(member.name()) {
            Ok(path) => {
                let action = path.is_action();
                let path = file.reading.paths.number(path);
                Some(Subject { of: AtPath { path, action }, known: None })
            }
            Err(slip) => {
                file.slips(&member.key.span(), member.name(), [slip]);
                None
            }
        })
    }

    /// Reads a `when` whose keys are read by `subjects`.
    pub(in crate::mapping) fn condition_on<S: Clone>(
        &mut self,
        value: &Value<'_>,
        subjects: &mut Subjects<'_, S>,
    ) -> Option<Arc<Condition<S>>> {
        let Some(table) = value.get_ref().as_table() else {
            let help = "write in braces what must hold: `{ action = \"user_login\" }`";
            self.wrong_type("when", "a table", value, help);
            return None;
        };
        let mut conditions = Vec::new();
        let mut fine = true;
        for member in members(table) {
            let made = if member.name() == "any" && member.value.get_ref().is_array() {
                self.alternatives(member.value, subjects)
            } else {
                self.comparison(member, subjects)
            };
            fine &= made.is_some();
            conditions.extend(made);
        }
        fine.then(|| Arc::new(Condition::All(conditions)))
    }

    fn alternatives<S: Clone>(
        &mut self,
        value: &Value<'_>,
        subjects: &mut Subjects<'_, S>,
    ) -> Option<Arc<Condition<S>>> {
        let list = self.list("any", value)?;
        if list.is_empty() {
            self.problem(value.span(), "never-matches", EQUALS_EMPTY_LIST, ASK_FOR_ABSENT);
            return None;
        }
        let made: Vec<_> =
            list.iter().filter_map(|alternative| self.condition_on(alternative, subjects)).collect();
        (made.len() == list.len()).then(|| Arc::new(Condition::Any(made)))
    }

    fn comparison<S: Clone>(
        &mut self,
        member: Member<'_, '_>,
        subjects: &mut Subjects<'_, S>,
    ) -> Option<Arc<Condition<S>>> {
        let Subject { of, known } = subjects(self, member)?;
        let mut tests = self.tests(member, known.as_ref())?.into_iter();
        let is = |test| Arc::new(Condition::Is { of: of.clone(), test });
        match (tests.next(), tests.next()) {
            (Some(only), None) => Some(is(only)),
            (first, second) => {
                Some(Arc::new(Condition::All(first.into_iter().chain(second).chain(tests).map(is).collect())))
            }
        }
    }

    /// What one key is compared with.
    fn tests(&mut self, member: Member<'_, '_>, known: Option<&Known>) -> Option<Vec<Test>> {
        let name = member.name();
        let DeValue::Table(table) = member.value.get_ref() else {
            return Some(vec![Test::OneOf(self.wanted(name, name, member.value, known)?)]);
        };
        if table.is_empty() {
            let what = format!("nothing is asked of `{name}`");
            self.problem(member.value.span(), "no-effect", what, MATCHERS_THERE_ARE);
            return None;
        }
        let mut tests = Vec::new();
        let (mut least, mut most) = (None, None);
        let mut fine = true;
        for Member { key, value } in members(table) {
            let matcher: &str = key.get_ref();
            let test = match matcher {
                "any" => self.wanted(name, matcher, value, known).map(Test::AnyOf),
                "none" => self.wanted(name, matcher, value, known).map(Test::NoneOf),
                "exists" => self.boolean(matcher, value).map(Test::Exists),
                "glob" => self.each_text(matcher, value, pattern::glob).map(Test::Like),
                "regex" => self.each_text(matcher, value, pattern::regex).map(Test::Like),
                "cidr" => self
                    .each_text(matcher, value, |text| or_trusted(text, TRUSTED_NETWORKS, network::read))
                    .map(|read| Test::Within(self.named(value, read))),
                "asn" => self
                    .each_text(matcher, value, |text| or_trusted(text, TRUSTED_SYSTEMS, asn::read))
                    .map(|read| Test::OfSystem(self.named(value, read))),
                "at_least" | "at_most" => {
                    let bound = if matcher == "at_least" { &mut least } else { &mut most };
                    *bound = self.number(matcher, value);
                    fine &= bound.is_some();
                    continue;
                }
                _ => {
                    self.no_matcher(name, Member { key, value });
                    None
                }
            };
            fine &= test.as_ref().is_some_and(|test| self.can_hold(name, test, value.span(), known));
            tests.extend(test);
        }
        if least.is_some() || most.is_some() {
            let between = Test::Between(least, most);
            fine &= self.can_hold(name, &between, member.value.span(), known);
            tests.push(between);
        }
        (fine && self.agree(&tests, member.value.span())).then_some(tests)
    }

    /// Whether some value is as the test wants it, and some other is not, as far as that is known.
    fn can_hold(&mut self, name: &str, test: &Test, span: Range<usize>, known: Option<&Known>) -> bool {
        if let Test::Between(Some(least), Some(most)) = test
            && least > most
        {
            let what = "this never holds: `at_least` is above `at_most`";
            self.problem(
                span,
                "never-matches",
                what,
                "swap the two; or ask by `any = [{…}, {…}]` for either",
            );
            return false;
        }
        let Some(Known { values, in_words }) = known else { return true };
        if !values.iter().any(|value| test.holds_for(value)) {
            let what = format!("this never holds: no `{name}` is like this");
            self.problem(span, "never-matches", what, format!("`{name}` is {in_words}"));
            return false;
        }
        if matches!(test, Test::Between(..)) && values.iter().all(|value| test.holds_for(value)) {
            let what = format!("this always holds: every `{name}` is like this");
            self.problem(span, "no-effect", what, format!("`{name}` is {in_words}"));
            return false;
        }
        true
    }

    /// Whether the tests of one key leave anything to each other.
    fn agree(&mut self, tests: &[Test], span: Range<usize>) -> bool {
        let absent = tests.iter().any(|test| matches!(test, Test::Exists(false)));
        if absent && tests.len() > 1 {
            let what = "this never holds: what is not there is like nothing";
            let help = "to take what is absent as well write `any = [{ … = { exists = false } }, { … }]`";
            self.problem(span, "never-matches", what, help);
            return false;
        }
        for test in tests {
            let Test::AnyOf(any) = test else { continue };
            let gone =
                |text| tests.iter().any(|test| matches!(test, Test::NoneOf(none) if none.contains(text)));
            if any.iter().all(gone) {
                let what = "this never holds: `none` takes away all that `any` names";
                self.problem(span, "never-matches", what, "take away one of the two");
                return false;
            }
        }
        true
    }

    fn no_matcher(&mut self, path: &str, matcher: Member<'_, '_>) {
        let name = matcher.name();
        // `details.reason = "tor"` without quotes is a table in a table to TOML.
        let meant = OTHER_WORDS.iter().find(|(words, _)| words.contains(&name)).map(|(_, meant)| *meant);
        let help = meant.or_else(|| problem::closest(name, MATCHERS)).map_or_else(
            || {
                format!(
                    "{MATCHERS_THERE_ARE}; a path of several steps is written in quotes: `\"{path}.{name}\"`"
                )
            },
            |meant| format!("did you mean `{meant}`?"),
        );
        self.problem(matcher.key.span(), "unknown-matcher", format!("there is no comparison `{name}`"), help);
    }

    /// What each of some texts is read as: of one, or of a list of them.
    fn each_text<T>(
        &mut self,
        matcher: &str,
        value: &Value<'_>,
        read: impl Fn(&str) -> Result<T, Slip>,
    ) -> Option<Vec<T>> {
        let list = one_or_list(value);
        if list.is_empty() {
            let what = format!("this never holds: `{matcher}` names nothing");
            self.problem(value.span(), "never-matches", what, "write a text, or a list of texts");
            return None;
        }
        let made: Vec<T> = list
            .iter()
            .filter_map(|one| {
                // The number of a system may be written as one.
                if matcher == "asn" && one.get_ref().as_integer().is_some() {
                    let number = self.integer(matcher, one)?.to_string();
                    return read(&number)
                        .map_err(|slip| {
                            self.problem(one.span(), slip.code, slip.what, slip.help.unwrap_or_default());
                        })
                        .ok();
                }
                let text = self.text(matcher, one)?;
                read(text).map_err(|slip| self.slips(&one.span(), text, [slip])).ok()
            })
            .collect();
        (made.len() == list.len()).then_some(made)
    }

    /// Notes where what the organization trusts is asked for first.
    fn named<T>(&mut self, value: &Value<'_>, read: Vec<Option<T>>) -> Named<T> {
        let named = Named::new(read);
        if named.trusted {
            let at = self.at(value.span());
            self.reading.asks_trusted.get_or_insert(at);
        }
        named
    }

    fn number(&mut self, matcher: &str, value: &Value<'_>) -> Option<Number> {
        let number = match value.get_ref() {
            DeValue::Integer(whole) => {
                i128::from_str_radix(whole.as_str(), whole.radix()).ok().map(Number::Whole)
            }
            DeValue::Float(real) => Number::of_text(real.as_str()),
            _ => None,
        };
        if let (None, DeValue::Float(real)) = (number, value.get_ref()) {
            let what = format!("`{}` is no number to compare with", real.as_str());
            self.problem(value.span(), "wrong-type", what, "to leave a side open leave its bound out");
        } else if number.is_none() {
            let help = match value.get_ref() {
                DeValue::String(text) if Number::of_text(text).is_some() => {
                    Help::from("take the quotes away")
                }
                _ => Help::from("write a number, such as `7` or `0.5`"),
            };
            self.wrong_type(matcher, "a number", value, help);
        }
        number
    }

    /// The texts that a value is compared with: one, or a list of them.
    fn wanted(
        &mut self,
        name: &str,
        matcher: &str,
        value: &Value<'_>,
        known: Option<&Known>,
    ) -> Option<Vec<Box<str>>> {
        let list = one_or_list(value);
        if list.is_empty() {
            match matcher {
                "none" => {
                    let what = "this always holds: `none` names nothing";
                    self.problem(value.span(), "no-effect", what, "name what is not wanted, or take it away");
                }
                _ => self.problem(value.span(), "never-matches", EQUALS_EMPTY_LIST, ASK_FOR_ABSENT),
            }
            return None;
        }
        let texts: Vec<Box<str>> = list
            .iter()
            .filter_map(|one| {
                let text = self.wanted_text(matcher, one)?;
                self.is_known(name, &text, one, known).then_some(text)
            })
            .collect();
        (texts.len() == list.len()).then_some(texts)
    }

    fn wanted_text(&mut self, matcher: &str, value: &Value<'_>) -> Option<Box<str>> {
        match value.get_ref() {
            DeValue::String(text) if text.is_empty() => {
                let (code, what) = match matcher {
                    "none" => ("no-effect", "nothing equals an empty text"),
                    _ => ("never-matches", "this never holds: nothing equals an empty text"),
                };
                self.problem(value.span(), code, what, ASK_FOR_ABSENT);
                None
            }
            DeValue::String(text) => Some((&**text).into()),
            DeValue::Integer(_) => Some(self.integer(matcher, value)?.to_string().into()),
            DeValue::Boolean(truth) => Some(truth.to_string().into()),
            _ => {
                let wanted = "compared with a text, a whole number, true or false";
                self.wrong_type(matcher, wanted, value, Help::NONE);
                None
            }
        }
    }

    fn is_known(&mut self, name: &str, text: &str, value: &Value<'_>, known: Option<&Known>) -> bool {
        let Some(Known { values, in_words }) = known else { return true };
        let is_known = values.iter().any(|value| value == text);
        if !is_known {
            let all = format!("`{name}` is {in_words}");
            // A number is never a slip for another.
            let words = values.iter().map(String::as_str).filter(|_| Number::of_text(text).is_none());
            let help = match problem::closest(text, words) {
                Some(meant) if values.len() > 1 => format!("did you mean `{meant}`? {all}"),
                _ => all,
            };
            self.problem(value.span(), "never-matches", format!("`{name}` is never `{text}`"), help);
        }
        is_known
    }
}

/// What `read` makes of a text; `None` for the reference to what the organization trusts.
fn or_trusted<T>(
    text: &str,
    reference: &str,
    read: impl Fn(&str) -> Result<T, Slip>,
) -> Result<Option<T>, Slip> {
    if text == reference { Ok(None) } else { read(text).map(Some) }
}

/// What stands for the networks and the systems that the organization trusts.
const TRUSTED_NETWORKS: &str = "trusted.cidr";
const TRUSTED_SYSTEMS: &str = "trusted.asn";

fn one_or_list<'t, 'i>(value: &'t Value<'i>) -> &'t [Value<'i>] {
    match value.get_ref() {
        DeValue::Array(list) => list,
        _ => std::slice::from_ref(value),
    }
}

const EQUALS_EMPTY_LIST: &str = "this never holds: nothing equals an empty list";
const ASK_FOR_ABSENT: &str = "to ask for what is absent write `{ exists = false }`";
pub(in crate::mapping) const MATCHERS: [&str; 9] =
    ["any", "none", "exists", "glob", "regex", "cidr", "asn", "at_least", "at_most"];
/// What others call them.
const OTHER_WORDS: [(&[&str], &str); 7] = [
    (&["in", "is", "eq", "one_of", "any_of", "equals"], "any"),
    (&["not", "ne", "not_in", "none_of", "no"], "none"),
    (&["like", "wildcard", "contains", "starts_with", "ends_with", "prefix", "suffix"], "glob"),
    (&["match", "matches", "pattern", "re"], "regex"),
    (&["ip", "net", "network", "subnet", "range"], "cidr"),
    (&["min", "minimum", "ge", "gte", "above", "from"], "at_least"),
    (&["max", "maximum", "le", "lte", "below", "to"], "at_most"),
];
const MATCHERS_THERE_ARE: &str = "compare with a text, a list of texts, or `{ … }` of `any`, `none`, `exists`, \
     `glob`, `regex`, `cidr`, `asn`, `at_least` and `at_most`";
