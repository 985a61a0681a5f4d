//! Every test that needs more than one module: one binary, so that it links once.

mod store_contract;
mod store_damage;
mod store_full;
mod store_kill;
mod store_model;
mod store_refusal;
mod store_support;
