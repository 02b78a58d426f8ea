//! Limits under concurrency, over real processes: sixty-four callers at three sidecars with one
//! Redis, while Zentra breaks, a sidecar is killed, and windows turn over. The sums fit the ledger,
//! and no limit is exceeded by one unit.

mod charges;
mod refunds;
mod windows;

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::time::sleep;
use tonic::Code;
use zentra_sidecar::simulator::{Action, Fault, Route};

use super::answers::status;
use super::lab::Lab;
use super::sidecar::Sidecar;
use super::told::Told;

const CALLERS: usize = 64;
/// Tries of one caller; each finds out, or makes the payment.
const TRIES: usize = 40;
/// Of so many rounds one has a sidecar killed in it.
const ROUNDS_A_KILL: u64 = 4;
/// Where a call is held while the others go on, until its process is killed.
const POINTS: [&str; 5] =
    ["before_claim", "after_claim", "before_send", "after_answer", "after_complete"];
/// So many of the others have been told at most when it is killed.
const MOST_TOLD: usize = 16;

/// So many callers who find a limit full ask again and again until the one whose process was killed
/// knows: what it has taken is not theirs to take.
const PERSISTENT: usize = 8;
const PAUSE: Duration = Duration::from_millis(50);
/// How long its look-up takes then.
const SLOW: Duration = Duration::from_millis(300);

/// Three sidecars, and how each of them is started again.
struct Trio<'a> {
    lab: &'a Lab,
    flags: Vec<(&'static str, String)>,
    callers: [&'static str; 3],
    sidecars: Vec<Sidecar>,
}

impl<'a> Trio<'a> {
    /// Each has these flags beside its own, and these callers.
    async fn start(
        lab: &'a Lab,
        flags: &[(&'static str, String)],
        callers: [&'static str; 3],
    ) -> Self {
        let mut trio = Self { lab, flags: flags.to_vec(), callers, sidecars: Vec::new() };
        let (one, two, three) =
            tokio::join!(trio.launch(0, ""), trio.launch(1, ""), trio.launch(2, ""));
        trio.sidecars = vec![one, two, three];
        trio
    }

    async fn launch(&self, number: usize, failpoint: &str) -> Sidecar {
        let launch = self.lab.sidecar().flag("--calls-in-flight", "200");
        let launch = launch.flag("--caller", self.callers[number]).failpoint(failpoint);
        self.flags
            .iter()
            .fold(launch, |launch, (flag, value)| launch.flag(flag, value))
            .start()
            .await
    }

    /// The sidecar that a caller asks at a try: those of one name take turns, as its key is one of
    /// that name.
    fn at(&self, number: usize, attempt: usize) -> &Sidecar {
        let first = number % 3;
        let same: Vec<usize> =
            (0..3).filter(|it| self.callers[*it] == self.callers[first]).collect();
        let turn = same.iter().position(|it| *it == first).unwrap_or_default();
        &self.sidecars[same[(turn + attempt) % same.len()]]
    }

    /// Puts a process in the first one's place that holds a call at a point.
    async fn arm(&mut self, kill: &Kill) {
        let mut armed = self.launch(0, &format!("{}:wait", kill.point)).await;
        armed.token.clone_from(&self.sidecars[0].token);
        self.sidecars[0] = armed;
    }

    /// And one that holds none in its place again.
    async fn restart(&mut self) {
        let fresh = self.launch(0, "").await;
        let mut killed = std::mem::replace(&mut self.sidecars[0], fresh);
        assert!(!killed.ended().await.success());
    }
}

/// Where, and after how many answers, the first sidecar is killed.
struct Kill {
    point: &'static str,
    after: usize,
}

impl Kill {
    /// What the seed has in mind for its round.
    fn of(seed: u64, chance: &mut StdRng) -> Option<Self> {
        let point = POINTS[chance.random_range(0..POINTS.len())];
        let after = chance.random_range(1..=MOST_TOLD);
        seed.is_multiple_of(ROUNDS_A_KILL).then_some(Self { point, after })
    }
}

/// What sixty-four callers are told at once, each asking until it knows. Where a sidecar is killed,
/// the first caller's call is held in it at a point before any other begins.
async fn all_told<F: Future<Output = Told>>(
    trio: &Trio<'_>,
    kill: Option<&Kill>,
    faults: impl FnOnce(),
    ask: impl Fn(usize, usize) -> F,
) -> Vec<Told> {
    let answered = watch::Sender::new(0);
    let first_knows = AtomicBool::new(kill.is_none());
    let told = |number: usize| {
        let (ask, answered, first_knows) = (&ask, &answered, &first_knows);
        async move {
            let told = loop {
                let told = until_known(|attempt| ask(number, attempt)).await;
                let is_over = number > PERSISTENT || first_knows.load(Ordering::SeqCst);
                if is_over || number == 0 || !is_full(&told) {
                    break told;
                }
                sleep(PAUSE).await;
            };
            first_knows.fetch_or(number == 0, Ordering::SeqCst);
            answered.send_modify(|count| *count += 1);
            told
        }
    };
    let Some(kill) = kill else {
        faults();
        return join_all((0..CALLERS).map(&told)).await;
    };
    let victim = &trio.sidecars[0];
    let others = async {
        victim.reached(kill.point).await;
        faults();
        join_all((1..CALLERS).map(&told)).await
    };
    let killer = async {
        let mut count = answered.subscribe();
        let _ = count.wait_for(|count| *count >= kill.after).await.unwrap();
        victim.signal("KILL").await;
    };
    let (first, others, ()) = tokio::join!(told(0), others, killer);
    [vec![first], others].concat()
}

fn is_full(told: &Told) -> bool {
    matches!(told.fault_reason(), Some("LIMIT_EXCEEDED" | "REFUND_EXCEEDS_CHARGE"))
}

/// The look-up of what the first caller wants takes a while, once.
fn look_up_slowly(lab: &Lab, route: Route, reference: &str) {
    lab.zentra.inject(Fault::on(route, Action::DelayBefore(SLOW)).reference(reference));
}

/// From now on this part of the requests breaks, each in one of two ways that the seed picks: with
/// an effect, and without one.
fn break_some(lab: &Lab, route: Route, chance: &mut StdRng) {
    let without = [status(500, None, false), status(503, None, false), Action::ResetBefore];
    let with = [status(500, None, true), Action::ResetAfter, Action::Truncated { keep: None }];
    for actions in [without, with] {
        let action = actions[chance.random_range(0..actions.len())].clone();
        lab.zentra.inject(Fault::on(route, action).probability(0.04));
    }
}

/// Tries the same key until the caller knows.
async fn until_known<F: Future<Output = Told>>(ask: impl Fn(usize) -> F) -> Told {
    for attempt in 0..TRIES {
        let told = ask(attempt).await;
        let passes = match &told {
            Told::Outcome(_) => false,
            Told::Error(fault) => matches!(fault.code, Code::Unavailable | Code::Aborted),
            Told::Nothing(_) => true,
        };
        if !passes {
            return told;
        }
    }
    panic!("a caller never knew");
}

/// A policy that permits all within these limits.
fn policy(lab: &Lab, limits: &str) -> (&'static str, String) {
    let folder = lab.folder.path().join("policy");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("rules.cedar"), "permit(principal, action, resource);").unwrap();
    std::fs::write(folder.join("limits.toml"), limits).unwrap();
    ("--policy", folder.display().to_string())
}

/// How many rounds: more where `scripts/limits` asks for them.
fn rounds() -> u64 {
    std::env::var("LIMIT_ROUNDS").map_or(20, |text| text.parse().unwrap())
}

/// A lab of its own for every hundred rounds, as the ledger forgets what is very old.
fn hundreds() -> impl Iterator<Item = Range<u64>> {
    (0..rounds()).step_by(100).map(|first| first..rounds().min(first + 100))
}

fn chance_of(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}
