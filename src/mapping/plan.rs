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

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::Origin;
use super::condition::{AtPath, Condition};
use super::field::Field;
use super::fields::FieldInfo;
use super::outline::Outline;
use super::path::PathId;
use super::pick::{Picked, Values};
use super::pseudonym::PseudonymKey;
use super::severity::{self, Grade, Lacking};
use super::template::{Buffers, Placeholder};
use super::tree::Tree;
use crate::cef::{Event, HeaderText, Key, Label, Misfit, Severity};
use crate::event::{Entry, Log};

/// What becomes of every entry of every log.
#[derive(Debug)]
pub struct Plans {
    pub(super) logs: HashMap<Log, LogPlans>,
    /// For a log that no file maps, which compiling refuses to yield.
    pub(super) nothing: Plan,
    /// The first place that makes a pseudonym.
    pub(super) wants_key: Option<Origin>,
}

/// The plans of one log.
#[derive(Debug)]
pub(super) struct LogPlans {
    pub(super) actions: HashMap<Box<str>, Plan>,
    pub(super) unmapped: Plan,
    /// What the files say of each key, for lists.
    pub(super) fields: Vec<FieldInfo>,
}

impl Plans {
    /// The plan for an action; the catch-all's where no file names it.
    pub fn plan(&self, log: Log, action: &str) -> &Plan {
        match self.logs.get(&log) {
            Some(plans) => plans.actions.get(action).unwrap_or(&plans.unmapped),
            None => &self.nothing,
        }
    }

    /// The same plans, which make their pseudonyms with that key. Without one a field with a
    /// pseudonym is left out.
    #[must_use]
    pub fn keyed(mut self, key: PseudonymKey) -> Self {
        let key = Arc::new(key);
        for plan in self.logs.values_mut().flat_map(LogPlans::all_mut) {
            plan.key = Some(Arc::clone(&key));
        }
        self
    }

    /// The first place of the files that makes a pseudonym, for which there must be a key.
    pub fn wants_pseudonym_key(&self) -> Option<&Origin> {
        self.wants_key.as_ref()
    }

    /// Every field that a log's files write: those of every entry, of the unmapped, of each action
    /// by name, of each rule in order.
    pub fn fields(&self, log: Log) -> &[FieldInfo] {
        self.logs.get(&log).map_or(&[], |plans| &plans.fields)
    }

    /// Every action of a log that a file maps, by name.
    pub fn actions(&self, log: Log) -> Vec<Mapped<'_>> {
        let plans = self.logs.get(&log).into_iter().flat_map(|plans| &plans.actions);
        let mut mapped: Vec<_> = plans
            .filter_map(|(action, plan)| {
                let (severity, highest) = (plan.severity.usual(), plan.severity.highest());
                Some(Mapped {
                    action,
                    name: plan.name.settled().map(|name| name.what.as_str()),
                    severity,
                    up_to: Some(highest).filter(|&highest| highest > severity),
                    category: plan.constant("cat"),
                    outcome: plan.constant("outcome"),
                    origin: plan.origin.as_ref()?,
                })
            })
            .collect();
        mapped.sort_by_key(|mapped| mapped.action);
        mapped
    }
}

impl Plans {
    /// The keys and labels of every field of every plan.
    pub(super) fn names(&self) -> BTreeSet<&str> {
        let plans = self.logs.values().flat_map(|log| log.actions.values().chain([&log.unmapped]));
        let mut names = BTreeSet::new();
        for slot in plans.flat_map(|plan| plan.fields.iter().chain(&plan.rest)) {
            names.insert(slot.field.key.name());
            names.extend(slot.field.choice.0.iter().filter_map(|said| Some(said.what.label()?.as_str())));
        }
        names
    }
}

impl LogPlans {
    fn all_mut(&mut self) -> impl Iterator<Item = &mut Plan> {
        self.actions.values_mut().chain([&mut self.unmapped])
    }
}

/// An action that a file maps, for lists of them.
#[derive(Debug, Clone, Copy)]
pub struct Mapped<'p> {
    /// The action as Slack spells it.
    pub action: &'p str,
    /// What the event is called, where no rule says otherwise; `None`: as the action.
    pub name: Option<&'p str>,
    /// How grave it is, where neither a rule nor the entry says otherwise.
    pub severity: Severity,
    /// The highest that a rule or the entry can make it, where that is more.
    pub up_to: Option<Severity>,
    /// Its category, where that depends neither on a rule nor on the entry.
    pub category: Option<&'p str>,
    /// Its outcome, where that depends neither on a rule nor on the entry.
    pub outcome: Option<&'p str>,
    /// Where the action stands, in the last file that names it.
    pub origin: &'p Origin,
}

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
    /// What pseudonyms are made with.
    pub(super) key: Option<Arc<PseudonymKey>>,
}

/// The header's first fields.
#[derive(Debug, Clone)]
pub(super) struct Device {
    pub(super) vendor: HeaderText,
    pub(super) product: HeaderText,
    pub(super) version: HeaderText,
}

/// A field of one plan, with what can be told without a look at it: most fields of most entries are
/// absent, and most of the others are one value as it stands.
#[derive(Debug)]
pub(super) struct Slot {
    /// The numbers of the paths of which one must be there.
    sources: [u16; 4],
    /// The first that is there is the value, under this label.
    direct: bool,
    label: Option<Label>,
    field: Arc<FieldPlan>,
}

/// What may stand under one key.
#[derive(Debug)]
pub(super) struct FieldPlan {
    pub(super) key: Key,
    /// Its place among the fields, see `order`.
    pub(super) place: usize,
    pub(super) choice: Choice<Arc<Field>>,
}

impl FieldPlan {
    /// Whether it may ask for what no other field took.
    pub(super) fn wants_rest(&self) -> bool {
        self.choice.live().iter().any(|said| match &*said.what {
            Field::Value { template, .. } => template.wants_rest(),
            Field::Unset => false,
        })
    }

    /// What an `unset` takes away: the paths of everything that it is stronger than.
    pub(super) fn withheld(&self) -> impl Iterator<Item = PathId> {
        let unset = self.choice.0.iter().rposition(|said| matches!(&*said.what, Field::Unset));
        let weaker = self.choice.0.get(..unset.unwrap_or(0)).unwrap_or_default();
        weaker.iter().flat_map(|said| said.what.paths())
    }
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
    fn settled(&self) -> Option<&Candidate<T>> {
        self.made(&[])
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
}

impl Scratch {
    /// Space that grows with its first entries.
    pub fn new() -> Self {
        Self::default()
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

    /// The value of a key that every entry gets alike.
    fn constant(&self, key: &str) -> Option<&str> {
        let slot = self.fields.iter().find(|slot| slot.field.key.name() == key)?;
        match &*slot.field.only()?.what {
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
        let Scratch { picked, outline, rest, applies, spare, buffers } = scratch;
        // An entry is UTF-8 by its making.
        let text = std::str::from_utf8(entry.raw()).unwrap_or_default();
        let keeps_rest = !self.rest.is_empty();
        self.tree.pick(text, picked, keeps_rest.then_some(&mut *outline), self.paths);
        let values = Values::new(entry.id().as_str(), text, picked).keyed(self.key.as_deref());
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
        event.set_severity(self.grade(values, values.key(), applies, buffers, watch));
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
        key: Option<&PseudonymKey>,
        applies: &[bool],
        buffers: &mut Buffers,
        watch: &mut W,
    ) -> Severity {
        for candidate in self.severity.counting(applies) {
            let severity = match candidate.what.read(values, key, buffers) {
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

impl Slot {
    /// What can be told of a field beforehand.
    pub(super) fn new(field: Arc<FieldPlan>) -> Self {
        let (sources, direct) = Self::sources(&field).unwrap_or((NO_SOURCES, false));
        let label = if direct { field.only().and_then(|only| only.what.label()).cloned() } else { None };
        Self { sources, direct, label, field }
    }

    /// The paths of which the field needs one, and whether the first that is there is its value;
    /// `None` where they are many or there is no saying.
    fn sources(field: &FieldPlan) -> Option<([u16; 4], bool)> {
        let mut needed: Vec<PathId> = Vec::new();
        for candidate in field.choice.live() {
            if let Field::Value { template, .. } = &*candidate.what {
                needed.extend(template.needs()?);
            }
        }
        let mut sources = NO_SOURCES;
        if needed.len() > sources.len() {
            return None;
        }
        for (source, path) in sources.iter_mut().zip(needed) {
            *source = u16::try_from(path.index()).ok().filter(|&path| path != NO_SOURCE)?;
        }
        let direct = field.only().is_some_and(|only| match &*only.what {
            Field::Value { template, .. } => template.is_first_found(),
            Field::Unset => false,
        });
        Some((sources, direct))
    }

    /// Adds the field to the event, where there is something to add, and marks in the outline what
    /// it took.
    fn fill<'p, W: Watch<'p>>(
        &'p self,
        values: Values<'_>,
        outline: Option<&mut Outline>,
        applies: &[bool],
        buffers: &mut Buffers,
        event: &mut Event,
        watch: &mut W,
    ) {
        let field = &*self.field;
        match if W::SEES_ALL { Glance::LookCloser } else { self.glance(values) } {
            Glance::Absent => {}
            Glance::Text(path, text) => match event.push(&field.key, self.label.as_ref(), text) {
                Ok(()) => {
                    if let Some((outline, member)) = outline.zip(values.member(path)) {
                        outline.take(member);
                    }
                }
                Err(misfit) => {
                    if let Some(only) = field.only() {
                        watch.field(field, only, Fate::Misfit(text, misfit), applies);
                    }
                }
            },
            Glance::LookCloser => {
                let Some(chosen) = field.choice.made(applies) else { return };
                let fate = field.fill(&chosen.what, values, values.key(), buffers, event);
                if let Some(outline) = outline {
                    field.take(&chosen.what, &fate, values, outline);
                }
                watch.field(field, chosen, fate, applies);
            }
        }
    }

    /// What the first source that is there makes of the field.
    fn glance<'a>(&self, values: Values<'a>) -> Glance<'a> {
        if self.sources == NO_SOURCES {
            return Glance::LookCloser;
        }
        let sources = self.sources.iter().take_while(|&&path| path != NO_SOURCE);
        let found =
            sources.map(|&path| usize::from(path)).find_map(|path| Some((path, values.numbered(path)?)));
        match found.map(|(path, found)| (path, found.lent())) {
            None => Glance::Absent,
            Some((path, Some(text))) if self.direct => Glance::Text(path, text),
            Some(_) => Glance::LookCloser,
        }
    }
}

/// Stands for no path.
const NO_SOURCE: u16 = u16::MAX;
const NO_SOURCES: [u16; 4] = [NO_SOURCE; 4];

/// What can be told of a field without following it.
enum Glance<'a> {
    Absent,
    /// The value, and the number of its path.
    Text(usize, &'a str),
    LookCloser,
}

impl FieldPlan {
    /// The one candidate that can count, where it is one.
    fn only(&self) -> Option<&Candidate<Arc<Field>>> {
        match self.choice.live() {
            [only] if only.rule.is_none() => Some(only),
            _ => None,
        }
    }

    fn fill<'a>(
        &self,
        field: &'a Field,
        values: Values<'a>,
        key: Option<&PseudonymKey>,
        buffers: &'a mut Buffers,
        event: &mut Event,
    ) -> Fate<'a> {
        let Field::Value { label, template, .. } = field else { return Fate::Unset };
        match template.value(values, key, buffers) {
            Err(placeholder) => Fate::Absent(placeholder),
            Ok(text) => match event.push(&self.key, label.as_ref(), text) {
                Ok(()) => Fate::Pushed,
                Err(misfit) => Fate::Misfit(text, misfit),
            },
        }
    }
}

impl FieldPlan {
    /// Marks what the field took of the entry, or takes away from the event on purpose. A value
    /// that did not fit stays unmarked, for it is nowhere else, unless it shall be hidden.
    fn take(&self, field: &Field, fate: &Fate<'_>, values: Values<'_>, outline: &mut Outline) {
        if let Field::Value { template, .. } = field {
            template.take_hidden(values, outline);
        }
        match (field, fate) {
            (Field::Value { template, .. }, Fate::Pushed) => template.take(values, outline),
            (Field::Unset, _) => {
                for member in self.withheld().filter_map(|path| values.member_around(path.index())) {
                    outline.take(member);
                }
            }
            _ => {}
        }
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
