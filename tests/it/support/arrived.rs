//! What a simulated receiver got of Slack's entries.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use slackcef::simulate::receiver::{Arrival, Receiver};
use slackcef::simulate::slack::Generated;

use super::daemon;
use super::forwarder::{Running, is_of_slack};

/// The id of the entry that a message tells of; none where it is an event of the forwarder's own.
pub(crate) fn id(message: &str) -> Option<&str> {
    let id = || message.split_once("externalId=").unwrap().1.split(' ').next().unwrap();
    is_of_slack(message).then(id)
}

/// Gives each message of an entry to `take`, with the entry's id, for as long as the receiver lives.
pub(crate) fn watch(mut receiver: Receiver, mut take: impl FnMut(&str, &str) + Send + 'static) {
    tokio::spawn(async move {
        while let Some(arrival) = receiver.next().await {
            let Arrival::Message(message) = arrival else { continue };
            let text = std::str::from_utf8(&message.text).unwrap();
            if let Some(id) = id(text) {
                take(id, text);
            }
        }
    });
}

/// How often each generated entry came, by its index.
#[derive(Debug, Default, Clone)]
pub(crate) struct Arrived(Arc<Mutex<HashMap<u64, u32>>>);

impl Arrived {
    /// Counts what arrives at `receiver`.
    pub(crate) fn at(receiver: Receiver) -> Self {
        let arrived = Self::default();
        let counts = Arc::clone(&arrived.0);
        watch(receiver, move |id, _| {
            *counts.lock().unwrap().entry(Generated::index_of(id).unwrap()).or_default() += 1;
        });
        arrived
    }

    pub(crate) fn different(&self) -> u64 {
        self.0.lock().unwrap().len() as u64
    }

    pub(crate) fn repeats(&self) -> u64 {
        self.0.lock().unwrap().values().map(|times| u64::from(times - 1)).sum()
    }

    /// Waits for so many different entries.
    pub(crate) async fn until(&self, count: u64, running: &Running) {
        let there = || format!("{} of {count}: {}", self.different(), running.log());
        daemon::until(|| self.different() >= count, there).await;
    }
}
