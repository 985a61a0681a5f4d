//! The fields as a page for people who write queries: `mappings/FIELDS.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::fields::{Of, Row, is_constant, some};
use crate::event::Log;

const HEAD: &str = "\
# What stands in which key

This page says, for each key of an event that slackcef sends, what it means and which part of Slack's entry it comes
from. It is made from the mapping itself: `slackcef mapping list --fields --markdown`; with `--mapping DIR` it shows your
own mapping as well.

A key with a label (`cs1`, `cn1` …) goes by its label in many receivers: search for `SlackActorName` where `cs1` finds
nothing. A key whose path is absent, null or empty in Slack's entry is not sent at all. `{a ?? b}` is the first of the
two that is there. An IPv6 address in `src` is sent as `c6a2`, with a label that says so, unless the destination has CEF
version 1.

## Three queries to begin with

**Who downloaded what, from where?** Events with `act` = `file_downloaded`: `suser` is the person's address (`suid` the
id), `src` where they were, `fname` the file, `fileId` its id, `fileType` its kind. Count by `suser` to see who takes
more than others.

**What needs a look today?** Events whose `cat` holds a slash. `cat` is Slack's group of the action, and from severity 6
on a topic follows: `user/…`, `workspace_or_org/…`. `act` is the action, `suser` who did it, `cs2` what kind of thing it
was done to (`SlackEntityType`), `cs4` what that is called (`SlackEntityName`), `cs3` its id. `cs6` (`SlackDetails`) has
all that no other key took.

**What else did this person do in that session?** Take `cn1` (`SlackSessionId`) of the event that alarmed you and search
for all with the same, in order of `rt`. What a person did without a session, by an app or by provisioning, has the same
`suid`; `SlackAuditContextAppName` is the app that acted for them. What others did to the person has them in `duid`
(their address is in `duser` where Slack gives it). Beware of members who join or leave a channel or a user group: Slack
names the member as the one who acted (`suser`, `suid`), while `cn1`, `src` and the agent are those of whoever brought
them in or put them out.
";

/// The page; `others` are the logs beside the audit log, with their rows.
pub(super) fn page(rows: &[Row], others: &[(Log, Vec<Row>)]) -> String {
    let mut page = HEAD.to_owned();
    let every = || rows.iter().filter(|row| row.of == Of::Every);
    let of_entity = |kind: &str| every().filter(|row| row.entities.contains(kind)).collect::<Vec<_>>();

    section(
        &mut page,
        "Keys of every event",
        "They are there for whatever action, where the entry has the value. Beside them stand `cat`, Slack's group of the \
         action and, from severity 6 on, a topic; `outcome`, success or failure, only where the action or the entry leaves \
         no doubt; and `dpriv`, where a role is given or taken, the privilege that the person acted upon has since then.",
    );
    table(&mut page, &every().filter(|row| row.entities.is_empty()).collect::<Vec<_>>(), false);

    let told = "Whatever the action was done to: a user, a channel, a file, an app. The sections after this one have what only one \
                type has beside them; types without a section have these three alone, and the rest in `cs6`.";
    section(&mut page, "Keys of the entity, whatever its type", told);
    table(&mut page, &of_entity("*"), false);

    let kinds: BTreeSet<_> = every().flat_map(|row| &row.entities).filter(|kind| *kind != "*").collect();
    for kind in kinds {
        let rows: Vec<_> = of_entity(kind).into_iter().filter(|row| !row.entities.contains("*")).collect();
        if !rows.is_empty() {
            section(&mut page, &format!("Entity `{kind}`"), &format!("Where `cs2` is `{kind}`."));
            table(&mut page, &rows, false);
        }
    }

    let some_actions = |row: &&Row| matches!(row.of, Of::Actions | Of::Rules(_));
    let constant = |row: &&Row| row.from.iter().all(|from| is_constant(from));
    let told = "A key may hold another thing here than in the tables above: what stands here counts then.";
    section(&mut page, "Keys of some actions", told);
    table(
        &mut page,
        &rows.iter().filter(some_actions).filter(|row| !constant(row)).collect::<Vec<_>>(),
        true,
    );

    let told = "Texts of the mapping's own, by which events can be chosen.";
    section(&mut page, "Keys with settled values", told);
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for row in rows.iter().filter(some_actions).filter(constant) {
        values.entry(row.key.name()).or_default().extend(row.from.iter().map(String::as_str));
    }
    page.push_str("| key | values |\n| --- | --- |\n");
    for (key, values) in values {
        let values: Vec<_> = values.iter().map(|value| code(value)).collect();
        // Writing to a string cannot fail.
        writeln!(page, "| `{key}` | {} |", values.join(", ")).unwrap_or_default();
    }
    for (log, rows) in others.iter().filter(|(_, rows)| !rows.is_empty()) {
        let told = format!(
            "A log of its own, with a product of its own in the header. Keys that mean the same are the same as above; `cat` \
             is `{log}`, and from severity 6 on a topic follows."
        );
        section(&mut page, &format!("Keys of the {log} log"), &told);
        let rows: Vec<_> = rows.iter().filter(|row| !matches!(row.key.name(), "cat" | "outcome")).collect();
        table(&mut page, &rows, false);
    }
    page
}

fn section(page: &mut String, title: &str, told: &str) {
    write!(page, "\n## {title}\n\n{told}\n\n").unwrap_or_default();
}

fn table(page: &mut String, rows: &[&Row], with_actions: bool) {
    let (heading, rule) = if with_actions { (" of |", " --- |") } else { ("", "") };
    writeln!(page, "| key | label | meaning | from |{heading}\n| --- | --- | --- | --- |{rule}")
        .unwrap_or_default();
    for row in rows {
        let label = row.label.as_deref().map_or_else(String::new, code);
        let from: Vec<_> = row.from.iter().map(|from| code(from)).collect();
        let (key, means) = (row.key.name(), row.means.replace('|', "\\|"));
        write!(page, "| `{key}` | {label} | {means} | {} |", some(&from, 3, "values")).unwrap_or_default();
        if with_actions {
            let actions: Vec<_> = row.actions.iter().map(|action| code(action)).collect();
            let sometimes = if matches!(row.of, Of::Rules(_)) { " by rule" } else { "" };
            write!(page, " {}{sometimes} |", some(&actions, 4, "actions")).unwrap_or_default();
        }
        page.push('\n');
    }
}

fn code(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|").replace('`', "'"))
}
