//! Every test that needs more than one module: one binary, so that it links once.

// `cfg(test)` is what tells clippy that helpers are tests too.
#[cfg(test)]
mod store_contract;
#[cfg(test)]
mod store_damage;
#[cfg(test)]
mod store_full;
#[cfg(test)]
mod store_kill;
#[cfg(test)]
mod store_model;
#[cfg(test)]
mod store_refusal;
#[cfg(test)]
mod store_support;
