//! The token that requests bear: fixed, fetched again where it is kept, or rotated.
//!
//! | kind | comes from | after Slack refused it |
//! | --- | --- | --- |
//! | fixed | whoever made it | it is what it is |
//! | fetched | an environment variable, a file, a command | it is fetched again before the next request |
//! | rotating | a login by OAuth ([`Rotation`]) | what is kept is read again, and refreshed |
//!
//! **Invariant:** it is in no error, no log line and no `Debug` output.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderValue;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

use super::error::SlackError;
use super::oauth::{Rotation, Trouble};
use super::refusal::Refusal;
use super::settings::BadSettings;

/// A handle to the token that is in force now; clones share it.
///
/// Two are equal when they come to the same: the same token, or the same login.
#[derive(Clone)]
pub struct Token(Kind);

#[derive(Clone)]
enum Kind {
    Fixed(HeaderValue),
    Fetched(Arc<Fetched>),
    Rotating(Arc<Rotation>),
}

/// Where a secret is kept, so that it can be fetched again.
#[derive(Clone)]
pub struct Fetch {
    fetch: Arc<dyn Fn() -> Result<SecretString, Unfetched> + Send + Sync>,
    is_cheap: bool,
}

/// Why a secret could not be fetched.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Unfetched {
    /// In words, without the secret.
    pub what: String,
    /// What to do about it.
    pub help: String,
}

/// A token that others may replace where it is kept.
struct Fetched {
    from: Fetch,
    now: Mutex<Now>,
}

struct Now {
    bearer: HeaderValue,
    is_refused: bool,
}

/// How often a token that was refused is looked at where it is kept, if that costs nothing.
const LOOK_EVERY: Duration = Duration::from_secs(2);

impl Fetch {
    /// `fetch` may block. `is_cheap`: it may be asked every few seconds.
    pub fn new(
        is_cheap: bool,
        fetch: impl Fn() -> Result<SecretString, Unfetched> + Send + Sync + 'static,
    ) -> Self {
        Self { fetch: Arc::new(fetch), is_cheap }
    }

    /// Fetches it, off the threads that must not block.
    pub(super) async fn fetch(&self) -> Result<SecretString, SlackError> {
        let fetch = Arc::clone(&self.fetch);
        let fetched = tokio::task::spawn_blocking(move || fetch()).await;
        fetched
            .unwrap_or_else(|broken| Err(Unfetched { what: broken.to_string(), help: String::new() }))
            .map_err(SlackError::Unfetched)
    }
}

impl fmt::Debug for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetch").field("is_cheap", &self.is_cheap).finish_non_exhaustive()
    }
}

impl Token {
    /// A token that stays what it is.
    ///
    /// # Errors
    /// [`BadSettings::Token`] when it holds what no token holds.
    pub fn fixed(token: &SecretString) -> Result<Self, BadSettings> {
        bearer(token).map(|bearer| Self(Kind::Fixed(bearer)))
    }

    /// A token that is fetched again once Slack has refused it; `token` is what it is now.
    ///
    /// # Errors
    /// [`BadSettings::Token`] when it holds what no token holds.
    pub fn fetched(token: &SecretString, from: Fetch) -> Result<Self, BadSettings> {
        let now = Mutex::new(Now { bearer: bearer(token)?, is_refused: false });
        Ok(Self(Kind::Fetched(Arc::new(Fetched { from, now }))))
    }

    /// The token of a login, refreshed in time.
    pub fn rotating(rotation: Rotation) -> Self {
        Self(Kind::Rotating(Arc::new(rotation)))
    }

    /// The name of the login that it is of.
    pub fn login(&self) -> Option<&str> {
        match &self.0 {
            Kind::Rotating(rotation) => Some(rotation.name()),
            Kind::Fixed(_) | Kind::Fetched(_) => None,
        }
    }

    /// What will be the end of it although it works now.
    pub fn trouble(&self) -> Option<Trouble> {
        match &self.0 {
            Kind::Rotating(rotation) => rotation.trouble(),
            Kind::Fixed(_) | Kind::Fetched(_) => None,
        }
    }

    /// The value of the header `Authorization` for one request, marked sensitive.
    ///
    /// It may take a while: a refresh is a request of its own.
    pub(super) async fn bearer(&self) -> Result<HeaderValue, SlackError> {
        match &self.0 {
            Kind::Fixed(bearer) => Ok(bearer.clone()),
            Kind::Fetched(fetched) => fetched.bearer().await,
            Kind::Rotating(rotation) => rotation.bearer().await,
        }
    }

    /// Slack refused it as it was shown: it is not used again before it was fetched, or refreshed. One
    /// that is in force by now was not refused with it: answers may come late.
    pub(super) fn refused(&self, shown: &HeaderValue, refusal: Refusal) {
        match &self.0 {
            Kind::Fixed(_) => {}
            Kind::Fetched(fetched) => fetched.refused(shown),
            Kind::Rotating(rotation) => rotation.refused(shown, refusal.is_of_a_dead_token()),
        }
    }

    /// After a refusal: gets it anew, and says whether it is another one.
    ///
    /// # Errors
    /// There is none to be had.
    pub async fn renew(&self) -> Result<bool, SlackError> {
        let (before, now) = match &self.0 {
            Kind::Fixed(_) => return Ok(false),
            Kind::Fetched(fetched) => {
                let before = fetched.now().bearer.clone();
                (Some(before), fetched.bearer().await?)
            }
            Kind::Rotating(rotation) => (rotation.in_memory(), rotation.bearer().await?),
        };
        Ok(before.as_ref() != Some(&now))
    }

    /// After a refusal: waits until another one lies where it is kept, as far as looking there costs
    /// nothing; for ever where it does.
    pub async fn replaced(&self) {
        let is_cheap = match &self.0 {
            Kind::Fixed(_) => false,
            Kind::Fetched(fetched) => fetched.from.is_cheap,
            Kind::Rotating(_) => true,
        };
        if !is_cheap {
            std::future::pending::<()>().await;
        }
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let is_another = match &self.0 {
                Kind::Fixed(_) => false,
                Kind::Fetched(fetched) => fetched.is_another_there().await,
                Kind::Rotating(rotation) => rotation.is_another_kept(),
            };
            if is_another {
                return;
            }
        }
    }
}

impl Fetched {
    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refused(&self, shown: &HeaderValue) {
        let mut now = self.now();
        now.is_refused |= now.bearer == *shown;
    }

    async fn bearer(&self) -> Result<HeaderValue, SlackError> {
        {
            let now = self.now();
            if !now.is_refused {
                return Ok(now.bearer.clone());
            }
        }
        let bearer = self.look().await?;
        let mut now = self.now();
        // Refused or not: it is asked again, slowly, for only Slack knows.
        *now = Now { bearer: bearer.clone(), is_refused: false };
        Ok(bearer)
    }

    async fn is_another_there(&self) -> bool {
        let there = self.look().await;
        there.is_ok_and(|there| self.now().bearer != there)
    }

    async fn look(&self) -> Result<HeaderValue, SlackError> {
        let token = self.from.fetch().await?;
        bearer(&token).map_err(|error| {
            let help = "put the whole token there, alone on one line".to_owned();
            SlackError::Unfetched(Unfetched { what: error.to_string(), help })
        })
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        let fixed = |kind: &Kind| match kind {
            Kind::Fixed(bearer) => Some(bearer.clone()),
            Kind::Fetched(fetched) => Some(fetched.now().bearer.clone()),
            Kind::Rotating(_) => None,
        };
        match (&self.0, &other.0) {
            (Kind::Rotating(one), Kind::Rotating(two)) => one.is_of_the_login(two),
            (one, two) => fixed(one).is_some_and(|one| fixed(two).is_some_and(|two| one == two)),
        }
    }
}

impl Eq for Token {}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Rotating(rotation) => write!(f, "Token of the login {}", rotation.name()),
            Kind::Fixed(_) | Kind::Fetched(_) => f.write_str("Token"),
        }
    }
}

pub(super) fn bearer(token: &SecretString) -> Result<HeaderValue, BadSettings> {
    let token = token.expose_secret();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(BadSettings::Token);
    }
    let line = Zeroizing::new(format!("Bearer {token}"));
    let mut value = HeaderValue::from_str(&line).map_err(|_| BadSettings::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_token_is_one_word_and_never_shown() {
        for bad in ["", "xoxp-1 ", "xoxp-1\n", "xoxp\u{e9}", "\u{0}"] {
            assert!(matches!(bearer(&SecretString::from(bad)), Err(BadSettings::Token)), "{bad:?}");
        }
        let value = bearer(&SecretString::from("xoxp-secret")).unwrap();
        assert!(!format!("{value:?}").contains("secret"));
    }

    /// A place whose secret changes, and how often it was asked.
    fn place(secret: &Arc<Mutex<&'static str>>, asked: &Arc<AtomicUsize>) -> Fetch {
        let (secret, asked) = (Arc::clone(secret), Arc::clone(asked));
        Fetch::new(true, move || {
            asked.fetch_add(1, Ordering::SeqCst);
            match *secret.lock().unwrap() {
                "" => Err(Unfetched { what: "nothing there".to_owned(), help: String::new() }),
                secret => Ok(secret.into()),
            }
        })
    }

    #[tokio::test]
    async fn it_is_fetched_again_once_for_each_refusal() {
        let (secret, asked) = (Arc::new(Mutex::new("xoxp-1")), Arc::default());
        let token = Token::fetched(&"xoxp-1".into(), place(&secret, &asked)).unwrap();
        let twin = token.clone();
        for _ in 0..3 {
            assert_eq!(token.bearer().await.unwrap(), "Bearer xoxp-1");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 0);

        let refuse =
            |shown: &'static str| token.refused(&HeaderValue::from_static(shown), Refusal::TokenRevoked);
        refuse("Bearer xoxp-1");
        assert!(!token.renew().await.unwrap(), "it is still the same");
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        *secret.lock().unwrap() = "xoxp-2";
        token.replaced().await;
        refuse("Bearer xoxp-1");
        assert!(token.renew().await.unwrap());
        let before = asked.load(Ordering::SeqCst);
        refuse("Bearer xoxp-1");
        assert!(!token.renew().await.unwrap() && asked.load(Ordering::SeqCst) == before, "a late answer");
        assert_eq!(twin.bearer().await.unwrap(), "Bearer xoxp-2");
        assert!(token == Token::fixed(&"xoxp-2".into()).unwrap() && token == twin);

        refuse("Bearer xoxp-2");
        *secret.lock().unwrap() = "";
        let error = token.bearer().await.unwrap_err();
        assert!(matches!(&error, SlackError::Unfetched(why) if why.what == "nothing there"), "{error}");
        *secret.lock().unwrap() = "xoxp-3";
        assert_eq!(token.bearer().await.unwrap(), "Bearer xoxp-3");
    }
}
