//! Three sidecars with one Redis, and where one of them is killed.

use std::ops::Range;

use rand::RngExt as _;
use rand::rngs::StdRng;

use super::super::lab::Lab;
use super::super::sidecar::Sidecar;
use super::wire::Wire;

/// Of so many rounds one has a sidecar killed in it.
const ROUNDS_A_KILL: u64 = 4;
/// Where a call is held while the others go on, until its process is killed.
const POINTS: [&str; 5] =
    ["before_claim", "after_claim", "before_send", "after_answer", "after_complete"];
/// So many of the others have been told at most when it is killed.
const MOST_TOLD: usize = 16;
/// A step whose answer is lost in silence lasts so long; patient with a machine under load.
const STORE_TIMEOUT_MS: &str = "1000";

/// Three sidecars, and how each of them is started again.
pub(super) struct Trio<'a> {
    lab: &'a Lab,
    /// What is between them and their Redis.
    pub(super) wire: Wire,
    flags: Vec<(&'static str, String)>,
    callers: [&'static str; 3],
    pub(super) sidecars: Vec<Sidecar>,
}

impl<'a> Trio<'a> {
    /// Each has these flags beside its own, and these callers.
    pub(super) async fn start(
        lab: &'a Lab,
        flags: &[(&'static str, String)],
        callers: [&'static str; 3],
    ) -> Self {
        let wire = Wire::to(lab.redis().port).await;
        let mut trio = Self { lab, wire, flags: flags.to_vec(), callers, sidecars: Vec::new() };
        let (one, two, three) =
            tokio::join!(trio.launch(0, ""), trio.launch(1, ""), trio.launch(2, ""));
        trio.sidecars = vec![one, two, three];
        trio
    }

    async fn launch(&self, number: usize, failpoint: &str) -> Sidecar {
        let launch = self.lab.sidecar().flag("--calls-in-flight", "200");
        let launch = launch.flag("--store", &self.wire.url);
        let launch = launch.flag("--store-timeout-ms", STORE_TIMEOUT_MS);
        let launch = launch.flag("--caller", self.callers[number]).failpoint(failpoint);
        self.flags
            .iter()
            .fold(launch, |launch, (flag, value)| launch.flag(flag, value))
            .start()
            .await
    }

    /// The sidecar that a caller asks at a try: those of one name take turns, as its key is one of
    /// that name.
    pub(super) fn at(&self, number: usize, attempt: usize) -> &Sidecar {
        let first = number % 3;
        let same: Vec<usize> =
            (0..3).filter(|it| self.callers[*it] == self.callers[first]).collect();
        let turn = same.iter().position(|it| *it == first).unwrap_or_default();
        &self.sidecars[same[(turn + attempt) % same.len()]]
    }

    /// Puts a process in the first one's place that holds a call at a point.
    pub(super) async fn arm(&mut self, kill: &Kill) {
        let mut armed = self.launch(0, &format!("{}:wait", kill.point)).await;
        armed.token.clone_from(&self.sidecars[0].token);
        self.sidecars[0] = armed;
    }

    /// In the rounds of these seeds the store's answers were lost, now and then.
    #[track_caller]
    pub(super) fn has_lost_some(&self, seeds: &Range<u64>) {
        let is_meant = seeds.clone().any(Wire::is_lossy);
        assert_eq!(self.wire.lost() > 0, is_meant, "{seeds:?}: {}", self.wire.lost());
    }

    /// And one that holds none in its place again.
    pub(super) async fn restart(&mut self) {
        let fresh = self.launch(0, "").await;
        let mut killed = std::mem::replace(&mut self.sidecars[0], fresh);
        assert!(!killed.ended().await.success());
    }
}

/// Where, and after how many answers, the first sidecar is killed.
pub(super) struct Kill {
    pub(super) point: &'static str,
    pub(super) after: usize,
}

impl Kill {
    /// What the seed has in mind for its round.
    pub(super) fn of(seed: u64, chance: &mut StdRng) -> Option<Self> {
        let point = POINTS[chance.random_range(0..POINTS.len())];
        let after = chance.random_range(1..=MOST_TOLD);
        seed.is_multiple_of(ROUNDS_A_KILL).then_some(Self { point, after })
    }
}
