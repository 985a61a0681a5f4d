//! The plans of all logs and actions: what a set of mapping files comes to.
//!
//! **Invariant:** there is a plan for every entry, whatever its log and action.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use super::Origin;
use super::bind::Binder;
use super::book::Book;
use super::fields::{self, FieldInfo};
use super::kit::Kit;
use super::plan::{Device, Plan};
use super::pseudonym::PseudonymKey;
use super::stratum::Stratum;
use super::table::Set;
use crate::cef::{HeaderText, Label, Severity};
use crate::event::Log;

/// What becomes of every entry of every log.
#[derive(Debug)]
pub struct Plans {
    read: Stratum,
    logs: HashMap<Log, LogPlans>,
    /// For a log that no file maps.
    nothing: Plan,
    kit: Arc<Kit>,
    /// The first place that makes a pseudonym.
    wants_key: Option<Origin>,
    /// The first place that asks for what the organization trusts.
    asks_trusted: Option<Origin>,
}

/// The plans of one log. Each is made when it is asked for first: of Slack's hundreds of actions an
/// organization sees a few dozen.
#[derive(Debug)]
struct LogPlans {
    /// What is said of the log, the lowest layer first.
    books: Box<[Arc<Book>]>,
    device: Device,
    /// The plans of the actions that the first book names, then of those that the next one names.
    actions: Box<[Made]>,
    unmapped: Made,
}

type Made = OnceLock<Box<Plan>>;

impl Plans {
    /// The plans of what was read. `None` where nothing is mapped, or a log has no header.
    pub(super) fn of(read: Stratum) -> Option<Self> {
        let mut logs = HashMap::new();
        for log in read.logs() {
            logs.insert(log, LogPlans::of(read.books(log))?);
        }
        let nothing = Plan::empty(logs.values().next()?.device.clone());
        let kit = Arc::new(Kit { tables: Arc::clone(&read.laid), key: None });
        let wants_key = read.first_place(|layer| layer.wants_key.as_ref());
        let asks_trusted = read.first_place(|layer| layer.asks_trusted.as_ref());
        Some(Self { read, logs, nothing, kit, wants_key, asks_trusted })
    }

    /// The plan for an action; the catch-all's where no file names it.
    pub fn plan(&self, log: Log, action: &str) -> &Plan {
        let Some(plans) = self.logs.get(&log) else { return &self.nothing };
        let (made, action) = match plans.named(action) {
            Some(made) => (made, Some(action)),
            None => (&plans.unmapped, None),
        };
        made.get_or_init(|| Box::new(plans.binder(self).plan(action)))
    }

    /// The same plans, which make their pseudonyms with that key. Without one a field with a
    /// pseudonym is left out.
    #[must_use]
    pub fn keyed(mut self, key: PseudonymKey) -> Self {
        self.kit = Arc::new(Kit { tables: Arc::clone(&self.kit.tables), key: Some(key) });
        for made in self.logs.values_mut().flat_map(LogPlans::all_mut) {
            made.take();
        }
        self
    }

    /// The first place of the files that makes a pseudonym, for which there must be a key.
    pub fn wants_pseudonym_key(&self) -> Option<&Origin> {
        self.wants_key.as_ref()
    }

    /// The first place of the files that asks for what the organization trusts, for which a source
    /// must read it.
    pub fn asks_trusted(&self) -> Option<&Origin> {
        self.asks_trusted.as_ref()
    }

    /// Every field that a log's files write: those of every entry, of the unmapped, of each action
    /// by name, of each rule in order.
    pub fn fields(&self, log: Log) -> Vec<FieldInfo> {
        self.logs.get(&log).map_or_else(Vec::new, |plans| fields::listed(&plans.books, &self.read))
    }

    /// The actions in whose events what is said there of a field can count, by where it is said.
    pub fn reach(&self, log: Log) -> HashMap<&Origin, BTreeSet<&str>> {
        let mut reach: HashMap<&Origin, BTreeSet<&str>> = HashMap::new();
        for (action, plan) in self.named(log) {
            for candidate in plan.slots().flat_map(|slot| slot.field.choice.live()) {
                reach.entry(&candidate.origin).or_default().insert(action);
            }
        }
        reach
    }

    /// The keys and labels of every field.
    pub(super) fn names(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        for (key, set) in
            self.logs.values().flat_map(|plans| &plans.books).flat_map(|book| book.every_field())
        {
            names.insert(key.name());
            names.extend(set.what.label().map(Label::as_str));
        }
        names
    }

    /// Every action of a log that a file maps, by name.
    pub fn actions(&self, log: Log) -> Vec<Mapped<'_>> {
        let mapped = self.named(log).filter_map(|(action, plan)| {
            let (severity, highest) = (plan.severity.usual(), plan.severity.highest(&self.kit));
            Some(Mapped {
                action,
                name: plan.name.settled().map(|name| name.what.as_str()),
                severity,
                up_to: Some(highest).filter(|&highest| highest > severity),
                category: plan.constant("cat"),
                outcome: plan.constant("outcome"),
                origin: plan.origin.as_ref()?,
            })
        });
        mapped.collect()
    }

    /// Every action that a log's files name, by name, with its plan.
    fn named(&self, log: Log) -> impl Iterator<Item = (&str, &Plan)> {
        let books = self.logs.get(&log).into_iter().flat_map(|plans| &plans.books);
        let actions: BTreeSet<&str> = books.flat_map(|book| book.named.keys()).map(|name| &**name).collect();
        actions.into_iter().map(move |action| (action, self.plan(log, action)))
    }
}

impl LogPlans {
    fn of(books: Box<[Arc<Book>]>) -> Option<Self> {
        let last = |of: fn(&Book) -> Option<&Set<HeaderText>>| {
            books.iter().rev().find_map(|book| of(book)).map(|set| set.what.clone())
        };
        let device = Device {
            vendor: last(|book| book.vendor.as_ref())?,
            product: last(|book| book.product.as_ref())?,
            version: HeaderText::new(env!("CARGO_PKG_VERSION"), 31)?,
        };
        let named = books.iter().map(|book| book.named.len()).sum();
        let actions = std::iter::repeat_with(Made::new).take(named).collect();
        Some(Self { books, device, actions, unmapped: Made::new() })
    }

    /// The place of the plan of an action that a book names.
    fn named(&self, action: &str) -> Option<&Made> {
        let mut before = 0;
        for book in &self.books {
            if let Some(number) = book.named.get(action) {
                return self.actions.get(before + number);
            }
            before += book.named.len();
        }
        None
    }

    fn binder<'b>(&'b self, plans: &'b Plans) -> Binder<'b> {
        Binder { read: &plans.read, books: &self.books, device: &self.device, kit: &plans.kit }
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Made> {
        self.actions.iter_mut().chain([&mut self.unmapped])
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::{Layer, MappingFile, builtin, compile};

    /// The shipped mapping with a customer's file over it.
    fn plans(more: &str) -> Plans {
        let mut files = builtin();
        let text = format!("version = 1\nlog = \"audit\"\n{more}");
        files.push(MappingFile::new("acme.toml", Layer::Customer, text));
        compile(&files).unwrap()
    }

    fn made(plans: &Plans) -> usize {
        let all = plans.logs.values().flat_map(|log| log.actions.iter().chain([&log.unmapped]));
        all.filter(|made| made.get().is_some()).count()
    }

    /// The fields of an action that two mappings do not have in common, by key.
    fn differing<'p>(one: &'p Plans, other: &'p Plans, action: &str) -> BTreeSet<&'p str> {
        let [one, other] = [one, other].map(|plans| plans.plan(Log::Audit, action));
        let lacks = |plan: &Plan, field| plan.slots().all(|slot| !Arc::ptr_eq(&slot.field, field));
        let of_one = one.slots().filter(|slot| lacks(other, &slot.field));
        let of_other = other.slots().filter(|slot| lacks(one, &slot.field));
        of_one.chain(of_other).map(|slot| slot.field.key.name()).collect()
    }

    #[test]
    fn a_plan_is_made_when_its_action_is_seen_and_once() {
        let plans = plans("[fields]\nAcmeTenant = \"emea\"");
        assert_eq!(made(&plans), 0);
        let first: *const Plan = plans.plan(Log::Audit, "user_login");
        assert!(std::ptr::eq(first, plans.plan(Log::Audit, "user_login")));
        assert_eq!(made(&plans), 1);
        for unknown in ["no_such_action", "nor_this_one"] {
            assert!(plans.plan(Log::Audit, unknown).is_unmapped());
        }
        assert_eq!(made(&plans), 2);
    }

    #[test]
    fn what_no_file_of_theirs_touches_mappings_have_in_common() {
        let rule = |what: &str| plans(&format!("[[rules]]\nwhen = {{ action = \"user_login\" }}\n{what}"));
        let one = rule("fields = { AcmeTenant = \"{details.acme}\" }");
        let other = rule("unset = [\"src\"]");
        assert!(one.read.is_over_the_same(&other.read));
        assert_eq!(differing(&one, &other, "user_login"), ["AcmeTenant", "src"].into());
        assert_eq!(differing(&one, &other, "file_downloaded"), BTreeSet::new());
        let tree = |plans: &Plans, action| Arc::clone(&plans.plan(Log::Audit, action).tree);
        assert!(Arc::ptr_eq(&tree(&one, "file_downloaded"), &tree(&other, "file_downloaded")));
        assert!(!Arc::ptr_eq(&tree(&one, "user_login"), &tree(&other, "user_login")));
        // A constant for all entries asks for no path.
        let every = plans("[fields]\nAcmeTenant = \"emea\"");
        assert_eq!(differing(&every, &other, "file_downloaded"), ["AcmeTenant"].into());
        assert!(Arc::ptr_eq(&tree(&every, "file_downloaded"), &tree(&other, "file_downloaded")));
    }

    #[test]
    fn a_table_is_another_one_only_where_a_mapping_has_rows_for_it() {
        let (plain, own) = (plans(""), plans("[tables.anomaly_severity]\ntor = 3"));
        let find = |plans: &Plans, number: usize| plans.kit.tables[number].find("tor").map(str::to_owned);
        let changed: Vec<usize> = (0..plain.kit.tables.len())
            .filter(|&number| !Arc::ptr_eq(&plain.kit.tables[number], &own.kit.tables[number]))
            .collect();
        let [changed] = changed[..] else { panic!("{changed:?}") };
        assert_eq!(find(&own, changed).as_deref(), Some("3"));
        assert_ne!(find(&plain, changed).as_deref(), Some("3"));
    }
}
