//! A plan: what becomes of the entries of one action. Compiled once, followed for every entry.
//!
//! Following a plan is one pass over the entry's JSON, then the conditions of the rules, then the
//! fields in the order in which they are written. Whatever a file says twice is a list of
//! candidates, of which the last one counts whose rule applies.
//!
//! **Invariant:** following a plan cannot fail: an entry that can hardly be read still becomes an
//! event, with its class id at least.
//! **Invariant:** what is left out for its type is reported, never dropped in silence.
//! **Invariant:** once the buffers have grown, nothing is allocated, unless a value does not fit
//! its key.

use std::sync::Arc;

use super::Origin;
use super::condition::{AtPath, Condition};
use super::field::Field;
use super::kit::Kit;
use super::outline::Outline;
use super::pick::{Picked, Values};
use super::severity::{self, Grade, Lacking};
use super::slot::{FieldPlan, Slot};
use super::template::{Buffers, Placeholder};
use super::tree::Tree;
use super::trusted::Trusted;
use crate::cef::{Event, HeaderText, Misfit, Severity};
use crate::event::Entry;

/// What becomes of the entries of one action, or of all actions that no file names.
#[derive(Debug)]
pub struct Plan {
    /// Where the action stands; `None`: no file maps it.
    pub(super) origin: Option<Origin>,
    pub(super) device: Device,
    pub(super) tree: Arc<Tree>,
    /// How many paths and rules there are in all plans: the size of the scratch space.
    pub(super) paths: usize,
    pub(super) all_rules: usize,
    /// The rules that may apply, by their number among all.
    pub(super) rules: Box<[(usize, Arc<Condition<AtPath>>)]>,
    pub(super) drop: Choice<bool>,
    pub(super) name: Choice<HeaderText>,
    pub(super) severity: Choice<Grade>,
    /// In the order in which they are written.
    pub(super) fields: Box<[Slot]>,
    /// Those that ask for what no other field took, written behind the others.
    pub(super) rest: Box<[Slot]>,
    /// What filters work with.
    pub(super) kit: Arc<Kit>,
}

/// The header's first fields.
#[derive(Debug, Clone)]
pub(super) struct Device {
    pub(super) vendor: HeaderText,
    pub(super) product: HeaderText,
    pub(super) version: HeaderText,
}

/// Everything that is said of one thing, the strongest last.
#[derive(Debug)]
pub(super) struct Choice<T>(pub(super) Box<[Candidate<T>]>);

#[derive(Debug, Clone)]
pub(super) struct Candidate<T> {
    /// The number of the rule that must apply.
    pub(super) rule: Option<usize>,
    pub(super) origin: Origin,
    pub(super) what: T,
}

impl<T> Choice<T> {
    /// The candidate that counts.
    pub(super) fn made(&self, applies: &[bool]) -> Option<&Candidate<T>> {
        self.counting(applies).next()
    }

    /// Those that count, or would without the ones before them, the strongest first.
    pub(super) fn counting<'c>(&'c self, applies: &[bool]) -> impl Iterator<Item = &'c Candidate<T>> {
        self.0.iter().rev().filter(|candidate| {
            candidate.rule.is_none_or(|rule| applies.get(rule).copied().unwrap_or_default())
        })
    }

    /// The candidate that counts where no rule applies.
    pub(super) fn settled(&self) -> Option<&Candidate<T>> {
        self.made(&[])
    }

    /// The one that can count, where it is one.
    pub(super) fn only(&self) -> Option<&Candidate<T>> {
        match self.live() {
            [only] if only.rule.is_none() => Some(only),
            _ => None,
        }
    }

    /// Those that can still count: the last one that needs no rule, and what follows it.
    pub(super) fn live(&self) -> &[Candidate<T>] {
        let first = self.0.iter().rposition(|candidate| candidate.rule.is_none()).unwrap_or(0);
        self.0.get(first..).unwrap_or_default()
    }
}

/// Space that is used again for every entry.
#[derive(Debug, Default)]
pub struct Scratch {
    picked: Picked,
    outline: Outline,
    rest: String,
    applies: Vec<bool>,
    /// For the strings with escapes that conditions ask for.
    spare: String,
    buffers: Buffers,
    trusted: Arc<Trusted>,
}

impl Scratch {
    /// Space that grows with its first entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// The organization of the entries that follow trusts this.
    pub fn trust(&mut self, trusted: &Arc<Trusted>) {
        if !Arc::ptr_eq(&self.trusted, trusted) {
            self.trusted = Arc::clone(trusted);
        }
    }
}

/// How it went with one entry.
#[derive(Debug, Default)]
pub struct Applied<'p> {
    /// Who said that the entry is to be dropped; the event is not to be sent then.
    pub dropped: Option<&'p Origin>,
    /// No file maps the action: the catch-all was used.
    pub unmapped: bool,
    /// The values that were left out because they are none of their key's type.
    pub misfits: Vec<Unfit<'p>>,
}

/// A field that was left out for its value, or a severity that was passed over for it.
#[derive(Debug, Clone, Copy)]
pub struct Unfit<'p> {
    /// The CEF key, or `severity`.
    pub key: &'p str,
    /// Who set it.
    pub origin: &'p Origin,
    /// What the value should have been: `an IP address`.
    pub wanted: &'static str,
}

impl Plan {
    /// Fills `event` with what becomes of `entry`; what it held before is gone.
    pub fn apply<'p>(&'p self, entry: &Entry, scratch: &mut Scratch, event: &mut Event) -> Applied<'p> {
        let mut applied = Applied { unmapped: self.is_unmapped(), ..Applied::default() };
        applied.dropped = self.follow(entry, scratch, event, &mut applied.misfits);
        applied
    }

    /// Whether no file maps the action, so that the catch-all is used.
    pub fn is_unmapped(&self) -> bool {
        self.origin.is_none()
    }

    /// Where the action stands, in the last file that names it.
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// All fields, in the order in which they are written.
    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.fields.iter().chain(&self.rest)
    }

    /// The value of a key that every entry gets alike.
    pub(super) fn constant(&self, key: &str) -> Option<&str> {
        let slot = self.fields.iter().find(|slot| slot.field.key.name() == key)?;
        match &*slot.field.choice.only()?.what {
            Field::Value { template, .. } => template.constant(),
            Field::Unset => None,
        }
    }

    /// Follows the plan and tells `watch` how it went with each field.
    ///
    /// # Returns
    /// Who said that the entry is to be dropped; its fields are not looked at then.
    pub(super) fn follow<'p, W: Watch<'p>>(
        &'p self,
        entry: &Entry,
        scratch: &mut Scratch,
        event: &mut Event,
        watch: &mut W,
    ) -> Option<&'p Origin> {
        event.clear();
        event.set_device(&self.device.vendor, &self.device.product, &self.device.version);
        event.set_class_id(entry.action().as_str());
        let Scratch { picked, outline, rest, applies, spare, buffers, trusted } = scratch;
        // An entry is UTF-8 by its making.
        let text = std::str::from_utf8(entry.raw()).unwrap_or_default();
        let keeps_rest = !self.rest.is_empty();
        self.tree.pick(text, picked, keeps_rest.then_some(&mut *outline), self.paths);
        let values = Values::new(entry.id().as_str(), text, picked).with_kit(&self.kit).trusting(trusted);
        applies.clear();
        applies.resize(self.all_rules, false);
        for (rule, condition) in &self.rules {
            if let Some(place) = applies.get_mut(*rule) {
                *place = condition.holds(values, spare);
            }
        }
        let name = self.name.made(applies);
        match name {
            Some(name) => event.set_name(&name.what),
            None => event.set_name_from_class_id(),
        }
        watch.name(name, applies);
        event.set_severity(self.grade(values, applies, buffers, watch));
        if let Some(drop) = self.drop.made(applies).filter(|drop| drop.what) {
            return Some(&drop.origin);
        }
        for slot in &self.fields {
            slot.fill(values, keeps_rest.then_some(&mut *outline), applies, buffers, event, watch);
        }
        if keeps_rest {
            rest.clear();
            outline.write_rest(text, rest);
            let values = values.with_rest(rest);
            for slot in &self.rest {
                slot.fill(values, None, applies, buffers, event, watch);
            }
        }
        None
    }

    /// How grave an entry is, by the strongest of those who say something that it has.
    fn grade<'p, W: Watch<'p>>(
        &'p self,
        values: Values<'_>,
        applies: &[bool],
        buffers: &mut Buffers,
        watch: &mut W,
    ) -> Severity {
        for candidate in self.severity.counting(applies) {
            let severity = match candidate.what.read(values, buffers) {
                Ok(severity) => Some(severity),
                Err(lacking) => {
                    watch.no_severity(candidate, lacking);
                    candidate.what.otherwise()
                }
            };
            if let Some(severity) = severity {
                watch.severity(severity, Some(candidate), applies);
                return severity;
            }
        }
        watch.severity(Severity::default(), None, applies);
        Severity::default()
    }
}

/// How it went with one field.
#[derive(Debug)]
pub(super) enum Fate<'a> {
    /// The event took it: into its fields, unless there was nothing in it to read.
    Pushed,
    Absent(&'a Placeholder),
    Misfit(&'a str, Misfit),
    Unset,
}

/// Who looks on while a plan is followed: counting, or explaining.
pub(super) trait Watch<'p> {
    /// Whether every field is of interest, and not only those that do not fit: no short cuts are
    /// taken then.
    const SEES_ALL: bool;

    fn name(&mut self, chosen: Option<&'p Candidate<HeaderText>>, applies: &[bool]);

    /// A candidate that the entry has no severity for.
    fn no_severity(&mut self, candidate: &'p Candidate<Grade>, lacking: Lacking<'_>);

    fn severity(&mut self, severity: Severity, chosen: Option<&'p Candidate<Grade>>, applies: &[bool]);

    fn field(
        &mut self,
        field: &'p FieldPlan,
        chosen: &'p Candidate<Arc<Field>>,
        fate: Fate<'_>,
        applies: &[bool],
    );
}

impl<'p> Watch<'p> for Vec<Unfit<'p>> {
    const SEES_ALL: bool = false;

    fn name(&mut self, _: Option<&'p Candidate<HeaderText>>, _: &[bool]) {}

    fn no_severity(&mut self, candidate: &'p Candidate<Grade>, lacking: Lacking<'_>) {
        if let Lacking::Misfit(_) = lacking {
            self.push(Unfit { key: "severity", origin: &candidate.origin, wanted: severity::WANTED });
        }
    }

    fn severity(&mut self, _: Severity, _: Option<&'p Candidate<Grade>>, _: &[bool]) {}

    fn field(&mut self, field: &'p FieldPlan, chosen: &'p Candidate<Arc<Field>>, fate: Fate<'_>, _: &[bool]) {
        if let Fate::Misfit(_, misfit) = fate {
            let wanted = misfit.wanted.described();
            self.push(Unfit { key: field.key.name(), origin: &chosen.origin, wanted });
        }
    }
}
