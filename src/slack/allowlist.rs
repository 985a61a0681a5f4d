//! Slack's own allow list for anomalies: the address ranges and autonomous systems that an
//! organization trusts.
//!
//! Slack has two methods, one that reads the list and one that replaces all of it; to add is to read, to
//! merge and to write. Slack's pages spell the names of both parts in two ways: either is read. Written are the
//! names of the method's own table; what does not show when the list is read again is written once more under the
//! other name.
//!
//! **Invariant:** what cannot be read as a whole is never written: writing would lose the rest of it.
//! **Invariant:** what is on the list and was not asked to be changed is written as it was read.

use std::collections::BTreeSet;
use std::fmt;

use ipnet::{IpNet, Ipv4Net};
use serde_json::{Value, json};

use super::error::SlackError;
use super::refusal::{Code, Refusal};
use super::settings::Account;
use super::web::Web;

const GET: &str = "admin.audit.anomaly.allow.getItem";
const UPDATE: &str = "admin.audit.anomaly.allow.updateItem";

/// The names of the ranges and of the systems: the first of each is the one of the method's table.
const RANGES: [&str; 2] = ["trusted_cidr", "trusted_cidrs"];
const SYSTEMS: [&str; 2] = ["trusted_asns", "trusted_asn"];

/// The list of one organization.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Allowlist {
    /// Ranges of IPv4 addresses as Slack has them, which may be `8.8.8.8/24`.
    pub ranges: Vec<String>,
    /// Numbers of autonomous systems.
    pub asns: Vec<u32>,
}

impl fmt::Display for Allowlist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count| if count == 1 { "" } else { "s" };
        let (ranges, systems) = (self.ranges.len(), self.asns.len());
        write!(
            f,
            "{ranges} range{} and {systems} autonomous system{} are trusted",
            plural(ranges),
            plural(systems)
        )
    }
}

/// Ranges and systems to be added or taken away.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Items {
    /// Ranges of IPv4 addresses.
    pub ranges: Vec<Ipv4Net>,
    /// Numbers of autonomous systems.
    pub asns: Vec<u32>,
}

impl Allowlist {
    /// The list with these items, behind those that it has.
    #[must_use]
    pub fn with(&self, items: &Items) -> Self {
        let mut list = self.clone();
        for range in &items.ranges {
            if !list.has(range) {
                list.ranges.push(range.to_string());
            }
        }
        for asn in &items.asns {
            if !list.asns.contains(asn) {
                list.asns.push(*asn);
            }
        }
        list
    }

    /// The list without these items.
    #[must_use]
    pub fn without(&self, items: &Items) -> Self {
        let stays = |text: &&String| !network(text).is_some_and(|range| items.ranges.contains(&range));
        Self {
            ranges: self.ranges.iter().filter(stays).cloned().collect(),
            asns: self.asns.iter().filter(|asn| !items.asns.contains(asn)).copied().collect(),
        }
    }

    /// Whether the range is on it, however it is written there.
    pub fn has(&self, range: &Ipv4Net) -> bool {
        self.ranges.iter().any(|text| network(text) == Some(*range))
    }

    /// Whether nothing is on it.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty() && self.asns.is_empty()
    }

    /// The ranges that are ranges.
    pub fn networks(&self) -> Vec<IpNet> {
        self.ranges.iter().filter_map(|text| network(text)).map(IpNet::V4).collect()
    }

    fn has_ranges_of(&self, other: &Self) -> bool {
        let texts = |list: &Self| -> BTreeSet<String> {
            let written =
                |text: &String| network(text).map_or_else(|| text.clone(), |range| range.to_string());
            list.ranges.iter().map(written).collect()
        };
        texts(self) == texts(other)
    }

    fn has_systems_of(&self, other: &Self) -> bool {
        let numbers = |list: &Self| list.asns.iter().copied().collect::<BTreeSet<_>>();
        numbers(self) == numbers(other)
    }

    /// Reads the answer of Slack's.
    fn read(answer: &Value) -> Result<Self, AllowlistError> {
        let Some(answer) = answer.as_object() else { return Err(unreadable(answer)) };
        // A list under a name that is not known here would look empty, and be overwritten.
        let is_known = |name: &str| {
            RANGES.contains(&name)
                || SYSTEMS.contains(&name)
                || matches!(name, "ok" | "response_metadata" | "warning")
        };
        if let Some((name, value)) = answer.iter().find(|(name, value)| value.is_array() && !is_known(name)) {
            return Err(unreadable(&json!({ name: value })));
        }
        let mut list = Self::default();
        for element in elements(answer, RANGES)? {
            let Value::String(range) = element else { return Err(unreadable(element)) };
            if !list.ranges.contains(range) {
                list.ranges.push(range.clone());
            }
        }
        for element in elements(answer, SYSTEMS)? {
            let number = match element {
                Value::Number(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
                Value::String(text) => asn(text).ok(),
                _ => None,
            };
            let number = number.ok_or_else(|| unreadable(element))?;
            if !list.asns.contains(&number) {
                list.asns.push(number);
            }
        }
        Ok(list)
    }
}

/// What stands under either name.
fn elements<'v>(
    answer: &'v serde_json::Map<String, Value>,
    names: [&str; 2],
) -> Result<Vec<&'v Value>, AllowlistError> {
    let mut elements = Vec::new();
    for value in names.iter().filter_map(|name| answer.get(*name)) {
        match value {
            Value::Array(list) => elements.extend(list),
            Value::Null => {}
            other => return Err(unreadable(other)),
        }
    }
    Ok(elements)
}

/// A range as Slack may have it, with bits of an address within it.
fn network(text: &str) -> Option<Ipv4Net> {
    let network = text.parse::<Ipv4Net>().ok();
    let address = || text.parse().ok().and_then(|address| Ipv4Net::new(address, 32).ok());
    network.or_else(address).map(|network| network.trunc())
}

/// Reads a range that somebody typed.
///
/// # Errors
/// What to type in its place.
pub fn range(text: &str) -> Result<Ipv4Net, String> {
    if text.parse::<IpNet>().is_ok_and(|network| matches!(network, IpNet::V6(_)))
        || text.parse::<std::net::Ipv6Addr>().is_ok()
    {
        return Err("Slack's allow list takes IPv4 ranges alone".to_owned());
    }
    let Some(meant) = network(text) else {
        return Err("write a range of IPv4 addresses, such as 192.0.2.0/24".to_owned());
    };
    match text.parse::<Ipv4Net>() {
        Ok(given) if given != meant => Err(format!(
            "it names an address within a range: write {meant} for the whole range, {}/32 for the address alone",
            given.addr()
        )),
        _ => Ok(meant),
    }
}

/// Reads the number of an autonomous system that somebody typed: `64500` or `AS64500`.
///
/// # Errors
/// What to type in its place.
pub fn asn(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix("AS").or_else(|| text.strip_prefix("as")).unwrap_or(text);
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .parse()
        .ok()
        .filter(|number| is_number && *number > 0)
        .ok_or_else(|| "write the number of an autonomous system, such as 64500 or AS64500".to_owned())
}

/// Why the list could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum AllowlistError {
    /// Slack cannot be asked, or refuses.
    #[error(transparent)]
    Slack(#[from] SlackError),
    /// Slack refuses, for a reason that these two methods alone have.
    #[error("{words} (`{code}`)")]
    Refused {
        /// Slack's code.
        code: Code,
        /// The same in words.
        words: &'static str,
        /// What to do about it.
        help: &'static str,
    },
    /// The list holds something that slackcef does not know.
    #[error("Slack's allow list holds what slackcef cannot read: {0}")]
    Unreadable(String),
    /// The list was written, and is not what was written.
    #[error(
        "Slack did not take the list: it does not show what was written, under neither of the names that Slack's pages give"
    )]
    NotTaken {
        /// What it shows.
        shown: Allowlist,
    },
}

/// Slack's codes of these methods, in words, and what to do.
const CODES: [(&str, &str, &str); 5] = [
    (
        "endpoint_unavailable",
        "Slack's allow list cannot be reached now",
        "try again later; see https://status.slack.com",
    ),
    (
        INVALID,
        "Slack takes one of the ranges or numbers for invalid",
        "check them: ranges of IPv4 addresses, and numbers of autonomous systems that are in use",
    ),
    ("unable_to_process_post_request", "Slack could not read the request", REPORT),
    ("unsupported_action_describe", "this Slack cannot show its allow list", REPORT),
    ("unsupported_action_put", "this Slack cannot be given an allow list", REPORT),
];
const INVALID: &str = "invalid_field_or_data";
const REPORT: &str = "see whether the organization's plan has anomaly events (Settings of the organization, \
     Anomaly events); if it has, report this with the code given";

impl AllowlistError {
    fn of(error: SlackError) -> Self {
        if let SlackError::Refused(refused) = &error
            && let Some(code) = &refused.said.code
            && let Some((_, words, help)) = CODES.iter().find(|(name, ..)| *name == code.as_str())
        {
            return Self::Refused { code: code.clone(), words, help };
        }
        Self::Slack(error)
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Slack(SlackError::Refused(refused)) => match refused.refusal {
                Refusal::Scope | Refusal::NotOwner | Refusal::TokenKind => {
                    "the allow list wants the user token (xoxp-) of an admin of the organization, with the user scope \
                     `admin`, of an app that is installed on the organization: put it into the source's `admin_token`"
                }
                other => other.help(),
            },
            Self::Slack(error) => error.help(),
            Self::Refused { help, .. } => help,
            Self::Unreadable(_) => {
                "change the list in Slack itself, and report this: nothing was written, for it would have been lost"
            }
            Self::NotTaken { .. } => "look at the list in Slack itself, and report this",
        }
    }
}

fn unreadable(value: &Value) -> AllowlistError {
    let text: String = value.to_string().chars().take(100).collect();
    AllowlistError::Unreadable(text.escape_debug().to_string())
}

/// The way to the list of one organization.
#[derive(Debug)]
pub struct Api {
    web: Web,
}

impl Api {
    /// The list of the organization that this account's token belongs to.
    pub fn new(account: &Account) -> Self {
        Self { web: Web::new(account) }
    }

    /// The list as it is.
    ///
    /// # Errors
    /// Slack cannot be asked, or refuses; or the list holds what is not known here.
    pub async fn read(&self) -> Result<Allowlist, AllowlistError> {
        let body = self.web.post(GET, &json!({})).await.map_err(AllowlistError::of)?;
        let answer = serde_json::from_slice(&body).map_err(|error| {
            AllowlistError::Slack(SlackError::NotAPage { line: error.line(), column: error.column() })
        })?;
        Allowlist::read(&answer)
    }

    /// Has the list be this one; returns when Slack shows it.
    ///
    /// # Errors
    /// Slack cannot be asked, or refuses, or does not show what was written: see what it has then.
    pub async fn write(&self, wanted: &Allowlist) -> Result<(), AllowlistError> {
        let ([range_name, other_range_name], [system_name, other_system_name]) = (RANGES, SYSTEMS);
        let refused = self.update(wanted, range_name, system_name).await?;
        let shown = self.read().await?;
        let (has_ranges, has_systems) = (shown.has_ranges_of(wanted), shown.has_systems_of(wanted));
        if has_ranges && has_systems {
            return Ok(());
        }
        let range_name = if has_ranges && refused.is_none() { range_name } else { other_range_name };
        let system_name = if has_systems && refused.is_none() { system_name } else { other_system_name };
        if let Some(refused) = self.update(wanted, range_name, system_name).await?.and(refused) {
            return Err(refused);
        }
        let shown = self.read().await?;
        let is_taken = shown.has_ranges_of(wanted) && shown.has_systems_of(wanted);
        if is_taken { Ok(()) } else { Err(AllowlistError::NotTaken { shown }) }
    }

    /// Writes the list under these names. A refusal that may be meant for the names is given back.
    async fn update(
        &self,
        list: &Allowlist,
        range_name: &str,
        system_name: &str,
    ) -> Result<Option<AllowlistError>, AllowlistError> {
        let arguments = json!({ range_name: list.ranges, system_name: list.asns });
        match self.web.post(UPDATE, &arguments).await.map_err(AllowlistError::of) {
            Ok(_) => Ok(None),
            // `ok` is false where nothing was written, which is no error: reading shows it.
            Err(AllowlistError::Slack(SlackError::Refused(refused)))
                if refused.status == 200 && refused.said.code.is_none() =>
            {
                Ok(None)
            }
            Err(refused @ AllowlistError::Refused { .. }) if refused.is_of_fields() => Ok(Some(refused)),
            Err(error) => Err(error),
        }
    }
}

impl AllowlistError {
    /// A field is not known, or its value is wrong: Slack's code says no more.
    fn is_of_fields(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code.as_str() == INVALID)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(ranges: &[&str], asns: &[u32]) -> Allowlist {
        Allowlist { ranges: ranges.iter().map(|&range| range.to_owned()).collect(), asns: asns.to_vec() }
    }

    fn read(answer: &str) -> Result<Allowlist, AllowlistError> {
        Allowlist::read(&serde_json::from_str(answer).unwrap())
    }

    #[test]
    fn either_spelling_is_read_and_numbers_as_texts_too() {
        let expected = list(&["8.8.8.8/24", "192.0.2.0/24"], &[64_500, 64_501]);
        for answer in [
            r#"{"ok":true,"trusted_cidr":["8.8.8.8/24","192.0.2.0/24"],"trusted_asns":[64500,64501]}"#,
            r#"{"ok":true,"trusted_cidrs":["8.8.8.8/24","192.0.2.0/24"],"trusted_asn":["AS64500","64501"]}"#,
            r#"{"ok":true,"trusted_cidr":["8.8.8.8/24"],"trusted_cidrs":["8.8.8.8/24","192.0.2.0/24"],"trusted_asns":[64500],"trusted_asn":[64501]}"#,
        ] {
            assert_eq!(read(answer).unwrap(), expected, "{answer}");
        }
        for empty in [
            r#"{"ok":true}"#,
            r#"{"ok":true,"trusted_cidr":null,"trusted_asns":[],"response_metadata":{"warnings":["x"]}}"#,
        ] {
            assert_eq!(read(empty).unwrap(), Allowlist::default());
        }
    }

    #[test]
    fn what_is_not_known_is_not_taken_for_an_empty_list() {
        for answer in [
            r#"{"ok":true,"trusted_networks":["192.0.2.0/24"]}"#,
            r#"{"ok":true,"trusted_cidr":"192.0.2.0/24"}"#,
            r#"{"ok":true,"trusted_cidr":[{"range":"192.0.2.0/24"}]}"#,
            r#"{"ok":true,"trusted_asns":["Example Net"]}"#,
            r#"{"ok":true,"trusted_asns":[-1]}"#,
            "[]",
        ] {
            assert!(matches!(read(answer), Err(AllowlistError::Unreadable(_))), "{answer}");
        }
    }

    #[test]
    fn lists_are_merged_and_what_was_there_stays_as_it_is_written() {
        let before = list(&["8.8.8.8/24", "not a range"], &[1]);
        let items = Items {
            ranges: vec![range("8.8.8.0/24").unwrap(), range("192.0.2.7").unwrap()],
            asns: vec![2, 1],
        };
        assert_eq!(before.with(&items), list(&["8.8.8.8/24", "not a range", "192.0.2.7/32"], &[1, 2]));
        assert_eq!(before.with(&items).without(&items), list(&["not a range"], &[]));
        assert!(before.has_ranges_of(&list(&["not a range", "8.8.8.0/24"], &[])));
        assert!(!before.has_ranges_of(&list(&["8.8.8.0/24"], &[])));
        assert_eq!(before.networks(), ["8.8.8.0/24".parse().unwrap()]);
    }

    #[test]
    fn what_is_typed_is_checked() {
        assert_eq!(range("192.0.2.0/24").unwrap().to_string(), "192.0.2.0/24");
        assert_eq!(range("192.0.2.7").unwrap().to_string(), "192.0.2.7/32");
        assert!(
            range("192.0.2.7/24").unwrap_err().contains("192.0.2.0/24 for the whole range, 192.0.2.7/32")
        );
        for (wrong, why) in [
            ("2001:db8::/32", "IPv4"),
            ("::1", "IPv4"),
            ("192.0.2.0/33", "write"),
            ("", "write"),
            ("x", "write"),
        ] {
            assert!(range(wrong).unwrap_err().contains(why), "{wrong}");
        }
        assert_eq!(["64500", "AS64500", "as64500"].map(asn), [Ok(64_500), Ok(64_500), Ok(64_500)]);
        for wrong in ["", "AS", "0", "-1", "+1", "AS4294967296", "Example"] {
            assert!(asn(wrong).is_err(), "{wrong}");
        }
    }
}
