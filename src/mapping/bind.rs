//! What is said of one action into its plan: rules sorted by whether they concern it, fields in the
//! order in which they are written, the paths of all of them as one tree.
//!
//! **Invariant:** it cannot fail: what is wrong with files was found when they were read.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Origin;
use super::book::{Book, Page};
use super::condition::{AtPath, Condition};
use super::file::Attributes;
use super::kit::Kit;
use super::path::PathId;
use super::plan::{Choice, Device, Plan};
use super::said::OfAction;
use super::severity::Grade;
use super::slot::{FieldPlan, Slot};
use super::stratum::Stratum;
use super::table::Set;
use super::template::Template;
use super::tree::Tree;

/// Makes the plans of one log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Binder<'b> {
    pub(super) read: &'b Stratum,
    /// What is said of the log, the lowest layer first.
    pub(super) books: &'b [Arc<Book>],
    pub(super) device: &'b Device,
    pub(super) kit: &'b Arc<Kit>,
}

impl<'b> Binder<'b> {
    /// The plan of one action; of all that no file names where `action` is `None`.
    pub(super) fn plan(self, action: Option<&str>) -> Plan {
        let of_action = OfAction::new(self.books, action);
        let fields = self.fields(&of_action);
        // An action without a severity is as grave as one that no file names.
        let unmapped = self.books.iter().filter(|_| of_action.mapped).map(|book| &book.unmapped);
        let graded = unmapped.chain(of_action.pages.iter().copied());
        let severity =
            self.choice(graded, &of_action, |page| page.severity.as_ref(), |rule| rule.severity.as_ref());
        let pages = || of_action.pages.iter().copied();
        let tree = self.tree(&of_action.conditions, &severity, &fields);
        let (rest, fields) = fields.into_iter().partition::<Vec<_>, _>(|field| field.wants_rest());
        Plan {
            origin: of_action.mapped.then(|| self.origin(pages())),
            device: self.device.clone(),
            tree,
            paths: self.read.paths.len(),
            all_rules: self.books.iter().map(|book| book.rules.len()).sum(),
            drop: self.choice(pages(), &of_action, |page| page.drop.as_ref(), |rule| rule.drop.as_ref()),
            name: self.choice(pages(), &of_action, |page| page.name.as_ref(), |rule| rule.name.as_ref()),
            rules: of_action.conditions.into(),
            severity,
            fields: fields.into_iter().map(Slot::new).collect(),
            rest: rest.into_iter().map(Slot::new).collect(),
            kit: Arc::clone(self.kit),
        }
    }

    /// Where the action stands, in the last file that names it.
    fn origin(self, pages: impl DoubleEndedIterator<Item = &'b Page>) -> Origin {
        pages.rev().find_map(|page| page.at.as_ref()).map_or_else(Origin::default, |at| self.read.origin(at))
    }

    fn choice<T: Clone + 'b>(
        self,
        pages: impl Iterator<Item = &'b Page>,
        of_action: &OfAction<'b>,
        of_page: impl Fn(&'b Page) -> Option<&'b Set<T>>,
        of_rule: impl Fn(&'b Attributes) -> Option<&'b Set<T>>,
    ) -> Choice<T> {
        let from_pages = pages.filter_map(|page| Some((None, of_page(page)?)));
        let from_rules = of_action.rules.iter().filter_map(|rule| Some((rule.number, of_rule(rule.what)?)));
        let said = from_pages.chain(from_rules);
        Choice(said.map(|(rule, set)| self.read.candidate(rule, set)).collect())
    }

    /// The fields of one plan, in the order in which they are written.
    fn fields(self, of_action: &OfAction<'b>) -> Vec<Arc<FieldPlan>> {
        let said = of_action.fields(self.books).into_iter();
        let mut fields: Vec<_> = said.map(|(key, said)| self.read.field(key, &said)).collect();
        fields.sort_by(|a, b| (a.place, a.key.name()).cmp(&(b.place, b.key.name())));
        fields
    }

    /// The tree of the paths that one plan reads.
    fn tree(
        self,
        conditions: &[(usize, Arc<Condition<AtPath>>)],
        severity: &Choice<Grade>,
        fields: &[Arc<FieldPlan>],
    ) -> Arc<Tree> {
        let mut wanted: BTreeSet<PathId> = BTreeSet::new();
        for (_, condition) in conditions {
            condition.each_path(&mut |path| {
                wanted.insert(path);
            });
        }
        wanted.extend(severity.0.iter().filter_map(|said| said.what.template()).flat_map(Template::paths));
        for field in fields {
            wanted.extend(field.choice.live().iter().flat_map(|said| said.what.paths()));
        }
        if fields.iter().any(|field| field.wants_rest()) {
            wanted.extend(fields.iter().flat_map(|field| &field.withheld));
        }
        self.read.tree(wanted.into_iter().collect())
    }
}

impl Plan {
    /// The plan that yields a header and nothing else.
    pub(super) fn empty(device: Device) -> Self {
        Self {
            origin: None,
            device,
            tree: Arc::new(Tree::new([])),
            paths: 0,
            all_rules: 0,
            rules: Box::default(),
            drop: Choice(Box::default()),
            name: Choice(Box::default()),
            severity: Choice(Box::default()),
            fields: Box::default(),
            rest: Box::default(),
            kit: Arc::default(),
        }
    }
}
