//! Where the messages of all connections go: into memory for a while, into a file, to whoever listens.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::{Arrival, Hold, Message, WAITING};

/// What outlives a receiver that goes away and comes back.
#[derive(Debug)]
pub(super) struct Shelves {
    store: Store,
    hold: Option<Hold>,
}

/// What a connection puts its messages on, and tells the rest to.
#[derive(Debug, Clone)]
pub(super) struct Shelf {
    store: Store,
    held: Option<mpsc::Sender<Message>>,
}

/// A message is not there to stay.
pub(super) enum Lost {
    /// Nobody takes arrivals any more.
    Unheard,
    /// The file does not take it.
    Unstored(io::Error),
}

impl From<mpsc::error::SendError<Arrival>> for Lost {
    fn from(_: mpsc::error::SendError<Arrival>) -> Self {
        Self::Unheard
    }
}

impl Shelves {
    pub(super) fn new(tell: mpsc::Sender<Arrival>, file: Option<File>, hold: Option<Hold>) -> Self {
        Self { store: Store { tell, file: file.map(Arc::new) }, hold }
    }

    /// A shelf, and the work that empties it; when that is dropped, what is held is lost.
    pub(super) fn shelf(&self) -> (Shelf, impl Future<Output = ()> + Send + use<>) {
        let store = self.store.clone();
        let (held, emptied) = match self.hold {
            None => (None, None),
            Some(hold) => {
                let (sender, messages) = mpsc::channel(WAITING);
                (Some(sender), Some(empty(hold, messages, store.clone())))
            }
        };
        let work = async move {
            if let Some(emptied) = emptied {
                // What cannot be stored is lost; the connections learn it when they find nobody here.
                let _lost = emptied.await;
            }
        };
        (Shelf { store, held }, work)
    }
}

impl Shelf {
    /// Takes a message: when this returns it is stored, or held where messages are held.
    pub(super) async fn put(&self, message: Message) -> Result<(), Lost> {
        match &self.held {
            None => self.store.put(message).await,
            Some(held) => {
                let gone = |_| Lost::Unstored(io::Error::other("nothing is stored any more"));
                held.send(message).await.map_err(gone)
            }
        }
    }

    /// Tells what is no message.
    pub(super) async fn tell(&self, arrival: Arrival) -> Result<(), Lost> {
        Ok(self.store.tell.send(arrival).await?)
    }
}

#[derive(Debug, Clone)]
struct Store {
    tell: mpsc::Sender<Arrival>,
    file: Option<Arc<File>>,
}

impl Store {
    async fn put(&self, message: Message) -> Result<(), Lost> {
        if let Some(file) = &self.file {
            append(file, &message.text).map_err(Lost::Unstored)?;
        }
        Ok(self.tell.send(Arrival::Message(message)).await?)
    }
}

/// One line by one write; a file opened for appending needs no lock for that.
fn append(mut file: &File, text: &[u8]) -> io::Result<()> {
    let mut line = Vec::with_capacity(text.len().saturating_add(1));
    for (nth, part) in text.split(|&byte| byte == b'\n').enumerate() {
        if nth > 0 {
            line.extend_from_slice(b"#012");
        }
        line.extend_from_slice(part);
    }
    line.push(b'\n');
    file.write_all(&line)
}

/// Stores each message when its time has come, or when there are too many.
async fn empty(hold: Hold, mut messages: mpsc::Receiver<Message>, store: Store) -> Result<(), Lost> {
    let mut held: VecDeque<(Instant, Message)> = VecDeque::new();
    loop {
        let due = held.front().map(|(due, _)| *due);
        let full = held.len() > hold.messages;
        tokio::select! {
            biased;
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() && !full => {}
            () = std::future::ready(()), if full => {}
            Some(message) = messages.recv() => {
                held.push_back((Instant::now() + hold.time, message));
                continue;
            }
            else => return Ok(()),
        }
        if let Some((_, message)) = held.pop_front() {
            store.put(message).await?;
        }
    }
}
