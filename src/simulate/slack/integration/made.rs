//! Made-up rows: of apps, of services and of feeds.

use std::fmt::Write as _;

use super::super::dice::Dice;
use super::super::generate::names;

/// What makes up rows: the nth follows from the seed and n alone.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) seed: u64,
    pub(super) twin_every: u64,
    pub(super) hostile: bool,
}

const APPS: [&str; 6] = ["Jira Cloud", "Google Drive", "PagerDuty", "Søk & Finn", "Zoom=Meet", "A|B Tester"];
const SERVICES: [&str; 5] = ["Incoming WebHooks", "Slash Commands", "Bots", "Outgoing WebHooks", "Airbrake"];
const SCOPES: [&str; 4] = [
    "chat:write:user,channels:read",
    "incoming-webhook",
    "identify,channels:history,groups:history",
    "admin",
];
const CHANGES: [&str; 5] = ["added", "removed", "enabled", "disabled", "updated"];
const REASONS: [&str; 8] =
    ["user", "rate_limits", "slack", "errors", "system", "admin", "api_decline", "deauth"];

impl Made {
    /// The place of the row that the nth is the same as: its own, or the one before it.
    pub(super) fn model(&self, nth: u64) -> u64 {
        let is_twin = self.twin_every > 1 && nth % self.twin_every == self.twin_every - 1;
        nth - u64::from(is_twin)
    }

    /// The text of the nth row.
    pub(super) fn row(&self, index: u64, at: i64) -> String {
        let mut dice = Dice::new(self.seed, index);
        let mut row = String::with_capacity(320);
        let person = dice.below(40);
        let name = self.name(&mut dice, &names::PEOPLE);
        let change = dice.pick(&CHANGES);
        let mut put = |text: std::fmt::Arguments<'_>| row.write_fmt(text).unwrap_or_default();
        put(format_args!(r#"{{"user_id":"U0{person:08X}","user_name":"{name}","date":"{at}""#));
        match dice.below(8) {
            0..4 => {
                let (app, kind) = (dice.below(60), self.name(&mut dice, &APPS));
                put(format_args!(
                    r#","app_id":"A0{app:08X}","app_type":"{kind}","scope":"{}""#,
                    dice.pick(&SCOPES)
                ));
            }
            4..7 => {
                let (service, kind) = (dice.below(60), self.name(&mut dice, &SERVICES));
                put(format_args!(r#","service_id":"{}","service_type":"{kind}""#, 4_000_000_000 + service));
                put(format_args!(r#","channel":"C0{:08X}""#, dice.below(30)));
            }
            _ => {
                put(format_args!(
                    r#","service_id":"{}","service_type":"RSS""#,
                    5_000_000_000 + dice.below(30)
                ));
                put(format_args!(r#","rss_feed":true,"rss_feed_change_type":"{change}""#));
                let title = self.name(&mut dice, &names::CHANNELS);
                put(format_args!(
                    r#","rss_feed_title":"{title}","rss_feed_url":"https:\/\/example.com\/{index}.xml""#
                ));
            }
        }
        if change == "disabled" {
            put(format_args!(r#","reason":"{}""#, dice.pick(&REASONS)));
        }
        if dice.once_in(20) {
            put(format_args!(r#","resolution":"approved","x_future":{{"n":[1,null,"\u2603"]}}"#));
        }
        let change = if dice.once_in(60) { "reticulated" } else { change };
        // So that no two rows are alike that were not meant to be.
        put(format_args!(r#","change_type":"{change}","x_row":{index}}}"#));
        row
    }

    fn name<'a>(&self, dice: &mut Dice, list: &[&'a str]) -> &'a str
    where
        'static: 'a,
    {
        if self.hostile && dice.once_in(2) { dice.pick(&names::HOSTILE) } else { dice.pick(list) }
    }
}

/// The row with its service's id as a number, or as a text.
pub(super) fn typed(row: &str, as_number: bool) -> String {
    const KEY: &str = r#""service_id":""#;
    let Some((before, after)) = row.split_once(KEY).filter(|_| as_number) else { return row.to_owned() };
    let Some((id, rest)) = after.split_once('"') else { return row.to_owned() };
    format!(r#"{before}"service_id":{id}{rest}"#)
}
