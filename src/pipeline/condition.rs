//! In what condition a destination is: whether it takes events and confirms them, and since when not.
//!
//! It is shown as a [`Standing`], and said in the log when it changes.
//!
//! **Invariant:** what follows from it is decided elsewhere: nothing is sent, ended or given up here.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::{info, warn};

use super::standing::{LastFault, Link, Seen, Standing, State};
use super::tally::Counts;
use crate::net::Why;
use crate::slack::Clock;
use crate::store::ReaderName;
use crate::syslog::{self, SendError, Sink};
use crate::telemetry::chain;

/// The condition of one destination.
#[derive(Debug)]
pub(super) struct Condition {
    name: ReaderName,
    down: Option<Down>,
    last_fault: Option<LastFault>,
    standing: watch::Sender<Standing>,
    shown_at: Option<Instant>,
    /// Since when something is on its way of which nothing was confirmed.
    unconfirmed_since: Option<Instant>,
}

/// It takes nothing, for what the last fault says.
#[derive(Debug)]
struct Down {
    since: Instant,
    said_at: Instant,
}

/// What moves at one moment, and what holds it.
pub(super) struct Flow<'a> {
    pub(super) sink: &'a Sink,
    /// The limit that what is ready waits for.
    pub(super) held_by: Option<Why>,
    /// Something is ready, or under way.
    pub(super) is_delivering: bool,
    /// Events sent and not yet safe.
    pub(super) unconfirmed: u64,
    pub(super) counts: Counts,
}

/// A failure that goes on is said again so often.
const SAY_EVERY: Duration = Duration::from_secs(300);
/// A receiver that takes events and confirms none for so long does not confirm.
const UNCONFIRMED: Duration = Duration::from_secs(60);
/// How often the standing is shown anew while things move.
const SHOW_EVERY: Duration = Duration::from_millis(250);
/// With nothing under way there is nothing to look after.
const IDLE: Duration = Duration::from_secs(60);

impl Condition {
    pub(super) fn new(name: ReaderName) -> Self {
        Self {
            name,
            down: None,
            last_fault: None,
            standing: watch::Sender::default(),
            shown_at: None,
            unconfirmed_since: None,
        }
    }

    /// How the destination stands, as that changes.
    pub(super) fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// The last fault, also when it is over.
    pub(super) fn last_fault(&self) -> Option<&LastFault> {
        self.last_fault.as_ref()
    }

    /// Something was sent.
    pub(super) fn sent(&mut self) {
        self.unconfirmed_since.get_or_insert_with(Instant::now);
    }

    /// The receiver has confirmed something; whether there is more to be confirmed.
    pub(super) fn confirmed(&mut self, is_more: bool) {
        self.unconfirmed_since = is_more.then(Instant::now);
        self.standing.send_if_modified(|standing| {
            standing.confirmed_at = Some(Clock::system().now());
            false
        });
        if let Some(down) = self.down.take() {
            let failures = self.last_fault.as_ref().map_or(0, |fault| fault.failures);
            info!(
                destination = %self.name, down_for_s = down.since.elapsed().as_secs(), failures,
                "the destination takes events again"
            );
            self.shown_at = None;
        }
    }

    /// Nothing gets through; how often in a row.
    pub(super) fn failed(&mut self, error: &SendError) -> u32 {
        let (now, what) = (Instant::now(), chain(error));
        let before = self.last_fault.take_if(|_| self.down.is_some());
        let failures = before.as_ref().map_or(0, |fault| fault.failures).saturating_add(1);
        let down = self.down.get_or_insert(Down { since: now, said_at: now });
        if before.is_none_or(|fault| fault.what != what) || down.said_at.elapsed() >= SAY_EVERY {
            let help = error.help().unwrap_or_default();
            warn!(
                destination = %self.name, failures, help,
                "the destination takes nothing, everything is kept: {what}"
            );
            down.said_at = now;
        }
        self.last_fault = Some(LastFault { at: Clock::system().now(), failures, what, help: error.help() });
        self.shown_at = None;
        failures
    }

    /// What is to be shown has changed, and is shown with the next look.
    pub(super) fn changed(&mut self) {
        self.shown_at = None;
    }

    /// The destination's work is over.
    pub(super) fn ended(&self, unconfirmed: u64, counts: Counts) {
        self.standing.send_modify(|standing| {
            (standing.unconfirmed, standing.counts) = (unconfirmed, counts);
            standing.state = State::Ended;
            standing.connections.clear();
        });
    }

    /// Shows how it stands, not too often; when to look again at the latest.
    pub(super) fn show(&mut self, flow: &Flow<'_>, now: Instant) -> Instant {
        let shown = self.shown_at.and_then(|at| at.checked_add(SHOW_EVERY)).filter(|next| *next > now);
        if let Some(next) = shown {
            return next;
        }
        let standing = self.stands(flow);
        let changed = self.standing.send_if_modified(|known| {
            let standing = Standing {
                since: if known.state == standing.state { known.since } else { standing.since },
                confirmed_at: known.confirmed_at,
                ..standing
            };
            let changed = *known != standing;
            *known = standing;
            changed
        });
        self.shown_at = changed.then_some(now);
        let look = if flow.unconfirmed == 0 { IDLE } else { SHOW_EVERY };
        now.checked_add(look).unwrap_or(now)
    }

    fn stands(&self, flow: &Flow<'_>) -> Standing {
        Standing {
            state: self.state(flow),
            since: Some(Clock::system().now()),
            connections: flow.sink.links().into_iter().map(Link::from).collect(),
            fault: self.last_fault.clone(),
            held_by: flow.held_by.map(|why| why.to_string()),
            unconfirmed: flow.unconfirmed,
            confirmed_at: None,
            counts: flow.counts,
        }
    }

    fn state(&self, flow: &Flow<'_>) -> State {
        if self.down.is_some() {
            State::Down
        } else if flow.sink.is_stalled() {
            State::Stalled
        } else if self.unconfirmed_since.is_some_and(|since| since.elapsed() >= UNCONFIRMED) {
            State::Unconfirmed
        } else if flow.held_by.is_some() {
            State::Held
        } else if flow.is_delivering {
            State::Delivering
        } else {
            State::Idle
        }
    }
}

impl From<&syslog::Link> for Link {
    fn from(link: &syslog::Link) -> Self {
        Self {
            endpoint: link.endpoint.clone(),
            assurance: link.assurance,
            because: link.because.map(str::to_owned),
            tls: link
                .tls
                .as_ref()
                .map(|tls| format!("{}, {}, {}", tls.version, tls.cipher, tls.verification)),
            certificates: link.tls.iter().flat_map(|tls| tls.chain.iter().map(Seen::from)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syslog::{Event, Settings};

    #[tokio::test]
    async fn failures_count_in_a_row_and_the_last_is_shown_when_it_is_over() {
        let mut sink = Sink::new(Vec::new(), Settings::default());
        let Event::Unreachable(error) = sink.turn(true).await else { panic!("there is nobody") };
        let mut condition = Condition::new(ReaderName::new("siem"));
        let standing = condition.standing();
        let shows = |condition: &mut Condition| {
            let counts = Counts::default();
            let flow = Flow { sink: &sink, held_by: None, is_delivering: true, unconfirmed: 0, counts };
            condition.show(&flow, Instant::now());
            let shown = standing.borrow();
            (shown.state, shown.fault.as_ref().map(|fault| fault.failures))
        };
        assert_eq!(shows(&mut condition), (State::Delivering, None));
        assert_eq!([condition.failed(&error), condition.failed(&error)], [1, 2]);
        assert_eq!(shows(&mut condition), (State::Down, Some(2)));
        condition.confirmed(false);
        assert_eq!(shows(&mut condition), (State::Delivering, Some(2)));
        assert_eq!(condition.failed(&error), 1);
        assert_eq!(shows(&mut condition), (State::Down, Some(1)));
    }
}
