//! `check`: is everything right, before anything runs?

use clap::Args;

use super::{ConfigFile, runtime, setup_failure};
use crate::config::{Config, Destination, Source, Transport};
use crate::pipeline::{self, SetupError};
use crate::report::{self, Exit, Failure, Output};
use crate::slack;
use crate::syslog::{Assurance, Probe};

/// Checks configuration and mappings; then token and plan; then each receiver.
///
/// Nothing is stored and no event is sent.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  slackcef check --config slackcef.toml\n  slackcef check --offline --config slackcef.toml        asks nobody; needs no secret: for editors and CI\n  slackcef check --json | jq '.[] | select(.ok | not)'"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
    /// Judges the files alone: fetches no secret, asks nobody.
    #[arg(long)]
    offline: bool,
    /// One JSON list on standard output instead of lines.
    #[arg(long)]
    json: bool,
}

/// What came of one thing that was looked at.
struct Finding {
    what: String,
    outcome: Result<String, Failure>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = arguments.file.load()?;
    let mut findings = mappings(&config, arguments.offline)?;
    findings.extend(notices(&config, arguments.offline));
    if !arguments.offline {
        let online = runtime()?.block_on(async {
            let mut found = sources(&config).await;
            found.extend(destinations(&config).await);
            found
        });
        findings.extend(online);
    }
    shown(&config, &findings, arguments.json)?;
    let worst = findings
        .into_iter()
        .filter_map(|finding| finding.outcome.err())
        .max_by_key(|failure| failure.exit() == Exit::Configuration);
    match worst {
        None => Ok(()),
        Some(worst) => Err(Failure::new(worst.exit(), "not everything is as it must be; see above")),
    }
}

/// What each notice would do. Nothing is posted: a webhook cannot be asked without a message.
fn notices(config: &Config, offline: bool) -> Vec<Finding> {
    let findings = config.notices.iter().map(|(name, notify)| {
        let to = if offline {
            Ok(format!("the webhook of {}", notify.webhook))
        } else {
            pipeline::webhook(name, notify)
                .map(|webhook| format!("a webhook at {}", webhook.address().host()))
                .map_err(setup_failure)
        };
        let of = notify.sources.as_ref().map_or_else(|| "all sources".to_owned(), |sources| sources.join(", "));
        let (when, window) = (&notify.when_text, notify.window.as_secs());
        let outcome = to.map(|to| {
            format!("events of {of} with `when = {when}` would go to {to}, gathered for {window} s; nothing was posted")
        });
        Finding { what: format!("notice {name}"), outcome }
    });
    findings.collect()
}

/// Each mapping that a destination or a notice uses, compiled; all mistakes of all of them at once.
///
/// `offline`: no key for pseudonyms is fetched; where one is must be said all the same.
fn mappings(config: &Config, offline: bool) -> Result<Vec<Finding>, Failure> {
    let destinations = config.destinations.values().map(|destination| destination.mapping.as_ref());
    let notices = config.notices.values().map(|notify| notify.mapping.as_ref());
    let mut used: Vec<_> = destinations.chain(notices).collect();
    used.sort();
    used.dedup();
    let mut problems = Vec::new();
    let mut findings = Vec::new();
    for name in used {
        let name = name.map(String::as_str);
        let what = name.map_or_else(|| "shipped mapping".to_owned(), |name| format!("mapping {name}"));
        let plans = pipeline::plans_of(config, name);
        let plans =
            if offline { plans } else { plans.and_then(|plans| pipeline::keyed(plans, config, name)) };
        match plans {
            Ok(plans) => {
                let actions = plans.actions(crate::event::Log::Audit).len();
                findings.push(Finding {
                    what,
                    outcome: Ok(format!("{actions} actions, and a catch-all for the rest")),
                });
            }
            Err(SetupError::Mapping(found)) => problems.extend(found),
            Err(other) => return Err(setup_failure(other)),
        }
    }
    if problems.is_empty() { Ok(findings) } else { Err(Failure::of_problems(problems)) }
}

async fn sources(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, source) in &config.sources {
        let what = format!("source {name}");
        let ready = pipeline::account(name, source)
            .and_then(|account| Ok((account, pipeline::poller(name, source, None)?)));
        let outcome = match ready {
            Err(error) => Err(setup_failure(error)),
            Ok((account, poller)) => {
                let probed = poller.probe().await;
                let skew = match probed.slack_ahead {
                    Some(seconds) if seconds.abs() > TOLERATED_SKEW => {
                        format!("; this machine's clock and Slack's differ by {seconds} s")
                    }
                    _ => String::new(),
                };
                match probed.outcome {
                    Ok(()) => Ok(format!(
                        "Slack answers at {}: token, scope and plan are right{skew}",
                        source.base_url
                    )),
                    Err(error) => {
                        let error = slack::diagnosed(error, source.log(), &account).await;
                        Err(Failure::of_error(Exit::Unavailable, &error).help(error.cure(&account.token)))
                    }
                }
            }
        };
        findings.push(Finding { what, outcome });
        if source.trusted {
            findings.push(allowlist(name, source).await);
        }
    }
    findings
}

async fn allowlist(name: &str, source: &Source) -> Finding {
    let outcome = match pipeline::allowlist(name, source) {
        Err(error) => Err(setup_failure(error)),
        Ok(api) => api
            .read()
            .await
            .map(|list| list.to_string())
            .map_err(|error| Failure::of_error(Exit::Unavailable, &error).help(error.help())),
    };
    Finding { what: format!("allow list of source {name}"), outcome }
}

/// Seconds; beyond them logs are hard to compare.
const TOLERATED_SKEW: i64 = 5;

async fn destinations(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, destination) in &config.destinations {
        let sink = match pipeline::sink(name, destination) {
            Ok((sink, _)) => sink,
            Err(error) => {
                findings.push(Finding {
                    what: format!("destination {name}"),
                    outcome: Err(setup_failure(error)),
                });
                continue;
            }
        };
        for (place, probed) in sink.probe().await {
            let outcome = probed.map(|probe| found(&probe, destination)).map_err(|failure| {
                let told = Failure::of_error(Exit::Unavailable, &failure);
                match failure.help() {
                    Some(help) => told.help(help),
                    None => told,
                }
            });
            findings.push(Finding { what: format!("destination {name}, {place}"), outcome });
        }
    }
    findings
}

/// What a probe found, and what a delivery there will be worth.
fn found(probe: &Probe, destination: &Destination) -> String {
    let (assurance, because) = match (probe, &destination.transport) {
        // Its answers are part of the protocol, whatever is asked for.
        (_, Transport::Relp { .. }) => (Assurance::Acknowledged, None),
        (Probe::Connected { tls }, _) => {
            Assurance::of_stream(tls.as_ref().map(|tls| tls.version.as_str()), destination.receipts)
        }
        (Probe::Local, Transport::File { .. }) => (Assurance::Durable, None),
        (Probe::Local, _) => (Assurance::HandedOver, None),
    };
    let because =
        because.map_or_else(String::new, |because| format!("; this is less than it could be: {because}"));
    format!("{probe}; {}{because}", assurance.after(destination.age))
}

fn shown(config: &Config, findings: &[Finding], json: bool) -> Result<(), Failure> {
    if json {
        let list: Vec<_> = findings
            .iter()
            .map(|finding| match &finding.outcome {
                Ok(found) => serde_json::json!({ "what": finding.what, "ok": true, "found": found }),
                Err(failure) => serde_json::json!({ "what": finding.what, "ok": false, "found": failure.render(report::Style::PLAIN) }),
            })
            .collect();
        return report::data().line(serde_json::Value::from(list).to_string());
    }
    let mut out: Output<_> = report::data();
    let style = out.style;
    out.line(format!(
        "{} configuration: {} sources, {} destinations",
        style.green("ok"),
        config.sources.len(),
        config.destinations.len()
    ))?;
    for remark in &config.remarks {
        out.line(format!("{} {remark}", style.yellow("--")))?;
    }
    for finding in findings {
        let line = match &finding.outcome {
            Ok(found) => format!("{} {}: {found}", style.green("ok"), finding.what),
            Err(failure) => format!(
                "{} {}\n   {}",
                style.red("no"),
                finding.what,
                failure.render(style).trim_end().replace('\n', "\n   ")
            ),
        };
        out.line(line)?;
    }
    Ok(())
}
