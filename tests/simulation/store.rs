//! The store as one life of a process sees it, with all that goes wrong on the way.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::sleep;
use zentra_sidecar::domain::Reference;
use zentra_sidecar::idempotency::{
    Advance, Claim, ClaimAnswer, CompleteAnswer, Doubt, DoubtAnswer, Evidence, InitAnswer,
    KeyCheck, KeyDigest, Lookup, NotReady, PendingPage, PendingStats, ReconcilerLease, Record,
    Release, ReleaseAnswer, Renew, RenewAnswer, SetStop, SetStopAnswer, Settle, SettleAnswer,
    SettleBegin, Stamped, Step as Pending, Stop, Store, StoreError, Waiter,
};

use super::history::{Event, Reply, Step};
use super::life::Life;
use super::process::chance_of_an_end;
use super::world::World;

/// How long a step may take, as in production.
const STEP_MS: u64 = 500;

/// A way to the world's store.
pub(crate) struct Link {
    pub(crate) world: Arc<World>,
    pub(crate) life: Arc<Life>,
}

/// What becomes of a step.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// It is applied and answered.
    Through {
        before_ms: u64,
        after_ms: u64,
    },
    Unreachable,
    Refused,
    /// It never arrives, and its sender cannot know.
    Lost,
    /// It is applied, and its answer is lost.
    AnswerLost {
        breaks: bool,
    },
    /// It is applied so many milliseconds after its sender has given up waiting.
    Late {
        ms: u64,
    },
}

impl Link {
    fn fate(&self, step: &Step) -> Fate {
        let mut inner = self.world.lock();
        if inner.calm {
            return Fate::Through { before_ms: 0, after_ms: 0 };
        }
        if inner.chance.percent(self.world.weather.store) {
            let (ms, breaks) = (inner.chance.between(1, 20_000), inner.chance.percent(50));
            let fate = inner.chance.weighed(&[
                (3, Fate::Unreachable),
                (1, Fate::Refused),
                (3, Fate::Lost),
                (4, Fate::AnswerLost { breaks }),
                (3, Fate::Late { ms }),
            ]);
            drop(inner);
            let name = match fate {
                Fate::Unreachable => "store unreachable",
                Fate::Refused => "store refuses",
                Fate::Lost => "store step lost",
                Fate::AnswerLost { .. } => "store answer lost",
                _ => "store step late",
            };
            self.world.fault(name, || format!("process {} {}", self.life.number, step.name()));
            return fate;
        }
        let waits = [(6, 0), (4, 1), (2, 7), (1, 300)];
        let (before_ms, after_ms) = (inner.chance.weighed(&waits), inner.chance.weighed(&waits));
        Fate::Through { before_ms, after_ms: after_ms.min(STEP_MS - before_ms - 1) }
    }

    fn carry(&self, step: Step) -> Pending<'_, Reply> {
        Box::pin(async move {
            self.life.gate().await;
            chance_of_an_end(&self.world, &self.life, "before a store step");
            self.life.gate().await;
            let result = match self.fate(&step) {
                Fate::Through { before_ms, after_ms } => {
                    wait(before_ms).await;
                    let reply = apply(&self.world, self.life.number, &step);
                    wait(after_ms).await;
                    reply
                }
                Fate::Unreachable => {
                    wait(1).await;
                    Err(StoreError::Unreachable("simulated".into()))
                }
                Fate::Refused => Err(StoreError::Refused("LOADING".into())),
                Fate::Lost => {
                    wait(STEP_MS).await;
                    Err(StoreError::TimedOut(STEP_MS))
                }
                Fate::AnswerLost { breaks } => {
                    let _ = apply(&self.world, self.life.number, &step);
                    wait(if breaks { 1 } else { STEP_MS }).await;
                    Err(if breaks {
                        StoreError::Broken("simulated".into())
                    } else {
                        StoreError::TimedOut(STEP_MS)
                    })
                }
                Fate::Late { ms } => {
                    self.apply_later(step.clone(), STEP_MS + ms);
                    wait(STEP_MS).await;
                    Err(StoreError::TimedOut(STEP_MS))
                }
            };
            chance_of_an_end(&self.world, &self.life, "after a store step");
            self.life.gate().await;
            result
        })
    }

    /// The network's own: it goes on whatever becomes of the sender.
    fn apply_later(&self, step: Step, after_ms: u64) {
        let (world, number) = (self.world.clone(), self.life.number);
        tokio::spawn(async move {
            wait(after_ms).await;
            let _ = apply(&world, number, &step);
        });
    }
}

/// The one place where steps reach the store.
fn apply(world: &World, number: usize, step: &Step) -> Result<Reply, StoreError> {
    let store_now_ms = world.store_now_ms();
    // The store in memory is never busy.
    let reply = step
        .apply(&world.store)
        .now_or_never()
        .unwrap_or(Err(StoreError::Unreachable("busy".into())))?;
    world.count("(steps of the store)");
    world.note("store", || format!("process {number} {}: {}", step.name(), reply.summary()));
    let now_ms = world.now_ms();
    let mut inner = world.lock();
    let inner = &mut *inner;
    inner.judge.applied(now_ms, &inner.ledger, step, &reply);
    inner.history.add(store_now_ms, || Event::Step(step.clone(), reply.clone()));
    Ok(reply)
}

async fn wait(ms: u64) {
    if ms > 0 {
        sleep(Duration::from_millis(ms)).await;
    }
}

/// Asks for a step and takes its answer out of its wrapping.
macro_rules! carried {
    ($self:ident, $step:expr, $reply:path) => {{
        let step = $step;
        Box::pin(async move {
            match $self.carry(step).await? {
                $reply(answer) => Ok(answer),
                other => Err(StoreError::Unreadable(other.summary())),
            }
        })
    }};
}

impl Store for Link {
    fn claim<'a>(&'a self, claim: &'a Claim) -> Pending<'a, Stamped<ClaimAnswer>> {
        carried!(self, Step::Claim(claim.clone()), Reply::Claim)
    }

    fn renew<'a>(&'a self, renew: &'a Renew) -> Pending<'a, Stamped<RenewAnswer>> {
        carried!(self, Step::Renew(*renew), Reply::Renew)
    }

    fn complete<'a>(&'a self, evidence: &'a Evidence) -> Pending<'a, Stamped<CompleteAnswer>> {
        carried!(self, Step::Complete(Box::new(evidence.clone())), Reply::Complete)
    }

    fn doubt<'a>(&'a self, doubt: &'a Doubt) -> Pending<'a, Stamped<DoubtAnswer>> {
        carried!(self, Step::Doubt(Box::new(doubt.clone())), Reply::Doubt)
    }

    fn release<'a>(&'a self, release: &'a Release) -> Pending<'a, Stamped<ReleaseAnswer>> {
        carried!(self, Step::Release(*release), Reply::Release)
    }

    fn settle_begin<'a>(&'a self, begin: &'a SettleBegin) -> Pending<'a, Stamped<SettleAnswer>> {
        carried!(self, Step::SettleBegin(*begin), Reply::Settle)
    }

    fn settle<'a>(&'a self, settle: &'a Settle) -> Pending<'a, Stamped<SettleAnswer>> {
        carried!(self, Step::Settle(Box::new(settle.clone())), Reply::Settle)
    }

    fn read<'a>(&'a self, lookup: &'a Lookup) -> Pending<'a, Stamped<Option<Record>>> {
        carried!(self, Step::Read(lookup.clone()), Reply::Read)
    }

    fn pending(&self, page: PendingPage) -> Pending<'_, Stamped<Vec<Record>>> {
        carried!(self, Step::Pending(page), Reply::Pending)
    }

    fn pending_stats(&self) -> Pending<'_, Stamped<PendingStats>> {
        carried!(self, Step::PendingStats, Reply::PendingStats)
    }

    fn advance<'a>(&'a self, advance: &'a Advance) -> Pending<'a, Stamped<bool>> {
        carried!(self, Step::Advance(*advance), Reply::Told)
    }

    fn stop<'a>(&'a self, stop: &'a SetStop) -> Pending<'a, Stamped<SetStopAnswer>> {
        carried!(self, Step::Stop(Box::new(stop.clone())), Reply::Stop)
    }

    fn resume<'a>(&'a self, stop: Option<&'a Reference>) -> Pending<'a, Stamped<u64>> {
        carried!(self, Step::Resume(stop.cloned()), Reply::Resumed)
    }

    fn stops(&self) -> Pending<'_, Stamped<Vec<Stop>>> {
        self.world.store.stops()
    }

    fn reconciler_lease<'a>(&'a self, lease: &'a ReconcilerLease) -> Pending<'a, Stamped<bool>> {
        carried!(self, Step::ReconcilerLease(*lease), Reply::Told)
    }

    fn init(&self) -> Pending<'_, InitAnswer> {
        carried!(self, Step::Init, Reply::Init)
    }

    fn readiness<'a>(&'a self, keys: &'a [KeyCheck]) -> Pending<'a, Vec<NotReady>> {
        self.world.store.readiness(keys)
    }

    fn subscribe<'a>(&'a self, digest: &'a KeyDigest) -> Pending<'a, Waiter> {
        Box::pin(async move {
            self.life.gate().await;
            let refused = {
                let mut inner = self.world.lock();
                !inner.calm && inner.chance.percent(self.world.weather.store)
            };
            if refused {
                self.world.fault("no subscription", String::new);
                return Err(StoreError::Unreachable("simulated".into()));
            }
            self.world.store.subscribe(digest).await
        })
    }
}
