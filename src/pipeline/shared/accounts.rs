//! What a configuration says of Slack into what asks it: tokens fetched, budgets and clients shared.
//!
//! **Invariant:** nothing is asked of Slack here; a secret that cannot be had is found here.

use super::Sharing;
use crate::config::{
    AccessReading, AuditReading, IntegrationReading, Login, Notify, Reading, SecretFrom, Source, TokenFrom,
};
use crate::pipeline::setup::SetupError;
use crate::slack::oauth::{App, Rotation};
use crate::slack::{self, Account, Clock, Fetch, Token, Unfetched, Webhook, WebhookAddress, allowlist};
use crate::telemetry::chain;

impl Sharing {
    /// What the poller of a source is told.
    ///
    /// # Errors
    /// Its token cannot be had, or how Slack is reached.
    pub fn polling(&mut self, name: &str, source: &Source) -> Result<slack::Settings, SetupError> {
        let account = self.account(name, source)?;
        let (start, poll_every) = (source.start, source.poll_every);
        Ok(match &source.reading {
            Reading::Audit(AuditReading { settle, verify_after, only }) => {
                slack::Settings::Audit(slack::audit::Settings {
                    account,
                    start,
                    settle: *settle,
                    verify_after: *verify_after,
                    poll_every,
                    only: only.clone(),
                })
            }
            Reading::Access(AccessReading { full_walk_every, forget_after, team_id }) => {
                slack::Settings::Access(slack::access::Settings {
                    account,
                    start,
                    poll_every,
                    full_walk_every: *full_walk_every,
                    forget_after: *forget_after,
                    team_id: team_id.clone(),
                })
            }
            Reading::Integration(IntegrationReading { full_walk_every, forget_after, only, team_id }) => {
                slack::Settings::Integration(slack::integration::Settings {
                    account,
                    start,
                    poll_every,
                    full_walk_every: *full_walk_every,
                    forget_after: *forget_after,
                    only: only.clone(),
                    team_id: team_id.clone(),
                })
            }
        })
    }

    /// Whose log a source is.
    ///
    /// # Errors
    /// The token cannot be had, or is none; or its settings do not go together.
    pub fn account(&mut self, name: &str, source: &Source) -> Result<Account, SetupError> {
        Ok(Account {
            base_url: source.base_url.clone(),
            token: self.token(name, &source.token)?,
            client: self.source_client(name, source)?,
            budget: self.budget(source),
            clock: Clock::system(),
        })
    }

    /// The way to the allow list of a source's organization: by its `admin_token`, or else as `account`,
    /// the source's own.
    ///
    /// # Errors
    /// The token cannot be had, or is none.
    pub fn allowlist(
        &mut self,
        name: &str,
        source: &Source,
        account: &Account,
    ) -> Result<allowlist::Api, SetupError> {
        let mut account = account.clone();
        if let Some(admin_token) = &source.admin_token {
            account.token = self.token(name, admin_token)?;
        }
        Ok(allowlist::Api::new(&account))
    }

    fn token(&mut self, source_name: &str, from: &TokenFrom) -> Result<Token, SetupError> {
        let name = || source_name.to_owned();
        match from {
            TokenFrom::Secret(from) => {
                let token =
                    from.fetch().map_err(|source| SetupError::Token { source_name: name(), source })?;
                Token::fetched(&token, fetch(from))
                    .map_err(|error| SetupError::Source { source_name: name(), source: error.into() })
            }
            TokenFrom::Login(login) => self.rotation(login).map(Token::rotating),
        }
    }

    /// The rotation of a login. Whether anybody has logged in shows with the first request.
    ///
    /// # Errors
    /// See [`Self::app`].
    pub fn rotation(&mut self, login: &Login) -> Result<Rotation, SetupError> {
        Ok(Rotation::new(self.app(login)?, login.keep()))
    }

    /// The app of a login.
    ///
    /// # Errors
    /// The app's secret cannot be had, or its settings do not go together.
    pub fn app(&mut self, login: &Login) -> Result<App, SetupError> {
        let client = self.login_client(login)?;
        // It is wanted in hours: better now than then.
        login
            .client_secret
            .fetch()
            .map_err(|source| SetupError::ClientSecret { login: login.name.clone(), source })?;
        Ok(App {
            name: login.name.clone(),
            client_id: login.client_id.clone(),
            client_secret: fetch(&login.client_secret),
            base_url: login.base_url.clone(),
            client,
            clock: Clock::system(),
        })
    }

    /// The way to the webhook of a notice.
    ///
    /// # Errors
    /// Its address cannot be had, or cannot be used.
    pub fn webhook(&mut self, name: &str, notify: &Notify) -> Result<Webhook, SetupError> {
        let secret = notify
            .webhook
            .fetch()
            .map_err(|source| SetupError::Webhook { notice: name.to_owned(), source })?;
        let address = WebhookAddress::new(&secret)
            .map_err(|source| SetupError::WebhookAddress { notice: name.to_owned(), source })?;
        let client = self.client(&format!("notice {name}"), &notify.reach, address.is_loopback())?;
        Ok(Webhook::new(address, client))
    }
}

fn fetch(from: &SecretFrom) -> Fetch {
    let is_cheap = from.is_cheap();
    let from = from.clone();
    Fetch::new(is_cheap, move || {
        from.fetch().map_err(|error| Unfetched { what: chain(&error), help: error.help() })
    })
}
