//! What one entry costs on its way to a CEF line, with the shipped mapping.
//!
//! `read` is the measure to hold the others against: one pass of `serde_json` over the same text
//! that keeps nothing.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde::Deserialize;
use serde::de::IgnoredAny;
use slackcef::cef::{Encoder, Event};
use slackcef::event::{Entry, Log, UnixTime};
use slackcef::mapping::{self, Layer, MappingFile, Scratch};

/// 870 bytes, as large as the average entry of a busy organization.
const LOGIN: &str = concat!(
    r#"{"id":"0123a45b-6c7d-8900-e12f-3456789gh0i1","date_create":1766105755,"action":"user_login","#,
    r#""actor":{"type":"user","user":{"id":"W123AB456","name":"Charlie Parker","#,
    r#""email":"charlie.parker@example.com","team":"T0123ABCD","account_type":"FULL_MEMBER"}},"#,
    r#""entity":{"type":"user","user":{"id":"W123AB456","name":"Charlie Parker","#,
    r#""email":"charlie.parker@example.com","team":"T0123ABCD","account_type":"FULL_MEMBER"}},"#,
    r#""context":{"location":{"type":"workspace","id":"T0123ABCD","name":"Birdland","domain":"birdland"},"#,
    r#""ua":"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) "#,
    r#"Chrome/142.0.0.0 Safari/537.36","ip_address":"192.0.2.57","session_id":10137226569043},"#,
    r#""details":{"authentication_method":"saml","secondary_authentication_method":"none","#,
    r#""idp_config_id":"Se0123456789","config_type":"okta","label":"Birdland SSO","idp_entity_id":"https://idp.example.com/sso"}}"#,
);

fn event_to_cef(criterion: &mut Criterion) {
    let entry =
        Entry::from_raw(Log::Audit, Bytes::from_static(LOGIN.as_bytes()), UnixTime::from_seconds(0), 0)
            .expect("the sample is an entry");
    let plans = mapping::compile(&mapping::builtin()).expect("the shipped mapping has no mistake");
    let (mut scratch, mut event, mut line) = (Scratch::new(), Event::new(), Vec::new());
    let encoder = Encoder::default();

    let mut group = criterion.benchmark_group("event_to_cef");
    group.throughput(Throughput::Elements(1));
    group.bench_function("read", |bencher| {
        bencher.iter(|| {
            let mut json = serde_json::Deserializer::from_slice(black_box(LOGIN.as_bytes()));
            IgnoredAny::deserialize(&mut json)
        });
    });
    group.bench_function("map", |bencher| {
        bencher.iter(|| {
            let plan = plans.plan(entry.log(), entry.action().as_str());
            black_box(plan.apply(black_box(&entry), &mut scratch, &mut event));
        });
    });
    group.bench_function("map_and_encode", |bencher| {
        bencher.iter(|| {
            line.clear();
            let plan = plans.plan(entry.log(), entry.action().as_str());
            plan.apply(black_box(&entry), &mut scratch, &mut event);
            black_box(encoder.encode(&event, 8_000, &mut line));
        });
    });
    group.finish();
    let mut files = mapping::builtin();
    let text = "version = 1\nlog = \"audit\"\n[fields]\nAcmeTenant = \"emea\"\n";
    files.push(MappingFile::new("acme.toml", Layer::Customer, text));
    criterion.bench_function("compile_a_customers_mapping", |bencher| {
        bencher.iter(|| mapping::compile(&files));
    });
    // By another name they are not the program's own, which are read once.
    for file in &mut files {
        file.name = format!("renamed/{}", file.name).into();
    }
    criterion.bench_function("compile_the_shipped_mapping", |bencher| {
        bencher.iter(|| mapping::compile(&files));
    });
}

criterion_group!(benches, event_to_cef);
criterion_main!(benches);
