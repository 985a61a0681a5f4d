//! The shipped mapping: every action of Slack has a name, a severity and a category, what public
//! detections alert on stands high, and what correlation leans on never changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use slackcef::cef::Event;
use slackcef::event::{Entry, Log, UnixTime};
use slackcef::mapping::{self, Layer, MappingFile, Plans, Scratch, Trusted};

use crate::support::entries;

static PLANS: LazyLock<Plans> = LazyLock::new(|| compiled(&mapping::builtin()));

/// The severity from which somebody should look the same day, and from which `cat` has a topic.
const WORTH_A_LOOK: u8 = 6;

fn compiled(files: &[MappingFile]) -> Plans {
    mapping::compile(files).unwrap_or_else(|problems| {
        let shown: Vec<_> = problems.iter().map(|problem| problem.render(false)).collect();
        panic!("{}", shown.join("\n\n"))
    })
}

/// What an entry becomes.
struct Mapped {
    severity: u8,
    dropped: bool,
    fields: BTreeMap<String, String>,
}

impl Mapped {
    fn of(plans: &Plans, json: &str) -> Self {
        Self::trusting(plans, json, &Arc::default())
    }

    /// The same where the organization trusts that.
    fn trusting(plans: &Plans, json: &str, trusted: &Arc<Trusted>) -> Self {
        let json = Bytes::from(json.to_owned());
        let entry = Entry::from_raw(Log::Audit, json, UnixTime::from_seconds(0), 0).unwrap();
        let mut event = Event::new();
        let plan = plans.plan(entry.log(), entry.action().as_str());
        let mut scratch = Scratch::new();
        scratch.trust(trusted);
        let applied = plan.apply(&entry, &mut scratch, &mut event);
        assert!(applied.misfits.is_empty(), "a value does not fit its key: {entry:?}");
        let mut fields = BTreeMap::new();
        for field in event.fields() {
            fields.insert(field.key.name().to_owned(), field.value.to_owned());
        }
        Self {
            severity: event.severity().to_string().parse().unwrap(),
            dropped: applied.dropped.is_some(),
            fields,
        }
    }

    /// The event of an entry that has nothing but its action and what every entry has.
    fn bare(action: &str) -> Self {
        Self::of(&PLANS, &format!(r#"{{"id":"e","action":"{action}","context":{{"ua":"Slack"}}}}"#))
    }

    fn get(&self, key: &str) -> &str {
        self.fields.get(key).map_or("", String::as_str)
    }
}

/// A line of our list of Slack's actions.
struct Action {
    name: &'static str,
    groups: Vec<&'static str>,
    entities: &'static str,
}

fn actions() -> Vec<Action> {
    let list = include_str!("../../mappings/actions.tsv");
    let mut lines = list.lines();
    assert_eq!(lines.next(), Some("action\tgroup\tentities"));
    let action = |line: &'static str| {
        let [name, groups, entities] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        Action { name, groups: groups.split('|').collect(), entities }
    };
    let actions: Vec<_> = lines.map(action).collect();
    assert!(actions.is_sorted_by(|a, b| a.name < b.name), "sort mappings/actions.tsv by action");
    actions
}

#[test]
fn every_action_of_slack_is_mapped_by_name() {
    let mapped: BTreeMap<_, _> = PLANS.actions(Log::Audit).into_iter().map(|m| (m.action, m)).collect();
    let mut names = BTreeMap::new();
    for Action { name: action, .. } in actions() {
        let known = mapped.get(action).unwrap_or_else(|| panic!("no file names `{action}`"));
        let name = known.name.unwrap_or_else(|| panic!("`{action}` has no name"));
        if let Some(other) = names.insert(name, action) {
            assert!(
                RESPELT.contains(&(action, other)) || RESPELT.contains(&(other, action)),
                "`{action}` and `{other}` are both called `{name}`"
            );
        }
    }
}

/// Actions of which Slack has, or had, two spellings: one fact, with one name.
const RESPELT: [(&str, &str); 14] = [
    ("file_download_blocked", "file_downloaded_blocked"),
    ("app_resources_granted", "app_resources_added"),
    ("org_public_url_updated", "organization_public_url_updated"),
    ("org_unverified", "organization_unverified"),
    ("org_verified", "organization_verified"),
    ("pref.invite_requests_approval_channel", "pref.invite_requests_approval_channel_changed"),
    ("pref.invites_only_admins", "pref.invites_only_admins_changed"),
    ("pre.max_guest_duration", "pref.max_guest_duration"),
    ("seamless_auth_org_update", "seamless_auth_org_updated"),
    ("team.unsupportedVersions.job.end", "team_unsupported_versions_job_end"),
    ("team.unsupportedVersions.job.start", "team_unsupported_versions_job_start"),
    ("team.unsupportedVersions.start.failure", "team_unsupported_versions_start_failure"),
    ("team.unsupportedVersions.start.success", "team_unsupported_versions_start_success"),
    ("user_anomaly_event_reponse_allowlist_changed", "user_anomaly_event_response_allowlist_changed"),
];

#[test]
fn two_spellings_of_an_action_are_one_event() {
    let mapped: BTreeMap<_, _> = PLANS.actions(Log::Audit).into_iter().map(|m| (m.action, m.name)).collect();
    for (one, other) in RESPELT {
        let event = |action| {
            let event = Mapped::bare(action);
            (mapped[action], event.severity, event.get("cat").to_owned(), event.get("outcome").to_owned())
        };
        assert_eq!(event(one), event(other), "{one} and {other}");
    }
}

#[test]
fn the_list_of_actions_is_the_one_gathered() {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/slack-audit-actions.csv");
    let Ok(table) = std::fs::read_to_string(&table) else {
        eprintln!("skipped: there is no {}", table.display());
        return;
    };
    let mut rows = table.lines();
    let head: Vec<_> = rows.next().unwrap().split(',').collect();
    assert_eq!(head[..3], ["action", "entity_types", "group"]);
    // The first three columns never hold a comma.
    let gathered: BTreeSet<_> = rows
        .map(|row| row.splitn(4, ',').collect::<Vec<_>>())
        .map(|row| (row[0].to_owned(), row[2].to_owned(), row[1].to_owned()))
        .collect();
    let ours: BTreeSet<_> =
        actions().iter().map(|a| (a.name.to_owned(), a.groups.join("|"), a.entities.to_owned())).collect();
    assert_eq!(ours.difference(&gathered).collect::<Vec<_>>(), Vec::<&(String, String, String)>::new());
    assert_eq!(gathered.difference(&ours).collect::<Vec<_>>(), Vec::<&(String, String, String)>::new());
}

#[test]
fn a_category_begins_with_slacks_group_and_has_a_topic_from_severity_six() {
    for Action { name: action, groups, .. } in actions() {
        let event = Mapped::bare(action);
        let (group, topic) = match event.get("cat").split_once('/') {
            Some((group, topic)) => (group, Some(topic)),
            None => (event.get("cat"), None),
        };
        assert!(groups.contains(&group), "`{action}` has the category {group}, Slack has it in {groups:?}");
        assert_eq!(
            topic.is_some(),
            event.severity >= WORTH_A_LOOK,
            "`{action}` has severity {} and category {}",
            event.severity,
            event.get("cat")
        );
        let plain = |topic: &str| topic.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        assert!(topic.is_none_or(plain), "{}", event.get("cat"));
    }
}

// ---- What public detections alert on ----------------------------------------------------------

/// See the head of that file.
const DETECTIONS: &str = include_str!("../data/detections.tsv");

#[test]
fn what_public_detections_alert_on_stands_high_and_is_told_by_its_category() {
    let (mut told, mut excepted) = (BTreeSet::new(), BTreeMap::new());
    for line in DETECTIONS.lines().filter(|line| !line.starts_with('#')) {
        let [_, _, entry, category] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let event = Mapped::of(&PLANS, &with_agent(entry));
        if category.starts_with("not: ") {
            assert!(event.severity < WORTH_A_LOOK, "no longer an exception: {line}");
            excepted.insert(event.get("cat").to_owned(), line);
        } else {
            assert!(event.severity >= WORTH_A_LOOK, "severity {}: {line}", event.severity);
            assert_eq!(event.get("cat"), category, "{line}");
            assert!(category.contains('/'), "{line}");
            told.insert(category);
        }
    }
    assert!(told.len() > 30 && excepted.len() > 2);
    for category in told {
        assert_eq!(excepted.get(category), None, "an exception has the category of a detection");
    }
    // That no action below bears one of these categories is asked of all actions above.
}

/// A whole entry, with a user agent where it does not say.
fn with_agent(entry: &str) -> String {
    let context = if entry.contains("\"context\"") { "" } else { r#","context":{"ua":"Slack"}"# };
    format!(r#"{{"id":"e",{entry}{context}}}"#)
}

// ---- What correlation leans on ----------------------------------------------------------------

const LEDGER: &str = "tests/data/ledger.tsv";

/// The event's class id is the action itself; with `cat` and `outcome` it is what rules of a SIEM
/// are written on. What was shipped once is never taken back: see the head of the ledger.
#[test]
fn what_was_shipped_for_correlation_never_changes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(LEDGER);
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let shipped: BTreeMap<_, _> =
        text.lines().filter(|l| !l.starts_with('#')).map(split_off_action).collect();
    let mut now = BTreeMap::new();
    for mapped in PLANS.actions(Log::Audit) {
        let event = Mapped::bare(mapped.action);
        now.insert(mapped.action, format!("{}\t{}", event.get("cat"), event.get("outcome")));
    }
    let mut wrong = String::new();
    for (action, promised) in &shipped {
        match now.get(action) {
            None => writeln!(wrong, "`{action}` was shipped and is gone: give it its entry back").unwrap(),
            Some(kept) if kept != promised => {
                writeln!(
                    wrong,
                    "`{action}` was shipped with cat and outcome {promised:?}, and now has {kept:?}"
                )
                .unwrap();
            }
            Some(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong}Rules of customers lean on these: put back what was.");
    let new: Vec<_> = now.iter().filter(|(action, _)| !shipped.contains_key(*action)).collect();
    if std::env::var_os("BLESS").is_some() && !new.is_empty() {
        let head = text.lines().take_while(|line| line.starts_with('#')).map(str::to_owned);
        let lines = now.iter().map(|(action, promise)| format!("{action}\t{promise}"));
        let lines: Vec<_> = head.chain(lines).collect();
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
        return;
    }
    let new: Vec<_> = new.iter().map(|(action, _)| **action).collect();
    assert!(new.is_empty(), "not in {LEDGER}: {new:?}\nBLESS=1 adds them; what is in it, it never changes");
}

fn split_off_action(line: &str) -> (&str, String) {
    let (action, rest) = line.split_once('\t').unwrap_or_else(|| panic!("{LEDGER}: {line}"));
    (action, rest.to_owned())
}

// ---- Anomalies --------------------------------------------------------------------------------

const REASONS: [(&str, u8); 18] = [
    ("asn", 6),
    ("excessive_downloads", 8),
    ("excessive_file_shares", 7),
    ("excessive_malware_uploads", 8),
    ("ip_address", 6),
    ("potential_spam", 6),
    ("search_volume", 6),
    ("session_fingerprint", 8),
    ("spoofed_user_agent", 8),
    ("tor", 8),
    ("unexpected_admin_action", 9),
    ("unexpected_api_call_volume", 7),
    ("unexpected_client", 7),
    ("unexpected_credential_testing", 9),
    ("unexpected_message_deletion", 7),
    ("unexpected_scraping", 8),
    ("unexpected_user_agent", 6),
    ("user_agent", 6),
];

fn anomaly(reasons: &[&str], more: &str) -> String {
    format!(r#"{{"id":"e","action":"anomaly","details":{{"reason":{reasons:?}{more}}}}}"#)
}

#[test]
fn the_gravest_reason_of_an_anomaly_decides() {
    for (reason, severity) in REASONS {
        let event = Mapped::of(&PLANS, &anomaly(&[reason], ""));
        assert_eq!(event.severity, severity, "{reason}");
        assert!(event.get("cat").starts_with("anomaly/") && event.get("cat") != "anomaly/other", "{reason}");
        for (other, of_other) in REASONS {
            let both = Mapped::of(&PLANS, &anomaly(&[other, reason], ""));
            assert_eq!(both.severity, severity.max(of_other), "{other}, {reason}");
            if severity > of_other {
                assert_eq!(both.get("cat"), event.get("cat"), "{other}, {reason}");
            }
        }
    }
    let new = Mapped::of(&PLANS, &anomaly(&["sold_on_a_market"], ""));
    assert_eq!((new.severity, new.get("cat")), (6, "anomaly/other"));
    let known = Mapped::of(&PLANS, &anomaly(&["ip_address"], r#","ip_address_details":["in-ioc-list"]"#));
    assert_eq!((known.severity, known.get("cat")), (9, "anomaly/bad-address"));
}

#[test]
fn an_anomaly_tells_when_it_was_done_and_what_was_there_before() {
    let json = r#"{"id":"e","action":"anomaly","date_create":1766105755,
        "context":{"ua":"curl/8","ip_address":"198.51.100.7"},
        "details":{"reason":["asn"],"action_timestamp":1766105705123456,"location":"Tokyo, JP",
        "previous_ip_address":"192.0.2.1","previous_ua":"Slack/1",
        "client_ja3_fingerprint":"a1","client_ja4_fingerprint":"t13d"}}"#;
    let event = Mapped::of(&PLANS, json);
    for (key, value) in [
        ("rt", "1766105755000"),
        ("end", "1766105755000"),
        ("start", "1766105705123"),
        ("src", "198.51.100.7"),
        ("requestClientApplication", "curl/8"),
        ("SlackAuditPreviousAddress", "192.0.2.1"),
        ("SlackAuditPreviousAgent", "Slack/1"),
        ("SlackAuditAnomalyLocation", "Tokyo, JP"),
        ("SlackAuditJa3", "a1"),
        ("SlackAuditJa4", "t13d"),
    ] {
        assert_eq!(event.get(key), value, "{key}");
    }
}

/// The rule that a customer is told to take over lowers the severity and drops nothing.
#[test]
fn an_anomaly_from_trusted_ranges_is_lowered_and_still_sent() {
    let (_, ranges) = include_str!("../../mappings/audit/anomaly.toml").split_once("# [[rules]]").unwrap();
    let rule: String = ranges
        .lines()
        .fold("[[rules]]".to_owned(), |text, line| text + line.strip_prefix('#').unwrap_or(line) + "\n");
    let ranges = "[\"192.0.2.0/24\", \"2001:db8::/32\"]";
    assert!(rule.contains(ranges), "{rule}");
    let trusted =
        Trusted::new(vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()], vec![]);
    // With ranges of one's own, with those of Slack's allow list, and with both.
    for (cidr, trusted) in [
        (ranges, Trusted::default()),
        ("\"trusted.cidr\"", trusted),
        (
            "[\"trusted.cidr\", \"2001:db8::/32\"]",
            Trusted::new(vec!["192.0.2.0/24".parse().unwrap()], vec![]),
        ),
    ] {
        let mut files = mapping::builtin();
        let text = format!("version = 1\nlog = \"audit\"\n{}", rule.replace(ranges, cidr));
        files.push(MappingFile::new("acme.toml", Layer::Customer, text));
        let (plans, trusted) = (compiled(&files), Arc::new(trusted));
        assert_eq!(plans.asks_trusted().is_some(), cidr.contains("trusted"), "{cidr}");
        let from = |address: &str, reason: &str| {
            let context = format!(r#""context":{{"ip_address":"{address}"}}"#);
            let json =
                format!(r#"{{"id":"e","action":"anomaly",{context},"details":{{"reason":["{reason}"]}}}}"#);
            let event = Mapped::trusting(&plans, &json, &trusted);
            (event.severity, event.get("cat").to_owned(), event.dropped)
        };
        for inside in ["192.0.2.77", "2001:db8::1"] {
            assert_eq!(from(inside, "ip_address"), (3, "anomaly".to_owned(), false), "{cidr}");
            assert_eq!(
                from(inside, "unexpected_admin_action"),
                (9, "anomaly/admin-action".to_owned(), false)
            );
        }
        assert_eq!(from("198.51.100.1", "ip_address"), (6, "anomaly/network".to_owned(), false));
    }
}

// ---- Entities by type -------------------------------------------------------------------------

#[test]
fn an_entity_of_every_type_lands_in_keys_of_its_own() {
    let lines = include_str!("../data/entities.tsv").lines().filter(|line| !line.starts_with('#'));
    let mut kinds = BTreeSet::new();
    for line in lines {
        let [kind, entity, ref keys @ ..] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let entity = format!(r#"{{"type":"{kind}","{kind}":{entity}}}"#);
        let event = Mapped::of(&PLANS, &format!(r#"{{"id":"e","action":"of_any_kind","entity":{entity}}}"#));
        assert_eq!(event.get("cs2"), kind);
        for key in keys {
            let (key, value) = key.split_once('=').unwrap();
            assert_eq!(event.get(key), value, "{kind}: {key}");
        }
        kinds.insert(kind);
    }
    for Action { name, entities, .. } in actions() {
        for kind in entities.split('|').map(|kind| kind.trim_end_matches('?')) {
            assert!(kinds.contains(kind), "`{name}` may be about a {kind}, of which there is no example");
        }
    }
}

/// What only the actions of one group have.
#[test]
fn an_entity_of_a_group_lands_in_the_keys_of_that_group() {
    for (action, kind, entity, key, value) in [
        ("workflow_v2_published", "workflow_v2", r#""app_id":"A1""#, "SlackAuditWorkflowAppId", "A1"),
        (
            "workflow_v2_published",
            "workflow_v2",
            r#""trigger_channels":["C1","C2"]"#,
            "SlackAuditTriggerChannels",
            "C1,C2",
        ),
        (
            "function_distribution_permission_set",
            "function",
            r#""app_id":"A1""#,
            "SlackAuditWorkflowAppId",
            "A1",
        ),
        ("barrier_created", "barrier", r#""primary_usergroup":"S1""#, "SlackAuditPrimaryUsergroup", "S1"),
        (
            "barrier_created",
            "barrier",
            r#""barriered_from_usergroup":"S2""#,
            "SlackAuditBarredUsergroups",
            "S2",
        ),
        (
            "external_auth_oauth2_token_fetched",
            "external_auth_oauth2_token",
            r#""provider":{"key":"jira"}"#,
            "SlackAuditOauthProvider",
            "jira",
        ),
        (
            "external_auth_oauth2_token_fetched",
            "external_auth_oauth2_token",
            r#""scope":["a","b"]"#,
            "SlackAuditOauthScopes",
            "a,b",
        ),
        (
            "external_shared_channel_connected",
            "channel",
            r#""original_connected_channel_id":"C9""#,
            "SlackAuditConnectedChannel",
            "C9",
        ),
        ("huddle_ended", "huddle", r#""date_end":1766105755"#, "end", "1766105755000"),
    ] {
        let json =
            format!(r#"{{"id":"e","action":"{action}","entity":{{"type":"{kind}","{kind}":{{{entity}}}}}}}"#);
        assert_eq!(Mapped::of(&PLANS, &json).get(key), value, "{action}: {key}");
    }
}

// ---- What an entry says beside its action ------------------------------------------------------

/// Rules that look into an entry, each with an entry that it holds for and one that it does not.
#[test]
fn a_rule_holds_for_what_it_is_about_and_for_nothing_else() {
    let event = |action: &str, more: &str| {
        let event = Mapped::of(&PLANS, &format!(r#"{{"id":"e","action":"{action}",{more}}}"#));
        (event.severity, event.get("cat").to_owned())
    };
    let severity_and_category = [
        ("app_removed_from_whitelist", r#""details":{"cleared_resolution":"approved"}"#, 5, "app"),
        (
            "app_removed_from_whitelist",
            r#""details":{"cleared_resolution":"restricted"}"#,
            6,
            "app/restriction-lifted",
        ),
        ("canvas_access_added", r#""details":{"is_external_user":false}"#, 1, "canvas"),
        ("canvas_access_added", r#""details":{"is_external_user":true}"#, 4, "canvas"),
        ("list_access_upgraded", r#""details":{"is_external_user":true}"#, 4, "list"),
        ("list_access_revoked", r#""details":{"is_external_user":true}"#, 1, "list"),
        ("scheduled_export_started", r#""actor":{"user":{"id":"U1"}}"#, 7, "workspace_or_org/export"),
        ("scheduled_export_started", r#""actor":{"user":{"id":"USLACKUSER"}}"#, 5, "workspace_or_org"),
        ("manual_export_started", r#""actor":{"user":{"id":"USLACKUSER"}}"#, 8, "workspace_or_org/export"),
        (
            "permissions_assigned",
            r#""details":{"is_allowed":"ALLOWED"}"#,
            6,
            "account_type_role/permissions-given",
        ),
        (
            "permissions_assigned",
            r#""details":{"is_allowed":true}"#,
            6,
            "account_type_role/permissions-given",
        ),
        ("permissions_assigned", r#""details":{"is_allowed":false}"#, 5, "account_type_role"),
        ("permissions_assigned", r#""details":{"is_allowed":"DENIED"}"#, 5, "account_type_role"),
        ("prefs_setting_changed", r#""details":{"pref_name":"hide_gallery"}"#, 5, "workspace_or_org"),
        (
            "prefs_setting_changed",
            r#""details":{"pref_name":"mcp_allowed_clients"}"#,
            6,
            "workspace_or_org/tool-server",
        ),
        ("user_created", r#""entity":{"user":{"email":"botuser-T1-A1@slack-bots.com"}}"#, 2, "user"),
        ("user_created", r#""entity":{"user":{"email":"botuser-T1-A1@slack-bots.com.example"}}"#, 3, "user"),
    ];
    for (action, more, severity, category) in severity_and_category {
        assert_eq!(event(action, more), (severity, category.to_owned()), "{action} {more}");
    }
}

/// Slack's null is one of the kinds of retention, where the other value is one; elsewhere it is nothing.
#[test]
fn a_retention_of_null_is_told_by_its_name() {
    let values = |action: &str, details: &str| {
        let event = Mapped::of(&PLANS, &format!(r#"{{"id":"e","action":"{action}","details":{details}}}"#));
        [event.get("SlackAuditPreviousValue").to_owned(), event.get("SlackAuditNewValue").to_owned()]
    };
    for (action, details, told) in [
        (
            "pref.dm_retention_changed",
            r#"{"previous_value":"RETAIN_ALL","new_value":null}"#,
            ["RETAIN_ALL", "EXPIRE_MSGS"],
        ),
        (
            "pref.dm_retention_changed",
            r#"{"previous_value":null,"new_value":"EXPIRE_ALL"}"#,
            ["EXPIRE_MSGS", "EXPIRE_ALL"],
        ),
        ("pref.dm_retention_changed", "{}", ["", ""]),
        ("pref.dm_retention_redaction_duration", r#"{"previous_value":"30","new_value":null}"#, ["30", ""]),
    ] {
        assert_eq!(values(action, details), told, "{action} {details}");
    }
}

/// Slack names the member as the actor whoever did it; what others did to somebody is found by duid.
#[test]
fn who_gained_or_lost_is_told_by_id() {
    let actor = r#""actor":{"user":{"id":"U1"}}"#;
    for (action, details, duid) in [
        ("user_channel_join", r#"{"inviter":{"user":{"id":"U2"}}}"#, "U1"),
        ("guest_channel_leave", r#"{"kicker":{"id":"U2"}}"#, "U1"),
        ("user_removed_from_usergroup", "null", "U1"),
        ("user_add_to_usergroup_failed", "null", ""),
        ("canvas_access_revoked", r#"{"user":"U3"}"#, "U3"),
        ("list_ownership_transferred", r#"{"user":"U3"}"#, "U3"),
        ("role_assigned", r#"{"target_user":"U3"}"#, "U3"),
    ] {
        let json = format!(r#"{{"id":"e","action":"{action}",{actor},"details":{details}}}"#);
        assert_eq!(Mapped::of(&PLANS, &json).get("duid"), duid, "{action}");
    }
}

// ---- What Slack really sent -------------------------------------------------------------------

#[test]
fn what_slack_sent_has_no_unmapped_action_and_no_value_in_a_wrong_key() {
    let Some(entries) = entries::real() else { return };
    let (mut scratch, mut event, mut wrong) = (Scratch::new(), Event::new(), String::new());
    assert!(entries.len() > 100, "only {} entries", entries.len());
    for line in entries {
        let json = Bytes::from(line.clone());
        let entry = Entry::from_raw(Log::Audit, json, UnixTime::from_seconds(0), 0).unwrap();
        let plan = PLANS.plan(Log::Audit, entry.action().as_str());
        let applied = plan.apply(&entry, &mut scratch, &mut event);
        if applied.unmapped || !applied.misfits.is_empty() {
            writeln!(wrong, "{}: {:?} {line}", entry.action().as_str(), applied.misfits).unwrap();
        }
    }
    assert_eq!(wrong, "");
}

// ---- What a key means -------------------------------------------------------------------------

#[test]
fn every_key_says_what_it_means_and_means_the_same_everywhere() {
    let mut meanings = BTreeMap::new();
    let fields = PLANS.fields(Log::Audit);
    for field in &fields {
        let key = field.key.name();
        if !field.value.contains('{') {
            continue;
        }
        let means =
            field.means.as_deref().unwrap_or_else(|| panic!("{}: what does {key} mean?", field.origin));
        let first = meanings.entry(key).or_insert(means);
        assert!(
            *first == means || field.key.definition().is_some(),
            "{}: {key} means {means:?}, and elsewhere {first:?}",
            field.origin
        );
    }
    assert!(meanings.len() > 100);
}
