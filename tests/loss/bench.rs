//! One run: a source, a sender, perhaps a proxy, a receiver; what disturbs them, and what came of it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use slackcef::event::UnixTime;
use slackcef::simulate::slack::{Generated, Pace, Pages, Plan, Slack};

use super::Load;
use super::others::{Other, Who};
use super::process::tick;
use super::proxy::Proxy;
use super::receiver::{Receiver, free_port};
use super::scenario::{Scenario, confirms_soon, must_not_lose};
use super::sender::Sender;
use super::tally::{Counts, Tally};
use super::transport::{Place, Transport, Wire};
use super::trust::{Trust, Which};

/// Which run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) who: Who,
    pub(crate) transport: &'static Transport,
    pub(crate) scenario: Scenario,
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) run: Run,
    pub(crate) lost: u64,
    pub(crate) counts: Counts,
    pub(crate) seconds: u64,
    /// Why it failed; none for one that is as it must be.
    pub(crate) failures: Vec<String>,
    /// Where everything lies, when it failed.
    pub(crate) folder: PathBuf,
}

impl Run {
    pub(crate) fn name(&self) -> String {
        format!("{}-{}-{}", self.who.name(), self.transport.name, self.scenario.name())
    }

    /// Does it, in a folder of its own inside `root`.
    pub(crate) async fn outcome(self, load: &Load, root: &Path) -> Outcome {
        let begun = Instant::now();
        let folder = root.join(self.name());
        let mut failures = Vec::new();
        let (mut counts, mut missing) = (Counts::default(), Vec::new());
        match Bench::set_up(self, load, &folder).await {
            Ok(mut bench) => {
                failures.extend(bench.disturb().await.err());
                failures.extend(bench.finish().await.err());
                failures.append(&mut bench.remarks);
                counts = bench.tally.counts().clone();
                missing = bench.tally.missing();
            }
            Err(why) => failures.push(why),
        }
        let lost = load.events - counts.different;
        if self.who == Who::Slackcef {
            failures.extend(self.judge(load, lost, &missing, &counts));
        }
        if failures.is_empty() && !load.keep {
            let _gone = fs::remove_dir_all(&folder);
        } else {
            trim(&folder, &missing);
        }
        Outcome { run: self, lost, counts, seconds: begun.elapsed().as_secs(), failures, folder }
    }

    fn judge(&self, load: &Load, lost: u64, missing: &[u64], counts: &Counts) -> Vec<String> {
        let mut failures = Vec::new();
        if lost > 0 && must_not_lose(self.transport) {
            let ids: Vec<_> =
                missing.iter().take(5).map(|&index| Generated::default().id_of(index)).collect();
            failures.push(format!("{lost} lost, the first: {}", ids.join(", ")));
        }
        if counts.repeated > 0 && self.scenario.forbids_repeats() {
            failures.push(format!("{} repeated where nothing excuses it", counts.repeated));
        }
        if confirms_soon(self.transport) && counts.farthest > load.window() {
            failures.push(format!(
                "an event was repeated {} messages later, beyond the {} that may wait for their receipts",
                counts.farthest,
                load.window()
            ));
        }
        if counts.foreign > 0 {
            let line = counts.strange.as_deref().unwrap_or_default();
            failures.push(format!("{} lines that nobody sent, the first: {line:?}", counts.foreign));
        }
        // An event that is repeated after the mapping has changed may show it.
        if counts.altered > 0 && self.scenario != Scenario::G {
            failures.push(format!("{} repeats differ from what came first", counts.altered));
        }
        failures
    }
}

/// Keeps the logs and the ids that are missing, and of the rest what takes little room.
fn trim(folder: &Path, missing: &[u64]) {
    const MOST: u64 = 8 << 20;
    let series = Generated::default();
    let ids: String = missing.iter().map(|&index| series.id_of(index) + "\n").collect();
    let _kept = fs::write(folder.join("missing"), ids);
    for name in ["receiver/stored", "sender/input", "sender/state"] {
        let path = folder.join(name);
        if size(&path) > MOST {
            let _gone = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        }
    }
}

fn size(path: &Path) -> u64 {
    match fs::read_dir(path) {
        Ok(entries) => entries.flatten().map(|entry| size(&entry.path())).sum(),
        Err(_) => fs::metadata(path).map_or(0, |found| found.len()),
    }
}

/// Whose loss is measured, and its process.
enum Program {
    Slackcef(Sender),
    Other(Other),
}

struct Bench<'a> {
    run: Run,
    load: &'a Load,
    program: Program,
    proxy: Option<Proxy>,
    receiver: Receiver,
    trust: Trust,
    tally: Tally,
    /// What was not as it must be, though the run went on.
    remarks: Vec<String>,
    _slack: Option<Slack>,
}

impl<'a> Bench<'a> {
    async fn set_up(run: Run, load: &'a Load, folder: &Path) -> Result<Self, String> {
        let told = |error: std::io::Error| error.to_string();
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(told)?;
        }
        let [of_receiver, of_sender] = ["receiver", "sender"].map(|name| folder.join(name));
        for folder in [&of_receiver, &of_sender] {
            fs::create_dir_all(folder).map_err(told)?;
        }
        let trust = Trust::new(&of_receiver, &of_sender)?;
        let clients = run.scenario == Scenario::F;
        let receiver = Receiver::new(run.transport, &of_receiver, clients)?;
        let (proxy, to) = if run.scenario.has_proxy() {
            let here = match run.transport.wire {
                Wire::Unix => Place::Path(of_sender.join("socket")),
                _ => Place::Port(free_port()),
            };
            (Some(Proxy::start(&here, receiver.place()).await.map_err(told)?), here)
        } else {
            (None, receiver.place().clone())
        };
        let (program, slack) = if run.who == Who::Slackcef {
            let slack = slack(run, load).await.map_err(told)?;
            let sender = Sender::new(&of_sender, &slack, run.transport, &to, clients, load).map_err(told)?;
            (Program::Slackcef(sender), Some(slack))
        } else {
            (Program::Other(Other::new(run.who, &of_sender, run.transport, &to, load)?), None)
        };
        let tally = Tally::new(receiver.stored(), load.events);
        Ok(Self { run, load, program, proxy, receiver, trust, tally, remarks: Vec::new(), _slack: slack })
    }

    /// Starts everything and does what the scenario says while the events flow.
    async fn disturb(&mut self) -> Result<(), String> {
        let load = self.load;
        let times = load.times;
        if self.run.scenario != Scenario::E {
            self.receiver.start().await?;
        }
        self.program.start()?;
        match self.run.scenario {
            Scenario::Q => {}
            Scenario::A => {
                for time in 1..=times {
                    self.until(time, times + 1).await?;
                    self.receiver.kill();
                    self.receiver.start().await?;
                }
            }
            Scenario::B => {
                self.until(1, 3).await?;
                self.receiver.freeze();
                tokio::time::sleep(load.stall).await;
                self.receiver.kill();
                self.receiver.start().await?;
            }
            Scenario::C1 => {
                for time in 1..=times {
                    self.until(time, times + 1).await?;
                    self.proxy()?.cut();
                }
            }
            Scenario::C2 => {
                self.until(1, 3).await?;
                self.proxy()?.hold();
                tokio::time::sleep(load.stall).await;
                self.proxy()?.cut();
            }
            Scenario::C3 => {
                for time in 1..=3 {
                    self.until(time, 4).await?;
                    self.proxy()?.discard();
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    self.proxy()?.cut();
                }
            }
            Scenario::D => {
                for time in 1..=times {
                    self.until(time, times + 1).await?;
                    self.program.kill();
                    self.program.start()?;
                }
            }
            Scenario::E => {
                self.program.has_caught_up().await?;
                self.receiver.start().await?;
            }
            Scenario::F => self.replace_certificates().await?,
            Scenario::G => self.reload().await?,
            Scenario::P => {
                for time in 1..=times {
                    self.until(time, times + 1).await?;
                    self.program.stop().await?;
                    self.program.start()?;
                }
            }
        }
        Ok(())
    }

    /// First the sender's certificate, then the receiver's with a new authority, then the sender's with
    /// it as well, and the old authority is trusted no more.
    async fn replace_certificates(&mut self) -> Result<(), String> {
        self.until(1, 5).await?;
        self.trust.sender_shows(Which::Old)?;
        self.until(2, 5).await?;
        self.trust.sender_trusts(&[Which::Old, Which::New])?;
        self.until(3, 5).await?;
        self.receiver.stop().await?;
        self.trust.receiver_trusts(&[Which::Old, Which::New])?;
        self.trust.receiver_shows(Which::New)?;
        self.receiver.start().await?;
        self.until(4, 5).await?;
        self.trust.sender_shows(Which::New)?;
        self.trust.sender_trusts(&[Which::New])?;
        self.receiver.kill();
        self.trust.receiver_trusts(&[Which::New])?;
        self.receiver.start().await
    }

    async fn reload(&mut self) -> Result<(), String> {
        let times = self.load.times;
        for time in 1..=times {
            self.until(time, times + 1).await?;
            let Program::Slackcef(sender) = &self.program else { return Ok(()) };
            let done = if time == 2 {
                sender.map_nonsense().and_then(|()| sender.reconfigure("nonsense = 1"))
            } else {
                sender.map_edition(time).and_then(|()| sender.reconfigure("# changed"))
            };
            done.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Waits until all has come, stops the sender in order and lets it deliver what it thinks is left.
    async fn finish(&mut self) -> Result<(), String> {
        let patience = if must_not_lose(self.run.transport) { self.load.patience } else { QUIET };
        let complete = self.until_still(patience).await;
        let lacking = self.load.events - self.tally.counts().different;
        if let Some(why) = self.receiver.ended().or_else(|| self.program.ended()) {
            self.remarks.push(why);
        }
        self.program.stop().await?;
        if let Program::Slackcef(sender) = &mut self.program {
            sender.deliver_the_rest().await?;
            let now_complete = self.until_still(QUIET).await;
            if !complete && now_complete && must_not_lose(self.run.transport) {
                self.remarks.push(format!("{lacking} came only after a restart, and nothing moved before"));
            }
            if self.run.scenario == Scenario::G && self.tally.counts().edition != self.load.times {
                self.remarks.push("the last mapping never showed".to_owned());
            }
        }
        self.receiver.stop().await?;
        self.tally.read();
        Ok(())
    }

    /// Waits until that part of the events has come.
    async fn until(&mut self, part: u32, of: u32) -> Result<(), String> {
        let wanted = self.load.events * u64::from(part) / u64::from(of);
        let mut still = Still::new();
        while self.tally.read().different < wanted {
            if let Some(why) = self.receiver.ended().or_else(|| self.program.ended()) {
                return Err(why);
            }
            if still.lasts(self.tally.counts()) > self.load.patience {
                let come = self.tally.counts().different;
                return Err(format!("stands still at {come}, before {wanted} have come"));
            }
            tick().await;
        }
        // What was just stored was just sent: without this, trouble would always come between two batches.
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..200))).await;
        Ok(())
    }

    /// Waits until every event has come, or nothing has for so long; says which.
    async fn until_still(&mut self, patience: Duration) -> bool {
        let mut still = Still::new();
        while self.tally.read().different < self.load.events {
            if still.lasts(self.tally.counts()) > patience {
                return false;
            }
            tick().await;
        }
        true
    }

    fn proxy(&self) -> Result<&Proxy, String> {
        self.proxy.as_ref().ok_or_else(|| "no proxy stands between".to_owned())
    }
}

/// After this nothing more comes from a receiver whose sender is done.
const QUIET: Duration = Duration::from_secs(4);

/// Since when nothing has come.
struct Still {
    since: Instant,
    come: u64,
}

impl Still {
    fn new() -> Self {
        Self { since: Instant::now(), come: 0 }
    }

    fn lasts(&mut self, counts: &Counts) -> Duration {
        let come = counts.different + counts.repeated;
        if come != self.come {
            *self = Self { since: Instant::now(), come };
        }
        self.since.elapsed()
    }
}

impl Program {
    fn start(&mut self) -> Result<(), String> {
        match self {
            Self::Slackcef(sender) => sender.start(),
            Self::Other(other) => other.start(),
        }
    }

    fn kill(&mut self) {
        match self {
            Self::Slackcef(sender) => sender.kill(),
            Self::Other(other) => other.kill(),
        }
    }

    async fn has_caught_up(&mut self) -> Result<(), String> {
        match self {
            Self::Slackcef(sender) => sender.has_caught_up().await,
            Self::Other(_) => Ok(()),
        }
    }

    async fn stop(&mut self) -> Result<(), String> {
        match self {
            Self::Slackcef(sender) => {
                // Sooner it may not yet know what a signal means.
                sender.has_caught_up().await?;
                sender.stop().await
            }
            Self::Other(other) => other.stop().await,
        }
    }

    fn ended(&mut self) -> Option<String> {
        match self {
            Self::Slackcef(sender) => sender.ended(),
            Self::Other(other) => other.ended(),
        }
    }
}

/// A Slack that holds all the events from the beginning: the destination's rate paces the flow. Only
/// where the sender is stopped in order do they come live, for a stop delivers what is stored.
async fn slack(run: Run, load: &Load) -> std::io::Result<Slack> {
    let now = jiff::Timestamp::now().as_second();
    let (start, pace) = if run.scenario == Scenario::P {
        (now, Pace::PerSecond(f64::from(load.rate) / 2.0))
    } else {
        (now - 4 * 3_600, Pace::Over(Duration::from_secs(3 * 3_600)))
    };
    let generated = Generated {
        count: Some(load.events),
        pace,
        start: Some(UnixTime::from_seconds(start)),
        ..Generated::default()
    };
    let pages = Pages { gzip: false, ..Pages::default() };
    let plan = Plan { generated: Some(generated), pages, ..Plan::default() };
    Slack::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), plan).await
}
