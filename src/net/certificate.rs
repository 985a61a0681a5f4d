//! What an X.509 certificate says of itself: whose it is, who issued it, until when it holds.
//!
//! Only for people to read, in errors and in `check`; whether a certificate is *right* is decided
//! by webpki and by fingerprints alone.
//!
//! **Invariant:** total on any bytes: what cannot be read is missing, nothing panics, and nothing
//! here makes a certificate trusted.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rustls::pki_types::CertificateDer;

use super::fingerprint::Fingerprint;

/// One certificate, described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Version 1 of X.509, which has no extensions: neither names nor uses (RFC 5280 §4.1.2.1).
    pub first_version: bool,
    /// Whose it is: the common name, or else the organization.
    pub subject: Option<String>,
    /// Who issued it, in the same form.
    pub issuer: Option<String>,
    /// Its subject issued it.
    pub self_issued: bool,
    /// The first moment at which it holds.
    pub not_before: Option<Timestamp>,
    /// The last moment at which it holds.
    pub not_after: Option<Timestamp>,
    /// Its SHA-256, by which it can be pinned.
    pub fingerprint: Fingerprint,
}

impl Certificate {
    /// Reads the fields of RFC 5280 §4.1 that people ask for.
    pub fn describe(der: &CertificateDer<'_>) -> Self {
        let mut described = Self {
            first_version: false,
            subject: None,
            issuer: None,
            self_issued: false,
            not_before: None,
            not_after: None,
            fingerprint: Fingerprint::of(der),
        };
        described.read(der.as_ref());
        described
    }

    fn read(&mut self, der: &[u8]) -> Option<()> {
        let mut certificate = Der(Der(der).expect(SEQUENCE)?);
        let mut fields = Der(certificate.expect(SEQUENCE)?);
        self.first_version = !fields.skip_if(VERSION);
        let _serial = fields.next()?;
        let _signature = fields.next()?;
        let issuer = fields.expect(SEQUENCE)?;
        let mut validity = Der(fields.expect(SEQUENCE)?);
        let (not_before, not_after) = (validity.next()?, validity.next()?);
        let subject = fields.expect(SEQUENCE)?;
        self.subject = name(subject);
        self.issuer = name(issuer);
        self.self_issued = subject == issuer;
        (self.not_before, self.not_after) = (time(not_before), time(not_after));
        Some(())
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.subject.as_deref().unwrap_or("unnamed"))?;
        match (&self.issuer, self.self_issued) {
            (_, true) => f.write_str(", issued by itself")?,
            (Some(issuer), false) => write!(f, ", issued by {issuer}")?,
            (None, false) => {}
        }
        self.not_after.map_or(Ok(()), |end| write!(f, ", valid until {}", day(end)))
    }
}

/// A moment as people compare certificates by: `2026-11-05 09:00 UTC`.
pub(super) fn day(at: Timestamp) -> impl fmt::Display {
    at.strftime("%Y-%m-%d %H:%M UTC")
}

/// The common name of a distinguished name, or else its organization. What a stranger put there
/// is shown without its control characters and not endlessly.
fn name(rdns: &[u8]) -> Option<String> {
    let mut organization = None;
    let mut rdns = Der(rdns);
    while let Some(rdn) = rdns.expect(SET) {
        let mut attributes = Der(rdn);
        while let Some(attribute) = attributes.expect(SEQUENCE) {
            let mut attribute = Der(attribute);
            let oid = attribute.expect(OBJECT_IDENTIFIER)?;
            let (_, text) = attribute.next()?;
            match oid {
                COMMON_NAME => return Some(printable(text)),
                ORGANIZATION => organization = Some(printable(text)),
                _ => {}
            }
        }
    }
    organization
}

fn printable(text: &[u8]) -> String {
    let shown = |c: char| if c.is_control() { '?' } else { c };
    String::from_utf8_lossy(text).chars().take(64).map(shown).collect()
}

/// `UTCTime` (two digits of the year, 50 and above in the last century) or `GeneralizedTime`, both
/// in UTC and in seconds, as RFC 5280 §4.1.2.5 wants them.
fn time((tag, text): (u8, &[u8])) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i16 = year.parse().ok()?;
            (if year < 50 { 2000_i16 } else { 1900 }.checked_add(year)?, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let mut parts = [0_i8; 5];
    let mut rest = rest;
    for part in &mut parts {
        let (digits, behind) = rest.split_at_checked(2)?;
        *part = digits.parse().ok()?;
        rest = behind;
    }
    let [month, day, hour, minute, second] = parts;
    let at = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    Some(at.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// A row of DER elements: tag, length, content.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], mut rest) = self.0.split_first_chunk()?;
        let length = match first {
            0..=0x7f => usize::from(first),
            0x81..=0x84 => {
                let (length, behind) = rest.split_at_checked(usize::from(first & 0x7f))?;
                rest = behind;
                length.iter().fold(0, |sum, &byte| (sum << 8) | usize::from(byte))
            }
            _ => return None,
        };
        let (content, behind) = rest.split_at_checked(length)?;
        self.0 = behind;
        Some((tag, content))
    }

    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|&(found, _)| found == tag).map(|(_, content)| content)
    }

    fn skip_if(&mut self, tag: u8) -> bool {
        self.0.first() == Some(&tag) && self.next().is_some()
    }
}

const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;
/// 2.5.4.3
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// 2.5.4.10
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, DnValue, KeyPair, date_time_ymd};

    use super::*;

    fn made(common_name: &str, until: i32) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::OrganizationName, "Acme");
        params.distinguished_name.push(DnType::CommonName, DnValue::Utf8String(common_name.into()));
        params.not_before = date_time_ymd(1999, 12, 31);
        params.not_after = date_time_ymd(until, 2, 3);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[test]
    fn reads_names_and_both_forms_of_time() {
        let c = Certificate::describe(&made("siem.example.com", 2049));
        assert_eq!(c.subject.as_deref(), Some("siem.example.com"));
        assert!(c.self_issued);
        assert_eq!(c.not_before.unwrap().to_string(), "1999-12-31T00:00:00Z");
        assert_eq!(c.not_after.unwrap().to_string(), "2049-02-03T00:00:00Z");
        let c = Certificate::describe(&made("siem", 2050));
        assert_eq!(c.to_string(), "siem, issued by itself, valid until 2050-02-03 00:00 UTC");
    }

    #[test]
    fn shows_no_control_characters_of_a_stranger() {
        let c = Certificate::describe(&made("a\u{1b}[31m\nb", 2049));
        assert_eq!(c.subject.as_deref(), Some("a?[31m?b"));
    }

    #[test]
    fn survives_every_cut_and_every_flipped_byte() {
        let whole = made("siem.example.com", 2049);
        for end in 0..whole.len() {
            let _cut = Certificate::describe(&CertificateDer::from(&whole[..end]));
            let mut flipped = whole.to_vec();
            flipped[end] ^= 0xff;
            let _flipped = Certificate::describe(&CertificateDer::from(flipped));
        }
    }
}
