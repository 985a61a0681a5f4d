//! The trace of requests to Slack: what it shows, what it never shows, and how it ends.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;
use slackcef::simulate::slack::{Fault, Plan, Slack, Trouble, When};

use crate::support::forwarder::{Forwarder, until};

const SECRETS: [&str; 5] =
    ["xoxp-simulated", "xoxb-1-2-three", "alice@example.com", "bob%40example.com", "B0SECRET/hook"];

fn entry(nth: u32) -> String {
    format!(
        r#"{{"id":"e{nth}","date_create":{at},"action":"user_login","actor":{{"user":{{"email":"alice@example.com","name":"Alice"}}}},"details":{{"token":"xoxb-1-2-three","url":"https://x.example/?u=bob%40example.com","hook":"https:\/\/hooks.slack.com\/services\/T0\/B0SECRET/hook"}}}}"#,
        at = 1_789_990_000 + nth
    )
}

async fn slack(faults: Vec<Fault>) -> Slack {
    let plan = Plan { given: (0..40).map(entry).collect(), faults, ..Plan::default() };
    Slack::start(([127, 0, 0, 1], 0).into(), plan).await.unwrap()
}

fn forwarder(slack: &Slack, trace: &str) -> Forwarder {
    let destinations =
        format!("[destinations.out]\nage = \"0s\"\nfile = {{ path = \"{{dir}}/out\" }}\n{trace}");
    let forwarder =
        Forwarder::new(slack, "start = \"2026-09-01T00:00:00Z\"\npoll_every = \"1s\"\n", &destinations);
    let text = fs::read_to_string(forwarder.config()).unwrap();
    fs::write(forwarder.config(), text.replace("{dir}", forwarder.dir().to_str().unwrap())).unwrap();
    forwarder
}

const ON: &str = "[trace]\ndir = \"{dir}/trace\"\nmax_size = \"1MiB\"\n";

fn lines(dir: &Path) -> Vec<Value> {
    let text = fs::read_to_string(dir.join("trace/slack.ndjson")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn it_shows_what_happened_and_no_secret() {
    let fault = |on, trouble| Fault { when: When::On(vec![on]), trouble };
    let slack = slack(vec![
        fault(2, Trouble::Refused { status: 429, error: Some("ratelimited".into()), retry_after: Some(1) }),
        fault(3, Trouble::CutOff),
    ])
    .await;
    let forwarder = forwarder(&slack, ON);
    let mut running = forwarder.start(&["--once"]);
    let status = running.end().await;
    assert!(status.success(), "{}", running.log());
    assert!(running.log().contains("[trace] is on"), "{}", running.log());
    let file = forwarder.dir().join("trace/slack.ndjson");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&file).unwrap();
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    let lines = lines(forwarder.dir());
    assert_eq!(lines.len() as u64, slack.tally().requests, "each request is there once");
    let page = lines
        .iter()
        .find(|line| line["body"].as_str().is_some_and(|body| body.contains("user_login")))
        .unwrap();
    assert_eq!(page["source"], "acme");
    assert_eq!(page["status"], 200);
    assert!(page["address"].as_str().unwrap().ends_with("/audit/v1/logs"));
    assert!(page["parameters"].as_array().unwrap().iter().any(|pair| pair[0] == "oldest"));
    assert!(page["headers"]["date"].is_string());
    // Names stay: the README says so.
    let body = page["body"].as_str().unwrap();
    assert!(body.contains(r#""email":"[e-mail]","name":"Alice""#) && body.len() <= 4096, "{body}");
    let limited = lines.iter().find(|line| line["status"] == 429).unwrap();
    assert_eq!(limited["headers"]["retry-after"], "1");
    assert!(
        lines.iter().any(|line| line["error"]
            .as_str()
            .is_some_and(|text| text.starts_with("the answer was cut off")))
    );
}

#[tokio::test]
async fn it_goes_on_and_off_while_the_service_runs() {
    let slack = slack(Vec::new()).await;
    let forwarder = forwarder(&slack, "");
    let text = fs::read_to_string(forwarder.config()).unwrap();
    let mut running = forwarder.start(&[]);
    until(&running, || slack.tally().pages > 0).await;
    assert!(!forwarder.dir().join("trace").exists(), "off unless it is named");
    let on = ON.replace("{dir}", forwarder.dir().to_str().unwrap());
    fs::write(forwarder.config(), format!("{text}{on}")).unwrap();
    running.signal("HUP");
    until(&running, || !lines(forwarder.dir()).is_empty()).await;
    assert!(running.log().contains("requests to Slack are traced from now on"), "{}", running.log());
    assert!(!running.log().contains("the source ends"), "no source begins anew for it: {}", running.log());
    fs::write(forwarder.config(), &text).unwrap();
    running.signal("HUP");
    until(&running, || running.log().contains("requests to Slack are traced no more")).await;
    let (held, asked) = (lines(forwarder.dir()).len(), slack.tally().requests);
    until(&running, || slack.tally().requests >= asked + 3).await;
    // One may have been under way.
    assert!(lines(forwarder.dir()).len() <= held + 1);
    running.ask_to_end();
    assert!(running.end().await.success());
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_told_at_the_start() {
    let slack = slack(Vec::new()).await;
    let forwarder = forwarder(&slack, ON);
    fs::write(forwarder.dir().join("trace"), "a file").unwrap();
    let mut running = forwarder.start(&["--once"]);
    assert_eq!(running.end().await.code(), Some(78));
    assert!(running.log().contains("the trace cannot be written to"), "{}", running.log());
}
