//! What the fuzzer does with its bytes, one function a target; the tests run the kept corpus through
//! the same functions.
//!
//! Each of them must come to an end, whatever the bytes: no panic, no hang, and what it asserts holds.

use std::sync::LazyLock;

use bytes::Bytes;
use slackcef::cef::{self, Encoder, Event};
use slackcef::event::{Entry, Log, UnixTime};
use slackcef::mapping::{self, Layer, MappingFile, Plans, Scratch};
use slackcef::syslog::relp::{Heard, RelpError, Session};

/// The least that compiles, so that the customer's file is what counts.
const SHIPPED: &str = "version = 1\nlog = \"audit\"\nheader = { vendor = \"V\", product = \"P\" }\n\
    unmapped = { severity = 4 }\n[fields]\nsuser = \"{actor.user.email}\"\ncs6 = { label = \"Rest\", value = \"{@rest}\" }\n\
    [tables.t]\na = \"1\"\n[actions.user_login]\nseverity = 2\n";

const ENTRIES: [&str; 3] = [
    r#"{"id":"a","date_create":1766105755,"action":"user_login","actor":{"type":"user","user":{"id":"W1","name":"\u00c9\/","email":"a@example.com"}},"entity":{"type":"user","user":{"id":"W1"}},"context":{"ip_address":"2001:db8::1","session_id":12},"details":{"reason":["a","tor"],"n":-1.5e3,"b":true,"o":{"x":[{"y":null}]}}}"#,
    r#"{"action":"anomaly","details":{"reason":"asn","x":"","":{}},"a":[[1,2],[]],"b":"a|b=c\\d\n"}"#,
    "{}",
];

/// A customer's mapping file: refused with messages that can be shown, or compiled and followed.
pub fn mapping_file(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let files = [
        MappingFile::new("shipped.toml", Layer::Shipped, SHIPPED),
        MappingFile::new("acme.toml", Layer::Customer, &*text),
    ];
    compile_and_follow(&files);
}

/// One value of a field.
pub fn template(data: &[u8]) {
    use std::fmt::Write as _;

    let mut quoted = String::new();
    for c in String::from_utf8_lossy(data).chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => write!(quoted, "\\u{:04x}", u32::from(c)).expect("a String takes all"),
            c => quoted.push(c),
        }
    }
    let text =
        format!("version = 1\nlog = \"audit\"\n[fields]\nAcmeField = \"{quoted}\"\nsrc = \"{quoted}\"\n");
    let files = [
        MappingFile::new("shipped.toml", Layer::Shipped, SHIPPED),
        MappingFile::new("acme.toml", Layer::Customer, text),
    ];
    compile_and_follow(&files);
}

/// An entry as Slack might send it, through the shipped mapping, to a line and back.
pub fn entry(data: &[u8]) {
    static PLANS: LazyLock<Plans> = LazyLock::new(|| match mapping::compile(&mapping::builtin()) {
        Ok(plans) => plans,
        Err(problems) => panic!("{} mistakes in the shipped mapping", problems.len()),
    });
    follow(&PLANS, Bytes::copy_from_slice(data));
}

/// What a receiver answers over RELP, to a session that has sent a hundred messages: the same is heard
/// wherever the stream is cut, and no more is acknowledged than was sent.
pub fn relp(data: &[u8]) {
    let whole = hear(data.chunks(data.len().max(1)));
    assert_eq!(hear(data.chunks(1)), whole, "byte by byte");
    assert_eq!(hear(data.chunks(7)), whole, "in pieces");
}

fn hear<'d>(pieces: impl Iterator<Item = &'d [u8]>) -> (Vec<Heard>, Option<RelpError>) {
    const SENT: usize = 100;
    let (mut session, mut out, mut heard) = (Session::new(SENT), Vec::new(), Vec::new());
    session.open(&mut out);
    for mut piece in pieces {
        loop {
            match session.hear(&mut piece) {
                Ok(Some(said)) => {
                    if matches!(said, Heard::Open(_)) {
                        while session.syslog(b"<134>1 - - - - - -", &mut out) {}
                        session.close(&mut out);
                    }
                    heard.push(said);
                }
                Ok(None) => break,
                Err(error) => {
                    assert!(!error.to_string().contains(char::is_control));
                    return (heard, Some(error));
                }
            }
            let open = heard.iter().any(|said| matches!(said, Heard::Open(_)));
            let answered =
                heard.iter().filter(|said| matches!(said, Heard::Acknowledged | Heard::Refused(_))).count();
            assert_eq!(answered + session.unanswered(), if open { SENT } else { 0 });
        }
    }
    (heard, None)
}

fn compile_and_follow(files: &[MappingFile]) {
    match mapping::compile(files) {
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems.iter().take(20) {
                assert!(!problem.render(false).is_empty());
            }
        }
        Ok(plans) => {
            for entry in ENTRIES {
                follow(&plans, Bytes::from_static(entry.as_bytes()));
            }
        }
    }
}

fn follow(plans: &Plans, raw: Bytes) {
    let Ok(entry) = Entry::from_raw(Log::Audit, raw, UnixTime::from_seconds(0), 0) else { return };
    let plan = plans.plan(entry.log(), entry.action().as_str());
    let mut event = Event::new();
    if plan.apply(&entry, &mut Scratch::new(), &mut event).dropped.is_some() {
        return;
    }
    for budget in [200, 8_000] {
        let mut line = Vec::new();
        Encoder::default().encode(&event, budget, &mut line);
        let line = String::from_utf8(line).expect("a line is UTF-8");
        assert!(!line.contains(['\n', '\r']), "one event is one line");
        let decoded = cef::decode(&line).expect("what the encoder writes can be read");
        let [.., class_id, _] = event.header();
        // A line too short for it holds as much of it as there is room for.
        assert!(class_id.starts_with(&decoded.class_id) && (budget < 2_000 || decoded.class_id == class_id));
    }
    let _account = plan.explain(&entry);
}
