//! What exactly-once costs at the store: claim and complete of a first call, and a replay; in
//! memory, and at a Redis that the bench starts on a free port.
//!
//! `cargo bench --bench idempotency`. Compare ratios within one run: machines differ.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up has nothing to say")]

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use tokio::runtime::Runtime;
use zentra_sidecar::domain::{Account, Caller, Environment, IdempotencyKey, Operation, Reference};
use zentra_sidecar::idempotency::machine::Format;
use zentra_sidecar::idempotency::redis::{
    DEFAULT_STEP_TIMEOUT, RedisSettings, RedisStore, StoreUrl,
};
use zentra_sidecar::idempotency::{
    AfterLoss, Claim, ClaimAnswer, Class, Evidence, Fence, Fingerprint, FingerprintKeys, KeyDigest,
    MemoryStore, Outcome, OwnerId, Periods, Scope, Source, Store, Subject, Verdict, Work,
};

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A payment nobody has made yet, as large as a charge is.
fn payment() -> (Subject, Vec<Fingerprint>) {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let caller = Caller::new("shop/checkout").expect("a caller");
    let scope = Scope {
        account: &Account::new("default").expect("an account"),
        environment: Environment::Simulated,
        caller: &caller,
        operation: Operation::Charge,
    };
    let key = IdempotencyKey::new(&format!("bench-{number}")).expect("a key");
    let command = Bytes::from_static(&[b'x'; 160]);
    let keys = FingerprintKeys::ephemeral(std::array::from_fn(|index| index as u8));
    let subject = Subject {
        digest: KeyDigest::new(scope, &key),
        caller: caller.clone(),
        operation: Operation::Charge,
        reference: Reference::new(&format!("bench-{number}")).ok(),
        command: Some(command.clone()),
        trace_context: String::new(),
    };
    (subject, keys.fingerprints(&command))
}

async fn claim(store: &dyn Store, subject: &Subject, fingerprints: &[Fingerprint]) -> ClaimAnswer {
    let claim = Claim {
        subject: subject.clone(),
        fingerprints: fingerprints.to_vec(),
        owner: OwnerId::new(1),
        refused: false,
        takes: Vec::new(),
        currency: None,
        after_loss: AfterLoss::Restart,
        periods: Periods::default(),
    };
    store.claim(&claim).await.expect("a claim").answer
}

async fn first_call(store: &dyn Store, subject: &Subject, fingerprints: &[Fingerprint]) {
    let answer = claim(store, subject, fingerprints).await;
    let ClaimAnswer::Run { epoch, first_sent_ms, .. } = answer else {
        return assert!(matches!(answer, ClaimAnswer::Run { .. }), "{answer:?}");
    };
    let work = Work {
        subject: subject.clone(),
        fingerprints: fingerprints.to_vec(),
        fence: Fence { owner: OwnerId::new(1), epoch },
        first_sent_ms,
    };
    let outcome = Outcome {
        payload: Bytes::from_static(&[b'y'; 320]),
        provider_id: Some("chg_0123456789abcdef".to_owned()),
        class: Class::Succeeded,
        phase: 1,
    };
    let evidence = Evidence {
        source: Source::Owner(work),
        verdict: Verdict::Outcome(outcome),
        amount: None,
        attempts: Vec::new(),
        next_check_after_ms: 30_000,
        periods: Periods::default(),
    };
    store.complete(&evidence).await.expect("a completion");
}

fn measure(criterion: &mut Criterion, runtime: &Runtime, name: &str, store: &Arc<dyn Store>) {
    let mut group = criterion.benchmark_group(name);
    group.measurement_time(Duration::from_secs(5)).sample_size(50);
    group.bench_function("claim and complete", |bencher| {
        bencher.to_async(runtime).iter_batched(
            payment,
            |(subject, prints)| async move { first_call(&**store, &subject, &prints).await },
            criterion::BatchSize::SmallInput,
        );
    });
    let (subject, prints) = payment();
    runtime.block_on(first_call(&**store, &subject, &prints));
    group.bench_function("replay", |bencher| {
        bencher.to_async(runtime).iter(|| claim(&**store, &subject, &prints));
    });
    group.finish();
}

/// A Redis of this bench's own, ended with it.
struct Redis {
    process: Child,
    port: u16,
}

impl Redis {
    fn start() -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server; scripts/install-redis installs it");
        Self { process, port }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn at_redis(redis: &Redis, runtime: &Runtime) -> Arc<dyn Store> {
    let url = StoreUrl::parse(&format!("redis://127.0.0.1:{}", redis.port));
    let Ok(StoreUrl::Redis(url)) = url else { unreachable!("a Redis address") };
    let store: Arc<dyn Store> = Arc::new(RedisStore::new(RedisSettings {
        url,
        password_file: None,
        ca_file: None,
        step_timeout: DEFAULT_STEP_TIMEOUT,
        account: Account::new("default").expect("an account"),
        environment: Environment::Simulated,
        format: Format::default(),
    }));
    while runtime.block_on(store.init()).is_err() {
        std::thread::yield_now();
    }
    store
}

fn idempotency(criterion: &mut Criterion) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let began = tokio::time::Instant::now();
    let memory: Arc<dyn Store> = Arc::new(MemoryStore::new(move || {
        u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }));
    runtime.block_on(memory.init()).expect("a new store");
    measure(criterion, &runtime, "memory", &memory);
    let redis = Redis::start();
    let store = at_redis(&redis, &runtime);
    measure(criterion, &runtime, "redis", &store);
}

criterion_group!(benches, idempotency);
criterion_main!(benches);
