//! One comparison, and whether a value stands it.
//!
//! **Invariant:** the work is bounded by the value's length times the comparison's own size, and
//! never goes into what is nested in a list or an object.

use ipnet::IpNet;
use regex::Regex;

use super::number::Number;
use super::{asn, network};
use crate::mapping::json;
use crate::mapping::pick::{Found, Kind};
use crate::mapping::trusted::{self, Trusted};

/// What a value is compared with.
#[derive(Debug)]
pub(in crate::mapping) enum Test {
    /// The value is one of these.
    OneOf(Vec<Box<str>>),
    /// The value, or an element of it, is one of these.
    AnyOf(Vec<Box<str>>),
    /// Neither the value nor an element of it is one of these.
    NoneOf(Vec<Box<str>>),
    /// The value is there, or is not.
    Exists(bool),
    /// The value, or an element of it, has one of these in it.
    Like(Vec<Regex>),
    /// The value, or an element of it, is an address of one of these.
    Within(Named<IpNet>),
    /// The value, or an element of it, names one of these autonomous systems.
    OfSystem(Named<u32>),
    /// The value, or an element of it, is a number that is no less than the first and no more than
    /// the second.
    Between(Option<Number>, Option<Number>),
}

/// What a file names, and whether it also names what the organization trusts.
#[derive(Debug)]
pub(in crate::mapping) struct Named<T> {
    pub(super) these: Vec<T>,
    pub(super) trusted: bool,
}

impl<T> Named<T> {
    /// Of what was read one by one; `None` is the reference to what the organization trusts.
    pub(super) fn new(read: Vec<Option<T>>) -> Self {
        let trusted = read.iter().any(Option::is_none);
        Self { these: read.into_iter().flatten().collect(), trusted }
    }

    /// Whether `hold` is so of one of the lists.
    fn hold(&self, theirs: &[T], hold: impl Fn(&[T]) -> bool) -> bool {
        hold(&self.these) || (self.trusted && hold(theirs))
    }
}

impl Test {
    /// Whether it holds for a value, or for there being none. `spare` is for strings with escapes,
    /// `trusted` what the organization trusts.
    pub(in crate::mapping) fn holds(
        &self,
        found: Option<Found<'_>>,
        spare: &mut String,
        trusted: &Trusted,
    ) -> bool {
        let Some(found) = found else {
            return matches!(self, Self::Exists(false) | Self::NoneOf(_));
        };
        match self {
            Self::Exists(wanted) => *wanted,
            Self::OneOf(texts) => is_one_of(texts, found),
            Self::AnyOf(texts) => has_one_of(texts, found),
            Self::NoneOf(texts) => !has_one_of(texts, found),
            Self::Like(patterns) => {
                has_text(found, spare, |text| patterns.iter().any(|pattern| pattern.is_match(text)))
            }
            Self::Within(networks) => has_text(found, spare, |text| {
                networks.hold(&trusted.networks, |networks| network::hold(networks, text))
            }),
            Self::OfSystem(systems) => {
                has_text(found, spare, |text| systems.hold(&trusted.asns, |numbers| asn::hold(numbers, text)))
            }
            Self::Between(least, most) => has_text(found, spare, |text| {
                Number::of_text(text).is_some_and(|number| {
                    least.is_none_or(|least| number >= least) && most.is_none_or(|most| number <= most)
                })
            }),
        }
    }

    /// Whether it holds for a text, where nothing is trusted.
    pub(in crate::mapping) fn holds_for(&self, text: &str) -> bool {
        self.holds(Some(Found::ours(text, Kind::Text)), &mut String::new(), &trusted::NOTHING)
    }

    /// Whether it holds for an entry's action, where that can be told beforehand: `None` as the
    /// action stands for every one that no file names.
    pub(super) fn settled(&self, action: Option<&str>) -> Option<bool> {
        match (self, action) {
            // Every action that is named has a plan of its own.
            (Self::OneOf(_) | Self::AnyOf(_), None) => Some(false),
            (Self::NoneOf(_), None) => Some(true),
            // An entry may come without an action, and goes by the name `unknown` then.
            // What is trusted is not known yet.
            (Self::Within(Named { trusted: true, .. }) | Self::OfSystem(Named { trusted: true, .. }), _) => {
                None
            }
            (Self::Exists(_), Some(_)) | (_, None) => None,
            (_, Some(action)) => Some(self.holds_for(action)),
        }
    }

    /// The texts that it names.
    pub(super) fn names(&self) -> &[Box<str>] {
        match self {
            Self::OneOf(texts) | Self::AnyOf(texts) | Self::NoneOf(texts) => texts,
            Self::Exists(_) | Self::Like(_) | Self::Within(_) | Self::OfSystem(_) | Self::Between(..) => &[],
        }
    }
}

/// Whether the value is one of the texts; a list is its only element.
fn is_one_of(texts: &[Box<str>], found: Found<'_>) -> bool {
    if found.kind == Kind::List {
        let mut elements = json::elements(found.raw);
        return matches!((elements.next(), elements.next()), (Some(only), None) if is_one(texts, only));
    }
    has_one_of(texts, found)
}

/// Whether the value, or an element of it, is one of the texts.
fn has_one_of(texts: &[Box<str>], found: Found<'_>) -> bool {
    if found.kind == Kind::List {
        return json::elements(found.raw).any(|element| is_one(texts, element));
    }
    match found.lent() {
        Some(text) => texts.iter().any(|wanted| **wanted == *text),
        None => is_one(texts, found.raw),
    }
}

fn is_one(texts: &[Box<str>], raw: &str) -> bool {
    texts.iter().any(|text| json::scalar_is(raw, text))
}

/// Whether `fits` holds for the value, or for an element of it; not for what is nested.
fn has_text(found: Found<'_>, spare: &mut String, fits: impl Fn(&str) -> bool) -> bool {
    match found.kind {
        Kind::List => json::elements(found.raw).any(|element| text_of(element, spare).is_some_and(&fits)),
        _ => match found.lent() {
            Some(text) => fits(text),
            None => text_of(found.raw, spare).is_some_and(fits),
        },
    }
}

/// What a JSON scalar says as text; `None` for what says nothing, and for lists and objects.
fn text_of<'a>(raw: &'a str, spare: &'a mut String) -> Option<&'a str> {
    if json::is_container(raw) || json::is_nothing(raw) {
        return None;
    }
    let Some(inner) = json::inside(raw) else { return Some(raw) };
    if !inner.contains('\\') {
        return Some(inner);
    }
    spare.clear();
    json::unescape(inner, spare);
    Some(spare)
}

#[cfg(test)]
mod tests;
