//! Who may come in: the app, its logins, the tokens that live, and what becomes of them.
//!
//! As Slack has it: a code works once and for ten minutes; a refresh token works once, and for a short
//! grace after that; of the access tokens that rotate the two newest live.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// The app that can be installed, and how its tokens live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth {
    /// The app's id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// The user scopes that an install is granted of those it asks for; the plan's own token has all.
    pub scopes: Vec<String>,
    /// How long an access token lives; for ever, and without a refresh token, where it does not say.
    pub token_life: Option<Duration>,
    /// How long a refresh token works on after it was used.
    pub grace: Duration,
    /// The app is installed on the organization, not on a workspace.
    pub org_install: bool,
    /// Whoever installs it is an owner of the organization.
    pub owner: bool,
    /// What goes wrong with refreshes, which are counted from 1.
    pub faults: Vec<(u64, RefreshFault)>,
}

/// What goes wrong with one refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshFault {
    /// It comes, nothing is done, and no answer ever goes out.
    Ignored,
    /// The refresh token is spent, and no answer ever goes out.
    Unanswered,
    /// The refresh token is spent, and the answer breaks off.
    CutOff,
    /// Status 503.
    Unavailable,
}

impl Default for OAuth {
    fn default() -> Self {
        Self {
            client_id: "1000000000.2000000000".to_owned(),
            client_secret: "simulated-client-secret".to_owned(),
            scopes: vec!["auditlogs:read".to_owned(), "admin".to_owned()],
            token_life: None,
            grace: Duration::from_secs(60),
            org_install: true,
            owner: true,
            faults: Vec::new(),
        }
    }
}

impl OAuth {
    fn at_first(&self) -> BTreeSet<Happening> {
        if self.owner { BTreeSet::new() } else { BTreeSet::from([Happening::Demoted]) }
    }
}

/// Something that happens to the app or to its tokens while the simulator runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// After so many requests for the audit log …
    pub after_requests: Option<u64>,
    /// … or so long after the start; at once where neither is said.
    pub after: Option<Duration>,
    /// What happens.
    pub happening: Happening,
}

/// What can happen to an app and its tokens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Happening {
    /// Every access token that there is is revoked, the plan's own, too.
    Revoked,
    /// And every refresh token.
    LoginRevoked,
    /// The scope is taken away.
    ScopeRemoved(String),
    /// The organization goes to a plan without audit logs.
    Downgraded,
    /// The app is deleted.
    AppDeleted,
    /// Whoever installed the app is no owner any more.
    Demoted,
    /// The machine's address is not among the allowed ones any more.
    AddressRefused,
    /// All is as it was at the start, revoked tokens too.
    Restored,
}

/// What was counted of logins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OAuthTally {
    /// Codes given out.
    pub codes: u64,
    /// Codes taken for a token.
    pub installs: u64,
    /// Requests to refresh.
    pub refreshes: u64,
    /// Refresh tokens that were taken.
    pub refreshed: u64,
    /// Codes and refresh tokens that were refused.
    pub refused: u64,
    /// Requests for `auth.test`.
    pub tests: u64,
}

/// A code or a refresh token that is taken for a token.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) access_token: String,
    pub(super) refresh_token: Option<String>,
    pub(super) expires_in: Option<u64>,
    pub(super) scopes: String,
}

/// The living state of all that.
#[derive(Debug)]
pub(super) struct Grants {
    rules: OAuth,
    own_token: String,
    /// What has happened and is not restored.
    present: BTreeSet<Happening>,
    codes: BTreeMap<String, Code>,
    tokens: BTreeMap<String, Access>,
    refresh_tokens: BTreeMap<String, Refresh>,
    /// Those that rotate, oldest first.
    alive: VecDeque<String>,
    minted: u64,
    changes: VecDeque<Change>,
}

#[derive(Debug)]
struct Code {
    given_at: i64,
    redirect: String,
    scopes: String,
}

#[derive(Debug)]
struct Access {
    expires_at: Option<i64>,
    revoked: bool,
    scopes: String,
}

#[derive(Debug)]
struct Refresh {
    spent_at: Option<i64>,
    revoked: bool,
    scopes: String,
}

/// Why a token is not let in, in the Web API's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    Token(&'static str),
    Scope { needed: String, provided: String },
    Plan,
    Workspace,
    NotOwner,
}

impl Refused {
    pub(super) fn scope(needed: &str, provided: &str) -> Self {
        Self::Scope { needed: needed.to_owned(), provided: provided.to_owned() }
    }
}

const CODE_LIVES: i64 = 600;
impl Grants {
    pub(super) fn new(rules: OAuth, own_token: &str, changes: Vec<Change>) -> Self {
        let own = Access { expires_at: None, revoked: false, scopes: rules.scopes.join(",") };
        Self {
            own_token: own_token.to_owned(),
            present: rules.at_first(),
            codes: BTreeMap::new(),
            tokens: BTreeMap::from([(own_token.to_owned(), own)]),
            refresh_tokens: BTreeMap::new(),
            alive: VecDeque::new(),
            minted: 0,
            changes: changes.into(),
            rules,
        }
    }

    /// Has happen what is due by now.
    pub(super) fn pass(&mut self, requests: u64, since_start: Duration) {
        let is_due = |change: &Change| {
            change.after_requests.is_none_or(|after| requests > after)
                && change.after.is_none_or(|after| since_start >= after)
        };
        while let Some(change) = self.changes.front().filter(|change| is_due(change)).cloned() {
            self.changes.pop_front();
            self.happen(&change.happening);
        }
    }

    pub(super) fn happen(&mut self, happening: &Happening) {
        match happening {
            Happening::Revoked | Happening::LoginRevoked => {
                self.tokens.values_mut().for_each(|token| token.revoked = true);
                if *happening == Happening::LoginRevoked {
                    self.refresh_tokens.values_mut().for_each(|token| token.revoked = true);
                }
            }
            Happening::ScopeRemoved(_)
            | Happening::Downgraded
            | Happening::AppDeleted
            | Happening::Demoted
            | Happening::AddressRefused => drop(self.present.insert(happening.clone())),
            Happening::Restored => {
                self.present = self.rules.at_first();
                self.tokens.values_mut().for_each(|token| token.revoked = false);
                self.refresh_tokens.values_mut().for_each(|token| token.revoked = false);
            }
        }
    }

    fn is(&self, happening: &Happening) -> bool {
        self.present.contains(happening)
    }

    /// A code for whoever allows the app in the browser, if that is the app.
    pub(super) fn allow(&mut self, client_id: &str, redirect: &str, asked: &str, now: i64) -> Option<String> {
        if client_id != self.rules.client_id || self.is(&Happening::AppDeleted) {
            return None;
        }
        let asked: Vec<_> =
            asked.split(',').filter(|scope| self.rules.scopes.iter().any(|has| has == scope)).collect();
        let code = self.mint("code");
        let scopes = asked.join(",");
        self.codes.insert(code.clone(), Code { given_at: now, redirect: redirect.to_owned(), scopes });
        Some(code)
    }

    /// Whether that is the app, or Slack's word for what is wrong.
    pub(super) fn know(&self, client_id: &str, secret: &str) -> Result<(), &'static str> {
        match () {
            () if client_id != self.rules.client_id || self.is(&Happening::AppDeleted) => {
                Err("invalid_client_id")
            }
            () if secret != self.rules.client_secret => Err("bad_client_secret"),
            () => Ok(()),
        }
    }

    pub(super) fn install(&mut self, code: &str, redirect: &str, now: i64) -> Result<Given, &'static str> {
        let code =
            self.codes.remove(code).filter(|code| now - code.given_at <= CODE_LIVES).ok_or("invalid_code")?;
        if code.redirect != redirect {
            return Err("bad_redirect_uri");
        }
        Ok(self.give(code.scopes, now))
    }

    pub(super) fn refresh(&mut self, refresh_token: &str, now: i64) -> Result<Given, &'static str> {
        let grace = i64::try_from(self.rules.grace.as_secs()).unwrap_or(i64::MAX);
        let works = |token: &&mut Refresh| {
            !token.revoked && token.spent_at.is_none_or(|spent_at| now - spent_at < grace)
        };
        let token =
            self.refresh_tokens.get_mut(refresh_token).filter(works).ok_or("invalid_refresh_token")?;
        token.spent_at.get_or_insert(now);
        let scopes = token.scopes.clone();
        Ok(self.give(scopes, now))
    }

    fn give(&mut self, scopes: String, now: i64) -> Given {
        let life = self.rules.token_life.map(|life| life.as_secs());
        let access_token = self.mint(if life.is_some() { "xoxe.xoxp" } else { "xoxp" });
        let expires_at = life.map(|life| now.saturating_add_unsigned(life));
        self.tokens
            .insert(access_token.clone(), Access { expires_at, revoked: false, scopes: scopes.clone() });
        let refresh_token = life.map(|_| self.mint("xoxe"));
        if let Some(refresh_token) = &refresh_token {
            let refresh = Refresh { spent_at: None, revoked: false, scopes: scopes.clone() };
            self.refresh_tokens.insert(refresh_token.clone(), refresh);
            self.alive.push_back(access_token.clone());
            if self.alive.len() > 2
                && let Some(oldest) = self.alive.pop_front()
                && let Some(token) = self.tokens.get_mut(&oldest)
            {
                token.revoked = true;
            }
        }
        Given { access_token, refresh_token, expires_in: life, scopes }
    }

    fn mint(&mut self, kind: &str) -> String {
        self.minted += 1;
        format!("{kind}-simulated-{}", self.minted)
    }

    /// Whether that token may be used by now, with its scopes and how long it lives.
    pub(super) fn test(&self, token: &str, now: i64) -> Result<(String, Option<i64>), Refused> {
        if self.is(&Happening::AddressRefused) {
            return Err(Refused::Token("invalid_auth"));
        }
        let known = self.tokens.get(token).ok_or(Refused::Token("invalid_auth"))?;
        if self.is(&Happening::AppDeleted) {
            return Err(Refused::Token("account_inactive"));
        }
        if known.revoked {
            return Err(Refused::Token("token_revoked"));
        }
        if known.expires_at.is_some_and(|end| now >= end) {
            return Err(Refused::Token("token_expired"));
        }
        let scopes: Vec<_> = known
            .scopes
            .split(',')
            .filter(|scope| !self.is(&Happening::ScopeRemoved((*scope).to_owned())))
            .collect();
        Ok((scopes.join(","), known.expires_at.map(|end| end - now)))
    }

    /// Whether that token reads that log.
    pub(super) fn admit(&self, token: &str, api: Api, now: i64) -> Result<(), Refused> {
        let (provided, _) = self.test(token, now)?;
        let needed = api.scope();
        if !provided.split(',').any(|scope| scope == needed) {
            return Err(Refused::scope(needed, &provided));
        }
        match api {
            _ if self.is(&Happening::Downgraded) => Err(Refused::Plan),
            Api::Audit if !self.rules.org_install && token != self.own_token => Err(Refused::Workspace),
            _ if self.is(&Happening::Demoted) => Err(Refused::NotOwner),
            Api::Audit | Api::Web => Ok(()),
        }
    }

    pub(super) fn revoke(&mut self, token: &str) -> bool {
        self.tokens.get_mut(token).is_some_and(|token| !std::mem::replace(&mut token.revoked, true))
    }

    pub(super) fn fault(&self, refresh: u64) -> Option<RefreshFault> {
        self.rules.faults.iter().find(|(number, _)| *number == refresh).map(|(_, fault)| *fault)
    }

    pub(super) fn is_org_install(&self) -> bool {
        self.rules.org_install
    }
}

/// Which of the interfaces is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
    /// The Audit Logs API.
    Audit,
    /// The logs that methods of the Web API give.
    Web,
}

impl Api {
    fn scope(self) -> &'static str {
        match self {
            Self::Audit => "auditlogs:read",
            Self::Web => "admin",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(rules: OAuth) -> Grants {
        Grants::new(rules, "xoxp-own", Vec::new())
    }

    fn rotating() -> OAuth {
        OAuth {
            token_life: Some(Duration::from_secs(100)),
            grace: Duration::from_secs(5),
            ..OAuth::default()
        }
    }

    #[test]
    fn a_code_works_once_for_ten_minutes_and_for_its_address() {
        let rules = OAuth::default();
        let mut grants = grants(rules.clone());
        let mut code =
            |at| grants.allow(&rules.client_id, "https://r/", "auditlogs:read,chat:write", at).unwrap();
        let (first, late, elsewhere) = (code(0), code(0), code(0));
        let given = grants.install(&first, "https://r/", 600).unwrap();
        assert_eq!(
            (given.scopes.as_str(), given.refresh_token, given.expires_in),
            ("auditlogs:read", None, None)
        );
        assert_eq!(grants.install(&first, "https://r/", 600).unwrap_err(), "invalid_code");
        assert_eq!(grants.install(&late, "https://r/", 601).unwrap_err(), "invalid_code");
        assert_eq!(grants.install(&elsewhere, "https://s/", 1).unwrap_err(), "bad_redirect_uri");
        assert!(grants.allow("other", "https://r/", "", 0).is_none());
        assert_eq!(grants.know(&rules.client_id, "wrong"), Err("bad_client_secret"));
        assert_eq!(grants.know("other", &rules.client_secret), Err("invalid_client_id"));
    }

    #[test]
    fn a_refresh_token_works_once_and_for_its_grace() {
        let mut grants = grants(rotating());
        let first = grants.give("auditlogs:read".to_owned(), 0);
        let old = first.refresh_token.unwrap();
        let second = grants.refresh(&old, 50).unwrap();
        // The answer was lost: asked again at once.
        let third = grants.refresh(&old, 54).unwrap();
        assert_eq!(grants.refresh(&old, 55).unwrap_err(), "invalid_refresh_token");
        let works = |grants: &Grants, given: &Given| grants.test(&given.access_token, 60).is_ok();
        assert_eq!(grants.test(&first.access_token, 60), Err(Refused::Token("token_revoked")));
        assert!(works(&grants, &second) && works(&grants, &third));
        assert_eq!(grants.test(&third.access_token, 154), Err(Refused::Token("token_expired")));
        grants.happen(&Happening::LoginRevoked);
        assert_eq!(grants.refresh(&third.refresh_token.unwrap(), 60).unwrap_err(), "invalid_refresh_token");
    }

    #[test]
    fn each_happening_has_its_word() {
        let mut grants = grants(OAuth::default());
        let admit = |grants: &Grants, api| grants.admit("xoxp-own", api, 0);
        for (happening, word) in [
            (Happening::Revoked, Refused::Token("token_revoked")),
            (Happening::AppDeleted, Refused::Token("account_inactive")),
            (Happening::AddressRefused, Refused::Token("invalid_auth")),
            (Happening::Downgraded, Refused::Plan),
            (Happening::Demoted, Refused::NotOwner),
            (
                Happening::ScopeRemoved("auditlogs:read".to_owned()),
                Refused::Scope { needed: "auditlogs:read".to_owned(), provided: "admin".to_owned() },
            ),
        ] {
            grants.happen(&happening);
            assert_eq!(admit(&grants, Api::Audit), Err(word), "{happening:?}");
            grants.happen(&Happening::Restored);
            assert_eq!((admit(&grants, Api::Audit), admit(&grants, Api::Web)), (Ok(()), Ok(())));
        }
        assert_eq!(grants.admit("xoxp-other", Api::Audit, 0), Err(Refused::Token("invalid_auth")));
        assert!(grants.revoke("xoxp-own") && !grants.revoke("xoxp-own"));
    }

    #[test]
    fn changes_come_when_they_are_due_and_in_order() {
        let change = |after_requests, seconds: Option<u64>, happening| Change {
            after_requests,
            after: seconds.map(Duration::from_secs),
            happening,
        };
        let changes =
            vec![change(Some(3), None, Happening::Downgraded), change(None, Some(10), Happening::Restored)];
        let mut grants = Grants::new(OAuth::default(), "xoxp-own", changes);
        let mut at = |requests, seconds| {
            grants.pass(requests, Duration::from_secs(seconds));
            grants.admit("xoxp-own", Api::Audit, 0).is_ok()
        };
        assert_eq!([at(3, 99), at(4, 9), at(5, 9), at(6, 10)], [true, false, false, true]);
    }
}
