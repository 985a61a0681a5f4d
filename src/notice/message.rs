//! A message for an incoming webhook: its blocks, and its text where blocks are not shown.
//!
//! Values of events stand in elements of type `text` within `rich_text`, which Slack shows as they are:
//! what reads formatting, links and calls are elements of other types, and none of those is made of a
//! value. `text`, which Slack reads as mrkdwn, has them without formatting and escaped.
//!
//! **Invariant:** at most [`MOST_BLOCKS`] blocks, and [`MOST_CHARACTERS`] of them as JSON.

use serde_json::{Value, json};

use super::pending::{Because, Counted, Group, Several};
use super::text::in_mrkdwn;

/// Block Kit's limit of blocks in a message.
const MOST_BLOCKS: usize = 50;
/// Messages of more than about 13,200 characters in blocks are refused (`msg_blocks_too_long`).
const MOST_CHARACTERS: usize = 11_000;
/// The most that `text` holds: that of a section.
const MOST_TEXT: usize = 3_000;
/// Groups that `text` names where blocks are shown: it is what a telephone shows.
const NAMED: usize = 3;

/// How many of the groups a message has room for; at least one.
pub(super) fn fitting(groups: &[Group], counted: &[(Because, Counted)]) -> usize {
    // Those that count, and the foot.
    let blocks = counted.len() + 1;
    let mut characters: usize =
        counted.iter().map(|(because, counted)| length(&counted_block(*because, counted))).sum();
    let fits = groups.iter().take(MOST_BLOCKS.saturating_sub(blocks)).take_while(|group| {
        characters += length(&group_block(group));
        characters <= MOST_CHARACTERS
    });
    fits.count().max(1).min(groups.len())
}

fn length(block: &Value) -> usize {
    block.to_string().chars().count()
}

/// The message in blocks.
pub(super) fn in_blocks(groups: &[Group], counted: &[(Because, Counted)], title: &str) -> String {
    let mut blocks: Vec<_> = groups.iter().map(group_block).collect();
    blocks.extend(counted.iter().map(|(because, counted)| counted_block(*because, counted)));
    blocks.push(json!({
        "type": "context",
        "elements": [{ "type": "plain_text", "text": title, "emoji": false }],
    }));
    json!({ "text": text(groups, counted, NAMED), "mrkdwn": false, "blocks": blocks }).to_string()
}

/// The message as text alone.
pub(super) fn plain(groups: &[Group], counted: &[(Because, Counted)], title: &str) -> String {
    let text = format!("{}\n{}", text(groups, counted, groups.len()), in_mrkdwn(title));
    json!({ "text": text, "mrkdwn": false }).to_string()
}

/// A line for each of the first groups, and one for the rest.
fn text(groups: &[Group], counted: &[(Because, Counted)], named: usize) -> String {
    let mut lines = Vec::new();
    let mut room = MOST_TEXT.saturating_sub(200);
    for group in groups.iter().take(named) {
        let line: String = pieces_of(group).iter().map(Piece::in_mrkdwn).collect();
        let Some(left) = room.checked_sub(line.chars().count()) else { break };
        room = left;
        lines.push(line);
    }
    let rest = groups.iter().skip(lines.len()).map(|group| group.count);
    let rest = rest.chain(counted.iter().map(|(_, counted)| counted.count)).fold(0, u64::saturating_add);
    match (lines.is_empty(), rest) {
        (_, 0) => {}
        (true, rest) => lines.push(format!("{rest} {}", noun(rest))),
        (false, rest) => lines.push(format!("and {rest} more")),
    }
    lines.join("\n")
}

/// A piece of a line.
enum Piece {
    /// Words of ours.
    Ours(String),
    /// What the event is called.
    Name(String),
    /// A value of an event.
    Value(String),
}

impl Piece {
    fn text(&self) -> &str {
        match self {
            Self::Ours(text) | Self::Name(text) | Self::Value(text) => text,
        }
    }

    /// On one line, where formatting may be read.
    fn in_mrkdwn(&self) -> String {
        match self {
            Self::Ours(text) => text.replace('\n', " "),
            Self::Name(text) | Self::Value(text) => in_mrkdwn(text),
        }
    }

    fn element(&self) -> Value {
        match self {
            Self::Ours(text) => json!({ "type": "text", "text": text }),
            Self::Name(text) => json!({ "type": "text", "text": text, "style": { "bold": true } }),
            // Set apart, so that no value can be taken for our words.
            Self::Value(text) => json!({ "type": "text", "text": text, "style": { "code": true } }),
        }
    }
}

fn group_block(group: &Group) -> Value {
    block(&pieces_of(group))
}

fn counted_block(because: Because, counted: &Counted) -> Value {
    let Counted { count, gravest, name, first, last } = counted;
    let why = match because {
        Because::Many => "too many at once to be told one by one",
        Because::Old => "old when they came, and so not told one by one",
        Because::Refused => "Slack did not take the message that told them",
    };
    let of = if first == last { format!("of {first}") } else { format!("of {first} to {last}") };
    block(&[
        Piece::Name(format!("and {count} more {}", noun(*count))),
        Piece::Ours(format!(" {of}: {why}. The gravest, severity {gravest}: ")),
        Piece::Value(name.clone()),
    ])
}

fn noun(count: u64) -> &'static str {
    if count == 1 { "event" } else { "events" }
}

fn block(pieces: &[Piece]) -> Value {
    // Slack refuses an element without text.
    let elements: Vec<_> =
        pieces.iter().filter(|piece| !piece.text().is_empty()).map(Piece::element).collect();
    json!({ "type": "rich_text", "elements": [{ "type": "rich_text_section", "elements": elements }] })
}

/// Who did what to what, from where, when.
fn pieces_of(group: &Group) -> Vec<Piece> {
    let Group { shown, count, first, last, what, from, places, reasons, .. } = group;
    let mut line =
        vec![Piece::Name(shown.kind.name.clone()), Piece::Ours(format!(" (severity {})", shown.severity))];
    if *count > 1 {
        line.push(Piece::Ours(format!(", {count} times")));
    }
    if let Some(who) = shown.kind.who() {
        line.extend([Piece::Ours("\nby ".to_owned()), Piece::Value(who)]);
    }
    several(&mut line, "\non ", what);
    several(&mut line, "\nfrom ", from);
    several(&mut line, "\nin ", places);
    several(&mut line, "\nreason ", reasons);
    for sentence in [&shown.sentence, &shown.help].into_iter().flatten() {
        line.extend([Piece::Ours("\n".to_owned()), Piece::Value(sentence.clone())]);
    }
    let when = if first == last { format!("\nat {first}") } else { format!("\nfrom {first} to {last}") };
    line.push(Piece::Ours(format!("{when}, source ")));
    line.push(Piece::Value(shown.kind.source.clone()));
    line.push(Piece::Ours(if *count > 1 { ", one of the ids " } else { ", id " }.to_owned()));
    line.push(Piece::Value(shown.id.clone()));
    line
}

fn several(line: &mut Vec<Piece>, before: &str, values: &Several) {
    for (nth, value) in values.shown.iter().enumerate() {
        let before = if nth == 0 { before } else { ", " };
        line.extend([Piece::Ours(before.to_owned()), Piece::Value(value.clone())]);
    }
    if values.others {
        line.push(Piece::Ours(" and others".to_owned()));
    }
}
