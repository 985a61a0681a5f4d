//! The event of every sample, as the shipped mapping makes it and the encoder writes it.
//!
//! `tests/golden/GROUP.cef` holds what becomes of `mappings/samples/GROUP.ndjson`: for each sample
//! a comment with its action, the line as a receiver gets it (`VERSION` for the program's own), and
//! its fields below each other, to be read by people. After a change of the mapping,
//! `BLESS=1 cargo test golden` writes the files anew: read the diff as the analyst who will get
//! these events.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use slackcef::cef::{Encoder, Event, decode};
use slackcef::event::{Entry, Log};
use slackcef::mapping::{Layer, MappingFile, Plans, Sample, Scratch, builtin, compile, samples};

use crate::support::cef_parsers::read_all;
use crate::support::kept::lost;

const BUDGET: usize = 8000;
/// The longest value of `act` in CEF; the class id holds the action whole.
const ACT_LIMIT: usize = 63;

fn plans() -> Plans {
    compile(&builtin()).unwrap_or_else(|problems| panic!("{}", problems[0].render(false)))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

#[test]
fn every_sample_becomes_the_event_that_was_read_and_found_good() {
    let plans = plans();
    let mut files: BTreeMap<&str, String> = BTreeMap::new();
    let mut counts: HashMap<String, u32> = HashMap::new();
    for sample in samples() {
        let group = Path::new(sample.file).file_stem().unwrap().to_str().unwrap();
        let entry = sample.entry().unwrap();
        let action = entry.action().as_str();
        let nth = counts.entry(action.to_owned()).and_modify(|n| *n += 1).or_insert(1);
        let text = files.entry(group).or_default();
        writeln!(text, "# {action} (sample {nth})\n{}", shown(&plans, &entry)).unwrap();
    }
    if std::env::var_os("BLESS").is_some() {
        for (group, text) in &files {
            fs::write(folder().join(format!("{group}.cef")), text).unwrap();
        }
    }
    let there: BTreeMap<String, String> = fs::read_dir(folder())
        .unwrap()
        .map(|file| file.unwrap().path())
        .map(|path| {
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())
        })
        .collect();
    let differing: Vec<_> = files
        .iter()
        .flat_map(|(group, text)| differences(group, there.get(*group).map_or("", String::as_str), text))
        .collect();
    let first = differing.iter().take(10).cloned().collect::<Vec<_>>().join("\n");
    assert!(
        differing.is_empty(),
        "{} events differ, the first of them:\n{first}\nBLESS=1 takes the new events over",
        differing.len()
    );
    let strays: Vec<_> = there.keys().filter(|group| !files.contains_key(group.as_str())).collect();
    assert!(strays.is_empty(), "tests/golden/ has files of groups without samples: {strays:?}");
}

#[test]
fn every_sample_is_mapped_whole_and_by_the_file_of_its_name() {
    let plans = plans();
    let mut wrong = Vec::new();
    for sample @ Sample { file, log, .. } in samples() {
        let entry = sample.entry().unwrap();
        let action = entry.action().as_str();
        let plan = plans.plan(log, action);
        let mut event = Event::new();
        let mut scratch = Scratch::new();
        let applied = plan.apply(&entry, &mut scratch, &mut event);
        let mut say = |what: String| wrong.push(format!("{file}: {action}: {what}"));
        match plan.origin() {
            None => say("no file maps it".to_owned()),
            // Only the audit log has more than one file of samples.
            Some(origin)
                if log == Log::Audit
                    && Path::new(&*origin.file).file_stem() != Path::new(file).file_stem() =>
            {
                say(format!("mapped in {}: move the sample", origin.file));
            }
            Some(_) => {}
        }
        if let Some(origin) = applied.dropped {
            say(format!("dropped by {origin}"));
        }
        for misfit in applied.misfits {
            say(format!("{} gets no value of its type, says {}", misfit.key, misfit.origin));
        }
        let mut line = Vec::new();
        for cut in &Encoder::default().encode(&event, BUDGET, &mut line) {
            if cut.key != "act" || cut.had != action.len() || cut.kept != ACT_LIMIT {
                say(format!("{} has {} of {} bytes", cut.key, cut.kept, cut.had));
            }
        }
        match decode(&String::from_utf8(line).unwrap()) {
            Ok(decoded) => assert_eq!(decoded.class_id, action),
            Err(error) => say(error.to_string()),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_sample_is_in_its_event_to_the_last_scalar() {
    let plans = plans();
    let wrong: Vec<_> = samples()
        .flat_map(|sample @ Sample { file, log, json }| {
            let action = sample.entry().unwrap().action().as_str().to_owned();
            lost(&plans, log, json).into_iter().map(move |what| format!("{file}: {action}: {what}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn other_peoples_parsers_read_every_sample_as_it_is_meant() {
    let plans = plans();
    let lines: Vec<_> = samples().map(|sample| line(&plans, &sample.entry().unwrap())).collect();
    for reading in read_all(&lines) {
        let line = &lines[reading.line];
        reading.assert_fields(line, &decode(line).unwrap().fields);
    }
}

#[test]
fn a_scalar_that_is_in_no_field_is_found_out() {
    let mut files = builtin();
    let text = "version = 1\nlog = \"audit\"\nunset = [\"cs6\", \"suid\"]";
    files.push(MappingFile::new("withholding.toml", Layer::Customer, text));
    let plans = compile(&files).unwrap();
    let json = r#"{"id":"e","action":"user_login","actor":{"user":{"id":"U1","name":"Ada"}},
        "entity":{"user":{"name":"U1"}},"details":{"new":[true,{"deep":"Ada"}],"empty":[null,""]}}"#;
    // The true and the id stand in other fields as well, and the name twice.
    assert_eq!(
        lost(&plans, Log::Audit, json),
        ["/actor/user/id = \"U1\"", "/details/new/0 = true", "/details/new/1/deep = \"Ada\""]
    );
}

/// The line of an entry, as a receiver gets it.
fn line(plans: &Plans, entry: &Entry) -> String {
    let mut event = Event::new();
    plans.plan(entry.log(), entry.action().as_str()).apply(entry, &mut Scratch::new(), &mut event);
    let mut line = Vec::new();
    Encoder::default().encode(&event, BUDGET, &mut line);
    String::from_utf8(line).unwrap()
}

/// The line of an entry, and below it what it says.
fn shown(plans: &Plans, entry: &Entry) -> String {
    let line = line(plans, entry);
    let decoded = decode(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let version = format!("|{}|", decoded.device_version);
    let mut text = line.replacen(&version, "|VERSION|", 1);
    write!(text, "\n  {} (severity {})", decoded.name, decoded.severity).unwrap();
    for (key, value) in &decoded.fields {
        let value = value.replace('\n', "\\n");
        // A label is shown beside its key.
        match decoded.value(&format!("{key}Label")) {
            Some(label) => write!(text, "\n    {key} ({label}) = {value}").unwrap(),
            None if key.ends_with("Label") => {}
            None => write!(text, "\n    {key} = {value}").unwrap(),
        }
    }
    text
}

/// What differs, event by event and field by field.
fn differences(group: &str, wanted: &str, got: &str) -> Vec<String> {
    let (wanted, got) = (events(wanted), events(got));
    let mut out = Vec::new();
    for (title, event) in &got {
        let before = wanted.get(title).map_or(&[][..], Vec::as_slice);
        if before != event {
            out.push(difference(group, title, before, event));
        }
    }
    let gone = wanted.keys().filter(|title| !got.contains_key(*title));
    out.extend(gone.map(|title| format!("{group}: {title}: no sample makes this event")));
    out
}

fn difference(group: &str, title: &str, before: &[&str], after: &[&str]) -> String {
    // The line itself says nothing that its fields do not.
    let fields = |event: &[&str]| event.iter().skip(1).map(|line| (*line).to_owned()).collect::<Vec<_>>();
    let (before, after) = (fields(before), fields(after));
    let mut text = format!("{group}: {title}\n");
    for gone in before.iter().filter(|line| !after.contains(line)) {
        writeln!(text, "  -{gone}").unwrap();
    }
    for new in after.iter().filter(|line| !before.contains(line)) {
        writeln!(text, "  +{new}").unwrap();
    }
    text
}

/// The events of a file by the comment that stands over each.
fn events(text: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut events: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut title = "";
    for line in text.lines() {
        match line.strip_prefix("# ") {
            Some(next) => title = next,
            None => events.entry(title).or_default().push(line),
        }
    }
    events
}
