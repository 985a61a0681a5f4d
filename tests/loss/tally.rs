//! What the receiver has stored, counted while it grows: which event came, how often, and whether whole.

use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use slackcef::simulate::slack::Generated;

/// The last key of each event, by which a whole one is told from one that was cut; its value is the
/// edition of the mapping and a full stop.
pub(crate) const END: &str = "SlackLossEnd=";

/// The counts.
#[derive(Debug, Default, Clone)]
pub(crate) struct Counts {
    /// Different events that came whole.
    pub(crate) different: u64,
    /// Events that came once more.
    pub(crate) repeated: u64,
    /// Pieces of events: the beginning is there, the end is not.
    pub(crate) torn: u64,
    /// Lines that nobody sent: no beginning of a message, or an event that is none of ours.
    pub(crate) foreign: u64,
    /// Repeats that differ from what came first.
    pub(crate) altered: u64,
    /// The most messages between an event and its repeat.
    pub(crate) farthest: u64,
    /// The newest edition of the mapping that showed.
    pub(crate) edition: u32,
    /// The first foreign line.
    pub(crate) strange: Option<String>,
}

/// Reads a file of stored messages, one a line, as far as it has grown.
pub(crate) struct Tally {
    path: PathBuf,
    file: Option<BufReader<File>>,
    /// A line whose end is not there yet.
    rest: Vec<u8>,
    seen: Vec<Seen>,
    messages: u32,
    counts: Counts,
}

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// The message, counted from 1, in which it came first.
    first: u32,
    text: u64,
}

impl Tally {
    /// Of `events` generated events, stored in the file at `path`, which need not be there yet.
    pub(crate) fn new(path: PathBuf, events: u64) -> Self {
        let events = usize::try_from(events).expect("so many fit into memory");
        Self {
            path,
            file: None,
            rest: Vec::new(),
            seen: vec![Seen::default(); events],
            messages: 0,
            counts: Counts::default(),
        }
    }

    /// Takes in what is new.
    pub(crate) fn read(&mut self) -> &Counts {
        if self.file.is_none() {
            self.file = File::open(&self.path).ok().map(|file| BufReader::with_capacity(1 << 18, file));
        }
        if let Some(mut file) = self.file.take() {
            while matches!(file.read_until(b'\n', &mut self.rest), Ok(read) if read > 0)
                && self.rest.ends_with(b"\n")
            {
                let line = std::mem::take(&mut self.rest);
                self.line(&String::from_utf8_lossy(&line));
                self.rest = line;
                self.rest.clear();
            }
            self.file = Some(file);
        }
        &self.counts
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The places of the events that are missing.
    pub(crate) fn missing(&self) -> Vec<u64> {
        (0..).zip(&self.seen).filter(|(_, seen)| seen.first == 0).map(|(index, _)| index).collect()
    }

    /// A line is one message; behind a receiver that was killed while it wrote, what it had written of
    /// the message before stands at its beginning.
    fn line(&mut self, line: &str) {
        let line = line.trim_end();
        if line.is_empty() {
            return;
        }
        let Some(begin) = line.rfind("CEF:0|") else {
            // A header that was cut begins like a header.
            if line.starts_with('<') {
                self.counts.torn += 1;
            } else {
                self.stray(line);
            }
            return;
        };
        let (before, message) = line.split_at(begin);
        self.counts.torn += u64::from(before.contains("CEF:0|"));
        self.messages += 1;
        if message.starts_with("CEF:0|slackcef|") {
            return;
        }
        let Some(edition) = edition(message) else {
            self.counts.torn += 1;
            return;
        };
        self.counts.edition = self.counts.edition.max(edition);
        let index = id(message).and_then(Generated::index_of).and_then(|index| usize::try_from(index).ok());
        let Some(seen) = index.and_then(|index| self.seen.get_mut(index)) else { return self.stray(line) };
        let mut hasher = DefaultHasher::new();
        hasher.write(message.as_bytes());
        let text = hasher.finish();
        if seen.first == 0 {
            *seen = Seen { first: self.messages, text };
            self.counts.different += 1;
        } else {
            self.counts.repeated += 1;
            self.counts.altered += u64::from(seen.text != text);
            self.counts.farthest = self.counts.farthest.max(u64::from(self.messages - seen.first));
        }
    }

    fn stray(&mut self, line: &str) {
        self.counts.foreign += 1;
        self.counts.strange.get_or_insert_with(|| line.chars().take(200).collect());
    }
}

fn id(message: &str) -> Option<&str> {
    let (_, behind) = message.split_once("externalId=")?;
    behind.split(' ').next()
}

/// The edition under which the event was written; none for one that is not whole.
fn edition(message: &str) -> Option<u32> {
    let (before, edition) = message.strip_suffix('.')?.rsplit_once('=')?;
    if before.len() < END.len() || !before.ends_with(END.trim_end_matches('=')) {
        return None;
    }
    edition.parse().ok()
}

/// That this counts what it should is looked at before every use: a counter that cannot find a loss
/// would find none.
pub(crate) fn check() -> Result<(), String> {
    let series = Generated::default();
    let event = |index, text: &str| {
        format!(
            "<134>1 - host CEF - - - CEF:0|Slack|x|1|x|x|2|externalId={} {text}{END}3.",
            series.id_of(index)
        )
    };
    let half = |index| event(index, "").split(END).next().unwrap_or_default().to_owned();
    let mut tally = Tally::new(PathBuf::new(), 5);
    let own = "<134>1 - host CEF - - - CEF:0|slackcef|slackcef|1|heartbeat|x|1|cnt=1".to_owned();
    let header = "<134>1 - ho".to_owned();
    let (stray, foreign) = ("act=user_login SlackLossEnd=3.".to_owned(), event(5, ""));
    // Of event 2 only a half comes, of 3 a half and, behind it on the same line, the whole.
    let glued = half(3) + &event(3, "");
    for line in [event(0, ""), event(1, ""), event(1, ""), event(1, "a=b "), half(2), glued] {
        tally.line(&line);
    }
    for line in [own, header, stray, foreign] {
        tally.line(&line);
    }
    let Counts { different, repeated, torn, foreign, altered, farthest, edition, .. } = tally.counts.clone();
    let found = (different, repeated, torn, foreign, altered, farthest, edition, tally.missing());
    if found == (3, 2, 3, 2, 1, 2, 3, vec![2, 4]) {
        Ok(())
    } else {
        Err(format!("it does not count rightly: {found:?}"))
    }
}
