//! What the store keeps of a range of time, counted.
//!
//! The store is walked through once to count, and further times only where the ids of a part of the
//! windows are as much as is to be held.
//!
//! **Invariant:** memory is bounded, however long the range: the ids of one window, or [`HELD`] bytes
//! of them, and the counts.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::ids::{Ids, Sorted};
use super::judge::Judge;
use super::proof::Fates;
use super::span::Span;
use crate::store::{Archive, SourceId, StoreError, Stored};

/// Bytes of ids that are held at once.
const HELD: usize = 128 << 20;

/// What is counted.
#[derive(Debug)]
pub(super) struct Account<'a> {
    span: &'a Span,
    sources: &'a [SourceId],
    /// Source by source the counts of its windows.
    pub(super) counts: Vec<Vec<Counts>>,
    held: usize,
}

/// What a window of a source holds.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    pub(super) read: u64,
    pub(super) late: u64,
    /// At each destination that takes the source.
    pub(super) fates: Vec<Fates>,
}

/// The ids of neighbouring windows, by window and source.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) windows: Range<usize>,
    pub(super) ids: BTreeMap<(usize, usize), Sorted>,
}

impl<'a> Account<'a> {
    pub(super) fn new(span: &'a Span, sources: &'a [SourceId], judges: &[Judge]) -> Self {
        let of_source = |source: &SourceId| {
            let takers = judges.iter().filter(|judge| judge.takes(source));
            let fates = takers.map(|judge| Fates { name: judge.name.clone(), ..Fates::default() }).collect();
            vec![Counts { read: 0, late: 0, fates }; span.windows()]
        };
        Self { span, sources, counts: sources.iter().map(of_source).collect(), held: HELD }
    }

    /// Counts everything, and gathers the ids of as many of the first windows as can be held.
    pub(super) fn count(&mut self, archive: &mut Archive, judges: &mut [Judge]) -> Result<Group, StoreError> {
        let Self { span, sources, held, .. } = *self;
        let mut gathering = Gathering::new(span, 0, held);
        let all: BTreeSet<_> = sources.iter().cloned().collect();
        archive.each_batch_between(&all, span.from, span.to, |batch| {
            let Some(nth) = sources.iter().position(|source| *source == batch.source) else { return };
            self.add(nth, &batch, judges);
            gathering.add(nth, &batch);
        })?;
        Ok(gathering.end())
    }

    /// Gathers the ids of as many of the windows from that one on as can be held.
    pub(super) fn gather(&self, archive: &mut Archive, from: usize) -> Result<Group, StoreError> {
        let Self { span, sources, held, .. } = *self;
        let mut gathering = Gathering::new(span, from, held);
        let all: BTreeSet<_> = sources.iter().cloned().collect();
        let (begin, _) = span.bounds(from);
        archive.each_batch_between(&all, begin, span.to, |batch| {
            if let Some(nth) = sources.iter().position(|source| *source == batch.source) {
                gathering.add(nth, &batch);
            }
        })?;
        Ok(gathering.end())
    }

    fn add(&mut self, source: usize, batch: &Stored, judges: &mut [Judge]) {
        let Some(windows) = self.counts.get_mut(source) else { return };
        let mut takers: Vec<_> = judges.iter_mut().filter(|judge| judge.takes(&batch.source)).collect();
        for (serial, entry) in (batch.serial..).zip(&batch.entries) {
            let window = self.span.window_of(entry.at());
            let Some(counts) = window.and_then(|window| windows.get_mut(window)) else { continue };
            counts.read = counts.read.saturating_add(1);
            counts.late = counts.late.saturating_add(u64::from(batch.late));
            for (judge, fates) in takers.iter_mut().zip(&mut counts.fates) {
                judge.count(entry, &batch.source, serial, fates);
            }
        }
    }
}

/// Ids as they are met, of windows that are given up from the end when they become too many.
struct Gathering<'a> {
    span: &'a Span,
    windows: Range<usize>,
    ids: BTreeMap<(usize, usize), Ids>,
    bytes: usize,
    most: usize,
}

impl<'a> Gathering<'a> {
    fn new(span: &'a Span, from: usize, most: usize) -> Self {
        Self { span, windows: from..span.windows(), ids: BTreeMap::new(), bytes: 0, most }
    }

    fn add(&mut self, source: usize, batch: &Stored) {
        for entry in &batch.entries {
            let window = self.span.window_of(entry.at()).filter(|window| self.windows.contains(window));
            let Some(window) = window else { continue };
            let ids = self.ids.entry((window, source)).or_default();
            let before = ids.bytes();
            ids.add(entry.id().as_str());
            self.bytes = self.bytes.saturating_add(ids.bytes().saturating_sub(before));
        }
        while self.bytes > self.most && self.windows.len() > 1 {
            self.windows.end = self.windows.end.saturating_sub(1);
            let given_up = self.ids.split_off(&(self.windows.end, 0));
            let bytes: usize = given_up.values().map(Ids::bytes).sum();
            self.bytes = self.bytes.saturating_sub(bytes);
        }
    }

    fn end(self) -> Group {
        let sorted = self.ids.into_iter().map(|(place, ids)| (place, ids.sorted()));
        Group { windows: self.windows, ids: sorted.collect() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::super::span::Moment;
    use super::*;
    use crate::event::{Entry, Log, UnixTime};
    use crate::store::{Batch, Bookmark, Settings, Store};

    fn entry(n: i64) -> Entry {
        let raw = format!(r#"{{"id":"e{n}","date_create":{n},"action":"user_login"}}"#);
        Entry::from_raw(Log::Audit, Bytes::from(raw), UnixTime::from_seconds(0), 0).unwrap()
    }

    #[tokio::test]
    async fn however_little_is_held_every_window_gets_its_ids() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings {
            dir: dir.path().join("state"),
            retention: Duration::from_secs(86_400),
            max_size: 64 << 20,
        };
        let (store, _) = Store::open(&settings).unwrap();
        let sources = ["a", "b"].map(SourceId::new);
        for source in &sources {
            // Entry n happens in second n, and they come in any order.
            for begin in [500, 0, 300, 100] {
                let entries = (begin..begin + 100).map(entry).collect();
                store.append(Batch::new(source.clone(), entries, Bookmark::default())).await.unwrap();
            }
        }
        let [from, to] = [50, 450].map(|at| Moment::At(UnixTime::from_seconds(at)));
        let span = Span::new(from, to, Duration::from_secs(100), UnixTime::from_seconds(0)).unwrap();
        let digests = |held: usize| {
            let mut account = Account { held, ..Account::new(&span, &sources, &[]) };
            let mut archive = Archive::open(&settings.dir).unwrap();
            let mut groups = vec![account.count(&mut archive, &mut []).unwrap()];
            while groups.last().unwrap().windows.end < span.windows() {
                let next = groups.last().unwrap().windows.end;
                groups.push(account.gather(&mut archive, next).unwrap());
            }
            let read: Vec<Vec<_>> =
                account.counts.iter().map(|of| of.iter().map(|counts| counts.read).collect()).collect();
            assert_eq!(read, [[100, 50, 50, 50], [100, 50, 50, 50]].map(Vec::from));
            let ids = groups.iter().flat_map(|group| &group.ids);
            (groups.len(), ids.map(|(place, ids)| (*place, ids.len(), ids.digest())).collect::<Vec<_>>())
        };
        let (one, all) = digests(HELD);
        assert_eq!((one, all.len()), (1, 8));
        for held in [0, 3_000, 7_000] {
            let (groups, same) = digests(held);
            assert!(groups > 1);
            assert_eq!(same, all);
        }
    }
}
