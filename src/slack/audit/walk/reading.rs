//! One window while its pages come in.

use std::collections::HashMap;

use bytes::Bytes;

use super::{Part, Window};
use crate::event::{Entry, EntryId, Log, Text, UnixTime};

/// A window, and what of it has been read.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) window: Window,
    pub(super) asked_at: UnixTime,
    pub(super) cursor: Option<Text>,
    pub(super) pages: u32,
    /// How often a cursor of this window was rejected.
    pub(super) rejections: u32,
    /// As they came: newest first.
    pub(super) held: Vec<Entry>,
    pub(super) held_bytes: usize,
    /// All entries of the window, those handed over included.
    pub(super) seen: usize,
    not_entries: usize,
    /// Whether a part of it was handed over.
    pub(super) parted: bool,
    /// How many entries without id there are of each text.
    twins: HashMap<EntryId, u32>,
}

impl Reading {
    pub(super) fn new(window: Window) -> Self {
        Self {
            window,
            asked_at: window.latest,
            cursor: None,
            pages: 0,
            rejections: 0,
            held: Vec::new(),
            held_bytes: 0,
            seen: 0,
            not_entries: 0,
            parted: false,
            twins: HashMap::new(),
        }
    }

    pub(super) fn add(&mut self, elements: &[Bytes]) {
        self.pages += 1;
        self.held.reserve(elements.len());
        for raw in elements {
            match self.entry(raw) {
                Some(entry) => {
                    self.seen += 1;
                    self.held_bytes += raw.len();
                    self.held.push(entry);
                }
                None => self.not_entries += 1,
            }
        }
    }

    fn entry(&mut self, raw: &Bytes) -> Option<Entry> {
        let read = |nth| Entry::from_raw(Log::Audit, raw.clone(), self.window.latest, nth).ok();
        let entry = read(0)?;
        if !entry.id().has_derived_form() {
            return Some(entry);
        }
        // Texts alike to the byte differ by their count alone, so no order among them matters; and an
        // id that Slack gave is not changed by a count.
        let nth = *self.twins.entry(entry.id().clone()).and_modify(|nth| *nth += 1).or_default();
        if nth == 0 { Some(entry) } else { read(nth) }
    }

    pub(super) fn part(&mut self, complete: bool) -> Part {
        let mut entries = std::mem::take(&mut self.held);
        entries.reverse();
        entries.sort_by_key(Entry::at);
        self.held_bytes = 0;
        self.parted = true;
        Part {
            entries,
            not_entries: std::mem::take(&mut self.not_entries),
            window: self.window,
            complete,
            asked_at: self.asked_at,
        }
    }
}
