//! What a mapping makes of entries: layers, rules, short cuts, hostile input, and the account of it.

use std::fmt::Write as _;

use bytes::Bytes;
use slackcef::cef::Event;
use slackcef::event::{Entry, Log, UnixTime};
use slackcef::mapping::{self, FieldOf, Layer, MappingFile, Outcome, Plans, PseudonymKey, Scratch};

const SHIPPED: &str = r#"
version = 1
log = "audit"
category = "user"

[header]
vendor = "Slack"
product = "Audit Logs"

[unmapped]
severity = 4
fields = { msg = "unmapped" }

[fields]
externalId = "{id}"
rt = "{date_create}"
suser = "{actor.user.email ?? actor.user.name}"
src = "{context.ip_address}"
dvchost = "{context.location.domain}.slack.com"
cs1 = { label = "SlackActorName", value = "{actor.user.name}" }
cs3 = { label = "SlackEntityId", value = "{entity.*.id}" }
reason = "{details.reason}"
cs6 = { label = "SlackDetails", value = "{details | json}" }
SlackAuditActorType = "{actor.type}"

[actions.user_login]
name = "User logged in"
severity = 2
fields = { outcome = "success" }

[actions.anomaly]
name = "Anomaly"
severity = 6
category = "anomaly"

[actions.quiet]
severity = 1

[[rules]]
when = { action = "anomaly", "details.reason" = { any = ["tor", "asn"] } }
severity = 8

[[rules]]
when = { action = "anomaly", "details.reason" = { any = ["tor"] } }
name = "Anomaly - Tor"
severity = 9
fields = { cs5 = { label = "AcmeNote", value = "exit node" } }

[[rules]]
when = { "actor.type" = "user" }
unset = ["SlackAuditActorType"]
"#;

fn plans(customer: &str) -> Plans {
    let mut files = vec![MappingFile::new("shipped.toml", Layer::Shipped, SHIPPED)];
    if !customer.is_empty() {
        let text = format!("version = 1\nlog = \"audit\"\n{customer}");
        files.push(MappingFile::new("acme.toml", Layer::Customer, text));
    }
    mapping::compile(&files).unwrap_or_else(|problems| {
        let shown: Vec<_> = problems.iter().map(|problem| problem.render(false)).collect();
        panic!("{}", shown.join("\n\n"))
    })
}

fn entry(json: &str) -> Entry {
    Entry::from_raw(Log::Audit, Bytes::from(json.to_owned()), UnixTime::from_seconds(0), 0).unwrap()
}

/// An event as text: the header's last three fields, then the fields, `!` before what misfits.
fn mapped(plans: &Plans, json: &str) -> String {
    let entry = entry(json);
    let mut event = Event::new();
    let plan = plans.plan(entry.log(), entry.action().as_str());
    let applied = plan.apply(&entry, &mut Scratch::new(), &mut event);
    if let Some(origin) = applied.dropped {
        return format!("dropped by {origin}");
    }
    let [vendor, product, version, class, name] = event.header();
    assert_eq!((vendor, product, version), ("Slack", "Audit Logs", env!("CARGO_PKG_VERSION")));
    let mut out = format!("{class}|{name}|{}", event.severity());
    for field in event.fields() {
        write!(out, "|{}={}", field.key, field.value).unwrap();
    }
    for misfit in applied.misfits {
        write!(out, "|!{}@{}", misfit.key, misfit.origin).unwrap();
    }
    if applied.unmapped { out + "|?" } else { out }
}

#[test]
fn an_action_becomes_an_event_in_the_order_of_receivers() {
    let json = r#"{"id":"e-1","date_create":1766105755,"action":"user_login",
        "actor":{"type":"user","user":{"id":"U1","name":"Ada \u0022the first\u0022","email":"ada@example.com"}},
        "entity":{"type":"user","user":{"id":"U1"}},
        "context":{"ip_address":"192.0.2.1","location":{"domain":"acme"}},
        "details":{ "a" : [1, 2] }}"#;
    assert_eq!(
        mapped(&plans(""), json),
        "user_login|User logged in|2|externalId=e-1|rt=1766105755000|cat=user|outcome=success\
         |suser=ada@example.com|src=192.0.2.1|dvchost=acme.slack.com|cs1=Ada \"the first\"|cs3=U1\
         |cs6={\"a\":[1,2]}"
    );
}

#[test]
fn what_is_absent_null_or_empty_is_left_out() {
    let json = r#"{"id":"e","action":"user_login","actor":{"user":{"email":"","name":null}},
        "context":{"location":{}},"details":{},"entity":{"type":"user"}}"#;
    assert_eq!(mapped(&plans(""), json), "user_login|User logged in|2|externalId=e|cat=user|outcome=success");
}

#[test]
fn an_unnamed_action_gets_the_catch_all_and_is_told_apart() {
    assert_eq!(
        mapped(&plans(""), r#"{"id":"e","action":"pref.some_new_thing","actor":{"type":"app"}}"#),
        "pref.some_new_thing|Pref some new thing|4|externalId=e|SlackAuditActorType=app|msg=unmapped|?"
    );
    assert_eq!(mapped(&plans(""), "{}").split('|').next(), Some("unknown"));
    // An action without name and severity is mapped all the same.
    assert_eq!(mapped(&plans(""), r#"{"id":"e","action":"quiet"}"#), "quiet|Quiet|1|externalId=e|cat=user");
    // One that a rule alone names is not.
    let plans = plans("[[rules]]\nwhen = { action = \"new\" }\nseverity = 7\n");
    assert!(mapped(&plans, r#"{"action":"new"}"#).starts_with("new|New|7|"));
    assert!(mapped(&plans, r#"{"action":"new"}"#).ends_with("|msg=unmapped|?"));
}

#[test]
fn of_rules_the_later_wins() {
    let plans = plans("");
    let severity = |reason: &str| {
        let json = format!(r#"{{"id":"e","action":"anomaly","details":{{"reason":{reason}}}}}"#);
        mapped(&plans, &json).split("|externalId").next().unwrap().to_owned()
    };
    assert_eq!(severity("[\"asn\"]"), "anomaly|Anomaly|8");
    assert_eq!(severity("[\"tor\",\"asn\"]"), "anomaly|Anomaly - Tor|9");
    assert_eq!(severity("\"t\\u006fr\""), "anomaly|Anomaly - Tor|9");
    assert_eq!(severity("[\"other\"]"), "anomaly|Anomaly|6");
    assert_eq!(severity("null"), "anomaly|Anomaly|6");
    let json = r#"{"id":"e","action":"anomaly","details":{"reason":["tor"]}}"#;
    assert!(mapped(&plans, json).contains("|cs5=exit node|reason=tor|"), "{}", mapped(&plans, json));
}

#[test]
fn the_customers_file_wins_key_by_key() {
    let plans = plans(
        r#"
        unset = ["cs1"]
        [header]
        product = "Audit Logs"
        [fields]
        suser = "{actor.user.name | upper}"
        AcmeTeam = "{actor.user.team ?? 'none'}"
        [actions.user_login]
        severity = 5
        unset = ["outcome"]
        [unmapped]
        unset = ["msg"]
        "#,
    );
    let json = r#"{"id":"e","action":"user_login","actor":{"user":{"name":"ada","email":"a@b"}}}"#;
    assert_eq!(
        mapped(&plans, json),
        "user_login|User logged in|5|externalId=e|cat=user|suser=ADA|AcmeTeam=none"
    );
    let json = r#"{"id":"e","action":"else"}"#;
    assert_eq!(mapped(&plans, json), "else|Else|4|externalId=e|AcmeTeam=none|?");
}

#[test]
fn entries_are_dropped_by_name_and_brought_back_by_rule() {
    let plans = plans(
        r#"
        [actions.quiet]
        drop = true
        [[rules]]
        when = { action = ["user_login", "noise"] }
        drop = true
        [[rules]]
        when = { "context.app.id" = { exists = true } }
        drop = false
        "#,
    );
    assert_eq!(mapped(&plans, r#"{"action":"quiet"}"#), "dropped by acme.toml:5");
    assert_eq!(mapped(&plans, r#"{"action":"user_login"}"#), "dropped by acme.toml:8");
    assert_eq!(mapped(&plans, r#"{"action":"noise"}"#), "dropped by acme.toml:8");
    assert!(
        mapped(&plans, r#"{"action":"quiet","context":{"app":{"id":"A1"}}}"#).starts_with("quiet|Quiet|1")
    );
    assert!(mapped(&plans, r#"{"action":"anomaly"}"#).starts_with("anomaly|"));
}

/// Whether the condition holds for the entry.
fn holds(when: &str, json: &str) -> bool {
    let plans = plans(&format!("[[rules]]\nwhen = {when}\nseverity = 10\n"));
    mapped(&plans, json).split('|').nth(2) == Some("10")
}

#[test]
fn conditions_compare_what_slack_sent() {
    let json =
        r#"{"action":"user_login","t":"x","n":12,"b":true,"l":["a","b"],"one":["a"],"e":"","o":{"k":null}}"#;
    for when in [
        "{}",
        r#"{ t = "x" }"#,
        r#"{ t = ["y", "x"] }"#,
        "{ n = 12, b = true }",
        r#"{ n = "12" }"#,
        r#"{ one = "a" }"#,
        r#"{ l = { any = ["z", "b"] } }"#,
        r#"{ t = { any = "x" } }"#,
        r#"{ l = { any = ["a"], exists = true } }"#,
        "{ e = { exists = false }, absent = { exists = false }, l = { exists = true }, o = { exists = true } }",
        r#"{ any = [{ t = "no" }, { n = 12, b = true }] }"#,
        r#"{ any = [{ action = "other" }, { action = "user_login", t = "x" }] }"#,
        r#"{ "l[1]" = "b" }"#,
        "{ action = { exists = true } }",
        r#"{ "*.k" = { exists = false } }"#,
    ] {
        assert!(holds(when, json), "{when}");
    }
    for when in [
        r#"{ t = "X" }"#,
        r#"{ l = "a" }"#,
        r#"{ l = ["a", "b"] }"#,
        r#"{ l = { any = ["c"] } }"#,
        r#"{ t = "x", n = 13 }"#,
        r#"{ o = "k" }"#,
        r#"{ absent = "x" }"#,
        "{ e = { exists = true } }",
        r#"{ action = "user_logout" }"#,
        r#"{ action = { any = ["user_logout", "x"] } }"#,
        r#"{ any = [{ t = "no" }, { n = 12, b = false }] }"#,
    ] {
        assert!(!holds(when, json), "{when}");
    }
}

#[test]
fn a_value_of_the_wrong_type_is_left_out_and_reported() {
    let json =
        r#"{"id":"e","action":"user_login","date_create":"soon","context":{"ip_address":"1.2.3.456"}}"#;
    assert_eq!(
        mapped(&plans(""), json),
        "user_login|User logged in|2|externalId=e|cat=user|outcome=success|!rt@shipped.toml:16|!src@shipped.toml:18"
    );
}

#[test]
fn the_customers_rows_lie_over_the_shipped_ones() {
    let shipped = |rows: &str| {
        let text = format!(
            "{SHIPPED}\n[tables.roles]\n{rows}\n[[rules]]\nwhen = {{}}\nfields = {{ spriv = \"{{details.role | table(roles)}}\" }}\n"
        );
        MappingFile::new("shipped.toml", Layer::Shipped, text)
    };
    let customer = MappingFile::new(
        "acme.toml",
        Layer::Customer,
        "version = 1\nlog = \"audit\"\n[tables.roles]\nowner = \"Boss\"\n7 = 0x10\ntrue = false\n",
    );
    let plans = |files: &[MappingFile]| mapping::compile(files).unwrap();
    let role = |plans: &Plans, role: &str| {
        let event = mapped(plans, &format!(r#"{{"action":"quiet","details":{{"role":{role}}}}}"#));
        event.split('|').find_map(|field| field.strip_prefix("spriv=")).map(str::to_owned)
    };
    let both = plans(&[shipped("owner = \"Owner\"\nadmin = \"Admin\""), customer.clone()]);
    for (sent, meant) in [
        ("\"owner\"", Some("Boss")),
        ("\"admin\"", Some("Admin")),
        ("\"Admin\"", None),
        ("7", Some("16")),
        ("true", Some("false")),
        ("\"*\"", None),
        ("[\"owner\",null,\"x\",\"admin\"]", Some("Boss,Admin")),
        ("{\"owner\":1}", None),
    ] {
        assert_eq!(role(&both, sent).as_deref(), meant, "{sent}");
    }
    let any = plans(&[shipped("owner = \"Owner\"\n\"*\" = \"Someone\""), customer]);
    assert_eq!(role(&any, "[\"owner\",\"x\"]").as_deref(), Some("Boss,Someone"));
    assert_eq!(role(&any, "[]"), None);
}

#[test]
fn a_severity_is_read_from_the_entry() {
    let plans = plans(
        r#"
        [tables.risks]
        tor = 9
        asn = 5
        ua = "7"
        [actions.user_login]
        severity = "{details.risk ?? details.score}"
        [actions.quiet]
        severity = { of = "details.reason", table = "risks", otherwise = 6 }
        [actions.new]
        severity = "{details.reason | lower | table(risks)}"
        [[rules]]
        when = { action = "new", "details.up" = true }
        severity = { of = "details.risk" }
        "#,
    );
    let said = |json: &str| {
        let event = mapped(&plans, json);
        let misfit = event.split_once("|!").map(|(_, misfit)| misfit.to_owned());
        (event.split('|').nth(2).unwrap().parse::<u8>().unwrap(), misfit)
    };
    let severity =
        |action: &str, details: &str| said(&format!(r#"{{"action":"{action}","details":{details}}}"#));
    let misfit = |severity: u8, line: u32| (severity, Some(format!("severity@acme.toml:{line}")));
    // A template, over the shipped 2.
    assert_eq!(severity("user_login", r#"{"risk":8}"#), (8, None));
    assert_eq!(severity("user_login", r#"{"risk":"","score":"10"}"#), (10, None));
    assert_eq!(severity("user_login", r#"{"risk":[3,"7",null]}"#), (7, None));
    assert_eq!(severity("user_login", "{}"), (2, None));
    for none in ["11", "-1", "7.5", "\"high\"", "true", "[3,\"x\"]", "[[3]]", "{\"a\":3}"] {
        assert_eq!(severity("user_login", &format!("{{\"risk\":{none}}}")), misfit(2, 9), "{none}");
    }
    // A table with something to fall back on.
    assert_eq!(severity("quiet", r#"{"reason":["asn","tor","x"]}"#), (9, None));
    assert_eq!(severity("quiet", r#"{"reason":"ua"}"#), (7, None));
    assert_eq!(severity("quiet", r#"{"reason":["x"]}"#), (6, None));
    assert_eq!(severity("quiet", "{}"), (6, None));
    // An action that nothing else grades falls back on the unmapped; a rule on the action.
    assert_eq!(severity("new", r#"{"reason":["ASN"]}"#), (5, None));
    assert_eq!(severity("new", "{}"), (4, None));
    assert_eq!(severity("new", r#"{"up":true,"risk":10,"reason":"asn"}"#), (10, None));
    assert_eq!(severity("new", r#"{"up":true,"reason":"asn"}"#), (5, None));
    assert_eq!(severity("new", r#"{"up":true,"risk":"?","reason":"asn"}"#), misfit(5, 16));
}

#[test]
fn the_account_names_every_severity_that_was_tried() {
    let plans = plans(
        r#"
        [actions.user_login]
        severity = "{details.risk}"
        [[rules]]
        when = { "details.up" = true }
        severity = "{details.score}"
        "#,
    );
    let entry = entry(r#"{"action":"user_login","details":{"up":true,"risk":"high"}}"#);
    let account = plans.plan(Log::Audit, "user_login").explain(&entry);
    let severities: Vec<_> = account
        .iter()
        .filter(|said| said.key == "severity")
        .map(|said| {
            (said.outcome.clone(), said.set_by.as_ref().map(ToString::to_string), said.overrode.len())
        })
        .collect();
    let by = |origin: &str| Some(origin.to_owned());
    assert_eq!(
        severities,
        [
            (Outcome::Absent { placeholder: "{details.score}".into() }, by("acme.toml:8"), 0),
            (
                Outcome::Misfit { text: "high".into(), wanted: "a whole number from 0 to 10" },
                by("acme.toml:5"),
                0
            ),
            (Outcome::Value("2".into()), by("shipped.toml:28"), 1),
        ]
    );
}

#[test]
fn pseudonyms_want_a_key_and_are_left_out_without_one() {
    let said = "[fields]\nsuser = \"{actor.user.email | lower | pseudonym}\"\nduser = \"{a}\"\n";
    let json = r#"{"action":"else","actor":{"user":{"email":"Ada@example.com"}}}"#;
    let unkeyed = plans(said);
    assert_eq!(unkeyed.wants_pseudonym_key().map(ToString::to_string).as_deref(), Some("acme.toml:4"));
    assert_eq!(mapped(&unkeyed, json), "else|Else|4|msg=unmapped|?");
    let keyed = unkeyed.keyed(PseudonymKey::new(b"0123456789abcdef").unwrap());
    let once = mapped(&keyed, json);
    assert_eq!(once.matches("suser=").count(), 1, "{once}");
    assert!(!once.contains("example"), "{once}");
    let again = mapped(&keyed, &json.replace("Ada", "aDA"));
    assert_eq!(once, again);
    let rekeyed = keyed.keyed(PseudonymKey::for_tests());
    assert_ne!(mapped(&rekeyed, json), once);
    assert_eq!(plans("").wants_pseudonym_key(), None);
}

#[test]
fn hostile_json_loses_nothing_else() {
    let plans = plans("");
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    let json = format!(
        r#"{{"\ud800":1,"x":{deep},"id":"old","id":"e\/\ud800","action":"user_login","details":{{"d":{deep}}}}}"#
    );
    let event = mapped(&plans, &json);
    assert!(event.starts_with("user_login|User logged in|2|externalId=e/\u{fffd}|cat=user|"), "{event:.200}");
    assert!(event.ends_with(&format!("|cs6={{\"d\":{deep}}}")));
}

#[test]
fn scratch_space_carries_nothing_from_entry_to_entry() {
    let plans = plans("");
    let (mut scratch, mut event) = (Scratch::new(), Event::new());
    let full =
        entry(r#"{"id":"e","action":"anomaly","actor":{"user":{"name":"n"}},"details":{"reason":["tor"]}}"#);
    let bare = entry(r#"{"action":"anomaly"}"#);
    for entry in [&full, &bare] {
        plans.plan(Log::Audit, "anomaly").apply(entry, &mut scratch, &mut event);
    }
    assert_eq!(event.severity().get(), 6);
    let fields: Vec<_> = event.fields().map(|field| field.value.to_owned()).collect();
    assert_eq!(fields, ["anomaly"]);
    // Another mapping with more paths may use the same space.
    let other = self::plans("[fields]\nAcmeA = \"{a}\"\nAcmeB = \"{b}\"\nAcmeC = \"{c}\"\n");
    let entry = entry(r#"{"action":"anomaly","c":"3"}"#);
    other.plan(Log::Audit, "anomaly").apply(&entry, &mut scratch, &mut event);
    assert_eq!(event.fields().last().unwrap().value, "3");
}

#[test]
fn the_account_names_who_set_what() {
    let plans = plans("[fields]\nsuser = \"{actor.user.name}\"\n[actions.anomaly]\nseverity = 7\n");
    let entry = entry(
        r#"{"id":"e","action":"anomaly","actor":{"type":"user","user":{"name":"ada"}},
            "context":{"ip_address":"here"},"details":{"reason":["tor"]}}"#,
    );
    let account: Vec<String> = plans
        .plan(Log::Audit, "anomaly")
        .explain(&entry)
        .iter()
        .map(|said| {
            let overrode: Vec<_> = said.overrode.iter().map(ToString::to_string).collect();
            let by = said.set_by.as_ref().map(ToString::to_string).unwrap_or_default();
            let outcome = match &said.outcome {
                Outcome::Value(value) => value.clone(),
                Outcome::Absent { placeholder } => format!("nothing in {placeholder}"),
                Outcome::Misfit { text, wanted } => format!("{text} is not {wanted}"),
                Outcome::Blank => "blank".to_owned(),
                Outcome::Unset => "unset".to_owned(),
            };
            format!("{}: {outcome} ({by}) over [{}]", said.key, overrode.join(", "))
        })
        .collect();
    let shipped = |line: usize| format!("shipped.toml:{line}");
    let has = |wanted: String| assert!(account.contains(&wanted), "{wanted}\n{}", account.join("\n"));
    has(format!("name: Anomaly - Tor ({}) over [{}]", shipped(45), shipped(32)));
    has(format!(
        "severity: 9 ({}) over [{}, acme.toml:6, {}, {}]",
        shipped(46),
        shipped(41),
        shipped(33),
        shipped(11)
    ));
    has(format!("suser: ada (acme.toml:4) over [{}]", shipped(17)));
    has(format!("cs5: exit node ({}) over []", shipped(47)));
    has(format!("SlackAuditActorType: unset ({}) over [{}]", shipped(51), shipped(24)));
    has(format!("dvchost: nothing in {{context.location.domain}} ({}) over []", shipped(19)));
    has(format!("src: here is not an IP address ({}) over []", shipped(18)));
}

#[test]
fn mapped_actions_can_be_listed() {
    let plans = plans(
        r#"
        [tables.risks]
        tor = 9
        asn = 3
        [actions.quiet]
        severity = { of = "details.reason", table = "risks", otherwise = 5 }
        [actions.read]
        severity = "{details.risk}"
        category = "{actor.type}"
        [[rules]]
        when = { action = "only_ruled" }
        severity = 1
        "#,
    );
    let listed: Vec<_> = plans
        .actions(Log::Audit)
        .iter()
        .map(|mapped| {
            let up_to = mapped.up_to.map(|severity| format!("-{severity}")).unwrap_or_default();
            let [name, category, outcome] =
                [mapped.name, mapped.category, mapped.outcome].map(|text| text.unwrap_or("?"));
            let (action, severity, origin) = (mapped.action, mapped.severity, mapped.origin);
            format!("{action} {severity}{up_to} {name}, {category}, {outcome}, {origin}")
        })
        .collect();
    assert_eq!(
        listed,
        [
            "anomaly 6-9 Anomaly, anomaly, ?, shipped.toml:31",
            "quiet 5-9 ?, user, ?, acme.toml:7",
            "read 4-10 ?, ?, ?, acme.toml:9",
            "user_login 2 User logged in, user, success, shipped.toml:26",
        ]
    );
}

#[test]
fn every_field_can_be_listed_with_what_it_means() {
    let plans = plans(
        r#"
        unset = ["dvchost"]
        [fields]
        suser = { value = "{actor.user.email | mask}", means = " who acted " }
        cs5 = { label = "AcmeSite", value = "{context.location.name}", means = "where" }
        [actions.anomaly]
        fields = { msg = "{details.reason | join('; ')}" }
        category = { value = "threat", means = "what it is about" }
        unset = ["reason"]
        [[rules]]
        when = { action = "anomaly" }
        unset = ["msg"]
        fields = { AcmeSeen = "seen" }
        "#,
    );
    let listed: Vec<_> = plans
        .fields(Log::Audit)
        .iter()
        .map(|field| {
            let of = match &field.of {
                FieldOf::Every => "every".to_owned(),
                FieldOf::Unmapped => "unmapped".to_owned(),
                FieldOf::Action(action) => action.to_string(),
                FieldOf::Rule { number, origin } => format!("rule {number} at {origin}"),
            };
            let label =
                field.label.as_ref().map(|label| format!(" ({})", label.as_str())).unwrap_or_default();
            let means = field.means.as_deref().map(|means| format!(" # {means}")).unwrap_or_default();
            let hides = if field.hides { " hides" } else { "" };
            format!("{of}: {}{label} = {}{means}{hides}, {}", field.key, field.value, field.origin)
        })
        .collect();
    let shown = listed.join("\n");
    for wanted in [
        "every: externalId = {id}, shipped.toml:15",
        "every: suser = {actor.user.email | mask} # who acted hides, acme.toml:6",
        "every: cs5 (AcmeSite) = {context.location.name} # where, acme.toml:7",
        "unmapped: msg = unmapped, shipped.toml:12",
        "anomaly: cat = threat # what it is about, acme.toml:10",
        "anomaly: msg = {details.reason | join('; ')}, acme.toml:9",
        "user_login: outcome = success, shipped.toml:29",
        "rule 1 at shipped.toml:43: cs5 (AcmeNote) = exit node, shipped.toml:47",
        "rule 3 at acme.toml:12: AcmeSeen = seen, acme.toml:15",
    ] {
        assert!(listed.iter().any(|line| line == wanted), "{wanted}\nin\n{shown}");
    }
    for gone in ["dvchost", "suser = {actor.user.email ??", "= anomaly"] {
        assert!(!shown.contains(gone), "{gone}\nin\n{shown}");
    }
    let places: Vec<_> = ["every: ", "unmapped: ", "anomaly: cat", "anomaly: msg", "quiet: ", "rule 1 "]
        .map(|start| listed.iter().position(|line| line.starts_with(start)))
        .into_iter()
        .collect();
    assert!(places.is_sorted() && !places.contains(&None), "{places:?}\n{shown}");
}

#[test]
fn nothing_to_compile_is_a_problem_and_not_an_empty_mapping() {
    let problems = mapping::compile(&[]).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].code, "nothing-mapped");
    problems[0].render(false);
}
