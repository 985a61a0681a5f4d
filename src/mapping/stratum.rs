//! What one layer of files says, read once, and what lies beneath it.
//!
//! A customer's mapping is the shipped one but for a few lines, and a process may have a thousand
//! customers. So the shipped files are read and checked once in a process; each mapping lies over
//! that one reading, and holds no more than what its own files say.
//!
//! **Invariant:** what is beneath never changes: paths, tables, rules and files have the numbers
//! there that they have in every mapping above.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use super::book::Book;
use super::file;
use super::lookup::{self, Rows, Table, Tables, Use};
use super::names;
use super::path::{PathId, Paths};
use super::plan::{Candidate, Choice};
use super::said::Said;
use super::slot::FieldPlan;
use super::table::{At, Problems, Reading, Set};
use super::tree::Tree;
use super::{MappingFile, Origin, builtin};
use crate::cef::Key;
use crate::event::Log;
use crate::problem::Problem;

/// What one layer says, over what is said beneath.
#[derive(Debug)]
pub(super) struct Stratum {
    below: Option<Arc<Self>>,
    /// The names of its files, which are numbered from `first_file` on.
    files: Box<[Arc<str>]>,
    first_file: usize,
    books: BTreeMap<Log, Arc<Book>>,
    pub(super) paths: Arc<Paths>,
    pub(super) tables: Tables,
    rows: Rows,
    /// The tables with the rows of this layer and of those beneath.
    pub(super) laid: Arc<[Arc<Table>]>,
    uses: Vec<Use>,
    /// The first place that makes a pseudonym.
    pub(super) wants_key: Option<At>,
    /// The first place that asks for what the organization trusts.
    pub(super) asks_trusted: Option<At>,
    /// Whether every file, here and beneath, could be read.
    pub(super) whole: bool,
    /// The mistakes of the lowest layer.
    pub(super) problems: Vec<(At, Problem)>,
    alike: Mutex<Alike>,
}

/// Parts of plans that are alike in many of them, kept once.
#[derive(Debug, Default)]
struct Alike {
    /// By all that may stand there.
    fields: HashMap<Vec<Place>, Arc<FieldPlan>>,
    /// Those in use: what paths a mapping puts together is its own affair, and it may be gone tomorrow.
    trees: HashMap<Vec<PathId>, Weak<Tree>>,
}

/// What may stand under a key: the number of the rule that it depends on, and where it is said.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Place {
    rule: Option<usize>,
    file: usize,
    start: usize,
}

/// The shipped files and their reading.
static SHIPPED: LazyLock<(Vec<MappingFile>, Arc<Stratum>)> = LazyLock::new(|| {
    let files = builtin();
    let read = Stratum::lowest_of(&files);
    (files, read)
});

impl Stratum {
    /// The reading of the lowest layer; the program's own files are read once.
    pub(super) fn lowest(files: &[MappingFile]) -> Arc<Self> {
        let (shipped, read) = &*SHIPPED;
        if files == shipped { Arc::clone(read) } else { Self::lowest_of(files) }
    }

    fn lowest_of(files: &[MappingFile]) -> Arc<Self> {
        let (mut read, problems) = Self::read(files, None);
        read.problems = problems.into_noted();
        Arc::new(read)
    }

    /// Reads those of the files that are not beneath; what is wrong with them, and what of them does
    /// not go together, is noted.
    pub(super) fn read(files: &[MappingFile], below: Option<Arc<Self>>) -> (Self, Problems<'_>) {
        let first_file = below.as_ref().map_or(0, |below| below.first_file + below.files.len());
        let mut whole = below.as_ref().is_none_or(|below| below.whole);
        let mut reading = Reading::new(files, below.as_ref());
        let (mut books, mut rows) = (BTreeMap::<Log, Book>::new(), Rows::default());
        for number in first_file..files.len() {
            let Some(mut document) = file::read(&mut reading, number) else {
                whole = false;
                continue;
            };
            rows.add(std::mem::take(&mut document.tables), &mut reading.problems);
            books.entry(document.log).or_default().add(document, &mut reading.problems);
        }
        books.values_mut().for_each(Book::close);
        let Reading { paths, tables, uses, wants_key, asks_trusted, mut problems } = reading;
        let mut read = Self {
            files: files.get(first_file..).unwrap_or_default().iter().map(|file| file.name.clone()).collect(),
            first_file,
            books: books.into_iter().map(|(log, book)| (log, Arc::new(book))).collect(),
            paths: Arc::new(paths),
            laid: Arc::default(),
            tables,
            rows,
            uses,
            wants_key,
            asks_trusted,
            whole,
            problems: Vec::new(),
            alike: Mutex::default(),
            below,
        };
        let below = read.below.as_ref().map_or(&[][..], |below| &below.laid);
        read.laid = lookup::laid(&read.tables, &read.rows(), below);
        for log in read.books.keys() {
            names::check(&read.books(*log), &mut problems);
        }
        (read, problems)
    }

    /// All layers, the lowest first.
    fn layers(&self) -> Vec<&Self> {
        let mut layers: Vec<_> = std::iter::successors(Some(self), |layer| layer.below.as_deref()).collect();
        layers.reverse();
        layers
    }

    /// The logs that are mapped.
    pub(super) fn logs(&self) -> BTreeSet<Log> {
        self.layers().iter().flat_map(|layer| layer.books.keys()).copied().collect()
    }

    /// What is said of a log, the lowest layer first.
    pub(super) fn books(&self, log: Log) -> Box<[Arc<Book>]> {
        self.layers().iter().filter_map(|layer| layer.books.get(&log)).cloned().collect()
    }

    /// Whether two layers lie over one and the same reading.
    #[cfg(test)]
    pub(super) fn is_over_the_same(&self, other: &Self) -> bool {
        self.below.as_ref().zip(other.below.as_ref()).is_some_and(|(below, other)| Arc::ptr_eq(below, other))
    }

    fn rows(&self) -> Vec<&Rows> {
        self.layers().iter().map(|layer| &layer.rows).collect()
    }

    /// Checks every place where a table is looked into.
    pub(super) fn check_uses(&self, problems: &mut Problems<'_>) {
        let layers = self.layers();
        let uses = layers.iter().flat_map(|layer| &layer.uses);
        lookup::check_uses(uses, &self.tables, &self.rows(), self.whole, problems);
    }

    /// The place that the lowest layer has which has any.
    pub(super) fn first_place(&self, of: fn(&Self) -> Option<&At>) -> Option<Origin> {
        self.layers().into_iter().find_map(of).map(|at| self.origin(at))
    }

    /// The file and line of a place.
    pub(super) fn origin(&self, at: &At) -> Origin {
        match (at.file.checked_sub(self.first_file), &self.below) {
            (None, Some(below)) => below.origin(at),
            (number, _) => {
                let file = number.and_then(|number| self.files.get(number));
                Origin { file: file.cloned().unwrap_or_else(|| "".into()), line: at.line }
            }
        }
    }

    /// What may stand under a key.
    pub(super) fn field(&self, key: &Key, said: &Said<'_>) -> Arc<FieldPlan> {
        if let Some(below) = &self.below
            && said.iter().all(|(_, set)| set.at.file < self.first_file)
        {
            return below.field(key, said);
        }
        let place = |(rule, set): &(Option<usize>, &Set<_>)| Place {
            rule: *rule,
            file: set.at.file,
            start: set.at.start,
        };
        let alike = said.iter().map(place).collect();
        let mut known = self.alike();
        let made = known.fields.entry(alike).or_insert_with(|| {
            let candidate = |(rule, set): &(Option<usize>, &Set<_>)| self.candidate(*rule, set);
            Arc::new(FieldPlan::new(key.clone(), Choice(said.iter().map(candidate).collect())))
        });
        Arc::clone(made)
    }

    pub(super) fn candidate<T: Clone>(&self, rule: Option<usize>, set: &Set<T>) -> Candidate<T> {
        Candidate { rule, origin: self.origin(&set.at), what: set.what.clone() }
    }

    /// The tree of these paths.
    pub(super) fn tree(&self, wanted: Vec<PathId>) -> Arc<Tree> {
        if let Some(below) = &self.below
            && wanted.iter().all(|path| path.index() < below.paths.len())
        {
            return below.tree(wanted);
        }
        let trees = &mut self.alike().trees;
        if let Some(known) = trees.get(&wanted).and_then(Weak::upgrade) {
            return known;
        }
        trees.retain(|_, tree| tree.strong_count() > 0);
        let paths = wanted.iter().filter_map(|&id| Some((id, self.paths.path(id)?)));
        let made = Arc::new(Tree::new(paths));
        trees.insert(wanted, Arc::downgrade(&made));
        made
    }

    fn alike(&self) -> MutexGuard<'_, Alike> {
        // What a panic left behind is whole: it is added to in one step.
        self.alike.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
