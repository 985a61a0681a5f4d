//! What there is to say of a range of time, source by source and window by window; and what of it is
//! not proven.
//!
//! These are the forms of `--json`. **Invariant:** a key, once there, keeps its name and meaning.

use serde::Serialize;

use crate::event::UnixTime;
use crate::report::Exit;
use crate::slack::audit::Marks;

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Proof {
    /// When the store was looked at.
    pub(super) at: UnixTime,
    pub(super) from: UnixTime,
    /// The first second behind the range.
    pub(super) to: UnixTime,
    pub(super) window_seconds: u64,
    /// Nothing is open.
    pub(super) proven: bool,
    /// What keeps it from being proven, in words.
    pub(super) open: Vec<String>,
    pub(super) sources: Vec<SourceProof>,
}

/// One source.
#[derive(Debug, Serialize)]
pub(super) struct SourceProof {
    pub(super) name: String,
    /// The first second that is read at all.
    pub(super) reads_from: Option<UnixTime>,
    /// The first second that is not read yet.
    pub(super) read_before: Option<UnixTime>,
    /// The first second in which something may have come late that nobody has looked for yet.
    pub(super) verified_before: Option<UnixTime>,
    /// The first second from which on nothing was deleted; none where nothing was deleted at all.
    pub(super) kept_from: Option<UnixTime>,
    pub(super) windows: Vec<WindowProof>,
    /// What Slack says, where it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) against_slack: Option<AgainstSlack>,
    /// What its windows are held against; none for one that is no log of seconds.
    #[serde(skip)]
    pub(super) marks: Option<Marks>,
}

/// One window of a source, by when its entries happened.
#[derive(Debug, Serialize)]
pub(super) struct WindowProof {
    pub(super) from: UnixTime,
    pub(super) to: UnixTime,
    pub(super) coverage: Coverage,
    /// Entries kept.
    pub(super) read: u64,
    /// Those of them that came when their seconds had been read already.
    pub(super) late: u64,
    /// Different ids.
    pub(super) ids: u64,
    /// The digest of the ids; see `ids`.
    pub(super) digest: String,
    pub(super) destinations: Vec<Fates>,
}

/// What became of a window's entries at one destination.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Fates {
    pub(super) name: String,
    /// Of which the mapping, as it is now, makes events.
    pub(super) mapped: u64,
    /// Which a rule of the mapping, as it is now, drops.
    pub(super) dropped: u64,
    /// Mapped, and not wanted by the destination's `when`, as it is now.
    pub(super) unwanted: u64,
    /// Mapped, wanted, and delivered.
    pub(super) delivered: u64,
    /// Mapped, wanted, and still to be delivered.
    pub(super) waiting: u64,
    /// Mapped, wanted, and put aside because the receiver never takes them.
    pub(super) dead_letters: u64,
}

/// Whether a window's seconds were read, and whether the store still has all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Coverage {
    /// All were read, and looked through for what came late, as far as that is done at all.
    Complete,
    /// All were read; what comes late is still to be looked for.
    NotVerified,
    /// Some were not read yet.
    NotRead,
    /// Some lie before the first one that the source reads.
    BeforeStart,
    /// Some were read, and what was read may have been deleted since.
    Deleted,
    /// The source is no log of seconds: only what is stored can be counted.
    Stored,
}

/// The comparison with Slack, id by id.
#[derive(Debug, Default, Serialize)]
pub(super) struct AgainstSlack {
    /// In Slack and in the store.
    pub(super) equal: u64,
    /// In Slack and not in the store.
    pub(super) missed: Listed,
    /// The same, of seconds that are still to be verified: it will find them.
    pub(super) to_come: Listed,
    /// In the store and not in Slack: Slack has forgotten them.
    pub(super) forgotten: Listed,
    /// The seconds that were compared, the last one not included; none where there was none.
    pub(super) compared: Option<(UnixTime, UnixTime)>,
}

/// How many there are, and the first of them.
#[derive(Debug, Default, Serialize)]
pub(super) struct Listed {
    pub(super) count: u64,
    pub(super) first: Vec<Named>,
}

/// An entry by its names.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Named {
    pub(super) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<UnixTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) action: Option<String>,
}

/// So many are listed.
const LISTED: usize = 20;

impl Listed {
    pub(super) fn add(&mut self, named: impl FnOnce() -> Named) {
        self.count = self.count.saturating_add(1);
        if self.first.len() < LISTED {
            self.first.push(named());
        }
    }
}

impl Coverage {
    /// Of the seconds from `from` up to, and without, `to`.
    pub(super) fn of(
        marks: Option<Marks>,
        kept_from: Option<UnixTime>,
        from: UnixTime,
        to: UnixTime,
    ) -> Self {
        let Some(Marks { start, next, verified }) = marks else { return Self::Stored };
        match () {
            () if from < start => Self::BeforeStart,
            () if kept_from.is_some_and(|kept| from < kept) => Self::Deleted,
            () if next < to => Self::NotRead,
            () if verified < to => Self::NotVerified,
            () => Self::Complete,
        }
    }

    /// In words for a table.
    pub(super) const fn in_words(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::NotVerified => "not verified yet",
            Self::NotRead => "not read yet",
            Self::BeforeStart => "before its start",
            Self::Deleted => "partly deleted",
            Self::Stored => "stored",
        }
    }
}

impl Fates {
    pub(super) fn add(&mut self, other: &Self) {
        let Self { name: _, mapped, dropped, unwanted, delivered, waiting, dead_letters } = other;
        self.mapped = self.mapped.saturating_add(*mapped);
        self.dropped = self.dropped.saturating_add(*dropped);
        self.unwanted = self.unwanted.saturating_add(*unwanted);
        self.delivered = self.delivered.saturating_add(*delivered);
        self.waiting = self.waiting.saturating_add(*waiting);
        self.dead_letters = self.dead_letters.saturating_add(*dead_letters);
    }
}

/// What is not proven, and what that means for the exit code.
#[derive(Debug, Default)]
pub(super) struct Open {
    /// What Slack has and the store has not.
    pub(super) missed: Vec<String>,
    /// What waiting does not mend.
    pub(super) unprovable: Vec<String>,
    /// What waiting mends.
    pub(super) pending: Vec<String>,
}

impl Open {
    /// The exit code: the gravest of what there is.
    pub(super) fn exit(&self) -> Exit {
        match () {
            () if !self.missed.is_empty() => Exit::Differs,
            () if !self.unprovable.is_empty() => Exit::Unavailable,
            () if !self.pending.is_empty() => Exit::TryLater,
            () => Exit::Ok,
        }
    }

    /// All of it, the gravest first.
    pub(super) fn into_words(self) -> Vec<String> {
        let Self { missed, unprovable, pending } = self;
        [missed, unprovable, pending].concat()
    }

    /// Adds what is open of a source.
    pub(super) fn judge(&mut self, source: &SourceProof) {
        let SourceProof { name, windows, against_slack, .. } = source;
        let has = |coverage| windows.iter().any(|window| window.coverage == coverage);
        let shown = |at: Option<UnixTime>| at.map_or_else(|| "nothing".to_owned(), |at| at.to_string());
        if has(Coverage::BeforeStart) {
            let start = shown(source.reads_from);
            self.unprovable.push(format!("{name} is read from {start} on only"));
        }
        if has(Coverage::Deleted) {
            let kept = source.kept_from.or(source.read_before);
            self.unprovable.push(format!(
                "the store begins at {} for {name}: what retention has deleted before that cannot be shown",
                shown(kept)
            ));
        }
        let last = windows.last().map(|window| window.to);
        let up_to = |before: Option<UnixTime>| shown(before.map(|before| before.plus(-1)));
        if source.read_before < last && !has(Coverage::Stored) {
            self.pending.push(format!("{name} is read up to {} only", up_to(source.read_before)));
        } else if source.verified_before < last && !has(Coverage::Stored) {
            let verified = up_to(source.verified_before);
            self.pending.push(format!("{name} is looked through for late entries up to {verified} only"));
        }
        let destinations = windows.first().map_or(&[][..], |window| &window.destinations);
        for (nth, destination) in destinations.iter().enumerate() {
            let mut all = Fates::default();
            windows.iter().filter_map(|window| window.destinations.get(nth)).for_each(|fates| all.add(fates));
            let to = &destination.name;
            if all.waiting > 0 {
                self.pending.push(format!("{} entries of {name} wait for {to}", all.waiting));
            }
            if all.dead_letters > 0 {
                let dead = all.dead_letters;
                self.unprovable.push(format!("{dead} entries of {name} lie among the dead letters of {to}"));
            }
        }
        if let Some(AgainstSlack { missed, to_come, .. }) = against_slack {
            if missed.count > 0 {
                self.missed
                    .push(format!("{} entries of {name} are in Slack and not in the store", missed.count));
            }
            if to_come.count > 0 {
                let count = to_come.count;
                self.pending.push(format!(
                    "{count} entries of {name} came late to Slack and wait for their verification"
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: i64) -> UnixTime {
        UnixTime::from_seconds(seconds)
    }

    #[test]
    fn a_window_is_complete_only_when_all_of_it_was_read_verified_and_kept() {
        let marks = Some(Marks { start: at(100), next: at(400), verified: at(300) });
        for (kept, from, to, coverage) in [
            (None, 100, 300, Coverage::Complete),
            (None, 100, 301, Coverage::NotVerified),
            (None, 300, 400, Coverage::NotVerified),
            (None, 300, 401, Coverage::NotRead),
            (None, 99, 300, Coverage::BeforeStart),
            (Some(200), 199, 300, Coverage::Deleted),
            (Some(200), 200, 300, Coverage::Complete),
        ] {
            assert_eq!(Coverage::of(marks, kept.map(at), at(from), at(to)), coverage, "{from} to {to}");
        }
        assert_eq!(Coverage::of(None, None, at(0), at(1)), Coverage::Stored);
    }

    /// A source of one window, all of it well.
    fn well() -> SourceProof {
        let fates = Fates { name: "siem".to_owned(), mapped: 3, delivered: 3, ..Fates::default() };
        SourceProof {
            name: "acme".to_owned(),
            reads_from: Some(at(0)),
            read_before: Some(at(100)),
            verified_before: Some(at(100)),
            kept_from: None,
            windows: vec![WindowProof {
                from: at(50),
                to: at(100),
                coverage: Coverage::Complete,
                read: 3,
                late: 0,
                ids: 3,
                digest: String::new(),
                destinations: vec![fates],
            }],
            against_slack: None,
            marks: None,
        }
    }

    fn judged(change: impl FnOnce(&mut SourceProof)) -> (u8, Vec<String>) {
        let (mut source, mut open) = (well(), Open::default());
        change(&mut source);
        open.judge(&source);
        (open.exit().code(), open.into_words())
    }

    #[test]
    fn each_thing_that_is_open_has_its_exit_code() {
        fn fates(source: &mut SourceProof) -> &mut Fates {
            &mut source.windows[0].destinations[0]
        }
        assert_eq!(judged(|_| {}), (0, vec![]));
        assert_eq!(judged(|source| fates(source).dropped = 3).0, 0);
        assert_eq!(judged(|source| fates(source).waiting = 1).0, 75);
        assert_eq!(judged(|source| fates(source).dead_letters = 1).0, 69);
        assert_eq!(judged(|source| source.read_before = None).0, 75);
        assert_eq!(judged(|source| source.verified_before = Some(at(99))).0, 75);
        assert_eq!(judged(|source| source.windows[0].coverage = Coverage::Deleted).0, 69);
        assert_eq!(judged(|source| source.windows[0].coverage = Coverage::BeforeStart).0, 69);
        let list = |source: &mut SourceProof| {
            source.windows[0].coverage = Coverage::Stored;
            (source.read_before, source.verified_before) = (None, None);
        };
        assert_eq!(judged(list), (0, vec![]));
        let listed = || Listed { count: 2, ..Listed::default() };
        let late = AgainstSlack { to_come: listed(), ..AgainstSlack::default() };
        assert_eq!(judged(|source| source.against_slack = Some(late)).0, 75);
        let forgotten = AgainstSlack { forgotten: listed(), ..AgainstSlack::default() };
        assert_eq!(judged(|source| source.against_slack = Some(forgotten)).0, 0);
        let (exit, words) = judged(|source| {
            fates(source).waiting = 7;
            fates(source).dead_letters = 1;
            source.against_slack = Some(AgainstSlack { missed: listed(), ..AgainstSlack::default() });
        });
        assert_eq!(exit, 1);
        assert_eq!(
            words,
            [
                "2 entries of acme are in Slack and not in the store",
                "1 entries of acme lie among the dead letters of siem",
                "7 entries of acme wait for siem"
            ]
        );
    }
}
