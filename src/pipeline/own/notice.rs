//! What is said of notices: that a webhook takes none, or takes them again.

use std::time::Duration;

use super::OwnEvent;

impl OwnEvent {
    /// A webhook takes no notices, or not this one.
    pub(in crate::pipeline) fn notice_refused(notice: &str, reason: &str, because: &str, help: &str) -> Self {
        let message = format!(
            "the notice {notice} cannot be told in Slack, destinations get everything all the same: {because}"
        );
        Self::new("notice-refused", message).help(help).with("notice", notice).with("reason", reason)
    }

    /// A webhook that took no notices takes them again; it did not for so long.
    pub(in crate::pipeline) fn notice_recovered(notice: &str, lasted: Duration) -> Self {
        let seconds = lasted.as_secs();
        let message = format!("the notice {notice} is told in Slack again, after {seconds} seconds");
        Self::new("notice-recovered", message).with("notice", notice).with("seconds", seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::line;
    use super::*;

    #[test]
    fn those_of_notices_read_well_as_cef() {
        for (event, expected) in [
            (
                OwnEvent::notice_refused("security", "gone", "the webhook is gone", "add a new one"),
                "notice-refused|Notice refused by Slack|6|act=notice-refused cat=notice outcome=failure dvchost=relay-1 cs5=add a new one cs5Label=SlackcefHelp reason=gone SlackcefNotice=security msg=the notice security cannot be told in Slack, destinations get everything all the same: the webhook is gone",
            ),
            (
                OwnEvent::notice_recovered("security", Duration::from_secs(185)),
                r#"notice-recovered|Notice told again|2|act=notice-recovered cat=notice outcome=success dvchost=relay-1 SlackcefNotice=security msg=the notice security is told in Slack again, after 185 seconds cs6={"details":{"seconds":185}} cs6Label=SlackcefDetails"#,
            ),
        ] {
            assert_eq!(line(event), expected);
        }
    }
}
