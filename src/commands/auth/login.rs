//! `auth login`: a person installs the app in a browser, and its token is kept for the service.

use std::collections::BTreeSet;
use std::io::{BufRead, Read};
use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use secrecy::SecretString;

use super::redirect::{self, Redirect};
use super::{named, refused};
use crate::commands::{ConfigFile, runtime, setup_failure};
use crate::config::{Config, Login, Source, TokenFrom};
use crate::event::Log;
use crate::pipeline::Sharing;
use crate::report::{self, Exit, Failure};
use crate::slack::oauth::{App, Grant, Holder, Kept, manifest, secret_word};
use crate::slack::{Account, Budget, Identity, SlackError, Token, scope_of, whoami};

/// Logs in: an organization owner installs the app in a browser, and its token is kept for the service.
///
/// Slack leads the browser back to this machine, to an HTTPS address whose certificate is made on the
/// spot: the browser warns of it once. Where the browser is on another machine, `--paste` takes the
/// address that it could not open. A service that runs takes the new token by itself.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  slackcef auth login acme --print-manifest > app.json         make the app of it at https://api.slack.com/apps\n  slackcef auth login acme --config slackcef.toml              with a browser on this machine\n  sudo -u slackcef slackcef auth login acme --paste            with a browser elsewhere"
)]
pub(super) struct Arguments {
    /// The login: the NAME of [oauth.NAME].
    name: String,
    #[command(flatten)]
    file: ConfigFile,
    /// Where the browser is led back to; the app must have https://localhost:PORT/ among its Redirect URLs.
    #[arg(long, value_name = "127.0.0.1:PORT", default_value = "127.0.0.1:9465", value_parser = read_loopback)]
    listen: SocketAddr,
    /// Takes the code, or the whole address that the browser was led back to, from standard input.
    #[arg(long)]
    paste: bool,
    /// Prints what the app is to be made of, and ends.
    #[arg(long)]
    print_manifest: bool,
}

/// A code is good for ten minutes.
const WITHIN: Duration = Duration::from_secs(600);
const LONGEST_ADDRESS: u64 = 64 << 10;

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.print_manifest {
        return print_manifest(arguments);
    }
    let config = arguments.file.load()?;
    let login = named(&config, &arguments.name)?;
    runtime()?.block_on(log_in(arguments, &config, login))
}

/// The app comes before its `client_id`, so the configuration need not be whole.
fn print_manifest(arguments: &Arguments) -> Result<(), Failure> {
    let config = Config::load(&arguments.file.config);
    let scopes = if let Ok(config) = &config {
        scopes(config, &arguments.name)
    } else {
        let path = arguments.file.config.display();
        said(format!(
            "{path} is not whole yet: the app gets the scopes of all logs; take away what is not needed"
        ))?;
        [Log::Audit, Log::Access].map(scope_of).map(str::to_owned).into()
    };
    let scopes: Vec<_> = scopes.iter().map(String::as_str).collect();
    report::data().line(manifest("slackcef", &scopes, &redirect::address(arguments.listen)))
}

/// Those that are configured, or those that the login's sources need.
fn scopes(config: &Config, name: &str) -> Vec<String> {
    let login = config.logins.get(name);
    if let Some(login) = login.filter(|login| !login.scopes.is_empty()) {
        return login.scopes.clone();
    }
    let wanted: BTreeSet<_> = logs(config, name).into_iter().map(scope_of).collect();
    if wanted.is_empty() {
        vec![scope_of(Log::Audit).to_owned()]
    } else {
        wanted.into_iter().map(str::to_owned).collect()
    }
}

/// The logs that are read by that login.
fn logs(config: &Config, name: &str) -> BTreeSet<Log> {
    let by_it = |token: &TokenFrom| matches!(token, TokenFrom::Login(login) if login.name == name);
    config.sources.values().filter(|source| by_it(&source.token)).map(Source::log).collect()
}

async fn log_in(arguments: &Arguments, config: &Config, login: &Login) -> Result<(), Failure> {
    let app = Sharing::default().app(login).map_err(setup_failure)?;
    let scopes = scopes(config, &login.name);
    let state = secret_word().map_err(|error| Failure::of_error(Exit::Unavailable, &error))?;
    let listening = if arguments.paste {
        None
    } else {
        let redirect = Redirect::open(arguments.listen).await.map_err(|error| {
            Failure::new(Exit::Unavailable, format!("cannot listen on {}", arguments.listen))
                .because(&error)
                .help("give another address by --listen, and its redirect address to the app; or use --paste")
        })?;
        Some(redirect)
    };
    let back = redirect::address(listening.as_ref().map_or(arguments.listen, |redirect| redirect.listen));
    said(format!("the app's Redirect URLs (OAuth & Permissions) must hold {back}"))?;
    let wanted: Vec<_> = scopes.iter().map(String::as_str).collect();
    said(
        "an owner of the organization opens this, picks the organization (not a workspace) at the top right, and allows the app:",
    )?;
    said(format!("\n  {}\n", app.authorize_url(&wanted, &state, &back)))?;
    let code = match listening {
        Some(redirect) => {
            said(format!(
                "the browser warns of the certificate that this machine shows on its way back; its SHA-256 is\n{}",
                redirect.fingerprint
            ))?;
            by_redirect(redirect, &state).await?
        }
        None => by_paste(&state)?,
    };
    let grant = app.exchange(&code, &back).await.map_err(|error| refused(&error))?;
    fits(&grant.holder, config, login)?;
    let identity = identity(&app, &grant).await;
    let keep = login.keep();
    let locked = keep.lock().await.map_err(|error| refused(&error.into()))?;
    let kept = Kept::new(&app.client_id, grant, app.clock.now());
    locked.store(&kept).map_err(|error| refused(&error.into()))?;
    drop(locked);
    let whose = whose(&kept.holder, identity.as_ref().ok());
    report::data().line(format!("logged in: {whose}; {}", until(&kept)))?;
    said(format!("kept in {}; a service that runs takes it by itself", keep.path().display()))?;
    match identity {
        Ok(_) => Ok(()),
        Err(error) => Err(refused(&error)),
    }
}

/// A token that the login's sources cannot use takes no other's place.
fn fits(holder: &Holder, config: &Config, login: &Login) -> Result<(), Failure> {
    let given: Vec<_> = holder.scopes.iter().flat_map(|scopes| scopes.split(',')).map(str::trim).collect();
    let wanted = scopes(config, &login.name);
    let missing: Vec<_> = wanted.iter().map(String::as_str).filter(|scope| !given.contains(scope)).collect();
    if holder.scopes.is_some() && !missing.is_empty() {
        let what = format!("Slack did not grant the scope {}; nothing was kept", missing.join(", "));
        return Err(Failure::new(Exit::Configuration, what)
            .help("add it to the app's user scopes (OAuth & Permissions) and log in again"));
    }
    if !holder.org_install && logs(config, &login.name).contains(&Log::Audit) {
        let team = holder.team.as_deref().unwrap_or("a workspace");
        let what = format!(
            "the app was installed on the workspace {team}, and the audit log belongs to the organization; nothing was kept"
        );
        return Err(Failure::new(Exit::Configuration, what).help(
            "log in again, and pick the organization at the top right of Slack's page; where it is not offered, opt the app in to org-level apps (Org Level Apps) and see that the person is an organization owner",
        ));
    }
    Ok(())
}

/// Whose the new token is, and with that whether it works.
async fn identity(app: &App, grant: &Grant) -> Result<Identity, SlackError> {
    let account = Account {
        base_url: app.base_url.clone(),
        token: Token::fixed(&grant.access_token).map_err(|_| SlackError::NoGrant(""))?,
        client: app.client.clone(),
        budget: std::sync::Arc::new(Budget::per_minute(std::num::NonZeroU32::MAX)),
        clock: app.clock.clone(),
    };
    whoami(&account).await
}

fn whose(holder: &Holder, identity: Option<&Identity>) -> String {
    let user = identity.and_then(|identity| identity.user.as_deref());
    let user = match (user, holder.user.as_deref()) {
        (Some(name), Some(id)) => format!("{name} ({id})"),
        (name, id) => name.or(id).unwrap_or("somebody").to_owned(),
    };
    let place = match (holder.org_install, &holder.enterprise, &holder.team) {
        (true, Some(organization), _) => format!("the organization {organization}"),
        (true, None, _) => "an organization".to_owned(),
        (false, _, Some(team)) => format!("the workspace {team}"),
        (false, ..) => "a workspace".to_owned(),
    };
    let scopes = holder.scopes.as_deref().unwrap_or("which Slack did not say");
    crate::telemetry::plain(&format!("{user}, for {place}, scopes {scopes}"))
}

pub(super) fn until(kept: &Kept) -> String {
    kept.expires_at.map_or_else(
        || "the token does not expire".to_owned(),
        |end| format!("the token works until {end} and is refreshed before that"),
    )
}

async fn by_redirect(redirect: Redirect, state: &str) -> Result<SecretString, Failure> {
    let came = tokio::select! {
        came = tokio::time::timeout(WITHIN, redirect.code(state)) => came,
        _ = tokio::signal::ctrl_c() => return Err(Failure::new(Exit::TryLater, "the login was broken off")),
    };
    let Ok(came) = came else {
        return Err(Failure::new(Exit::TryLater, "nobody came back from Slack within ten minutes")
            .help("begin again; where the browser is on another machine, use --paste"));
    };
    came.map_err(|why| Failure::new(Exit::Configuration, why))
}

fn by_paste(state: &str) -> Result<SecretString, Failure> {
    said(
        "the browser is led to an address that it may not be able to open: paste that address here, or its code",
    )?;
    let mut line = String::new();
    let read = std::io::stdin().lock().take(LONGEST_ADDRESS).read_line(&mut line);
    read.map_err(|error| Failure::of_error(Exit::Usage, &error))?;
    redirect::pasted(line.trim(), state).map_err(|why| Failure::new(Exit::Usage, why))
}

fn read_loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr =
        text.parse().map_err(|_| "write an address such as 127.0.0.1:9465".to_owned())?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("a code is for this machine alone: write an address such as 127.0.0.1:9465".to_owned())
    }
}

fn said(text: impl AsRef<[u8]>) -> Result<(), Failure> {
    report::notes().line(text)
}
