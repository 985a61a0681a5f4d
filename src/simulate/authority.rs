//! A certificate authority made on the spot, with good and bad certificates to show.
//!
//! **Invariant:** its keys are made anew each time and live in memory; only [`Identity::write`] puts
//! one into a file, readable for its owner alone.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// An authority.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, both in PEM.
#[derive(Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

/// The certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a certificate")]
pub struct AuthorityError(#[from] rcgen::Error);

/// When a certificate holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Term {
    /// Since yesterday, for ninety days.
    Now,
    /// Since yesterday, for five days more.
    Ending,
    /// Until yesterday.
    Past,
    /// From tomorrow on.
    Future,
}

/// The names of this machine to itself.
pub const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

impl Authority {
    /// A new authority called `name`.
    pub fn new(name: &str) -> Result<Self, AuthorityError> {
        let mut params = params(name, &[], Term::Now)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    /// Its own certificate, in PEM: what `ca` names.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for a server of these names; an IP address becomes an iPAddress.
    pub fn server(&self, names: &[&str], term: Term) -> Result<Identity, AuthorityError> {
        let subject = names.first().copied().unwrap_or("nameless");
        self.issue(params(subject, names, term)?, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A certificate for a client.
    pub fn client(&self, name: &str, term: Term) -> Result<Identity, AuthorityError> {
        self.issue(params(name, &[], term)?, ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// The authority's certificate used as a server's: what `openssl req -x509` makes by default.
    pub fn as_server(&self) -> Identity {
        Identity { certificate: self.pem(), key: self.0.key().serialize_pem() }
    }

    fn issue(
        &self,
        mut params: CertificateParams,
        usage: ExtendedKeyUsagePurpose,
    ) -> Result<Identity, AuthorityError> {
        params.extended_key_usages = vec![usage];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        Ok(Identity { certificate: params.signed_by(&key, &self.0)?.pem(), key: key.serialize_pem() })
    }
}

fn params(subject: &str, names: &[&str], term: Term) -> Result<CertificateParams, AuthorityError> {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, subject);
    let (from, until) = match term {
        Term::Now => (-1, 90),
        Term::Ending => (-85, 5),
        Term::Past => (-90, -1),
        Term::Future => (1, 90),
    };
    let ((year, month, date), (until_year, until_month, until_date)) = (day(from), day(until));
    params.not_before = date_time_ymd(year, month, date);
    params.not_after = date_time_ymd(until_year, until_month, until_date);
    Ok(params)
}

/// Year, month and day (UTC) of the moment that is `days` from now.
fn day(days: i32) -> (i32, u8, u8) {
    let today = Zoned::new(Timestamp::now(), TimeZone::UTC);
    let day = today.checked_add(days.days()).unwrap_or(today).date();
    let part = |part: i8| u8::try_from(part).unwrap_or(1);
    (i32::from(day.year()), part(day.month()), part(day.day()))
}

impl Identity {
    /// Writes `NAME.pem` and, readable for its owner alone, `NAME.key` into `dir`.
    ///
    /// # Errors
    /// What the file system says; files of these names are not overwritten.
    pub fn write(&self, dir: &Path, name: &str) -> io::Result<(PathBuf, PathBuf)> {
        let certificate = dir.join(format!("{name}.pem"));
        let key = dir.join(format!("{name}.key"));
        create(&certificate, 0o644)?.write_all(self.certificate.as_bytes())?;
        create(&key, 0o600)?.write_all(self.key.as_bytes())?;
        Ok((certificate, key))
    }
}

fn create(path: &Path, mode: u32) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    options.open(path)
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}
