//! The simulated Slack, asked over HTTP.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

use serde_json::Value;
use slackcef::event::UnixTime;
use slackcef::simulate::slack::*;

const NOW: i64 = 1_790_000_000;

async fn start(plan: Plan) -> Slack {
    Slack::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), plan).await.unwrap()
}

fn plan() -> Plan {
    Plan { clock: Clock::Fixed(UnixTime::from_seconds(NOW)), ..Plan::default() }
}

/// A client that does nothing by itself.
fn client() -> reqwest::Client {
    reqwest::Client::builder().no_gzip().no_proxy().build().unwrap()
}

async fn ask(slack: &Slack, query: &[(&str, &str)]) -> reqwest::Response {
    let url = format!("{}/audit/v1/logs", slack.base_url());
    client().get(url).bearer_auth(slack.token()).query(query).send().await.unwrap()
}

async fn page(slack: &Slack, query: &[(&str, &str)]) -> Value {
    let response = ask(slack, query).await;
    assert_eq!(response.status(), 200);
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

fn ids(page: &Value) -> Vec<String> {
    page["entries"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect()
}

/// Pages through a window as a careful client does.
async fn walk(slack: &Slack, oldest: i64, latest: i64, limit: usize) -> Vec<String> {
    let (oldest, latest, limit) = (oldest.to_string(), latest.to_string(), limit.to_string());
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let mut query = vec![("oldest", oldest.as_str()), ("latest", &latest), ("limit", &limit)];
        if !cursor.is_empty() {
            query.push(("cursor", &cursor));
        }
        let page = page(slack, &query).await;
        all.extend(ids(&page));
        cursor = page["response_metadata"]["next_cursor"].as_str().unwrap_or_default().to_owned();
        if cursor.is_empty() {
            return all;
        }
    }
}

#[tokio::test]
async fn every_made_up_entry_arrives_once() {
    let generated = Generated { count: Some(5_000), ..Generated::default() };
    let slack = start(Plan { generated: Some(generated), ..plan() }).await;
    let all = walk(&slack, 0, NOW, 200).await;
    assert_eq!(all.len(), 5_000);
    let places: BTreeSet<u64> = all.iter().map(|id| Generated::index_of(id).unwrap()).collect();
    assert_eq!(places, (0..5_000).collect());
    assert!(slack.tally().pages >= 20);
    slack.stop().await.unwrap();
}
