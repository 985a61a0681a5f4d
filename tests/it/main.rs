//! Every test that needs more than one module: one binary, so that it links once.

#[cfg(test)]
mod access;
#[cfg(test)]
mod allowlist;
#[cfg(test)]
mod arcsight_categorizer;
#[cfg(test)]
mod auth;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod cef_dictionary;
#[cfg(test)]
mod cef_parsers;
#[cfg(test)]
mod cef_properties;
#[cfg(test)]
mod cef_rules;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod deploy;
#[cfg(test)]
mod endings;
#[cfg(test)]
mod forward;
#[cfg(test)]
mod fuzz_corpus;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod http_proxy;
#[cfg(test)]
mod integration;
#[cfg(test)]
mod many_sources;
#[cfg(test)]
mod map_last;
#[cfg(test)]
mod mapping_conditions;
#[cfg(test)]
mod mapping_coverage;
#[cfg(test)]
mod mapping_examples;
#[cfg(test)]
mod mapping_list;
#[cfg(test)]
mod mapping_plans;
#[cfg(test)]
mod mapping_properties;
#[cfg(test)]
mod mapping_rest;
#[cfg(test)]
mod mapping_schema;
#[cfg(test)]
mod mapping_shipped;
#[cfg(test)]
mod mapping_tools;
#[cfg(test)]
mod message_size;
#[cfg(test)]
mod misbehaving;
#[cfg(test)]
mod notices;
#[cfg(test)]
mod problems;
#[cfg(test)]
mod prove;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod rates;
#[cfg(test)]
mod real_entries;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod reload_configuration;
#[cfg(test)]
mod relp;
#[cfg(test)]
mod relp_session;
#[cfg(test)]
mod restart;
#[cfg(test)]
mod silence;
#[cfg(test)]
mod simulate_receiver;
#[cfg(test)]
mod simulate_slack;
#[cfg(test)]
mod slack_poll;
#[cfg(test)]
mod status;
#[cfg(test)]
mod store_archive;
#[cfg(test)]
mod store_contract;
#[cfg(test)]
mod store_damage;
#[cfg(test)]
mod store_formats;
#[cfg(test)]
mod store_full;
#[cfg(test)]
mod store_kill;
#[cfg(test)]
mod store_memos;
#[cfg(test)]
mod store_model;
#[cfg(test)]
mod store_refusal;
#[cfg(test)]
mod store_support;
#[cfg(test)]
mod support;
#[cfg(test)]
mod syslog_peers;
#[cfg(test)]
mod syslog_sink;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod trace;
