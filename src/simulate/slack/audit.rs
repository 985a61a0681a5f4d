//! The Audit Logs API of a simulated Slack: pages of entries, and the lists of actions and schemas.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::Response;
use serde_json::json;

use super::answer::{self, Answer};
use super::cursor::Cursor;
use super::fault::Trouble;
use super::generate;
use super::late::Moment;
use super::page::{Page, Window};
use super::plan::End;
use super::request::{Query, Request};
use super::serve::State;

/// The page that a request asks for, or the refusal that it earns.
pub(super) fn page(state: &State, request: &Request, trouble: Option<&Trouble>) -> Result<Answer, Answer> {
    let now = state.clock.now();
    let query = match Query::read(request, &state.plan, now) {
        _ if trouble == Some(&Trouble::CursorExpired) => Err("invalid_cursor"),
        read => read,
    };
    let query = query.map_err(|word| Answer::refused(400, Some(word)))?;
    let from = query.cursor.map_or(i64::MAX, |cursor| cursor.from);
    let window = Window {
        from: from.min(query.latest.unwrap_or(now)),
        oldest: query.oldest.unwrap_or(i64::MIN),
        limit: if trouble == Some(&Trouble::ShortPage) { 1 } else { query.limit },
        filter: &query.filter,
    };
    let moment = Moment { now, requests: request.number - 1 };
    let page = match trouble {
        Some(Trouble::EmptyPage) => Page { next: Some(window.from), ..Page::default() },
        _ => Page::read(&state.history, &window, moment, request.number),
    };
    let end = match (trouble, state.plan.pages.end) {
        (Some(Trouble::NoMetadata), _) => End::NoMetadata,
        (_, End::Mixed) => [End::Empty, End::Null, End::Absent, End::NoMetadata]
            .into_iter()
            .cycle()
            .nth(usize::try_from(request.number % 4).unwrap_or(0))
            .unwrap_or_default(),
        (_, end) => end,
    };
    let cursor = page.next.map(|from| Cursor { from, issued: now }.encode());
    Ok(Answer::page(page.count, answer::entries(&page, cursor.as_deref(), end)))
}

/// Every entry that can be read now, as its text, newest first.
pub(super) fn entries(state: &State) -> Vec<String> {
    let now = state.clock.now();
    let moment = Moment { now, requests: state.audit_logs.count() };
    let mut entries = Vec::new();
    let mut from = now;
    while let Some(second) = state.history.second_at_or_before(from) {
        for found in state.history.at(second, moment, 0) {
            let mut text = String::new();
            state.history.write(&found, &mut text);
            entries.push(text);
        }
        from = second.saturating_sub(1);
    }
    entries
}

pub(super) async fn actions() -> Response<Body> {
    let mut groups = BTreeMap::<_, Vec<_>>::new();
    for (group, name) in generate::actions() {
        let names = groups.entry(group).or_default();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Answer::said(&json!({ "actions": groups })).whole()
}

pub(super) async fn schemas() -> Response<Body> {
    let schemas = r#"{"schemas":[{"type":"workspace","workspace":{"id":"string","name":"string","domain":"string"}},{"type":"user","user":{"id":"string","name":"string","email":"string","team":"string"}},{"type":"file","file":{"id":"string","name":"string","filetype":"string","title":"string"}},{"type":"channel","channel":{"id":"string","name":"string","privacy":"string","is_shared":"bool","is_org_shared":"bool"}}]}"#;
    Answer::json(200, schemas.to_owned()).whole()
}
