//! A poller against a simulated Slack, and what a store keeps of what it yields.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;

use slackcef::event::{Entry, UnixTime};
use slackcef::simulate::slack::{Plan, Slack, TOKEN};
use slackcef::slack::{
    Account, Budget, CannotPoll, CaughtUp, Clock, Failed, HttpClient, Page, Poller, RowKey, Step, Token,
    access, integration,
};

/// A Slack on a free port of this machine.
pub(crate) async fn start(plan: Plan) -> Arc<Slack> {
    Arc::new(Slack::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), plan).await.unwrap())
}

/// A clock that shows Slack's time, and so many seconds more.
pub(crate) fn clock(slack: &Arc<Slack>, ahead: i64) -> Clock {
    let theirs = Arc::clone(slack);
    Clock::new(move || UnixTime::from_seconds(theirs.now() + ahead))
}

/// The simulated organization, asked there and with ample budget.
pub(crate) fn account(base_url: &str, clock: Clock) -> Account {
    Account {
        base_url: base_url.parse().unwrap(),
        token: Token::fixed(&TOKEN.into()).unwrap(),
        client: HttpClient::to_this_machine().unwrap(),
        budget: Arc::new(Budget::per_minute(NonZeroU32::new(60_000).unwrap())),
        clock,
    }
}

/// What a store keeps of a list, which is read with the help of what it remembers.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) memos: HashMap<RowKey, (Vec<u8>, UnixTime)>,
    pub(crate) bookmark: Option<Vec<u8>>,
    /// All that was told, in order.
    pub(crate) entries: Vec<Entry>,
    pub(crate) failures: Vec<Failed>,
    pub(crate) pages: u32,
}

/// What a poller of a list is told.
pub(crate) trait OfAList {
    fn poller(&self, bookmark: Option<&[u8]>) -> Result<Poller, CannotPoll>;
}

impl OfAList for access::Settings {
    fn poller(&self, bookmark: Option<&[u8]>) -> Result<Poller, CannotPoll> {
        access::Poller::new(self, bookmark).map(Poller::Access)
    }
}

impl OfAList for integration::Settings {
    fn poller(&self, bookmark: Option<&[u8]>) -> Result<Poller, CannotPoll> {
        integration::Poller::new(self, bookmark).map(Poller::Integration)
    }
}

impl Kept {
    /// A poller that goes on where the last page was.
    pub(crate) fn poller(&self, settings: &impl OfAList) -> Poller {
        settings.poller(self.bookmark.as_deref()).unwrap()
    }

    fn store(&mut self, page: Page) {
        self.pages += 1;
        assert!(page.progress.is_none());
        self.memos.extend(page.memos.into_iter().map(|memo| (memo.key, (memo.value, memo.at))));
        self.entries.extend(page.entries);
        self.bookmark = Some(page.bookmark);
    }

    /// One step; what it was, if a reading has ended.
    pub(crate) async fn step(&mut self, poller: &mut Poller) -> Option<CaughtUp> {
        match poller.next().await {
            Step::Page(page) => self.store(page),
            Step::Recall(keys) => {
                let known = |key: &RowKey| self.memos.get(key).map(|(value, _)| value.clone());
                let page = poller.compare(keys.iter().map(known).collect());
                self.store(page);
            }
            Step::Failed(failed) => self.failures.push(failed),
            Step::CaughtUp(caught_up) => return Some(caught_up),
        }
        None
    }

    pub(crate) async fn until_caught_up(&mut self, poller: &mut Poller) -> CaughtUp {
        loop {
            if let Some(caught_up) = self.step(poller).await {
                return caught_up;
            }
        }
    }

    /// How many entries of each action were told.
    pub(crate) fn actions(&self) -> BTreeMap<&str, u32> {
        let mut actions = BTreeMap::new();
        for entry in &self.entries {
            *actions.entry(entry.action().as_str()).or_default() += 1;
        }
        actions
    }
}
