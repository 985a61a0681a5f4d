//! `status`: how the service is, asked of itself; or what the store says where no service answers.

mod resting;
mod shown;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::Args;
use reqwest::Url;

use super::{ConfigFile, runtime};
use crate::config::Config;
use crate::pipeline::Status;
use crate::report::{self, Exit, Failure};
use resting::Resting;

/// Shows how sources, destinations and the store are: lag, backlog, what counts as delivered, the
/// last fault of each and its cure.
///
/// The running service is asked at the `listen` of its `[telemetry]`. Where none answers, what its
/// store holds is shown, and the exit code is 69.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  slackcef status --config slackcef.toml\n  slackcef status --at http://127.0.0.1:9464\n  slackcef status --json | jq '.destinations[] | {name, state, waiting: .backlog.entries}'"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
    /// Asks the service there, and reads no configuration.
    #[arg(long, value_name = "URL", value_parser = read_url)]
    at: Option<Url>,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error("[telemetry] `listen` is off: the service shows its status nowhere")]
    Off,
    #[error("no service answers at {0}")]
    Unreached(Url, #[source] reqwest::Error),
    #[error("what answers at {0} is not a slackcef of this version: it says {1}")]
    Stranger(Url, String),
}

impl NoAnswer {
    fn help(&self) -> &'static str {
        match self {
            Self::Off => "give `[telemetry]` a `listen`, such as \"127.0.0.1:9464\"",
            Self::Unreached(..) => {
                "start it by `slackcef run`; if it runs, look into its log for whether it could listen there"
            }
            Self::Stranger(..) => "see what listens there, and give `[telemetry]` another `listen`",
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if let Some(url) = &arguments.at {
        return match runtime()?.block_on(ask(url)) {
            Ok(answer) => show(&answer, arguments.json),
            Err(no) => Err(Failure::of_error(Exit::Unavailable, &no).help(no.help())),
        };
    }
    let config = arguments.file.load()?;
    let answer = match config.telemetry.listen {
        None => Err(NoAnswer::Off),
        Some(listen) => runtime()?.block_on(ask(&url_of(listen)?)),
    };
    match answer {
        Ok(answer) => show(&answer, arguments.json),
        Err(no) => without_service(&config, &no, arguments.json),
    }
}

/// What the service said, and what it means.
struct Answer {
    text: String,
    status: Status,
}

/// An address of this machine answers at once or not at all; the store may take its time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const WHOLE_TIMEOUT: Duration = Duration::from_secs(10);
/// A thousand sources need about a megabyte.
const MOST: usize = 64 << 20;

async fn ask(url: &Url) -> Result<Answer, NoAnswer> {
    let unreached = |error: reqwest::Error| NoAnswer::Unreached(url.clone(), error.without_url());
    let mut response = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(WHOLE_TIMEOUT)
        .build()
        .and_then(|client| client.get(url.clone()).build().map(|request| (client, request)))
        .map(|(client, request)| client.execute(request))
        .map_err(unreached)?
        .await
        .map_err(unreached)?;
    if !response.status().is_success() {
        return Err(NoAnswer::Stranger(url.clone(), response.status().to_string()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreached)? {
        body.extend_from_slice(&chunk);
        if body.len() > MOST {
            return Err(NoAnswer::Stranger(url.clone(), "more than could be a status".to_owned()));
        }
    }
    let stranger = |what: String| NoAnswer::Stranger(url.clone(), what);
    let text = String::from_utf8(body).map_err(|error| stranger(error.to_string()))?;
    let status =
        serde_json::from_str(&text).map_err(|error| stranger(format!("what is no status: {error}")))?;
    Ok(Answer { text, status })
}

fn show(answer: &Answer, json: bool) -> Result<(), Failure> {
    let mut out = report::data();
    if json {
        return out.line(answer.text.trim_end());
    }
    shown::status(&answer.status, out.style).iter().try_for_each(|line| out.line(line))
}

fn without_service(config: &Config, no: &NoAnswer, json: bool) -> Result<(), Failure> {
    let failure = Failure::of_error(Exit::Unavailable, no).help(no.help());
    let (resting, no_store) = Resting::of(config, no.to_string());
    let mut out = report::data();
    if json {
        // Maps with text keys are always JSON.
        out.line(serde_json::to_string(&resting).unwrap_or_default())?;
    } else if let Some(error) = no_store {
        return Err(failure.because(&error));
    } else {
        shown::resting(&resting, out.style).iter().try_for_each(|line| out.line(line))?;
    }
    Err(failure)
}

/// The page of a service that listens there; one that listens everywhere is asked on this machine.
fn url_of(mut listen: SocketAddr) -> Result<Url, Failure> {
    if listen.ip().is_unspecified() {
        listen.set_ip(match listen.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    read_url(&format!("http://{listen}")).map_err(|what| Failure::new(Exit::Bug, what))
}

/// The page of the service at an address, which may name the page itself.
fn read_url(text: &str) -> Result<Url, String> {
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let mut url: Url = with_scheme.parse().map_err(|error| format!("{error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("write an address such as http://127.0.0.1:9464".to_owned());
    }
    if matches!(url.path(), "" | "/") {
        url.set_path("/status");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_asked_at_its_page_however_it_is_named() {
        for (named, page) in [
            ("http://127.0.0.1:9464", "http://127.0.0.1:9464/status"),
            ("127.0.0.1:9464", "http://127.0.0.1:9464/status"),
            ("https://relay.example.com/slackcef/status", "https://relay.example.com/slackcef/status"),
        ] {
            assert_eq!(read_url(named).unwrap().as_str(), page);
        }
        assert!(read_url("file:///etc/passwd").is_err());
        for (listen, page) in [
            ("0.0.0.0:9464", "http://127.0.0.1:9464/status"),
            ("[::]:9464", "http://[::1]:9464/status"),
            ("192.0.2.1:80", "http://192.0.2.1/status"),
        ] {
            assert_eq!(url_of(listen.parse().unwrap()).unwrap().as_str(), page);
        }
    }
}
