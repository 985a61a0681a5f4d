//! What is seen during one handshake that its outcome does not tell: the certificate that was shown,
//! and whether a session was offered to be resumed.
//!
//! The verifier and the session store are shared by all handshakes of a client (rustls resumes
//! under the same verifier only), so they note what they see in the task that shakes hands.
//!
//! **Invariant:** nothing here decides anything about trust; it only words errors.

use std::cell::RefCell;

use rustls::NamedGroup;
use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::pki_types::{CertificateDer, ServerName};

use super::certificate::Certificate;

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    /// The receiver's own certificate.
    pub(super) leaf: Option<Certificate>,
    /// It was found to be the right one.
    pub(super) accepted: bool,
    /// There was a session to offer.
    pub(super) offered_session: bool,
}

tokio::task_local! {
    static ATTEMPT: RefCell<Attempt>;
}

/// Runs a handshake, from the making of its connection on, and tells what was seen.
pub(super) async fn observed<T>(handshake: impl Future<Output = T>) -> (T, Attempt) {
    let watched = async {
        let outcome = handshake.await;
        (outcome, ATTEMPT.with(RefCell::take))
    };
    ATTEMPT.scope(RefCell::default(), watched).await
}

pub(super) fn shown(leaf: &CertificateDer<'_>) {
    note(|attempt| attempt.leaf = Some(Certificate::describe(leaf)));
}

pub(super) fn accepted() {
    note(|attempt| attempt.accepted = true);
}

fn note(what: impl FnOnce(&mut Attempt)) {
    // Outside of an observed handshake nobody asks.
    let _unobserved = ATTEMPT.try_with(|attempt| what(&mut attempt.borrow_mut()));
}

/// The sessions of one client, in memory.
#[derive(Debug)]
pub(super) struct Sessions(ClientSessionMemoryCache);

impl Sessions {
    pub(super) fn new() -> Self {
        // rustls counts tickets, eight to a name; a client has one name.
        Self(ClientSessionMemoryCache::new(8))
    }
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
        self.0.set_kx_hint(name, group);
    }

    fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
        self.0.kx_hint(name)
    }

    fn set_tls12_session(&self, name: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.0.set_tls12_session(name, value);
    }

    fn tls12_session(&self, name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.0.tls12_session(name).inspect(|_| note(|attempt| attempt.offered_session = true))
    }

    fn remove_tls12_session(&self, name: &ServerName<'static>) {
        self.0.remove_tls12_session(name);
    }

    fn insert_tls13_ticket(&self, name: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.0.insert_tls13_ticket(name, value);
    }

    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.0.take_tls13_ticket(name).inspect(|_| note(|attempt| attempt.offered_session = true))
    }
}
