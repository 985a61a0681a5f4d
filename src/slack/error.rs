//! What can go wrong between us and Slack, sorted by what the poller does about it.
//!
//! Slack's Audit Logs API answers with HTTP status codes and, most of the time, a JSON body with a
//! code. The status is asked first and the code second; both spellings that Slack uses for one thing
//! are known. Status and body become a [`SlackError`] here and nowhere else.
//!
//! **Invariant:** no error holds a token, a cursor or text of an entry; Slack's own codes are shown
//! with unusual characters taken out.

use std::time::Duration;

use super::oauth::LoginError;
use super::proxy::{self, ProxyTrouble};
use super::refusal::{Code, Refusal, Refused, Said};
use super::token::{Token, Unfetched};
use crate::event::UnixTime;

/// Why a request brought no page.
#[derive(Debug, thiserror::Error)]
pub enum SlackError {
    /// No connection came about: name not found, port closed, TLS refused.
    #[error("no connection to Slack")]
    Connect(#[source] reqwest::Error),
    /// Somebody else answers for Slack, with a certificate of an authority unknown here.
    #[error("nobody trusted here has issued the certificate that was shown for Slack")]
    Untrusted(#[source] reqwest::Error),
    /// The proxy did not let us through.
    #[error("{trouble}")]
    Proxy {
        /// What it did.
        trouble: ProxyTrouble,
        /// What the HTTP client says of it.
        source: reqwest::Error,
    },
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
    /// The body is not a list of actions by group.
    #[error("the answer is not a list of actions (line {line}, column {column})")]
    NotAList {
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
    /// There is no token to ask with: it cannot be fetched from where it is kept.
    #[error("the token cannot be had")]
    Unfetched(#[source] Unfetched),
    /// There is no token to ask with: the login that it comes from has none to give.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The answer to a request for a token holds none.
    #[error("the answer holds no user token{0}")]
    NoGrant(&'static str),
    /// A window's pages never came to an end, or a cursor led back to itself.
    #[error("the pages from {oldest} to {latest} did not come to an end")]
    Endless {
        /// The window's first second.
        oldest: UnixTime,
        /// The window's last second.
        latest: UnixTime,
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
            Self::Unfetched(_) => Class::Token,
            Self::Login(login) => login.class(),
            Self::NoGrant(_) => Class::Install,
            Self::Connect(_)
            | Self::Untrusted(_)
            | Self::Proxy { .. }
            | Self::Timeout(_)
            | Self::CutOff(_)
            | Self::NotAPage { .. }
            | Self::NotAList { .. }
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
                "check that this machine may reach Slack (name, port 443), or name the proxy in `proxy` or \
                 HTTPS_PROXY; it is tried again by itself"
            }
            Self::Untrusted(_) => {
                "if a proxy here opens TLS, name the file of its authority in `ca`; else update \
                 ca-certificates, and find out who it is that answers"
            }
            Self::Proxy { trouble, .. } => trouble.help(),
            Self::Timeout(_) | Self::CutOff(_) => {
                "it is tried again by itself; if it goes on, look for a proxy that breaks long answers"
            }
            Self::TooLarge { .. } => "nothing: a shorter window is asked for",
            Self::NotAPage { .. } | Self::NotAList { .. } | Self::NoEntries => {
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
            Self::Unfetched(_) => "see that the token can be had again; it is looked for by itself",
            Self::Login(login) => login.help(),
            Self::NoGrant(_) => {
                "give the app user scopes, not only bot scopes (`slackcef auth login NAME --print-manifest`), and log in \
                 again"
            }
        }
    }

    /// The same for the source whose token this is.
    pub fn cure(&self, token: &Token) -> String {
        let help = match self {
            Self::Unfetched(why) if !why.help.is_empty() => why.help.clone(),
            _ => self.help().to_owned(),
        };
        let wants_login = match self {
            Self::Refused(refused) => refused.refusal.wants_login(),
            Self::Login(login) => login.class() == Class::Token,
            _ => false,
        };
        match token.login().filter(|_| wants_login) {
            Some(name) => format!("{help}; `slackcef auth login {name}` logs in again"),
            None => help,
        }
    }

    /// The cause in a word, for programs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Refused(refused) | Self::Login(LoginError::Refused { refused, .. }) => {
                refused.refusal.name()
            }
            Self::Unfetched(_) => "no-token",
            Self::Login(_) => "login",
            Self::NoGrant(_) => "install",
            Self::TooLarge { .. } => "too-large",
            Self::RateLimited { .. } => "rate",
            Self::Untrusted(_) => "untrusted",
            Self::Proxy { .. } => "proxy",
            Self::Connect(_)
            | Self::Timeout(_)
            | Self::CutOff(_)
            | Self::NotAPage { .. }
            | Self::NotAList { .. }
            | Self::NoEntries
            | Self::Server { .. }
            | Self::Endless { .. } => "trouble",
        }
    }

    /// Sorts an error of the HTTP client; the address is taken off, for it holds the cursor.
    pub(super) fn of_transport(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if let Some(trouble) = ProxyTrouble::of(&error) {
            Self::Proxy { trouble, source: error }
        } else if proxy::is_unknown_issuer(&error) {
            Self::Untrusted(error)
        } else if error.is_timeout() {
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
