//! `when`: what must hold for a rule to apply, or for a destination to be sent an event.
//!
//! ```toml
//! when = { action = "anomaly", "details.reason" = { any = ["tor", "asn"] } }   # both must hold
//! when = { any = [{ action = { glob = "file_*" } }, { "context.app.id" = { exists = true } }] }   # one of them
//! when = { "context.ip_address" = { cidr = ["10.0.0.0/8", "2001:db8::/32"] } }
//! when = { action = { none = ["user_login", "user_logout"] }, "details.count" = { at_least = 10, at_most = 99 } }
//! ```
//!
//! | written | holds when what Slack sent |
//! | --- | --- |
//! | `"text"`, `12`, `true` | is that; a list holds when it has this one element and no other |
//! | `["a", "b"]` | is one of these |
//! | `{ any = ["a", "b"] }` | is one of these, or a list that has one of these in it |
//! | `{ none = ["a", "b"] }` | is none of these, nor a list that has one of these in it; what is absent is none of them |
//! | `{ exists = true }` | is there, and neither null nor empty |
//! | `{ glob = "user_*" }` | is like that from end to end: `*` is any run, `?` one character, `[a-z]` and `[!a-z]` one of a set or not of it, `\` takes the next as it is |
//! | `{ regex = "^[A-Z]{2}" }` | has that in it; `^` and `$` are the text's ends, `(?i)` is any case |
//! | `{ cidr = "10.0.0.0/8" }` | is an address of that network; an IPv4 address in IPv6's clothes is the IPv4 address |
//! | `{ cidr = "trusted.cidr" }` | is an address of a network that the entry's organization trusts: see `trusted` |
//! | `{ asn = [64500, "trusted.asn"] }` | is the number of that autonomous system, or of one that the organization trusts; with or without `AS` before it and a name behind it |
//! | `{ at_least = 5, at_most = 9 }` | is a number, or a text that is one, within these bounds, which belong to it |
//! | `{}` as the whole of `when` | always |
//!
//! `glob`, `regex`, `cidr`, `asn` and the bounds hold for a list when they hold for an element of it, and
//! for no object; `glob`, `regex`, `cidr` and `asn` take a list, of which one must hold. Several of one
//! table must all hold.
//!
//! Texts are compared by what they mean, letter for letter; numbers and booleans as they are sent.
//! A regex is one of the [`regex`] crate: it has neither look-around nor back references, and so
//! its time grows with the text's length and no faster. A text in single quotes keeps its
//! backslashes: `regex = '\.exe$'`.

mod asn;
mod network;
mod number;
mod pattern;
mod read;
mod test;

use std::sync::Arc;

use super::path::PathId;
use super::pick::Values;
pub(super) use read::{Known, MATCHERS, Subject};
pub(super) use test::Test;

/// What must hold, of an entry or of an event: `S` is what can be asked of it.
#[derive(Debug)]
pub(super) enum Condition<S> {
    All(Vec<Arc<Self>>),
    Any(Vec<Arc<Self>>),
    Is { of: S, test: Test },
}

/// What a rule asks of an entry: the value at a path.
#[derive(Debug, Clone, Copy)]
pub(super) struct AtPath {
    pub(super) path: PathId,
    /// It is the entry's action, which a plan is chosen by.
    pub(super) action: bool,
}

/// What is left of a condition once the action is known.
#[derive(Debug)]
pub(super) enum Pruned {
    Always,
    Never,
    When(Arc<Condition<AtPath>>),
}

impl<S> Condition<S> {
    /// Whether it holds where `ask` knows of each single test whether it does.
    pub(super) fn holds_where(&self, ask: &mut impl FnMut(&S, &Test) -> bool) -> bool {
        match self {
            Self::All(conditions) => conditions.iter().all(|condition| condition.holds_where(ask)),
            Self::Any(conditions) => conditions.iter().any(|condition| condition.holds_where(ask)),
            Self::Is { of, test } => ask(of, test),
        }
    }

    /// Calls `each` with every test.
    fn each_test<'c>(&'c self, each: &mut impl FnMut(&'c S, &'c Test)) {
        match self {
            Self::All(conditions) | Self::Any(conditions) => {
                for condition in conditions {
                    condition.each_test(each);
                }
            }
            Self::Is { of, test } => each(of, test),
        }
    }
}

impl Condition<AtPath> {
    /// Whether it holds for an entry. `spare` is for strings with escapes.
    pub(super) fn holds(&self, values: Values<'_>, spare: &mut String) -> bool {
        self.holds_where(&mut |at, test| test.holds(values.at(at.path), spare, values.trusted()))
    }

    /// What is left to ask of an entry whose action is `action`; `None` stands for every action
    /// that no file names.
    pub(super) fn pruned(self: &Arc<Self>, action: Option<&str>) -> Pruned {
        match &**self {
            Self::Is { of: AtPath { action: true, .. }, test } => match test.settled(action) {
                Some(true) => Pruned::Always,
                Some(false) => Pruned::Never,
                None => Pruned::When(self.clone()),
            },
            Self::Is { .. } => Pruned::When(self.clone()),
            Self::All(conditions) => {
                let mut left = Vec::new();
                for condition in conditions {
                    match condition.pruned(action) {
                        Pruned::Never => return Pruned::Never,
                        Pruned::Always => {}
                        Pruned::When(condition) => left.push(condition),
                    }
                }
                match <[_; 1]>::try_from(left) {
                    Ok([only]) => Pruned::When(only),
                    Err(left) if left.is_empty() => Pruned::Always,
                    Err(left) => Pruned::When(Arc::new(Self::All(left))),
                }
            }
            Self::Any(conditions) => {
                let mut left = Vec::new();
                for condition in conditions {
                    match condition.pruned(action) {
                        Pruned::Always => return Pruned::Always,
                        Pruned::Never => {}
                        Pruned::When(condition) => left.push(condition),
                    }
                }
                match <[_; 1]>::try_from(left) {
                    Ok([only]) => Pruned::When(only),
                    Err(left) if left.is_empty() => Pruned::Never,
                    Err(left) => Pruned::When(Arc::new(Self::Any(left))),
                }
            }
        }
    }

    /// Calls `each` with every path that is asked for.
    pub(super) fn each_path(&self, each: &mut impl FnMut(PathId)) {
        self.each_test(&mut |at, _| each(at.path));
    }

    /// Calls `each` with every action that is named.
    pub(super) fn each_action<'c>(&'c self, each: &mut impl FnMut(&'c str)) {
        self.each_test(&mut |at, test| {
            if at.action {
                for name in test.names() {
                    each(name);
                }
            }
        });
    }
}
