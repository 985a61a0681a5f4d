//! The program killed, stopped and started again: nothing is lost, and after a stop nothing comes
//! twice. How much a kill repeats is what the loss test (`tests/loss`) measures.

use std::net::SocketAddr;
use std::time::Duration;

use slackcef::simulate::receiver::{Receiver, ServerTls, Settings};
use slackcef::simulate::slack::{Generated, Pace, Plan, Slack};

use crate::support::arrived::Arrived;
use crate::support::certificates::Certificates;
use crate::support::forwarder::Forwarder;

const HERE: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

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
    let arrived = Arrived::at(receiver);

    // A kill falls somewhere within each twentieth of the way, so that all of them hit it at work.
    let mut dice = fastrand::Rng::with_seed(20);
    for kill in 0..KILLS {
        let at = (u64::from(kill) * COUNT + dice.u64(0..COUNT)) / u64::from(KILLS + 1);
        let running = forwarder.start(&["--once"]);
        arrived.until(at, &running).await;
        running.kill();
    }
    let mut last = forwarder.start(&["--once"]);
    assert!(last.end().await.success(), "{}", last.log());
    arrived.until(COUNT, &last).await;
    assert_eq!(arrived.different(), COUNT);
    let repeats = arrived.repeats();
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
    let arrived = Arrived::at(receiver);
    for stop in [2_000, 13_000] {
        let mut running = forwarder.start(&[]);
        arrived.until(stop, &running).await;
        running.ask_to_end();
        assert!(running.end().await.success(), "{}", running.log());
        assert!(arrived.different() < COUNT, "nothing was left to be stopped");
    }
    let mut last = forwarder.start(&["--once"]);
    assert!(last.end().await.success(), "{}", last.log());
    arrived.until(COUNT, &last).await;
    assert_eq!(arrived.different(), COUNT);
    assert_eq!(arrived.repeats(), 0);
}
