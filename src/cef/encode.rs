//! The one maker of a line.
//!
//! A line is `CEF:0|vendor|product|version|class id|name|severity|key=value key=value …`, in the
//! form that every reader we know of takes as it is meant: the header needs no escape, a value
//! holds none but `\\`, `\=` and `\n`, no field is empty, no name stands twice, every custom field
//! has its label right after it (see `text` for what becomes of a value, `place` for where it goes).
//!
//! **Invariant:** the line is UTF-8 and holds no line break; it has no key but those of the event,
//! their labels, those that an IPv6 address moves to, and [`slackcefCut`](Cuts).
//! **Invariant:** it is never longer than its budget, and what the budget or a key's length cut
//! off is named in it.

use super::cuts::{Cuts, MARK};
use super::event::{Event, Field};
use super::key::Since;
use super::place::{Place, Places};
use super::text::Written;

/// How lines are written for one destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoder {
    /// The version in the header. CEF:0 keeps IPv6 addresses out of the plain address keys; keys
    /// that came later are written all the same, for to its readers they are custom keys.
    pub version: Since,
    /// How the characters that need an escape are written.
    pub values: Values,
    /// The labels of addresses that CEF:0 moves.
    pub ipv6_labels: Ipv6Labels,
}

impl Default for Encoder {
    /// CEF:0, escaped values, labels of one word: what most readers take.
    fn default() -> Self {
        Self { version: Since::V0, values: Values::default(), ipv6_labels: Ipv6Labels::default() }
    }
}

/// How the characters that need an escape are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Values {
    /// `\\`, `\=`, `\n`: as CEF says.
    #[default]
    Escaped,
    /// `/` for the backslash, `%3D` for `=`, `%7C` for the pipe, a space for a line break: for
    /// readers that misread escapes (old Graylog, nsyslog-parser, the older Sentinel agent).
    Plain,
}

/// The labels of IPv6 addresses that CEF:0 moves out of `src`, `dst`, `dvc` and their like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ipv6Labels {
    /// `SourceIPv6Address`: Graylog drops a field whose label holds a space.
    #[default]
    OneWord,
    /// `Source IPv6 Address`: ArcSight's own words.
    ArcSight,
}

impl Encoder {
    /// The least budget, in bytes: a smaller one counts as this. It is what any syslog receiver
    /// must take (RFC 5424 section 6.1).
    pub const LEAST_BUDGET: usize = 480;

    /// Appends the event as one line of at most `budget` bytes, without a line break.
    ///
    /// A value is first cut to its key's length, counted in bytes as a reader has them. If the line
    /// is still too long, fields are shortened or left out from the last one backwards: text keeps
    /// at least 16 bytes or goes, a typed value is whole or goes, a label goes with its value, and
    /// no cut splits a character or an escape. What was cut or left out stands in one more field,
    /// `slackcefCut=cs6:8123,msg:700,+2`: key and former bytes, then how many more there are. Only
    /// a header that leaves no room for that field is cut before any other: its name, then its
    /// class id.
    ///
    /// Nothing is allocated, but for `out` to grow, unless something is cut.
    pub fn encode(&self, event: &Event, budget: usize, out: &mut Vec<u8>) -> Cuts {
        let budget = budget.max(Self::LEAST_BUDGET);
        let start = out.len();
        if self.write_whole(event, budget, out) {
            return Cuts::default();
        }
        out.truncate(start);
        self.write_cut(event, budget, out)
    }

    /// Writes the line of an event that fits as it is; `false` as soon as it does not.
    fn write_whole(self, event: &Event, budget: usize, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        self.write_header(&Header::of(event), out);
        let first = out.len();
        let mut places = Places::new(self, event);
        event.clashes().len() == 0
            && event.fields().all(|field| {
                places.place(field).is_some_and(|place| {
                    place.write(self.values, field.value, first, None, out) == Written::Whole
                        && out.len().saturating_sub(start) <= budget
                })
            })
            && out.len().saturating_sub(start) <= budget
    }

    /// Writes the line of an event that does not fit as it is.
    fn write_cut(self, event: &Event, budget: usize, out: &mut Vec<u8>) -> Cuts {
        let start = out.len();
        let mut cuts = Cuts::default();
        let note_limit = (budget / 4).min(NOTE_LIMIT);
        let room = budget.saturating_sub(note_limit).saturating_sub(MARK);
        self.write_header(&Header::of(event).cut_to(room, &mut cuts), out);
        let first = out.len();

        let mut places = Places::new(self, event);
        let mut standing: Vec<Part<'_>> = Vec::with_capacity(event.fields().len());
        for field in event.fields() {
            let part_start = out.len();
            let place = places.place(field);
            let written = place
                .map_or(Written::Cut(0), |place| place.write(self.values, field.value, first, None, out));
            let mut part = Part { field, place, start: part_start, cut: None };
            if let Written::Cut(kept) = written {
                part.cut = Some(cuts.add(part.key(), field.value.len(), kept));
            }
            standing.push(part);
        }
        for field in event.clashes() {
            cuts.add(field.key.name(), field.value.len(), 0);
        }

        while out.len().saturating_sub(start).saturating_add(cuts.written_len(note_limit)) > budget {
            let Some(part) = standing.pop() else { break };
            out.truncate(part.start);
            let cut = part.cut.unwrap_or_else(|| cuts.add(part.key(), part.field.value.len(), 0));
            let taken = out.len().saturating_sub(start).saturating_add(cuts.written_len(note_limit));
            let room = budget.saturating_sub(taken);
            let write = |place: Place<'_>| place.write(self.values, part.field.value, first, Some(room), out);
            // Whole it cannot be: it stood there whole, beside no longer a note, and was too long.
            if let Written::Cut(kept) = part.place.map_or(Written::Cut(0), write) {
                cuts.set_kept(cut, kept);
            }
        }
        cuts.write(note_limit, first, out);
        cuts
    }

    fn write_header(self, header: &Header<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(match self.version {
            Since::V0 => b"CEF:0|",
            Since::V1 => b"CEF:1|",
        });
        for part in header.parts() {
            out.extend_from_slice(part.as_bytes());
            out.push(b'|');
        }
    }
}

/// The most bytes of the note's value, in a line long enough for it.
const NOTE_LIMIT: usize = 256;

/// One field of a line that may have to give way.
struct Part<'e> {
    field: Field<'e>,
    place: Option<Place<'e>>,
    start: usize,
    /// Its place among the cuts, when it was cut already.
    cut: Option<usize>,
}

impl<'e> Part<'e> {
    fn key(&self) -> &'e str {
        self.place.map_or(self.field.key.name(), |place| place.key)
    }
}

/// The six fields after the version.
struct Header<'e> {
    vendor: &'e str,
    product: &'e str,
    device_version: &'e str,
    class_id: &'e str,
    name: &'e str,
    severity: &'static str,
}

impl<'e> Header<'e> {
    /// The event's own, with a word for each that was not set: pycef refuses an empty one.
    fn of(event: &'e Event) -> Self {
        let [vendor, product, device_version, class_id, name] =
            event.header().map(|part| if part.is_empty() { "unknown" } else { part });
        Self { vendor, product, device_version, class_id, name, severity: event.severity().digits() }
    }

    fn parts(&self) -> [&'e str; 6] {
        [self.vendor, self.product, self.device_version, self.class_id, self.name, self.severity]
    }

    /// Cut to `room` bytes: the name first, for the class id says the same and is what rules read.
    fn cut_to(mut self, room: usize, cuts: &mut Cuts) -> Self {
        let others = [self.vendor, self.product, self.device_version, self.severity];
        let fixed = others.iter().fold("CEF:0|||||||".len(), |sum, part| sum.saturating_add(part.len()));
        let room = room.saturating_sub(fixed);
        let name_room = room.saturating_sub(self.class_id.len()).max(LEAST_NAME);
        self.name = shorten("name", self.name, name_room, cuts);
        let class_room = room.saturating_sub(self.name.len());
        self.class_id = shorten("deviceEventClassId", self.class_id, class_room, cuts);
        self
    }
}

/// However long the class id is, the name keeps so many bytes.
const LEAST_NAME: usize = 16;

/// Header text is ASCII and has no space at its beginning, so that something stays of it.
fn shorten<'e>(part: &str, text: &'e str, room: usize, cuts: &mut Cuts) -> &'e str {
    let Some(kept) = text.get(..room).filter(|kept| kept.len() < text.len()) else { return text };
    let kept = kept.trim_end();
    cuts.add(part, text.len(), kept.len());
    kept
}
