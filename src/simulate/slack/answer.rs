//! What goes back over the wire: JSON, errors, HTML, and answers that break off.

use std::io::Write as _;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::ReaderStream;
use tokio_util::sync::CancellationToken;

use super::page::Page;
use super::plan::End;

/// A whole answer that has not been sent yet.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    kind: &'static str,
    body: Vec<u8>,
    gzipped: bool,
    retry_after: Option<u64>,
}

impl Answer {
    pub(super) fn json(status: u16, body: String) -> Self {
        let kind = "application/json; charset=utf-8";
        Self { status, kind, body: body.into_bytes(), gzipped: false, retry_after: None }
    }

    /// Slack's error form, or a bare status where there is no word for it.
    pub(super) fn refused(status: u16, error: Option<&str>) -> Self {
        let body = error.map(|error| format!(r#"{{"ok":false,"error":"{error}"}}"#)).unwrap_or_default();
        Self::json(status, body)
    }

    pub(super) fn html(status: u16) -> Self {
        let title = if status == 200 { "Login | Slack" } else { "Slack | Something's not right" };
        let body = format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><title>{title}</title></head>\n\
             <body><h1>{status}</h1><p>We&rsquo;re looking into it.</p></body></html>\n"
        );
        Self {
            status,
            kind: "text/html; charset=utf-8",
            body: body.into_bytes(),
            gzipped: false,
            retry_after: None,
        }
    }

    pub(super) fn retry_after(self, seconds: Option<u64>) -> Self {
        Self { retry_after: seconds, ..self }
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

    pub(super) fn whole(self) -> Response<Body> {
        let Self { status, kind, body, gzipped, retry_after } = self;
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
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
    pub(super) fn in_halves(mut self, pause: Option<Pause>) -> Response<Body> {
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

/// A page in Slack's form; `cursor` is absent on the last one, which ends as `end` says.
pub(super) fn page(page: &Page, cursor: Option<&str>, end: End) -> String {
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
