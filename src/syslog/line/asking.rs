//! Receipts within a TLS 1.3 connection: when to ask for one, and what an answer proves.
//!
//! A `KeyUpdate` with `update_requested` has to be answered by the peer's TLS library (RFC 8446
//! §4.6.3), which does so in the order of the records: the answer proves that the program behind it
//! has read all that was sent before the question. OpenSSL never answers the first question of a
//! connection, and a library may answer two questions at once; so the n-th answer is taken for the
//! n-th question's, which is late at worst and never early.
//!
//! **Invariant:** no sockets and no clocks of its own: time is given.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The questions of one connection.
#[derive(Debug)]
pub(super) struct Asking {
    /// What each question that has no answer yet covers: the last order before it.
    open: VecDeque<Option<u64>>,
    asked: u32,
    answered: u32,
    last_asked: Instant,
    /// Since when two questions lie before the peer, of which any peer answers one that answers at all.
    owed_since: Option<Instant>,
    /// The last order written.
    written: Option<u64>,
    /// The last order that an answer covers.
    confirmed: Option<u64>,
    /// Bytes that no question covers yet.
    bytes: usize,
}

/// So much is confirmed by one question. What is not confirmed is sent again after a break, so that
/// it is not more; a question costs little, but a connection has no more than [`MOST_ANSWERS`].
const BYTES: usize = 4 << 20;
/// So long nobody waits to be asked about.
const INTERVAL: Duration = Duration::from_millis(500);
/// Questions follow each other so soon when nothing but their answers is waited for.
const HURRY: Duration = Duration::from_millis(20);
/// A peer that has answered none of two questions by now does not answer.
const MUTE: Duration = Duration::from_secs(5);
/// rustls 0.23 ends a connection on the 33rd `KeyUpdate` without data from the peer in between.
const MOST_ANSWERS: u32 = 30;

impl Asking {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            open: VecDeque::new(),
            asked: 0,
            answered: 0,
            last_asked: now,
            owed_since: None,
            written: None,
            confirmed: None,
            bytes: 0,
        }
    }

    /// An order was written.
    pub(super) fn wrote(&mut self, number: u64, bytes: usize) {
        self.written = Some(number);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// When to ask next; `None`: there is nothing to ask about. In a `hurry`, nothing more is written
    /// until all is confirmed.
    pub(super) fn due(&self, hurry: bool) -> Option<Instant> {
        // Two are open at most: one that OpenSSL will never answer, or that is lost in the other's answer,
        // and one that will be answered.
        if self.is_confirmed() || self.is_spent() || self.open.len() > 1 {
            return None;
        }
        let wait = if self.bytes >= BYTES {
            Duration::ZERO
        } else if hurry {
            HURRY
        } else {
            INTERVAL
        };
        Some(self.last_asked.checked_add(wait).unwrap_or(self.last_asked))
    }

    /// A question was put behind all that is written.
    pub(super) fn asked(&mut self, now: Instant) {
        self.open.push_back(self.written);
        self.asked = self.asked.saturating_add(1);
        if self.open.len() > 1 {
            self.owed_since.get_or_insert(now);
        }
        self.bytes = 0;
        self.last_asked = now;
    }

    /// So many answers have come in all: the last order that they cover, when that is news.
    pub(super) fn answered(&mut self, answers: u32) -> Option<u64> {
        let mut read = None;
        while self.answered < answers {
            self.owed_since = None;
            self.answered = self.answered.saturating_add(1);
            match self.open.pop_front() {
                Some(covered) => read = covered,
                // Nobody asked.
                None => break,
            }
        }
        if read.is_some() && read != self.confirmed {
            self.confirmed = read;
            return read;
        }
        None
    }

    /// All that was written is confirmed.
    pub(super) fn is_confirmed(&self) -> bool {
        self.confirmed == self.written
    }

    /// No more can be asked.
    pub(super) fn is_spent(&self) -> bool {
        self.answered >= MOST_ANSWERS || self.asked >= MOST_QUESTIONS
    }

    /// Two questions lie before the peer for so long that it does not answer: never, or not before it is
    /// sent something more, as programs over rustls do.
    pub(super) fn is_mute(&self, now: Instant) -> bool {
        self.owed_since.is_some_and(|since| now.duration_since(since) > MUTE)
    }
}

/// The last of a connection's answers may cover a question before the last.
const MOST_QUESTIONS: u32 = MOST_ANSWERS + 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(now: &mut Instant, asking: &Asking, hurry: bool) -> Duration {
        let due = asking.due(hurry).expect("there is something to ask about");
        let wait = due.saturating_duration_since(*now);
        *now += wait;
        wait
    }

    #[test]
    fn a_peer_that_answers_each_question_confirms_what_lay_before_it() {
        let mut now = Instant::now();
        let mut asking = Asking::new(now);
        assert_eq!(asking.due(false), None);
        asking.wrote(1, 100);
        assert_eq!(wait(&mut now, &asking, false), INTERVAL);
        asking.asked(now);
        asking.wrote(2, 100);
        assert_eq!(asking.answered(1), Some(1));
        wait(&mut now, &asking, false);
        asking.asked(now);
        assert_eq!(asking.answered(2), Some(2));
        assert_eq!(asking.due(false), None, "all is confirmed");
    }

    #[test]
    fn openssl_answers_from_the_second_question_on_and_nothing_is_confirmed_early() {
        let mut now = Instant::now();
        let mut asking = Asking::new(now);
        asking.wrote(1, 100);
        wait(&mut now, &asking, true);
        asking.asked(now);
        asking.wrote(2, 100);
        assert_eq!(asking.answered(0), None);
        assert_eq!(wait(&mut now, &asking, true), HURRY);
        asking.asked(now);
        // The first answer: it is the second question's, and taken for the first's.
        assert_eq!(asking.answered(1), Some(1));
        assert_eq!(wait(&mut now, &asking, true), HURRY);
        asking.asked(now);
        assert_eq!(asking.answered(2), Some(2));
        assert_eq!(asking.due(true), None);
    }

    #[test]
    fn much_is_asked_about_sooner_and_a_lost_answer_does_not_end_it() {
        let now = Instant::now();
        let mut asking = Asking::new(now);
        asking.wrote(1, BYTES);
        assert_eq!(asking.due(false), Some(now));
        asking.asked(now);
        asking.asked(now);
        assert_eq!(asking.due(false), None, "two are open");
        // One answer for both.
        assert_eq!(asking.answered(1), Some(1));
        assert_eq!(asking.due(false), None);
        asking.wrote(2, 1);
        assert_eq!(asking.due(false), now.checked_add(INTERVAL));
    }

    #[test]
    fn an_answer_that_nobody_asked_for_confirms_nothing() {
        let now = Instant::now();
        let mut asking = Asking::new(now);
        asking.wrote(1, 100);
        assert_eq!(asking.answered(1), None);
        asking.asked(now);
        assert_eq!(asking.answered(1), None);
        assert_eq!(asking.answered(2), Some(1));
    }

    #[test]
    fn who_never_answers_is_mute_and_who_answers_often_is_spent() {
        let now = Instant::now();
        let mut mute = Asking::new(now);
        mute.wrote(1, 100);
        mute.asked(now);
        assert!(!mute.is_mute(now + 2 * MUTE), "OpenSSL never answers the first");
        mute.asked(now);
        mute.asked(now + MUTE);
        assert!(!mute.is_mute(now + MUTE));
        assert!(mute.is_mute(now + MUTE + Duration::from_millis(1)));

        let mut often = Asking::new(now);
        for n in 0..MOST_ANSWERS {
            assert!(!often.is_spent());
            often.wrote(u64::from(n), 1);
            often.asked(now);
            often.answered(n + 1);
        }
        assert!(often.is_spent());
        often.wrote(99, 1);
        assert_eq!(often.due(true), None);
    }
}
