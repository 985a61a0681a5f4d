//! What goes back over the wire: JSON, errors, HTML, and answers that break off.

use std::io::Write as _;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::ReaderStream;
use tokio_util::sync::CancellationToken;

use super::fault::Trouble;
use super::page::Page;
use super::plan::End;

/// A whole answer that has not been sent yet.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) outcome: Outcome,
    kind: &'static str,
    body: Vec<u8>,
    gzipped: bool,
    retry_after: Option<u64>,
}

/// What an answer comes to, for whoever looks on.
#[derive(Debug, Clone, Default)]
pub(super) struct Outcome {
    /// Rows on the page, where it is a page.
    pub(super) rows: Option<usize>,
    /// Slack's word for what went wrong.
    pub(super) error: Option<String>,
}

impl Answer {
    pub(super) fn json(status: u16, body: String) -> Self {
        Self::new(status, "application/json; charset=utf-8", body)
    }

    fn new(status: u16, kind: &'static str, body: String) -> Self {
        let (outcome, body) = (Outcome::default(), body.into_bytes());
        Self { status, outcome, kind, body, gzipped: false, retry_after: None }
    }

    /// A page of so many rows.
    pub(super) fn page(rows: usize, body: String) -> Self {
        Self { outcome: Outcome { rows: Some(rows), error: None }, ..Self::json(200, body) }
    }

    /// A page of the Web API: the list's name, its rows with commas between, and where the next page
    /// begins, for one who asks by cursors; empty at the end.
    pub(super) fn list(
        list: &str,
        count: usize,
        rows: &str,
        paging: Option<String>,
        cursor: Option<String>,
    ) -> Self {
        let paging = paging.map(|paging| format!(r#","paging":{paging}"#)).unwrap_or_default();
        let metadata = |cursor| format!(r#","response_metadata":{{"next_cursor":"{cursor}"}}"#);
        let cursor = cursor.map(metadata).unwrap_or_default();
        Self::page(count, format!(r#"{{"ok":true,"{list}":[{rows}]{paging}{cursor}}}"#))
    }

    /// Status 200 with that value.
    pub(super) fn said(value: &Value) -> Self {
        Self::json(200, value.to_string())
    }

    /// Status 200, as the Web API has it whatever happens, with its word for what went wrong.
    pub(super) fn not_ok(word: &str) -> Self {
        Self::refused(200, Some(word))
    }

    /// A status with a word, as webhooks answer.
    pub(super) fn word(status: u16, word: &str) -> Self {
        Self::new(status, "text/html", word.to_owned()).told_as(Some(word).filter(|word| *word != "ok"))
    }

    /// Slack's error form, or a bare status where there is no word for it.
    pub(super) fn refused(status: u16, error: Option<&str>) -> Self {
        let body = error.map(|error| format!(r#"{{"ok":false,"error":"{error}"}}"#)).unwrap_or_default();
        Self::json(status, body).told_as(error)
    }

    /// The same, which comes to that error.
    pub(super) fn told_as(self, error: Option<&str>) -> Self {
        Self { outcome: Outcome { rows: None, error: error.map(str::to_owned) }, ..self }
    }

    pub(super) fn html(status: u16) -> Self {
        let title = if status == 200 { "Login | Slack" } else { "Slack | Something's not right" };
        let body = format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><title>{title}</title></head>\n\
             <body><h1>{status}</h1><p>We&rsquo;re looking into it.</p></body></html>\n"
        );
        Self::new(status, "text/html; charset=utf-8", body)
    }

    pub(super) fn retry_after(self, seconds: Option<u64>) -> Self {
        Self { retry_after: seconds, ..self }
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(super) fn half(mut self) -> Self {
        self.body.truncate(self.body.len() / 2);
        self
    }

    pub(super) fn gzip(self) -> Self {
        let mut gzip = GzEncoder::new(Vec::with_capacity(self.body.len() / 4), Compression::fast());
        match gzip.write_all(&self.body).and_then(|()| gzip.finish()) {
            Ok(body) => Self { body, gzipped: true, ..self },
            Err(_) => self,
        }
    }

    /// Sends it as that trouble has it: late, in halves, or as a whole.
    pub(super) async fn sent(self, trouble: Option<&Trouble>, stop: &CancellationToken) -> Response<Body> {
        let pause = |length: &Duration| Pause { length: *length, stop: stop.clone() };
        match trouble {
            Some(Trouble::CutOff) => self.in_halves(None),
            Some(Trouble::Stalled(length)) => self.in_halves(Some(pause(length))),
            Some(Trouble::Slow(length)) => {
                pause(length).waited().await;
                self.whole()
            }
            _ => self.whole(),
        }
    }

    pub(super) fn whole(self) -> Response<Body> {
        let Self { status, outcome, kind, body, gzipped, retry_after } = self;
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.extensions_mut().insert(outcome);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache, no-store"));
        if gzipped {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    /// The first half at once; the second half after the pause, or never: then the connection
    /// closes short of the length that was announced.
    fn in_halves(mut self, pause: Option<Pause>) -> Response<Body> {
        let whole = std::mem::take(&mut self.body);
        let mut response = self.whole();
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
        let (reader, mut writer) = tokio::io::duplex(64 * 1_024);
        tokio::spawn(async move {
            let (first, second) = whole.split_at(whole.len() / 2);
            // An error means that the client has gone, which is its right.
            let sent = writer.write_all(first).await;
            if let (Ok(()), Some(pause)) = (sent, pause)
                && pause.waited().await
            {
                writer.write_all(second).await.unwrap_or_default();
            }
        });
        *response.body_mut() = Body::from_stream(ReaderStream::new(reader));
        response
    }
}

/// A wait that the simulator's end cuts short.
pub(super) struct Pause {
    pub(super) length: Duration,
    pub(super) stop: CancellationToken,
}

impl Pause {
    /// Waits; false where it was cut short.
    pub(super) async fn waited(self) -> bool {
        self.stop.run_until_cancelled(tokio::time::sleep(self.length)).await.is_some()
    }
}

/// Entries in Slack's form; `cursor` is absent on the last one, which ends as `end` says.
pub(super) fn entries(page: &Page, cursor: Option<&str>, end: End) -> String {
    let Page { entries, .. } = page;
    let metadata = match (cursor, end) {
        (Some(cursor), _) => {
            format!(r#","response_metadata":{{"next_cursor":"{}"}}"#, cursor.replace('/', "\\/"))
        }
        (None, End::Empty | End::Mixed) => r#","response_metadata":{"next_cursor":""}"#.to_owned(),
        (None, End::Null) => r#","response_metadata":{"next_cursor":null}"#.to_owned(),
        (None, End::Absent) => r#","response_metadata":{}"#.to_owned(),
        (None, End::NoMetadata) => String::new(),
    };
    format!(r#"{{"entries":[{entries}]{metadata}}}"#)
}
