//! The fuzzer's corpus, run once: whatever it found interesting must go on to come to an end.

#[expect(unreachable_pub, reason = "the fuzzer has it as a crate of its own")]
#[path = "../../fuzz/src/lib.rs"]
mod targets;

use std::fs;
use std::path::Path;

fn run(target: &str, with: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut inputs = 0;
    for file in fs::read_dir(folder).unwrap() {
        with(&fs::read(file.unwrap().path()).unwrap());
        inputs += 1;
    }
    assert!(inputs > 20, "{target} has {inputs} inputs");
}

#[test]
fn mapping_files() {
    run("mapping_file", targets::mapping_file);
}

#[test]
fn templates() {
    run("template", targets::template);
}

#[test]
fn entries() {
    run("entry", targets::entry);
}

#[test]
fn relp_answers() {
    run("relp", targets::relp);
}
