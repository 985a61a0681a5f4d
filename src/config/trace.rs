//! `[trace]`: requests to Slack and its answers, written down for support.

use super::reader::Section;
use super::size;
use crate::slack::TraceSettings;

const USUAL_SIZE: u64 = 64 << 20;
/// Below this a few answers would push each other out.
const LEAST_SIZE: u64 = 1 << 20;

/// Reads the table, and adds to `remarks` what is to be known of it.
pub(super) fn read(section: &Section<'_, '_>, remarks: &mut Vec<String>) -> Option<TraceSettings> {
    let dir = section.text("dir");
    let max_size = section.parsed("max_size", |text| match size(text)? {
        bytes if bytes < LEAST_SIZE => Err("write at least `1MiB`".to_owned()),
        bytes => Ok(bytes),
    });
    if dir.is_none() && section.place("dir").is_none() {
        let help = "name the folder to write to, or take the table out: nothing is traced without it";
        section.problem(&section.span(), "missing", "the trace has no `dir`", help);
    }
    section.finish();
    let settings = TraceSettings { dir: dir?.text.into(), max_size: max_size.unwrap_or(USUAL_SIZE) };
    remarks.push(format!(
        "[trace] is on: requests to Slack and the beginnings of its answers, names and IP addresses of people \
         in them, are written to {}; take the table out when it is no longer needed",
        settings.dir.display()
    ));
    Some(settings)
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    const HEAD: &str =
        "version = 1\n[sources.a]\nlog = \"audit\"\ntoken = { env = \"T\" }\n[destinations.x]\nstdout = {}\n";

    #[test]
    fn it_is_off_unless_a_folder_is_named() {
        let parse = |trace: &str| Config::parse("slackcef.toml", &format!("{HEAD}{trace}"));
        assert_eq!(parse("").unwrap().trace, None);
        let config = parse("[trace]\ndir = \"/tmp/t\"\n").unwrap();
        assert_eq!(config.trace.unwrap().max_size, 64 << 20);
        assert!(config.remarks[0].contains("[trace] is on"));
        for wrong in
            ["[trace]", "[trace]\ndir = \"/t\"\nmax_size = \"1KiB\"", "[trace]\ndir = \"/t\"\nfoo = 1"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
