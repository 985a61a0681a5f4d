//! Events of the forwarder's own about sources: refused by Slack and let in again, gone quiet and heard
//! again, and a token that is about to end.

use super::OwnEvent;
use crate::event::UnixTime;
use crate::pipeline::refused::Refused;
use crate::pipeline::silence::{Because, Quiet};
use crate::slack::oauth::Trouble;
use crate::store::SourceId;
use crate::telemetry::span;

impl OwnEvent {
    /// Slack refuses a source for a cause that only a person can undo.
    pub(in crate::pipeline) fn source_refused(source: &SourceId, refused: &Refused) -> Self {
        let Refused { since, reason, what, cure } = refused;
        let message = format!("Slack refuses the source {source}, nothing is read of it: {what}");
        Self::new("source-refused", message)
            .help(cure.as_str())
            .with("source", source.as_str())
            .with("reason", *reason)
            .with("since", since.seconds())
    }

    /// Slack lets a source in again that it was told to refuse.
    pub(in crate::pipeline) fn source_let_in(source: &SourceId, refused: &Refused, seconds: i64) -> Self {
        let message = format!("Slack lets the source {source} in again, after {seconds} seconds");
        Self::new("source-recovered", message)
            .with("source", source.as_str())
            .with("reason", refused.reason)
            .with("since", refused.since.seconds())
            .with("seconds", seconds)
    }

    /// A source that Slack answers has had no entry for so many seconds, in which so many minutes
    /// with entries were to be expected.
    pub(in crate::pipeline) fn source_quiet(
        source: &SourceId,
        quiet: &Quiet,
        seconds: i64,
        expected: i64,
    ) -> Self {
        let nothing = format!("the source {source} has had no entry for {}", span(seconds));
        let event = match quiet.because {
            Because::QuietAfter => Self::new(
                "source-quiet",
                format!("{nothing}, which is its `quiet_after`, though Slack can be read"),
            )
            .with("reason", "quiet-after"),
            Because::Unusual => Self::new(
                "source-quiet",
                format!("{nothing}, though Slack can be read: at this time of the week {expected} minutes with entries are usual meanwhile"),
            )
            .with("reason", "unusual")
            .with("expected", expected),
        };
        event
            .help("see in Slack whether anything happens there, whether the app is installed on the whole organization, and what `only` leaves out; a holiday looks like this too")
            .with("source", source.as_str())
            .with("since", quiet.since.seconds())
            .with("seconds", seconds)
    }

    /// A source that was told to be quiet has an entry again, so many seconds after the one before.
    pub(in crate::pipeline) fn source_recovered(source: &SourceId, quiet: &Quiet, seconds: i64) -> Self {
        Self::new(
            "source-recovered",
            format!("the source {source} has entries again, after {}", span(seconds)),
        )
        .with("source", source.as_str())
        .with("reason", "entries")
        .with("since", quiet.since.seconds())
        .with("seconds", seconds)
    }

    /// A token works, and will be followed by none.
    pub(in crate::pipeline) fn token_expiring(
        source: &SourceId,
        login: &str,
        trouble: &Trouble,
        now: UnixTime,
    ) -> Self {
        let Trouble { what, help, reason, ends_at, .. } = trouble;
        let minutes = ends_at.seconds().saturating_sub(now.seconds()).max(0) / 60;
        let message = format!(
            "the token of the source {source} works for {minutes} minutes more and is followed by none: {what}"
        );
        Self::new("token-expiring", message)
            .help(help.as_str())
            .with("source", source.as_str())
            .with("login", login)
            .with("reason", *reason)
            .with("ends_at", ends_at.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::line;
    use super::*;

    #[test]
    fn those_of_sources_read_well_as_cef() {
        let acme = SourceId::new("acme");
        let since = UnixTime::from_seconds(1_787_680_154);
        let refused = Refused {
            since,
            reason: "scope",
            what: "the token lacks a scope `auditlogs:read` (`missing_scope`, status 200)".to_owned(),
            cure: "add the user scope".to_owned(),
        };
        let trouble = Trouble {
            what: "the login acme is over".to_owned(),
            help: "log in again".to_owned(),
            reason: "login",
            ends_at: since,
            is_grave: true,
        };
        for (event, expected) in [
            (
                OwnEvent::source_refused(&acme, &refused),
                "source-refused|Source refused by Slack|8|start=1787680154000 act=source-refused cat=source outcome=failure dvchost=relay-1 cs1=acme cs1Label=SlackcefSource cs5=add the user scope cs5Label=SlackcefHelp reason=scope msg=Slack refuses the source acme, nothing is read of it: the token lacks a scope `auditlogs:read` (`missing_scope`, status 200)",
            ),
            (
                OwnEvent::source_let_in(&acme, &refused, 61),
                r#"source-recovered|Source recovered|2|start=1787680154000 act=source-recovered cat=source outcome=success dvchost=relay-1 cs1=acme cs1Label=SlackcefSource reason=scope msg=Slack lets the source acme in again, after 61 seconds cs6={"details":{"seconds":61}} cs6Label=SlackcefDetails"#,
            ),
            (
                OwnEvent::token_expiring(&acme, "acme", &trouble, since.plus(-150)),
                r#"token-expiring|Token about to end|6|act=token-expiring cat=source dvchost=relay-1 cs1=acme cs1Label=SlackcefSource cs5=log in again cs5Label=SlackcefHelp reason=login msg=the token of the source acme works for 2 minutes more and is followed by none: the login acme is over cs6={"details":{"ends_at":"2026-08-25T17:49:14Z","login":"acme"}} cs6Label=SlackcefDetails"#,
            ),
        ] {
            assert_eq!(line(event), expected);
        }
    }

    #[test]
    fn silence_reads_well_as_cef() {
        let acme = SourceId::new("acme");
        let since = UnixTime::from_seconds(1_787_680_154);
        let quiet = Quiet { since, because: Because::QuietAfter, told_at: since };
        let unusual = Quiet { because: Because::Unusual, ..quiet };
        let help = "see in Slack whether anything happens there, whether the app is installed on the whole organization, and what `only` leaves out; a holiday looks like this too";
        for (event, expected) in [
            (
                OwnEvent::source_quiet(&acme, &quiet, 86_460, 0),
                r#"source-quiet|Source gone quiet|6|start=1787680154000 act=source-quiet cat=source dvchost=relay-1 cs1=acme cs1Label=SlackcefSource cs5=HELP cs5Label=SlackcefHelp reason=quiet-after msg=the source acme has had no entry for 1 d 0 h, which is its `quiet_after`, though Slack can be read cs6={"details":{"seconds":86460}} cs6Label=SlackcefDetails"#,
            ),
            (
                OwnEvent::source_quiet(&acme, &unusual, 1_500, 21),
                r#"source-quiet|Source gone quiet|6|start=1787680154000 act=source-quiet cat=source dvchost=relay-1 cs1=acme cs1Label=SlackcefSource cs5=HELP cs5Label=SlackcefHelp reason=unusual msg=the source acme has had no entry for 25 min, though Slack can be read: at this time of the week 21 minutes with entries are usual meanwhile cs6={"details":{"expected":21,"seconds":1500}} cs6Label=SlackcefDetails"#,
            ),
            (
                OwnEvent::source_recovered(&acme, &quiet, 90_000),
                r#"source-recovered|Source recovered|2|start=1787680154000 act=source-recovered cat=source outcome=success dvchost=relay-1 cs1=acme cs1Label=SlackcefSource reason=entries msg=the source acme has entries again, after 1 d 1 h cs6={"details":{"seconds":90000}} cs6Label=SlackcefDetails"#,
            ),
        ] {
            assert_eq!(line(event), expected.replace("HELP", help));
        }
    }
}
