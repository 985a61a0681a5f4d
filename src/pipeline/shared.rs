//! What sources and notices share: each organization's budgets of requests, the HTTP clients, and the trace;
//! and, by these, `accounts` makes what asks Slack.
//!
//! They outlive a reload: Slack goes on counting where it was, and connections stay.

mod accounts;

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use super::setup::SetupError;
use crate::config::{Login, Organization, Reach, Source};
use crate::event::Log;
use crate::net::{Roots, http_tls};
use crate::slack::{Budget, HttpClient, Proxy, Trace, TraceFiles, TraceSettings};

/// What the sources of one configuration share.
#[derive(Debug, Clone, Default)]
pub(super) struct Shared {
    /// By what Slack counts together, each with what is granted once this is in force.
    budgets: BTreeMap<(Organization, Log), (NonZeroU32, Arc<Budget>)>,
    clients: Vec<(Way, HttpClient)>,
    /// One for all configurations.
    trace: Trace,
    /// Where it goes once this is in force.
    files: Option<TraceFiles>,
}

/// All that tells one client from another.
#[derive(Debug, Clone)]
struct Way {
    reach: Reach,
    to_this_machine: bool,
    password: Option<SecretString>,
}

impl Shared {
    /// Has those who share a budget make as many requests from now on as this configuration says, and
    /// the trace go where it says.
    pub(super) fn take_effect(&self) {
        for (requests, budget) in self.budgets.values() {
            budget.grant(*requests);
        }
        self.trace.switch(self.files.clone());
    }

    /// Why the trace has ended by itself, and where it was; told once.
    pub(super) fn trace_fault(&self) -> Option<(&Path, io::Error)> {
        Some((&self.files.as_ref()?.settings().dir, self.trace.fault()?))
    }
}

/// What a configuration's sources share, being made; what the one before has made is used again.
#[derive(Debug, Default)]
pub struct Sharing {
    before: Shared,
    now: Shared,
}

impl Sharing {
    pub(super) fn after(before: &Shared) -> Self {
        Self { before: before.clone(), now: Shared { trace: before.trace.clone(), ..Shared::default() } }
    }

    /// Opens the files of the trace, where they are not open already.
    ///
    /// # Errors
    /// They cannot be written.
    pub(super) fn trace(&mut self, settings: Option<&TraceSettings>) -> Result<(), SetupError> {
        let Some(settings) = settings else { return Ok(()) };
        let open = self.before.files.clone().filter(|files| files.settings() == settings);
        let open = open.map_or_else(|| TraceFiles::open(settings), Ok);
        let told = |source| SetupError::Trace { dir: settings.dir.clone(), source };
        self.now.files = Some(open.map_err(told)?);
        Ok(())
    }

    pub(super) fn done(self) -> Shared {
        self.now
    }

    /// The budget of the source's organization for its log.
    fn budget(&mut self, source: &Source) -> Arc<Budget> {
        let key = (source.organization.clone(), source.log());
        let requests = source.requests_per_minute;
        let before = self.before.budgets.get(&key);
        let (_, budget) = self.now.budgets.entry(key).or_insert_with(|| {
            let budget = before.map(|(_, budget)| Arc::clone(budget));
            (requests, budget.unwrap_or_else(|| Arc::new(Budget::per_minute(requests))))
        });
        Arc::clone(budget)
    }

    /// The client of a source, whose requests are traced under its name.
    ///
    /// # Errors
    /// See [`Self::client`].
    fn source_client(&mut self, name: &str, source: &Source) -> Result<HttpClient, SetupError> {
        let to_this_machine = source.base_url.is_loopback();
        let client = self.client(&format!("source {name}"), &source.reach, to_this_machine)?;
        Ok(client.traced(&self.now.trace, name))
    }

    /// The client that the app of a login goes by.
    ///
    /// # Errors
    /// See [`Self::client`].
    fn login_client(&mut self, login: &Login) -> Result<HttpClient, SetupError> {
        self.client(&format!("login {}", login.name), &login.reach, login.base_url.is_loopback())
    }

    /// The client that goes that way for `source acme`, say, a login or a notice.
    ///
    /// # Errors
    /// The proxy's password cannot be had, or an authority's file cannot be used.
    fn client(
        &mut self,
        whose: &str,
        reach: &Reach,
        to_this_machine: bool,
    ) -> Result<HttpClient, SetupError> {
        let goes = |way: &Way| way.reach == *reach && way.to_this_machine == to_this_machine;
        if let Some((_, client)) = self.now.clients.iter().find(|(way, _)| goes(way)) {
            return Ok(client.clone());
        }
        let password = reach.proxy_password.as_ref().map(|from| {
            from.fetch().map_err(|source| SetupError::ProxyPassword { whose: whose.to_owned(), source })
        });
        let way = Way { reach: reach.clone(), to_this_machine, password: password.transpose()? };
        let known =
            self.before.clients.iter().find(|(before, _)| goes(before) && way.has_password_of(before));
        let client = match known {
            Some((_, client)) => client.clone(),
            None => way.client(whose)?,
        };
        self.now.clients.push((way, client.clone()));
        Ok(client)
    }
}

impl Way {
    fn has_password_of(&self, other: &Self) -> bool {
        match (&self.password, &other.password) {
            (None, None) => true,
            (Some(one), Some(other)) => one.expose_secret() == other.expose_secret(),
            _ => false,
        }
    }

    fn client(&self, whose: &str) -> Result<HttpClient, SetupError> {
        let roots = self.reach.ca.clone().map_or(Roots::System, Roots::SystemAnd);
        // Without any root only a Slack on this very machine can be asked.
        let tls = if self.to_this_machine && roots == Roots::System {
            None
        } else {
            let told = |source| SetupError::Tls { whose: "Slack".to_owned(), source };
            Some(http_tls(&roots).map_err(told)?)
        };
        let proxy = if self.to_this_machine { &Proxy::Off } else { &self.reach.proxy };
        HttpClient::new(proxy, self.password.as_ref(), tls)
            .map_err(|source| SetupError::Client { whose: whose.to_owned(), source })
    }
}
