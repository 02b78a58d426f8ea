//! What is repeated, how often, after which pauses, and what is left of the budget.

use http::{Request, StatusCode};
use tower::ServiceExt as _;
use zentra_sidecar::upstream::{
    BudgetSettings, CircuitState, Effect, Repeated, SendFence, StackSettings, Terms,
    TransportError, Tries,
};

use super::{Rig, SECOND, Step, TIME};

/// The budget that a stack begins with.
const FULL: u64 = 10_000;

#[tokio::test(start_paused = true)]
async fn a_read_is_tried_three_times_with_growing_pauses() {
    let rig = Rig::new([Step::Status(503), Step::Status(500), Step::Status(502)]);
    assert_eq!(rig.exchange(Effect::Read, TIME).await, Ok(502));
    assert_eq!(rig.tries_ms(), [0, 50, 150]);
    assert_eq!(rig.numbers(), [1, 2, 3]);
    assert_eq!(rig.tokens_left_milli(), FULL - 2000);
}

#[tokio::test(start_paused = true)]
async fn a_read_whose_connection_breaks_is_tried_again() {
    let rig = Rig::new([Step::Fails(TransportError::Broken), Step::Status(200)]);
    assert_eq!(rig.exchange(Effect::LookUp, TIME).await, Ok(200));
    assert_eq!(rig.tries_ms(), [0, 50]);
}

/// Rows 18, 19 and 25: whether to post again is for the engine, after a look-up.
#[tokio::test(start_paused = true)]
async fn a_doubtful_write_is_tried_once_and_costs_no_token() {
    for step in [
        Step::Status(500),
        Step::Status(503),
        Step::Asks(503, "1"),
        Step::Status(408),
        Step::Status(409),
        Step::Fails(TransportError::Broken),
        Step::Fails(TransportError::CutOff { status: StatusCode::CREATED }),
        Step::Fails(TransportError::TooLarge { status: StatusCode::CREATED, limit_bytes: 1 }),
        Step::Hangs,
    ] {
        let rig = Rig::new([step.clone(), Step::Status(200)]);
        let _ = rig.exchange(Effect::Write, TIME).await;
        assert_eq!(rig.tries_ms(), [0], "{step:?}");
        assert_eq!(rig.tokens_left_milli(), FULL, "{step:?}");
    }
}

/// Row 32, within one exchange: what was provably not processed leaves no doubt behind.
#[tokio::test(start_paused = true)]
async fn a_write_that_was_not_processed_is_tried_again() {
    let refused = Step::Fails(TransportError::NotSent);
    let rig = Rig::new([refused, Step::Status(429), Step::Status(201)]);
    assert_eq!(rig.exchange(Effect::Write, TIME).await, Ok(201));
    assert_eq!(rig.tries_ms(), [0, 50, 150]);
    assert_eq!(rig.tokens_left_milli(), FULL - 2000);
}

#[tokio::test(start_paused = true)]
async fn a_write_becomes_doubtful_at_its_last_try_and_stays_so() {
    let refused = Step::Fails(TransportError::NotSent);
    let rig = Rig::new([refused, Step::Fails(TransportError::Broken), Step::Status(201)]);
    assert_eq!(rig.exchange(Effect::Write, TIME).await, Err(TransportError::Broken));
    assert_eq!(rig.tries_ms(), [0, 50]);
}

/// The engine counts the POSTs of a payment, and says how many are left.
#[tokio::test(start_paused = true)]
async fn no_more_tries_are_taken_than_the_request_may() {
    let rig = Rig::new([Step::Status(429)]);
    let tries = Tries::default();
    let mut request = Request::new(bytes::Bytes::new());
    let (deadline, most_tries) = (Some(tokio::time::Instant::now() + TIME), Some(2));
    let effect = Effect::Write;
    let terms = Terms { effect, deadline, tries: tries.clone(), most_tries, ..Terms::default() };
    request.extensions_mut().insert(terms);
    let answer = rig.upstream.clone().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), 429);
    assert_eq!(rig.tries_ms(), [0, 50]);
    assert_eq!(rig.tokens_left_milli(), FULL - 1000);
    let repeated = Repeated::Answered(http::StatusCode::TOO_MANY_REQUESTS);
    assert_eq!((tries.count(), tries.repeated()), (2, vec![repeated]));
}

#[tokio::test(start_paused = true)]
async fn an_empty_budget_hands_the_first_answer_on() {
    let budget = BudgetSettings { capacity_milli: 1500, ..BudgetSettings::default() };
    let settings = StackSettings { budget, ..StackSettings::default() };
    let rig = Rig::with(&settings, [Step::Status(503)]);
    assert_eq!(rig.exchange(Effect::Read, TIME).await, Ok(503));
    assert_eq!(rig.tries_ms(), [0, 50], "one repeat was paid for");
    assert_eq!(rig.exchange(Effect::Read, TIME).await, Ok(503));
    assert_eq!(rig.tries_ms(), [0, 50, 50], "the next was not");
}

#[tokio::test(start_paused = true)]
async fn no_repeat_leaves_once_the_lease_is_over() {
    let rig = Rig::new([Step::Asks(429, "8"), Step::Status(201)]);
    let now = tokio::time::Instant::now();
    let (deadline, fence) = (Some(now + TIME), Some(SendFence::new(now, 5 * SECOND)));
    let mut request = Request::new(bytes::Bytes::new());
    request.extensions_mut().insert(Terms { deadline, fence, ..Terms::default() });
    let answer = rig.upstream.clone().oneshot(request).await;
    assert_eq!(answer.unwrap_err(), TransportError::LeaseOver);
    assert_eq!(rig.tries_ms(), [0]);
}

/// Else a storm would pay for itself: each failed payment is looked up and sent once more.
#[tokio::test(start_paused = true)]
async fn look_ups_and_repeats_bring_nothing_into_the_budget() {
    let budget = BudgetSettings { per_second_milli: 0, ..BudgetSettings::default() };
    let rig = Rig::with(&StackSettings { budget, ..StackSettings::default() }, [Step::Status(503)]);
    rig.exchange(Effect::Read, TIME).await.unwrap();
    let spent = FULL - 2000;
    assert_eq!(rig.tokens_left_milli(), spent);
    rig.far.script([Step::Status(200)]);
    rig.exchange(Effect::LookUp, TIME).await.unwrap();
    let terms = Terms { effect: Effect::Write, is_repeat: true, ..Terms::default() };
    let mut request = Request::new(bytes::Bytes::new());
    request.extensions_mut().insert(terms);
    rig.upstream.clone().oneshot(request).await.unwrap();
    assert_eq!(rig.tokens_left_milli(), spent);
    rig.exchange(Effect::Write, TIME).await.unwrap();
    assert_eq!(rig.tokens_left_milli(), spent + 80, "a payment's first try does");
}

/// What an open circuit keeps back is no traffic: hours of refusals pay for no repeat.
#[tokio::test(start_paused = true)]
async fn what_is_kept_back_brings_nothing_into_the_budget() {
    let rig = Rig::new([Step::Status(503)]);
    for _ in 0..10 {
        let _ = rig.exchange(Effect::Read, TIME).await;
        if rig.state.circuit.state() == CircuitState::Open {
            break;
        }
    }
    let left = rig.tokens_left_milli();
    assert!(left < FULL - 1000, "{left}");
    for _ in 0..20 {
        let refused = rig.exchange(Effect::Write, TIME).await;
        assert!(matches!(refused, Err(TransportError::CircuitOpen { .. })), "{refused:?}");
    }
    assert_eq!(rig.tokens_left_milli(), left);
}

/// As one that goes out again because its key was refused: it may take longer than there is.
#[tokio::test(start_paused = true)]
async fn a_repeat_does_not_begin_in_the_second_half_of_the_time_to_drain() {
    let rig = Rig::new([Step::Status(201)]);
    let again = |is_repeat| {
        let mut request = Request::new(bytes::Bytes::new());
        request.extensions_mut().insert(Terms { is_repeat, ..Terms::default() });
        rig.upstream.clone().oneshot(request)
    };
    rig.draining.begin();
    assert_eq!(again(true).await.unwrap().status(), 201);
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(again(true).await.unwrap_err(), TransportError::Ending);
    assert_eq!(again(false).await.unwrap().status(), 201, "what was let in may begin");
}
