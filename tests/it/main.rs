//! Every test that needs more than one module: one binary, so that it links once.

// `cfg(test)` is what tells clippy that helpers are tests too.
#[cfg(test)]
mod mapping_plans;
#[cfg(test)]
mod mapping_properties;
#[cfg(test)]
mod problems;
