//! `auth test`: whose the token of each source is, and whether it is enough for its log.

use std::fmt::Write as _;

use clap::Args;
use serde_json::{Map, Value, json};

use super::exit;
use crate::commands::{ConfigFile, runtime, setup_failure, unknown};
use crate::config::{Config, Source};
use crate::pipeline::{SetupError, Sharing};
use crate::report::{self, Exit, Failure, Style};
use crate::slack::{Account, Identity, SlackError, whoami};
use crate::telemetry::{chain, plain};

/// Asks Slack whose the token of each source is: scopes, organization, how long it lives.
///
/// The exit code is 69 where Slack could not be asked, and 78 where a token is refused or not enough.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  slackcef auth test --config slackcef.toml\n  slackcef auth test acme-audit --json | jq '.[] | {source, scopes, expires_in_seconds}'"
)]
pub(super) struct Arguments {
    /// The sources; all of them where none is named.
    #[arg(value_name = "SOURCE")]
    sources: Vec<String>,
    #[command(flatten)]
    file: ConfigFile,
    /// One JSON list on standard output instead of lines.
    #[arg(long)]
    json: bool,
}

/// What came of one source.
struct Finding<'c> {
    source: &'c str,
    identity: Option<Identity>,
    /// What is wrong, and its cure.
    wrong: Option<Wrong>,
    /// What is to be known although it works.
    note: Option<&'static str>,
}

struct Wrong {
    exit: Exit,
    reason: &'static str,
    what: String,
    cure: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = arguments.file.load()?;
    let sources = chosen(&config, &arguments.sources)?;
    let findings = runtime()?.block_on(async {
        let (mut sharing, mut findings) = (Sharing::default(), Vec::new());
        for (name, source) in sources {
            findings.push(look(name, source, sharing.account(name, source)).await);
        }
        findings
    });
    if arguments.json {
        let list: Vec<_> = findings.iter().map(Finding::json).collect();
        report::data().line(Value::from(list).to_string())?;
    } else {
        let mut out = report::data();
        for finding in &findings {
            let line = finding.line(out.style);
            out.line(line)?;
        }
    }
    let wrongs = findings.iter().filter_map(|finding| finding.wrong.as_ref());
    match wrongs.map(|wrong| wrong.exit).max_by_key(|exit| *exit == Exit::Configuration) {
        None => Ok(()),
        Some(exit) => Err(Failure::new(exit, "not every token is as it must be; see above")),
    }
}

fn chosen<'c>(config: &'c Config, names: &[String]) -> Result<Vec<(&'c String, &'c Source)>, Failure> {
    if names.is_empty() {
        return Ok(config.sources.iter().collect());
    }
    let find = |name: &String| {
        let missing = || unknown(format!("there is no source {name}"), config.sources.keys());
        config.sources.get_key_value(name).ok_or_else(missing)
    };
    names.iter().map(find).collect()
}

async fn look<'c>(name: &'c str, source: &Source, account: Result<Account, SetupError>) -> Finding<'c> {
    let nothing = Finding { source: name, identity: None, wrong: None, note: None };
    let account = match account {
        Ok(account) => account,
        Err(error) => {
            let (what, cure) = (chain(&error), error.help());
            let exit = setup_failure(error).exit();
            return Finding { wrong: Some(Wrong { exit, reason: "no-token", what, cure }), ..nothing };
        }
    };
    let wrong = |error: &SlackError| Wrong {
        exit: exit(error),
        reason: error.reason(),
        what: chain(error),
        cure: Some(error.cure(&account.token)),
    };
    let identity = match whoami(&account).await {
        Ok(identity) => identity,
        Err(error) => return Finding { wrong: Some(wrong(&error)), ..nothing },
    };
    let lacks = identity.lacks(source.log()).map(|error| wrong(&error));
    let is_copied = account.token.login().is_none() && identity.expires_in.is_some();
    let note = is_copied.then_some(
        "nobody refreshes it: a token that rotates belongs to an [oauth] login (`slackcef auth login`)",
    );
    Finding { identity: Some(identity), wrong: lacks, note, ..nothing }
}

impl Finding<'_> {
    fn line(&self, style: Style) -> String {
        let mark = if self.wrong.is_none() { style.green("ok") } else { style.red("no") };
        let mut text = format!("{mark} {}", self.source);
        if let Some(identity) = &self.identity {
            text.push_str(": ");
            text.push_str(&plain(&described(identity)));
        }
        let mut below = |label: String, what: &str| {
            // Writing to a string cannot fail.
            write!(text, "\n   {label}: {}", plain(what)).unwrap_or_default();
        };
        if let Some(note) = self.note {
            below(style.yellow("note"), note);
        }
        if let Some(Wrong { what, cure, .. }) = &self.wrong {
            below(style.red("error"), what);
            if let Some(cure) = cure {
                below(style.cyan("help"), cure);
            }
        }
        text
    }

    fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("source".to_owned(), self.source.into());
        object.insert("ok".to_owned(), self.wrong.is_none().into());
        if let Some(identity) = &self.identity {
            let Identity {
                user,
                user_id,
                team,
                team_id,
                enterprise_id,
                org_install,
                app_id,
                scopes,
                expires_in,
            } = identity;
            let known = json!({
                "user": user, "user_id": user_id, "team": team, "team_id": team_id, "enterprise_id": enterprise_id,
                "org_install": org_install, "app_id": app_id, "scopes": scopes,
                "expires_in_seconds": expires_in.map(|left| left.as_secs()),
            });
            object.extend(known.as_object().cloned().unwrap_or_default());
        }
        if let Some(note) = self.note {
            object.insert("note".to_owned(), note.into());
        }
        if let Some(Wrong { reason, what, cure, .. }) = &self.wrong {
            object.insert("reason".to_owned(), (*reason).into());
            object.insert("error".to_owned(), what.as_str().into());
            object.insert("help".to_owned(), cure.as_deref().into());
        }
        Value::Object(object)
    }
}

fn described(identity: &Identity) -> String {
    let named = |name: &Option<String>, id: &Option<String>| match (name, id) {
        (Some(name), Some(id)) => format!("{name} ({id})"),
        (name, id) => name.as_ref().or(id.as_ref()).map_or_else(|| "unnamed".to_owned(), Clone::clone),
    };
    let place = match identity.org_install {
        Some(true) => format!("the organization {}", named(&identity.team, &identity.enterprise_id)),
        Some(false) => format!("the workspace {}", named(&identity.team, &identity.team_id)),
        None => named(&identity.team, &identity.team_id),
    };
    let scopes = identity.scopes.as_ref().map_or_else(|| "not said".to_owned(), |scopes| scopes.join(", "));
    let left = identity.expires_in.map_or_else(
        || "does not expire".to_owned(),
        |left| {
            let minutes = left.as_secs() / 60;
            match (minutes / 1_440, minutes / 60) {
                (0, 0) => format!("lives for {minutes} min more"),
                (0, hours) => format!("lives for {hours} h {} min more", minutes % 60),
                (days, hours) => format!("lives for {days} days {} h more", hours % 24),
            }
        },
    );
    format!("{}, for {place}; scopes: {scopes}; {left}", named(&identity.user, &identity.user_id))
}
