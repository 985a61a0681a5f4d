//! The schema of a file of cases.

use serde_json::{Map, Value, json};

use super::{DRAFT, OWN, writable};

/// The schema of a file of cases: what stands in a mapping's folder `tests`.
pub fn files() -> Value {
    json!({
        "$schema": DRAFT,
        "title": "slackcef cases",
        "description": "Entries as Slack sends them, and what shall become of each. `slackcef mapping test` runs them.",
        "type": "object",
        "required": ["version", "cases"],
        "additionalProperties": false,
        "properties": {
            "version": { "description": "The version of the format: 1.", "enum": [1] },
            "cases": {
                "description": "One entry each.",
                "type": "array",
                "minItems": 1,
                "items": { "$ref": "#/definitions/case" },
            },
        },
        "definitions": {
            "case": {
                "type": "object",
                "required": ["name"],
                "oneOf": [{ "required": ["entry"] }, { "required": ["file"] }],
                "additionalProperties": false,
                "properties": {
                    "name": { "description": "What it is about, in one line.", "type": "string", "minLength": 1 },
                    "entry": { "description": "The entry as Slack sends it: '''{\"action\": …}'''.", "type": "string", "minLength": 2 },
                    "file": { "description": "A file that holds the entry, beginning at this file's folder.", "type": "string", "minLength": 1 },
                    "expect": expect(),
                    "absent": {
                        "description": "Keys or labels that must not be there.",
                        "type": "array",
                        "items": { "type": "string", "minLength": 1 },
                    },
                    "exact": { "description": "No key is there beyond those of `expect`.", "type": "boolean" },
                    "dropped": { "description": "The entry is not to be sent.", "type": "boolean" },
                },
            },
            "value": { "type": ["string", "integer", "number", "boolean"] },
        },
    })
}

fn expect() -> Value {
    let value = |description: &str| json!({ "description": description, "allOf": [{ "$ref": "#/definitions/value" }] });
    let mut known: Map<_, _> =
        writable().map(|(key, description)| (key.name().to_owned(), value(&description))).collect();
    known.insert("name".into(), value("What the event is called."));
    known.insert("severity".into(), value("How grave it is, 0 to 10."));
    json!({
        "description": "Keys of the event, or their labels, with their values as the event has them: neither escaped nor cut.",
        "type": "object",
        "minProperties": 1,
        "additionalProperties": false,
        "properties": known,
        "patternProperties": { OWN: value("A key of your own, or a label.") },
    })
}
