//! The schemas of mapping files and cases, as editors use them: checked with taplo.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::forwarder::slackcef;

/// taplo in a folder, which may hold its configuration.
///
/// # Panics
/// When it is not installed: a test must not pass for want of it.
fn taplo(dir: &Path, arguments: &[&str]) -> Output {
    let tools = std::env::var_os("SLACKCEF_TEST_TOOLS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".test-tools"), PathBuf::from);
    let taplo = tools.join("venv/bin/taplo");
    let mut command = Command::new(&taplo);
    command.args(["--colors", "never", "lint"]).args(arguments).current_dir(dir);
    command
        .output()
        .unwrap_or_else(|error| panic!("run tests/run, which installs taplo: {}: {error}", taplo.display()))
}

/// Writes a schema into a folder; the argument that names it.
fn schema(dir: &Path, arguments: &[&str]) -> String {
    let output = slackcef(&[&["mapping", "schema"], arguments].concat());
    assert!(output.status.success());
    let path = dir.join("mapping.schema.json");
    fs::write(&path, output.stdout).unwrap();
    format!("file://{}", path.display())
}

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Every TOML file below a folder, with those of its folders of that name left out or alone.
fn files(folder: &Path, cases: bool) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, cases));
        } else if path.extension().is_some_and(|extension| extension == "toml")
            && (path.parent().unwrap().file_name().unwrap() == "tests") == cases
            && path.file_name().unwrap() != "slackcef.toml"
        {
            found.push(path.to_str().unwrap().to_owned());
        }
    }
    found.sort();
    found
}

#[track_caller]
fn accepted(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[track_caller]
fn refused(output: &Output, for_what: &str) {
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && said.contains(for_what), "{for_what:?} is not in {said}");
}

#[test]
fn taplo_accepts_every_file_that_we_have() {
    let dir = tempfile::tempdir().unwrap();
    for (cases, arguments) in [(false, &[][..]), (true, &["--cases"])] {
        let schema = schema(dir.path(), arguments);
        let starter = root("src/commands/mapping/starter");
        let there: Vec<_> =
            [root("mappings"), starter].iter().flat_map(|folder| files(folder, cases)).collect();
        assert!(there.len() >= if cases { 1 } else { 19 }, "{there:?}");
        let there: Vec<_> = there.iter().map(String::as_str).collect();
        accepted(&taplo(dir.path(), &[&["--schema", schema.as_str()], there.as_slice()].concat()));
    }
}

#[test]
fn taplo_names_the_mistake() {
    let dir = tempfile::tempdir().unwrap();
    let schema = schema(dir.path(), &[]);
    for (name, for_what) in [
        ("top-unknown-key", "'feilds'"),
        ("action-unknown-key", "were unexpected"),
        ("key-unknown", "'suserr', 'soruceUserName'"),
        ("key-consumers", "unexpected"),
        ("key-full-name", "'sourceUserName'"),
        ("label-missing", "\"label\" is a required property"),
        ("label-unwanted", "'label' was unexpected"),
        ("value-missing", "\"value\" is a required property"),
        ("log-unknown", "is not one of [\"audit\""),
        ("version-future", "is not one of [1]"),
        ("severity", "11 is greater than the maximum of 10"),
        ("matchers", "unexpected"),
        ("header-text", "does not match"),
        ("types", "is not of type"),
    ] {
        let file = root(&format!("tests/problems/{name}.toml"));
        refused(&taplo(dir.path(), &["--schema", &schema, file.to_str().unwrap()]), for_what);
    }
    let cases = dir.path().join("cases.toml");
    fs::write(&cases, "version = 1\n[[cases]]\nname = \"x\"\nentry = '{}'\nexpects = { suserr = 1 }\n")
        .unwrap();
    let schema = self::schema(dir.path(), &["--cases"]);
    refused(&taplo(dir.path(), &["--schema", &schema, cases.to_str().unwrap()]), "'expects' was unexpected");
}

/// What the README says of switching it on.
#[test]
fn a_first_line_or_a_configuration_switches_it_on() {
    let dir = tempfile::tempdir().unwrap();
    schema(dir.path(), &[]);
    let mine = dir.path().join("mine.toml");
    let text = "version = 1\nlog = \"audit\"\n[fields]\nsuserr = \"x\"\n";
    fs::write(&mine, text).unwrap();
    accepted(&taplo(dir.path(), &["mine.toml"]));
    fs::write(&mine, format!("#:schema ./mapping.schema.json\n{text}")).unwrap();
    refused(&taplo(dir.path(), &["mine.toml"]), "'suserr' was unexpected");

    fs::write(&mine, text).unwrap();
    let readme = fs::read_to_string(root("mappings/README.md")).unwrap();
    let configuration = readme.split("# .taplo.toml\n").nth(1).unwrap().split("```").next().unwrap();
    fs::write(dir.path().join(".taplo.toml"), configuration).unwrap();
    refused(&taplo(dir.path(), &["mine.toml"]), "'suserr' was unexpected");
}
