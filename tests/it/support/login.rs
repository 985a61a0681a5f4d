//! `auth login`, and the person who allows it in a browser.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use tokio::task::block_in_place;

/// A login under way.
pub(crate) struct Login {
    child: Child,
    stderr: BufReader<ChildStderr>,
    said: String,
}

impl Login {
    /// Starts that `auth login`.
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child, stderr, said: String::new() }
    }

    /// The address that a person opens.
    pub(crate) fn url(&mut self) -> String {
        loop {
            let mut line = String::new();
            let read = block_in_place(|| self.stderr.read_line(&mut line).unwrap());
            assert!(read > 0, "it ended: {}", self.said);
            self.said.push_str(&line);
            if let Some(url) = line.trim().strip_prefix("http://") {
                return format!("http://{url}");
            }
        }
    }

    /// Gives it what a person pastes.
    pub(crate) fn paste(&mut self, text: &str) {
        writeln!(self.child.stdin.take().unwrap(), "{text}").unwrap();
    }

    pub(crate) fn end(mut self) -> Output {
        let mut stderr = self.said.into_bytes();
        block_in_place(|| {
            self.stderr.read_to_end(&mut stderr).unwrap();
            let output = self.child.wait_with_output().unwrap();
            Output { stderr, ..output }
        })
    }
}

pub(crate) fn browser() -> reqwest::Client {
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    // A person clicks the warning away.
    client.tls_danger_accept_invalid_certs(true).build().unwrap()
}

/// Where Slack leads the browser back to.
pub(crate) async fn allowed(url: &str) -> String {
    let response = browser().get(url).send().await.unwrap();
    assert_eq!(response.status(), 302);
    response.headers()["location"].to_str().unwrap().to_owned()
}
