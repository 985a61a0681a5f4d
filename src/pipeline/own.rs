//! Events of the forwarder's own: what it has to say to the SIEM of itself.
//!
//! An own event is an [`Entry`] of [`Log::Forwarder`] whose JSON is written here, stored under a
//! source of its own ([`SourceId::own`](crate::store::SourceId::own)) and mapped by `mappings/forwarder/`. All of them stand
//! here with their words, those of destinations in `destination`, of notices in `notice`, of sources in
//! `source`.
//!
//! **Invariant:** mapping and delivering an own event never raises another.

mod destination;
mod notice;
mod source;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use super::difference::{Changes, Difference};
use super::setup::SetupError;
use super::tasks::Abandoned;
use crate::event::{Action, Entry, EntryId, Log, Text, UnixTime};
use crate::mapping::Plans;
use crate::problem::Problem;
use crate::slack::Clock;
use crate::store::{Full, Lost, Repair, SourceId};
use crate::telemetry::chain;

/// Something that happened to the forwarder.
#[derive(Debug)]
pub(super) struct OwnEvent {
    at: UnixTime,
    pub(super) action: &'static str,
    message: String,
    help: Option<String>,
    details: Map<String, Value>,
}

/// Entries that came late, since they were told of last.
#[derive(Debug)]
pub(super) struct LateEntries {
    pub(super) count: u64,
    /// How long after it happened the one that took longest was found.
    pub(super) longest: Duration,
    /// What to do about it.
    pub(super) advice: Option<String>,
}

/// Its form as an entry.
#[derive(Serialize)]
struct Written<'a> {
    id: &'a str,
    date_create: i64,
    action: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'a str>,
    context: Context<'a>,
    details: &'a Map<String, Value>,
}

#[derive(Serialize)]
struct Context<'a> {
    host: &'a str,
}

impl OwnEvent {
    fn new(action: &'static str, message: impl Into<String>) -> Self {
        Self { at: Clock::system().now(), action, message: message.into(), help: None, details: Map::new() }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.details.insert(key.to_owned(), value.into());
        self
    }

    /// What happened, in a sentence.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it, where there is anything to be done.
    pub(super) fn cure(&self) -> &str {
        self.help.as_deref().unwrap_or_default()
    }

    /// The service has begun to poll and to deliver.
    pub(super) fn started<'a>(
        sources: impl IntoIterator<Item = &'a str>,
        destinations: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let names = |names: &mut dyn Iterator<Item = &'a str>| names.map(Value::from).collect::<Vec<_>>();
        let version = env!("CARGO_PKG_VERSION");
        Self::new("forwarder-started", format!("slackcef {version} has started"))
            .with("version", version)
            .with("sources", names(&mut sources.into_iter()))
            .with("destinations", names(&mut destinations.into_iter()))
    }

    /// The service reads nothing more: it was asked to end, or cannot go on for what `because` says.
    pub(super) fn stopped(because: Option<&str>) -> Self {
        let stopped = match because {
            None => {
                Self::new("forwarder-stopped", "slackcef was asked to end; what is not delivered is kept")
                    .with("reason", "asked")
            }
            Some(because) => Self::new("forwarder-stopped", format!("slackcef cannot go on: {because}"))
                .with("reason", "failure"),
        };
        stopped.help("nothing is read from Slack until it is started again; it goes on where it stopped")
    }

    /// A mapping folder is in force as it now is.
    pub(super) fn mapping_reloaded(
        mapping: &str,
        folder: &Path,
        difference: &Difference,
        files: usize,
        plans: &Plans,
    ) -> Self {
        let Difference { added, changed, removed } = difference;
        let what = [("changed", changed), ("added", added), ("removed", removed)];
        let told: Vec<_> = what
            .iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(how, names)| format!("{how} {}", listed(names)))
            .collect();
        let message = if told.is_empty() {
            format!("the mapping {mapping} is what it was before its mistakes")
        } else {
            format!("the mapping {mapping} was read again: {}", told.join(", "))
        };
        let mut event = Self::new("mapping-reloaded", message)
            .with("mapping", mapping)
            .with("folder", folder.display().to_string())
            .with("files", files)
            .with("actions", plans.actions(Log::Audit).len());
        for (how, names) in what.into_iter().filter(|(_, names)| !names.is_empty()) {
            event = event.with(how, names.iter().take(MOST_NAMES).map(String::as_str).collect::<Vec<_>>());
        }
        event
    }

    /// The files of a mapping folder hold mistakes, the first of which is `first`.
    pub(super) fn mapping_refused(mapping: &str, folder: &Path, first: &Problem, count: usize) -> Self {
        Self::of_mistakes("mapping-refused", first, count, "the mapping before it stays in force")
            .with("mapping", mapping)
            .with("folder", folder.display().to_string())
    }

    fn of_mistakes(action: &'static str, first: &Problem, count: usize, so: &str) -> Self {
        let more = match count.saturating_sub(1) {
            0 => String::new(),
            1 => " (and 1 mistake more)".to_owned(),
            more => format!(" (and {more} mistakes more)"),
        };
        let (file, line) = (&*first.file, first.line());
        let event = Self::new(action, format!("{file}:{line}: {}{more}; {so}", first.what))
            .with("file", file)
            .with("line", line)
            .with("reason", first.code)
            .with("count", count);
        match &first.help {
            Some(help) => event.help(help),
            None => event,
        }
    }

    /// A mapping cannot be had, or not be used, as a whole.
    pub(super) fn mapping_unusable(mapping: &str, folder: &Path, error: &SetupError) -> Self {
        let (reason, help) = match error {
            SetupError::MappingFolder(_) => {
                ("unreadable", "check the path, and that the service's user may read it")
            }
            _ => ("unusable", "`slackcef check` says what to do about it"),
        };
        Self::new("mapping-refused", format!("{}; the mapping before it stays in force", chain(error)))
            .help(help)
            .with("mapping", mapping)
            .with("folder", folder.display().to_string())
            .with("reason", reason)
    }

    /// The configuration is in force as its file now says, but for what waits for a restart.
    pub(super) fn configuration_reloaded(
        file: &Path,
        changes: &Changes,
        waiting: &[&str],
        abandoned: &[Abandoned],
    ) -> Self {
        let Changes { sources, destinations, notices, mappings } = changes;
        let parts =
            [("source", sources), ("destination", destinations), ("notice", notices), ("mapping", mappings)];
        let named = |of: fn(&Difference) -> &BTreeSet<String>| -> BTreeSet<String> {
            let names = parts.iter().flat_map(|(kind, difference)| {
                of(difference).iter().map(move |name| format!("{kind} {name}"))
            });
            names.collect()
        };
        let what = [
            ("changed", named(|difference| &difference.changed)),
            ("added", named(|difference| &difference.added)),
            ("removed", named(|difference| &difference.removed)),
        ];
        let said = what.iter().filter(|(_, names)| !names.is_empty());
        let mut told: Vec<_> = said.map(|(how, names)| format!("{how} {}", listed(names))).collect();
        told.extend(abandoned.iter().map(|Abandoned { destination, entries }| {
            format!("{destination} leaves up to {entries} entries that it was not given")
        }));
        told.extend(waiting.iter().map(|table| format!("[{table}] waits for a restart")));
        let message = if told.is_empty() {
            "the configuration in force is what its file says again".to_owned()
        } else {
            format!("the configuration was read again: {}", told.join("; "))
        };
        let mut event = Self::new("configuration-reloaded", message).with("file", file.display().to_string());
        for (how, names) in what.into_iter().filter(|(_, names)| !names.is_empty()) {
            event = event.with(how, names.into_iter().take(MOST_NAMES).collect::<Vec<_>>());
        }
        event
    }

    /// The configuration's file holds mistakes, or a file of a mapping does; `first` is the first.
    pub(super) fn configuration_refused(first: &Problem, count: usize) -> Self {
        Self::of_mistakes("configuration-refused", first, count, "the configuration before it stays in force")
    }

    /// The configuration cannot be had, or asks for what cannot be had.
    pub(super) fn configuration_unusable(file: &Path, why: &str, help: Option<&str>) -> Self {
        let message = format!("{why}; the configuration before it stays in force");
        Self::new("configuration-refused", message)
            .help(help.unwrap_or("`slackcef check` says what to do about it"))
            .with("file", file.display().to_string())
            .with("reason", "unusable")
    }

    /// No mapping names the action of an entry.
    pub(super) fn action_unmapped(entry: &Entry) -> Self {
        let action: String = entry.action().as_str().chars().take(LONGEST_ACTION).collect();
        let message =
            format!("no mapping file names Slack's action {action:?}; it is delivered by the catch-all");
        let help = format!(
            "put [actions.{action:?}] with a name and a severity into a mapping file; `slackcef mapping coverage` has it to paste"
        );
        Self::new("action-unmapped", message)
            .help(help)
            .with("action", action)
            .with("entry", entry.id().as_str())
    }

    /// Something of the store had to be put right when it was opened.
    pub(super) fn store_repaired(repair: &Repair) -> Self {
        let reason = match repair {
            Repair::Closed { .. } => "folder-open",
            Repair::Positions { .. } => "positions",
            Repair::Budgets { .. } => "budgets",
        };
        Self::new("store-repaired", repair.to_string()).with("reason", reason)
    }

    /// Damage took entries.
    pub(super) fn entries_lost(lost: &Lost) -> Self {
        Self::new("store-repaired", format!("the store was damaged: {lost}"))
            .help(lost.help())
            .with("reason", "entries-lost")
            .with("count", lost.entries)
    }

    /// The store takes nothing more.
    pub(super) fn store_full(full: Full, bytes: u64, limit: u64) -> Self {
        let (reason, message, help) = match full {
            Full::Limit => (
                "limit",
                "the store was full: nothing more was asked of Slack until a destination had taken some",
                "see why a destination is behind, or raise `max_size` of [state]",
            ),
            Full::Disk => (
                "disk",
                "the disk was nearly full: nothing more was asked of Slack until it had room",
                "make room on the disk of the store",
            ),
        };
        Self::new("store-full", message)
            .help(help)
            .with("reason", reason)
            .with("bytes", bytes)
            .with("limit", limit)
    }

    /// Entries of a source came when their seconds had been read already.
    pub(super) fn source_late(source: &SourceId, late: &LateEntries) -> Self {
        let LateEntries { count, longest, advice } = late;
        let seconds = longest.as_secs();
        let message = if *count == 1 {
            format!(
                "1 entry of the source {source} came late and was found {seconds} seconds after it happened"
            )
        } else {
            format!(
                "{count} entries of the source {source} came late and were found up to {seconds} seconds after they happened"
            )
        };
        let event = Self::new("source-late", message)
            .with("source", source.as_str())
            .with("count", *count)
            .with("seconds", seconds);
        match advice {
            Some(advice) => event.help(advice),
            None => event,
        }
    }

    /// The entry that it is from now on.
    pub(super) fn into_entry(self, host: &str) -> Entry {
        // Of the 40 characters that `externalId` has.
        let id = format!("slackcef-{:016x}{:08x}", fastrand::u64(..), fastrand::u32(..));
        let written = Written {
            id: &id,
            date_create: self.at.seconds(),
            action: self.action,
            message: &self.message,
            help: self.help.as_deref(),
            context: Context { host },
            details: &self.details,
        };
        // Maps with text keys are always JSON.
        let raw = serde_json::to_vec(&written).unwrap_or_default();
        let (id, action) = (EntryId::given(id.into()), Action::new(Text::from(self.action)));
        Entry::from_parts(Log::Forwarder, id, action, self.at, raw.into())
    }
}

/// More names than this say no more.
const MOST_NAMES: usize = 10;
/// The longest known one has 76 characters.
const LONGEST_ACTION: usize = 200;

fn listed(names: &BTreeSet<String>) -> String {
    let mut listed = names.iter().take(MOST_NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > MOST_NAMES {
        listed.push_str(" and more");
    }
    listed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cef::{Encoder, Event};
    use crate::mapping::{Scratch, builtin, compile};
    use crate::store::ReaderName;

    /// What the shipped mapping makes of an own event, less what differs from run to run.
    pub(super) fn line(event: OwnEvent) -> String {
        let entry = event.into_entry("relay-1");
        let read = Entry::from_raw(Log::Forwarder, entry.raw().clone(), UnixTime::from_seconds(0), 0);
        assert_eq!(read.as_ref(), Ok(&entry), "its text says what it is");
        let (plans, mut event) = (compile(&builtin()).unwrap(), Event::new());
        let plan = plans.plan(Log::Forwarder, entry.action().as_str());
        let mut scratch = Scratch::new();
        let applied = plan.apply(&entry, &mut scratch, &mut event);
        assert!(!applied.unmapped && applied.misfits.is_empty(), "{applied:?}");
        let mut line = Vec::new();
        let cuts = Encoder::default().encode(&event, 8000, &mut line);
        let line = String::from_utf8(line).unwrap();
        assert!(cuts.is_empty(), "{cuts:?} {line}");
        let (header, rest) = line.split_once("externalId=slackcef-").unwrap();
        let (times, rest) = rest.split_once(" act=").unwrap();
        let since = times.split_inclusive(' ').find(|field| field.starts_with("start=")).unwrap_or_default();
        let space = if since.is_empty() || since.ends_with(' ') { "" } else { " " };
        format!(
            "{}|{since}{space}act={rest}",
            header.split('|').skip(4).collect::<Vec<_>>().join("|").trim_end_matches('|')
        )
    }

    #[test]
    fn each_reads_well_as_cef() {
        let entry = Entry::from_parts(
            Log::Audit,
            EntryId::given("e-1".into()),
            Action::new("quantum_widget_entangled".into()),
            UnixTime::from_seconds(0),
            b"{}".as_slice().into(),
        );
        let text = "version = 1\nlog = \"audit\"\n[fields]\nsuserr = \"x\"\n";
        let file = mapping_file("/etc/slackcef/mappings/acme/acme.toml", text);
        let problems = compile(&[builtin(), vec![file]].concat()).unwrap_err();
        let folder = Path::new("/etc/slackcef/mappings/acme");
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let difference =
            Difference { changed: names(&["acme.toml"]), added: names(&["vip.toml"]), removed: names(&[]) };
        let configuration = Path::new("/etc/slackcef/slackcef.toml");
        let changes = Changes {
            sources: Difference { added: names(&["b"]), ..Difference::default() },
            destinations: Difference {
                changed: names(&["siem"]),
                removed: names(&["old"]),
                ..Difference::default()
            },
            notices: Difference::default(),
            mappings: Difference::default(),
        };
        let abandoned = [Abandoned { destination: ReaderName::new("old"), entries: 12 }];
        let plans = compile(&builtin()).unwrap();
        let actions = plans.actions(Log::Audit).len();
        let advice = Some("raise `settle`".to_owned());
        let late = LateEntries { count: 12, longest: Duration::from_secs(4_000), advice };
        let lost = Lost { batches: 3..=3, entries: 12, source: None, times: None };
        for (event, expected) in [
            (
                OwnEvent::started(["acme-audit"], ["siem", "archive"]),
                r#"forwarder-started|Forwarder started|2|act=forwarder-started cat=forwarder dvchost=relay-1 msg=slackcef VERSION has started cs6={"details":{"destinations":["siem","archive"],"sources":["acme-audit"],"version":"VERSION"}} cs6Label=SlackcefDetails"#,
            ),
            (
                OwnEvent::stopped(None),
                "forwarder-stopped|Forwarder stopped|4|act=forwarder-stopped cat=forwarder dvchost=relay-1 cs5=nothing is read from Slack until it is started again; it goes on where it stopped cs5Label=SlackcefHelp reason=asked msg=slackcef was asked to end; what is not delivered is kept",
            ),
            (
                OwnEvent::mapping_refused("acme", folder, &problems[0], 2),
                r#"mapping-refused|Mapping refused|6|act=mapping-refused cat=mapping outcome=failure dvchost=relay-1 cn1=4 cn1Label=SlackcefLine cn2=2 cn2Label=SlackcefCount cs3=acme cs3Label=SlackcefMapping cs5=did you mean `suser` (sourceUserName)? cs5Label=SlackcefHelp filePath=/etc/slackcef/mappings/acme/acme.toml reason=unknown-key msg=/etc/slackcef/mappings/acme/acme.toml:4: `suserr` is not a CEF key (and 1 mistake more); the mapping before it stays in force cs6={"details":{"folder":"/etc/slackcef/mappings/acme"}} cs6Label=SlackcefDetails"#,
            ),
            (
                OwnEvent::mapping_reloaded("acme", folder, &difference, 2, &plans),
                r#"mapping-reloaded|Mapping reloaded|4|act=mapping-reloaded cat=mapping outcome=success dvchost=relay-1 cs3=acme cs3Label=SlackcefMapping msg=the mapping acme was read again: changed acme.toml, added vip.toml cs6={"details":{"actions":ACTIONS,"added":["vip.toml"],"changed":["acme.toml"],"files":2,"folder":"/etc/slackcef/mappings/acme"}} cs6Label=SlackcefDetails"#,
            ),
            (
                OwnEvent::configuration_refused(&problems[0], 1),
                "configuration-refused|Configuration refused|6|act=configuration-refused cat=configuration outcome=failure dvchost=relay-1 cn1=4 cn1Label=SlackcefLine cn2=1 cn2Label=SlackcefCount cs5=did you mean `suser` (sourceUserName)? cs5Label=SlackcefHelp filePath=/etc/slackcef/mappings/acme/acme.toml reason=unknown-key msg=/etc/slackcef/mappings/acme/acme.toml:4: `suserr` is not a CEF key; the configuration before it stays in force",
            ),
            (
                OwnEvent::configuration_unusable(configuration, "cannot read /etc/ca.pem", None),
                "configuration-refused|Configuration refused|6|act=configuration-refused cat=configuration outcome=failure dvchost=relay-1 cs5=`slackcef check` says what to do about it cs5Label=SlackcefHelp filePath=/etc/slackcef/slackcef.toml reason=unusable msg=cannot read /etc/ca.pem; the configuration before it stays in force",
            ),
            (
                OwnEvent::configuration_reloaded(configuration, &changes, &["state"], &abandoned),
                r#"configuration-reloaded|Configuration reloaded|4|act=configuration-reloaded cat=configuration outcome=success dvchost=relay-1 filePath=/etc/slackcef/slackcef.toml msg=the configuration was read again: changed destination siem; added source b; removed destination old; old leaves up to 12 entries that it was not given; [state] waits for a restart cs6={"details":{"added":["source b"],"changed":["destination siem"],"removed":["destination old"]}} cs6Label=SlackcefDetails"#,
            ),
            (
                OwnEvent::action_unmapped(&entry),
                r#"action-unmapped|Action without a mapping|3|act=action-unmapped cat=mapping dvchost=relay-1 cs4=quantum_widget_entangled cs4Label=SlackcefAction cs5=put [actions."quantum_widget_entangled"] with a name and a severity into a mapping file; `slackcef mapping coverage` has it to paste cs5Label=SlackcefHelp msg=no mapping file names Slack's action "quantum_widget_entangled"; it is delivered by the catch-all cs6={"details":{"entry":"e-1"}} cs6Label=SlackcefDetails"#,
            ),
            (
                OwnEvent::store_full(Full::Limit, 10, 9),
                r#"store-full|Store full|8|act=store-full cat=store dvchost=relay-1 cs5=see why a destination is behind, or raise `max_size` of [state] cs5Label=SlackcefHelp reason=limit msg=the store was full: nothing more was asked of Slack until a destination had taken some cs6={"details":{"bytes":10,"limit":9}} cs6Label=SlackcefDetails"#,
            ),
            (
                OwnEvent::source_late(&SourceId::new("acme-audit"), &late),
                r#"source-late|Source had late entries|3|act=source-late cat=source dvchost=relay-1 cn2=12 cn2Label=SlackcefCount cs1=acme-audit cs1Label=SlackcefSource cs5=raise `settle` cs5Label=SlackcefHelp msg=12 entries of the source acme-audit came late and were found up to 4000 seconds after they happened cs6={"details":{"seconds":4000}} cs6Label=SlackcefDetails"#,
            ),
            (
                OwnEvent::store_repaired(&Repair::Positions { readers: 2 }),
                "store-repaired|Store repaired after damage|6|act=store-repaired cat=store dvchost=relay-1 reason=positions msg=the positions of 2 destinations were damaged: what is still kept is delivered to them once more",
            ),
            (
                OwnEvent::entries_lost(&lost),
                "store-repaired|Store lost entries to damage|8|act=store-repaired cat=store dvchost=relay-1 cn2=12 cn2Label=SlackcefCount cs5=check the disk. Slack may still hold these entries: to read them again, run slackcef once with an empty `[state] dir` and `start` set to before they happened cs5Label=SlackcefHelp reason=entries-lost msg=the store was damaged: 12 stored entries of unknown source are damaged beyond reading (batches 3 to 3)",
            ),
        ] {
            let expected = expected
                .replace("VERSION", env!("CARGO_PKG_VERSION"))
                .replace("ACTIONS", &actions.to_string());
            assert_eq!(line(event), expected);
        }
    }

    #[test]
    fn each_of_them_has_its_words_in_the_mapping() {
        let plans = compile(&builtin()).unwrap();
        let named: Vec<_> =
            plans.actions(Log::Forwarder).iter().map(|mapped| mapped.action.to_owned()).collect();
        assert_eq!(
            named,
            [
                "action-unmapped",
                "certificate-expiring",
                "configuration-refused",
                "configuration-reloaded",
                "destination-down",
                "destination-recovered",
                "event-undeliverable",
                "forwarder-started",
                "forwarder-stopped",
                "heartbeat",
                "mapping-refused",
                "mapping-reloaded",
                "notice-recovered",
                "notice-refused",
                "replay-finished",
                "replay-started",
                "source-late",
                "source-quiet",
                "source-recovered",
                "source-refused",
                "store-full",
                "store-repaired",
                "token-expiring",
            ]
        );
    }

    fn mapping_file(name: &str, text: &str) -> crate::mapping::MappingFile {
        crate::mapping::MappingFile::new(name, crate::mapping::Layer::Customer, text)
    }
}
