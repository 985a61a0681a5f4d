//! `[webhooks]` of a plan file.

use serde::Deserialize;
use toml::Spanned;

use super::fault::FaultForm;
use super::{Mistake, understood};
use crate::simulate::slack::fault::{Fault, Trouble};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WebhooksTable {
    faults: Vec<Spanned<FaultForm>>,
}

impl WebhooksTable {
    pub(super) fn into_faults(self) -> Result<Vec<Fault>, Mistake> {
        let faults: Vec<MessageFault> = understood(self.faults)?;
        Ok(faults.into_iter().map(|fault| fault.0).collect())
    }
}

/// A fault that befalls a message.
struct MessageFault(Fault);

impl TryFrom<FaultForm> for MessageFault {
    type Error = String;

    fn try_from(mut form: FaultForm) -> Result<Self, String> {
        let name = form.fault.clone();
        form.error = form.error.or_else(|| usual_word(&name).map(str::to_owned));
        let fault = Fault::try_from(form)?;
        match fault.trouble {
            Trouble::Refused { .. }
            | Trouble::Html { .. }
            | Trouble::Garbage
            | Trouble::CutOff
            | Trouble::Slow(_)
            | Trouble::Stalled(_) => Ok(Self(fault)),
            _ => Err(format!("a webhook answers with a word and no JSON: it has no fault `{name}`")),
        }
    }
}

/// What Slack says with a status where the plan does not say.
fn usual_word(status: &str) -> Option<&'static str> {
    Some(match status {
        "400" => "invalid_payload",
        "403" => "action_prohibited",
        "404" => "no_service",
        "410" => "channel_is_archived",
        "429" => "rate_limited",
        "500" => "rollup_error",
        _ => return None,
    })
}
