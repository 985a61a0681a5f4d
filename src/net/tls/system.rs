//! The system's authorities: some hundred and fifty certificates, read once for all who trust them.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use rustls::RootCertStore;

use super::TlsError;
use crate::net::Certificate;

/// What was read last, as long as somebody uses it.
struct Read {
    at: Instant,
    roots: Weak<RootCertStore>,
    warnings: Vec<String>,
}

static LAST: Mutex<Option<Read>> = Mutex::new(None);

/// A whole configuration is set up with one reading; a later one looks again.
const FRESH: Duration = Duration::from_secs(60);

/// The authorities, and those that could not be read, each with the reason.
pub(super) fn roots() -> Result<(Arc<RootCertStore>, Vec<String>), TlsError> {
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let known = last.as_ref().and_then(|read| Some((read.at, read.roots.upgrade()?)));
    if let (Some(read), Some((at, roots))) = (&*last, &known)
        && at.elapsed() < FRESH
    {
        return Ok((Arc::clone(roots), read.warnings.clone()));
    }
    let (roots, warnings) = read();
    if roots.is_empty() {
        return Err(TlsError::NoSystemRoots { warnings });
    }
    // What is the same is not held twice.
    let same = known.map(|(_, known)| known).filter(|known| known.roots == roots.roots);
    let roots = same.unwrap_or_else(|| Arc::new(roots));
    *last = Some(Read { at: Instant::now(), roots: Arc::downgrade(&roots), warnings: warnings.clone() });
    Ok((roots, warnings))
}

fn read() -> (RootCertStore, Vec<String>) {
    let found = rustls_native_certs::load_native_certs();
    let mut warnings: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
    let mut roots = RootCertStore::empty();
    for certificate in found.certs {
        let about = Certificate::describe(&certificate);
        if let Err(fault) = roots.add(certificate) {
            warnings.push(format!("{about}: {fault}"));
        }
    }
    (roots, warnings)
}
