//! `max_message`, through the whole program: nothing longer leaves it, what gave way is named in the
//! line, what tells events apart stays, and the count says how many were cut.

use std::fs;

use serde_json::json;
use slackcef::cef;
use slackcef::simulate::slack::{Plan, Slack};

use crate::support::forwarder::{Forwarder, is_of_slack};

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_cut_from_the_end_and_named_and_counted() {
    let text = "wörter = und \\ ".repeat(300);
    let entry = |n: u32, text: &str| {
        json!({
            "id": format!("entry-{n}"), "date_create": 1_766_106_000 + n, "action": "file_downloaded",
            "actor": {"type": "user", "user": {"id": "W0EVE", "name": text, "email": "eve@acme.example"}},
            "entity": {"type": "file", "file": {"id": "F0", "name": "plan.txt", "title": text}},
            "context": {"ip_address": "192.0.2.7", "ua": text}, "details": {"more": text}
        })
        .to_string()
    };
    let given = vec![entry(1, &text), entry(2, "short"), entry(3, &text)];
    let slack =
        Slack::start("127.0.0.1:0".parse().unwrap(), Plan { given, ..Plan::default() }).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let events = dir.path().join("events");
    let destination = format!(
        "[destinations.small]\nmax_message = \"1KiB\"\nheader = \"rfc5424\"\n[destinations.small.file]\npath = {events:?}\n"
    );
    let source =
        "start = \"2018-03-01T00:00:00Z\"\npoll_every = \"1s\"\nsettle = \"2s\"\nrequests_per_minute = 6000";
    let forwarder = Forwarder::new(&slack, source, &destination);
    let mut running = forwarder.start(&["--once"]);
    assert!(running.end().await.success(), "{}", running.log());

    let stored = fs::read_to_string(events).unwrap();
    let messages: Vec<_> = stored.lines().filter(|line| is_of_slack(line)).collect();
    assert_eq!(messages.len(), 3);
    for message in &messages {
        assert!(message.len() <= 1024, "{} bytes", message.len());
        let line = message.split_at(message.find("CEF:0|").unwrap()).1;
        let decoded = cef::decode(line).unwrap();
        for (key, whole) in [("suid", "W0EVE"), ("suser", "eve@acme.example"), ("src", "192.0.2.7")] {
            assert_eq!(decoded.value(key), Some(whole), "{line}");
        }
        let cut = decoded.value("slackcefCut");
        if decoded.value("externalId") == Some("entry-2") {
            assert_eq!(cut, None);
        } else {
            // The order in which things gave way: over their key's length first, then from the end.
            let cut: Vec<_> =
                cut.expect("it says so").split(',').map(|cut| cut.split(':').next().unwrap()).collect();
            assert!(cut.contains(&"cs6") && cut.contains(&"cs1"), "{cut:?}");
            assert_eq!(decoded.value("cs6"), None, "{line}");
        }
    }
    assert!(
        running.log().contains("an event was cut to fit") && running.log().contains("cut=2"),
        "{}",
        running.log()
    );
}
