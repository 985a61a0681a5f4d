//! The token of a login as requests have it: read from where it is kept, refreshed in time.
//!
//! What can go wrong between asking Slack and having the pair on the disk, and what follows:
//!
//! | the process dies, or the answer is lost | what is kept | at the next start |
//! | --- | --- | --- |
//! | before Slack was asked | the old pair and an intent | the old refresh token is tried at once, and works |
//! | after Slack has answered | the same | it is tried at once: Slack takes it for a short time more |
//! | while the new pair is written | the same, and a torn `.new` | the same |
//! | after it is written | the new pair, maybe as `.new` | the new pair is used |
//!
//! Where Slack's short time was over in the second and third case, the access token works on until
//! its end, hours later: until then there is time to log in again, and [`Rotation::trouble`] says so.
//!
//! **Invariant:** while the present token works nobody waits for a refresh but the request that makes it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderValue;
use tokio::time::Instant;

use super::app::App;
use super::error::LoginError;
use super::keep::{Keep, Kept, Locked};
use crate::event::UnixTime;
use crate::net::Backoff;
use crate::slack::error::SlackError;
use crate::slack::refusal::{Code, Refusal, Refused};
use crate::slack::token::bearer;

/// A login whose token is refreshed in time; what is shared is on the disk, so any number may be of
/// one login, in one process or several.
#[derive(Clone)]
pub struct Rotation(Arc<Inner>);

struct Inner {
    app: App,
    keep: Keep,
    now: Mutex<Now>,
    /// Held by whoever looks at what is kept, so that others in this process need not.
    turn: tokio::sync::Mutex<()>,
}

/// What this process knows.
struct Now {
    kept: Option<(Kept, HeaderValue)>,
    refused: Option<WhyRefused>,
    /// After a failure to refresh.
    not_before: Option<Instant>,
    backoff: Backoff,
    trouble: Option<Trouble>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WhyRefused {
    /// The token is dead: the next one of the same login may live.
    Dead,
    /// It is not enough for what was asked: only another login helps.
    NotEnough,
}

/// What will be the end of a token that works now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Why it is not refreshed.
    pub what: String,
    /// What to do about it.
    pub help: String,
    /// The cause in a word.
    pub reason: &'static str,
    /// When the token dies.
    pub ends_at: UnixTime,
    /// It does not mend by waiting, or has not for a long time.
    pub is_grave: bool,
}

/// With what is asked for in place of a token that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// One that lives.
    Living,
    /// Another one than this process has, by a refresh if need be.
    Another,
    /// The next one, by a refresh in any case.
    Next,
}

impl Rotation {
    /// The login of that app, kept there.
    pub fn new(app: App, keep: Keep) -> Self {
        let now = Now {
            kept: None,
            refused: None,
            not_before: None,
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(300)),
            trouble: None,
        };
        Self(Arc::new(Inner { app, keep, now: Mutex::new(now), turn: tokio::sync::Mutex::default() }))
    }

    /// The login's name.
    pub fn name(&self) -> &str {
        self.0.keep.name()
    }

    /// Refreshes it now, whether it is time or not, and gives what is kept from now on.
    ///
    /// # Errors
    /// Slack cannot be asked or refuses, there is no login, or it cannot be written down.
    pub async fn refresh(&self) -> Result<Kept, SlackError> {
        let _turn = self.0.turn.lock().await;
        self.0.obtain(Wish::Next).await.map(|(kept, _)| kept)
    }

    pub(in crate::slack) fn is_of_the_login(&self, other: &Self) -> bool {
        let of = |rotation: &Self| {
            let Inner { app, keep, .. } = &*rotation.0;
            (keep.clone(), app.client_id.clone(), app.base_url.clone())
        };
        Arc::ptr_eq(&self.0, &other.0) || of(self) == of(other)
    }

    pub(in crate::slack) fn trouble(&self) -> Option<Trouble> {
        self.0.now().trouble.clone()
    }

    pub(in crate::slack) fn in_memory(&self) -> Option<HeaderValue> {
        self.0.now().kept.as_ref().map(|(_, bearer)| bearer.clone())
    }

    /// Slack refused that one; if another is in force by now, it was not meant.
    pub(in crate::slack) fn refused(&self, shown: &HeaderValue, is_dead: bool) {
        let mut now = self.0.now();
        if now.kept.as_ref().is_some_and(|(_, bearer)| bearer == shown) {
            now.refused = Some(if is_dead { WhyRefused::Dead } else { WhyRefused::NotEnough });
        }
    }

    /// Whether another one is kept than this process has.
    pub(in crate::slack) fn is_another_kept(&self) -> bool {
        let Ok(Some(there)) = self.0.keep.load() else { return false };
        let is_another = |(kept, _): &(Kept, HeaderValue)| !kept.is_same_token(&there);
        there.client_id == self.0.app.client_id && self.0.now().kept.as_ref().is_none_or(is_another)
    }

    pub(in crate::slack) async fn bearer(&self) -> Result<HeaderValue, SlackError> {
        self.0.begin()?;
        let working = match self.0.look() {
            Look::Good(bearer) => return Ok(bearer),
            Look::Due(bearer) => Some(bearer),
            Look::Wanting => None,
        };
        let turn = match self.0.turn.try_lock() {
            Ok(turn) => turn,
            Err(_) => match working {
                // Somebody refreshes it; meanwhile it works.
                Some(bearer) => return Ok(bearer),
                None => self.0.turn.lock().await,
            },
        };
        // Somebody may have done it while we waited.
        if let Look::Good(bearer) = self.0.look() {
            return Ok(bearer);
        }
        let wish = match self.0.now().refused {
            Some(WhyRefused::Dead) => Wish::Another,
            Some(WhyRefused::NotEnough) | None => Wish::Living,
        };
        // A task of its own: a source that is stopped must not take a half-done refresh with it.
        let inner = Arc::clone(&self.0);
        let obtaining = tokio::spawn(async move { inner.obtain(wish).await });
        let obtained = obtaining.await.unwrap_or_else(|broken| {
            let source = std::io::Error::other(broken.to_string());
            Err(LoginError::Keep { doing: "refresh", path: self.0.keep.path(), source }.into())
        });
        drop(turn);
        match (obtained, working) {
            (Ok((_, bearer)), _) => Ok(bearer),
            (Err(error), Some(bearer)) => {
                self.0.in_trouble(&error);
                Ok(bearer)
            }
            (Err(error), None) => Err(error),
        }
    }
}

/// How the token that this process has looks.
enum Look {
    /// It can be used.
    Good(HeaderValue),
    /// It can be used, and it is time for the next.
    Due(HeaderValue),
    /// There is none that can be used.
    Wanting,
}

impl Inner {
    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins with what is kept: it may work although it cannot be refreshed.
    fn begin(&self) -> Result<(), LoginError> {
        if self.now().kept.is_some() {
            return Ok(());
        }
        let kept = self.keep.load()?.ok_or_else(|| LoginError::None { name: self.keep.name().to_owned() })?;
        let kept = self.with_bearer(self.of_this_app(kept)?)?;
        self.now().kept.get_or_insert(kept);
        Ok(())
    }

    fn with_bearer(&self, kept: Kept) -> Result<(Kept, HeaderValue), LoginError> {
        match bearer(&kept.access_token) {
            Ok(bearer) => Ok((kept, bearer)),
            Err(_) => Err(LoginError::Unreadable { path: self.keep.path() }),
        }
    }

    fn look(&self) -> Look {
        let time = self.app.clock.now();
        let now = self.now();
        match &now.kept {
            Some((kept, bearer)) if now.refused.is_none() && !kept.has_expired(time) => {
                let waits = now.not_before.is_some_and(|until| until > Instant::now());
                if kept.is_due(time) && !waits {
                    Look::Due(bearer.clone())
                } else {
                    Look::Good(bearer.clone())
                }
            }
            _ => Look::Wanting,
        }
    }

    /// Gets what was wished for from where it is kept, or from Slack, and takes it over.
    async fn obtain(&self, wish: Wish) -> Result<(Kept, HeaderValue), SlackError> {
        let kept = self.kept_or_refreshed(wish).await;
        let obtained = kept.and_then(|kept| self.with_bearer(kept).map_err(SlackError::from));
        let mut now = self.now();
        match &obtained {
            Ok(found) => {
                now.kept = Some(found.clone());
                (now.refused, now.not_before, now.trouble) = (None, None, None);
                now.backoff.reset();
            }
            Err(_) => now.not_before = Some(Instant::now() + now.backoff.after_failure()),
        }
        obtained
    }

    async fn kept_or_refreshed(&self, wish: Wish) -> Result<Kept, SlackError> {
        let time = self.app.clock.now();
        // Most often somebody has written what is wanted, and no lock is needed to see it.
        if wish != Wish::Next
            && let Some(kept) = self.keep.load()?
            && self.will_do(&kept, wish, time)
        {
            return self.of_this_app(kept).map_err(SlackError::from);
        }
        let locked = self.keep.lock().await?;
        let kept = locked.load()?.ok_or_else(|| LoginError::None { name: self.keep.name().to_owned() })?;
        let kept = self.of_this_app(kept)?;
        if wish != Wish::Next && self.will_do(&kept, wish, time) {
            return Ok(kept);
        }
        self.refresh(&locked, kept, time).await
    }

    fn will_do(&self, kept: &Kept, wish: Wish, time: UnixTime) -> bool {
        let is_another = || {
            let now = self.now();
            now.kept.as_ref().is_none_or(|(before, _)| !before.is_same_token(kept))
        };
        // One that does not rotate is all that there is.
        let is_all = kept.refresh_token.is_none();
        is_all || (!kept.is_due(time) && (wish == Wish::Living || is_another()))
    }

    fn of_this_app(&self, kept: Kept) -> Result<Kept, LoginError> {
        if kept.client_id == self.app.client_id {
            Ok(kept)
        } else {
            Err(LoginError::OtherApp { name: self.keep.name().to_owned() })
        }
    }

    /// Asks Slack for the next pair, with an intent on the disk before and the pair on it after.
    async fn refresh(&self, locked: &Locked<'_>, mut kept: Kept, time: UnixTime) -> Result<Kept, SlackError> {
        let name = || self.keep.name().to_owned();
        let cut_off = kept.refreshing_since;
        if let Some(code) = kept.over {
            return Err(LoginError::Over { name: name(), code, cut_off }.into());
        }
        let Some(refresh_token) = kept.refresh_token.clone() else { return Ok(kept) };
        kept.refreshing_since = cut_off.or(Some(time));
        locked.store(&kept)?;
        let error = match self.app.refresh(&refresh_token).await {
            Ok(grant) => {
                // No waiting between the answer and the disk: nothing can come between them but a crash.
                let before = kept.holder.clone();
                let mut next = Kept::new(&self.app.client_id, grant, self.app.clock.now());
                next.holder = next.holder.or(before);
                locked.store(&next)?;
                return Ok(next);
            }
            Err(error) => error,
        };
        let refused = match error {
            SlackError::Refused(refused) => refused,
            // The request did not get there: nothing is spent.
            SlackError::Connect(_) | SlackError::Unfetched(_) => {
                kept.refreshing_since = cut_off;
                locked.store(&kept)?;
                return Err(error);
            }
            // It may have: Slack takes the same refresh token for a short time more.
            other => return Err(other),
        };
        match refused {
            Refused { refusal: Refusal::LoginOver, said, .. } => {
                let code = said.code.as_ref().map_or("", Code::as_str).to_owned();
                kept.refreshing_since = cut_off;
                kept.over = Some(code.clone());
                locked.store(&kept)?;
                Err(LoginError::Over { name: name(), code, cut_off }.into())
            }
            refused => {
                kept.refreshing_since = cut_off;
                locked.store(&kept)?;
                Err(LoginError::Refused { name: name(), refused }.into())
            }
        }
    }

    /// Notes why the token that works is not followed by another.
    fn in_trouble(&self, error: &SlackError) {
        let time = self.app.clock.now();
        let mut now = self.now();
        let Some((kept, _)) = &now.kept else { return };
        let Some(ends_at) = kept.expires_at else { return };
        let life = ends_at.seconds().saturating_sub(kept.issued_at.seconds());
        let left = ends_at.seconds().saturating_sub(time.seconds());
        let what = match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        let trouble = Trouble {
            what,
            help: error.help().to_owned(),
            reason: error.reason(),
            ends_at,
            // Half of the time that there was for refreshing it is gone.
            is_grave: matches!(error, SlackError::Login(_)) || left < life / 12,
        };
        now.trouble = Some(trouble);
    }
}

impl fmt::Debug for Rotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rotation")
            .field("app", &self.0.app)
            .field("keep", &self.0.keep)
            .finish_non_exhaustive()
    }
}
