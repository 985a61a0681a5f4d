//! What the demo plays on: the stand-ins, a configuration that joins them, and the story.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use crate::config::Config;
use crate::report::{Exit, Failure};
use crate::simulate::authority::{Authority, LOCAL, Term};
use crate::simulate::receiver::{Receiver, ServerTls, Settings};
use crate::simulate::slack::{Fault, Plan, Slack, Trouble, When};

/// Both ends, waiting.
pub(super) struct Scene {
    /// Gone when dropped.
    pub(super) folder: TempDir,
    pub(super) slack: Slack,
    pub(super) receiver: Receiver,
    pub(super) config: Config,
}

impl Scene {
    pub(super) async fn set() -> Result<Self, Failure> {
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        let folder = tempfile::Builder::new().prefix("slackcef-demo-").tempdir().map_err(unset)?;
        let authority = Authority::new("slackcef demo").map_err(unset)?;
        let identity = authority.server(&LOCAL, Term::Now).map_err(unset)?;
        let receiver = Settings { listen: here, tls: Some(ServerTls::new(identity)), ..Settings::default() };
        let receiver = Receiver::start(receiver).await.map_err(unset)?;
        let error_page = Fault { when: When::On(vec![4]), trouble: Trouble::Html { status: 500 } };
        let plan = Plan { faults: vec![error_page], ..Plan::default() };
        let slack = Slack::start(here, plan).await.map_err(unset)?;
        let (ca, token) = (folder.path().join("ca.pem"), folder.path().join("token"));
        fs::write(&ca, authority.pem()).map_err(unset)?;
        fs::write(&token, slack.token()).map_err(unset)?;
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).map_err(unset)?;
        let text = format!(
            r#"version = 1

[state]
dir = "{state}"

[sources.demo]
log = "audit"
token = {{ file = "{token}" }}
base_url = "{slack}"
poll_every = "1s"
settle = "2s"
verify_after = "off"
requests_per_minute = 600

[destinations.siem]
age = "1s"

[destinations.siem.tls]
to = ["{receiver}"]
ca = "{ca}"

[telemetry]
listen = "off"
"#,
            state = folder.path().join("state").display(),
            token = token.display(),
            ca = ca.display(),
            slack = slack.base_url(),
            receiver = receiver.address(),
        );
        let config = Config::parse("demo", &text).map_err(Failure::of_problems)?;
        Ok(Self { folder, slack, receiver, config })
    }
}

fn unset(error: impl std::error::Error + 'static) -> Failure {
    Failure::new(Exit::Unavailable, "the demo cannot be set up on this machine").because(&error)
}

/// The story: an account is taken over, used, and stopped.
pub(super) fn story() -> impl ExactSizeIterator<Item = &'static str> {
    let lines: Vec<_> = include_str!("story.ndjson").lines().collect();
    lines.into_iter()
}

/// An entry that has happened.
pub(super) struct Told {
    pub(super) json: String,
    /// What to look at.
    pub(super) remark: Option<&'static str>,
}

impl Told {
    pub(super) fn at(seconds: i64, line: &str) -> Self {
        let json = line.replacen(r#","action""#, &format!(r#","date_create":{seconds},"action""#), 1);
        let remark = REMARKS.iter().find(|(action, _)| line.contains(action)).map(|(_, remark)| *remark);
        Self { json, remark }
    }

    pub(super) fn shortened(&self, characters: usize) -> String {
        let start: String = self.json.chars().take(characters).collect();
        format!("{start}…")
    }
}

const REMARKS: &[(&str, &str)] = &[
    ("\"private_channel_created\"", "its name holds a whole forged event: it stays inside its field"),
    ("2001:db8:", "an IPv6 address goes where CEF:0 wants it, with its label"),
    ("quantum_widget", "an action that nobody has mapped yet: delivered all the same, and named in the log"),
];
