//! Rows 20 and 30, in simulated time: a storm of 503s, and more calls than can be served.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use zentra_sidecar::admission::{Admission, AdmissionSettings};
use zentra_sidecar::upstream::{CircuitState, Effect, StackSettings};

use super::{Rig, SECOND, Step, TIME};

/// When each call began, in milliseconds, and whether it went well.
type Calls = Arc<Mutex<Vec<(u128, bool)>>>;

/// So many reads a second for so long.
async fn steady(rig: &Arc<Rig>, per_second: u32, time: Duration) -> Vec<(u128, bool)> {
    let calls = Calls::default();
    let began = Instant::now();
    let mut tasks = Vec::new();
    for number in 0..per_second * u32::try_from(time.as_secs()).unwrap() {
        sleep_until(began + SECOND * number / per_second).await;
        let (rig, calls) = (rig.clone(), calls.clone());
        tasks.push(tokio::spawn(async move {
            let at = began.elapsed().as_millis();
            let is_good = rig.exchange(Effect::Read, TIME).await == Ok(200);
            calls.lock().unwrap().push((at, is_good));
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let mut calls = calls.lock().unwrap().clone();
    calls.sort_unstable();
    calls
}

fn repeats(rig: &Rig) -> usize {
    rig.numbers().into_iter().filter(|number| *number > 1).count()
}

#[tokio::test(start_paused = true)]
async fn after_a_storm_of_a_minute_one_probe_lets_everything_through() {
    let storm = 60 * SECOND;
    let settings = StackSettings::default();
    let rig = Arc::new(Rig::with(&settings, [Step::StormUntil(storm)]));
    let calls = steady(&rig, 50, Duration::from_secs(90)).await;
    assert!(repeats(&rig) * 10 <= calls.len(), "{} of {}", repeats(&rig), calls.len());
    assert!(rig.state.circuit.times_opened() >= 5);
    assert_eq!(rig.state.circuit.state(), CircuitState::Closed);
    let reached = rig.tries_ms().into_iter().filter(|at| *at < storm.as_millis()).count();
    assert!(reached < 40, "a Zentra in trouble is left alone: {reached} of 3000");
    let first_good = calls.iter().find(|(_, is_good)| *is_good).unwrap().0;
    let longest_wait = settings_longest_wait();
    assert!(first_good <= (storm + longest_wait).as_millis(), "{first_good}");
    assert!(calls.iter().all(|(at, is_good)| *is_good == (*at >= first_good)));
}

fn settings_longest_wait() -> Duration {
    // The longest wait, its jitter, and the time to the next call.
    StackSettings::default().circuit.longest_wait.mul_f64(1.1) + Duration::from_millis(20)
}

/// A Zentra that fails half of the time never opens the circuit: the budget alone bounds repeats.
#[tokio::test(start_paused = true)]
async fn repeats_stay_below_a_tenth_of_the_calls_while_every_second_answer_is_a_503() {
    let steps = (0..20_000).map(|number| Step::Status(if number % 2 == 0 { 503 } else { 200 }));
    let rig = Arc::new(Rig::with(&StackSettings::default(), steps));
    let calls = steady(&rig, 50, Duration::from_secs(60)).await;
    assert_eq!(rig.state.circuit.times_opened(), 0);
    let repeats = repeats(&rig);
    assert!(repeats * 10 <= calls.len(), "{repeats} of {}", calls.len());
    assert!(repeats * 20 >= calls.len(), "and there are some: {repeats}");
}

/// 100 calls a second can be served: ten places, 100 ms each. Three times as many come.
#[tokio::test(start_paused = true)]
async fn three_times_the_load_leaves_the_goodput_and_is_refused_at_once() {
    let settings = StackSettings { requests_in_flight: 10, ..StackSettings::default() };
    let rig = Arc::new(Rig::with(&settings, [Step::Slow(Duration::from_millis(100))]));
    let door = Admission::new(AdmissionSettings { in_flight: 20, waiting: 20 });
    let mut tasks = Vec::new();
    let (offered, seconds) = (6000, 20);
    for _ in 0..offered {
        let (rig, door) = (rig.clone(), door.clone());
        tasks.push(tokio::spawn(async move {
            let began = Instant::now();
            let Ok(_place) = door.enter() else {
                assert!(began.elapsed().is_zero(), "a refusal waits for nothing");
                return None;
            };
            Some(rig.exchange(Effect::Write, TIME).await)
        }));
        sleep(SECOND * seconds / offered).await;
    }
    let mut good = 0;
    for task in tasks {
        if let Some(answer) = task.await.unwrap() {
            assert_eq!(answer, Ok(200), "who is taken in is served");
            good += 1;
        }
    }
    let peak = 100 * seconds;
    assert!(good * 10 >= peak * 9, "{good} of {peak}");
    assert_eq!(rig.tries_ms().len(), good as usize, "what is refused reaches nobody");
    assert_eq!(door.free(), 20);
}
