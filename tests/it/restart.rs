//! The program killed, stopped and started again: nothing is lost, and after a stop nothing comes
//! twice. How much a kill repeats is what the loss test (`tests/loss`) measures.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use slackcef::simulate::receiver::{Arrival, Receiver, ServerTls, Settings};
use slackcef::simulate::slack::{Generated, Pace, Plan, Slack};

use crate::support::certificates::Certificates;
use crate::support::daemon::{PATIENCE, tick};
use crate::support::forwarder::{Forwarder, is_of_slack};

const HERE: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

/// How often each generated entry came, by its index.
#[derive(Debug, Default, Clone)]
struct Seen(Arc<Mutex<HashMap<u64, u32>>>);

impl Seen {
    /// Counts what arrives, for as long as the receiver lives.
    fn watch(&self, mut receiver: Receiver) {
        let seen = self.clone();
        tokio::spawn(async move {
            while let Some(arrival) = receiver.next().await {
                let Arrival::Message(message) = arrival else { continue };
                let text = std::str::from_utf8(&message.text).unwrap();
                if !is_of_slack(text) {
                    continue;
                }
                let id = text.split_once("externalId=").unwrap().1.split(' ').next().unwrap();
                *seen.0.lock().unwrap().entry(Generated::index_of(id).unwrap()).or_default() += 1;
            }
        });
    }

    fn different(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    fn repeats(&self) -> u32 {
        self.0.lock().unwrap().values().map(|times| times - 1).sum()
    }
}

async fn slack(count: u64) -> Slack {
    let generated = Generated {
        count: Some(count),
        pace: Pace::Over(Duration::from_secs(3 * 3600)),
        ..Generated::default()
    };
    Slack::start(SocketAddr::from(HERE), Plan { generated: Some(generated), ..Plan::default() })
        .await
        .unwrap()
}

async fn receiver(certificates: &Certificates) -> Receiver {
    let tls = Some(ServerTls::new(certificates.server()));
    Receiver::start(Settings { tls, ..Settings::default() }).await.unwrap()
}

fn forwarder(slack: &Slack, receiver: SocketAddr, certificates: &Certificates, rate: &str) -> Forwarder {
    Forwarder::new(
        slack,
        "start = \"1d\"\nsettle = \"2s\"\nverify_after = \"off\"\nrequests_per_minute = 1000000",
        &format!(
            "[destinations.siem]\nage = \"100ms\"\n{rate}\n[destinations.siem.tls]\nto = [\"{receiver}\"]\nca = {:?}\n",
            certificates.ca().to_str().unwrap()
        ),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_twenty_times_it_loses_nothing() {
    const COUNT: u64 = 200_000;
    const KILLS: u32 = 20;
    let certificates = Certificates::new();
    let (slack, receiver) = (slack(COUNT).await, receiver(&certificates).await);
    let forwarder = forwarder(&slack, receiver.address(), &certificates, "");
    let seen = Seen::default();
    seen.watch(receiver);

    // A kill falls somewhere within each twentieth of the way, so that all of them hit it at work.
    let mut dice = fastrand::Rng::with_seed(20);
    for kill in 0..KILLS {
        let at = (u64::from(kill) * COUNT + dice.u64(0..COUNT)) / u64::from(KILLS + 1);
        let running = forwarder.start(&["--once"]);
        let start = Instant::now();
        while (seen.different() as u64) < at {
            assert!(start.elapsed() < PATIENCE, "{} of {at}: {}", seen.different(), running.log());
            tick().await;
        }
        running.kill();
    }
    let mut last = forwarder.start(&["--once"]);
    assert!(last.end().await.success(), "{}", last.log());

    let start = Instant::now();
    while seen.different() as u64 != COUNT {
        assert!(start.elapsed() < PATIENCE, "{} of {COUNT} arrived", seen.different());
        tick().await;
    }
    let repeats = seen.repeats();
    println!("{COUNT} events, {KILLS} kills: 0 lost, {repeats} repeated");
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_in_order_it_repeats_nothing() {
    const COUNT: u64 = 30_000;
    let certificates = Certificates::new();
    let (slack, receiver) = (slack(COUNT).await, receiver(&certificates).await);
    let forwarder = forwarder(
        &slack,
        receiver.address(),
        &certificates,
        "rate = { events_per_second = 1000, burst = 500 }",
    );
    let seen = Seen::default();
    seen.watch(receiver);
    for stop in [2_000, 13_000] {
        let mut running = forwarder.start(&[]);
        let start = Instant::now();
        while seen.different() < stop {
            assert!(start.elapsed() < PATIENCE, "{}", running.log());
            tick().await;
        }
        running.ask_to_end();
        assert!(running.end().await.success(), "{}", running.log());
        assert!((seen.different() as u64) < COUNT, "nothing was left to be stopped");
    }
    let mut last = forwarder.start(&["--once"]);
    assert!(last.end().await.success(), "{}", last.log());
    let start = Instant::now();
    while seen.different() as u64 != COUNT {
        assert!(start.elapsed() < PATIENCE, "{} of {COUNT} arrived", seen.different());
        tick().await;
    }
    assert_eq!(seen.repeats(), 0);
}
