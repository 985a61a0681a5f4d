//! The header in front of a message: RFC 5424, RFC 3164, or none.
//!
//! The `syslog` crate gives the facilities, the severities and the [`LogFormat`] trait. Its own
//! formatters stamp every message with "now", know no nil values and print RFC 3164 times that RFC
//! 3164 does not know, so the formatting is ours.
//!
//! **Invariant:** the same event gets the same header, byte for byte, however often it is sent:
//! nothing here asks for the time or the process id.
//! **Invariant:** no byte order mark (rsyslog keeps it, and the text no longer begins with `CEF:`),
//! and no fractions of seconds: Slack has none.

use std::fmt;
use std::io::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use syslog::LogFormat;

use super::message::{Facility, Severity, app_name, hostname_3164, hostname_5424, priority};
use crate::cef;

/// The form of the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Header {
    /// `<134>1 2026-11-05T21:31:00Z host CEF - - - `, RFC 5424: time in UTC, no structured data.
    Rfc5424,
    /// `<134>Nov  5 21:31:00 host `, RFC 3164 with the message right behind the host, as CEF's own
    /// specification shows it. This time has no year and no zone: the receiver adds its own, so it
    /// has to be told (or left at) the zone it is written in, UTC unless the receiver wants another.
    Rfc3164(TimeZone),
    /// Nothing: the message alone.
    None,
}

/// Writes headers for one destination.
#[derive(Debug, Clone)]
pub struct Format {
    header: Header,
    facility: Facility,
    /// What follows the time.
    tail: Box<str>,
}

impl Format {
    /// A format whose headers bear `hostname` and `app_name` (which RFC 3164 has no place for), both
    /// cleaned as far as the header needs it. Without a host name it is this machine's.
    pub fn new(header: Header, facility: Facility, hostname: Option<&str>, app: &str) -> Self {
        let machine =
            || hostname::get().ok().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let hostname = hostname.map_or_else(machine, ToOwned::to_owned);
        let tail = match &header {
            Header::Rfc5424 => format!(" {} {} - - - ", hostname_5424(&hostname), app_name(app)),
            Header::Rfc3164(_) => format!(" {} ", hostname_3164(&hostname)),
            Header::None => String::new(),
        };
        Self { header, facility, tail: tail.into() }
    }

    /// Appends the header of an event that happened at `at`, the seconds since 1970; the message
    /// follows in the same buffer. Allocates nothing once `out` is large enough.
    pub fn write(&self, at: i64, severity: cef::Severity, out: &mut Vec<u8>) {
        // A `Vec` takes every byte.
        let _written = self.format(out, Severity::from(severity).0, EventTime(at));
    }

    /// What a message of `max_message` bytes leaves for its text: the encoder's budget.
    pub fn budget(&self, max_message: usize) -> usize {
        max_message.saturating_sub(self.longest_header())
    }

    /// The length of the longest header, in bytes.
    pub fn longest_header(&self) -> usize {
        let time = match self.header {
            Header::Rfc5424 => "<191>1 2026-11-05T21:31:00Z".len(),
            Header::Rfc3164(_) => "<191>Nov  5 21:31:00".len(),
            Header::None => 0,
        };
        time.saturating_add(self.tail.len())
    }
}

/// When an event happened, in seconds since 1970: the message of our [`LogFormat`], whose text
/// follows in the same writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventTime(pub i64);

impl LogFormat<EventTime> for Format {
    /// Writes all that stands before the message's text.
    fn format<W: Write>(&self, w: &mut W, severity: syslog::Severity, at: EventTime) -> syslog::Result<()> {
        let pri = priority(self.facility, severity);
        match &self.header {
            Header::Rfc5424 => write!(w, "<{pri}>1 {}{}", Rfc3339(at), self.tail),
            Header::Rfc3164(zone) => write!(w, "<{pri}>{}{}", Bsd(at, zone), self.tail),
            Header::None => Ok(()),
        }
        .map_err(syslog::Error::Write)
    }
}

impl EventTime {
    /// Within the years 0 to 9999, which four digits can tell.
    fn timestamp(self) -> Option<Timestamp> {
        Timestamp::from_second(self.0).ok().filter(|_| self.0 >= YEAR_ZERO)
    }
}

/// 0000-01-01T00:00:00Z.
const YEAR_ZERO: i64 = -62_167_219_200;

/// TIMESTAMP of RFC 5424 §6.2.3, `-` for a time outside of its years.
struct Rfc3339(EventTime);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // jiff prints exactly this form for whole seconds: `2026-11-05T21:31:00Z`.
        match self.0.timestamp() {
            Some(at) => at.fmt(f),
            None => f.write_str("-"),
        }
    }
}

/// TIMESTAMP of RFC 3164 §4.1.2: English month, day padded with a space, no year.
struct Bsd<'a>(EventTime, &'a TimeZone);

impl fmt::Display for Bsd<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.1.to_datetime(self.0.timestamp().unwrap_or(Timestamp::UNIX_EPOCH));
        let month = usize::try_from(at.month()).ok().and_then(|month| MONTHS.get(month.saturating_sub(1)));
        let month = month.copied().unwrap_or("Jan");
        write!(f, "{month} {:>2} {:02}:{:02}:{:02}", at.day(), at.hour(), at.minute(), at.second())
    }
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-05T21:31:00Z
    const AT: i64 = 1_793_914_260;

    fn header(header: Header, host: &str, at: i64, severity: u8) -> String {
        let format = Format::new(header, Facility::LOCAL0, Some(host), "CEF");
        let mut out = Vec::new();
        format.write(at, cef::Severity::new(severity).unwrap(), &mut out);
        assert!(out.len() <= format.longest_header());
        String::from_utf8(out).unwrap()
    }

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    #[test]
    fn rfc_5424_bears_the_events_time_in_utc() {
        assert_eq!(header(Header::Rfc5424, "fw1", AT, 3), "<134>1 2026-11-05T21:31:00Z fw1 CEF - - - ");
        assert_eq!(header(Header::Rfc5424, "", AT, 10), "<130>1 2026-11-05T21:31:00Z - CEF - - - ");
    }

    #[test]
    fn rfc_3164_pads_the_day_and_keeps_to_its_zone() {
        let utc = || Header::Rfc3164(TimeZone::UTC);
        assert_eq!(header(utc(), "fw1", AT, 5), "<132>Nov  5 21:31:00 fw1 ");
        assert_eq!(header(utc(), "fw1", AT + 10 * 86_400, 7), "<131>Nov 15 21:31:00 fw1 ");
        assert_eq!(header(utc(), "", AT, 0), "<134>Nov  5 21:31:00 slackcef ");
        assert_eq!(header(Header::Rfc3164(zone("Asia/Tokyo")), "fw1", AT, 0), "<134>Nov  6 06:31:00 fw1 ");
    }

    #[test]
    fn no_header_is_no_header() {
        assert_eq!(header(Header::None, "fw1", AT, 5), "");
    }

    #[test]
    fn any_time_makes_a_valid_header() {
        for at in [i64::MIN, YEAR_ZERO - 1, 253_402_300_800, i64::MAX] {
            assert_eq!(header(Header::Rfc5424, "h", at, 0), "<134>1 - h CEF - - - ");
            assert_eq!(header(Header::Rfc3164(TimeZone::UTC), "h", at, 0), "<134>Jan  1 00:00:00 h ");
        }
        assert_eq!(header(Header::Rfc5424, "h", YEAR_ZERO, 0), "<134>1 0000-01-01T00:00:00Z h CEF - - - ");
        assert_eq!(header(Header::Rfc5424, "h", -1, 0), "<134>1 1969-12-31T23:59:59Z h CEF - - - ");
        for at in (-62_167_219_200..253_402_200_000).step_by(86_413_777) {
            assert_eq!(
                header(Header::Rfc5424, "h", at, 0).len(),
                "<134>1 2026-11-05T21:31:00Z h CEF - - - ".len()
            );
        }
    }

    /// The crate's own formatter for RFC 5424 and ours agree wherever its output is right: PRI,
    /// version, host, application and message; the rest is what it cannot say.
    #[test]
    fn agrees_with_the_syslog_crate() {
        let theirs = syslog::Formatter5424 {
            facility: syslog::Facility::LOG_LOCAL0,
            hostname: Some("fw1".into()),
            process: "CEF".into(),
            pid: 7,
        };
        let mut out = Vec::new();
        theirs
            .format(&mut out, syslog::Severity::LOG_INFO, (1, std::collections::BTreeMap::new(), "text"))
            .unwrap();
        let theirs = String::from_utf8(out).unwrap();
        let ours = header(Header::Rfc5424, "fw1", AT, 0) + "text";
        let [mut theirs, mut ours] = [&theirs, &ours].map(|line| line.split(' ').collect::<Vec<_>>());
        assert_eq!(theirs.len(), ours.len());
        let [time, our_time] = [&mut theirs, &mut ours].map(|fields| fields.remove(1));
        assert!(time.parse::<Timestamp>().is_ok() && our_time.parse::<Timestamp>().is_ok());
        assert_eq!(
            [theirs.remove(3), theirs.remove(3)],
            ["7", "1"],
            "PROCID and MSGID, which are `-` with us"
        );
        assert_eq!([ours.remove(3), ours.remove(3)], ["-", "-"]);
        assert_eq!(theirs, ours);
    }
}
