use std::time::Duration;

use super::super::access::{AccessLog, Classic};
use super::super::allowlist::{Asns, Ranges, Unknown};
use super::super::fault::{Fault, Trouble, When};
use super::super::grants::{Change, Happening, OAuth, RefreshFault};
use super::super::integration::{IntegrationLog, Order};
use super::*;

fn mistake(text: &str) -> (String, String) {
    let problem = Plan::from_toml("plan.toml", text).unwrap_err();
    (problem.what, text.get(problem.span).unwrap().to_owned())
}

#[test]
fn an_empty_plan_is_the_default_one() {
    assert_eq!(
        Plan::from_toml("plan.toml", "version = 1").unwrap(),
        (Plan::default(), EventFiles::default())
    );
}

#[test]
fn every_setting_is_read() {
    let text = r#"
        version = 1
        token = "xoxp-1"
        seed = 7
        events = ["a.ndjson", "b.ndjson"]
        actions = ["user_login"]
        clock = { fixed = "2026-01-31T12:00:00Z" }
        pages = { default_limit = 10, largest = 500, end = "mixed", cursor_life = "10m", gzip = false }
        rate_limit = { per_minute = 50, burst = 4 }

        [generated]
        per_second = 2.5
        start = "-1h"
        burst_every = 10
        burst = 3
        hostile = true

        [[late]]
        one_in = 9
        behind = "5m"
        [[late]]
        ids = ["x"]
        after_requests = 4
        [[late]]
        ids = ["y"]
        after_start = "1s"

        [[faults]]
        fault = "429"
        retry_after = 3
        on = [2, 5]
        [[faults]]
        fault = "500-html"
        every = 7
        [[faults]]
        fault = "ok-false"
        error = "fatal_error"
        between = [8, 9]
        [[faults]]
        fault = "stalled"
        length = "100ms"
        chance = 0.5
        [[faults]]
        fault = "401"
        on = 1
    "#;
    let (plan, events) = Plan::from_toml("plan.toml", text).unwrap();
    assert_eq!(events.audit, [PathBuf::from("a.ndjson"), PathBuf::from("b.ndjson")]);
    let noon = UnixTime::from_seconds(1_769_860_800);
    let refused = |status, error: Option<&str>, retry_after| Trouble::Refused {
        status,
        error: error.map(str::to_owned),
        retry_after,
    };
    let fault = |when, trouble| Fault { when, trouble };
    let late = |pick, until| Late { pick, until };
    assert_eq!(
        plan,
        Plan {
            token: "xoxp-1".into(),
            seed: 7,
            clock: Clock::Fixed(noon),
            pages: Pages {
                default_limit: 10,
                largest: 500,
                end: End::Mixed,
                cursor_life: Some(Duration::from_secs(600)),
                gzip: false,
            },
            actions: Some(vec!["user_login".into()]),
            rate_limit: Some(RateLimit { per_minute: 50, burst: 4 }),
            given: vec![],
            generated: Some(Generated {
                seed: 7,
                count: None,
                pace: Pace::PerSecond(2.5),
                start: Some(noon.plus(-3_600)),
                burst_every: 10,
                burst: 3,
                hostile: true,
            }),
            late: vec![
                late(Pick::OneIn(9), Until::Behind(Duration::from_secs(300))),
                late(Pick::Ids(vec!["x".into()]), Until::AfterRequests(4)),
                late(Pick::Ids(vec!["y".into()]), Until::AfterStart(Duration::from_secs(1))),
            ],
            allowlist: Allowlist::default(),
            faults: vec![
                fault(When::On(vec![2, 5]), refused(429, Some("ratelimited"), Some(3))),
                fault(When::Every(7), Trouble::Html { status: 500 }),
                fault(When::Between(8, 9), Trouble::OkFalse { error: "fatal_error".into() }),
                fault(When::Chance(0.5), Trouble::Stalled(Duration::from_millis(100))),
                fault(When::On(vec![1]), refused(401, None, None)),
            ],
            ..Plan::default()
        }
    );
}

#[test]
fn every_setting_of_the_lists_is_read() {
    let text = r#"
        version = 1

        [access]
        rows = 500
        over = "2d"
        used = 5
        new = 2
        changing = 40
        hostile = true
        largest = 30
        classic = "fatal_error"
        classic_from = 3
        cursor_life = "5m"
        team = "T2"
        rate_limit = { per_minute = 30, burst = 3 }
        [[access.faults]]
        fault = "cut-off"
        every = 9

        [integration]
        order = "shuffled"
        events = ["rows.ndjson"]
        count = 500
        over = "1d"
        per_second = 0.5
        twin_every = 10
        hostile = true
        largest = 20
        scopes = "identify"
        team = "T1"
        rate_limit = { per_minute = 20, burst = 2 }
        [[integration.faults]]
        fault = "ok-false"
        on = 3
    "#;
    let (plan, events) = Plan::from_toml("plan.toml", text).unwrap();
    assert_eq!(events.integration, [PathBuf::from("rows.ndjson")]);
    let fault = |when, trouble| Fault { when, trouble };
    assert_eq!(
        plan,
        Plan {
            access: AccessLog {
                rows: 500,
                over: Duration::from_secs(2 * 86_400),
                used: 5,
                new: 2,
                changing: Some(40),
                hostile: true,
                largest: 30,
                classic: Classic::FatalError,
                classic_from: 3,
                cursor_life: Some(Duration::from_secs(300)),
                team: Some("T2".into()),
                rate_limit: Some(RateLimit { per_minute: 30, burst: 3 }),
                faults: vec![fault(When::Every(9), Trouble::CutOff)],
            },
            integration: IntegrationLog {
                order: Order::Shuffled,
                given: vec![],
                count: 500,
                over: Duration::from_secs(86_400),
                per_second: 0.5,
                twin_every: 10,
                hostile: true,
                largest: 20,
                scopes: "identify".into(),
                team: Some("T1".into()),
                rate_limit: Some(RateLimit { per_minute: 20, burst: 2 }),
                faults: vec![fault(When::On(vec![3]), Trouble::OkFalse { error: "internal_error".into() },)],
            },
            ..Plan::default()
        }
    );
}

#[test]
fn the_allow_list_has_one_of_each_spelling() {
    let text = r#"
        version = 1
        [allowlist]
        ranges = ["192.0.2.0/24"]
        asns = [64500]
        ranges_as = "trusted_cidrs"
        asns_as = "trusted_asn"
        unknown = "not-ok"
    "#;
    let (plan, _) = Plan::from_toml("plan.toml", text).unwrap();
    assert_eq!(
        plan.allowlist,
        Allowlist {
            ranges: vec!["192.0.2.0/24".into()],
            asns: vec![64_500],
            ranges_as: Ranges::Cidrs,
            asns_as: Asns::Asn,
            unknown: Unknown::NotOk,
            slow: Duration::ZERO,
        }
    );
}

#[test]
fn a_mistake_is_shown_where_it_stands() {
    for (text, at, what) in [
        ("seed = 1", "", "missing field `version`"),
        ("version = 2", "2", "version 2 of plans is unknown here"),
        ("version = 1\nsead = 1", "sead", "unknown field `sead`"),
        ("version = 1\nseed = ", "", "string"),
        ("version = 1\npages = { end = \"never\" }", "\"never\"", "unknown variant `never`"),
        ("version = 1\npages = { largest = 10000 }", "10000", "between 1 and 9999"),
        ("version = 1\npages = { cursor_life = \"-5m\" }", "\"-5m\"", "below zero"),
        ("version = 1\nclock = { fixed = \"noon\" }", "\"noon\"", "nor a time such as"),
        ("version = 1\nclock = { fixed = \"-1h\" }", "{ fixed = \"-1h\" }", "stands at a time"),
        ("version = 1\nrate_limit = { per_minute = 0 }", "0", "nonzero"),
        ("version = 1\ngenerated = { per_second = 0.0 }", "{ per_second = 0.0 }", "above 0"),
        ("version = 1\nlate = [{ one_in = 3 }]", "{ one_in = 3 }", "exactly one of them"),
        ("version = 1\nfaults = [{ fault = \"429\" }]", "{ fault = \"429\" }", "exactly one of them"),
        ("version = 1\nfaults = [{ fault = \"42\", on = 1 }]", "{ fault = \"42\", on = 1 }", "no fault `42`"),
        (
            "version = 1\n[[faults]]\nfault = \"garbage\"\non = 1\n[[faults]]\nevery = 3\nfault = \"42\"",
            "[[faults]]",
            "no fault `42`",
        ),
        (
            "version = 1\nfaults = [{ fault = \"cut-off\", on = 1, length = \"1s\" }]",
            "{ fault = \"cut-off\", on = 1, length = \"1s\" }",
            "`cut-off` takes no `length`",
        ),
        ("version = 1\naccess = { classic = \"503\" }", "\"503\"", "unknown variant `503`"),
        ("version = 1\nintegration = { order = \"any\" }", "\"any\"", "unknown variant `any`"),
        ("version = 1\nintegration = { largest = 1001 }", "1001", "at most 1000"),
        ("version = 1\nintegration = { per_second = -1.0 }", "-1.0", "0 or above"),
        (
            "version = 1\n[[integration.faults]]\nfault = \"garbage\"",
            "[[integration.faults]]",
            "exactly one of them",
        ),
        ("version = 1\nfaults = [{ fault = \"slow\", on = \"1\" }]", "\"1\"", "number of a request"),
    ] {
        let (said, pointed) = mistake(text);
        assert!(said.contains(what), "{text}: {said}");
        assert_eq!(pointed, at, "{text}: {said}");
    }
}

#[test]
fn the_life_of_tokens_is_read() {
    let text = r#"
        version = 1
        [oauth]
        client_id = "1.2"
        token_life = "5s"
        grace = "2s"
        org_install = false
        faults = [{ refresh = 2, fault = "cut-off" }]
        [[changes]]
        change = "scope-removed"
        scope = "admin"
        after_requests = 3
        [[changes]]
        change = "restored"
        after = "1m"
    "#;
    let (plan, _) = Plan::from_toml("plan.toml", text).unwrap();
    let seconds = Duration::from_secs;
    let oauth = OAuth {
        client_id: "1.2".into(),
        token_life: Some(seconds(5)),
        grace: seconds(2),
        org_install: false,
        faults: vec![(2, RefreshFault::CutOff)],
        ..OAuth::default()
    };
    let removed = Happening::ScopeRemoved("admin".into());
    let changes = vec![
        Change { after_requests: Some(3), after: None, happening: removed },
        Change { after_requests: None, after: Some(seconds(60)), happening: Happening::Restored },
    ];
    assert_eq!(plan, Plan { oauth, changes, ..Plan::default() });
    let (what, at) = mistake("version = 1\n[[changes]]\nchange = \"gone\"\n");
    assert!(what.starts_with("there is no change `gone`") && at == "[[changes]]", "{what} {at}");
}
