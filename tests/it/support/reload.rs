//! What the tests of things that change while the program runs share: a Slack that is asked each
//! second, and files that take its events.

use std::fs;
use std::path::Path;

use slackcef::cef::{self, Decoded};
use slackcef::simulate::slack::{Plan, Slack};

/// The lines of a source that is asked each second.
pub(crate) const SOURCE: &str =
    "start = \"1d\"\npoll_every = \"1s\"\nsettle = \"1s\"\nrequests_per_minute = 1000000";

/// A Slack on a free port of this machine.
pub(crate) async fn slack(plan: Plan) -> Slack {
    Slack::start(([127, 0, 0, 1], 0).into(), plan).await.unwrap()
}

/// Somebody logs in at Slack.
pub(crate) fn login(slack: &Slack, id: &str) {
    let now = slack.now();
    slack.push(&format!(r#"{{"id":"{id}","date_create":{now},"action":"user_login"}}"#)).unwrap();
}

/// A mapping that says which edition it is.
pub(crate) fn edition(name: &str) -> String {
    format!("version = 1\nlog = \"audit\"\n[fields]\nAcmeEdition = \"{name}\"\n")
}

/// The lines of a file, which need not be there yet.
pub(crate) fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    // The last line may still be on its way.
    let (whole, _) = text.rsplit_once('\n').unwrap_or_default();
    whole.lines().map(str::to_owned).collect()
}

/// The events of Slack's entries in a file, in the order in which they came.
pub(crate) fn of_slack(path: &Path) -> Vec<Decoded> {
    events(path).into_iter().filter(|event| event.product != "slackcef").collect()
}

/// The forwarder's own events of that class in a file.
pub(crate) fn own(path: &Path, class_id: &str) -> Vec<Decoded> {
    let is_it = |event: &Decoded| event.product == "slackcef" && event.class_id == class_id;
    events(path).into_iter().filter(is_it).collect()
}

fn events(path: &Path) -> Vec<Decoded> {
    lines(path).iter().map(|line| cef::decode(line).unwrap()).collect()
}
