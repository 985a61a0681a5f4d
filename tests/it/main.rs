//! Every test that needs more than one module: one binary, so that it links once.

mod store_contract;
mod store_damage;
mod store_support;
