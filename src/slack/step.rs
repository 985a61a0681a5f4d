//! What a poller has to tell: facts, for the caller to store, count and put into words.

use std::time::Duration;

use super::audit::Window;
use super::error::SlackError;
use crate::event::{Entry, UnixTime};

/// What happened.
#[derive(Debug)]
#[must_use]
pub enum Step {
    /// Entries, or the news that there are none, and the bookmark that goes with them.
    Page(Page),
    /// A page of a list, whose rows tell nothing before they are compared with what is remembered of
    /// them: [`super::Poller::compare`] wants a value, or `None`, for each of these keys, in their order.
    /// Also of a page without rows.
    Recall(Vec<RowKey>),
    /// All that has settled is read; the next call waits for the next cycle.
    CaughtUp(CaughtUp),
    /// A request failed; the next call waits and tries again.
    Failed(Failed),
}

/// Entries to store, in one transaction with the memos and the bookmark.
#[derive(Debug, Default)]
pub struct Page {
    /// Oldest first; often with entries that the store knows already.
    pub entries: Vec<Entry>,
    /// What is to be remembered of rows; of a key that stands twice the last one counts.
    pub memos: Vec<Memo>,
    /// What a poller needs to go on after these entries.
    pub bookmark: Vec<u8>,
    /// Elements of the page that were no JSON objects, and are not among the entries.
    pub not_entries: usize,
    /// How far this is; `None` for a list, which is read from its top again and again.
    pub progress: Option<Progress>,
}

/// What a row of a list is known by, in its source: a hash of what makes it itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey(pub [u8; 16]);

/// What is remembered of a row of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memo {
    /// The row.
    pub key: RowKey,
    /// What only its poller understands, and is given back by [`super::Poller::compare`].
    pub value: Vec<u8>,
    /// When the row was last met, by our clock; by this a memo ages (see [`CaughtUp::forget_before`]).
    pub at: UnixTime,
}

/// How far an audit log has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Whether these seconds are read for the first time, or once more.
    pub pass: Pass,
    /// The seconds that were asked for.
    pub window: Window,
    /// Whether the window is done; not, when one second fills several pages.
    pub complete: bool,
    /// The first second that is wanted at all.
    pub start: UnixTime,
    /// The first second not yet read.
    pub next: UnixTime,
    /// The first second that had not been read before this: what is new and older than that came late.
    pub read_before: UnixTime,
    /// When the window was first asked for, by the earlier of our clock and Slack's.
    pub asked_at: UnixTime,
    /// The last second of the way that the poller is on.
    pub goal: UnixTime,
    /// Slack's clock less ours, in seconds, once Slack has shown it.
    pub slack_ahead: Option<i64>,
}

/// Which reading of the same seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pass {
    /// The first one. The last `settle` seconds of a cycle are read again by the next.
    Front,
    /// The later one: what it finds new had come late.
    Verify,
}

/// All that has settled is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaughtUp {
    /// The last second read; of a list, the one in which the newest reading to its end began.
    pub up_to: UnixTime,
    /// When the next cycle begins.
    pub next_poll_in: Duration,
    /// Slack's clock less ours, in seconds, once Slack has shown it.
    pub slack_ahead: Option<i64>,
    /// How far our clock stands before what has been read already; zero where clocks go right.
    pub clock_behind: Duration,
    /// Memos of an earlier time are of rows that have left the list, and may be forgotten; `None`
    /// where nobody has looked.
    pub forget_before: Option<UnixTime>,
    /// Rows of a list that Slack speaks of and does not hand out: nothing is known of them.
    pub out_of_reach: u64,
}

/// A request failed.
#[derive(Debug)]
pub struct Failed {
    /// Why, and what can be done about it.
    pub error: SlackError,
    /// When it is tried again.
    pub retry_in: Duration,
    /// Which reading it concerns: the front goes on while a verification fails.
    pub pass: Pass,
}

/// What one cheap request says about token, plan and address.
#[derive(Debug)]
pub struct Probed {
    /// Whether Slack answered with a page.
    pub outcome: Result<(), SlackError>,
    /// Slack's clock less ours, in seconds, where Slack showed it.
    pub slack_ahead: Option<i64>,
}
