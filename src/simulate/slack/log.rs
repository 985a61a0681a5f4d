//! One of the three logs while it is served: the way of a request from its count to its answer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::http::{HeaderMap, Response, Uri};
use tokio::sync::watch;

use super::answer::Answer;
use super::fault::{Trouble, Troubles};
use super::grants::Api;
use super::request::{Request, Tally};
use super::serve::State;

/// What a log has seen, and how it answers.
#[derive(Debug)]
pub(super) struct Log {
    api: Api,
    troubles: Troubles,
    read: ReadPage,
    /// The last requests, oldest first.
    journal: Mutex<VecDeque<Request>>,
    tally: watch::Sender<Tally>,
}

/// Makes the page that a request asks for, or the refusal that it earns.
type ReadPage = fn(&State, &Request, Option<&Trouble>) -> Result<Answer, Answer>;

/// As many requests are remembered.
const JOURNAL: usize = 10_000;

impl Log {
    pub(super) fn new(api: Api, troubles: Troubles, read: ReadPage) -> Self {
        Self { api, troubles, read, journal: Mutex::default(), tally: watch::Sender::default() }
    }

    /// The requests so far.
    pub(super) fn count(&self) -> u64 {
        self.troubles.count()
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub(super) fn tally(&self) -> Tally {
        *self.tally.borrow()
    }

    /// Waits until what was counted is as wished.
    pub(super) async fn until(&self, mut wished: impl FnMut(&Tally) -> bool) -> Tally {
        let mut tally = self.tally.subscribe();
        match tally.wait_for(|tally| wished(tally)).await {
            Ok(tally) => *tally,
            Err(_) => self.tally(),
        }
    }

    /// The whole answer, and the request's note in the journal.
    fn answer(
        &self,
        state: &State,
        mut request: Request,
        headers: &HeaderMap,
        trouble: Option<&Trouble>,
    ) -> Answer {
        let answer = state.answer(trouble, headers, self.api, || {
            (self.read)(state, &request, trouble).unwrap_or_else(|refusal| refusal)
        });
        let gzip = request.gzip && state.plan.pages.gzip;
        request.status = answer.status;
        request.entries = answer.outcome.rows.unwrap_or(0);
        request.troubled = trouble.is_some();
        self.note(request, answer.outcome.rows.is_some());
        if gzip { answer.gzip() } else { answer }
    }

    fn note(&self, request: Request, is_page: bool) {
        self.tally.send_modify(|tally| {
            tally.add(&request);
            tally.pages += u64::from(is_page);
        });
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        if journal.len() >= JOURNAL {
            journal.pop_front();
        }
        journal.push_back(request);
    }
}

/// Answers a request for that log.
pub(super) async fn serve(
    state: Arc<State>,
    log: fn(&State) -> &Log,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let mut request = Request::read(&uri, &headers);
    let (number, trouble) = log(&state).troubles.meet(request.filled("cursor").is_some());
    request.number = number;
    // A page is work of milliseconds: off the threads that drive the connections.
    let answered = {
        let (state, trouble) = (Arc::clone(&state), trouble.clone());
        tokio::task::spawn_blocking(move || log(&state).answer(&state, request, &headers, trouble.as_ref()))
            .await
    };
    let Ok(answer) = answered else { return Answer::html(500).whole() };
    answer.sent(trouble.as_ref(), &state.stop).await
}
