//! Entries that others collected from real Slacks map whole.

use bytes::Bytes;
use slackcef::cef::{Encoder, Event, decode};
use slackcef::event::{Entry, Log, UnixTime};
use slackcef::mapping::{Scratch, builtin, compile};

use crate::support::entries;
use crate::support::kept::lost;

#[test]
fn real_entries_are_mapped_whole() {
    let Some(entries) = entries::real() else { return };
    let plans = compile(&builtin()).unwrap_or_else(|problems| panic!("{}", problems[0].render(false)));
    assert!(entries.len() > 100, "only {} entries", entries.len());
    let mut wrong = Vec::new();
    for json in &entries {
        let raw = Bytes::from(json.clone());
        let entry = Entry::from_raw(Log::Audit, raw, UnixTime::from_seconds(0), 0).unwrap();
        let mut event = Event::new();
        let plan = plans.plan(Log::Audit, entry.action().as_str());
        let mut scratch = Scratch::new();
        let applied = plan.apply(&entry, &mut scratch, &mut event);
        let mut say = |what: String| wrong.push(format!("{entry}: {what}"));
        if applied.unmapped {
            say("no file maps the action".to_owned());
        }
        if let Some(origin) = applied.dropped {
            say(format!("dropped by {origin}"));
        }
        for misfit in applied.misfits {
            say(format!("{} gets no value of its type, says {}", misfit.key, misfit.origin));
        }
        for what in lost(&plans, Log::Audit, json) {
            say(format!("the event does not show {what}"));
        }
        let mut line = Vec::new();
        let cuts = Encoder::default().encode(&event, 8000, &mut line);
        for cut in &cuts {
            say(format!("{} has {} of {} bytes", cut.key, cut.kept, cut.had));
        }
        if let Err(error) = decode(&String::from_utf8(line).unwrap()) {
            say(error.to_string());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
