//! Row 20: a Zentra that fails again and again is left alone, and is back after one probe.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::time::{advance, sleep};
use zentra_sidecar::upstream::{CircuitState, Effect, StackSettings, TransportError};

use super::{Rig, SECOND, Step, TIME};

const OPEN: fn(Duration) -> Result<u16, TransportError> =
    |retry_after| Err(TransportError::CircuitOpen { retry_after });

/// Ten writes that fail: writes, as those are not repeated.
async fn open(rig: &Rig) {
    for _ in 0..10 {
        assert_eq!(rig.exchange(Effect::Write, TIME).await, Ok(503));
    }
    assert_eq!(rig.state.circuit.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_while_it_is_open_but_look_ups() {
    let rig = Rig::new([Step::Status(503)]);
    open(&rig).await;
    for effect in [Effect::Write, Effect::Read] {
        assert_eq!(rig.exchange(effect, TIME).await, OPEN(SECOND));
    }
    assert_eq!(rig.tries_ms().len(), 10);
    assert_eq!(rig.exchange(Effect::LookUp, TIME).await, Ok(503));
    assert_eq!(rig.tries_ms().len(), 13, "what became of a payment is asked all the same");
    assert_eq!(rig.state.circuit.times_opened(), 1, "and says nothing about the circuit");
}

#[tokio::test(start_paused = true)]
async fn one_probe_closes_it() {
    let ten = std::iter::repeat_n(Step::Status(503), 10);
    let rig = Arc::new(Rig::new(ten.chain([Step::Slow(SECOND)])));
    open(&rig).await;
    advance(SECOND).await;
    let probe = tokio::spawn({
        let rig = rig.clone();
        async move { rig.exchange(Effect::Write, TIME).await }
    });
    sleep(Duration::from_millis(1)).await;
    assert_eq!(rig.state.circuit.state(), CircuitState::HalfOpen);
    assert_eq!(rig.exchange(Effect::Write, TIME).await, OPEN(SECOND), "one at a time");
    assert_eq!(probe.await.unwrap(), Ok(200));
    assert_eq!(rig.state.circuit.state(), CircuitState::Closed);
    assert_eq!(rig.exchange(Effect::Write, TIME).await, Ok(200));
    assert_eq!(rig.tries_ms().len(), 12);
}

#[tokio::test(start_paused = true)]
async fn a_probe_whose_caller_goes_away_makes_way() {
    let ten = std::iter::repeat_n(Step::Status(503), 10);
    let rig = Arc::new(Rig::new(ten.chain([Step::Hangs, Step::Status(200)])));
    open(&rig).await;
    advance(SECOND).await;
    let probe = tokio::spawn({
        let rig = rig.clone();
        async move { rig.exchange(Effect::Read, TIME).await }
    });
    sleep(Duration::from_millis(1)).await;
    probe.abort();
    let _ = probe.await;
    assert_eq!(rig.exchange(Effect::Read, TIME).await, Ok(200));
    assert_eq!(rig.state.circuit.state(), CircuitState::Closed);
}

/// What Zentra says counts, whether it is heard out or not.
#[tokio::test(start_paused = true)]
async fn an_answer_whose_body_is_cut_off_or_too_large_counts_by_its_status() {
    for (status, state) in [(200, CircuitState::Closed), (503, CircuitState::Open)] {
        let status = StatusCode::from_u16(status).unwrap();
        for fault in
            [TransportError::CutOff { status }, TransportError::TooLarge { status, limit_bytes: 1 }]
        {
            let rig = Rig::new([Step::Fails(fault)]);
            for _ in 0..10 {
                assert_eq!(rig.exchange(Effect::Write, TIME).await, Err(fault));
            }
            assert_eq!(rig.state.circuit.state(), state, "{fault:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_never_open_it() {
    for status in [400, 401, 403, 404, 409, 422, 429] {
        let rig = Rig::new([Step::Status(status)]);
        for _ in 0..50 {
            assert_eq!(rig.exchange(Effect::Write, SECOND / 20).await, Ok(status));
        }
        assert_eq!(rig.state.circuit.state(), CircuitState::Closed, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn silence_and_refused_connections_open_it() {
    for step in [Step::Hangs, Step::Fails(TransportError::NotSent)] {
        let rig = Rig::new([step.clone()]);
        for _ in 0..10 {
            assert_eq!(rig.state.circuit.state(), CircuitState::Closed, "{step:?}");
            assert!(rig.exchange(Effect::Write, SECOND / 20).await.is_err());
        }
        assert_eq!(rig.state.circuit.state(), CircuitState::Open, "{step:?}");
    }
}

/// 300 ms of silence each, which is three tenths of a failure: ten whole ones after 34 reads.
#[tokio::test(start_paused = true)]
async fn a_zentra_that_hangs_under_short_reads_alone_opens_it() {
    let rig = Rig::new([Step::Hangs]);
    let time = Duration::from_millis(300);
    for _ in 0..34 {
        assert_eq!(rig.state.circuit.state(), CircuitState::Closed);
        assert_eq!(rig.exchange(Effect::Read, time).await, Err(TransportError::TimedOut));
    }
    assert_eq!(rig.state.circuit.state(), CircuitState::Open);
    // After its wait a probe of the same kind shows too little to decide: the next one is sent too.
    sleep(SECOND).await;
    assert_eq!(rig.exchange(Effect::Read, time).await, Err(TransportError::TimedOut));
    assert_eq!(rig.exchange(Effect::Read, SECOND).await, Err(TransportError::TimedOut));
    assert_eq!(rig.exchange(Effect::Read, time).await, OPEN(2 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn callers_that_go_away_say_how_long_they_have_waited() {
    let rig = Arc::new(Rig::new([Step::Hangs]));
    for _ in 0..10 {
        assert_eq!(rig.state.circuit.state(), CircuitState::Closed);
        let call = tokio::spawn({
            let rig = rig.clone();
            async move { rig.exchange(Effect::Read, TIME).await }
        });
        sleep(SECOND).await;
        call.abort();
        let _ = call.await;
    }
    assert_eq!(rig.state.circuit.state(), CircuitState::Open);
}

/// Zentra takes 200 ms: callers that give it 100 ms do not shut out the one that waits.
#[tokio::test(start_paused = true)]
async fn callers_in_a_hurry_do_not_open_it_while_anybody_is_answered() {
    let rig = Rig::new([Step::Slow(SECOND / 5)]);
    for _ in 0..20 {
        for _ in 0..50 {
            let hasty = rig.exchange(Effect::Read, SECOND / 10).await;
            assert_eq!(hasty, Err(TransportError::TimedOut));
        }
        assert_eq!(rig.exchange(Effect::Write, TIME).await, Ok(200));
    }
    assert_eq!(rig.state.circuit.times_opened(), 0);
}

/// Only Zentra's own silence counts: these have not been asked there.
#[tokio::test(start_paused = true)]
async fn reads_that_end_in_the_queue_say_nothing() {
    let settings = StackSettings { requests_in_flight: 1, ..StackSettings::default() };
    let rig = Arc::new(Rig::with(&settings, [Step::Hangs]));
    let first = tokio::spawn({
        let rig = rig.clone();
        async move { rig.exchange(Effect::Write, TIME).await }
    });
    tokio::task::yield_now().await;
    let waiting = (0..30).map(|_| rig.exchange(Effect::Read, 3 * SECOND));
    futures_util::future::join_all(waiting).await;
    assert_eq!(rig.state.circuit.state(), CircuitState::Closed);
    first.abort();
}
