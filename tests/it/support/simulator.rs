//! `simulate slack` as a user runs it: a process of its own, with a plan.

use std::fs::{self, File};
use std::process::{Child, Stdio};
use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;

use super::daemon::{PATIENCE, tick};
use super::forwarder::command;

/// The simulated Slack at work; dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Simulator {
    child: Child,
    folder: TempDir,
    pub(crate) base_url: String,
    /// The address of an incoming webhook.
    pub(crate) webhook: String,
}

impl Simulator {
    pub(crate) async fn start(plan: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plan.toml");
        fs::write(&file, plan).unwrap();
        let to = |name: &str| File::create(folder.path().join(name)).unwrap();
        let mut simulate = command();
        simulate.args(["simulate", "slack", "--listen", "127.0.0.1:0", "--json", "--plan"]).arg(file);
        let child = simulate.stdin(Stdio::null()).stdout(to("seen")).stderr(to("said")).spawn().unwrap();
        let mut this = Self { child, folder, base_url: String::new(), webhook: String::new() };
        let start = Instant::now();
        loop {
            let said = this.read("said");
            let after = |words: &str| said.split_once(words).map(|(_, rest)| rest.to_owned());
            if let (Some(listens), Some(webhook)) = (after("base_url = \""), after("webhook ")) {
                this.base_url = listens.split('"').next().unwrap().to_owned();
                this.webhook = webhook.trim().to_owned();
                return this;
            }
            assert!(this.child.try_wait().unwrap().is_none() && start.elapsed() < PATIENCE, "{said}");
            tick().await;
        }
    }

    /// What came to it by now, oldest first.
    pub(crate) fn seen(&self) -> Vec<Value> {
        self.read("seen").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What came to that path.
    pub(crate) fn seen_at(&self, path: &str) -> Vec<Value> {
        self.seen().into_iter().filter(|seen| seen["path"] == path).collect()
    }

    /// The whole lines of that file: of `seen` and `said`.
    pub(crate) fn read(&self, name: &str) -> String {
        let mut text = fs::read_to_string(self.folder.path().join(name)).unwrap();
        text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
        text
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}
