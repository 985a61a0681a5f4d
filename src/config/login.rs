//! `[oauth.NAME]`: the app of a login, whose tokens `slackcef auth login NAME` gets and rotates.

use std::path::{Path, PathBuf};

use super::reach::{self, Reach};
use super::reader::Section;
use super::secret::{self, SecretFrom};
use super::source::base_url;
use crate::slack::BaseUrl;
use crate::slack::oauth::Keep;

/// One login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Its name.
    pub name: String,
    /// Slack's id of the app.
    pub client_id: String,
    /// Where the app's secret is.
    pub client_secret: SecretFrom,
    /// Where Slack is.
    pub base_url: BaseUrl,
    /// How it is reached.
    pub reach: Reach,
    /// The user scopes to ask for; those that its sources need where none are named.
    pub scopes: Vec<String>,
    /// The folder that its tokens are kept in.
    pub dir: PathBuf,
}

impl Login {
    /// Where its tokens are kept.
    pub fn keep(&self) -> Keep {
        Keep::new(self.dir.clone(), &self.name)
    }
}

pub(super) fn read(section: &Section<'_, '_>, name: &str, state: &Path, reach: &Reach) -> Option<Login> {
    let client_id = read_client_id(section);
    let client_secret = read_client_secret(section);
    let base_url = section.parsed("base_url", base_url).unwrap_or_default();
    let reach = reach::read(section, reach);
    let scopes = section.texts("scopes").unwrap_or_default();
    let is_scope = |text: &str| !text.is_empty() && !text.contains([',', ' ']);
    if let Some(word) = scopes.iter().find(|word| !is_scope(word.text)) {
        let what = format!("`{}` is no scope", word.text);
        section.problem(
            &word.span,
            "bad-value",
            what,
            "write each scope as a text of its own: [\"auditlogs:read\", \"admin\"]",
        );
    }
    section.finish();
    Some(Login {
        name: name.to_owned(),
        client_id: client_id?,
        client_secret: client_secret?,
        base_url,
        reach,
        scopes: scopes.into_iter().map(|word| word.text.to_owned()).collect(),
        dir: state.join("oauth"),
    })
}

fn read_client_id(section: &Section<'_, '_>) -> Option<String> {
    const HELP: &str = "copy it from Basic Information of the app at https://api.slack.com/apps; `slackcef auth login NAME --print-manifest` prints what an app is made of";
    let Some(place) = section.place("client_id") else {
        section.problem(&section.span(), "missing", "the login has no `client_id`", HELP);
        return None;
    };
    let word = section.text("client_id")?;
    // It is the first half of an Authorization header, which a colon would end.
    if word.text.is_empty() || !word.text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':') {
        section.problem(&place, "bad-value", "this is no `client_id`", HELP);
        return None;
    }
    Some(word.text.to_owned())
}

fn read_client_secret(section: &Section<'_, '_>) -> Option<SecretFrom> {
    const HELP: &str = "write `client_secret = { env = \"SLACK_CLIENT_SECRET\" }`, `{ file = \"…\" }`, `{ credential = \"…\" }` or `{ command = [\"…\"] }`";
    let Some(place) = section.place("client_secret") else {
        section.problem(&section.span(), "missing", "the login has no `client_secret`", HELP);
        return None;
    };
    let given = section.section("client_secret")?;
    secret::read(section, "client_secret", &place, &given, HELP)
}
