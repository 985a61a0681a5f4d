//! Files into plans: layers laid over each other, rules sorted by action, every mistake at once.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::condition::{AtPath, Condition, Pruned};
use super::field::{Field, Fields};
use super::fields;
use super::file::{self, Attributes, Document, Rule};
use super::lookup::Rows;
use super::path::PathId;
use super::plan::{Candidate, Choice, Device, Plan};
use super::plans::{LogPlans, Plans};
use super::severity::Grade;
use super::slot::{FieldPlan, Slot};
use super::table::{At, Reading, Set};
use super::template::Template;
use super::tree::Tree;
use super::{MappingFile, Origin};
use crate::cef::{HeaderText, Key};
use crate::event::Log;
use crate::problem::Problem;

/// Makes plans of files: the shipped ones first, then the customer's.
///
/// # Errors
/// Every mistake of every file, in the order of files and lines.
pub fn compile(files: &[MappingFile]) -> Result<Plans, Vec<Problem>> {
    let mut reading = Reading::new(files);
    let read: Vec<Option<Document>> = (0..files.len()).map(|n| file::read(&mut reading, n)).collect();
    let whole = read.iter().all(Option::is_some);
    let mut books: BTreeMap<Log, Book> = BTreeMap::new();
    let mut rows = Rows::default();
    for mut document in read.into_iter().flatten() {
        rows.add(std::mem::take(&mut document.tables), &mut reading);
        books.entry(document.log).or_default().add(document, &mut reading);
    }
    if books.is_empty() && whole {
        let at = At { file: 0, start: 0, end: 0 };
        let help = "name a folder with mapping files, or leave `mapping` out for the shipped ones";
        reading.problem(at, "nothing-mapped", "there is no mapping file", help.into());
    }
    if whole {
        // A file that can't be read may hold what would be missed.
        for book in books.values() {
            book.demand(&mut reading);
        }
    }
    rows.settle(&mut reading, whole);
    let mut logs = HashMap::new();
    for (log, book) in &books {
        logs.extend(Binder::new(book, &mut reading).bind().map(|plans| (*log, plans)));
    }
    let nothing = logs.values().next().map(|plans| Plan::empty(plans.unmapped.device.clone()));
    match nothing {
        Some(nothing) if reading.is_clean() => {
            let wants_key = reading.wants_key.as_ref().map(|at| reading.origin(at));
            let asks_trusted = reading.asks_trusted.as_ref().map(|at| reading.origin(at));
            Ok(Plans { logs, nothing, wants_key, asks_trusted })
        }
        _ => Err(reading.into_problems()),
    }
}

/// Everything that is said of one log, layer over layer.
#[derive(Debug, Default)]
pub(super) struct Book {
    vendor: Layered<HeaderText>,
    product: Layered<HeaderText>,
    pub(super) fields: LayeredFields,
    pub(super) unmapped: Page,
    pub(super) actions: BTreeMap<String, Page>,
    pub(super) rules: Vec<Rule>,
}

/// What is said of one action, layer over layer.
#[derive(Debug, Default)]
pub(super) struct Page {
    name: Layered<HeaderText>,
    severity: Layered<Grade>,
    drop: Layered<bool>,
    pub(super) fields: LayeredFields,
    /// Where the action stands.
    at: Option<At>,
}

/// What is said of one thing, at most once a layer, the last layer last.
pub(super) type Layered<T> = Vec<Set<T>>;

pub(super) type LayeredFields = BTreeMap<String, (Key, Layered<Arc<Field>>)>;

impl Book {
    fn add(&mut self, document: Document, reading: &mut Reading<'_>) {
        lay(&mut self.vendor, document.vendor, "the vendor", reading);
        lay(&mut self.product, document.product, "the product", reading);
        lay_fields(&mut self.fields, document.fields, "", reading);
        self.unmapped.add(document.unmapped, " of [unmapped]", reading);
        for (action, attributes) in document.actions {
            let of = format!(" of `{}`", action.what);
            let page = self.actions.entry(action.what).or_default();
            page.at = Some(action.at);
            page.add(attributes, &of, reading);
        }
        self.rules.extend(document.rules);
    }

    /// What must be there for every entry to become an event.
    fn demand(&self, reading: &mut Reading<'_>) {
        let at = At { file: 0, start: 0, end: 0 };
        if self.vendor.is_empty() || self.product.is_empty() {
            let help = "one file has `[header]` with `vendor` and `product`";
            reading.problem(at.clone(), "header-missing", "no file says vendor and product", help.into());
        }
        if self.unmapped.severity.is_empty() {
            let what = "no file says what becomes of the actions that no file names";
            let help = "one file has `[unmapped]` with a `severity`";
            reading.problem(at, "catch-all-missing", what, help.into());
        }
    }
}

impl Page {
    fn add(&mut self, attributes: Attributes, of: &str, reading: &mut Reading<'_>) {
        lay(&mut self.name, attributes.name, &format!("the name{of}"), reading);
        lay(&mut self.severity, attributes.severity, &format!("the severity{of}"), reading);
        lay(&mut self.drop, attributes.drop, &format!("`drop`{of}"), reading);
        lay_fields(&mut self.fields, attributes.fields, of, reading);
    }
}

/// Lays one more saying over the others, unless its own layer has said it already.
pub(super) fn lay<T>(layers: &mut Layered<T>, set: Option<Set<T>>, thing: &str, reading: &mut Reading<'_>) {
    let Some(set) = set else { return };
    let layer = |set: &Set<T>| reading.files.get(set.at.file).map(|file| file.layer);
    match layers.last() {
        Some(first) if layer(first) == layer(&set) => {
            let what = format!("{thing} is set twice, the first time in {}", reading.origin(&first.at));
            reading.problem(set.at, "duplicate", what, "take one of them away".into());
        }
        _ => layers.push(set),
    }
}

fn lay_fields(layers: &mut LayeredFields, fields: Fields, of: &str, reading: &mut Reading<'_>) {
    for (key, set) in fields {
        let thing = format!("`{key}`{of}");
        let (_, layers) = layers.entry(key.name().to_owned()).or_insert_with(|| (key, Layered::new()));
        lay(layers, Some(set), &thing, reading);
    }
}

/// A rule as far as it concerns one action.
struct Applicable<'b> {
    /// Its number, where it depends on the entry.
    number: Option<usize>,
    what: &'b Attributes,
}

/// What is said of one key, the strongest last, and by the rule of which number.
type Said<'s> = &'s [(Option<usize>, &'s Set<Arc<Field>>)];

/// Makes the plans of one log.
struct Binder<'b, 'r, 'f> {
    book: &'b Book,
    reading: &'r mut Reading<'f>,
    /// Fields and trees that are alike are kept once.
    fields: HashMap<Vec<(Option<usize>, *const Field)>, Arc<FieldPlan>>,
    trees: HashMap<Vec<PathId>, Arc<Tree>>,
    /// The sets of names, by their places, that were checked together.
    checked: HashSet<Vec<(usize, usize)>>,
}

impl<'b, 'r, 'f> Binder<'b, 'r, 'f> {
    fn new(book: &'b Book, reading: &'r mut Reading<'f>) -> Self {
        Self { book, reading, fields: HashMap::new(), trees: HashMap::new(), checked: HashSet::new() }
    }

    fn bind(mut self) -> Option<LogPlans> {
        let device = Device {
            vendor: self.book.vendor.last()?.what.clone(),
            product: self.book.product.last()?.what.clone(),
            version: HeaderText::new(env!("CARGO_PKG_VERSION"), 31)?,
        };
        let mut named: BTreeSet<&str> = self.book.actions.keys().map(String::as_str).collect();
        for rule in &self.book.rules {
            rule.when.each_action(&mut |action| {
                named.insert(action);
            });
        }
        let actions = named
            .into_iter()
            .map(|action| (action.into(), self.plan(&device, Some(action), self.book.actions.get(action))))
            .collect();
        let unmapped = self.plan(&device, None, None);
        let fields = fields::listed(self.book, self.reading);
        Some(LogPlans { actions, unmapped, fields })
    }

    /// The plan of one action; of all that no file names where `action` is `None`.
    fn plan(&mut self, device: &Device, action: Option<&str>, page: Option<&'b Page>) -> Plan {
        let book = self.book;
        let mut conditions = Vec::new();
        let mut applicable = Vec::new();
        for (number, rule) in book.rules.iter().enumerate() {
            let what = &rule.what;
            match rule.when.pruned(action) {
                Pruned::Never => {}
                Pruned::Always => applicable.push(Applicable { number: None, what }),
                Pruned::When(condition) => {
                    conditions.push((number, condition));
                    applicable.push(Applicable { number: Some(number), what });
                }
            }
        }
        let own = page.unwrap_or(&book.unmapped);
        let fields = self.fields(&[&book.fields, &own.fields], &applicable);
        // An action without a severity is as grave as one that no file names.
        let severities =
            book.unmapped.severity.iter().chain(page.into_iter().flat_map(|page| &page.severity));
        let severity = self.choice(severities, &applicable, |what| what.severity.as_ref());
        let tree = self.tree(&conditions, &severity, &fields);
        let (rest, fields) = fields.into_iter().partition::<Vec<_>, _>(|field| field.wants_rest());
        Plan {
            origin: page
                .map(|page| page.at.as_ref().map_or_else(Origin::default, |at| self.reading.origin(at))),
            device: device.clone(),
            tree,
            paths: self.reading.paths.len(),
            all_rules: book.rules.len(),
            rules: conditions.into(),
            drop: self.choice(&own.drop, &applicable, |what| what.drop.as_ref()),
            name: self.choice(&own.name, &applicable, |what| what.name.as_ref()),
            severity,
            fields: fields.into_iter().map(Slot::new).collect(),
            rest: rest.into_iter().map(Slot::new).collect(),
            key: None,
        }
    }

    fn choice<'s, T: Clone + 's>(
        &self,
        layers: impl IntoIterator<Item = &'s Set<T>>,
        rules: &[Applicable<'s>],
        of: impl Fn(&'s Attributes) -> Option<&'s Set<T>>,
    ) -> Choice<T> {
        let from_layers = layers.into_iter().map(|set| (None, set));
        let from_rules = rules.iter().filter_map(|rule| Some((rule.number, of(rule.what)?)));
        Choice(from_layers.chain(from_rules).map(|(rule, set)| self.candidate(rule, set)).collect())
    }

    fn candidate<T: Clone>(&self, rule: Option<usize>, set: &Set<T>) -> Candidate<T> {
        Candidate { rule, origin: self.reading.origin(&set.at), what: set.what.clone() }
    }

    /// The fields of one plan, in the order in which they are written.
    fn fields(&mut self, layers: &[&'b LayeredFields], rules: &[Applicable<'b>]) -> Vec<Arc<FieldPlan>> {
        let mut all: HashMap<&str, (&Key, Vec<_>)> = HashMap::new();
        for (name, (key, sets)) in layers.iter().copied().flatten() {
            let said = &mut all.entry(name).or_insert_with(|| (key, Vec::new())).1;
            said.extend(sets.iter().map(|set| (None, set)));
        }
        for rule in rules {
            for (key, set) in &rule.what.fields {
                all.entry(key.name()).or_insert_with(|| (key, Vec::new())).1.push((rule.number, set));
            }
        }
        self.check_names(all.values().map(|(key, said)| (*key, said.as_slice())));
        let mut fields: Vec<_> = all.into_values().map(|(key, said)| self.field(key, &said)).collect();
        fields.sort_by(|a, b| (a.place, a.key.name()).cmp(&(b.place, b.key.name())));
        fields
    }

    fn field(&mut self, key: &Key, said: Said<'_>) -> Arc<FieldPlan> {
        let alike = said.iter().map(|(rule, set)| (*rule, Arc::as_ptr(&set.what))).collect();
        if let Some(known) = self.fields.get(&alike).filter(|known| known.key == *key) {
            return known.clone();
        }
        let candidates = said.iter().map(|(rule, set)| self.candidate(*rule, set)).collect();
        let field = Arc::new(FieldPlan::new(key.clone(), Choice(candidates)));
        self.fields.insert(alike, field.clone());
        field
    }

    /// Two keys that may stand in one event must differ, and so must their labels, in more than
    /// case: receivers take a label for a name.
    fn check_names<'s>(&mut self, fields: impl Iterator<Item = (&'s Key, Said<'s>)>) {
        let mut names = Vec::new();
        for (key, said) in fields {
            let live = said.iter().rposition(|(rule, _)| rule.is_none()).unwrap_or(0);
            for (_, set) in said.get(live..).unwrap_or_default() {
                let label = set.what.label().map(|label| (&set.at, label.as_str(), key, true));
                let own = key.definition().is_none().then(|| (&set.at, key.name(), key, false));
                names.extend(label.into_iter().chain(own));
            }
        }
        names.sort_by_key(|(at, ..)| *at);
        // Most actions bring no name of their own.
        if !self.checked.insert(names.iter().map(|(at, ..)| (at.file, at.start)).collect()) {
            return;
        }
        let mut taken: HashMap<String, (&Key, bool, &At)> = HashMap::new();
        for (at, name, key, is_label) in names {
            match taken.get(&name.to_ascii_lowercase()) {
                Some((other, was_label, first)) if *other != key => {
                    let origin = self.reading.origin(first);
                    let (code, what) = if is_label || *was_label {
                        ("label-twice", format!("`{name}` names another key too, set in {origin}"))
                    } else {
                        ("bad-key", format!("`{name}` differs in case alone from a key set in {origin}"))
                    };
                    let help =
                        "receivers take labels for names of fields, whatever their case: choose another";
                    self.reading.problem(at.clone(), code, what, help.into());
                }
                _ => {
                    taken.insert(name.to_ascii_lowercase(), (key, is_label, at));
                }
            }
        }
    }

    /// The tree of the paths that one plan reads.
    fn tree(
        &mut self,
        conditions: &[(usize, Arc<Condition<AtPath>>)],
        severity: &Choice<Grade>,
        fields: &[Arc<FieldPlan>],
    ) -> Arc<Tree> {
        let mut wanted = BTreeSet::new();
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
        let wanted: Vec<PathId> = wanted.into_iter().collect();
        let paths = &self.reading.paths;
        let known = self.trees.entry(wanted);
        let tree = known.or_insert_with_key(|wanted| {
            Arc::new(Tree::new(wanted.iter().filter_map(|&id| Some((id, paths.path(id)?)))))
        });
        tree.clone()
    }
}

impl Plan {
    /// The plan that yields a header and nothing else.
    fn empty(device: Device) -> Self {
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
            key: None,
        }
    }
}
