//! A source that Slack refuses: how long it waits before it asks again, and what is told of it.
//!
//! **Invariant:** a refusal makes no storm of requests: the waits grow to five minutes.
//! **Invariant:** nor one of events: a cause is told once, its end once, and the same cause not again
//! before [`QUIET`] has passed.

use std::time::{Duration, Instant};

use super::own::OwnEvent;
use super::voice::Voice;
use crate::event::UnixTime;
use crate::net::Backoff;
use crate::slack::oauth::Trouble;
use crate::slack::{Class, Clock, SlackError, Token};
use crate::store::SourceId;
use crate::telemetry::chain;

/// A refusal to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    /// Since when.
    pub(super) since: UnixTime,
    /// The cause in a word.
    pub(super) reason: &'static str,
    /// What Slack says, in words.
    pub(super) what: String,
    /// What to do about it.
    pub(super) cure: String,
}

/// What was seen of a source's refusals, and what was told.
#[derive(Debug)]
pub(super) struct Refusals {
    waits: Backoff,
    since: Option<UnixTime>,
    told: Option<Refused>,
    last_told: Option<(&'static str, Instant)>,
    /// What was told of a token that works and will end.
    told_of_token: Option<String>,
}

/// Soon after it was mended it is noticed …
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// … and one that nobody mends costs Slack nothing.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// The least time between two tellings of the same cause.
const QUIET: Duration = Duration::from_secs(300);

/// Only a person can undo it.
pub(super) fn is_refusal(error: &SlackError) -> bool {
    matches!(error.class(), Class::Token | Class::Install | Class::Setting)
}

impl Default for Refusals {
    fn default() -> Self {
        Self {
            waits: Backoff::new(FIRST_WAIT, LONGEST_WAIT),
            since: None,
            told: None,
            last_told: None,
            told_of_token: None,
        }
    }
}

impl Refusals {
    /// How long to wait before the next try.
    pub(super) fn wait(&mut self) -> Duration {
        self.waits.after_failure()
    }

    /// Tells of a refusal, where it is news.
    pub(super) fn refused(&mut self, source: &SourceId, error: &SlackError, token: &Token, voice: &Voice) {
        let since = *self.since.get_or_insert_with(|| Clock::system().now());
        let refused = Refused { since, reason: error.reason(), what: chain(error), cure: error.cure(token) };
        if self.is_news(&refused, Instant::now()) {
            voice.say(OwnEvent::source_refused(source, &refused));
        }
    }

    fn is_news(&mut self, refused: &Refused, now: Instant) -> bool {
        let is_told = self.told.as_ref().is_some_and(|told| told.reason == refused.reason);
        let is_quiet = self
            .last_told
            .is_none_or(|(reason, at)| reason != refused.reason || now.duration_since(at) >= QUIET);
        if is_told || !is_quiet {
            return false;
        }
        self.told = Some(refused.clone());
        self.last_told = Some((refused.reason, now));
        true
    }

    /// Tells that Slack lets the source in again, where it was told otherwise.
    pub(super) fn let_in(&mut self, source: &SourceId, voice: &Voice) {
        self.waits.reset();
        self.since = None;
        if let Some(told) = self.told.take() {
            let seconds = Clock::system().now().seconds().saturating_sub(told.since.seconds()).max(0);
            voice.say(OwnEvent::source_let_in(source, &told, seconds));
        }
    }

    /// What will be the end of a token that works, told once for each cause.
    pub(super) fn look_at(&mut self, token: &Token, source: &SourceId, voice: &Voice) -> Prospect {
        let Some(trouble) = token.trouble().filter(|trouble| trouble.is_grave) else {
            return if self.told_of_token.take().is_some() { Prospect::Mended } else { Prospect::Fine };
        };
        let cure = token.login().map_or_else(
            || trouble.help.clone(),
            |login| format!("{}; `slackcef auth login {login}` logs in again", trouble.help),
        );
        let is_told = self.told_of_token.as_ref() == Some(&trouble.what);
        self.told_of_token = Some(trouble.what.clone());
        let trouble = Trouble { help: cure, ..trouble };
        if !is_told {
            let login = token.login().unwrap_or_default();
            voice.say(OwnEvent::token_expiring(source, login, &trouble, Clock::system().now()));
        }
        Prospect::Ending { trouble, is_told }
    }
}

/// What is to be expected of a token.
#[derive(Debug)]
pub(super) enum Prospect {
    Fine,
    /// What was told of it is over.
    Mended,
    Ending {
        trouble: Trouble,
        is_told: bool,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(reason: &'static str) -> Refused {
        Refused { since: UnixTime::from_seconds(0), reason, what: String::new(), cure: String::new() }
    }

    #[test]
    fn a_cause_is_told_once_and_another_at_once() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        assert!(refusals.is_news(&refused("token"), now));
        assert!(!refusals.is_news(&refused("token"), now + 10 * QUIET));
        assert!(refusals.is_news(&refused("plan"), now + 10 * QUIET));
        assert!(!refusals.is_news(&refused("plan"), now + 10 * QUIET));
    }

    #[test]
    fn a_source_that_comes_and_goes_makes_no_storm() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        let mut told = 0;
        for second in 0..3_600 {
            told += usize::from(refusals.is_news(&refused("token"), now + Duration::from_secs(second)));
            refusals.told = None;
        }
        assert_eq!(told, 12);
    }

    #[test]
    fn the_waits_grow_to_five_minutes() {
        let mut refusals = Refusals::default();
        let waits: Vec<_> = (0..20).map(|_| refusals.wait()).collect();
        assert!(waits[0] <= FIRST_WAIT && waits[19] >= LONGEST_WAIT / 2, "{waits:?}");
        assert!(waits.iter().filter(|wait| **wait < LONGEST_WAIT / 2).count() <= 7, "{waits:?}");
    }
}
