use super::*;
use crate::net::{Fingerprint, Roots, TlsSettings, Trust};

fn problems(text: &str) -> Vec<(&'static str, String)> {
    Config::parse("slackcef.toml", text)
        .expect_err("mistakes")
        .into_iter()
        .map(|problem| (problem.code, format!("{}: {}", problem.line(), problem.what)))
        .collect()
}

const SMALLEST: &str = r#"version = 1
[sources.acme]
log = "audit"
token = { env = "TOKEN" }
[destinations.siem.tls]
to = ["siem.example.com:6514"]
"#;

#[test]
fn the_smallest_file_takes_every_default() {
    let config = Config::parse("slackcef.toml", SMALLEST).unwrap();
    let source = &config.sources["acme"];
    assert_eq!(source.token, TokenFrom::Secret(SecretFrom::Env("TOKEN".into())));
    assert_eq!(source.poll_every, Duration::from_secs(60));
    assert!(
        matches!(source.reading, Reading::Audit(AuditReading { verify_after: Some(after), .. }) if after == Duration::from_secs(3600))
    );
    assert_eq!(source.requests_per_minute.get(), 30);
    assert_eq!(config.state.max_size, 10 << 30);
    let siem = &config.destinations["siem"];
    assert_eq!(siem.max_message, 8000);
    assert!(
        matches!(&siem.transport, Transport::Tls(tls) if tls.to.len() == 1 && tls.settings.client.is_none())
    );
}

#[test]
fn every_mistake_is_told_at_once_and_in_order() {
    let text = SMALLEST.replace("env", "evn").replace("to =", "too =") + "framing = \"lines\"\n[stat]\n";
    let found: Vec<_> = problems(&text).into_iter().map(|(code, _)| code).collect();
    assert_eq!(found, ["missing", "unknown-key", "missing", "unknown-key", "bad-value", "unknown-key"]);
}

#[test]
fn a_mistyped_key_is_answered_with_the_right_one() {
    let text = SMALLEST.to_owned() + "[state]\nmax_sise = \"1GiB\"\n";
    let problem = Config::parse("slackcef.toml", &text).unwrap_err().remove(0);
    assert_eq!(problem.help.as_deref(), Some("did you mean `max_size`?"));
    assert_eq!(problem.text.get(problem.span.clone()), Some("max_sise"));
}

#[test]
fn a_source_is_listened_to_as_it_says_or_as_all_are() {
    let quiet = |telemetry: &str, source: &str| {
        let text =
            SMALLEST.replace("log =", &format!("{source}\nlog =")) + "[telemetry]\n" + telemetry + "\n";
        Config::parse("slackcef.toml", &text).map(|config| {
            let Quiet { after, learned } = config.sources["acme"].quiet;
            (after.map(|after| after.as_secs()), learned)
        })
    };
    assert_eq!(quiet("", "").unwrap(), (Some(86_400), true));
    assert_eq!(quiet("quiet_after = \"2h\"\nquiet_learned = false", "").unwrap(), (Some(7_200), false));
    assert_eq!(quiet("quiet_after = \"2h\"", "quiet_after = \"off\"").unwrap(), (None, true));
    assert_eq!(
        quiet("quiet_after = \"off\"\nquiet_learned = false", "quiet_after = \"7d\"\nquiet_learned = true")
            .unwrap(),
        (Some(7 * 86_400), true)
    );
    for wrong in
        ["quiet_after = \"0s\"", "quiet_after = \"never\"", "quiet_after = 24", "quiet_learned = \"no\""]
    {
        assert_eq!(quiet(wrong, "").unwrap_err().len(), 1, "{wrong}");
        assert_eq!(quiet("", wrong).unwrap_err().len(), 1, "{wrong}");
    }
}

#[test]
fn limits_are_read_with_their_units() {
    let rate = "rate = { events_per_second = 500, burst = 50, bytes_per_second = \"1MB\", bytes_per_day = \"5GiB\", catch_up = 200 }\n";
    let text = SMALLEST
        .replace("[destinations.siem.tls]", &format!("[destinations.siem]\n{rate}[destinations.siem.tls]"));
    let limits = Config::parse("slackcef.toml", &text).unwrap().destinations["siem"].limits;
    assert_eq!(limits.events_per_second.unwrap().get(), 500);
    assert_eq!(limits.burst.unwrap().get(), 50);
    assert_eq!(limits.bytes_per_second.unwrap().get(), 1_000_000);
    assert_eq!(limits.bytes_per_day.unwrap().get(), 5 << 30);
    assert_eq!(limits.catch_up.unwrap().get(), 200);
    assert_eq!(limits.largest_message, 8000);
}

#[test]
fn names_must_be_defined_in_the_file() {
    let text =
        SMALLEST.to_owned() + "[destinations.b]\nsources = [\"acmee\"]\nmapping = \"m\"\nstdout = {}\n";
    assert_eq!(
        problems(&text),
        [
            ("undefined", "8: `acmee` is not defined in this file".to_owned()),
            ("undefined", "9: `m` is not defined in this file".to_owned()),
        ]
    );
}

#[test]
fn what_this_version_does_not_do_is_refused_by_name() {
    let found = problems(&(SMALLEST.to_owned() + "[state]\nnats = \"nats://h\"\n"));
    assert!(found.iter().any(|(code, text)| *code == "not-yet" && text.contains("NATS")), "{found:?}");
    let config = Config::parse("f", &(SMALLEST.to_owned() + "[telemetry]\nheartbeat = \"5m\"\n")).unwrap();
    let [heartbeat] = config.remarks.as_slice() else { panic!("{:?}", config.remarks) };
    assert!(heartbeat.contains("`heartbeat`"), "{heartbeat}");
}

#[test]
fn a_notice_says_where_its_webhook_is_and_what_is_told() {
    let notice = "[notify.security]\nwebhook = { env = \"W\" }\nwhen = { severity = { at_least = 8 },\n  log = \"audit\" }\n";
    let config =
        Config::parse("f", &format!("{SMALLEST}{notice}sources = [\"acme\"]\nwindow = \"30s\"\n")).unwrap();
    let notice = &config.notices["security"];
    assert_eq!(notice.webhook, SecretFrom::Env("W".to_owned()));
    assert_eq!(notice.when_text, "{ severity = { at_least = 8 }, log = \"audit\" }");
    assert_eq!(
        (notice.window, notice.sources.as_deref()),
        (Duration::from_secs(30), Some(&["acme".to_owned()][..]))
    );
}

#[test]
fn a_secret_that_stands_in_the_file_is_not_shown() {
    let notice = "[notify.security]\nwebhook = \"https://hooks.slack.com/services/T0/B0/hush\"\nwhen = {}\n";
    let problems = Config::parse("f", &(SMALLEST.to_owned() + notice)).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(!problems[0].render(false).contains("hush"), "{}", problems[0].render(false));
}

#[test]
fn status_is_shown_to_this_machine_alone_unless_another_address_is_written() {
    let listen = |line: &str| {
        let config = Config::parse("f", &format!("{SMALLEST}[telemetry]\n{line}\n")).unwrap();
        (config.telemetry.listen.map(|listen| listen.to_string()), config.remarks.join(""))
    };
    let usual = (Some("127.0.0.1:9464".to_owned()), String::new());
    assert_eq!(
        Config::parse("f", SMALLEST).unwrap().telemetry.listen,
        listen("").0.map(|a| a.parse().unwrap())
    );
    assert_eq!(listen(""), usual);
    assert_eq!(listen("listen = \"off\""), (None, String::new()));
    assert_eq!(listen("listen = \"[::1]:80\""), (Some("[::1]:80".to_owned()), String::new()));
    let (open, remark) = listen("listen = \"0.0.0.0:9464\"");
    assert_eq!(open.as_deref(), Some("0.0.0.0:9464"));
    assert!(remark.contains("other machines can read there"), "{remark}");
    for wrong in ["localhost:9464", "9464", "127.0.0.1", "127.0.0.1:0"] {
        let found = problems(&format!("{SMALLEST}[telemetry]\nlisten = \"{wrong}\"\n"));
        assert_eq!(found[0].0, "bad-value", "{wrong}");
    }
    assert_eq!(problems(&format!("{SMALLEST}[telemetry]\nlistens = \"off\"\n"))[0].0, "unknown-key");
}

#[test]
fn a_destination_has_one_transport() {
    let text = SMALLEST.to_owned() + "[destinations.siem.tcp]\nto = [\"h:514\"]\n";
    assert_eq!(problems(&text)[0].0, "two-transports");
    let text =
        SMALLEST.replace("[destinations.siem.tls]\nto = [\"siem.example.com:6514\"]", "[destinations.siem]");
    assert_eq!(problems(&text)[0].0, "missing");
}

#[test]
fn what_would_deliver_nothing_in_silence_is_refused() {
    let (head, rest) = SMALLEST.split_at(SMALLEST.find("[sources").unwrap());
    let (source, destination) = rest.split_at(rest.find("[dest").unwrap());
    assert_eq!(
        problems(&format!("{head}[sources]\n{destination}")),
        [("missing", "2: there are no sources".into())]
    );
    assert_eq!(
        problems(&format!("{head}{source}[destinations]\n")),
        [("missing", "5: there are no destinations".into())]
    );
    let text = SMALLEST.to_owned() + "[destinations.b]\nsources = []\nstdout = {}\n";
    assert_eq!(problems(&text)[0].0, "missing");
}

#[test]
fn two_destinations_do_not_share_a_file() {
    let file = |name: &str| format!("[destinations.{name}.file]\npath = \"/var/log/slack.cef\"\n");
    assert!(Config::parse("f", &(SMALLEST.to_owned() + &file("b"))).is_ok());
    let found = problems(&(SMALLEST.to_owned() + &file("b") + &file("c")));
    assert_eq!(found, [("same-file", "9: `b` and `c` would tear each other's lines in one file".into())]);
}

#[test]
fn nothing_is_verified_after_its_ids_are_forgotten() {
    let text = |after: &str| SMALLEST.replace("log =", &format!("verify_after = {after:?}\nlog ="));
    assert!(Config::parse("f", &text("48h")).is_ok() && Config::parse("f", &text("off")).is_ok());
    assert_eq!(problems(&text("30d")), [("bad-value", "3: `30d` is no value for `verify_after`".into())]);
}

#[test]
fn a_token_goes_nowhere_in_the_clear() {
    let text = SMALLEST.replace("log =", "base_url = \"http://api.slack.com\"\nlog =");
    assert_eq!(problems(&text)[0].0, "bad-value");
    let text = SMALLEST.replace("log =", "base_url = \"http://127.0.0.1:8080\"\nlog =");
    assert!(Config::parse("f", &text).is_ok());
}

#[test]
fn nonsense_is_refused_not_panicked_over() {
    for text in [
        "",
        "version = 2",
        "version = \"1\"",
        "= 1",
        "version = 1\nsources = 3",
        "version = 1\nsources = { a = 1 }",
    ] {
        assert!(Config::parse("f", text).is_err(), "{text}");
    }
}

#[test]
fn the_forwarders_own_log_and_source_are_not_to_be_polled() {
    let text = SMALLEST.replace("sources.acme", "sources.slackcef");
    let what = "2: `slackcef` is the source of the forwarder's own events".to_owned();
    assert_eq!(problems(&text), [("bad-name", what)]);
    let text = SMALLEST.replace("\"audit\"", "\"forwarder\"");
    assert_eq!(problems(&text), [("bad-value", "3: Slack has no log `forwarder`".to_owned())]);
}

#[test]
fn a_mapping_says_where_its_pseudonym_key_is() {
    let mapping = |key: &str| format!("{SMALLEST}[mappings.acme]\ndir = \"/m\"\n{key}\n");
    let config =
        Config::parse("slackcef.toml", &mapping("pseudonym_key = { credential = \"key\" }")).unwrap();
    let acme = &config.mappings["acme"];
    assert_eq!(acme.dir, PathBuf::from("/m"));
    assert_eq!(acme.pseudonym_key, Some(SecretFrom::Credential("key".into())));
    assert_eq!(Config::parse("slackcef.toml", &mapping("")).unwrap().mappings["acme"].pseudonym_key, None);
    for (key, said) in [
        ("pseudonym_key = \"abc\"", ("wrong-type", "9: `pseudonym_key` is a table, not a text")),
        ("pseudonym_key = {}", ("missing", "9: `pseudonym_key` does not say where it is")),
        (
            "pseudonym_key = { env = \"A\", file = \"/a\" }",
            ("bad-value", "9: `pseudonym_key` names more than one place"),
        ),
    ] {
        assert_eq!(problems(&mapping(key)), [(said.0, said.1.to_owned())], "{key}");
    }
    let told = problems(&mapping("pseudonym_key = { fil = \"/a\" }"));
    assert_eq!(told.iter().map(|(code, _)| *code).collect::<Vec<_>>(), ["missing", "unknown-key"]);
}

fn tls_of(keys: &str) -> TlsSettings {
    let config = Config::parse("slackcef.toml", &format!("{SMALLEST}{keys}")).unwrap();
    match &config.destinations["siem"].transport {
        Transport::Tls(tls) => tls.settings.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_fingerprint_decides_alone_or_beside_an_authority() {
    const PIN: &str = "sha-1:A9:99:3E:36:47:06:81:6A:BA:3E:25:71:78:50:C2:6C:9C:D0:D8:9D";
    let pins: Vec<Fingerprint> = vec![PIN.parse().unwrap()];
    let (system, file) = (Roots::System, Roots::File("/ca.pem".into()));
    for (keys, trust) in [
        (String::new(), Trust::Chain { roots: system, pins: vec![] }),
        ("ca = \"/ca.pem\"".to_owned(), Trust::Chain { roots: file.clone(), pins: vec![] }),
        (format!("fingerprints = [\"{PIN}\"]"), Trust::Pinned(pins.clone())),
        (format!("ca = \"/ca.pem\"\nfingerprints = [\"{PIN}\"]"), Trust::Chain { roots: file, pins }),
    ] {
        assert_eq!(tls_of(&keys).trust, trust, "{keys}");
    }
    let named = tls_of("server_name = \"10.0.0.7\"\nsni = \"lb.example.com\"");
    assert_eq!(
        (named.server_name.as_deref(), named.sni.as_deref()),
        (Some("10.0.0.7"), Some("lb.example.com"))
    );
}

#[test]
fn a_login_is_shared_by_its_sources() {
    let login = "[oauth.acme]\nclient_id = \"1.2\"\nclient_secret = { env = \"S\" }\n";
    let text = SMALLEST.replace("{ env = \"TOKEN\" }", "{ oauth = \"acme\" }");
    let gov = format!("{text}{login}base_url = \"https://api.slack-gov.com\"\nscopes = [\"admin\"]\n");
    let config = Config::parse("f", &gov).unwrap();
    let source = &config.sources["acme"];
    assert_eq!(source.token, TokenFrom::Login(config.logins["acme"].clone()));
    assert_eq!(source.base_url.to_string(), "https://api.slack-gov.com/");
    assert_eq!(config.logins["acme"].keep().path(), Path::new("/var/lib/slackcef/oauth/acme.json"));
    assert_eq!(problems(&text)[0], ("undefined", "4: `acme` is not defined in this file".to_owned()));
    let elsewhere = gov.replace("log = \"audit\"", "log = \"audit\"\nbase_url = \"https://api.slack.com\"");
    assert_eq!(problems(&elsewhere)[0].0, "bad-value");
}

#[test]
fn a_source_of_the_access_log_has_keys_of_its_own() {
    let access = |more: &str| {
        let log = format!("log = \"access\"\n{more}");
        Config::parse("slackcef.toml", &SMALLEST.replace("log = \"audit\"", &log))
    };
    let usual = access("").unwrap();
    assert_eq!(usual.sources["acme"].log(), crate::event::Log::Access);
    assert_eq!(usual.sources["acme"].requests_per_minute.get(), 15);
    let reading = |config: &Config| match &config.sources["acme"].reading {
        Reading::Access(reading) => reading.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(reading(&usual).full_walk_every, Duration::from_secs(6 * 3_600));
    let given = access("full_walk_every = \"1h\"\nforget_after = \"30d\"\nteam_id = \"T0123ABCD\"").unwrap();
    assert_eq!(reading(&given).team_id.as_deref(), Some("T0123ABCD"));
    assert_eq!(reading(&given).forget_after, Duration::from_secs(30 * 86_400));
    for (more, code) in [
        ("settle = \"60s\"", "other-log"),
        ("verify_after = \"1h\"", "other-log"),
        ("only = { actor = \"U1\" }", "other-log"),
        ("full_walk_every = \"8d\"", "bad-value"),
        ("full_walk_every = \"0s\"", "bad-value"),
        ("forget_after = \"1d\"", "bad-value"),
        ("team_id = \"acme\"", "bad-value"),
        ("team = \"T1\"", "unknown-key"),
    ] {
        let found: Vec<_> = access(more).unwrap_err().into_iter().map(|problem| problem.code).collect();
        assert_eq!(found, [code], "{more}");
    }
    assert_eq!(problems(&SMALLEST.replace("token", "team_id = \"T1\"\ntoken"))[0].0, "other-log");
}

#[test]
fn a_source_of_the_integration_log_has_keys_of_its_own() {
    let integration = |more: &str| {
        let log = format!("log = \"integration\"\n{more}");
        Config::parse("slackcef.toml", &SMALLEST.replace("log = \"audit\"", &log))
    };
    let reading = |config: &Config| match &config.sources["acme"].reading {
        Reading::Integration(reading) => reading.clone(),
        other => panic!("{other:?}"),
    };
    let usual = integration("").unwrap();
    assert_eq!(usual.sources["acme"].log(), crate::event::Log::Integration);
    assert_eq!(usual.sources["acme"].requests_per_minute.get(), 15);
    assert_eq!(reading(&usual).full_walk_every, Duration::from_secs(86_400));
    assert_eq!(reading(&usual).only, crate::slack::integration::Only::default());
    let only = "only = { app_id = \"A1\", service_id = \"12\", user = \"U1\", change_type = \"added\" }";
    let given = integration(&format!("{only}\nteam_id = \"T0123ABCD\"")).unwrap();
    assert_eq!(reading(&given).only.change_type.as_deref(), Some("added"));
    assert_eq!(reading(&given).only.service_id.as_deref(), Some("12"));
    for (more, code) in [
        ("settle = \"60s\"", "other-log"),
        ("verify_after = \"1h\"", "other-log"),
        ("only = { actor = \"U1\" }", "other-log"),
        ("only = { actions = [\"added\"] }", "other-log"),
        ("only = { change_type = \"add\" }", "bad-value"),
        ("only = { app_id = \"A1&count=1\" }", "bad-value"),
        ("full_walk_every = \"8d\"", "bad-value"),
        ("forget_after = \"1d\"", "bad-value"),
    ] {
        let found: Vec<_> = integration(more).unwrap_err().into_iter().map(|problem| problem.code).collect();
        assert_eq!(found, [code], "{more}");
    }
    let audit = SMALLEST.replace("token", "only = { change_type = \"added\" }\ntoken");
    assert_eq!(problems(&audit)[0].0, "unknown-key");
}
