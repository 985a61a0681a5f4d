//! Every test that needs more than one module: one binary, so that it links once.

#[cfg(test)]
mod simulate_slack;
#[cfg(test)]
mod slack_poll;
