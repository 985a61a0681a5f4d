//! The whole path to receivers that misbehave: whatever they do, each event arrives, what is sent
//! again is the same to the byte, and the destination's standing says what is wrong.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use slackcef::config::Config;
use slackcef::pipeline::{App, Finished, Mode, RunError, Standing, State};
use slackcef::simulate::authority::Authority;
use slackcef::simulate::receiver::{Arrival, Fault, Receiver, ServerTls, Settings};
use slackcef::simulate::slack::{Generated, Pace, Plan, Slack};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::support::arrived;
use crate::support::certificates::Certificates;
use crate::support::daemon::{PATIENCE, tick};
use crate::support::forwarder::Forwarder;
use crate::support::proxy::{Mode as Passing, Proxy};

const HERE: ([u8; 4], u16) = ([127, 0, 0, 1], 0);
/// A few batches, and less than the kernel's buffers hold.
const FEW: u64 = 3_000;
/// More than they hold.
const MANY: u64 = 12_000;

/// What the events travel over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    Tcp,
    OldTls,
    Tls,
}

const ALL: [Over; 3] = [Over::Tcp, Over::OldTls, Over::Tls];

/// Runs a test over each, side by side.
async fn over_all<Run>(test: impl Fn(Over) -> Run)
where
    Run: Future<Output = ()> + Send + 'static,
{
    let running = ALL.map(|over| (over, tokio::spawn(test(over))));
    let mut failed = Vec::new();
    for (over, running) in running {
        if running.await.is_err() {
            failed.push(over);
        }
    }
    assert!(failed.is_empty(), "it failed over {failed:?}, as told above");
}

/// What has arrived of Slack's entries.
#[derive(Debug, Default, Clone)]
struct Seen(Arc<Mutex<Arrived>>);

#[derive(Debug, Default)]
struct Arrived {
    /// By their index: the message, and how often it came.
    events: HashMap<u64, (String, u32)>,
    connections: u64,
    /// How each connection ended.
    ends: Vec<String>,
    /// Entries of which a repeat was another text.
    unlike: Vec<u64>,
}

impl Seen {
    /// Counts what arrives, for as long as the task lives.
    fn watch(&self, mut receiver: Receiver) -> JoinHandle<()> {
        let seen = self.clone();
        tokio::spawn(async move {
            while let Some(arrival) = receiver.next().await {
                seen.note(arrival);
            }
        })
    }

    fn note(&self, arrival: Arrival) {
        let mut arrived = self.0.lock().unwrap();
        match arrival {
            Arrival::Connected { .. } => arrived.connections += 1,
            Arrival::Message(message) => {
                let text = String::from_utf8(message.text.to_vec()).unwrap();
                let Some(id) = arrived::id(&text) else { return };
                let index = Generated::index_of(id).unwrap();
                let (first, times) = arrived.events.entry(index).or_insert_with(|| (text.clone(), 0));
                *times += 1;
                if *first != text {
                    arrived.unlike.push(index);
                }
            }
            Arrival::Ended { connection, torn, how } => {
                arrived.ends.push(format!("{connection}: {how:?}, {} bytes torn", torn.len()));
            }
            Arrival::Refused { .. } => {}
        }
    }

    fn different(&self) -> u64 {
        u64::try_from(self.0.lock().unwrap().events.len()).unwrap()
    }

    fn repeats(&self) -> u32 {
        self.0.lock().unwrap().events.values().map(|(_, times)| times - 1).sum()
    }

    /// The entries that have not come, and how connections ended.
    fn missing(&self, count: u64) -> (Vec<u64>, Vec<String>) {
        let arrived = self.0.lock().unwrap();
        let missing = (0..count).filter(|index| !arrived.events.contains_key(index)).collect();
        (missing, arrived.ends.clone())
    }

    fn connections(&self) -> u64 {
        self.0.lock().unwrap().connections
    }

    fn assert_alike(&self) {
        let arrived = self.0.lock().unwrap();
        assert!(arrived.unlike.is_empty(), "repeats that differ: {:?}", arrived.unlike);
    }
}

/// A Slack that has so many entries, all in the past.
async fn slack(count: u64) -> Slack {
    let pace = Pace::Over(Duration::from_secs(3 * 3600));
    let generated = Generated { count: Some(count), pace, ..Generated::default() };
    Slack::start(SocketAddr::from(HERE), Plan { generated: Some(generated), ..Plan::default() })
        .await
        .unwrap()
}

/// The path at work between the two.
struct Path {
    forwarder: Forwarder,
    standing: watch::Receiver<Standing>,
    stop: Box<dyn Fn() + Send>,
    running: JoinHandle<Result<Finished, RunError>>,
    /// The source's end; without it there is nothing to poll.
    _slack: Slack,
}

impl Path {
    /// Begins to deliver to `to`.
    async fn start(slack: Slack, over: Over, to: SocketAddr, certificates: &Certificates) -> Self {
        let ca = certificates.ca();
        let table = match over {
            Over::Tcp => format!("[destinations.siem.tcp]\nto = [\"{to}\"]\nframing = \"octet-counting\"\n"),
            Over::Tls | Over::OldTls => {
                format!("[destinations.siem.tls]\nto = [\"{to}\"]\nca = {:?}\n", ca.to_str().unwrap())
            }
        };
        let forwarder = Forwarder::new(
            &slack,
            "start = \"1d\"\nsettle = \"2s\"\nverify_after = \"off\"\npoll_every = \"2s\"\nrequests_per_minute = 1000000",
            &format!("[destinations.siem]\nage = \"200ms\"\n{table}"),
        );
        let config = Config::load(forwarder.config().as_ref()).unwrap();
        let running = App::build(&config).await.unwrap().start(Mode::Forever);
        let standing = running.standings().borrow()[0].standing.clone();
        let stop = Box::new(running.stopper());
        Self { forwarder, standing, stop, running: tokio::spawn(running.finish()), _slack: slack }
    }

    /// Waits for a standing.
    async fn until(&mut self, what: &str, is_so: impl FnMut(&Standing) -> bool) -> Standing {
        let found =
            timeout(5 * PATIENCE, self.standing.wait_for(is_so)).await.map(|found| found.unwrap().clone());
        found.unwrap_or_else(|_| panic!("never {what}: {:?}", *self.standing.borrow()))
    }

    /// Waits until the last fault says this.
    async fn until_fault(&mut self, text: &str) -> Standing {
        let says = |standing: &Standing| {
            standing.fault.as_ref().is_some_and(|fault| {
                fault.what.contains(text) || fault.help.as_ref().is_some_and(|help| help.contains(text))
            })
        };
        self.until(text, says).await
    }

    /// Waits until all of it has arrived, stops in order, and says what it came to.
    async fn finish(mut self, seen: &Seen, count: u64) -> Standing {
        let start = Instant::now();
        while seen.different() < count {
            let standing = self.standing.borrow().clone();
            assert!(
                start.elapsed() < PATIENCE,
                "{} of {count}: {standing:?}, {:?}",
                seen.different(),
                seen.missing(count)
            );
            assert!(!self.running.is_finished(), "it ended: {standing:?}");
            tick().await;
        }
        self.until("all confirmed", |standing| standing.unconfirmed == 0).await;
        self.stop().await
    }

    async fn stop(self) -> Standing {
        (self.stop)();
        let finished = timeout(PATIENCE, self.running).await.expect("it ends").unwrap().unwrap();
        assert!(!finished.destinations[0].1.gave_up, "{:?}", *self.standing.borrow());
        let counts = finished.destinations[0].1.counts;
        Standing { counts, ..self.standing.borrow().clone() }
    }
}

fn settings(over: Over, certificates: &Certificates) -> Settings {
    let tls = |only_tls_1_2| ServerTls { only_tls_1_2, ..ServerTls::new(certificates.server()) };
    let tls = match over {
        Over::Tcp => None,
        Over::OldTls => Some(tls(true)),
        Over::Tls => Some(tls(false)),
    };
    Settings { tls, ..Settings::default() }
}

/// Delivers `count` entries to a receiver that errs like this: nothing is lost, and what is repeated is
/// alike.
async fn delivered(over: Over, count: u64, errs: impl FnOnce(Settings) -> Settings) -> (Standing, Seen) {
    let certificates = Certificates::new();
    let receiver = Receiver::start(errs(settings(over, &certificates))).await.unwrap();
    let to = receiver.address();
    let seen = Seen::default();
    let watching = seen.watch(receiver);
    let path = Path::start(slack(count).await, over, to, &certificates).await;
    let standing = path.finish(&seen, count).await;
    watching.abort();
    seen.assert_alike();
    (standing, seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_receiver_is_waited_for() {
    over_all(|over| async move {
        let certificates = Certificates::new();
        let receiver = Receiver::start(Settings {
            receive_buffer: Some(16 * 1024),
            afterwards: Fault::PauseAfter(500, Duration::from_secs(13)),
            ..settings(over, &certificates)
        });
        let receiver = receiver.await.unwrap();
        let to = receiver.address();
        let seen = Seen::default();
        let watching = seen.watch(receiver);
        let path = Path::start(slack(MANY).await, over, to, &certificates).await;
        // How much of it the kernels hold is theirs to say, and so whether it shows as stalled.
        let standing = path.finish(&seen, MANY).await;
        assert_eq!((seen.repeats(), standing.counts.failures), (0, 0), "{over:?}: {standing:?}");
        watching.abort();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn resets_in_mid_frame_lose_nothing() {
    over_all(|over| async move {
        let resets = [1, 1_000, 100_000, 777_777, 50_001];
        let (standing, seen) = delivered(over, FEW, |settings| Settings {
            faults: resets.map(Fault::ResetAfter).to_vec(),
            ..settings
        })
        .await;
        let fault = standing.fault.clone().expect("it is told of");
        assert!(fault.what.contains("broke"), "{over:?}: {fault:?}");
        assert!(standing.counts.failures > 0, "{over:?}: {standing:?}");
        assert!(u64::from(seen.repeats()) <= 5 * FEW, "{over:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_closes_at_once_gets_everything_in_the_end() {
    over_all(|over| async move {
        for fault in [Fault::CloseAtOnce, Fault::HangUpAfter(0)] {
            let (standing, seen) =
                delivered(over, FEW, |settings| Settings { faults: vec![fault; 4], ..settings }).await;
            let said = standing.fault.clone().expect("it is told of");
            assert!(
                said.what.contains("at once") || said.what.contains("during the TLS handshake"),
                "{over:?} {fault:?}: {said:?}"
            );
            assert_eq!(seen.repeats(), 0, "{over:?} {fault:?}: nothing of it was ever read");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_refused_after_the_handshake_settles_nothing() {
    let certificates = Certificates::new();
    let strict = Settings {
        tls: Some(ServerTls {
            clients_of: Some(Authority::new("Somebody else").unwrap().pem()),
            ..ServerTls::new(certificates.server())
        }),
        ..Settings::default()
    };
    let receiver = Receiver::start(strict).await.unwrap();
    let to = receiver.address();
    let mut path = Path::start(slack(FEW).await, Over::Tls, to, &certificates).await;
    let standing = path.until_fault("client certificate").await;
    assert_eq!(standing.counts.delivered, 0);
    path.until("down", |standing| standing.state == State::Down).await;
    receiver.stop().await;
    let lenient = Settings { listen: to, ..settings(Over::Tls, &certificates) };
    let seen = Seen::default();
    let watching = seen.watch(Receiver::start(lenient).await.unwrap());
    let standing = path.finish(&seen, FEW).await;
    assert_eq!(seen.repeats(), 0, "{standing:?}");
    watching.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_answers_with_data_is_read_and_not_heeded() {
    over_all(|over| async move {
        for pause in [1, 100] {
            let (standing, seen) = delivered(over, MANY, |settings| Settings {
                afterwards: Fault::Talk(Duration::from_millis(pause)),
                ..settings
            })
            .await;
            assert_eq!((seen.repeats(), standing.counts.failures), (0, 0), "{over:?}: {standing:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_a_second_is_slow_and_no_failure() {
    over_all(|over| async move {
        let certificates = Certificates::new();
        let slow = Settings {
            receive_buffer: Some(16 * 1024),
            afterwards: Fault::Slow(1),
            ..settings(over, &certificates)
        };
        let receiver = Receiver::start(slow).await.unwrap();
        let to = receiver.address();
        let slowly = Seen::default();
        let mut path = Path::start(slack(MANY).await, over, to, &certificates).await;
        let standing = path.until("stalled", |standing| standing.state == State::Stalled).await;
        assert_eq!((standing.counts.delivered, standing.counts.failures), (0, 0), "{over:?}: {standing:?}");
        receiver.stop().await;
        let seen = slowly.clone();
        let quick = Settings { listen: to, ..settings(over, &certificates) };
        let watching = seen.watch(Receiver::start(quick).await.unwrap());
        path.finish(&seen, MANY).await;
        seen.assert_alike();
        assert_eq!(seen.repeats(), 0, "{over:?}: what the slow one had is not counted here");
        watching.abort();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_gone_and_back_misses_nothing() {
    over_all(|over| async move {
        let away = Duration::from_secs(1);
        let faults =
            vec![Fault::GoAwayAfter(700, away), Fault::GoAwayAfter(0, away), Fault::GoAwayAfter(1, away)];
        let (standing, _) = delivered(over, FEW, |settings| Settings { faults, ..settings }).await;
        assert!(standing.counts.failures >= 3, "{over:?}: {standing:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_event_is_found_and_put_aside_while_the_others_arrive() {
    over_all(|over| async move {
        // Where what was read shows at a connection's end alone, an end in order may come when it is
        // asked for: then it says that the event was read, and nobody can tell it from a receipt.
        let ends: &[bool] = if matches!(over, Over::Tls) { &[false, true] } else { &[true] };
        for &resets in ends {
            let certificates = Certificates::new();
            let poison = Generated::default().id_of(1_234);
            let errs = Settings {
                poison: Some(format!("externalId={poison} ")),
                poison_resets: resets,
                ..settings(over, &certificates)
            };
            let receiver = Receiver::start(errs).await.unwrap();
            let to = receiver.address();
            let seen = Seen::default();
            let watching = seen.watch(receiver);
            let mut path = Path::start(slack(FEW).await, over, to, &certificates).await;
            path.until("put aside", |standing| standing.counts.dead_letters > 0).await;
            let folder = path.forwarder.dir().join("state/dead-letters");
            let letters = fs::read_to_string(folder.join("siem.ndjson")).unwrap();
            let standing = path.finish(&seen, FEW - 1).await;
            assert_eq!(standing.counts.dead_letters, 1, "{over:?} resets: {resets}");
            assert_eq!(letters.lines().count(), 1, "{letters}");
            let letter: serde_json::Value = serde_json::from_str(&letters).unwrap();
            assert!(letter["message"].as_str().unwrap().contains(&poison), "{letters}");
            assert!(!seen.0.lock().unwrap().events.contains_key(&1_234));
            seen.assert_alike();
            watching.abort();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_ignores_key_updates_gets_everything_once() {
    let (standing, seen) = delivered(Over::Tls, FEW, |settings| {
        let tls = settings.tls.map(|tls| ServerTls { ignores_key_updates: true, ..tls });
        Settings { tls, ..settings }
    })
    .await;
    assert_eq!((seen.repeats(), standing.counts.failures), (0, 0), "{standing:?}");
}

/// A path through a proxy to a good receiver.
async fn through_a_proxy(over: Over, count: u64, certificates: &Certificates) -> (Proxy, Path, Seen) {
    let receiver = Receiver::start(settings(over, certificates)).await.unwrap();
    let proxy = Proxy::start(receiver.address());
    let seen = Seen::default();
    // The receiver lives as long as the test.
    let _watching = seen.watch(receiver);
    let path = Path::start(slack(count).await, over, proxy.address(), certificates).await;
    (proxy, path, seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_swallows_everything_for_a_while_costs_nothing() {
    over_all(|over| async move {
        let certificates = Certificates::new();
        let (proxy, path, seen) = through_a_proxy(over, MANY, &certificates).await;
        proxy.until(|carried| carried.bytes > 200_000).await;
        proxy.set(Passing::Blackhole);
        let (before, start) = (proxy.seen().bytes, Instant::now());
        while start.elapsed() < Duration::from_secs(3) {
            tick().await;
        }
        assert_eq!(proxy.seen().bytes, before);
        proxy.set(Passing::Forward);
        let standing = path.finish(&seen, MANY).await;
        assert_eq!((seen.repeats(), standing.counts.failures), (0, 0), "{over:?}: {standing:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dying_proxy_had_acknowledged_is_sent_again() {
    over_all(|over| async move {
        let certificates = Certificates::new();
        let (proxy, mut path, seen) = through_a_proxy(over, MANY, &certificates).await;
        for round in 1..=3 {
            proxy.until(|carried| carried.bytes > round * 100_000).await;
            proxy.set(Passing::Discard);
            let unconfirmed = |standing: &Standing| standing.unconfirmed > 0;
            path.until("on the way", unconfirmed).await;
            proxy.reset().await;
            proxy.set(Passing::Forward);
        }
        path.finish(&seen, MANY).await;
        seen.assert_alike();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cuts_at_any_byte_by_the_network_lose_nothing() {
    over_all(|over| async move {
        let certificates = Certificates::new();
        let receiver = Receiver::start(settings(over, &certificates)).await.unwrap();
        let proxy = Proxy::start(receiver.address());
        for bytes in [0, 1, 300, 5_000, 77_777, 400_003] {
            proxy.cut_next_after(bytes);
        }
        let seen = Seen::default();
        let watching = seen.watch(receiver);
        let path = Path::start(slack(FEW).await, over, proxy.address(), &certificates).await;
        let standing = path.finish(&seen, FEW).await;
        assert!(standing.counts.failures > 0 && seen.connections() > 1, "{over:?}: {standing:?}");
        seen.assert_alike();
        watching.abort();
    })
    .await;
}

/// In a network namespace a machine can vanish: an address that is taken away answers nothing any more,
/// and that is all that there is to see.
mod half_open {
    use std::process::Command;

    use slackcef::syslog::{Endpoint, Failure, Frames, Framing, Settings as Sending, Sink, Timeouts};

    use super::*;

    const INSIDE: &str = "misbehaving::half_open::inside_a_namespace";

    #[test]
    fn a_machine_that_vanishes_is_given_up_and_the_next_is_used() {
        let possible = Command::new("unshare").args(["-Urn", "ip", "link", "show", "lo"]).output();
        if !possible.is_ok_and(|output| output.status.success()) {
            println!("skipped: no network namespaces here (unshare -Urn ip link)");
            return;
        }
        let this = std::env::current_exe().unwrap();
        let inside = Command::new("unshare")
            .arg("-Urn")
            .arg(this)
            .args([INSIDE, "--exact", "--ignored", "--nocapture"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&inside.stdout).into_owned();
        assert!(
            inside.status.success() && said.contains("1 passed"),
            "{said}{}",
            String::from_utf8_lossy(&inside.stderr)
        );
    }

    fn ip(arguments: &str) {
        let status = Command::new("ip").args(arguments.split(' ')).status().unwrap();
        assert!(status.success(), "ip {arguments}");
    }

    async fn receiver(address: &str) -> Receiver {
        let listen = format!("{address}:6514").parse().unwrap();
        Receiver::start(Settings { listen, beyond_this_machine: true, ..Settings::default() }).await.unwrap()
    }

    fn batch(text: &str) -> Frames {
        let mut frames = Frames::new(Framing::OctetCounting);
        frames.push(|buffer| buffer.extend_from_slice(text.as_bytes()));
        frames
    }

    #[tokio::test]
    #[ignore = "changes the network: it is run in a namespace of its own by the test above"]
    async fn inside_a_namespace() {
        ip("link set lo up");
        ip("addr add 10.99.0.1/32 dev lo");
        ip("addr add 10.99.0.2/32 dev lo");
        let (mut first, mut second) = (receiver("10.99.0.1").await, receiver("10.99.0.2").await);
        let dead = Duration::from_secs(2);
        let timeouts = Timeouts { dead, ..Timeouts::default() };
        let endpoints = [&first, &second].map(|receiver| Endpoint::tcp(receiver.address()));
        let mut sink = Sink::new(endpoints.to_vec(), Sending { timeouts, ..Sending::default() });
        let text = |message: slackcef::simulate::receiver::Message| {
            String::from_utf8(message.text.to_vec()).unwrap()
        };
        sink.deliver(batch("<1>one")).await.unwrap();
        assert_eq!(text(first.next_message().await.unwrap()), "<1>one");

        ip("addr del 10.99.0.1/32 dev lo");
        let start = Instant::now();
        let failed =
            timeout(PATIENCE, sink.deliver(batch("<1>two"))).await.expect("it is noticed").unwrap_err();
        assert!(matches!(failed.failures(), [(_, Failure::Silent { .. })]), "{failed}");
        assert!(start.elapsed() >= dead);
        while timeout(PATIENCE, sink.deliver(batch("<1>two"))).await.expect("it answers").is_err() {}
        assert_eq!(text(second.next_message().await.unwrap()), "<1>two");
    }
}
