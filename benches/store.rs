//! What storing and reading cost: a thousand events of Slack's usual size a batch.
//!
//! `append` is bound by the disk's sync; `drain` by decompressing.

#![allow(missing_docs, reason = "criterion's macros make public items without a word")]

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use slackcef::event::{Entry, Log, UnixTime};
use slackcef::store::{Batch, Bookmark, Reader, ReaderName, Settings, SourceId, Store};
use tokio::runtime::Runtime;

const EVENTS: u64 = 1_000;

/// A page of sign-ins, about 800 bytes each, from that number on.
fn page(from: u64) -> Vec<Entry> {
    let one = |n: u64| {
        let at = 1_795_132_800 + i64::try_from(n / 8).unwrap_or_default();
        let id = format!("{:08x}-{:04x}-4000-8000-{:012x}", fastrand::u32(..), fastrand::u16(..), n);
        let json = format!(
            r#"{{"id":"{id}","date_create":{at},"action":"user_login","actor":{{"type":"user","user":{{"id":"W{:08X}","name":"Person {}","email":"person.{}@acme.example","team":"T0123ABCD"}}}},"entity":{{"type":"user","user":{{"id":"W{:08X}","name":"Person {}","email":"person.{}@acme.example","team":"T0123ABCD"}}}},"context":{{"location":{{"type":"enterprise","id":"E0123ABCD","name":"Acme Corporation","domain":"acme"}},"ua":"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36","session_id":{},"ip_address":"198.51.{}.{}","app":{{"id":"A0123ABCD","name":"Slack for desktop","is_distributed":true,"scopes":["identify","client"]}}}}}}"#,
            n % 5_000,
            n % 5_000,
            n % 5_000,
            n % 5_000,
            n % 5_000,
            n % 5_000,
            120 + n % 9,
            fastrand::u32(..),
            fastrand::u8(..),
            fastrand::u8(..),
        );
        Entry::from_raw(Log::Audit, Bytes::from(json), UnixTime::from_seconds(at), 0).ok()
    };
    (from..from + EVENTS).filter_map(one).collect()
}

fn store(dir: &Path) -> Store {
    let settings =
        Settings { dir: dir.join("state"), retention: Duration::from_secs(7 * 86_400), max_size: 10 << 30 };
    Store::open(&settings).map_or_else(|error| panic!("{error}"), |(store, _)| store)
}

async fn append(store: &Store, entries: Vec<Entry>) {
    let batch = Batch::new(SourceId::new("acme"), entries, Bookmark::new([0; 64]));
    store
        .append(batch)
        .await
        .map_or_else(|error| panic!("{error}"), |appended| assert_eq!(appended.fresh, 1_000));
}

async fn drain(reader: &mut Reader, events: u64) {
    let at_most = NonZeroUsize::new(1_000).unwrap_or(NonZeroUsize::MIN);
    let mut read = 0;
    while read < events {
        let Ok(lease) = reader.next(at_most).await else { panic!("cannot read") };
        let count = black_box(lease.entries()).len();
        read += count as u64;
        assert!(reader.settle(lease, count).await.is_ok());
    }
}

fn appending(criterion: &mut Criterion) {
    let (runtime, dir) = surroundings();
    let store = store(dir.path());
    let mut from = 0;
    let mut group = criterion.benchmark_group("store");
    group.throughput(Throughput::Elements(EVENTS));
    group.bench_function("append", |bencher| {
        bencher.iter_custom(|times| {
            let mut took = Duration::ZERO;
            for _ in 0..times {
                let entries = page(from);
                from += EVENTS;
                let begin = Instant::now();
                runtime.block_on(append(&store, entries));
                took += begin.elapsed();
            }
            took
        });
    });
}

fn draining(criterion: &mut Criterion) {
    const BATCHES: u64 = 100;
    let (runtime, dir) = surroundings();
    let store = store(dir.path());
    for batch in 0..BATCHES {
        runtime.block_on(append(&store, page(batch * EVENTS)));
    }
    let mut group = criterion.benchmark_group("store");
    group.throughput(Throughput::Elements(BATCHES * EVENTS)).sample_size(10);
    let mut readers = 0;
    group.bench_function("drain", |bencher| {
        bencher.iter(|| {
            readers += 1;
            runtime.block_on(async {
                let name = ReaderName::new(format!("reader-{readers}"));
                match store.reader(name, None).await {
                    Ok(mut reader) => drain(&mut reader, BATCHES * EVENTS).await,
                    Err(error) => panic!("{error}"),
                }
            });
        });
    });
}

fn surroundings() -> (Runtime, tempfile::TempDir) {
    match (Runtime::new(), tempfile::tempdir()) {
        (Ok(runtime), Ok(dir)) => (runtime, dir),
        (runtime, dir) => panic!("{:?} {:?}", runtime.err(), dir.err()),
    }
}

criterion_group!(benches, appending, draining);
criterion_main!(benches);
