//! The customer examples under `mappings/examples/`: their cases, and what each of them promises,
//! looked at over a sample of every action.

use std::path::{Path, PathBuf};

use serde_json::Value;
use slackcef::event::{Entry, Log};
use slackcef::mapping::cases::{self, Verdict};
use slackcef::mapping::{self, Outcome, Plans, PseudonymKey};
use slackcef::problem::Problem;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings/examples").join(name)
}

fn rendered(problems: &[Problem]) -> String {
    problems.iter().map(|problem| problem.render(false)).collect::<Vec<_>>().join("\n\n")
}

/// The shipped mapping, with an example laid over it.
fn plans(example: Option<&str>) -> Plans {
    let mut files = mapping::builtin();
    if let Some(name) = example {
        files.extend(mapping::load(&folder(name)).unwrap());
    }
    let plans = mapping::compile(&files).unwrap_or_else(|problems| panic!("{}", rendered(&problems)));
    plans.keyed(PseudonymKey::for_tests())
}

fn samples() -> Vec<Entry> {
    let samples: Vec<_> = mapping::samples()
        .filter(|sample| sample.log == Log::Audit)
        .map(|sample| sample.entry().unwrap())
        .collect();
    assert!(samples.len() > 300);
    samples
}

/// What becomes of an entry: keys and values, `name` and `severity` first, `drop` where it is dropped.
fn made(entry: &Entry, plans: &Plans) -> Vec<(String, String)> {
    let explained = plans.plan(entry.log(), entry.action().as_str()).explain(entry);
    let value = |field: mapping::Explained| match field.outcome {
        Outcome::Value(value) => Some((field.key, value)),
        _ => None,
    };
    explained.into_iter().filter_map(value).collect()
}

fn of<'m>(made: &'m [(String, String)], key: &str) -> Option<&'m str> {
    made.iter().find(|(other, _)| other == key).map(|(_, value)| value.as_str())
}

fn severity(made: &[(String, String)]) -> u8 {
    of(made, "severity").unwrap().parse().unwrap()
}

#[test]
fn the_cases_of_every_example_hold() {
    for example in ["bank", "mssp", "team"] {
        let plans = plans(Some(example));
        let files = cases::load(&folder(example)).unwrap();
        let cases = cases::read(&files, &plans).unwrap_or_else(|problems| panic!("{}", rendered(&problems)));
        assert!(cases.len() >= 5, "{example} has {} cases", cases.len());
        for case in cases {
            assert_eq!(cases::run(&case, &plans), Verdict::Passed, "{}: {}", case.origin, case.name);
        }
    }
}

#[test]
fn every_example_is_looked_at_here() {
    let mut there: Vec<_> = std::fs::read_dir(folder(""))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    there.sort();
    assert_eq!(there, ["bank", "mssp", "team"]);
}

/// Every text in an entry that is a person's name, a person's e-mail address, or an IP address.
fn personal(value: &Value, inside: &str, found: &mut Vec<String>) {
    const PEOPLE: [&str; 5] = ["user", "inviter", "kicker", "previous_profile", "new_profile"];
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                let named = PEOPLE.contains(&inside)
                    && ["name", "email", "real_name", "first_name", "last_name", "display_name"]
                        .contains(&key.as_str());
                let always = key.ends_with("ip_address") || key.ends_with("user_email");
                match value.as_str() {
                    Some(text) if !text.is_empty() && (named || always || text.starts_with("mpdm-")) => {
                        found.push(text.to_owned());
                    }
                    _ => personal(value, key, found),
                }
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| personal(element, inside, found)),
        _ => {}
    }
}

/// The first field that holds the text; the event's name is never made of what users wrote.
fn holder<'m>(made: &'m [(String, String)], text: &str) -> Option<&'m (String, String)> {
    made.iter().find(|(key, value)| key != "name" && readable(value).contains(text))
}

/// A value as it is read: the escapes of JSON hide nothing.
fn readable(value: &str) -> String {
    serde_json::from_str::<Value>(value).map_or_else(|_| value.to_owned(), |json| json.to_string())
}

#[test]
fn the_bank_names_no_person_and_no_machine() {
    let (shipped, bank) = (plans(None), plans(Some("bank")));
    let (mut named, mut leaks) = (0, Vec::new());
    for entry in samples() {
        let json: Value = serde_json::from_slice(entry.raw()).unwrap();
        let mut texts = Vec::new();
        personal(&json, "", &mut texts);
        // What an app does under its own name is nobody's.
        texts.retain(|text| json["entity"]["app"]["name"] != text.as_str());
        let (before, after) = (made(&entry, &shipped), made(&entry, &bank));
        for text in &texts {
            named += usize::from(holder(&before, text).is_some());
            leaks.extend(holder(&after, text).map(|field| format!("{entry}: {text:?} in {field:?}")));
        }
    }
    assert!(named > 1_000, "the shipped mapping names but {named}: is anything looked for?");
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
}

#[test]
fn the_bank_names_nobody_where_it_has_no_key() {
    let mut files = mapping::builtin();
    files.extend(mapping::load(&folder("bank")).unwrap());
    let plans = mapping::compile(&files).unwrap();
    assert!(plans.wants_pseudonym_key().is_some());
    for entry in samples() {
        let json: Value = serde_json::from_slice(entry.raw()).unwrap();
        let email = json["actor"]["user"]["email"].as_str().filter(|email| !email.is_empty());
        assert_eq!(email.and_then(|email| holder(&made(&entry, &plans), email).cloned()), None, "{entry}");
    }
}

#[test]
fn the_bank_lowers_nothing() {
    let (shipped, bank) = (plans(None), plans(Some("bank")));
    let mut raised = 0;
    for entry in samples() {
        let (before, after) = (severity(&made(&entry, &shipped)), severity(&made(&entry, &bank)));
        assert!(after >= before, "{entry}: {before} > {after}");
        raised += usize::from(after > before);
    }
    assert!(raised >= 10, "only {raised} are raised");
}

#[test]
fn the_provider_says_of_every_event_whose_it_is() {
    let plans = plans(Some("mssp"));
    for entry in samples() {
        let made = made(&entry, &plans);
        let tenant = of(&made, "MsspTenant").unwrap_or_else(|| panic!("{entry}"));
        assert!(of(&made, "deviceExternalId").unwrap().starts_with(&format!("{tenant}/")), "{made:?}");
    }
}

#[test]
fn the_team_drops_noise_alone() {
    let (shipped, team) = (plans(None), plans(Some("team")));
    let mut dropped = 0;
    for entry in samples() {
        let grave = severity(&made(&entry, &shipped));
        if of(&made(&entry, &team), "drop").is_some() {
            assert!(grave < 6, "{entry} has severity {grave}");
            dropped += 1;
        }
    }
    assert!(dropped >= 20, "only {dropped} are dropped");
}
