//! Requests to Slack and its answers, written down for whoever has to find out what goes wrong.
//!
//! Off unless a folder is named. A line of JSON each: method, address and parameters, status, a few
//! headers, the beginning of the body, and what went wrong. Names and IP addresses stay in it.
//!
//! **Invariant:** no header of a request and no body of one is written. Tokens, cookies, secrets of
//! webhooks and addresses of e-mail are taken out of all else ([`redact`]).
//! **Invariant:** a trace that cannot be written ends, and nothing else does.

mod files;
mod redact;

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use reqwest::header::{AUTHORIZATION, HeaderMap};
use reqwest::{Request, Response};
use serde::Serialize;

use files::Files;
use redact::{beginning, redacted};

/// Where a trace goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceSettings {
    /// The folder of its files, made where it is not there.
    pub dir: PathBuf,
    /// How large they may become together, in bytes.
    pub max_size: u64,
}

/// So much of a body is written.
const BODY: usize = 4 << 10;

/// The answer's headers that are.
const HEADERS: [&str; 11] = [
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "retry-after",
    "server",
    "via",
    "x-accepted-oauth-scopes",
    "x-oauth-scopes",
    "x-slack-req-id",
    "x-slack-unique-id",
];

/// The files of a trace, open.
#[derive(Debug, Clone)]
pub struct TraceFiles {
    settings: TraceSettings,
    files: Arc<Mutex<Files>>,
}

impl TraceFiles {
    /// Opens them.
    ///
    /// # Errors
    /// The folder cannot be made, or written to.
    pub fn open(settings: &TraceSettings) -> io::Result<Self> {
        let files = Arc::new(Mutex::new(Files::open(settings)?));
        Ok(Self { settings: settings.clone(), files })
    }

    /// Where they are.
    pub fn settings(&self) -> &TraceSettings {
        &self.settings
    }
}

/// Whether requests are traced, and where to: one switch for all who have a clone.
#[derive(Debug, Clone, Default)]
pub struct Trace(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    files: Option<TraceFiles>,
    fault: Option<io::Error>,
}

impl Trace {
    /// Traces to these files from now on, or not at all.
    pub fn switch(&self, files: Option<TraceFiles>) {
        *self.state() = State { files, fault: None };
    }

    /// Why it has ended by itself; told once.
    pub fn fault(&self) -> Option<io::Error> {
        self.state().fault.take()
    }

    /// Begins with a request of that source.
    pub(super) fn begin(&self, source: &str, request: &Request) -> Exchange {
        if self.state().files.is_none() {
            return Exchange::none();
        }
        let bearer = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = bearer.map(|value| value.trim_start_matches("Bearer ").to_owned());
        let clean = |text: &str| redacted(text, token.as_deref());
        let url = request.url();
        let parameters = url.query_pairs().map(|(name, value)| {
            // Read as a pair, too: a name may tell that its value is a secret.
            let pair = clean(&format!("{name}={value}"));
            pair.split_once('=')
                .map_or((pair.clone(), String::new()), |(name, value)| (name.to_owned(), value.to_owned()))
        });
        let line = Line {
            at: jiff::Timestamp::now().to_string(),
            source: source.to_owned(),
            method: request.method().to_string(),
            address: clean(&format!("{}://{}{}", url.scheme(), url.authority(), url.path())),
            parameters: parameters.collect(),
            ..Line::default()
        };
        Exchange(Some(Box::new(Open { trace: self.clone(), begun: Instant::now(), token, line })))
    }

    fn write(&self, line: &Line) {
        let Ok(mut text) = serde_json::to_vec(line) else { return };
        text.push(b'\n');
        let mut state = self.state();
        let Some(files) = &state.files else { return };
        let written = files.files.lock().unwrap_or_else(PoisonError::into_inner).add(&text);
        if let Err(fault) = written {
            *state = State { files: None, fault: Some(fault) };
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request with its answer; nothing where nothing is traced. It is written when it is dropped.
#[derive(Debug)]
pub(super) struct Exchange(Option<Box<Open>>);

#[derive(Debug)]
struct Open {
    trace: Trace,
    begun: Instant,
    token: Option<String>,
    line: Line,
}

impl Exchange {
    /// One that is not traced.
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// Notes status and headers.
    pub(super) fn answered(&mut self, response: &Response) {
        let Some(open) = &mut self.0 else { return };
        open.line.status = Some(response.status().as_u16());
        open.line.version = Some(format!("{:?}", response.version()));
        open.line.answered_after_ms = Some(open.begun.elapsed().as_millis());
        open.line.headers = headers(response.headers(), open.token.as_deref());
    }

    /// Notes a body, whole as it came.
    pub(super) fn body(&mut self, body: &[u8]) {
        let Some(open) = &mut self.0 else { return };
        open.line.bytes = Some(body.len());
        // What follows the beginning decides whether its last word is whole.
        let text = String::from_utf8_lossy(body.get(..body.len().min(2 * BODY)).unwrap_or_default());
        open.line.body = Some(redacted(beginning(&text, BODY), open.token.as_deref()));
    }

    /// Notes what went wrong.
    pub(super) fn failed(&mut self, error: &(dyn Error + 'static)) {
        let Some(open) = &mut self.0 else { return };
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        open.line.error = Some(redacted(&text, open.token.as_deref()));
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(mut open) = self.0.take() {
            open.line.took_ms = open.begun.elapsed().as_millis();
            open.trace.write(&open.line);
        }
    }
}

fn headers(all: &HeaderMap, token: Option<&str>) -> BTreeMap<&'static str, String> {
    let shown = HEADERS.iter().filter_map(|name| {
        let value = all.get(*name)?;
        Some((*name, redacted(&String::from_utf8_lossy(value.as_bytes()), token)))
    });
    shown.collect()
}

/// A line of the file.
#[derive(Debug, Default, Serialize)]
struct Line {
    at: String,
    source: String,
    method: String,
    address: String,
    parameters: Vec<(String, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// To the headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_after_ms: Option<u128>,
    took_ms: u128,
    headers: BTreeMap<&'static str, String>,
    /// Of the body, unpacked.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}
