//! The text of a made-up entry, straight into a string.

use std::fmt::Write as _;

use super::super::dice::Dice;
use super::actions::{ACTIONS, Action};
use super::names;

/// Appends the entry: a pure function of seed and index.
pub(super) fn entry(seed: u64, index: u64, at: i64, hostile: bool, out: &mut String) {
    let mut writer = Writer { dice: Dice::new(seed, index), at, actor: 0, hostile, index, out };
    writer.actor = writer.dice.below(PEOPLE);
    let action = writer.action();
    let id = super::id(seed, index);
    // The order of keys varies.
    if writer.dice.once_in(8) {
        writer.put(format_args!(r#"{{"action":"{}","id":"{id}","date_create":{at},"actor":"#, action.name));
    } else {
        writer.put(format_args!(r#"{{"id":"{id}","date_create":{at},"action":"{}","actor":"#, action.name));
    }
    writer.fill(r#"{"type":"user","user":@s},"entity":"#);
    writer.fill(action.entity);
    writer.context();
    if !action.details.is_empty() {
        writer.fill(r#","details":"#);
        writer.fill(action.details);
    }
    if writer.dice.once_in(40) {
        writer.fill(r#","x_future":{"nested":[1,2.5,-1e3,null,true,"\u2603\/☃"],"@n":{}}"#);
    }
    writer.out.push('}');
}

/// How many people there are.
const PEOPLE: u64 = 5_000;

struct Writer<'a> {
    dice: Dice,
    at: i64,
    actor: u64,
    hostile: bool,
    index: u64,
    out: &'a mut String,
}

impl Writer<'_> {
    fn action(&mut self) -> &'static Action {
        let mut roll = self.dice.below(ACTIONS.iter().map(|action| action.weight).sum());
        let [first, ..] = &ACTIONS;
        let chosen = ACTIONS.iter().find(|action| match roll.checked_sub(action.weight) {
            Some(rest) => {
                roll = rest;
                false
            }
            None => true,
        });
        chosen.unwrap_or(first)
    }

    /// Appends a text in which `@` and a letter stand for something made up.
    fn fill(&mut self, text: &str) {
        let mut parts = text.split('@');
        self.out.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let mut rest = part.chars();
            match rest.next() {
                Some('s') => self.person(self.actor),
                Some('u') => {
                    let other = self.dice.below(PEOPLE);
                    self.person(other);
                }
                Some('U') => {
                    let other = self.dice.below(PEOPLE);
                    self.put(format_args!("U0{other:08X}"));
                }
                Some('r') => self.name(&names::PEOPLE),
                Some('c') => self.name(&names::CHANNELS),
                Some('f') => self.name(&names::FILES),
                Some('w') => self.name(&names::WORKSPACES),
                Some('d') => self.numbered("workspace-", 40),
                Some('y') => self.one_of(&names::FILE_TYPES),
                Some('z') => self.one_of(&names::USER_AGENTS),
                Some('C') => self.numbered("C0A4", 4_000),
                Some('F') => self.numbered("F0A5", 90_000),
                Some('T') => self.numbered("T0A1", 40),
                Some('E') => self.out.push_str("E0A3968S8QJ"),
                Some('A') => self.app(),
                Some('i') => self.numbered("0A", 9_000_000),
                Some('n') => self.numbered("", 1_000_000),
                Some('h') => {
                    let (high, low) = (self.dice.next(), self.dice.next());
                    self.put(format_args!("{high:016x}{low:016x}"));
                }
                Some('p') => self.address(),
                Some('t') => self.time(0),
                Some('o') => self.time(3_600),
                Some('m') => self.moments_ago(),
                other => {
                    self.out.push('@');
                    self.out.extend(other);
                }
            }
            self.out.push_str(rest.as_str());
        }
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        self.out.write_fmt(text).unwrap_or_default();
    }

    fn one_of(&mut self, list: &[&str]) {
        self.out.push_str(self.dice.pick(list));
    }

    fn numbered(&mut self, prefix: &str, below: u64) {
        let number = self.dice.below(below);
        self.put(format_args!("{prefix}{number:04}"));
    }

    /// A name from the list, or a hostile one.
    fn name(&mut self, list: &[&str]) {
        if self.hostile && self.index % 499 == 7 && self.dice.once_in(2) {
            self.out.extend(std::iter::repeat_n('w', 64 * 1_024));
        } else if self.hostile && self.dice.once_in(4) {
            self.one_of(&names::HOSTILE);
        } else {
            self.one_of(list);
        }
    }

    fn person(&mut self, who: u64) {
        let team = Dice::new(2, who).below(40);
        let name = Dice::new(3, who).pick(&names::PEOPLE);
        self.put(format_args!(r#"{{"id":"U0{who:08X}","name":""#));
        if self.hostile {
            self.name(&[name]);
        } else {
            self.out.push_str(name);
        }
        self.put(format_args!(r#"","email":"person.{who}@corp.example.com","team":"T0A1{team:04}""#));
        if who.is_multiple_of(3) {
            self.out.push_str(r#","account_type":"FULL_MEMBER""#);
        }
        self.out.push('}');
    }

    fn app(&mut self) {
        self.fill(r#"{"id":"A@i","name":"@c","is_distributed":true,"is_directory_approved":true,"is_workflow_app":false,"scopes":["channels:read","users:read.email"],"scopes_bot":["chat:write"],"creator":"@U","team":"@T"}"#);
    }

    fn context(&mut self) {
        self.fill(r#","context":{"location":{"type":"#);
        if self.dice.once_in(4) {
            self.fill(
                r#""enterprise","id":"@E","name":"Ünited Example\/Group","domain":"example-group"},"ua":""#,
            );
        } else {
            self.fill(r#""workspace","id":"@T","name":"@w","domain":"@d"},"ua":""#);
        }
        if !self.dice.once_in(25) {
            self.one_of(&names::USER_AGENTS);
        }
        self.out.push_str(r#"","ip_address":""#);
        self.address();
        self.out.push_str(r#"","session_id":"#);
        match self.dice.below(50) {
            0..=4 => self.out.push_str("null"),
            5 => self.fill(r#""@n""#),
            _ => {
                let session = 9_000_000_000_000 + self.dice.below(3_000_000_000_000);
                self.put(format_args!("{session}"));
            }
        }
        match self.dice.below(12) {
            0 => self.out.push_str(r#","app":null"#),
            1 => {
                self.out.push_str(r#","app":"#);
                self.app();
            }
            2 => self.fill(r#","acting_agent":{"name":"Slackbot"},"agent_message":{"team":"@T","channel_id":"@C","message_ts":"@t.@n","thread_ts":null}"#),
            _ => {}
        }
        self.out.push('}');
    }

    fn address(&mut self) {
        let (kind, number) = (self.dice.below(40), self.dice.below(254) + 1);
        match kind {
            0 => {}
            1..=3 => self.put(format_args!("10.20.30.{number}")),
            4..=7 => self.put(format_args!("2001:db8::{number:x}")),
            8..=20 => self.put(format_args!("198.51.100.{number}")),
            _ => self.put(format_args!("203.0.113.{number}")),
        }
    }

    fn time(&mut self, ago: u64) {
        let at = self.at.saturating_sub_unsigned(ago);
        self.put(format_args!("{at}"));
    }

    /// When what was odd happened, in microseconds: a second or about fifty before the entry.
    fn moments_ago(&mut self) {
        let ago = if self.dice.once_in(2) { 1 } else { 48 + self.dice.below(5) };
        let micros = self.dice.below(1_000_000);
        self.put(format_args!("{}{micros:06}", self.at.saturating_sub_unsigned(ago)));
    }
}
