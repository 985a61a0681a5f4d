//! Slack's codes for what it refuses, in both spellings of its two APIs, and what each asks of whom.
//!
//! **Invariant:** what Slack's body said is shown with unusual characters taken out, and shortened.

use std::fmt;

use super::error::Class;

/// A request that Slack refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What was wrong with it.
    pub refusal: Refusal,
    /// The HTTP status.
    pub status: u16,
    /// What the body said.
    pub said: Said,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.refusal.words())?;
        if let Some(needed) = &self.said.needed {
            write!(f, " `{needed}`")?;
        }
        if let Some(provided) = &self.said.provided {
            write!(f, ", it has `{provided}`")?;
        }
        match &self.said.code {
            Some(code) => write!(f, " (`{code}`, status {})", self.status),
            None => write!(f, " (status {}, no code)", self.status),
        }
    }
}

/// What the body of a refusal said, as far as it said something.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    /// Slack's code.
    pub code: Option<Code>,
    /// The scopes that the request needs.
    pub needed: Option<Code>,
    /// The scopes that the token has.
    pub provided: Option<Code>,
}

/// A code or a list of scopes as Slack spelt it, shortened and without unusual characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code(String);

impl Code {
    const MOST: usize = 200;

    /// Keeps what codes and scopes are made of; `None` when nothing is left.
    pub fn new(text: &str) -> Option<Self> {
        let kept: String = text
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-' | ',' | ' '))
            .take(Self::MOST)
            .collect();
        let kept = kept.trim();
        (!kept.is_empty()).then(|| Self(kept.to_owned()))
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What Slack found wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// The token is wrong, or may not be used from this address.
    Token,
    /// The request came without a token.
    NoToken,
    /// The token has expired.
    TokenExpired,
    /// The token was revoked, or the workspace that it belonged to is gone.
    TokenRevoked,
    /// The app, or the account of who installed it, is gone.
    Inactive,
    /// The token lacks a scope.
    Scope,
    /// A bot token, say, where a user token is wanted.
    TokenKind,
    /// Who installed the app is not an owner of the organization.
    NotOwner,
    /// Who installed the app may not do this.
    NotAllowed,
    /// Who installed the app must set up a second factor.
    SecondFactor,
    /// A login by OAuth is over: its refresh token is spent, or was revoked.
    LoginOver,
    /// Slack does not know the app, or not by this secret.
    App,
    /// The code of a login is wrong, used or older than ten minutes.
    LoginCode,
    /// The address that a login leads back to is not one of the app's.
    Redirect,
    /// A workspace was chosen where the app is installed on its organization.
    OrgInstalled,
    /// The plan has no audit log.
    Plan,
    /// The plan is a free one.
    FreePlan,
    /// The app is installed on a workspace, not on the organization.
    WorkspaceInstall,
    /// The app is not let into this workspace of the organization.
    Workspace,
    /// The app may not call this method.
    Method,
    /// The workspace is being moved into an organization.
    Migration,
    /// This may not be asked from this machine's network.
    Network,
    /// The organization restricts the access.
    Restricted,
    /// The cursor is stale or mangled.
    Cursor,
    /// The range of time is not one that Slack serves.
    Range,
    /// The `action` filter names an action that Slack does not know.
    Action,
    /// The address is not that of the API.
    Endpoint,
    /// Something else about the request.
    Request,
    /// Something that may pass.
    Passing,
}

/// Slack's codes, in both APIs' spellings.
pub(super) const CODES: &[(&str, Refusal)] = &[
    ("invalid_authentication", Refusal::Token),
    ("invalid_auth", Refusal::Token),
    ("missing_authentication", Refusal::NoToken),
    ("not_authed", Refusal::NoToken),
    ("token_expired", Refusal::TokenExpired),
    ("token_revoked", Refusal::TokenRevoked),
    ("account_inactive", Refusal::Inactive),
    ("missing_scope", Refusal::Scope),
    ("not_allowed_token_type", Refusal::TokenKind),
    ("not_bearer_token", Refusal::TokenKind),
    ("user_not_authorized", Refusal::NotOwner),
    ("no_permission", Refusal::NotAllowed),
    ("two_factor_setup_required", Refusal::SecondFactor),
    ("invalid_refresh_token", Refusal::LoginOver),
    ("invalid_client_id", Refusal::App),
    ("bad_client_secret", Refusal::App),
    ("invalid_code", Refusal::LoginCode),
    ("bad_redirect_uri", Refusal::Redirect),
    ("oauth_authorization_url_mismatch", Refusal::Redirect),
    ("cannot_install_an_org_installed_app", Refusal::OrgInstalled),
    ("feature_not_enabled", Refusal::Plan),
    ("invalid_workspace", Refusal::Plan),
    ("paid_only", Refusal::FreePlan),
    ("team_not_authorized", Refusal::WorkspaceInstall),
    ("team_access_not_granted", Refusal::Workspace),
    ("invalid_team_id", Refusal::Workspace),
    ("method_not_allowed", Refusal::Method),
    ("endpoint_unavailable", Refusal::Method),
    ("org_login_required", Refusal::Migration),
    ("team_added_to_org", Refusal::Migration),
    ("accesslimited", Refusal::Network),
    ("access_denied", Refusal::Restricted),
    ("ekm_access_denied", Refusal::Restricted),
    ("enterprise_is_restricted", Refusal::Restricted),
    ("invalid_cursor", Refusal::Cursor),
    ("invalid_range", Refusal::Range),
    ("invalid_action", Refusal::Action),
    ("bad_endpoint", Refusal::Endpoint),
    ("unknown_method", Refusal::Endpoint),
    ("invalid_limit", Refusal::Request),
    ("invalid_arguments", Refusal::Request),
    ("invalid_grant_type", Refusal::Request),
    ("over_pagination_limit", Refusal::Request),
    ("fatal_error", Refusal::Passing),
    ("internal_error", Refusal::Passing),
    ("service_unavailable", Refusal::Passing),
    ("request_timeout", Refusal::Passing),
];

impl Refusal {
    pub(super) fn of_code(code: &str) -> Option<Self> {
        let known = CODES.iter().find(|(name, _)| *name == code).map(|(_, refusal)| *refusal);
        // Codes about the token come in new kinds now and then.
        known.or_else(|| code.starts_with("token_").then_some(Self::Token))
    }

    pub(super) fn of_status(status: u16) -> Self {
        match status {
            401 | 403 => Self::Token,
            300..400 | 404 | 407 | 410 => Self::Endpoint,
            405 => Self::Method,
            408 | 425 => Self::Passing,
            400.. => Self::Request,
            // An `ok:false` inside a 200, with a code that is not known.
            _ => Self::Passing,
        }
    }

    pub(super) fn class(self) -> Class {
        match self {
            Self::Token
            | Self::NoToken
            | Self::TokenExpired
            | Self::TokenRevoked
            | Self::Inactive
            | Self::Scope
            | Self::TokenKind
            | Self::NotOwner
            | Self::NotAllowed
            | Self::SecondFactor
            | Self::LoginOver
            | Self::App
            | Self::LoginCode
            | Self::Redirect
            | Self::OrgInstalled => Class::Token,
            Self::Plan
            | Self::FreePlan
            | Self::WorkspaceInstall
            | Self::Workspace
            | Self::Method
            | Self::Migration
            | Self::Network
            | Self::Restricted => Class::Install,
            Self::Action | Self::Endpoint => Class::Setting,
            Self::Range | Self::Request => Class::Narrow,
            Self::Cursor => Class::Reread,
            Self::Passing => Class::Retry,
        }
    }

    /// The cause in a word, for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::NoToken => "no-token",
            Self::TokenExpired => "token-expired",
            Self::TokenRevoked => "token-revoked",
            Self::Inactive => "inactive",
            Self::Scope => "scope",
            Self::TokenKind => "token-kind",
            Self::NotOwner | Self::NotAllowed => "role",
            Self::SecondFactor => "second-factor",
            Self::LoginOver => "login",
            Self::App => "app",
            Self::LoginCode => "login-code",
            Self::Redirect => "redirect",
            Self::OrgInstalled | Self::WorkspaceInstall => "install",
            Self::Plan | Self::FreePlan => "plan",
            Self::Workspace => "workspace",
            Self::Method => "method",
            Self::Migration => "migration",
            Self::Network => "network",
            Self::Restricted => "restricted",
            Self::Cursor => "cursor",
            Self::Range => "range",
            Self::Action => "action",
            Self::Endpoint => "address",
            Self::Request => "request",
            Self::Passing => "trouble",
        }
    }

    /// A token of another kind, or a new one of the same kind, may come of another login.
    pub(super) fn wants_login(self) -> bool {
        match self {
            Self::Token
            | Self::TokenExpired
            | Self::TokenRevoked
            | Self::Inactive
            | Self::Scope
            | Self::TokenKind
            | Self::NotOwner
            | Self::NotAllowed
            | Self::LoginOver
            | Self::App
            | Self::LoginCode
            | Self::OrgInstalled
            | Self::WorkspaceInstall => true,
            Self::NoToken
            | Self::SecondFactor
            | Self::Redirect
            | Self::Plan
            | Self::FreePlan
            | Self::Workspace
            | Self::Method
            | Self::Migration
            | Self::Network
            | Self::Restricted
            | Self::Cursor
            | Self::Range
            | Self::Action
            | Self::Endpoint
            | Self::Request
            | Self::Passing => false,
        }
    }

    /// The token itself is dead: a new one of the same login may live.
    pub(super) fn is_of_a_dead_token(self) -> bool {
        matches!(self, Self::Token | Self::NoToken | Self::TokenExpired | Self::TokenRevoked | Self::Inactive)
    }

    fn words(self) -> &'static str {
        match self {
            Self::Token => "Slack refused the token",
            Self::NoToken => "Slack saw no token in the request",
            Self::TokenExpired => "the token has expired",
            Self::TokenRevoked => "the token was revoked",
            Self::Inactive => "the app, or the account of who installed it, is gone",
            Self::Scope => "the token lacks a scope",
            Self::TokenKind => "the token is not a user token",
            Self::NotOwner => "who installed the app is not an owner of the organization",
            Self::NotAllowed => "who installed the app may not do this",
            Self::SecondFactor => "who installed the app must set up two-factor authentication",
            Self::LoginOver => "the login is over: Slack takes its refresh token no more",
            Self::App => "Slack does not know the app, or not by this secret",
            Self::LoginCode => "the code is wrong, was used before, or is older than ten minutes",
            Self::Redirect => "the address that the login leads back to is not one of the app's",
            Self::OrgInstalled => "a workspace was chosen, and the app is installed on its organization",
            Self::Plan => "this organization has no audit log",
            Self::FreePlan => "this workspace is on a free plan",
            Self::WorkspaceInstall => "the app is installed on a workspace, not on the organization",
            Self::Workspace => "the app is not let into this workspace",
            Self::Method => "the app may not call this method",
            Self::Migration => "the workspace is being moved into an organization",
            Self::Network => "this may not be asked from this machine's network",
            Self::Restricted => "the organization restricts this access",
            Self::Cursor => "Slack no longer knows the cursor",
            Self::Range => "Slack does not serve this range of time",
            Self::Action => "Slack does not know one of the actions asked for",
            Self::Endpoint => "this is not the address of Slack's API",
            Self::Request => "Slack refused the request",
            Self::Passing => "Slack reported trouble",
        }
    }

    pub(super) fn help(self) -> &'static str {
        match self {
            Self::Token => {
                "check that the whole token was copied (it begins with xoxp- or xoxe.xoxp-) and that Slack's \
                 list of allowed addresses, if the organization has one, holds this machine's"
            }
            Self::NoToken => "check the source's `token`, and that no proxy removes the Authorization header",
            Self::TokenExpired => {
                "token rotation is on for this app, so a token that is only copied dies after hours: let \
                 slackcef rotate it (`token = { oauth = \"…\" }` and `slackcef auth login`)"
            }
            Self::TokenRevoked => {
                "somebody revoked it, or its workspace is gone: see who did (the audit log has it, too), have an \
                 organization owner install the app again, and put the new token in place"
            }
            Self::Inactive => {
                "see whether the app is still among https://api.slack.com/apps and the person who installed it \
                 is still a member: make the app anew (`slackcef auth login NAME --print-manifest`) or have \
                 another owner install it"
            }
            Self::Scope => {
                "add the user scope `auditlogs:read` (audit log) or `admin` (access and integration logs) to the \
                 app and have an organization owner install it again; the token changes"
            }
            Self::TokenKind => "use the user token (xoxp-), not the bot token (xoxb-), of the same install",
            Self::NotOwner => {
                "an organization owner, not an admin, must install the app; use the token of that install"
            }
            Self::NotAllowed => "an admin or an owner must install the app; use the token of that install",
            Self::SecondFactor => "the person who installed the app must finish this in Slack",
            Self::LoginOver => {
                "log in again: `slackcef auth login NAME`, NAME being that of its [oauth] table"
            }
            Self::App => {
                "check `client_id` and `client_secret` of the [oauth] table against Basic Information of the app at \
                 https://api.slack.com/apps; if the app is gone, make it anew and log in again"
            }
            Self::LoginCode => "begin the login again, and finish it within ten minutes",
            Self::Redirect => {
                "add the address that `slackcef auth login` names to the app's Redirect URLs (OAuth & Permissions), \
                 to the letter"
            }
            Self::OrgInstalled => "begin again, and pick the organization at the top right of Slack's page",
            Self::Plan => "audit logs come with Slack's Enterprise plans only: check the organization's plan",
            Self::FreePlan => "access and integration logs come with Slack's paid plans only: check the plan",
            Self::WorkspaceInstall => {
                "install the app again and pick the organization, not a workspace, at the top right of \
                 Slack's page; put the new token in place"
            }
            Self::Workspace => {
                "check `team_id` of the source; if it is right, have the organization's admins add the app to \
                 that workspace"
            }
            Self::Method => {
                "check in the app's settings that it is opted in to organization-level install and has the \
                 user scope `auditlogs:read`"
            }
            Self::Migration => "wait: it is asked again every few minutes",
            Self::Network => {
                "add this machine's public address to the addresses that Slack lets the app be used from, or go \
                 out through one of them"
            }
            Self::Restricted => {
                "ask the organization's owners which rule (key management, approved apps) keeps this app out"
            }
            Self::Cursor => "nothing: the window is read again from its first page",
            Self::Range => {
                "if the log was switched on later than the time given, set the source's `start` to that day"
            }
            Self::Action => "check `only.actions` of the source against Slack's list of actions",
            Self::Endpoint => {
                "check the source's `base_url`: https://api.slack.com, or https://api.slack-gov.com for \
                 GovSlack; a proxy with a page of its own looks the same"
            }
            Self::Request => "check `only` of the source; if it is right, report this with the code given",
            Self::Passing => "it is tried again by itself; see https://status.slack.com",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every code that Slack documents for the logs, for their tokens and for logins, and what is made
    /// of it; those with "-" are told by their status or are about other errors than refusals.
    const DOCUMENTED: &[(&str, &str)] = &[
        // The Audit Logs API.
        ("bad_endpoint", "address"),
        ("feature_not_enabled", "plan"),
        ("invalid_action", "action"),
        ("invalid_authentication", "token"),
        ("invalid_cursor", "cursor"),
        ("invalid_range", "range"),
        ("invalid_workspace", "plan"),
        ("method_not_allowed", "method"),
        ("missing_authentication", "no-token"),
        ("rate_limited", "-"),
        ("team_not_authorized", "install"),
        ("user_not_authorized", "role"),
        // The same in the Web API's spellings, and its access logs.
        ("not_authed", "no-token"),
        ("invalid_auth", "token"),
        ("token_revoked", "token-revoked"),
        ("token_expired", "token-expired"),
        ("missing_scope", "scope"),
        ("not_allowed_token_type", "token-kind"),
        ("paid_only", "plan"),
        ("org_login_required", "migration"),
        ("over_pagination_limit", "request"),
        ("invalid_limit", "request"),
        ("invalid_team_id", "workspace"),
        ("account_inactive", "inactive"),
        ("ratelimited", "-"),
        ("fatal_error", "trouble"),
        ("internal_error", "trouble"),
        ("service_unavailable", "trouble"),
        ("request_timeout", "trouble"),
        ("team_access_not_granted", "workspace"),
        ("team_added_to_org", "migration"),
        ("accesslimited", "network"),
        ("access_denied", "restricted"),
        ("enterprise_is_restricted", "restricted"),
        ("ekm_access_denied", "restricted"),
        ("two_factor_setup_required", "second-factor"),
        ("no_permission", "role"),
        // Logins.
        ("invalid_code", "login-code"),
        ("bad_redirect_uri", "redirect"),
        ("bad_client_secret", "app"),
        ("invalid_client_id", "app"),
        ("invalid_grant_type", "request"),
        ("invalid_refresh_token", "login"),
        ("oauth_authorization_url_mismatch", "redirect"),
        ("cannot_install_an_org_installed_app", "install"),
        ("not_bearer_token", "token-kind"),
    ];

    #[test]
    fn every_documented_code_has_its_name_its_words_and_its_cure() {
        for (code, name) in DOCUMENTED {
            let refusal = Refusal::of_code(code);
            assert_eq!(refusal.map_or("-", Refusal::name), *name, "{code}");
            let Some(refusal) = refusal else { continue };
            assert!(!refusal.words().is_empty() && refusal.help().len() > 20, "{code}");
            // What only a person can undo is asked slowly; the rest is none of a person's business.
            let is_for_a_person = !["cursor", "range", "request", "trouble"].contains(name);
            let is_slow = matches!(refusal.class(), Class::Token | Class::Install | Class::Setting);
            assert_eq!(is_slow, is_for_a_person, "{code}");
        }
    }

    #[test]
    fn what_differs_has_words_and_a_cure_of_its_own() {
        let known: BTreeSet<_> = CODES.iter().map(|(code, _)| Refusal::of_code(code).unwrap()).collect();
        let words: BTreeSet<_> = known.iter().map(|refusal| refusal.words()).collect();
        let cures: BTreeSet<_> = known.iter().map(|refusal| refusal.help()).collect();
        assert_eq!((words.len(), cures.len()), (known.len(), known.len()));
    }

    #[test]
    fn a_new_kind_of_refused_token_is_one_about_the_token() {
        assert_eq!(Refusal::of_code("token_of_a_new_kind"), Some(Refusal::Token));
        assert_eq!(Refusal::of_code("quantum_widget"), None);
        assert_eq!(Refusal::of_status(401), Refusal::Token);
    }
}
