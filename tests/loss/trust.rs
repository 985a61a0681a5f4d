//! The certificates of a run: an authority, the one that follows it, and who shows what to whom.

use std::fs;
use std::path::{Path, PathBuf};

use slackcef::simulate::authority::{Authority, Identity, LOCAL, Term};

use super::sender::replace;

/// Two authorities and the folders in which the two sides look.
pub(crate) struct Trust {
    authorities: [Authority; 2],
    receiver: PathBuf,
    sender: PathBuf,
}

/// Which authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Old,
    New,
}

impl Trust {
    /// Both sides trust the old authority and show certificates of it.
    pub(crate) fn new(receiver: &Path, sender: &Path) -> Result<Self, String> {
        let authority = |name| Authority::new(name).map_err(|error| error.to_string());
        let authorities = [authority("loss test, the old authority")?, authority("loss test, the new one")?];
        let this = Self { authorities, receiver: receiver.to_owned(), sender: sender.to_owned() };
        this.receiver_trusts(&[Which::Old])?;
        this.sender_trusts(&[Which::Old])?;
        this.receiver_shows(Which::Old)?;
        this.sender_shows(Which::Old)?;
        Ok(this)
    }

    pub(crate) fn receiver_trusts(&self, whom: &[Which]) -> Result<(), String> {
        self.write_trust(&self.receiver, whom)
    }

    pub(crate) fn sender_trusts(&self, whom: &[Which]) -> Result<(), String> {
        self.write_trust(&self.sender, whom)
    }

    /// A fresh certificate for the receiver; it reads it when it is started.
    pub(crate) fn receiver_shows(&self, of: Which) -> Result<(), String> {
        let identity = self.of(of).server(&LOCAL, Term::Now).map_err(|error| error.to_string())?;
        write(&self.receiver, "server", &identity)
    }

    /// A fresh certificate for the sender.
    pub(crate) fn sender_shows(&self, of: Which) -> Result<(), String> {
        let identity = self.of(of).client("slackcef", Term::Now).map_err(|error| error.to_string())?;
        write(&self.sender, "client", &identity)
    }

    fn of(&self, which: Which) -> &Authority {
        let [old, new] = &self.authorities;
        if which == Which::Old { old } else { new }
    }

    fn write_trust(&self, folder: &Path, whom: &[Which]) -> Result<(), String> {
        let bundle: String = whom.iter().map(|&which| self.of(which).pem()).collect();
        replace(&folder.join("ca.pem"), bundle.as_bytes()).map_err(|error| error.to_string())
    }
}

/// Key and certificate one after the other: for a moment they do not belong together, as in life.
fn write(folder: &Path, name: &str, identity: &Identity) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    replace(&folder.join(format!("{name}.key")), identity.key.as_bytes())
        .map_err(|error| error.to_string())?;
    replace(&folder.join(format!("{name}.pem")), identity.certificate.as_bytes())
        .map_err(|error| error.to_string())
}
