//! `run`: the service, or one whole pass.

use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::{ConfigFile, runtime, setup_failure};
use crate::pipeline::{App, Finished, Mode, Reading, RunError, Running};
use crate::report::{Exit, Failure};
use crate::store::SourceId;
use crate::telemetry;

/// Polls Slack, maps and delivers until it is stopped.
///
/// SIGTERM and Ctrl-C stop reading, deliver what is stored for ten seconds more and end; a second
/// one ends at once. What is not delivered by then stays in the store. The configuration and the
/// mapping folders are read again when their files change, and at once on SIGHUP.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  slackcef run --config /etc/slackcef/slackcef.toml\n  slackcef run --config slackcef.toml --once        for cron: exits 0 when all is delivered, 75 when it is worth trying later"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
    /// Reads what there is, delivers it, ends.
    #[arg(long)]
    once: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = arguments.file.load()?;
    for remark in &config.remarks {
        warn!("{remark}");
    }
    let mode = if arguments.once { Mode::Once } else { Mode::Forever };
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        // Before all else: until somebody listens, a SIGHUP ends the process.
        let hangup = listen(SignalKind::hangup())?;
        let app = App::build(&config).await.map_err(setup_failure)?;
        info!(
            version = env!("CARGO_PKG_VERSION"),
            sources = config.sources.len(),
            destinations = config.destinations.len(),
            "started"
        );
        let running = app.following(arguments.file.config.clone()).start(mode);
        heed_signals(&running, hangup)?;
        let bars = tokio::spawn(bars(running.readings()));
        let finished = running.finish().await;
        bars.abort();
        let finished = finished.map_err(|error| run_failure(&error))?;
        said(&finished);
        if mode == Mode::Once && finished.stopped {
            return Err(Failure::new(Exit::TryLater, "it was stopped before all was read and delivered")
                .help("run it again: it goes on where it stopped"));
        }
        if mode == Mode::Once && finished.destinations.iter().any(|(_, forwarded)| forwarded.gave_up) {
            let what = "a destination's `bytes_per_day` is spent before all was delivered";
            return Err(Failure::new(Exit::TryLater, what).help(
                "run it again after 00:00 UTC, or raise `bytes_per_day`; the rest stays in the store",
            ));
        }
        Ok(())
    });
    // A write to a pipe that nobody reads may never return, and nothing is owed to it by now.
    runtime.shutdown_background();
    ended
}

/// Stops on SIGTERM and Ctrl-C, and reads the configuration and the mapping folders on SIGHUP.
fn heed_signals(running: &Running, mut hup: Signal) -> Result<(), Failure> {
    let (stop, reload) = (running.stopper(), running.reloader());
    let (mut term, mut int) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                Some(()) = term.recv() => {}
                Some(()) = int.recv() => {}
                Some(()) = hup.recv() => {
                    info!("SIGHUP: looking at the configuration and the mapping folders");
                    reload();
                    continue;
                }
                else => return,
            }
            info!(
                "stopping: what is stored is delivered for a few seconds more; a second signal ends at once"
            );
            stop();
        }
    });
    Ok(())
}

fn listen(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::of_error(Exit::Bug, &error))
}

/// A bar for each source, for those too that come with another configuration.
async fn bars(mut readings: watch::Receiver<Vec<(SourceId, watch::Receiver<Reading>)>>) {
    let mut shown: Vec<watch::Receiver<Reading>> = Vec::new();
    let mut bars = JoinSet::new();
    loop {
        let now = readings.borrow_and_update().clone();
        shown.retain(|reading| now.iter().any(|(_, other)| other.same_channel(reading)));
        for (name, reading) in now {
            if !shown.iter().any(|other| other.same_channel(&reading)) {
                shown.push(reading.clone());
                bars.spawn(bar(name.to_string(), reading));
            }
        }
        if readings.changed().await.is_err() {
            return;
        }
    }
}

/// A bar for each source while it catches up, where there is a terminal to draw it on.
async fn bar(name: String, mut reading: watch::Receiver<Reading>) {
    let bars = telemetry::bars();
    if bars.is_hidden() {
        return;
    }
    let style = ProgressStyle::with_template("{prefix} [{bar:40}] {percent}% {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    let mut drawn: Option<ProgressBar> = None;
    loop {
        let (way, entries) = {
            let now = reading.borrow_and_update();
            (now.way, now.polled.fresh)
        };
        let way = way.map(|way| (way.start.seconds(), way.next.seconds(), way.goal.seconds()));
        match way {
            // A normal poll covers a minute or two: not worth a bar.
            Some((start, next, goal)) if goal.saturating_sub(start) > LONG_WAY && goal > next => {
                let bar = drawn.get_or_insert_with(|| {
                    bars.add(ProgressBar::new(0).with_style(style.clone()).with_prefix(name.clone()))
                });
                bar.set_length(u64::try_from(goal.saturating_sub(start)).unwrap_or(0));
                bar.set_position(u64::try_from(next.saturating_sub(start)).unwrap_or(0));
                bar.set_message(format!(
                    "{entries} entries, up to {}",
                    crate::event::UnixTime::from_seconds(next)
                ));
            }
            _ => {
                if let Some(bar) = drawn.take() {
                    bar.finish_and_clear();
                    bars.remove(&bar);
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
        if reading.changed().await.is_err() {
            if let Some(bar) = drawn.take() {
                bar.finish_and_clear();
                bars.remove(&bar);
            }
            return;
        }
    }
}

/// Seconds of the past that make a catch-up worth a bar.
const LONG_WAY: i64 = 3_600;

fn said(finished: &Finished) {
    for (name, polled) in &finished.sources {
        info!(source = %name, stored = polled.fresh, known_already = polled.seen, late = polled.late, "source ended");
    }
    for (name, forwarded) in &finished.destinations {
        let counts = forwarded.counts;
        info!(
            destination = %name, delivered = counts.delivered, bytes = counts.bytes, dropped_by_rule = counts.dropped,
            unwanted = counts.unwanted, unmapped = counts.unmapped, left_out = counts.misfits, cut = counts.cut,
            repeated = counts.repeated, dead_letters = counts.dead_letters,
            "destination ended"
        );
        if forwarded.gave_up {
            warn!(destination = %name, "it did not take everything in time; the rest stays in the store for the next start");
        }
    }
}

fn run_failure(error: &RunError) -> Failure {
    let (exit, help) = match error {
        RunError::Store(store) => (Exit::Unavailable, Some(store.help().to_owned())),
        RunError::Refused { source, .. } => (Exit::Configuration, Some(source.help().to_owned())),
        RunError::Unreadable { source, .. } => (Exit::TryLater, Some(source.help().to_owned())),
        RunError::Undelivered { source, .. } if source.again() => (Exit::TryLater, source.help()),
        RunError::Undelivered { source, .. } => (Exit::Unavailable, source.help()),
        RunError::Bug(_) => {
            (Exit::Bug, Some("nothing is lost: start it again, and report the text above".to_owned()))
        }
    };
    let failure = Failure::of_error(exit, error);
    match help {
        Some(help) => failure.help(help),
        None => failure,
    }
}
