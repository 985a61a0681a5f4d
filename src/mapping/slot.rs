//! One field of a plan: what may stand under one key, and the short cuts past most fields of most
//! entries.
//!
//! **Invariant:** a short cut comes to what following the field would come to; `map --explain` takes
//! none.

use std::sync::Arc;

use super::field::Field;
use super::order;
use super::outline::{MemberId, Outline};
use super::path::PathId;
use super::pick::{Values, Within};
use super::plan::{Choice, Fate, Watch};
use super::template::Buffers;
use crate::cef::{Event, Key, Label};

/// A field of one plan, with what can be told without a look at it: most fields of most entries are
/// absent.
#[derive(Debug)]
pub(super) struct Slot {
    sources: Sources,
    pub(super) field: Arc<FieldPlan>,
}

/// The numbers of the paths of which one must be there.
type Sources = [u16; 4];

/// Stands for no path.
const NO_SOURCE: u16 = u16::MAX;
const NO_SOURCES: Sources = [NO_SOURCE; 4];

impl Slot {
    pub(super) fn new(field: Arc<FieldPlan>) -> Self {
        Self { sources: field.sources, field }
    }

    /// Adds the field to the event, where there is something to add, and marks in the outline what
    /// it took.
    pub(super) fn fill<'p, W: Watch<'p>>(
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
            Glance::Text(member, text) => match event.push(&field.key, field.label.as_ref(), text) {
                Ok(()) => {
                    if let Some((outline, member)) = outline.zip(member) {
                        outline.take(member);
                    }
                }
                Err(misfit) => {
                    if let Some(only) = field.choice.only() {
                        watch.field(field, only, Fate::Misfit(text, misfit), applies);
                    }
                }
            },
            Glance::LookCloser => {
                let Some(chosen) = field.choice.made(applies) else { return };
                let fate = field.fill(&chosen.what, values, buffers, event);
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
        let mut found = sources.filter_map(|&path| values.numbered(usize::from(path)));
        match found.next().map(|found| (found.within.and_then(Within::whole), found.lent())) {
            None => Glance::Absent,
            Some((member, Some(text))) if self.field.direct => Glance::Text(member, text),
            Some(_) => Glance::LookCloser,
        }
    }
}

/// What can be told of a field without following it.
enum Glance<'a> {
    Absent,
    /// The value, and the member that it is all of.
    Text(Option<MemberId>, &'a str),
    LookCloser,
}

/// What may stand under one key.
#[derive(Debug)]
pub(super) struct FieldPlan {
    pub(super) key: Key,
    /// Its place among the fields, see `order`.
    pub(super) place: usize,
    pub(super) choice: Choice<Arc<Field>>,
    sources: Sources,
    /// Most values stand as they are: the first source that is there is the value, under this label.
    direct: bool,
    label: Option<Label>,
    /// What an `unset` takes away: the paths of everything that it is stronger than.
    pub(super) withheld: Box<[PathId]>,
}

impl FieldPlan {
    /// What may stand under `key`.
    pub(super) fn new(key: Key, choice: Choice<Arc<Field>>) -> Self {
        let unset = choice.0.iter().rposition(|said| matches!(&*said.what, Field::Unset));
        let weaker = choice.0.get(..unset.unwrap_or(0)).unwrap_or_default();
        let withheld = weaker.iter().flat_map(|said| said.what.paths()).collect();
        let only = choice.only().map(|only| &*only.what);
        let direct = match only {
            Some(Field::Value { template, .. }) => template.is_first_found(),
            Some(Field::Unset) | None => false,
        };
        let label = only.and_then(Field::label).cloned();
        let sources = needed(&choice).unwrap_or(NO_SOURCES);
        Self { place: order::place(&key), key, choice, sources, direct, label, withheld }
    }

    /// Whether it may ask for what no other field took.
    pub(super) fn wants_rest(&self) -> bool {
        self.choice.live().iter().any(|said| match &*said.what {
            Field::Value { template, .. } => template.wants_rest(),
            Field::Unset => false,
        })
    }

    fn fill<'a>(
        &self,
        field: &'a Field,
        values: Values<'a>,
        buffers: &'a mut Buffers,
        event: &mut Event,
    ) -> Fate<'a> {
        let Field::Value { label, template, .. } = field else { return Fate::Unset };
        match template.value(values, buffers) {
            Err(placeholder) => Fate::Absent(placeholder),
            Ok(text) => match event.push(&self.key, label.as_ref(), text) {
                Ok(()) => Fate::Pushed,
                Err(misfit) => Fate::Misfit(text, misfit),
            },
        }
    }

    /// Marks what the field took of the entry, or keeps out of the event on purpose. A value that did
    /// not fit stays unmarked, for it is nowhere else.
    fn take(&self, field: &Field, fate: &Fate<'_>, values: Values<'_>, outline: &mut Outline) {
        match (field, fate) {
            (Field::Value { template, .. }, Fate::Pushed) => template.take(values, outline, true),
            // What is to be hidden is hidden, though nothing came of it.
            (Field::Value { template, .. }, _) => template.take(values, outline, false),
            (Field::Unset, _) => {
                for member in self.withheld.iter().filter_map(|&path| values.member_around(path)) {
                    outline.take(member);
                }
            }
        }
    }
}

/// The paths of which a field needs one; `None` where they are many or there is no saying.
fn needed(choice: &Choice<Arc<Field>>) -> Option<Sources> {
    let mut needed: Vec<PathId> = Vec::new();
    for candidate in choice.live() {
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
    Some(sources)
}
