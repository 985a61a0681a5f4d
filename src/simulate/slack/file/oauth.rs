//! `[oauth]` and `[[changes]]` as a plan file writes them.

use serde::Deserialize;

use super::super::grants::{Change, Happening, OAuth, RefreshFault};
use super::time::Wait;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OAuthTable {
    client_id: Option<String>,
    client_secret: Option<String>,
    scopes: Option<Vec<String>>,
    token_life: Option<Wait>,
    grace: Option<Wait>,
    org_install: Option<bool>,
    owner: Option<bool>,
    #[serde(default)]
    faults: Vec<FaultForm>,
}

/// What goes wrong with one refresh.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultForm {
    refresh: u64,
    fault: FaultName,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FaultName {
    Ignored,
    Unanswered,
    CutOff,
    Unavailable,
}

impl From<OAuthTable> for OAuth {
    fn from(table: OAuthTable) -> Self {
        let default = Self::default();
        let fault = |form: FaultForm| {
            let fault = match form.fault {
                FaultName::Ignored => RefreshFault::Ignored,
                FaultName::Unanswered => RefreshFault::Unanswered,
                FaultName::CutOff => RefreshFault::CutOff,
                FaultName::Unavailable => RefreshFault::Unavailable,
            };
            (form.refresh, fault)
        };
        Self {
            client_id: table.client_id.unwrap_or(default.client_id),
            client_secret: table.client_secret.unwrap_or(default.client_secret),
            scopes: table.scopes.unwrap_or(default.scopes),
            token_life: table.token_life.map(|life| life.0),
            grace: table.grace.map_or(default.grace, |grace| grace.0),
            org_install: table.org_install.unwrap_or(default.org_install),
            owner: table.owner.unwrap_or(default.owner),
            faults: table.faults.into_iter().map(fault).collect(),
        }
    }
}

/// One entry of `[[changes]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeForm {
    change: String,
    scope: Option<String>,
    after_requests: Option<u64>,
    after: Option<Wait>,
}

impl TryFrom<ChangeForm> for Change {
    type Error = String;

    fn try_from(form: ChangeForm) -> Result<Self, String> {
        let happening = match (form.change.as_str(), form.scope) {
            ("scope-removed", Some(scope)) => Happening::ScopeRemoved(scope),
            ("scope-removed", None) => return Err("`scope-removed` says which `scope`".to_owned()),
            (name, Some(_)) => return Err(format!("the change `{name}` takes no `scope`")),
            ("revoked", None) => Happening::Revoked,
            ("login-revoked", None) => Happening::LoginRevoked,
            ("downgraded", None) => Happening::Downgraded,
            ("app-deleted", None) => Happening::AppDeleted,
            ("demoted", None) => Happening::Demoted,
            ("address-refused", None) => Happening::AddressRefused,
            ("restored", None) => Happening::Restored,
            (name, None) => {
                return Err(format!(
                    "there is no change `{name}`: there are `revoked`, `login-revoked`, `scope-removed`, `downgraded`, \
                     `app-deleted`, `demoted`, `address-refused` and `restored`"
                ));
            }
        };
        Ok(Self { after_requests: form.after_requests, after: form.after.map(|after| after.0), happening })
    }
}
