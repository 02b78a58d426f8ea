//! The scripts and the pure state machine agree, transition by transition.
//!
//! Random steps are taken at a real Redis, and then at the memory store with its clock set to the
//! moment at which Redis took them; answers, records, indices and counts must be equal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use zentra_sidecar::domain::{Actor, Caller, Currency, Operation, Reason, Reference};
use zentra_sidecar::idempotency::machine::Format;
use zentra_sidecar::idempotency::redis::RedisStore;
use zentra_sidecar::idempotency::{
    Advance, AfterLoss, Binding, Claim, Class, CounterId, Doubt, Evidence, LimitName, Lookup,
    MemoryStore, Outcome, PendingKind, PendingPage, Quantity, Release, Renew, SetStop, Settle,
    SettleBegin, Stamped, Stop, StopScope, Store, Take, Verdict,
};

use crate::support::payment::{LONG_MS, Payment, fence, outcome, owner};
use crate::support::redis::{Program, Server, settings};

/// Sequences in the test run, and steps in each.
const SEQUENCES: u32 = 200;
const STEPS: usize = 24;

/// Two releases at work on one store: the older does not understand what the newer writes.
const RELEASES: [Format; 2] = [Format { writes: 1, reads: 1 }, Format { writes: 2, reads: 2 }];

#[derive(Clone, Debug)]
enum Act {
    Claim(Claim),
    Renew(Renew),
    Complete(Evidence),
    Doubt(Doubt),
    Release(Release),
    Begin(SettleBegin),
    Settle(Settle),
    Advance(Advance),
    Stop(SetStop),
    Resume(Option<Reference>),
    Init,
    Wipe,
}

fn duration() -> impl Strategy<Value = u64> {
    prop_oneof![1 => Just(0), 3 => Just(LONG_MS)]
}

fn payment() -> impl Strategy<Value = Payment> {
    let named = (0..3usize, 0..2usize, 0..2usize).prop_map(|(key, reference, caller)| {
        let key = ["one", "two", "three"][key];
        let reference = ["order-1", "order-2"][reference];
        let caller = ["shop/checkout", "shop/other"][caller];
        let operation = if key == "three" { Operation::Refund } else { Operation::Charge };
        Payment::new(caller, operation, key, Some(reference))
    });
    let token = Just(Payment::new("shop/checkout", Operation::Tokenize, "token", None));
    let keys = prop_oneof![8 => Just(&[1u8][..]), 1 => Just(&[2][..]), 1 => Just(&[2, 1][..])];
    let periods = (duration(), duration(), duration(), duration());
    let which = prop_oneof![6 => named, 1 => token];
    (which, keys, 0..12u8, periods).prop_map(|(payment, keys, content, periods)| {
        let mut payment = match content {
            0 => payment.content("600 NGN"),
            _ => payment.keys(keys),
        };
        payment.periods.lease_ms = periods.0;
        payment.periods.retention_ms = periods.1;
        payment.periods.open_retention_ms = periods.2;
        payment.periods.look_up_first_ms = periods.3;
        payment
    })
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    let class = prop::sample::select(vec![
        Class::Open,
        Class::Open,
        Class::Succeeded,
        Class::Succeeded,
        Class::Failed,
        Class::NotHappened,
    ]);
    let id = prop::sample::select(vec!["", "chg_1", "chg_1", "chg_2"]);
    (class, id, 0..3u8).prop_map(|(class, id, phase)| outcome(class, id, phase))
}

/// Little room, so that it is often full; one window turns while a sequence is played.
fn takes() -> impl Strategy<Value = Vec<Take>> {
    let place = (0..3usize, 0..3usize, 1..5u64, 0..4usize);
    let take = place.prop_map(|(which, quantity, amount, binding)| Take {
        limit: LimitName::new(["daily", "often", "charge"][which]).unwrap(),
        counter: CounterId::new([["daily", "often", "charge"][which]]),
        window_ms: [24 * LONG_MS, 20, 0][which],
        quantity: [Quantity::One, Quantity::Amount(amount), Quantity::Rest][quantity],
        most: 8,
        binding: *[Binding::Observed, Binding::OnTrial].get(binding).unwrap_or(&Binding::Enforced),
    });
    prop::collection::vec(take, 0..4)
}

fn stop() -> impl Strategy<Value = SetStop> {
    (0..2usize, any::<[bool; 3]>(), prop::option::of(duration())).prop_map(
        |(name, [operation, caller, currency], for_ms)| SetStop {
            stop: Stop {
                id: Reference::new(["s1", "s2"][name]).unwrap(),
                scope: StopScope {
                    operation: operation.then_some(Operation::Charge),
                    caller: caller.then(|| Caller::new("shop/other").unwrap()),
                    currency: currency.then(|| Currency::new("NGN").unwrap()),
                },
                reason: Reason::new("a drill").unwrap(),
                by: Actor::new("jo").unwrap(),
                since_ms: 0,
                until_ms: None,
            },
            for_ms,
        },
    )
}

fn act() -> impl Strategy<Value = Act> {
    let who = (1..4u128, 1..4u64);
    let terms = (takes(), prop::option::of(0..6u64), stop());
    let base = (payment(), who, duration(), any_outcome(), any::<[bool; 3]>(), terms);
    let kinds = prop_oneof![
        8 => Just(0), 2 => Just(1), 5 => Just(2), 4 => Just(3), 3 => Just(4),
        1 => Just(5), 1 => Just(6), 2 => Just(7), 1 => Just(8), 1 => Just(9), 3 => Just(10),
        1 => Just(11), 1 => Just(12)
    ];
    (kinds, base).prop_map(|(kind, (payment, (by, epoch), some_ms, outcome, flags, terms))| {
        let (takes, amount, stop) = terms;
        let digest = payment.subject.digest;
        match kind {
            0 => Act::Claim(Claim {
                refused: flags[0] && flags[1],
                takes,
                currency: flags[2].then(|| Currency::new("NGN").unwrap()),
                after_loss: if flags[0] { AfterLoss::Deny } else { AfterLoss::Restart },
                ..payment.claim(by)
            }),
            1 => Act::Renew(Renew { digest, fence: fence(by, epoch), lease_ms: some_ms }),
            2 => Act::Complete(Evidence {
                verdict: if flags.iter().all(|it| *it) {
                    Verdict::Contradiction(outcome.clone())
                } else {
                    Verdict::Outcome(outcome.clone())
                },
                amount,
                next_check_after_ms: some_ms,
                ..payment.evidence(by, epoch, outcome)
            }),
            10 => Act::Complete(Evidence { amount, ..payment.observed(by, epoch, outcome) }),
            11 => Act::Stop(stop),
            12 => Act::Resume(flags[0].then(|| stop.stop.id.clone())),
            3 => Act::Doubt(Doubt {
                gives_up: flags[0],
                expires: flags[1],
                next_check_after_ms: some_ms,
                ..payment.doubt(by, epoch)
            }),
            4 => Act::Release(payment.release(by, epoch)),
            5 => Act::Begin(SettleBegin {
                digest,
                owner: owner(by),
                lease_ms: payment.periods.lease_ms,
                resend_window_ms: some_ms,
            }),
            6 => Act::Settle(Settle {
                digest,
                fence: fence(by, epoch),
                outcome,
                amount,
                settled_by: "jo: why".into(),
                periods: payment.periods,
            }),
            7 => Act::Advance(Advance { digest, next_check_after_ms: some_ms }),
            8 => Act::Init,
            _ => Act::Wipe,
        }
    })
}

/// Takes a step; the answer as text, and the store's clock where the step told it.
async fn take(store: &dyn Store, act: &Act) -> (String, Option<u64>) {
    fn told<T: std::fmt::Debug>(stamped: &Stamped<T>) -> (String, Option<u64>) {
        (format!("{:#?}", stamped.answer), Some(stamped.now_ms))
    }
    match act {
        Act::Claim(claim) => told(&store.claim(claim).await.unwrap()),
        Act::Renew(renew) => told(&store.renew(renew).await.unwrap()),
        Act::Complete(evidence) => told(&store.complete(evidence).await.unwrap()),
        Act::Doubt(doubt) => told(&store.doubt(doubt).await.unwrap()),
        Act::Release(release) => told(&store.release(release).await.unwrap()),
        Act::Begin(begin) => told(&store.settle_begin(begin).await.unwrap()),
        Act::Settle(settle) => told(&store.settle(settle).await.unwrap()),
        Act::Advance(advance) => told(&store.advance(advance).await.unwrap()),
        Act::Stop(set) => told(&store.stop(set).await.unwrap()),
        Act::Resume(id) => told(&store.resume(id.as_ref()).await.unwrap()),
        Act::Init => (format!("{:?}", store.init().await.unwrap()), None),
        Act::Wipe => (String::new(), None),
    }
}

/// All that can be seen of the store.
async fn seen(store: &dyn Store, payments: &[Payment]) -> (String, u64) {
    let mut text = String::new();
    for payment in payments {
        let lookup = Lookup::Digest(payment.subject.digest);
        let record = store.read(&lookup).await.unwrap().answer;
        text += &format!("{record:#?}\n");
    }
    for kind in [PendingKind::All, PendingKind::Conflicts] {
        let page = PendingPage { kind, offset: 0, limit: 100 };
        let records = store.pending(page).await.unwrap().answer;
        let names: Vec<_> = records.iter().map(|it| it.subject.digest).collect();
        text += &format!("{kind:?} {names:?}\n");
    }
    text += &format!("{:?}\n", store.stops().await.unwrap().answer);
    let stats = store.pending_stats().await.unwrap();
    text += &format!("{:?}", stats.answer);
    (text, stats.now_ms)
}

async fn replay(
    server: &Server,
    account: &str,
    acts: &[(usize, Act)],
) -> Result<(), TestCaseError> {
    let at_redis = RELEASES.map(|it| RedisStore::new(settings(&server.url(), account, it)));
    let clock = Arc::new(AtomicU64::new(0));
    let shown = Arc::clone(&clock);
    let memory = MemoryStore::new(move || shown.load(Ordering::SeqCst));
    let in_memory = RELEASES.map(|it| memory.seen_by(it));
    let payments: Vec<Payment> = ["shop/checkout", "shop/other"]
        .into_iter()
        .flat_map(|caller| {
            [
                Payment::new(caller, Operation::Charge, "one", Some("order-1")),
                Payment::new(caller, Operation::Charge, "two", Some("order-1")),
                Payment::new(caller, Operation::Refund, "three", Some("order-1")),
                Payment::new(caller, Operation::Tokenize, "token", None),
            ]
        })
        .collect();
    for (index, (release, act)) in acts.iter().enumerate() {
        let (redis, memory) = (&at_redis[*release], &in_memory[*release]);
        if matches!(act, Act::Wipe) {
            server.ask::<()>(&["FLUSHALL"]).await;
            memory.wipe();
        }
        let (at_redis, now_ms) = take(redis, act).await;
        if let Some(now_ms) = now_ms {
            clock.store(now_ms, Ordering::SeqCst);
        }
        let (in_memory, _) = take(memory, act).await;
        prop_assert_eq!(&at_redis, &in_memory, "step {} of release {}: {:#?}", index, release, act);
        // All records at the end; along the way counts and indices show what differs.
        let shown = if index + 1 == acts.len() { payments.as_slice() } else { &[] };
        let (at_redis, now_ms) = seen(redis, shown).await;
        clock.store(now_ms, Ordering::SeqCst);
        let (in_memory, _) = seen(memory, shown).await;
        prop_assert_eq!(&at_redis, &in_memory, "after step {}: {:#?}", index, act);
    }
    Ok(())
}

#[test]
fn the_scripts_agree_with_the_state_machine() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(Server::start(Program::Redis, &[]));
    let config = Config { cases: SEQUENCES, failure_persistence: None, ..Config::default() };
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let number = AtomicU64::new(0);
    let acts = prop::collection::vec((0..RELEASES.len(), act()), STEPS);
    let result = runner.run(&acts, |acts| {
        let account = format!("run-{}", number.fetch_add(1, Ordering::SeqCst));
        runtime.block_on(replay(&server, &account, &acts))
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
