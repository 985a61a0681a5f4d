//! A status in words: a row for each source and destination, and beneath it what a person wants to
//! know of it.
//!
//! **Invariant:** whatever Slack or a receiver wrote is shown so that it cannot command a terminal.

use std::time::Duration;

use super::resting::Resting;
use crate::commands::table::table;
use crate::event::UnixTime;
use crate::pipeline::{
    Because, DestinationStatus, Found, LastFault, Lateness, Link, NoticeState, NoticeStatus, Phase, Reading,
    Route, SourceStatus, State, Status, StoreStatus,
};
use crate::report::Style;
use crate::store::{Backlog, Full};
use crate::telemetry::{plain, span};

/// How the service is.
pub(super) fn status(status: &Status, style: Style) -> Vec<String> {
    let Status { version, started_at, at, sources, destinations, notices, store, .. } = status;
    let mut lines = vec![
        style.bold(&format!("slackcef {}, up for {}", plain(version), since(*at, *started_at))),
        String::new(),
    ];
    let rows = sources.iter().map(|source| source_row(source, *at));
    let heading = ["SOURCE", "STATE", "LAST ANSWER", "LAG", "STORED", "KNOWN ALREADY", "LATE"];
    let details = sources.iter().map(|source| source_details(source, *at, style));
    let marks = sources.iter().map(|source| mark(tone_of_source(&source.reading), style));
    lines.extend(rows_with_details(heading, rows, marks, details));
    lines.push(String::new());
    let rows = destinations.iter().map(|destination| destination_row(destination, *at));
    let heading =
        ["DESTINATION", "STATE", "FOR", "WAITING", "OLDEST", "UNCONFIRMED", "DELIVERED", "REPEATED"];
    let details = destinations.iter().map(|destination| destination_details(destination, *at, style));
    let marks =
        destinations.iter().map(|destination| mark(tone_of_destination(destination.standing.state), style));
    lines.extend(rows_with_details(heading, rows, marks, details));
    lines.push(String::new());
    if !notices.is_empty() {
        let rows = notices.iter().map(|notice| notice_row(notice, *at));
        let heading = ["NOTICE", "STATE", "FOR", "PENDING", "TOLD", "MESSAGES", "LAST MESSAGE"];
        let details = notices.iter().map(|notice| notice_details(notice, *at, style));
        let marks = notices.iter().map(|notice| mark(tone_of_notice(notice.standing.state), style));
        lines.extend(rows_with_details(heading, rows, marks, details));
        lines.push(String::new());
    }
    lines.extend(store_lines(store, *at, style));
    lines
}

/// What the store says where no service answers.
pub(super) fn resting(resting: &Resting, style: Style) -> Vec<String> {
    let Resting { at, sources, destinations, store, .. } = resting;
    let mut lines = vec![style.bold("no service answers; this is what its store holds"), String::new()];
    let rows = sources.iter().map(|source| {
        let up_to = source.read_up_to.map_or_else(|| "nothing".to_owned(), |up_to| up_to.to_string());
        [source.name.clone(), up_to, source.lag_seconds.map_or_else(none, span)]
    });
    let nothing = || sources.iter().map(|_| Vec::new());
    lines.extend(rows_with_details(
        ["SOURCE", "READ UP TO", "LAG"],
        rows,
        std::iter::repeat(String::new()),
        nothing(),
    ));
    lines.push(String::new());
    let rows = destinations.iter().map(|destination| {
        let (waiting, oldest) = waiting(destination.backlog, *at);
        [destination.name.clone(), waiting, oldest]
    });
    let details = destinations.iter().map(|destination| vec![way(&destination.route)]);
    lines.extend(rows_with_details(
        ["DESTINATION", "WAITING", "OLDEST"],
        rows,
        std::iter::repeat(String::new()),
        details,
    ));
    lines.push(String::new());
    let entries = store.entries.map_or_else(none, |entries| entries.to_string());
    lines.push(format!("STORE  {}: {entries} entries kept", plain(&store.dir.display().to_string())));
    lines
}

/// A table whose rows bear a mark before them, and lines of their own beneath them.
fn rows_with_details<const N: usize>(
    heading: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
    marks: impl Iterator<Item = String>,
    details: impl Iterator<Item = Vec<String>>,
) -> Vec<String> {
    let mut all = vec![heading.map(str::to_owned)];
    all.extend(rows);
    let mut laid_out = table(&all).into_iter();
    let mut lines: Vec<_> = laid_out.next().map(|heading| format!("   {heading}")).into_iter().collect();
    for ((row, mark), details) in laid_out.zip(marks).zip(details) {
        lines.push(format!("{mark:2} {row}").trim_end().to_owned());
        lines.extend(details.into_iter().map(|detail| format!("     {detail}")));
    }
    lines
}

/// How good it is.
#[derive(Clone, Copy)]
enum Tone {
    Good,
    Slow,
    Bad,
}

/// The marks that `check` has.
fn mark(tone: Tone, style: Style) -> String {
    match tone {
        Tone::Good => style.green("ok"),
        Tone::Slow => style.yellow("--"),
        Tone::Bad => style.red("no"),
    }
}

const fn tone_of_source(reading: &Reading) -> Tone {
    match reading.phase {
        Phase::CaughtUp if reading.quiet.is_some() => Tone::Slow,
        Phase::CaughtUp => Tone::Good,
        Phase::Starting | Phase::CatchingUp => Tone::Slow,
        Phase::Failing | Phase::Refused => Tone::Bad,
    }
}

const fn tone_of_destination(state: State) -> Tone {
    match state {
        State::Idle | State::Delivering => Tone::Good,
        State::Held => Tone::Slow,
        State::Stalled | State::Unconfirmed | State::Down | State::Ended => Tone::Bad,
    }
}

const fn tone_of_notice(state: NoticeState) -> Tone {
    match state {
        NoticeState::Idle | NoticeState::Gathering => Tone::Good,
        NoticeState::Held => Tone::Slow,
        NoticeState::Failing | NoticeState::Refused | NoticeState::Ended => Tone::Bad,
    }
}

fn notice_row(notice: &NoticeStatus, now: UnixTime) -> [String; 7] {
    let NoticeStatus { name, standing, .. } = notice;
    let state = match standing.state {
        NoticeState::Idle => "idle",
        NoticeState::Gathering => "gathering",
        NoticeState::Held => "held back",
        NoticeState::Failing => "failing",
        NoticeState::Refused => "refused",
        NoticeState::Ended => "ended",
    };
    [
        plain(name),
        state.to_owned(),
        standing.since.map_or_else(none, |at| since(now, at)),
        standing.pending.to_string(),
        standing.events.to_string(),
        standing.messages.to_string(),
        standing.told_at.map_or_else(|| "never".to_owned(), |at| ago(now, at)),
    ]
}

fn notice_details(notice: &NoticeStatus, now: UnixTime, style: Style) -> Vec<String> {
    let mut lines = vec![format!("a webhook at {}", plain(&notice.host))];
    let over = matches!(notice.standing.state, NoticeState::Idle | NoticeState::Gathering);
    lines.extend(fault_lines(notice.standing.fault.as_ref(), over, now, style));
    lines
}

fn source_row(source: &SourceStatus, now: UnixTime) -> [String; 7] {
    let SourceStatus { name, reading, lag_seconds } = source;
    let state = match reading.phase {
        Phase::Starting => "starting",
        Phase::CatchingUp => "catching up",
        Phase::CaughtUp => "caught up",
        Phase::Failing => "failing",
        Phase::Refused => "refused",
    };
    [
        plain(name),
        state.to_owned(),
        reading.answered_at.map_or_else(|| "never".to_owned(), |at| ago(now, at)),
        lag_seconds.map_or_else(none, span),
        reading.polled.fresh.to_string(),
        reading.polled.seen.to_string(),
        reading.polled.late.to_string(),
    ]
}

fn source_details(source: &SourceStatus, now: UnixTime, style: Style) -> Vec<String> {
    let reading = &source.reading;
    let mut lines = Vec::new();
    if let Some(way) = reading.way.filter(|_| reading.phase == Phase::CatchingUp) {
        lines.push(format!("read up to {}, of {} to {}", way.next, way.start, way.goal));
    }
    if let Some(quiet) = &reading.quiet {
        let why = match quiet.because {
            Because::QuietAfter => "longer than its `quiet_after`",
            Because::Unusual => "which is unusual for this time of the week",
        };
        lines.push(style.yellow(&format!("quiet: nothing since {}, {why}", ago(now, quiet.since))));
    }
    lines.extend(reading.lateness.iter().filter_map(lateness_lines));
    lines.extend(reading.advice.iter().map(|advice| format!("{}: {}", style.cyan("advice"), plain(advice))));
    let over = !matches!(reading.phase, Phase::Failing | Phase::Refused);
    lines.extend(fault_lines(reading.fault.as_ref(), over, now, style));
    if let Some(token) = &reading.token {
        lines.push(style.yellow(&format!("the token works, but {}", plain(&token.what))));
        lines.extend(token.help.as_ref().map(|help| format!("{}: {}", style.cyan("help"), plain(help))));
    }
    lines
}

/// How late entries came, where any did.
fn lateness_lines(lateness: &Lateness) -> Option<String> {
    let Lateness { since, entries, longest_seconds, found } = lateness;
    let long = |seconds: u64| span(i64::try_from(seconds).unwrap_or(i64::MAX));
    let within = |found: &Found| match found.within_seconds {
        Some(end) => format!("{} within {}", found.count(), long(end)),
        None => format!("{} later", found.count()),
    };
    let found = found.iter().map(within).collect::<Vec<_>>().join(", ");
    (lateness.late() > 0).then(|| {
        format!(
            "late: {} of {entries} entries since {since}; found {found}; the longest took {}",
            lateness.late(),
            long(*longest_seconds)
        )
    })
}

fn destination_row(destination: &DestinationStatus, now: UnixTime) -> [String; 8] {
    let DestinationStatus { name, standing, backlog, .. } = destination;
    let (waiting, oldest) = waiting(*backlog, now);
    [
        plain(name),
        state_name(standing.state).to_owned(),
        standing.since.map_or_else(none, |at| since(now, at)),
        waiting,
        oldest,
        standing.unconfirmed.to_string(),
        standing.counts.delivered.to_string(),
        standing.counts.repeated.to_string(),
    ]
}

const fn state_name(state: State) -> &'static str {
    match state {
        State::Idle => "idle",
        State::Delivering => "delivering",
        State::Held => "held back",
        State::Stalled => "stalled",
        State::Unconfirmed => "unconfirmed",
        State::Down => "down",
        State::Ended => "ended",
    }
}

fn destination_details(destination: &DestinationStatus, now: UnixTime, style: Style) -> Vec<String> {
    let DestinationStatus { route, age_seconds, standing, .. } = destination;
    let age = Duration::try_from_secs_f64(*age_seconds).unwrap_or_default();
    let mut lines = vec![way(route)];
    match standing.state {
        State::Stalled => lines.push(style.yellow("the receiver lives and does not read")),
        State::Unconfirmed => lines.push(style.yellow("the receiver takes events and never confirms one")),
        _ => {}
    }
    if let Some(limit) = &standing.held_by {
        lines.push(plain(limit).clone());
    }
    lines.extend(standing.connections.iter().flat_map(|link| link_lines(link, age, style)));
    let dead = standing.counts.dead_letters;
    if dead > 0 {
        lines.push(style.red(&format!(
            "{dead} dead letters: the receiver hangs up on them each time; they are kept in a file beside the store"
        )));
    }
    if let Some(at) = standing.confirmed_at {
        lines.push(format!("last confirmed {}", ago(now, at)));
    }
    let over = !matches!(standing.state, State::Stalled | State::Unconfirmed | State::Down | State::Ended);
    lines.extend(fault_lines(standing.fault.as_ref(), over, now, style));
    lines
}

fn link_lines(link: &Link, age: Duration, style: Style) -> Vec<String> {
    let tls = link.tls.as_ref().map_or_else(String::new, |tls| format!(" ({})", plain(tls)));
    let mut lines = vec![format!("{}{tls}: {}", plain(&link.endpoint), link.assurance.after(age))];
    if let Some(because) = &link.because {
        lines.push(style.yellow(&format!("less than it could be: {}", plain(because))));
    }
    lines
}

fn fault_lines(fault: Option<&LastFault>, over: bool, now: UnixTime, style: Style) -> Vec<String> {
    let Some(fault) = fault else { return Vec::new() };
    let how_often = match fault.failures {
        0 | 1 => String::new(),
        often => format!(", {often} times in a row"),
    };
    let (when, what) = (ago(now, fault.at), plain(&fault.what));
    if over {
        return vec![style.dim(&format!("last fault, which is over, {when}{how_often}: {what}"))];
    }
    let mut lines = vec![style.red(&format!("last fault {when}{how_often}: {what}"))];
    if let Some(help) = &fault.help {
        lines.push(format!("{}: {}", style.cyan("help"), plain(help)));
    }
    lines
}

fn way(route: &Route) -> String {
    let to = route.to.iter().map(|to| plain(to)).collect::<Vec<_>>().join(", ");
    if to.is_empty() { route.transport.clone() } else { format!("{} to {to}", plain(&route.transport)) }
}

fn waiting(backlog: Option<Backlog>, now: UnixTime) -> (String, String) {
    backlog.map_or_else(
        || (none(), none()),
        |backlog| (backlog.entries.to_string(), backlog.oldest.map_or_else(none, |at| ago(now, at))),
    )
}

fn store_lines(store: &StoreStatus, now: UnixTime, style: Style) -> Vec<String> {
    let StoreStatus { dir, bytes, limit, entries, oldest, full } = store;
    let dir = plain(&dir.display().to_string());
    let oldest = oldest.map_or_else(String::new, |at| format!(", the oldest stored {}", ago(now, at)));
    let mut lines =
        vec![format!("STORE  {dir}: {} of {}, {entries} entries kept{oldest}", size(*bytes), size(*limit))];
    let full = full.map(|full| match full {
        Full::Limit => "it is full: nothing more is asked of Slack until a destination has taken some",
        Full::Disk => "the disk is nearly full: nothing more is asked of Slack until it has room",
    });
    lines.extend(full.map(|full| style.red(full)));
    lines
}

fn none() -> String {
    "-".to_owned()
}

fn since(now: UnixTime, at: UnixTime) -> String {
    span(now.seconds().saturating_sub(at.seconds()))
}

fn ago(now: UnixTime, at: UnixTime) -> String {
    format!("{} ago", since(now, at))
}

/// Bytes in the unit in which they have few digits.
fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let nth = units.iter().enumerate().rev().find(|(nth, _)| bytes >> (10 * (nth + 1)) > 0);
    nth.map_or_else(|| format!("{bytes} B"), |(nth, unit)| format!("{} {unit}", bytes >> (10 * (nth + 1))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::{NoticeStanding, Polled, Quiet, Standing};
    use crate::syslog::Assurance;

    const NOW: UnixTime = UnixTime::from_seconds(1_787_680_154);

    fn before(seconds: i64) -> UnixTime {
        NOW.plus(-seconds)
    }

    fn example() -> Status {
        let fault = |what: &str| LastFault {
            at: before(200),
            failures: 7,
            what: what.to_owned(),
            help: Some("start the receiver".to_owned()),
        };
        let link = |assurance, because: Option<&str>| Link {
            endpoint: "siem-a:6514".to_owned(),
            assurance,
            because: because.map(str::to_owned),
            tls: Some("TLS 1.2".to_owned()),
            certificates: Vec::new(),
        };
        let destination = |name: &str, standing| DestinationStatus {
            name: name.to_owned(),
            route: Route { transport: "tls".to_owned(), to: vec!["siem-a:6514".to_owned()] },
            age_seconds: 5.0,
            standing,
            backlog: Some(Backlog { entries: 12, oldest: Some(before(7_300)) }),
        };
        Status {
            running: true,
            version: "0.1.0".to_owned(),
            started_at: before(90_061),
            at: NOW,
            not_ready: Vec::new(),
            sources: vec![SourceStatus {
                name: "acme".to_owned(),
                reading: Reading {
                    phase: Phase::Refused,
                    polled: Polled { fresh: 10, seen: 2, late: 1, not_entries: 0 },
                    answered_at: Some(before(250)),
                    quiet: Some(Quiet {
                        since: before(90_000),
                        because: Because::Unusual,
                        told_at: before(3_600),
                    }),
                    lateness: Some(Lateness {
                        since: before(90_000),
                        entries: 41_233,
                        longest_seconds: 4_000,
                        found: vec![
                            Found { within_seconds: Some(120), by_overlap: 8, by_verification: 0 },
                            Found { within_seconds: Some(10_800), by_overlap: 0, by_verification: 4 },
                        ],
                    }),
                    advice: Some("raise `settle`".to_owned()),
                    fault: Some(fault("Slack \u{1b}[2Jsays \"no\"\nerror: forged")),
                    ..Reading::default()
                },
                lag_seconds: Some(61),
            }],
            destinations: vec![
                destination(
                    "up",
                    Standing {
                        state: State::Delivering,
                        since: Some(before(3_700)),
                        connections: vec![link(
                            Assurance::ReadAtEnd,
                            Some("the receiver speaks TLS 1.2 only"),
                        )],
                        held_by: Some(crate::net::Why::Events.to_string()),
                        fault: Some(fault("of old")),
                        ..Standing::default()
                    },
                ),
                destination(
                    "away",
                    Standing { state: State::Down, fault: Some(fault("refused")), ..Standing::default() },
                ),
            ],
            notices: vec![NoticeStatus {
                name: "security".to_owned(),
                host: "hooks.slack.com".to_owned(),
                standing: NoticeStanding {
                    state: NoticeState::Refused,
                    since: Some(before(600)),
                    pending: 4,
                    events: 30,
                    messages: 7,
                    told_at: Some(before(900)),
                    fault: Some(fault("the webhook is gone")),
                },
            }],
            store: StoreStatus {
                dir: "/var/lib/slackcef".into(),
                bytes: 12 << 20,
                limit: 10 << 30,
                entries: 1_234,
                oldest: Some(before(3 * 86_400)),
                full: Some(Full::Limit),
            },
        }
    }

    #[test]
    fn it_says_what_a_person_wants_to_know() {
        let text = status(&example(), Style::PLAIN).join("\n");
        for part in [
            "slackcef 0.1.0, up for 1 d 1 h",
            "no acme    refused  4 min ago    61 s",
            "     quiet: nothing since 1 d 1 h ago, which is unusual for this time of the week\n",
            "     last fault 3 min ago, 7 times in a row: Slack \\u{1b}[2Jsays \"no\"\\nerror: forged\n     help: start the receiver",
            "     late: 12 of 41233 entries since 2026-08-24T16:49:14Z; found 8 within 2 min, 4 within 3 h 0 min; the longest took 1 h 6 min\n     advice: raise `settle`",
            "ok up           delivering  1 h 1 min",
            "     tls to siem-a:6514\n     held back by `events_per_second`\n     siem-a:6514 (TLS 1.2): each event is counted as delivered when the receiver's program has read it",
            ", plus 5 s\n     less than it could be: the receiver speaks TLS 1.2 only",
            "     last fault, which is over, 3 min ago, 7 times in a row: of old\n",
            "no away         down",
            "no security  refused  10 min        4    30         7  15 min ago\n     a webhook at hooks.slack.com\n     last fault 3 min ago, 7 times in a row: the webhook is gone",
            "STORE  /var/lib/slackcef: 12 MiB of 10 GiB, 1234 entries kept, the oldest stored 3 d 0 h ago",
            "it is full",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    }

    #[test]
    fn what_is_read_again_from_json_is_the_same() {
        let example = example();
        let json = serde_json::to_string(&example).unwrap();
        assert_eq!(serde_json::from_str::<Status>(&json).unwrap(), example);
        assert!(
            json.contains(r#""state":"down""#) && json.contains(r#""assurance":"read-at-end""#),
            "{json}"
        );
        assert!(json.contains(r#""at":"2026-08-25T17:49:14Z""#), "{json}");
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!([0, 1023, 1024, 5 << 30].map(size), ["0 B", "1023 B", "1 KiB", "5 GiB"]);
    }
}
