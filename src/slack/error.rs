//! What can go wrong between us and Slack, sorted by what the poller does about it.
//!
//! Slack's Audit Logs API answers with HTTP status codes and, most of the time, a JSON body with a
//! code. The status is asked first and the code second; both spellings that Slack uses for one thing
//! are known. Status and body become a [`SlackError`] here and nowhere else.
//!
//! **Invariant:** no error holds a token, a cursor or text of an entry; Slack's own codes are shown
//! with unusual characters taken out.

use std::fmt;
use std::time::Duration;

/// Why a request brought no page.
#[derive(Debug, thiserror::Error)]
pub enum SlackError {
    /// No connection came about: name not found, port closed, TLS refused.
    #[error("no connection to Slack")]
    Connect(#[source] reqwest::Error),
    /// The answer, or a part of it, took too long.
    #[error("Slack did not answer in time")]
    Timeout(#[source] reqwest::Error),
    /// The connection broke, or the compressed body did not add up.
    #[error("the answer was cut off")]
    CutOff(#[source] reqwest::Error),
    /// The body is larger than the poller is ready to hold.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The most that is held, in bytes after decompression.
        limit: usize,
    },
    /// The body is not JSON, or not in the shape of a page.
    #[error("the answer is not a page of log entries (line {line}, column {column})")]
    NotAPage {
        /// Where reading stopped, from 1.
        line: usize,
        /// Where in that line, from 1.
        column: usize,
    },
    /// The body is JSON, says nothing of an error, and has no list of entries.
    #[error("the answer has no list of entries")]
    NoEntries,
    /// The organization's budget of requests is used up.
    #[error("Slack asks for fewer requests")]
    RateLimited {
        /// How long Slack asks us to wait, already within our bounds.
        retry_after: Option<Duration>,
    },
    /// Slack has trouble of its own.
    #[error("Slack answered with status {status}")]
    Server {
        /// The HTTP status, 500 and above.
        status: u16,
        /// How long Slack asks us to wait, already within our bounds.
        retry_after: Option<Duration>,
    },
    /// Slack refused the request.
    #[error("{0}")]
    Refused(Refused),
    /// A window's pages never came to an end, or a cursor led back to itself.
    #[error("the pages from {oldest} to {latest} did not come to an end")]
    Endless {
        /// The window's first second.
        oldest: crate::event::UnixTime,
        /// The window's last second.
        latest: crate::event::UnixTime,
    },
}

/// What the poller does about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Ask again, later each time.
    Retry,
    /// Read the window again from its first page.
    Reread,
    /// Ask for a shorter window.
    Narrow,
    /// The operator must see to the token; ask again slowly until then.
    Token,
    /// The operator must see to the plan or the installation; ask again slowly until then.
    Install,
    /// The operator must see to a setting; ask again slowly until then.
    Setting,
}

impl SlackError {
    /// What to do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::TooLarge { .. } => Class::Narrow,
            Self::Refused(refused) => refused.refusal.class(),
            Self::Connect(_)
            | Self::Timeout(_)
            | Self::CutOff(_)
            | Self::NotAPage { .. }
            | Self::NoEntries
            | Self::RateLimited { .. }
            | Self::Server { .. }
            | Self::Endless { .. } => Class::Retry,
        }
    }

    /// How long Slack asks us to wait, where it said.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } | Self::Server { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// What the operator can do, in a sentence or two.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Connect(_) => {
                "check that this machine may reach Slack (name, port 443, proxy) and that a proxy which \
                 opens TLS is trusted here; it is tried again by itself"
            }
            Self::Timeout(_) | Self::CutOff(_) => {
                "it is tried again by itself; if it goes on, look for a proxy that breaks long answers"
            }
            Self::TooLarge { .. } => "nothing: a shorter window is asked for",
            Self::NotAPage { .. } | Self::NoEntries => {
                "it is tried again by itself; if it goes on, something between here and Slack answers in \
                 its place: check `base_url` and the proxy"
            }
            Self::RateLimited { .. } => {
                "the limit counts for the whole organization: if it goes on, lower `requests_per_minute` \
                 here or in the organization's other audit log readers"
            }
            Self::Server { .. } => "it is tried again by itself; see https://status.slack.com",
            Self::Endless { .. } => {
                "it is tried again by itself; if it goes on, report it to Slack with the times given"
            }
            Self::Refused(refused) => refused.refusal.help(),
        }
    }

    /// Sorts an error of the HTTP client; the address is taken off, for it holds the cursor.
    pub(super) fn of_transport(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if error.is_timeout() {
            Self::Timeout(error)
        } else if error.is_connect() {
            Self::Connect(error)
        } else {
            Self::CutOff(error)
        }
    }

    /// Sorts an answer that is not a page: the status first, then the code.
    pub(super) fn of_answer(status: u16, said: Said, retry_after: Option<Duration>) -> Self {
        let code = said.code.as_ref().map(Code::as_str);
        match status {
            429 => return Self::RateLimited { retry_after },
            500.. => return Self::Server { status, retry_after },
            _ if matches!(code, Some("ratelimited" | "rate_limited")) => {
                return Self::RateLimited { retry_after };
            }
            _ => {}
        }
        let refusal = code.and_then(Refusal::of_code).unwrap_or_else(|| Refusal::of_status(status));
        Self::Refused(Refused { refusal, status, said })
    }
}

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
    fn of_code(code: &str) -> Option<Self> {
        let known = CODES.iter().find(|(name, _)| *name == code).map(|(_, refusal)| *refusal);
        // Codes about the token come in new kinds now and then.
        known.or_else(|| code.starts_with("token_").then_some(Self::Token))
    }

    fn of_status(status: u16) -> Self {
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

    fn class(self) -> Class {
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

    fn help(self) -> &'static str {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, code: &str) -> SlackError {
        SlackError::of_answer(status, Said { code: Code::new(code), ..Said::default() }, None)
    }

    #[test]
    fn each_answer_has_its_class() {
        let cases = [
            (429, "", Class::Retry),
            (200, "ratelimited", Class::Retry),
            (400, "rate_limited", Class::Retry),
            (500, "", Class::Retry),
            (503, "feature_not_enabled", Class::Retry),
            (200, "fatal_error", Class::Retry),
            (200, "never_seen_before", Class::Retry),
            (200, "", Class::Retry),
            (400, "invalid_cursor", Class::Reread),
            (200, "invalid_cursor", Class::Reread),
            (400, "invalid_range", Class::Narrow),
            (400, "", Class::Narrow),
            (400, "never_seen_before", Class::Narrow),
            (400, "invalid_action", Class::Setting),
            (404, "", Class::Setting),
            (302, "", Class::Setting),
            (401, "", Class::Token),
            (401, "never_seen_before", Class::Token),
            (403, "", Class::Token),
            (200, "not_authed", Class::Token),
            (401, "token_expired", Class::Token),
            (403, "token_of_a_new_kind", Class::Token),
            (200, "missing_scope", Class::Token),
            (403, "user_not_authorized", Class::Token),
            (403, "feature_not_enabled", Class::Install),
            (401, "team_not_authorized", Class::Install),
            (405, "", Class::Install),
            (200, "paid_only", Class::Install),
        ];
        for (status, code, class) in cases {
            assert_eq!(answer(status, code).class(), class, "{status} {code}");
        }
    }

    #[test]
    fn scopes_are_named() {
        let said = Said {
            code: Code::new("missing_scope"),
            needed: Code::new("auditlogs:read"),
            provided: Code::new("identify,users:read"),
        };
        assert_eq!(
            SlackError::of_answer(200, said, None).to_string(),
            "the token lacks a scope `auditlogs:read`, it has `identify,users:read` (`missing_scope`, status 200)"
        );
    }

    #[test]
    fn a_hostile_code_is_made_plain() {
        let error = answer(400, &format!("a\n\u{1b}[31m`{}", "x".repeat(5_000)));
        let shown = error.to_string();
        assert!(shown.len() < 300 && !shown.contains(['\n', '\u{1b}']), "{shown}");
        assert_eq!(answer(401, "").to_string(), "Slack refused the token (status 401, no code)");
    }

    #[test]
    fn causes_that_differ_have_help_that_differs() {
        let help = |code: &str| answer(403, code).help();
        let each = [
            "invalid_auth",
            "not_authed",
            "token_expired",
            "token_revoked",
            "missing_scope",
            "not_allowed_token_type",
            "user_not_authorized",
            "two_factor_setup_required",
            "feature_not_enabled",
            "team_not_authorized",
            "method_not_allowed",
            "org_login_required",
        ];
        let mut said: Vec<_> = each.iter().map(|code| help(code)).collect();
        said.sort_unstable();
        said.dedup();
        assert_eq!(said.len(), each.len());
    }
}
