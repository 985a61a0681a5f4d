//! Tokens that live: logins, rotation through crashes, refusals told apart, and their end noticed.

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroU32;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use slackcef::cef::{self, Decoded};
use slackcef::simulate::slack::{
    Allowlist, Fault, Generated, Happening, OAuth, OAuthTally, Pace, Plan, RefreshFault, Slack, Trouble, When,
};
use slackcef::slack::oauth::{App, Keep, Rotation};
use slackcef::slack::{Account, Budget, Clock, Fetch, HttpClient, Token, allowlist, whoami};
use tempfile::TempDir;
use tokio::task::{JoinSet, block_in_place};

use crate::support::daemon::{PATIENCE, tick};
use crate::support::forwarder::is_of_slack;
use crate::support::login::{Login, allowed, browser};

const HERE: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

async fn slack(oauth: OAuth) -> Slack {
    let generated =
        Generated { count: Some(40), pace: Pace::Over(Duration::from_secs(3600)), ..Generated::default() };
    let plan = Plan { generated: Some(generated), oauth, ..Plan::default() };
    Slack::start(SocketAddr::from(HERE), plan).await.unwrap()
}

fn rotating(life: u64) -> OAuth {
    OAuth { token_life: Some(Duration::from_secs(life)), ..OAuth::default() }
}

/// A folder with a configuration whose source has that token, a store, and a file as the destination.
struct Place {
    dir: TempDir,
    listen: SocketAddr,
}

impl Place {
    fn new(slack: &Slack, token: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listen = TcpListener::bind(SocketAddr::from(HERE)).unwrap().local_addr().unwrap();
        let OAuth { client_id, client_secret, .. } = OAuth::default();
        secret(&dir.path().join("secret"), &client_secret);
        let text = format!(
            "version = 1\n[state]\ndir = {state:?}\n\
             [oauth.acme]\nclient_id = {client_id:?}\nclient_secret = {{ file = {secret:?} }}\nbase_url = {url:?}\n\
             [sources.acme]\nlog = \"audit\"\ntoken = {token}\nbase_url = {url:?}\nstart = \"1d\"\npoll_every = \"1s\"\n\
             settle = \"2s\"\nrequests_per_minute = 1000000\n[destinations.out.file]\npath = {out:?}\n\
             [telemetry]\nlisten = \"{listen}\"\n",
            state = dir.path().join("state"),
            secret = dir.path().join("secret"),
            url = slack.base_url(),
            out = dir.path().join("out"),
        );
        fs::write(dir.path().join("slackcef.toml"), text).unwrap();
        Self { dir, listen }
    }

    /// One whose source has a token of a file.
    fn with_file(slack: &Slack) -> Self {
        let place = Self::new(slack, "{ file = \"TOKEN\" }");
        let path = place.path("token");
        secret(&path, slack.token());
        let text = fs::read_to_string(place.path("slackcef.toml")).unwrap();
        fs::write(place.path("slackcef.toml"), text.replace("TOKEN", path.to_str().unwrap())).unwrap();
        place
    }

    fn with_login(slack: &Slack) -> Self {
        Self::new(slack, "{ oauth = \"acme\" }")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn kept(&self) -> PathBuf {
        self.path("state/oauth/acme.json")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slackcef"));
        command.env_clear().env("NO_COLOR", "1").env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("SLACKCEF_CONFIG", self.path("slackcef.toml")).args(arguments).stdin(Stdio::null());
        command
    }

    fn output(&self, arguments: &[&str]) -> Output {
        block_in_place(|| self.command(arguments).output().unwrap())
    }

    fn service(&self) -> Service<'_> {
        let log = fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let child = self.command(&["run"]).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        Service { child, place: self }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Logs in by what a person would paste.
    async fn log_in(&self, slack: &Slack) {
        let output = self.paste(slack, str::to_owned).await;
        assert!(output.status.success(), "{}", text(&output));
    }

    /// Logs in by what a person would paste, which `meddle` changes.
    async fn paste(&self, slack: &Slack, meddle: impl Fn(&str) -> String) -> Output {
        let mut login = Login::start(self.command(&["auth", "login", "acme", "--paste"]));
        let back = allowed(&login.url()).await;
        assert!(back.starts_with("https://localhost:9465/?code="), "{back} {}", slack.base_url());
        login.paste(&meddle(&back));
        login.end()
    }

    /// The forwarder's own events of that class.
    fn own(&self, class_id: &str) -> Vec<Decoded> {
        let out = fs::read_to_string(self.path("out")).unwrap_or_default();
        let own = out.lines().filter(|line| !is_of_slack(line));
        let events = own.filter_map(|line| cef::decode(line.get(line.find("CEF:")?..)?).ok());
        events.filter(|event| event.class_id == class_id).collect()
    }

    fn entries(&self) -> usize {
        let out = fs::read_to_string(self.path("out")).unwrap_or_default();
        out.lines().filter(|line| is_of_slack(line)).count()
    }
}

fn secret(path: &Path, text: &str) {
    // As careful people do it: never half a secret, never one that others can read.
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(Command::new("mv").args([&new, path]).status().unwrap().success());
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(output)))
}

/// The service; dropped, it is killed.
struct Service<'p> {
    child: Child,
    place: &'p Place,
}

impl Service<'_> {
    async fn status(&self) -> Option<Value> {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let response = client.get(format!("http://{}/status", self.place.listen)).send().await.ok()?;
        let text = response.text().await.ok()?;
        serde_json::from_str::<Value>(&text).unwrap()["sources"].get(0).cloned()
    }

    async fn until(&self, holds: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let source = self.status().await.unwrap_or_default();
            if holds(&source) {
                return source;
            }
            assert!(start.elapsed() < 2 * PATIENCE, "it does not come: {source:#}\n{}", self.place.log());
            tick().await;
        }
    }

    async fn until_caught_up(&self) -> Value {
        self.until(|source| source["phase"] == "caught-up").await
    }

    async fn until_refused(&self) -> Value {
        self.until(|source| source["phase"] == "refused").await
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Service<'_> {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < 2 * PATIENCE, "it does not come: {what}");
        tick().await;
    }
}

/// Nothing that anybody was shown holds a token.
fn no_token_in(shown: &str) {
    for part in ["xoxp-", "xoxe-", "xoxe.", "simulated-client-secret"] {
        assert!(!shown.contains(part), "{part} in {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_logs_in_by_the_browser_and_a_forged_code_is_not_taken() {
    let slack = slack(rotating(43_200)).await;
    let place = Place::with_login(&slack);
    let login = ["auth", "login", "acme", "--listen", "127.0.0.1:0"];
    let mut login = Login::start(place.command(&login));
    let back = allowed(&login.url()).await;
    let (address, _) = back.split_once('?').unwrap();
    assert!(address.starts_with("https://localhost:"), "{address}");
    let open = async |url: &str| browser().get(url).send().await.unwrap().status().as_u16();
    assert_eq!(open(&format!("{address}favicon.ico")).await, 404);
    assert_eq!(open(&format!("{address}?code=forged&state=forged")).await, 400);
    assert_eq!(open(&back).await, 200);
    let output = login.end();
    assert!(output.status.success(), "{}", text(&output));
    let said = text(&output);
    for part in ["bea.nunez (W0SIMULATED)", "the organization Acme", "auditlogs:read", "refreshed before"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    no_token_in(&said);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&place.kept()), mode(place.kept().parent().unwrap())), (0o600, 0o700));

    let tested = json(&place.output(&["auth", "test", "--json"]));
    assert_eq!(tested[0]["ok"], true, "{tested:#}");
    assert_eq!((&tested[0]["org_install"], &tested[0]["user"]), (&true.into(), &"bea.nunez".into()));
    assert!(tested[0]["expires_in_seconds"].as_u64().is_some_and(|left| left > 43_000), "{tested:#}");
    let refreshed = place.output(&["auth", "refresh", "acme"]);
    assert!(refreshed.status.success() && slack.logins().refreshed == 1, "{}", text(&refreshed));
    let shown = place.output(&["auth", "test"]);
    assert!(text(&shown).contains("; lives for 1"), "{}", text(&shown));
    no_token_in(&(text(&refreshed) + &text(&shown)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_elsewhere_pastes_the_address_or_the_code() {
    let slack = slack(OAuth::default()).await;
    let place = Place::with_login(&slack);
    let nobody = place.output(&["auth", "test"]);
    assert_eq!(nobody.status.code(), Some(78));
    assert!(text(&nobody).contains("`slackcef auth login acme`"), "{}", text(&nobody));
    let forged = place.paste(&slack, |back| back.replace("state=", "state=x")).await;
    assert_eq!(forged.status.code(), Some(64), "{}", text(&forged));
    let refused = place.paste(&slack, |back| {
        let state = back.split_once("state=").unwrap().1;
        format!("https://localhost:9465/?error=access_denied&state={state}")
    });
    assert!(text(&refused.await).contains("access_denied"));
    let stale = place.paste(&slack, |_| "1.2.stale".to_owned()).await;
    assert_eq!(stale.status.code(), Some(78));
    assert!(text(&stale).contains("ten minutes"), "{}", text(&stale));
    assert!(!place.kept().exists());

    let code = |back: &str| back.split_once("code=").unwrap().1.split_once('&').unwrap().0.to_owned();
    let output = place.paste(&slack, code).await;
    assert!(output.status.success() && text(&output).contains("does not expire"), "{}", text(&output));
    let tested = place.output(&["auth", "test", "acme"]);
    assert!(tested.status.success() && text(&tested).contains("does not expire"), "{}", text(&tested));
    assert_eq!(place.output(&["auth", "test", "other"]).status.code(), Some(64));
    slack.stop().await.unwrap();
    assert_eq!(place.output(&["auth", "test"]).status.code(), Some(69));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_cannot_read_the_log_takes_no_place() {
    for (oauth, cure) in [
        (OAuth { org_install: false, ..OAuth::default() }, "pick the organization"),
        (OAuth { scopes: vec!["admin".into()], ..OAuth::default() }, "add it to the app's user scopes"),
    ] {
        let slack = slack(oauth).await;
        let place = Place::with_login(&slack);
        let output = place.paste(&slack, str::to_owned).await;
        assert_eq!(output.status.code(), Some(78));
        assert!(
            text(&output).contains(cure) && text(&output).contains("nothing was kept"),
            "{}",
            text(&output)
        );
        assert!(!place.kept().exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manifest_is_printed_before_there_is_an_app() {
    let slack = slack(OAuth::default()).await;
    let place = Place::with_login(&slack);
    let manifest =
        |more: &[&str]| json(&place.output(&[&["auth", "login", "acme", "--print-manifest"], more].concat()));
    let printed = manifest(&["--listen", "127.0.0.1:9999"]);
    assert_eq!(printed["oauth_config"]["redirect_urls"][0], "https://localhost:9999/");
    assert_eq!(printed["oauth_config"]["scopes"]["user"], serde_json::json!(["auditlogs:read"]));
    assert_eq!(printed["settings"]["token_rotation_enabled"], true);
    assert_eq!(printed["settings"]["org_deploy_enabled"], true);
    fs::remove_file(place.path("slackcef.toml")).unwrap();
    assert_eq!(
        manifest(&[])["oauth_config"]["scopes"]["user"],
        serde_json::json!(["auditlogs:read", "admin"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_rotate_under_a_running_service_that_nothing_is_refused_to() {
    let slack = slack(rotating(6)).await;
    let place = Place::with_login(&slack);
    place.log_in(&slack).await;
    let service = place.service();
    service.until_caught_up().await;
    until("three refreshes", || slack.logins().refreshed >= 3).await;
    let requests = slack.requests().len();
    until("requests", || slack.requests().len() > requests + 3).await;
    let refused: Vec<_> = slack.requests().into_iter().filter(|request| request.status != 200).collect();
    assert!(refused.is_empty(), "{refused:?}\n{}", place.log());
    assert_eq!(place.entries(), 40);
    let OAuthTally { refreshes, refreshed, refused, .. } = slack.logins();
    assert_eq!((refreshes, refused), (refreshed, 0));
    no_token_in(&place.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_before_or_after_slack_has_answered_costs_no_login() {
    let each =
        [RefreshFault::Ignored, RefreshFault::Unanswered, RefreshFault::CutOff, RefreshFault::Unavailable];
    let mut all: JoinSet<()> = each.into_iter().map(crash_at).collect();
    while let Some(ended) = all.join_next().await {
        ended.unwrap();
    }
}

async fn crash_at(fault: RefreshFault) {
    let slack = slack(OAuth { faults: vec![(1, fault)], ..rotating(12) }).await;
    let place = Place::with_login(&slack);
    place.log_in(&slack).await;
    let service = place.service();
    until("the first refresh", || slack.logins().refreshes >= 1).await;
    service.kill();
    let service = place.service();
    until("a refresh that succeeds", || slack.logins().refreshes >= 2).await;
    service.until_caught_up().await;
    let kept = || fs::read_to_string(place.kept()).unwrap();
    until("its pair", || kept().contains("\"refreshing_since\": null")).await;
    assert_eq!(slack.logins().refused, 0, "{fault:?}: {}", place.log());
    assert!(service.status().await.unwrap()["token"].is_null());
    assert!(slack.requests().iter().all(|request| request.status == 200), "{fault:?}: {}", place.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_of_a_refresh_the_login_goes_on() {
    let slack = slack(rotating(43_200)).await;
    let place = Place::with_login(&slack);
    place.log_in(&slack).await;
    for step in 0..40 {
        let before = slack.logins();
        let mut child = place
            .command(&["auth", "refresh", "acme"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        // Right when Slack has it, right when it has answered, and ever a little later.
        let patience = Duration::from_micros(500 * (step / 2));
        let mut came = None;
        while child.try_wait().unwrap().is_none() {
            let now = slack.logins();
            let is_there = if step % 2 == 0 {
                now.refreshes > before.refreshes
            } else {
                now.refreshed > before.refreshed
            };
            if is_there && came.get_or_insert_with(Instant::now).elapsed() >= patience {
                child.kill().unwrap();
            }
            assert!(start.elapsed() < PATIENCE, "it does not end");
            std::thread::yield_now();
        }
        child.wait().unwrap();
        // What is kept is whole, whenever it was.
        assert!(serde_json::from_str::<Value>(&fs::read_to_string(place.kept()).unwrap()).is_ok());
    }
    let output = place.output(&["auth", "refresh", "acme"]);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(slack.logins().refused, 0);
    assert!(place.output(&["auth", "test"]).status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_a_crash_has_ended_says_so_while_its_token_still_works() {
    let faults = vec![(1, RefreshFault::Unanswered)];
    let slack = slack(OAuth { faults, grace: Duration::ZERO, ..rotating(43_200) }).await;
    let place = Place::with_login(&slack);
    place.log_in(&slack).await;
    let mut refresh = place.command(&["auth", "refresh", "acme"]).stderr(Stdio::null()).spawn().unwrap();
    until("the refresh", || slack.logins().refreshed == 1).await;
    refresh.kill().unwrap();
    refresh.wait().unwrap();

    let service = place.service();
    let source = service.until(|source| source["phase"] == "caught-up" && !source["token"].is_null()).await;
    let what = source["token"]["what"].as_str().unwrap();
    assert!(what.contains("invalid_refresh_token") && what.contains("cut off"), "{what}");
    assert!(source["token"]["help"].as_str().unwrap().contains("`slackcef auth login acme`"), "{source:#}");
    until("the event", || !place.own("token-expiring").is_empty()).await;
    assert!(place.own("token-expiring")[0].value("cs5").unwrap().contains("slackcef auth login acme"));
    let shown = text(&place.output(&["status"]));
    assert!(
        shown.contains("the token works, but it ends at") && shown.contains("auth login acme"),
        "{shown}"
    );
    assert!(place.log().contains("the token works and will end"), "{}", place.log());
    let asked = slack.logins().refreshes;
    assert!(!place.output(&["auth", "refresh", "acme"]).status.success());
    assert_eq!(slack.logins().refreshes, asked, "a spent refresh token is not tried again");
    place.log_in(&slack).await;
    assert!(place.output(&["auth", "refresh", "acme"]).status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_of_a_login_is_replaced_before_anybody_is_told() {
    let slack = slack(rotating(43_200)).await;
    let place = Place::with_login(&slack);
    place.log_in(&slack).await;
    let service = place.service();
    service.until_caught_up().await;
    slack.happen(&Happening::Revoked);
    until("a refresh", || slack.logins().refreshed == 1).await;
    let answered = service.status().await.unwrap()["answered_at"].clone();
    service.until(|source| source["phase"] == "caught-up" && source["answered_at"] != answered).await;
    assert!(service.status().await.unwrap()["fault"].is_null(), "{}", place.log());

    slack.happen(&Happening::LoginRevoked);
    let source = service.until_refused().await;
    let fault = &source["fault"];
    assert!(fault["what"].as_str().unwrap().contains("is over"), "{fault:#}");
    assert!(fault["help"].as_str().unwrap().contains("`slackcef auth login acme`"), "{fault:#}");
    place.log_in(&slack).await;
    service.until_caught_up().await;
    until("both events", || !place.own("source-recovered").is_empty()).await;
    assert_eq!(place.own("source-refused")[0].value("reason"), Some("login"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_comes_late_is_not_of_the_token_that_is_in_force_by_then() {
    let slow = Fault { when: When::On(vec![1]), trouble: Trouble::Slow(Duration::from_secs(1)) };
    let allowlist = Allowlist { faults: vec![slow], ..Allowlist::default() };
    let plan = Plan { oauth: rotating(43_200), allowlist, ..Plan::default() };
    let slack = Slack::start(SocketAddr::from(HERE), plan).await.unwrap();
    let place = Place::with_login(&slack);
    place.log_in(&slack).await;
    let OAuth { client_id, client_secret, .. } = OAuth::default();
    let app = App {
        name: "acme".to_owned(),
        client_id,
        client_secret: Fetch::new(true, move || Ok(client_secret.clone().into())),
        base_url: slack.base_url().parse().unwrap(),
        client: HttpClient::to_this_machine().unwrap(),
        clock: Clock::system(),
    };
    let rotation = Rotation::new(app, Keep::new(place.path("state/oauth"), "acme"));
    let account = Account {
        base_url: slack.base_url().parse().unwrap(),
        token: Token::rotating(rotation),
        client: HttpClient::to_this_machine().unwrap(),
        budget: Arc::new(Budget::per_minute(NonZeroU32::new(60_000).unwrap())),
        clock: Clock::system(),
    };
    whoami(&account).await.unwrap();
    slack.happen(&Happening::Revoked);
    // Asked by the old token, and refused once the new one is there.
    let allow_list = allowlist::Api::new(&account);
    let (late, ()) = tokio::join!(allow_list.read(), async {
        whoami(&account).await.unwrap_err();
        whoami(&account).await.unwrap();
    });
    late.unwrap_err();
    whoami(&account).await.unwrap();
    assert_eq!(slack.logins().refreshes, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_slack_refuses_is_told_apart_with_its_cure_and_its_end_is_noticed() {
    let slack = slack(OAuth::default()).await;
    let place = Place::with_file(&slack);
    let service = place.service();
    service.until_caught_up().await;
    let (mut whats, mut cures) = (BTreeSet::new(), BTreeSet::new());
    let all = [
        (Happening::Revoked, "token-revoked", "was revoked"),
        (Happening::ScopeRemoved("auditlogs:read".to_owned()), "scope", "auditlogs:read"),
        (Happening::Downgraded, "plan", "Enterprise"),
        (Happening::AppDeleted, "inactive", "api.slack.com/apps"),
        (Happening::Demoted, "role", "owner"),
        (Happening::AddressRefused, "token", "allowed addresses"),
    ];
    for (nth, (happening, reason, cure)) in all.iter().enumerate() {
        slack.happen(happening);
        let fault = service.until_refused().await["fault"].clone();
        let (what, help) = (fault["what"].as_str().unwrap(), fault["help"].as_str().unwrap());
        assert!(what.contains(cure) || help.contains(cure), "{happening:?}: {fault:#}");
        until("the refusal's event", || place.own("source-refused").len() > nth).await;
        let event = place.own("source-refused").remove(nth);
        assert_eq!((event.value("reason"), event.value("cs1")), (Some(*reason), Some("acme")), "{event:?}");
        assert_eq!(event.value("cs5"), Some(help));
        assert!(event.value("msg").unwrap().ends_with(what), "{event:?}");
        assert!(place.log().contains(what) && place.log().contains(help), "{what}: {}", place.log());
        let check = text(&place.output(&["check"]));
        assert!(check.contains(what) && check.contains(help), "{check}");
        let tested = place.output(&["auth", "test"]);
        // Of a plan or a role auth.test knows nothing.
        assert_eq!(tested.status.success(), ["plan", "role"].contains(reason), "{}", text(&tested));
        whats.insert(what.to_owned());
        cures.insert(help.to_owned());

        slack.happen(&Happening::Restored);
        service.until_caught_up().await;
        until("the recovery's event", || place.own("source-recovered").len() > nth).await;
        assert_eq!(place.own("source-recovered")[nth].value("reason"), Some(*reason));
    }
    assert_eq!((whats.len(), cures.len()), (all.len(), all.len()), "{whats:#?}\n{cures:#?}");
    assert_eq!((place.own("source-refused").len(), place.entries()), (all.len(), 40));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_file_that_is_replaced_is_noticed_without_a_restart() {
    let slack = slack(OAuth::default()).await;
    let place = Place::with_file(&slack);
    let service = place.service();
    service.until_caught_up().await;
    let old = slack.token().to_owned();
    // Replaced while the old one still worked: nothing is refused.
    secret(&place.path("token"), &install(&slack).await);
    revoke(&slack, &old).await;
    let requests = slack.requests().len();
    until("requests", || slack.requests().len() > requests + 3).await;
    service.until_caught_up().await;
    assert_eq!(slack.requests().iter().filter(|request| request.status == 401).count(), 1, "{}", place.log());
    assert!(place.own("source-refused").is_empty());

    // And after it was refused.
    let old = fs::read_to_string(place.path("token")).unwrap();
    revoke(&slack, &old).await;
    service.until_refused().await;
    secret(&place.path("token"), &install(&slack).await);
    service.until_caught_up().await;
    until("its end", || !place.own("source-recovered").is_empty()).await;
    no_token_in(&place.log());
}

/// A token by a login that slackcef knows nothing of.
async fn install(slack: &Slack) -> String {
    let (base, OAuth { client_id, client_secret, .. }) = (slack.base_url(), OAuth::default());
    let asked = format!("client_id={client_id}&user_scope=auditlogs:read&state=s&redirect_uri=https://r/");
    let back = allowed(&format!("{base}/oauth/v2/authorize?{asked}")).await;
    let code = back.split_once("code=").unwrap().1.split_once('&').unwrap().0;
    let form =
        format!("client_id={client_id}&client_secret={client_secret}&code={code}&redirect_uri=https://r/");
    let response = browser().post(format!("{base}/api/oauth.v2.access")).body(form).send().await.unwrap();
    let answer: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    answer["authed_user"]["access_token"].as_str().unwrap().to_owned()
}

async fn revoke(slack: &Slack, token: &str) {
    let url = format!("{}/api/auth.revoke", slack.base_url());
    let response = browser().get(url).bearer_auth(token).send().await.unwrap();
    assert!(response.text().await.unwrap().contains("\"revoked\":true"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_need_have_logged_in_for_the_service_to_start() {
    let slack = slack(OAuth::default()).await;
    let place = Place::with_login(&slack);
    let service = place.service();
    let source = service.until_refused().await;
    assert!(
        source["fault"]["what"].as_str().unwrap().contains("nobody has logged in as acme yet"),
        "{source:#}"
    );
    assert!(slack.requests().is_empty());
    place.log_in(&slack).await;
    service.until_caught_up().await;
}
