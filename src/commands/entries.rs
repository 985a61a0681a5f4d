//! Entries as people have them, for the commands that are given some: one, many in a row, a list
//! of them, or a saved answer of Slack's API.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::event::{Entry, UnixTime};
use crate::report::{Exit, Failure};

/// The entries of a file; of standard input where it is `-`.
pub(super) fn read(path: &Path) -> Result<Vec<Entry>, Failure> {
    let text = Bytes::from(bytes(path)?);
    entries(&text).map_err(|error| error.failure(path))
}

fn bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().lock().read_to_end(&mut text)
    } else {
        File::open(path).and_then(|mut file| file.read_to_end(&mut text))
    };
    read.map(|_| text)
        .map_err(|error| Failure::new(Exit::Usage, format!("cannot read {}", path.display())).because(&error))
}

/// What is no text of entries.
#[derive(Debug)]
enum Unread {
    NotUtf8,
    NotJson { line: usize, column: usize, why: String },
    NoEntry { number: usize },
    Nothing,
}

impl Unread {
    fn failure(self, path: &Path) -> Failure {
        let name =
            if path.as_os_str() == "-" { "standard input".to_owned() } else { path.display().to_string() };
        let what = match self {
            Self::NotUtf8 => format!("{name} is not UTF-8 text"),
            Self::NotJson { line, column, why } => {
                format!("{name} is not JSON at line {line}, column {column}: {why}")
            }
            Self::NoEntry { number } => {
                format!("value {number} of {name} is not an entry: it is no JSON object")
            }
            Self::Nothing => format!("{name} holds no entry"),
        };
        Failure::new(Exit::Usage, what)
            .help("give an entry, entries one a line, or a whole answer of Slack's API: {\"entries\":[…]}")
    }
}

/// The entries of a text: one, many in a row, a list of them, or an answer of the API.
fn entries(text: &Bytes) -> Result<Vec<Entry>, Unread> {
    /// An answer of the API, with entries of the audit log or rows of one of the lists; an entry has no
    /// such key.
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow, alias = "logs", alias = "logins")]
        entries: Vec<&'a RawValue>,
    }
    let words = std::str::from_utf8(text).map_err(|_| Unread::NotUtf8)?;
    let mut found = Vec::new();
    for value in serde_json::Deserializer::from_str(words).into_iter::<&RawValue>() {
        let value = value.map_err(|error| {
            let why = error.to_string();
            let why = why.rsplit_once(" at line ").map_or(why.as_str(), |(why, _)| why).to_owned();
            Unread::NotJson { line: error.line(), column: error.column(), why }
        })?;
        if let Ok(answer) = serde_json::from_str::<Answer<'_>>(value.get()) {
            found.extend(answer.entries);
        } else if let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(value.get()) {
            found.extend(list);
        } else {
            found.push(value);
        }
    }
    if found.is_empty() {
        return Err(Unread::Nothing);
    }
    (1..)
        .zip(found)
        .map(|(number, raw)| {
            let raw = text.slice_ref(raw.get().as_bytes());
            let never = UnixTime::from_seconds(0);
            Entry::of_any_log(raw, never, 0).map_err(|_| Unread::NoEntry { number })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<String> {
        let entries = entries(&Bytes::from(text.to_owned())).unwrap();
        entries.iter().map(|entry| entry.id().as_str().to_owned()).collect()
    }

    #[test]
    fn takes_entries_in_every_form_in_which_people_have_them() {
        let (a, b) = (r#"{"id":"a","action":"x"}"#, r#"{"id":"b","action":"y"}"#);
        assert_eq!(ids(a), ["a"]);
        assert_eq!(ids(&format!("{a}\n{b}\n")), ["a", "b"]);
        assert_eq!(ids(&format!("[{a},{b}]")), ["a", "b"]);
        assert_eq!(
            ids(&format!(r#"{{"entries":[{a},{b}],"response_metadata":{{"next_cursor":""}}}}"#)),
            ["a", "b"]
        );
    }

    #[test]
    fn takes_a_saved_answer_of_the_integration_log() {
        let text = r#"{"ok":true,"logs":[{"change_type":"added","service_id":1}],"paging":{"pages":1}}"#;
        let entries = entries(&Bytes::from_static(text.as_bytes())).unwrap();
        let found: Vec<_> = entries.iter().map(|entry| entry.action().as_str()).collect();
        assert_eq!(found, ["integration_added"]);
    }

    #[test]
    fn takes_a_saved_answer_of_the_access_log() {
        let text = r#"{"ok":true,"logins":[{"user_id":"U1","date_first":1,"date_last":2}],"paging":{}}"#;
        let entries = entries(&Bytes::from_static(text.as_bytes())).unwrap();
        assert_eq!(entries[0].action().as_str(), "access_first_seen");
    }

    #[test]
    fn says_where_a_text_is_no_json() {
        let refused = entries(&Bytes::from_static(b"{\"id\":1}\nhello")).unwrap_err();
        assert!(matches!(refused, Unread::NotJson { line: 2, .. }), "{refused:?}");
        assert!(matches!(entries(&Bytes::from_static(b" ")).unwrap_err(), Unread::Nothing));
        assert!(matches!(entries(&Bytes::from_static(b"3")).unwrap_err(), Unread::NoEntry { number: 1 }));
        assert!(matches!(entries(&Bytes::from_static(b"\xff")).unwrap_err(), Unread::NotUtf8));
    }
}
