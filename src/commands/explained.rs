//! The account of one entry in words: each field with its value, who set it, and what is missing of
//! it in the line, and why.

use crate::cef::{Cut, Cuts};
use crate::mapping::{Explained, Outcome};
use crate::report::Style;

/// Each field with its value, who set it and what was cut of it; those that the entry has nothing
/// for come last.
pub(super) fn explained(fields: &[Explained], cuts: &Cuts, unmapped: bool, style: Style) -> String {
    let mut lines = Vec::new();
    if unmapped {
        lines.push(style.yellow("  no mapping names this action: the catch-all was used"));
    }
    let width = fields.iter().map(|field| named(field).len()).max().unwrap_or(0);
    let (absent, told): (Vec<_>, Vec<_>) =
        fields.iter().partition(|field| matches!(field.outcome, Outcome::Absent { .. }));
    let mut cuts: Vec<&Cut> = cuts.iter().collect();
    for field in told {
        let value = match &field.outcome {
            Outcome::Value(value) => {
                let cut = cuts.iter().position(|cut| cut.key == field.key).map(|at| cuts.remove(at));
                format!("{value:?}{}", cut.map_or_else(String::new, |cut| shown(cut, style)))
            }
            Outcome::Misfit { text, wanted } => style.yellow(&format!("left out: {text:?} is not {wanted}")),
            Outcome::Blank => style.dim("left out: its value is blank"),
            Outcome::Unset => style.dim("left out: unset"),
            Outcome::Absent { .. } => continue,
        };
        lines.push(format!("  {:width$} = {value}  {}", named(field), style.dim(&set_by(field))));
    }
    // What the line has under another key than the event, such as an IPv6 address.
    for cut in cuts {
        lines.push(format!("  {:width$}{}", cut.key, shown(cut, style)));
    }
    lines.push(style.dim("  Left out, for the entry has no such value:"));
    for field in absent {
        if let Outcome::Absent { placeholder } = &field.outcome {
            lines.push(style.dim(&format!("  {:width$} = {placeholder}  {}", named(field), set_by(field))));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

fn named(field: &Explained) -> String {
    match &field.label {
        Some(label) => format!("{} ({label})", field.key),
        None => field.key.clone(),
    }
}

/// What the line has of a value that is longer than its key or the message may be.
fn shown(cut: &Cut, style: Style) -> String {
    let told = match cut.kept {
        0 => format!("cut: the line has none of its {} bytes", cut.had),
        kept => format!("cut: the line has {kept} of its {} bytes", cut.had),
    };
    format!("  {}", style.yellow(&told))
}

/// The file and line that set a field, and those that it overrode.
fn set_by(field: &Explained) -> String {
    let mut text =
        field.set_by.as_ref().map_or_else(|| "the action's own name".to_owned(), ToString::to_string);
    for before in &field.overrode {
        text.push_str(", over ");
        text.push_str(&before.to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cef::{Encoder, Event, Key};
    use crate::mapping::Origin;

    #[test]
    fn a_cut_stands_beside_its_field_or_under_the_key_of_the_line() {
        let mut event = Event::new();
        let long = "x".repeat(9_000);
        event.push(&Key::new("msg").unwrap(), None, &long).unwrap();
        for n in 0..60 {
            event
                .push(
                    &Key::new(&format!("Filler{n}")).unwrap(),
                    None,
                    "fifty bytes or so that are in no line of two thousand",
                )
                .unwrap();
        }
        let cuts = Encoder::default().encode(&event, 2_000, &mut Vec::new());
        let said = |key: &str, outcome| Explained {
            key: key.into(),
            label: None,
            outcome,
            set_by: Some(Origin { file: "mine.toml".into(), line: 3 }),
            overrode: Vec::new(),
        };
        let fields = [
            said("msg", Outcome::Value("x".into())),
            said("Filler59", Outcome::Value("y".into())),
            said("Filler58", Outcome::Unset),
        ];
        let text = explained(&fields, &cuts, false, Style::PLAIN);
        let line = |key: &str| text.lines().find(|line| line.trim_start().starts_with(key)).unwrap();
        assert!(
            line("msg ").contains("\"x\"  cut: the line has 1023 of its 9000 bytes  mine.toml:3"),
            "{text}"
        );
        assert!(line("Filler59 ").contains("\"y\"  cut: the line has none of its 53 bytes"), "{text}");
        assert!(line("Filler57 ").contains("  cut: the line has none"), "{text}");
    }
}
