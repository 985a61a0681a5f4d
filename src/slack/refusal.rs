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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The token is wrong, or may not be used from this address.
    Token,
    /// The request came without a token.
    NoToken,
    /// The token has expired.
    TokenExpired,
    /// The token was revoked, or whoever it belonged to is gone.
    TokenRevoked,
    /// The token lacks a scope.
    Scope,
    /// A bot token, say, where a user token is wanted.
    TokenKind,
    /// Who installed the app is not an owner of the organization.
    NotOwner,
    /// Who installed the app must set up a second factor.
    SecondFactor,
    /// The plan has no audit log.
    Plan,
    /// The app is installed on a workspace, not on the organization.
    WorkspaceInstall,
    /// The app may not call this method.
    Method,
    /// The workspace is being moved into an organization.
    Migration,
    /// The organization restricts the access.
    Restricted,
    /// The cursor is stale or mangled.
    Cursor,
    /// The range of time is not one that Slack serves.
    Range,
    /// The `action` filter names an action that Slack does not know.
    Action,
    /// The address is not that of the Audit Logs API.
    Endpoint,
    /// Something else about the request.
    Request,
    /// Something that may pass.
    Passing,
}

/// Slack's codes, in both APIs' spellings.
const CODES: [(&str, Refusal); 35] = [
    ("invalid_authentication", Refusal::Token),
    ("invalid_auth", Refusal::Token),
    ("missing_authentication", Refusal::NoToken),
    ("not_authed", Refusal::NoToken),
    ("token_expired", Refusal::TokenExpired),
    ("token_revoked", Refusal::TokenRevoked),
    ("account_inactive", Refusal::TokenRevoked),
    ("missing_scope", Refusal::Scope),
    ("not_allowed_token_type", Refusal::TokenKind),
    ("user_not_authorized", Refusal::NotOwner),
    ("no_permission", Refusal::NotOwner),
    ("two_factor_setup_required", Refusal::SecondFactor),
    ("feature_not_enabled", Refusal::Plan),
    ("invalid_workspace", Refusal::Plan),
    ("paid_only", Refusal::Plan),
    ("team_not_authorized", Refusal::WorkspaceInstall),
    ("team_access_not_granted", Refusal::WorkspaceInstall),
    ("method_not_allowed", Refusal::Method),
    ("org_login_required", Refusal::Migration),
    ("team_added_to_org", Refusal::Migration),
    ("access_denied", Refusal::Restricted),
    ("accesslimited", Refusal::Restricted),
    ("ekm_access_denied", Refusal::Restricted),
    ("enterprise_is_restricted", Refusal::Restricted),
    ("invalid_cursor", Refusal::Cursor),
    ("invalid_range", Refusal::Range),
    ("invalid_action", Refusal::Action),
    ("bad_endpoint", Refusal::Endpoint),
    ("unknown_method", Refusal::Endpoint),
    ("invalid_limit", Refusal::Request),
    ("invalid_arguments", Refusal::Request),
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
            | Self::Scope
            | Self::TokenKind
            | Self::NotOwner
            | Self::SecondFactor => Class::Token,
            Self::Plan | Self::WorkspaceInstall | Self::Method | Self::Migration | Self::Restricted => {
                Class::Install
            }
            Self::Action | Self::Endpoint => Class::Setting,
            Self::Range | Self::Request => Class::Narrow,
            Self::Cursor => Class::Reread,
            Self::Passing => Class::Retry,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Token => "Slack refused the token",
            Self::NoToken => "Slack saw no token in the request",
            Self::TokenExpired => "the token has expired",
            Self::TokenRevoked => "the token was revoked",
            Self::Scope => "the token lacks a scope",
            Self::TokenKind => "the token is not a user token",
            Self::NotOwner => "who installed the app is not an owner of the organization",
            Self::SecondFactor => "who installed the app must set up two-factor authentication",
            Self::Plan => "this organization has no audit log",
            Self::WorkspaceInstall => "the app is installed on a workspace, not on the organization",
            Self::Method => "the app may not read the audit log",
            Self::Migration => "the workspace is being moved into an organization",
            Self::Restricted => "the organization restricts this access",
            Self::Cursor => "Slack no longer knows the cursor",
            Self::Range => "Slack does not serve this range of time",
            Self::Action => "Slack does not know one of the actions asked for",
            Self::Endpoint => "this is not the address of Slack's audit log",
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
                "token rotation is on for this app: refresh the token, or install the app again and put \
                 the new token in place"
            }
            Self::TokenRevoked => {
                "the app was removed, or the person who installed it left: have an organization owner \
                 install it again and put the new token in place"
            }
            Self::Scope => {
                "add the user scope `auditlogs:read` to the app and have an organization owner install it \
                 again; the token changes"
            }
            Self::TokenKind => "use the user token (xoxp-), not the bot token (xoxb-), of the same install",
            Self::NotOwner => {
                "an organization owner, not an admin, must install the app; use the token of that install"
            }
            Self::SecondFactor => "the person who installed the app must finish this in Slack",
            Self::Plan => "audit logs come with Slack's Enterprise plans only: check the organization's plan",
            Self::WorkspaceInstall => {
                "install the app again and pick the organization, not a workspace, at the top right of \
                 Slack's page; put the new token in place"
            }
            Self::Method => {
                "check in the app's settings that it is opted in to organization-level install and has the \
                 user scope `auditlogs:read`"
            }
            Self::Migration => "wait: it is asked again every few minutes",
            Self::Restricted => {
                "ask the organization's owners which rule (key management, allowed addresses) keeps this \
                 app out"
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
