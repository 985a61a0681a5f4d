//! JSON Schemas of mapping files and of files of cases, so that editors complete and check them.
//!
//! They are made of the tables that reading itself goes by: the dictionary of CEF, the names of
//! keys, comparisons and filters. What a schema cannot say (paths, templates, what one file says
//! twice) `check` says.
//!
//! Draft 7 of JSON Schema: what taplo, which most editors' TOML support is made of, reads.
//!
//! **Invariant:** a file without a mistake is accepted.

mod cases;

use serde_json::{Map, Value, json};

use super::{Plans, condition, file, template};
use crate::cef::{Key, NAME_LIMIT, Side};
use crate::event::Log;

pub use cases::files as case_files;

/// The dialect of both schemas.
const DRAFT: &str = "http://json-schema.org/draft-07/schema#";

/// The schema of a mapping file. The actions that `plans` map are offered with their names.
pub fn mapping_files(plans: &Plans) -> Value {
    json!({
        "$schema": DRAFT,
        "title": "slackcef mapping file",
        "description": "What becomes of the entries of one of Slack's logs. It lies over the shipped mapping, key by key.",
        "type": "object",
        "required": ["version", "log"],
        "additionalProperties": false,
        "properties": {
            "version": { "description": "The version of the mapping language: 1.", "enum": [file::VERSION] },
            "log": { "description": "The log that the file maps.", "enum": Log::ALL.map(Log::name) },
            "category": described("The key `cat` of this file's actions that have no category of their own.", "value"),
            "header": {
                "description": "Who sends the event, in CEF's header. The device version is slackcef's own.",
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "vendor": header_text("The device vendor.", 63),
                    "product": header_text("The device product.", 63),
                },
            },
            "fields": described("The keys of every entry of this log.", "fields"),
            "unset": described("Keys to take away from every entry of this log.", "unset"),
            "tables": {
                "description": "Look-ups by name, for the filter `table(name)`.",
                "type": "object",
                "additionalProperties": {
                    "description": "What stands for each text. `\"*\"` is whatever the table does not name.",
                    "type": "object",
                    "additionalProperties": { "type": ["string", "integer", "number", "boolean"] },
                },
            },
            "unmapped": described("The catch-all: what becomes of actions that no file names.", "attributes"),
            "actions": actions(plans),
            "rules": {
                "description": "What holds where a condition does. They are followed in order, and the later wins.",
                "type": "array",
                "items": { "$ref": "#/definitions/rule" },
            },
        },
        "definitions": definitions(),
    })
}

fn definitions() -> Value {
    let mut rule = attributes();
    rule.insert("when".into(), described("What must hold. `{}` holds for every entry.", "condition"));
    json!({
        "value": { "type": "string", "minLength": 1, "description": value_help() },
        "plain": plain(),
        "labelled": labelled(),
        "fields": fields(),
        "unset": { "type": "array", "items": { "type": "string", "minLength": 2 }, "uniqueItems": true },
        "severity": severity(),
        "attributes": { "type": "object", "additionalProperties": false, "properties": attributes() },
        "rule": {
            "type": "object",
            "required": ["when"],
            "minProperties": 2,
            "additionalProperties": false,
            "properties": rule,
        },
        "condition": condition(),
        "comparison": comparison(),
        "scalar": { "type": ["string", "integer", "number", "boolean"] },
    })
}

/// A reference with a description, which may not stand beside it.
fn described(description: &str, definition: &str) -> Value {
    json!({ "description": description, "allOf": [{ "$ref": format!("#/definitions/{definition}") }] })
}

fn header_text(description: &str, limit: usize) -> Value {
    json!({
        "description": format!("{description} Plain text: letters, digits, spaces, `.`, `_` and `-`."),
        "type": "string",
        "pattern": "^[A-Za-z0-9._-]([A-Za-z0-9 ._-]*[A-Za-z0-9._-])?$",
        "maxLength": limit,
    })
}

fn value_help() -> String {
    format!(
        "Text; `{{path}}` is what the entry holds there, `{{a ?? b}}` the first that is there, `{{path | filter}}` \
         what a filter makes of it: {}. `{{{{` is a brace. Where the path finds nothing the field is left out.",
        template::FILTERS.join(", ")
    )
}

/// What an action, the catch-all or a rule can say.
fn attributes() -> Map<String, Value> {
    let attributes = [
        ("name", header_text("What the event is called.", NAME_LIMIT)),
        ("severity", described("How grave it is.", "severity")),
        ("category", described("The key `cat`.", "value")),
        ("drop", json!({ "description": "Not to be sent.", "type": "boolean" })),
        ("fields", described("Keys and their values.", "fields")),
        ("unset", described("Keys to take away.", "unset")),
    ];
    attributes.map(|(name, what)| (name.to_owned(), what)).into_iter().collect()
}

// Where several types are allowed each keyword speaks of one of them: editors then name the mistake
// itself, which they cannot for alternatives.

fn severity() -> Value {
    json!({
        "type": ["integer", "string", "object"],
        "minimum": 0,
        "maximum": 10,
        "pattern": "\\{",
        "required": ["of", "table"],
        "additionalProperties": false,
        "properties": {
            "of": { "description": "The path whose value is looked up.", "type": "string", "minLength": 1 },
            "table": { "description": "The name of one of `[tables]`.", "type": "string", "minLength": 1 },
            "otherwise": { "description": "Where the entry yields no severity.", "type": "integer", "minimum": 0, "maximum": 10 },
        },
    })
}

/// A key that takes no label: a text, or a table of it.
fn plain() -> Value {
    json!({
        "type": ["string", "object"],
        "minLength": 1,
        "required": ["value"],
        "additionalProperties": false,
        "properties": { "value": { "$ref": "#/definitions/value" }, "means": means() },
    })
}

/// A key that wants a label.
fn labelled() -> Value {
    json!({
        "type": "object",
        "required": ["label", "value"],
        "additionalProperties": false,
        "properties": {
            "label": {
                "description": "What it holds, in one word that receivers take for its name: SlackActorName.",
                "type": "string",
                "pattern": "^[A-Za-z][A-Za-z0-9]*$",
                "maxLength": 128,
            },
            "value": { "$ref": "#/definitions/value" },
            "means": means(),
        },
    })
}

fn means() -> Value {
    json!({ "description": "What the key means, for `mapping list --fields`.", "type": "string", "minLength": 1 })
}

fn fields() -> Value {
    let known: Map<_, _> = writable()
        .map(|(key, description)| {
            let form = if key.wants_label() { "labelled" } else { "plain" };
            (key.name().to_owned(), described(&description, form))
        })
        .collect();
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": known,
        "patternProperties": { OWN: described("A key of your own.", "plain") },
    })
}

/// A key of one's own: a capital, then letters and digits.
const OWN: &str = "^[A-Z][A-Za-z0-9]{1,63}$";

/// Every key of CEF's dictionary that a mapping may write, with what is known of it.
fn writable() -> impl Iterator<Item = (Key, String)> {
    Key::dictionary().iter().filter(|known| known.side != Side::Consumer).filter_map(|known| {
        let key = Key::new(known.name).ok()?;
        let length = known.limit.map_or_else(String::new, |limit| format!(", at most {limit} bytes"));
        let label = if key.wants_label() { " It wants a label." } else { "" };
        Some((key, format!("{}: {}{length}.{label}", known.full_name, known.kind.described())))
    })
}

fn actions(plans: &Plans) -> Value {
    let known: Map<_, _> = Log::ALL
        .into_iter()
        .flat_map(|log| plans.actions(log))
        .map(|mapped| {
            let name = mapped.name.unwrap_or(mapped.action);
            (mapped.action.to_owned(), described(name, "attributes"))
        })
        .collect();
    json!({
        "description": "What one action means, by the name that Slack gives it.",
        "type": "object",
        "properties": known,
        "additionalProperties": { "$ref": "#/definitions/attributes" },
    })
}

fn condition() -> Value {
    json!({
        "description": "Paths and what their values must be; all must hold.",
        "type": "object",
        "properties": {
            "action": described("The action as Slack spells it.", "comparison"),
            "any": {
                "description": "One of these conditions must hold.",
                "type": "array",
                "minItems": 1,
                "items": { "$ref": "#/definitions/condition" },
            },
        },
        "additionalProperties": { "$ref": "#/definitions/comparison" },
    })
}

fn comparison() -> Value {
    let matchers: Map<_, _> =
        condition::MATCHERS.iter().map(|name| ((*name).to_owned(), matcher(name))).collect();
    json!({
        "description": "A text or number: is that. A list: is one of these. A table: how it compares.",
        "type": ["string", "integer", "number", "boolean", "array", "object"],
        "minItems": 1,
        "items": { "$ref": "#/definitions/scalar" },
        "minProperties": 1,
        "additionalProperties": false,
        "properties": matchers,
    })
}

fn matcher(name: &str) -> Value {
    let texts = || json!({ "type": ["string", "array"], "minItems": 1, "items": { "type": "string" } });
    let scalars = || json!({ "type": "array", "minItems": 1, "items": { "$ref": "#/definitions/scalar" } });
    let number = || json!({ "type": ["integer", "number"] });
    let (description, form) = match name {
        "any" => ("Is one of these, or a list that has one of these in it.", scalars()),
        "none" => ("Is none of these, nor a list that has one of these in it.", scalars()),
        "exists" => ("Is there, and neither null nor empty.", json!({ "type": "boolean" })),
        "glob" => (
            "Is like that from end to end: `*` is any run, `?` one character, `[a-z]` one of a set.",
            texts(),
        ),
        "regex" => ("Has that in it. `^` and `$` are the ends, `(?i)` is any case.", texts()),
        "cidr" => (
            "Is an address of that network: 10.0.0.0/8, 2001:db8::/32; `trusted.cidr` for those of Slack's own allow list.",
            texts(),
        ),
        "asn" => (
            "Is the number of that autonomous system: 64500, AS64500; `trusted.asn` for those of Slack's own allow list.",
            json!({ "type": ["string", "integer", "array"], "minItems": 1, "items": { "type": ["string", "integer"] } }),
        ),
        "at_least" => ("Is a number, and no smaller than this.", number()),
        "at_most" => ("Is a number, and no larger than this.", number()),
        _ => ("", json!({})),
    };
    let mut form = form;
    if let Some(keywords) = form.as_object_mut() {
        keywords.insert("description".into(), description.into());
    }
    form
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::{builtin, compile};

    fn names(value: &Value) -> Vec<&str> {
        value.as_object().unwrap().keys().map(String::as_str).collect()
    }

    fn sorted<'a>(names: &[&'a str]) -> Vec<&'a str> {
        let mut names = names.to_vec();
        names.sort_unstable();
        names
    }

    #[test]
    fn it_knows_what_reading_knows() {
        let schema = mapping_files(&compile(&builtin()).unwrap());
        let mut top = names(&schema["properties"]);
        top.retain(|name| *name != "tables" || file::TOP.contains(name));
        assert_eq!(top, sorted(&file::TOP));
        let defined = &schema["definitions"];
        assert_eq!(names(&defined["attributes"]["properties"]), sorted(&file::ATTRIBUTES));
        assert_eq!(names(&defined["rule"]["properties"]), sorted(&file::RULE));
        let matchers = &defined["comparison"]["properties"];
        assert_eq!(names(matchers), sorted(&condition::MATCHERS));
        for (name, matcher) in matchers.as_object().unwrap() {
            assert_ne!(matcher["description"], "", "{name}");
        }
        let fields = &defined["fields"]["properties"];
        for key in Key::dictionary() {
            assert_eq!(fields.get(key.name).is_some(), Key::new(key.name).is_ok(), "{}", key.name);
        }
        assert!(fields["suser"]["description"].as_str().unwrap().contains("at most 1023 bytes"));
    }

    #[test]
    fn every_reference_leads_somewhere() {
        for schema in [mapping_files(&compile(&builtin()).unwrap()), case_files()] {
            let text = schema.to_string();
            for reference in text.split("\"$ref\":\"#/definitions/").skip(1) {
                let name = reference.split('"').next().unwrap();
                assert!(schema["definitions"].get(name).is_some(), "{name}");
            }
        }
    }
}
