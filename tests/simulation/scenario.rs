//! One run: callers call, things break, and in the end everything has to resolve.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::time::{Instant, sleep};
use zentra_sidecar::engine::Terms;
use zentra_sidecar::error::{Error, Reason};

use super::chance::Chance;
use super::history::{Event, History, Step};
use super::judge::Violation;
use super::ledger::Kind;
use super::limits;
use super::mode::Mode;
use super::orders::{Heard, Order};
use super::others;
use super::process::{Process, Settings};
use super::resolution;
use super::upstream::LATEST_MS;
use super::world::{Keep, World};

/// How a run ended.
pub(crate) struct Report {
    pub(crate) violation: Option<Violation>,
    pub(crate) hash: u64,
    pub(crate) counts: BTreeMap<&'static str, u64>,
    pub(crate) trace: Vec<String>,
    pub(crate) history: History,
}

/// Runs one seed.
pub(crate) fn run(seed: u64, mode: Mode, keep: Keep) -> Report {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = World::new(seed, mode, keep);
        let mut stage = Stage::set(world.clone()).await;
        stage.storm().await;
        if !world.is_over() {
            stage.calm().await;
        }
        let mut inner = world.lock();
        Report {
            violation: inner.judge.violation().cloned(),
            hash: inner.hash(),
            counts: std::mem::take(&mut inner.counts),
            trace: inner.take_trace(),
            history: std::mem::replace(&mut inner.history, History::new(false)),
        }
    })
}

/// The processes of a run and what their callers still want.
pub(crate) struct Stage {
    pub(crate) world: Arc<World>,
    pub(crate) settings: Settings,
    pub(crate) processes: Vec<Process>,
    pub(crate) orders: Vec<Order>,
    todo: Vec<usize>,
    live: Arc<AtomicUsize>,
    /// Orders whose callers did not hear an end and try again.
    again: Arc<std::sync::Mutex<Vec<usize>>>,
}

const MOST_STEPS: u32 = 400;

impl Stage {
    async fn set(world: Arc<World>) -> Self {
        let Drawn { settings, number, orders, todo, declared } = draw(&world);
        let mut processes = Vec::new();
        for number in 0..usize::try_from(number).unwrap() {
            processes.push(Process::start(&world, number, &settings).await);
        }
        if declared {
            let answer = Step::Init.apply(&world.store).await.unwrap();
            let now_ms = world.store_now_ms();
            world.lock().history.add(now_ms, || Event::Step(Step::Init, answer));
        }
        let (live, again) = (Arc::default(), Arc::default());
        Self { world, settings, processes, orders, todo, live, again }
    }

    pub(crate) fn below(&self, end: usize) -> usize {
        usize::try_from(self.world.lock().chance.below(end as u64)).unwrap()
    }

    async fn storm(&mut self) {
        let mut steps = 0;
        while steps < MOST_STEPS && !self.world.is_over() {
            steps += 1;
            self.todo.append(&mut self.again.lock().unwrap());
            if self.todo.is_empty() && self.live.load(Ordering::Relaxed) == 0 {
                break;
            }
            let pauses: &[u64] = match self.todo.len() {
                0..15 => &[0, 0, 1, 5, 50, 400, 1_500, 4_000],
                _ => &[0, 0, 0, 1, 5],
            };
            let pause = self.world.lock().chance.pick(pauses);
            sleep(Duration::from_millis(pause)).await;
            self.disturb();
            limits::operate(&self.world).await;
            self.restart().await;
            others::act(self);
            let begin = self.world.lock().chance.percent(60);
            if begin && let Some(index) = self.todo.pop() {
                self.call(index);
            } else if self.world.lock().chance.percent(15) {
                self.look_around();
            }
        }
    }

    /// Dead processes come back.
    pub(crate) async fn restart(&mut self) {
        for number in 0..self.processes.len() {
            if self.processes[number].life.is_dead() {
                self.processes[number] = Process::start(&self.world, number, &self.settings).await;
            }
        }
    }

    /// A call, with a deadline, a caller that may go away, and perhaps a policy that refuses.
    fn call(&self, index: usize) {
        let world = self.world.clone();
        let process = self.processes[self.below(self.processes.len())].clone();
        let order = self.orders[index].clone();
        let (live, again) = (self.live.clone(), self.again.clone());
        live.fetch_add(1, Ordering::Relaxed);
        let (deadline_ms, gone_ms, refused, limited) = {
            let mut inner = world.lock();
            let chance = &mut inner.chance;
            let deadline_ms = chance.pick(&[120, 1_000, 3_000, 15_000, 60_000]);
            let goes = chance.percent(10);
            let gone_ms = chance.between(0, 2_000);
            let refused = chance.percent(world.weather.refusals);
            let limited = chance.percent(40);
            (deadline_ms, goes.then_some(gone_ms), refused, limited)
        };
        if refused {
            world.fault("refusal", || order.reference.to_string());
        }
        tokio::spawn(async move {
            // Any reason will do: what counts is that the call is refused.
            let refusal = refused.then(|| Error::new(Reason::TokenNotReady));
            let takes = if limited { limits::takes(&order) } else { Vec::new() };
            let terms = Terms { refusal, takes };
            let answer_by = Instant::now() + Duration::from_millis(deadline_ms);
            let heard = heard_by(&world, &process, &order, answer_by, terms, gone_ms).await;
            let ended = match &heard {
                Heard::Payment { .. } => true,
                Heard::Error { wait, .. } => wait.is_none(),
                Heard::Nothing => false,
            };
            if world.lock().chance.percent(if ended { 10 } else { 60 }) {
                again.lock().unwrap().push(index);
            }
            live.fetch_sub(1, Ordering::Relaxed);
        });
    }

    /// The reconciler passes.
    fn look_around(&self) {
        let world = self.world.clone();
        let process = self.processes[self.below(self.processes.len())].clone();
        tokio::spawn(async move {
            process.life.gate().await;
            world.note("reconciler", String::new);
            let _ = process.reconciler.pass_if_leading().await;
        });
    }

    /// What happens to the store and the processes from outside.
    fn disturb(&mut self) {
        let world = self.world.clone();
        let mut inner = world.lock();
        let store_now_ms = world.store_now_ms();
        if world.weather.losses {
            match inner.chance.below(100) {
                0 => {
                    world.store.wipe();
                    // Replicas lose everything too.
                    inner.snapshot = None;
                    inner.judge.lost_store();
                    inner.history.add(store_now_ms, || Event::Wipe);
                    drop(inner);
                    world.fault("store wiped", String::new);
                    return;
                }
                1..4 => {
                    inner.snapshot = Some(world.store.snapshot());
                    inner.history.add(store_now_ms, || Event::Snapshot);
                }
                4..6 => {
                    if let Some(snapshot) = inner.snapshot.take() {
                        world.store.fail_over(snapshot);
                        inner.judge.lost_store();
                        inner.history.add(store_now_ms, || Event::FailOver);
                        drop(inner);
                        world.fault("failover to an old snapshot", String::new);
                        return;
                    }
                }
                6 => {
                    let by_ms = inner.chance.pick(&[-20_000, -3_000, 4_000, 30_000, 600_000]);
                    inner.judge.shifted_clock();
                    drop(inner);
                    world.shift_store_clock(by_ms);
                    world.fault("the store's clock jumps", || format!("by {by_ms} ms"));
                    return;
                }
                _ => {}
            }
        }
        if inner.chance.below(1000) < world.weather.process {
            drop(inner);
            let life = &self.processes[self.below(self.processes.len())].life;
            life.kill();
            world.fault("crash", || format!("process {}", life.number));
        }
    }

    /// No more faults. What is late lands, leases end, and callers try until they know.
    async fn calm(&mut self) {
        {
            let mut inner = self.world.lock();
            inner.calm = true;
        }
        self.world.note("calm", String::new);
        limits::resume(&self.world).await;
        let pause_ms = if self.world.weather.long_pause {
            self.world.lock().judge.paused_long = true;
            self.world.fault("a pause longer than Zentra remembers keys", String::new);
            25 * 3_600_000
        } else {
            LATEST_MS + 90_000
        };
        sleep(Duration::from_millis(pause_ms)).await;
        self.restart().await;
        resolution::everything_resolves(self).await;
    }
}

/// What a run begins with.
struct Drawn {
    settings: Settings,
    number: u64,
    orders: Vec<Order>,
    todo: Vec<usize>,
    declared: bool,
}

fn draw(world: &World) -> Drawn {
    let mut inner = world.lock();
    let inner = &mut *inner;
    let chance = &mut inner.chance;
    let settings = Settings::new(chance.pick(&[3_000, 10_000]), chance.pick(&[200, 1_000]));
    let number = chance.between(1, 3);
    let orders = Order::draw(chance);
    let mut todo = Vec::new();
    for index in 0..orders.len() {
        // Now and then a crowd.
        let most = if chance.percent(5) { 30 } else { 5 };
        todo.extend(std::iter::repeat_n(index, usize::try_from(chance.between(1, most)).unwrap()));
    }
    shuffle(&mut todo, chance);
    let declared = !world.mode.rough() || chance.percent(85);
    for order in &orders {
        let reference = order.reference.to_string();
        let others = orders.iter().filter(|it| it.reference == order.reference);
        let shared = others.clone().any(|it| it.digest != order.digest);
        if shared && !inner.judge.is_shared(&reference) {
            inner.judge.shared.push(reference);
        }
        if order.kind() == Kind::Refund
            && inner.ledger.find(Kind::Charge, &order.charge_reference()).is_none()
        {
            inner.ledger.paid_before(&order.charge_reference(), 9_000);
        }
    }
    if !declared {
        inner.judge.lost_store();
    }
    Drawn { settings, number, orders, todo, declared }
}

/// What a caller hears, if it stays and the process lives.
pub(crate) async fn heard_by(
    world: &Arc<World>,
    process: &Process,
    order: &Order,
    answer_by: Instant,
    terms: Terms,
    gone_ms: Option<u64>,
) -> Heard {
    let life = process.life.clone();
    let began = world.lock().judge.begins(order);
    world.count("(calls)");
    world.note("call", || {
        format!(
            "process {} {:?} {} {:?} by {} ({}), refused: {}",
            life.number,
            order.operation,
            order.reference,
            order.amount_minor,
            order.caller,
            super::upstream::short(&order.digest),
            terms.refusal.is_some()
        )
    });
    let stops = life.stopped_until().is_none().then(|| life.stops());
    let asked = async {
        life.gate().await;
        let heard = order.ask(world, process, answer_by, terms).await;
        life.gate().await;
        heard
    };
    let gone = async {
        match gone_ms {
            Some(ms) => sleep(Duration::from_millis(ms)).await,
            None => std::future::pending().await,
        }
    };
    let heard = tokio::select! {
        biased;
        () = life.death() => Heard::Nothing,
        () = gone => {
            world.fault("caller goes away", || order.reference.to_string());
            Heard::Nothing
        }
        heard = asked => heard,
    };
    let now_ms = world.now_ms();
    world.note("answer", || {
        format!(
            "process {} {} ({}): {heard:?}",
            life.number,
            order.reference,
            super::upstream::short(&order.digest)
        )
    });
    let mut inner = world.lock();
    let inner = &mut *inner;
    let is_late = !matches!(heard, Heard::Nothing) && Instant::now() > answer_by;
    if is_late && stops == Some(life.stops()) {
        inner
            .judge
            .violated("the answer comes before the deadline", || order.reference.to_string());
    }
    inner.judge.ends(now_ms, &inner.ledger, order, &began, &heard);
    heard
}

fn shuffle<T>(list: &mut [T], chance: &mut Chance) {
    for index in (1..list.len()).rev() {
        list.swap(index, usize::try_from(chance.below(index as u64 + 1)).unwrap());
    }
}
