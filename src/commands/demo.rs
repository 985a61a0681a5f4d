//! `demo`: the whole path on this machine, for people to watch.
//!
//! A simulated Slack and a TLS receiver with a certificate made on the spot, and between them the
//! real pipeline under a real configuration.

mod scene;

use std::time::Duration;

use clap::Args;
use tokio::time::{Instant, interval, sleep_until};

use super::{runtime, setup_failure};
use crate::pipeline::{App, Finished, Mode};
use crate::report::{self, Exit, Failure, Output};
use crate::simulate::receiver::{Arrival, Message, Receiver};
use crate::simulate::slack::Slack;
use scene::{Scene, Told};

/// Shows the whole path on this machine: no account, no SIEM, no configuration.
///
/// A simulated Slack tells a short story of an account taken over; the real pipeline polls it,
/// keeps it, maps it to CEF and delivers it over TLS to a receiver in this process. It ends by
/// itself within 15 seconds, or on Ctrl-C.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  slackcef demo            SLACKCEF_LOG=debug shows what happens behind it"
)]
pub(super) struct Arguments {}

/// One entry of the story follows the other so fast: Slack's times are whole seconds, and within
/// one its order is any.
const PACE: Duration = Duration::from_secs(1);
/// After this no more is waited for.
const LONGEST: Duration = Duration::from_millis(13_500);

pub(super) fn run(_: &Arguments) -> Result<(), Failure> {
    runtime()?.block_on(async {
        let mut out = report::data();
        let scene = Scene::set().await?;
        introduce(&mut out, &scene)?;
        let received = play(&mut out, scene).await?;
        conclude(&mut out, &received)
    })
}

/// What there is to say at the end.
struct Played {
    told: usize,
    arrived: usize,
    interrupted: bool,
    finished: Finished,
}

async fn play(out: &mut Output<impl std::io::Write>, scene: Scene) -> Result<Played, Failure> {
    let Scene { folder: _folder, slack, mut receiver, config } = scene;
    let running = App::build(&config).await.map_err(setup_failure)?.start(Mode::Forever);
    let stop = running.stopper();
    let mut running = tokio::spawn(running.finish());
    let (mut told, mut arrived, mut interrupted) = (Vec::new(), 0, false);
    let mut story = scene::story();
    let mut pace = interval(PACE);
    let end = Instant::now() + LONGEST;
    let finished = loop {
        let all_there = story.len() == 0 && arrived >= told.len();
        tokio::select! {
            _ = pace.tick(), if story.len() > 0 => told.extend(tell(&slack, &mut story)),
            Some(arrival) = receiver.next() => {
                if let Arrival::Message(message) = arrival {
                    arrived += usize::from(show(out, &told, &message)?);
                }
            }
            () = std::future::ready(()), if all_there => break None,
            () = sleep_until(end) => break None,
            _ = tokio::signal::ctrl_c() => {
                interrupted = true;
                break None;
            }
            early = &mut running => break Some(early),
        }
    };
    stop();
    let finished = match finished {
        Some(early) => early,
        None => ended(running, &mut receiver, out, &told, &mut arrived).await?,
    };
    let finished = finished
        .map_err(|broken| Failure::of_error(Exit::Bug, &broken))?
        .map_err(|error| Failure::of_error(Exit::Unavailable, &error))?;
    Ok(Played { told: told.len(), arrived, interrupted, finished })
}

type Joined = Result<Result<Finished, crate::pipeline::RunError>, tokio::task::JoinError>;

/// Waits for the pipeline to end, and shows what still arrives.
async fn ended(
    mut running: tokio::task::JoinHandle<Result<Finished, crate::pipeline::RunError>>,
    receiver: &mut Receiver,
    out: &mut Output<impl std::io::Write>,
    told: &[Told],
    arrived: &mut usize,
) -> Result<Joined, Failure> {
    loop {
        tokio::select! {
            biased;
            Some(arrival) = receiver.next() => {
                if let Arrival::Message(message) = arrival {
                    *arrived += usize::from(show(out, told, &message)?);
                }
            }
            joined = &mut running => return Ok(joined),
        }
    }
}

/// The next entry of the story happens now.
fn tell(slack: &Slack, story: &mut impl Iterator<Item = &'static str>) -> Option<Told> {
    let told = Told::at(slack.now(), story.next()?);
    // The story is ours: it is JSON.
    slack.push(&told.json).ok()?;
    Some(told)
}

fn introduce(out: &mut Output<impl std::io::Write>, scene: &Scene) -> Result<(), Failure> {
    let style = out.style;
    let lines = [
        String::new(),
        style.bold("slackcef demo: Slack's audit log to a SIEM, on this machine alone"),
        String::new(),
        format!(
            "  Slack     simulated, at {}; it answers one request with an error page, on purpose",
            scene.slack.base_url()
        ),
        format!(
            "  receiver  syslog over TLS at {}, its certificate made a moment ago",
            scene.receiver.address()
        ),
        "  between   the real pipeline: poll, store on disk, map to CEF, frame, send, settle".to_owned(),
        String::new(),
        format!(
            "  {}  the event's name in words, and its severity from 0 to 10",
            style.bold("User logged in  [2]")
        ),
        format!("  {}              the entry as Slack gave it", style.dim("{\"id\":\"…")),
        "  <134>1 … CEF:0|…     the message as the receiver got it: syslog header, CEF header, key=value"
            .to_owned(),
        String::new(),
    ];
    lines.iter().try_for_each(|line| out.line(line))
}

/// Shows a message; says whether it is of the story, and not an event of the forwarder's own.
fn show(out: &mut Output<impl std::io::Write>, told: &[Told], message: &Message) -> Result<bool, Failure> {
    let style = out.style;
    let text = String::from_utf8_lossy(&message.text);
    let cef = text.find("CEF:").and_then(|at| text.get(at..)).and_then(|line| crate::cef::decode(line).ok());
    let Some(cef) = cef else { return out.line(format!("  {text}\n")).map(|()| true) };
    if cef.product == "slackcef" {
        let what = cef.value("msg").unwrap_or(&cef.name);
        out.line(style.dim(&format!("an event of slackcef's own: {what}\n")))?;
        return Ok(false);
    }
    let severity = cef.severity.get();
    let title = format!("{}  [{severity}]", cef.name);
    let title = match severity {
        0..=3 => style.green(&title),
        4..=6 => style.yellow(&title),
        _ => style.red(&title),
    };
    out.line(&title)?;
    let id = cef.value("externalId").unwrap_or_default();
    if let Some(told) = told.iter().find(|told| told.json.contains(id)) {
        out.line(format!("  {}", style.dim(&told.shortened(100))))?;
        if let Some(remark) = told.remark {
            out.line(format!("  {}", style.cyan(remark)))?;
        }
    }
    out.line(format!("  {text}\n"))?;
    Ok(true)
}

fn conclude(out: &mut Output<impl std::io::Write>, played: &Played) -> Result<(), Failure> {
    let style = out.style;
    let counts =
        played.finished.destinations.first().map(|(_, forwarded)| forwarded.counts).unwrap_or_default();
    let polled = played.finished.sources.first().map(|(_, polled)| *polled).unwrap_or_default();
    let lines = [
        style.bold(&format!("{} entries happened, {} arrived, each one line", played.told, played.arrived)),
        format!(
            "  read from Slack and stored   {} ({} came twice by overlap and were known by their ids)",
            polled.fresh, polled.seen
        ),
        format!(
            "  delivered over TLS           {} events ({} of slackcef's own), {} bytes",
            counts.delivered,
            counts.delivered.saturating_sub(played.arrived as u64),
            counts.bytes
        ),
        format!("  without a mapping of its own {} (delivered by the catch-all)", counts.unmapped),
        String::new(),
        "Next: the README's first real configuration, then `slackcef check`.".to_owned(),
    ];
    lines.iter().try_for_each(|line| out.line(line))?;
    if played.interrupted || played.arrived >= played.told {
        Ok(())
    } else {
        Err(Failure::new(Exit::TryLater, "this machine was too slow: not everything had arrived in time"))
    }
}
