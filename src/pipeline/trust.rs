//! What the organizations trust by their own word: Slack's allow lists, read for the mappings.
//!
//! The list of a source that asks for it is read at its start and every hour. Entries of the source are not read
//! before the first try has ended, nor is anything delivered, so that a rule about trusted networks holds from the
//! first entry on; a Slack that does not answer holds that up for seconds at most.
//!
//! **Invariant:** a list that cannot be read leaves the last one in force, and that is logged once.
//! **Invariant:** whoever maps takes all lists at one moment: a batch is never mapped by two of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::mapping::Trusted;
use crate::slack::allowlist::{Allowlist, AllowlistError, Api};
use crate::store::SourceId;
use crate::telemetry::chain;

/// The list of each source that has one.
pub(super) type Lists = BTreeMap<SourceId, Arc<Trusted>>;

/// All lists, as they change; clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Trust {
    known: watch::Sender<Known>,
}

/// The lists at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) lists: Arc<Lists>,
    /// Those of whom nothing was heard yet.
    awaited: BTreeSet<SourceId>,
}

/// How often a list is read.
const EVERY: Duration = Duration::from_secs(3600);
/// How soon one that could not be read is tried again.
const AGAIN: Duration = Duration::from_secs(300);
/// How long a first try may hold up reading and delivering.
const FIRST: Duration = Duration::from_secs(10);

impl Trust {
    /// The lists, as they change.
    pub(super) fn known(&self) -> watch::Receiver<Known> {
        self.known.subscribe()
    }

    /// Keeps the list of a source for as long as what is returned lives; without `api` it has none.
    pub(super) fn keep(&self, source: &SourceId, api: Option<Arc<Api>>) -> JoinSet<()> {
        let mut keeping = JoinSet::new();
        match api {
            None => self.set(source, None),
            Some(api) => {
                self.known.send_modify(|known| {
                    known.awaited.insert(source.clone());
                });
                keeping.spawn(Keeper::new(self.clone(), source.clone()).run(api));
            }
        }
        keeping
    }

    /// Waits until the list of that source, or of all, was tried once; not for long.
    pub(super) fn tried(&self, source: Option<SourceId>) -> impl Future<Output = ()> + Send + use<> {
        let mut known = self.known.subscribe();
        async move {
            let tried = known.wait_for(|known| match &source {
                Some(source) => !known.awaited.contains(source),
                None => known.awaited.is_empty(),
            });
            // Late or gone, what is known by then has to do.
            drop(tokio::time::timeout(FIRST, tried).await);
        }
    }

    fn set(&self, source: &SourceId, list: Option<Trusted>) {
        self.known.send_if_modified(|known| {
            let differs = known.lists.get(source).map(|list| &**list) != list.as_ref();
            if differs {
                let mut lists = Lists::clone(&known.lists);
                match list {
                    Some(list) => drop(lists.insert(source.clone(), Arc::new(list))),
                    None => drop(lists.remove(source)),
                }
                known.lists = Arc::new(lists);
            }
            known.awaited.remove(source) || differs
        });
    }

    fn heard_of(&self, source: &SourceId) {
        self.known.send_if_modified(|known| known.awaited.remove(source));
    }
}

/// Keeps one list.
#[derive(Debug)]
struct Keeper {
    trust: Trust,
    source: SourceId,
    /// The list as it was told.
    told: Option<Allowlist>,
    /// What was said of the last failure.
    failing: Option<String>,
}

impl Keeper {
    fn new(trust: Trust, source: SourceId) -> Self {
        Self { trust, source, told: None, failing: None }
    }

    async fn run(mut self, api: Arc<Api>) {
        loop {
            let wait = self.take(api.read().await);
            tokio::time::sleep(wait).await;
        }
    }

    /// Takes what came of a try; says when the next one is due.
    fn take(&mut self, read: Result<Allowlist, AllowlistError>) -> Duration {
        let source = &self.source;
        match read {
            Ok(list) => {
                self.trust.set(source, Some(Trusted::new(list.networks(), list.asns.clone())));
                let again = self.failing.take().is_some();
                if again || self.told.as_ref() != Some(&list) {
                    info!(
                        %source, ranges = list.ranges.len(), asns = list.asns.len(),
                        "what the organization trusts was read from Slack's allow list"
                    );
                }
                self.told = Some(list);
                EVERY
            }
            Err(error) => {
                let text = chain(&error);
                if self.failing.as_ref() != Some(&text) {
                    let so = if self.told.is_some() {
                        "the last one stays in force"
                    } else {
                        "nothing is trusted"
                    };
                    warn!(%source, help = error.help(), "Slack's allow list cannot be read, {so}: {text}");
                    self.failing = Some(text);
                }
                self.trust.heard_of(source);
                AGAIN
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acme() -> SourceId {
        SourceId::new("acme")
    }

    fn failure() -> AllowlistError {
        AllowlistError::Unreadable("x".to_owned())
    }

    fn list(asn: u32) -> Allowlist {
        Allowlist { ranges: vec!["192.0.2.1/24".to_owned(), "odd".to_owned()], asns: vec![asn] }
    }

    #[test]
    fn a_failure_leaves_the_last_list_in_force() {
        let trust = Trust::default();
        let mut keeper = Keeper::new(trust.clone(), acme());
        assert_eq!(keeper.take(Err(failure())), AGAIN);
        assert!(trust.known().borrow().lists.is_empty());
        assert_eq!(keeper.take(Ok(list(1))), EVERY);
        let read = Arc::clone(&trust.known().borrow().lists);
        assert_eq!(*read[&acme()], Trusted::new(vec!["192.0.2.0/24".parse().unwrap()], vec![1]));
        assert_eq!(keeper.take(Err(failure())), AGAIN);
        assert!(keeper.failing.is_some());
        assert!(Arc::ptr_eq(&read, &trust.known().borrow().lists));
        // What is the same again disturbs nobody who maps.
        keeper.take(Ok(list(1)));
        assert!(Arc::ptr_eq(&read, &trust.known().borrow().lists));
        keeper.take(Ok(list(2)));
        assert_eq!(
            trust.known().borrow().lists[&acme()],
            Arc::new(Trusted::new(vec!["192.0.2.0/24".parse().unwrap()], vec![2]))
        );
        drop(trust.keep(&acme(), None));
        assert!(trust.known().borrow().lists.is_empty());
    }

    #[tokio::test]
    async fn the_first_try_is_waited_for_whatever_comes_of_it() {
        let trust = Trust::default();
        trust.tried(None).await;
        trust.known.send_modify(|known| {
            known.awaited.insert(acme());
        });
        trust.tried(Some(SourceId::new("other"))).await;
        let waiting = tokio::spawn(trust.tried(None));
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        Keeper::new(trust.clone(), acme()).take(Err(failure()));
        waiting.await.unwrap();
        trust.tried(Some(acme())).await;
    }
}
