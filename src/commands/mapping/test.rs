//! `mapping test`: does the mapping still do what its cases say?

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::commands::{load_config, setup_failure};
use crate::mapping::cases::{self, Case, CaseFile, Difference, Verdict};
use crate::mapping::{Explained, Outcome, Plans};
use crate::pipeline;
use crate::problem::Problem;
use crate::report::{self, Exit, Failure, Output, Style};

/// Runs the cases that lie beside a mapping, in tests/*.toml of its folder.
///
/// Ends with 0 where all come out as they should, and with 78 where one does not, expects nothing
/// yet, or holds a mistake. Asks nobody and needs no secret.
#[derive(Debug, Args)]
#[command(
    after_help = "A case, in DIR/tests/logout.toml:\n\n  version = 1\n\n  [[cases]]\n  name = \"somebody goes home\"\n  entry = '''{\"action\":\"user_logout\",\"actor\":{\"user\":{\"email\":\"ann@example.com\"}}}'''\n  expect = { name = \"User logged out\", suser = \"ann@example.com\" }\n  absent = [\"src\"]\n\nExamples:\n  slackcef mapping test /etc/slackcef/mappings/acme\n  slackcef mapping test --bless ./mappings/acme        writes what comes out now where nothing is expected yet\n  slackcef mapping test --config slackcef.toml         all mappings that the configuration names"
)]
pub(super) struct Arguments {
    /// The folder of the mapping.
    #[arg(required_unless_present = "config")]
    dir: Option<PathBuf>,
    /// Every mapping of this configuration file.
    #[arg(long, short, value_name = "FILE", conflicts_with = "dir")]
    config: Option<PathBuf>,
    /// Writes into each case that expects nothing yet what comes out now: read it, then commit it.
    #[arg(long)]
    bless: bool,
    /// One JSON object a case.
    #[arg(long)]
    json: bool,
}

/// A mapping with its cases.
struct Tested {
    dir: PathBuf,
    plans: Plans,
    files: Vec<CaseFile>,
    cases: Vec<Case>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let all = read(&folders(arguments)?)?;
    let mut told = Told { out: report::data(), json: arguments.json, counts: Counts::default() };
    for tested in &all {
        for (number, file) in tested.files.iter().enumerate() {
            told.file(file)?;
            let blessed = if arguments.bless { bless(tested, number, file)? } else { false };
            for case in tested.cases.iter().filter(|case| case.file == number) {
                told.case(case, &cases::run(case, &tested.plans), blessed)?;
            }
        }
    }
    told.end()
}

/// The folders of the mappings to be tested.
fn folders(arguments: &Arguments) -> Result<Vec<PathBuf>, Failure> {
    let Some(path) = &arguments.config else { return Ok(arguments.dir.clone().into_iter().collect()) };
    let dirs: Vec<PathBuf> = load_config(path)?.mappings.into_values().map(|mapping| mapping.dir).collect();
    if dirs.is_empty() {
        let what = format!("{} names no mapping", path.display());
        let help = "add `[mappings.acme]` with `dir = \"…\"`, or give the folder itself";
        return Err(Failure::new(Exit::Usage, what).help(help));
    }
    Ok(dirs)
}

/// Everything that is to be run; all mistakes of all mappings and all cases at once.
fn read(dirs: &[PathBuf]) -> Result<Vec<Tested>, Failure> {
    let mut all = Vec::new();
    let mut problems: Vec<Problem> = Vec::new();
    for dir in dirs {
        let plans = match pipeline::plans(Some(dir)) {
            Ok(plans) => plans,
            Err(pipeline::SetupError::Mapping(found)) => {
                problems.extend(found);
                continue;
            }
            Err(other) => return Err(setup_failure(other)),
        };
        let files = cases::load(dir).map_err(|error| Failure::of_error(Exit::Configuration, &error))?;
        match cases::read(&files, &plans) {
            Ok(cases) => all.push(Tested { dir: dir.clone(), plans, files, cases }),
            Err(found) => problems.extend(found),
        }
    }
    if !problems.is_empty() {
        return Err(Failure::of_problems(problems));
    }
    if all.iter().all(|tested| tested.cases.is_empty()) {
        let shown: Vec<_> = dirs.iter().map(|dir| dir.join(cases::FOLDER).display().to_string()).collect();
        let what = format!("there is no case in {}", shown.join(", "));
        let help =
            "write one: `slackcef mapping test --help` shows the form, `mapping init` makes a first one";
        return Err(Failure::new(Exit::Usage, what).help(help));
    }
    Ok(all)
}

/// Writes what a file is missing. Returns whether it was missing something.
fn bless(tested: &Tested, number: usize, file: &CaseFile) -> Result<bool, Failure> {
    let cannot = |error: &dyn std::error::Error| {
        let what = format!("cannot write {}: {error}", file.path.display());
        Failure::new(Exit::Unavailable, what)
    };
    let text = cases::blessed(file, number, &tested.cases, &tested.plans).map_err(|error| cannot(&error))?;
    let Some(text) = text else { return Ok(false) };
    let real = file.path.canonicalize().map_err(|error| cannot(&error))?;
    let within = tested.dir.canonicalize().is_ok_and(|dir| real.starts_with(dir));
    if !within {
        let what = format!("{} is a link to {}, outside of the mapping", file.path.display(), real.display());
        return Err(Failure::new(Exit::Usage, what).help("bless it where it lies"));
    }
    replace(&real, &text).map_err(|error| cannot(&error))?;
    Ok(true)
}

/// Puts the text in the file's place at once: whoever reads it has the old or the new one.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(std::fs::metadata(path)?.permissions())?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// What is told of the cases, one after the other.
struct Told<W> {
    out: Output<W>,
    json: bool,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    passed: usize,
    failed: usize,
    missing: usize,
    blessed: usize,
}

impl<W: Write> Told<W> {
    fn file(&mut self, file: &CaseFile) -> Result<(), Failure> {
        if self.json { Ok(()) } else { self.out.line(self.out.style.bold(&file.path.display().to_string())) }
    }

    fn case(&mut self, case: &Case, verdict: &Verdict, blessed: bool) -> Result<(), Failure> {
        let style = self.out.style;
        let (word, painted, count) = match verdict {
            Verdict::Passed => ("ok", style.green("ok     "), &mut self.counts.passed),
            Verdict::Failed(_) => ("failed", style.red("FAILED "), &mut self.counts.failed),
            Verdict::Missing if blessed => ("blessed", style.cyan("blessed"), &mut self.counts.blessed),
            Verdict::Missing => ("missing", style.yellow("missing"), &mut self.counts.missing),
        };
        *count += 1;
        let differences = match verdict {
            Verdict::Failed(differences) => differences.as_slice(),
            _ => &[],
        };
        if self.json {
            let differences: Vec<_> = differences.iter().map(as_json).collect();
            let told = json!({
                "file": &*case.origin.file, "line": case.origin.line, "name": case.name, "result": word,
                "differences": differences,
            });
            return self.out.line(told.to_string());
        }
        let line = format!("  {painted}  {}", case.name);
        match verdict {
            Verdict::Passed => self.out.line(line),
            _ => self.out.line(format!("{line}  {}", style.dim(&case.origin.to_string()))),
        }?;
        for difference in differences {
            self.out.line(in_words(difference, style))?;
        }
        Ok(())
    }

    fn end(mut self) -> Result<(), Failure> {
        let Counts { passed, failed, missing, blessed } = self.counts;
        let all = passed + failed + missing + blessed;
        if !self.json {
            let parts = [(failed, "failed"), (missing, "missing"), (blessed, "blessed")];
            let parts: Vec<_> =
                parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!(", {n} {what}")).collect();
            let cases = if all == 1 { "case" } else { "cases" };
            self.out.line(format!("{all} {cases}: {passed} ok{}", parts.concat()))?;
        }
        let what = match (failed, missing) {
            (0, 0) => return Ok(()),
            (0, missing) => format!("{missing} of {all} cases do not say what is expected"),
            (failed, _) => format!("{failed} of {all} cases do not come out as expected"),
        };
        let failure = Failure::new(Exit::Configuration, what);
        Err(if missing > 0 {
            failure
                .help("`--bless` writes what comes out now into the cases that expect nothing: read it then")
        } else {
            failure
        })
    }
}

fn in_words(difference: &Difference, style: Style) -> String {
    match difference {
        Difference::Dropped { by } => {
            let by = by.as_ref().map_or_else(String::new, |by| format!(", by {by}"));
            format!("           {}{by}", style.yellow("the entry is dropped"))
        }
        Difference::Sent => format!("           {}", style.yellow("the entry is sent, and not dropped")),
        Difference::Field { name, expected, got } => {
            let expected =
                expected.as_ref().map_or_else(|| "nothing".to_owned(), |value| format!("{value:?}"));
            let by = set_by(got.as_ref()).map_or_else(String::new, |by| format!("   {}", style.dim(&by)));
            let got = match got {
                None => "nothing: no file sets it for this entry".to_owned(),
                Some(got) => outcome(&got.outcome),
            };
            format!(
                "           {name}\n             expected {expected}\n             got      {}{by}",
                style.yellow(&got)
            )
        }
    }
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Value(value) => format!("{value:?}"),
        Outcome::Absent { placeholder } => format!("nothing: the entry has no value at {placeholder}"),
        Outcome::Misfit { text, wanted } => format!("nothing: {text:?} is not {wanted}"),
        Outcome::Blank => "nothing: its value is blank".to_owned(),
        Outcome::Unset => "nothing: it is unset".to_owned(),
    }
}

fn set_by(got: Option<&Explained>) -> Option<String> {
    let got = got?;
    Some(got.set_by.as_ref().map_or_else(|| "the action's own name".to_owned(), ToString::to_string))
}

fn as_json(difference: &Difference) -> serde_json::Value {
    match difference {
        Difference::Dropped { by } => {
            json!({ "dropped": true, "set_by": by.as_ref().map(ToString::to_string) })
        }
        Difference::Sent => json!({ "dropped": false }),
        Difference::Field { name, expected, got } => {
            let value = got.as_ref().and_then(|got| match &got.outcome {
                Outcome::Value(value) => Some(value),
                _ => None,
            });
            let why = match got {
                Some(got) if value.is_none() => Some(outcome(&got.outcome)),
                _ => None,
            };
            json!({
                "key": name, "expected": expected, "got": value, "why": why, "set_by": set_by(got.as_ref()),
            })
        }
    }
}
