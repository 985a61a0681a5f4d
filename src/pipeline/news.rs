//! What has been said already: a thing that goes on is said once a day.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The things said, with when. It is remembered within the process only.
#[derive(Debug, Default)]
pub(super) struct News(HashMap<String, Instant>);

/// A thing is said once a day.
const SAY_AGAIN: Duration = Duration::from_secs(86_400);
/// What is remembered as said: hostile names must not fill the memory.
const REMEMBERED: usize = 4096;

impl News {
    /// Whether it was not said within the last day; from now on it was.
    pub(super) fn is_news(&mut self, kind: &str, what: &str) -> bool {
        let now = Instant::now();
        if self.0.len() >= REMEMBERED {
            self.0.retain(|_, at| now.duration_since(*at) < SAY_AGAIN);
            if self.0.len() >= REMEMBERED {
                return false;
            }
        }
        let key = format!("{kind} {what}");
        match self.0.get(&key) {
            Some(at) if now.duration_since(*at) < SAY_AGAIN => false,
            _ => {
                self.0.insert(key, now);
                true
            }
        }
    }
}
