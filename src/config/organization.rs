//! Which sources are of one organization: they share its budget of requests.
//!
//! Slack counts requests for an organization, whoever of its apps makes them. Sources whose token
//! comes from the same place are of one organization; where it comes from several places,
//! `organization` says so.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::Range;

use super::Source;
use super::reader::Section;
use crate::event::Log;

/// Whose requests Slack counts together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Organization {
    /// By its name in the file.
    Named(String),
    /// By where its token comes from, and where its Slack is.
    OfToken(String),
}

/// What a source says of its budget.
pub(super) struct Wish {
    organization: Option<String>,
    requests: Option<(NonZeroU32, Range<usize>)>,
}

/// Reads `organization` and `requests_per_minute`.
pub(super) fn read(section: &Section<'_, '_>) -> Wish {
    let requests = section
        .number("requests_per_minute", 1..=1_000_000)
        .and_then(|number| NonZeroU32::new(u32::try_from(number).ok()?))
        .zip(section.place("requests_per_minute"));
    let organization = section.text("organization").map(|word| word.text.to_owned());
    if let Some(place) = section.place("organization")
        && organization.as_ref().is_some_and(|name| name.trim().is_empty())
    {
        section.problem(&place, "bad-value", "`organization` is empty", "name it, or leave it out");
    }
    Wish { organization, requests }
}

/// Gives each source its organization, and all of one organization's sources of a log one number of
/// requests: what some of them say, or the usual one.
pub(super) fn settle(
    top: &Section<'_, '_>,
    wishes: &BTreeMap<String, Wish>,
    sources: &mut BTreeMap<String, Source>,
) {
    let mut named = BTreeMap::new();
    for (name, source) in &*sources {
        if let Some(organization) = wishes.get(name).and_then(|wish| wish.organization.clone()) {
            named.entry(place(source)).or_insert(organization);
        }
    }
    let mut asked: BTreeMap<(Organization, Log), (NonZeroU32, String)> = BTreeMap::new();
    for (name, source) in sources.iter_mut() {
        let wish = wishes.get(name);
        let place = place(source);
        let organization = wish.and_then(|wish| wish.organization.as_ref()).or_else(|| named.get(&place));
        source.organization = organization.cloned().map_or(Organization::OfToken(place), Organization::Named);
        let Some((requests, span)) = wish.and_then(|wish| wish.requests.as_ref()) else { continue };
        let (first, of) = asked
            .entry((source.organization.clone(), source.log()))
            .or_insert_with(|| (*requests, name.clone()));
        if first != requests {
            let what = format!(
                "`{name}` and `{of}` share the budget of one organization, and ask for {requests} and {first}"
            );
            let help = "write the same number, or write it in one of them alone; sources of several \
                        organizations get an `organization = \"…\"` each";
            top.problem(span, "shared-budget", what, help);
        }
    }
    for source in sources.values_mut() {
        let asked = asked.get(&(source.organization.clone(), source.log()));
        source.requests_per_minute = asked.map_or(usual(source.log()), |(requests, _)| *requests);
    }
}

/// Where the token comes from, and where it is used.
fn place(source: &Source) -> String {
    // With every word of a command: it is told apart by them, and shown to nobody.
    format!("{:?} for {}", source.token, source.base_url)
}

/// Of the 50 that Slack grants an organization for its audit log, and the 20 for each list of the Web
/// API, so that its other collectors have theirs.
fn usual(log: Log) -> NonZeroU32 {
    const AUDIT: NonZeroU32 = NonZeroU32::new(30).unwrap();
    const LIST: NonZeroU32 = NonZeroU32::new(15).unwrap();
    if log == Log::Audit { AUDIT } else { LIST }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn config(sources: &str) -> Result<Config, Vec<crate::problem::Problem>> {
        let head = "version = 1\n[destinations.x]\nstdout = {}\n";
        Config::parse("slackcef.toml", &format!("{head}{sources}"))
    }

    fn source(name: &str, token: &str, more: &str) -> String {
        format!("[sources.{name}]\nlog = \"audit\"\ntoken = {{ env = \"{token}\" }}\n{more}\n")
    }

    #[test]
    fn one_token_is_one_organization() {
        let text = [
            source("a", "ACME", ""),
            source("b", "ACME", "requests_per_minute = 40"),
            source("c", "OTHER", ""),
            source("d", "ACME", "base_url = \"https://api.slack-gov.com\""),
        ];
        let sources = config(&text.concat()).unwrap().sources;
        assert_eq!(sources["a"].organization, sources["b"].organization);
        for other in ["c", "d"] {
            assert_ne!(sources["a"].organization, sources[other].organization, "{other}");
        }
        let requests: Vec<_> = sources.values().map(|source| source.requests_per_minute.get()).collect();
        assert_eq!(requests, [40, 40, 30, 30]);
    }

    #[test]
    fn one_command_with_other_arguments_is_another_place() {
        let of = |name: &str| {
            source(name, "x", "").replace("env = \"x\"", &format!("command = [\"vault\", \"{name}\"]"))
        };
        let sources = config(&[of("a"), of("b")].concat()).unwrap().sources;
        assert_ne!(sources["a"].organization, sources["b"].organization);
    }

    #[test]
    fn a_name_joins_what_several_tokens_are_for() {
        let text = [
            source("a", "ONE", "organization = \"acme\""),
            source("b", "TWO", "organization = \"acme\""),
            source("c", "ONE", ""),
            source("d", "THREE", ""),
        ];
        let sources = config(&text.concat()).unwrap().sources;
        let acme = Organization::Named("acme".to_owned());
        for (name, is_acme) in [("a", true), ("b", true), ("c", true), ("d", false)] {
            assert_eq!(sources[name].organization == acme, is_acme, "{name}");
        }
    }

    #[test]
    fn one_budget_has_one_number() {
        let text = [
            source("a", "ACME", "requests_per_minute = 40"),
            source("b", "ACME", "requests_per_minute = 20"),
        ];
        let problems = config(&text.concat()).unwrap_err();
        let [problem] = problems.as_slice() else { panic!("{problems:?}") };
        assert_eq!(
            (problem.code, problem.what.as_str()),
            ("shared-budget", "`b` and `a` share the budget of one organization, and ask for 20 and 40")
        );
    }
}
