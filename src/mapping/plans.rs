//! The plans of all logs and actions: what a set of mapping files comes to.
//!
//! **Invariant:** there is a plan for every entry, whatever its log and action.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::Origin;
use super::fields::FieldInfo;
use super::plan::Plan;
use super::pseudonym::PseudonymKey;
use crate::cef::Severity;
use crate::event::Log;

/// What becomes of every entry of every log.
#[derive(Debug)]
pub struct Plans {
    pub(super) logs: HashMap<Log, LogPlans>,
    /// For a log that no file maps, which compiling refuses to yield.
    pub(super) nothing: Plan,
    /// The first place that makes a pseudonym.
    pub(super) wants_key: Option<Origin>,
    /// The first place that asks for what the organization trusts.
    pub(super) asks_trusted: Option<Origin>,
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

    /// The first place of the files that asks for what the organization trusts, for which a source
    /// must read it.
    pub fn asks_trusted(&self) -> Option<&Origin> {
        self.asks_trusted.as_ref()
    }

    /// Every field that a log's files write: those of every entry, of the unmapped, of each action
    /// by name, of each rule in order.
    pub fn fields(&self, log: Log) -> &[FieldInfo] {
        self.logs.get(&log).map_or(&[], |plans| &plans.fields)
    }

    /// The actions in whose events what is said there of a field can count, by where it is said.
    pub fn reach(&self, log: Log) -> HashMap<&Origin, BTreeSet<&str>> {
        let mut reach: HashMap<&Origin, BTreeSet<&str>> = HashMap::new();
        for (action, plan) in self.logs.get(&log).into_iter().flat_map(|log| &log.actions) {
            for candidate in plan.slots().flat_map(|slot| slot.field.choice.live()) {
                reach.entry(&candidate.origin).or_default().insert(action);
            }
        }
        reach
    }

    /// The keys and labels of every field of every plan.
    pub(super) fn names(&self) -> BTreeSet<&str> {
        let plans = self.logs.values().flat_map(|log| log.actions.values().chain([&log.unmapped]));
        let mut names = BTreeSet::new();
        for slot in plans.flat_map(Plan::slots) {
            names.insert(slot.field.key.name());
            names.extend(slot.field.choice.0.iter().filter_map(|said| Some(said.what.label()?.as_str())));
        }
        names
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
