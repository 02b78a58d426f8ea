//! Each step: the script, its arguments, and the answer as the engine knows it.

use super::codec::{Args, optional};
use super::counters;
use super::names::Keys;
use super::reply::{Reply, strange};
use super::script::{self, StepScript};
use super::{Common, RedisStore};
use crate::domain::{Currency, Reference};
use crate::idempotency::KeyDigest;
use crate::idempotency::limit::{AfterLoss, MAX_STOPS, Stop};
use crate::idempotency::record::{Fence, OwnerId, Record, Subject};
use crate::idempotency::step::{
    Advance, Claim, ClaimAnswer, CompleteAnswer, Doubt, DoubtAnswer, Evidence, KeyCheck, Lookup,
    MAX_PAGE, PendingKind, PendingPage, PendingStats, ReconcilerLease, Release, ReleaseAnswer,
    Renew, RenewAnswer, SetStop, SetStopAnswer, Settle, SettleAnswer, SettleBegin, Source, Stamped,
    Verdict, WhyKept, WhyNotSettled,
};
use crate::idempotency::store::{InitAnswer, NotReady, Step, Store, StoreError};
use crate::idempotency::waiters::Waiter;

/// How long what cannot be read stays out of the way of what is due.
const SET_ASIDE_MS: u64 = 3_600_000;

impl RedisStore {
    async fn about(
        &self,
        script: &'static StepScript,
        digest: &KeyDigest,
        common: Common,
        with: impl FnOnce(Args) -> Args,
    ) -> Result<Reply, StoreError> {
        self.run(with(self.args(script, Keys::of_record(digest), digest, common))).await
    }

    async fn about_account(
        &self,
        script: &'static StepScript,
        own: &'static str,
        common: Common,
        with: impl FnOnce(Args) -> Args,
    ) -> Result<Reply, StoreError> {
        self.run(with(self.args(script, Keys::of_account(own), "", common))).await
    }

    async fn ask_claim(&self, claim: &Claim) -> Result<Reply, StoreError> {
        let subject = &claim.subject;
        let fence = Fence { owner: claim.owner, epoch: 0 };
        let common = Common::new(fence, &claim.periods);
        let args = self
            .args(&script::CLAIM, Keys::of_claim(subject), subject.digest, common)
            .subject(subject, &counters::takes(&claim.takes), 0)
            .flag(claim.refused)
            .text(claim.currency.map_or("", Currency::code))
            .flag(claim.after_loss == AfterLoss::Deny)
            .fingerprints(&claim.fingerprints);
        self.run(args).await
    }

    async fn ask_complete(&self, evidence: &Evidence) -> Result<Reply, StoreError> {
        let (verdict, outcome) = match &evidence.verdict {
            Verdict::Outcome(outcome) => (false, outcome),
            Verdict::Contradiction(outcome) => (true, outcome),
        };
        let amount = optional(evidence.amount);
        let (args, fingerprints) = match &evidence.source {
            Source::Owner(work) => {
                let common = Common::new(work.fence, &evidence.periods);
                let args = self.about_subject(&script::COMPLETE, &work.subject, common);
                (args.work(work, &amount).flag(true), work.fingerprints.as_slice())
            }
            Source::Observer { digest, fence } => {
                let common = Common::new(*fence, &evidence.periods);
                let keys = Keys::of_record(digest);
                let args = self.args(&script::COMPLETE, keys, digest, common);
                // No caller, operation, reference, command; no trace, first sent.
                let args = (11..15).fold(args, |args, _| args.text("")).text(&amount);
                (args.text("").text("").flag(false), [].as_slice())
            }
        };
        let args = args
            .flag(verdict)
            .outcome(outcome)
            .number(evidence.next_check_after_ms)
            .attempts(&evidence.attempts)
            .fingerprints(fingerprints);
        self.run(args).await
    }

    async fn ask_doubt(&self, doubt: &Doubt) -> Result<Reply, StoreError> {
        let work = &doubt.work;
        let common = Common::new(work.fence, &doubt.periods);
        let args = self
            .about_subject(&script::DOUBT, &work.subject, common)
            .work(work, "")
            .flag(doubt.gives_up)
            .flag(doubt.expires)
            .number(doubt.next_check_after_ms)
            .attempts(&doubt.attempts)
            .fingerprints(&work.fingerprints);
        self.run(args).await
    }

    fn about_subject(
        &self,
        script: &'static StepScript,
        subject: &Subject,
        common: Common,
    ) -> Args {
        self.args(script, Keys::of_subject(subject), subject.digest, common)
    }

    async fn ask_read(&self, lookup: &Lookup) -> Result<Stamped<Option<Record>>, StoreError> {
        let reply = match lookup {
            Lookup::Digest(digest) => {
                self.about(&script::READ, digest, Common::NONE, |it| it).await?
            }
            Lookup::Reference(namespace, reference) => {
                let keys = Keys::of_account("canary").and_reference(*namespace, reference);
                self.run(self.args(&script::READ, keys, "", Common::NONE)).await?
            }
        };
        if reply.word == "ABSENT" {
            return stamped(&reply, None);
        }
        let digest = parse_digest(&reply.text(0)?)?;
        let record = *reply.record(digest, 1)?;
        stamped(&reply, Some(record))
    }

    async fn ask_pending(&self, page: PendingPage) -> Result<Stamped<Vec<Record>>, StoreError> {
        let kind = match page.kind {
            PendingKind::Due => "DUE",
            PendingKind::All => "ALL",
            PendingKind::Conflicts => "CONFLICTS",
        };
        let with = |args: Args| {
            let (offset, limit) = (u64::from(page.offset), u64::from(page.limit.min(MAX_PAGE)));
            args.text(kind).number(offset).number(limit)
        };
        let reply = self.about_account(&script::PENDING, "canary", Common::NONE, with).await?;
        let mut records = Vec::new();
        for index in (0..reply.rest.len()).step_by(2) {
            let name = reply.text(index)?;
            match parse_digest(&name).and_then(|digest| reply.record(digest, index + 1)) {
                Ok(record) => records.push(*record),
                Err(fault) => {
                    tracing::error!(digest = name, %fault, "a record is left out");
                    if page.kind == PendingKind::Due {
                        self.set_aside(&name).await?;
                    }
                }
            }
        }
        stamped(&reply, records)
    }

    /// One record that cannot be read must not keep the reconciler from all others.
    async fn set_aside(&self, name: &str) -> Result<(), StoreError> {
        let keys = Keys::of_account("canary");
        let args = self.args(&script::SET_ASIDE, keys, name, Common::NONE).number(SET_ASIDE_MS);
        self.run(args).await.map(|_| ())
    }

    async fn ask_stats(&self) -> Result<Stamped<PendingStats>, StoreError> {
        let script = &script::PENDING_STATS;
        let reply = self.about_account(script, "canary", Common::NONE, |it| it).await?;
        let time = |index| {
            let text = reply.text(index)?;
            let parsed = (!text.is_empty()).then(|| text.parse().map_err(|_| strange("time")));
            parsed.transpose()
        };
        let stats = PendingStats {
            unresolved: reply.number(0)?,
            oldest_unresolved_ms: time(1)?,
            open: reply.number(2)?,
            conflicts: reply.number(3)?,
            lost_at_ms: time(4)?,
        };
        stamped(&reply, stats)
    }
}

fn stamped<T>(reply: &Reply, answer: T) -> Result<Stamped<T>, StoreError> {
    let now_ms = reply.now_ms;
    Ok(Stamped { now_ms, answer })
}

fn parse_digest(text: &str) -> Result<KeyDigest, StoreError> {
    KeyDigest::from_hex(text).ok_or_else(|| strange("digest"))
}

fn version(reply: &Reply) -> Result<u32, StoreError> {
    u32::try_from(reply.number(0)?).map_err(|_| strange("version"))
}

fn yes(reply: &Reply) -> Result<Stamped<bool>, StoreError> {
    match reply.word.as_str() {
        "YES" => stamped(reply, true),
        "NO" => stamped(reply, false),
        _ => reply.unknown(),
    }
}

fn claim_answer(digest: KeyDigest, reply: &Reply) -> Result<ClaimAnswer, StoreError> {
    Ok(match reply.word.as_str() {
        "RUN" => ClaimAnswer::Run {
            epoch: reply.number(0)?,
            look_up_first: reply.flag(1)?,
            first_sent_ms: reply.number(2)?,
            over: counters::over(&reply.text(3)?)?,
        },
        "RECOVER" => {
            let (look_up_only, is_stopped) = (reply.flag(0)?, reply.flag(1)?);
            let record = reply.record(digest, 2)?;
            ClaimAnswer::Recover { epoch: record.fence.epoch, record, look_up_only, is_stopped }
        }
        "REPLAY" => ClaimAnswer::Replay { record: reply.record(digest, 0)? },
        "BUSY" => ClaimAnswer::Busy { lease_left_ms: reply.number(0)? },
        "REUSED" => ClaimAnswer::KeyReused { record: reply.record(digest, 0)? },
        "TAKEN" => ClaimAnswer::ReferenceTaken {
            same_caller: reply.flag(0)?,
            outcome: reply.outcome(1)?,
            look_ups_first: reply.flag(2)?,
        },
        "REFUSED" => ClaimAnswer::Refused { look_ups_first: reply.flag(0)? },
        "STOPPED" => ClaimAnswer::Stopped {
            stop: Box::new(counters::stop(&reply.text(0)?, &reply.text(1)?)?),
            look_ups_first: reply.flag(2)?,
        },
        "FULL" => {
            ClaimAnswer::Full { full: counters::full(reply, 0)?, look_ups_first: reply.flag(3)? }
        }
        "CONFLICT" => ClaimAnswer::Conflict { record: reply.record(digest, 0)? },
        "NEW" => ClaimAnswer::TooNew { version: version(reply)? },
        "KEY" => ClaimAnswer::FingerprintKeyUnknown,
        _ => return reply.unknown(),
    })
}

fn complete_answer(digest: KeyDigest, reply: &Reply) -> Result<CompleteAnswer, StoreError> {
    Ok(match reply.word.as_str() {
        "STORED" => CompleteAnswer::Stored {
            posts: u32::try_from(reply.number(0)?).map_err(|_| strange("count"))?,
            before: reply.class(1)?,
        },
        "KEPT" => CompleteAnswer::Kept { record: reply.record(digest, 0)? },
        "NOT_PROOF" => CompleteAnswer::NotProof { record: reply.record(digest, 0)? },
        "CONFLICT" => CompleteAnswer::Conflict { record: reply.record(digest, 0)? },
        "ABSENT" => CompleteAnswer::Absent,
        "NEW" => CompleteAnswer::TooNew { version: version(reply)? },
        _ => return reply.unknown(),
    })
}

fn release_answer(reply: &Reply) -> Result<ReleaseAnswer, StoreError> {
    let why = match reply.word.as_str() {
        "RELEASED" => return Ok(ReleaseAnswer::Released),
        "GONE" => WhyKept::Gone,
        "FENCED" => WhyKept::Fenced,
        "AMBIGUOUS" => WhyKept::Ambiguous,
        "RESOLVED" => WhyKept::Resolved,
        "NEW" => WhyKept::TooNew,
        _ => return reply.unknown(),
    };
    Ok(ReleaseAnswer::NotReleased(why))
}

fn settle_answer(digest: KeyDigest, reply: &Reply) -> Result<SettleAnswer, StoreError> {
    let why = match reply.word.as_str() {
        "SETTLED" => return Ok(SettleAnswer::Settled),
        "BEGUN" => {
            let record = reply.record(digest, 0)?;
            let fence = record.fence;
            return Ok(SettleAnswer::Begun { fence, record });
        }
        "ABSENT" => WhyNotSettled::Absent,
        "LEASED" => WhyNotSettled::Leased,
        "RESEND_ALLOWED" => WhyNotSettled::ResendAllowed,
        "RESOLVED" => WhyNotSettled::Resolved,
        "FENCED" => WhyNotSettled::Fenced,
        "OUTCOME_OPEN" => WhyNotSettled::OutcomeOpen,
        "NEW" => WhyNotSettled::TooNew,
        _ => return reply.unknown(),
    };
    Ok(SettleAnswer::Refused(why))
}

/// An owner that renews or begins: no periods but its lease.
fn leasing(owner: OwnerId, epoch: u64, lease_ms: u64) -> Common {
    Common { fence: Fence { owner, epoch }, lease_ms, ..Common::NONE }
}

impl Store for RedisStore {
    fn claim<'a>(&'a self, claim: &'a Claim) -> Step<'a, Stamped<ClaimAnswer>> {
        Box::pin(async move {
            let reply = self.ask_claim(claim).await?;
            stamped(&reply, claim_answer(claim.subject.digest, &reply)?)
        })
    }

    fn renew<'a>(&'a self, renew: &'a Renew) -> Step<'a, Stamped<RenewAnswer>> {
        Box::pin(async move {
            let common = leasing(renew.fence.owner, renew.fence.epoch, renew.lease_ms);
            let reply = self.about(&script::RENEW, &renew.digest, common, |it| it).await?;
            match reply.word.as_str() {
                "RENEWED" => stamped(&reply, RenewAnswer::Renewed),
                "LOST" => stamped(&reply, RenewAnswer::Lost),
                _ => reply.unknown(),
            }
        })
    }

    fn complete<'a>(&'a self, evidence: &'a Evidence) -> Step<'a, Stamped<CompleteAnswer>> {
        Box::pin(async move {
            let reply = self.ask_complete(evidence).await?;
            stamped(&reply, complete_answer(*evidence.digest(), &reply)?)
        })
    }

    fn doubt<'a>(&'a self, doubt: &'a Doubt) -> Step<'a, Stamped<DoubtAnswer>> {
        Box::pin(async move {
            let reply = self.ask_doubt(doubt).await?;
            let answer = match reply.word.as_str() {
                "RECORDED" => DoubtAnswer::Recorded,
                "FENCED" => {
                    DoubtAnswer::Fenced { record: reply.record(doubt.work.subject.digest, 0)? }
                }
                "NEW" => DoubtAnswer::TooNew { version: version(&reply)? },
                _ => return reply.unknown(),
            };
            stamped(&reply, answer)
        })
    }

    fn release<'a>(&'a self, release: &'a Release) -> Step<'a, Stamped<ReleaseAnswer>> {
        Box::pin(async move {
            let common = Common {
                fence: release.fence,
                look_up_first_ms: release.look_up_first_ms,
                ..Common::NONE
            };
            let digest = &release.digest;
            let reply = self.about(&script::RELEASE, digest, common, |it| it).await?;
            stamped(&reply, release_answer(&reply)?)
        })
    }

    fn settle_begin<'a>(&'a self, begin: &'a SettleBegin) -> Step<'a, Stamped<SettleAnswer>> {
        Box::pin(async move {
            let common = leasing(begin.owner, 0, begin.lease_ms);
            let with = |args: Args| args.number(begin.resend_window_ms);
            let digest = &begin.digest;
            let reply = self.about(&script::SETTLE_BEGIN, digest, common, with).await?;
            stamped(&reply, settle_answer(begin.digest, &reply)?)
        })
    }

    fn settle<'a>(&'a self, settle: &'a Settle) -> Step<'a, Stamped<SettleAnswer>> {
        Box::pin(async move {
            let common = Common::new(settle.fence, &settle.periods);
            let with = |args: Args| {
                let amount = optional(settle.amount);
                args.outcome(&settle.outcome).text(&settle.settled_by).text(amount)
            };
            let reply = self.about(&script::SETTLE, &settle.digest, common, with).await?;
            stamped(&reply, settle_answer(settle.digest, &reply)?)
        })
    }

    fn read<'a>(&'a self, lookup: &'a Lookup) -> Step<'a, Stamped<Option<Record>>> {
        Box::pin(self.ask_read(lookup))
    }

    fn pending(&self, page: PendingPage) -> Step<'_, Stamped<Vec<Record>>> {
        Box::pin(self.ask_pending(page))
    }

    fn pending_stats(&self) -> Step<'_, Stamped<PendingStats>> {
        Box::pin(self.ask_stats())
    }

    fn advance<'a>(&'a self, advance: &'a Advance) -> Step<'a, Stamped<bool>> {
        Box::pin(async move {
            let with = |args: Args| args.number(advance.next_check_after_ms);
            let digest = &advance.digest;
            let reply = self.about(&script::ADVANCE, digest, Common::NONE, with).await?;
            yes(&reply)
        })
    }

    fn stop<'a>(&'a self, set: &'a SetStop) -> Step<'a, Stamped<SetStopAnswer>> {
        Box::pin(async move {
            let with = |args: Args| {
                let args = args.text(set.stop.id.as_str()).text(optional(set.for_ms));
                args.number(MAX_STOPS as u64).text(counters::stop_text(&set.stop))
            };
            let reply = self.about_account(&script::STOP, "stops", Common::NONE, with).await?;
            match reply.word.as_str() {
                "STOPPED" => stamped(&reply, SetStopAnswer::Stopped),
                "TOO_MANY" => stamped(&reply, SetStopAnswer::TooMany),
                _ => reply.unknown(),
            }
        })
    }

    fn resume<'a>(&'a self, stop: Option<&'a Reference>) -> Step<'a, Stamped<u64>> {
        Box::pin(async move {
            let with = |args: Args| args.text(stop.map_or("", Reference::as_str));
            let reply = self.about_account(&script::RESUME, "stops", Common::NONE, with).await?;
            stamped(&reply, reply.number(0)?)
        })
    }

    fn stops(&self) -> Step<'_, Stamped<Vec<Stop>>> {
        Box::pin(async move {
            let script = &script::STOPS;
            let reply = self.about_account(script, "stops", Common::NONE, |it| it).await?;
            let mut stops = Vec::new();
            for index in (0..reply.rest.len()).step_by(2) {
                stops.push(counters::stop(&reply.text(index)?, &reply.text(index + 1)?)?);
            }
            stops.sort_by(|one, other| one.id.as_str().cmp(other.id.as_str()));
            stamped(&reply, stops)
        })
    }

    fn reconciler_lease<'a>(&'a self, lease: &'a ReconcilerLease) -> Step<'a, Stamped<bool>> {
        Box::pin(async move {
            let (script, common) =
                (&script::RECONCILER_LEASE, leasing(lease.owner, 0, lease.lease_ms));
            let reply = self.about_account(script, "reconciler", common, |it| it).await?;
            yes(&reply)
        })
    }

    fn init(&self) -> Step<'_, InitAnswer> {
        Box::pin(self.declare_new())
    }

    fn readiness<'a>(&'a self, keys: &'a [KeyCheck]) -> Step<'a, Vec<NotReady>> {
        Box::pin(self.check(keys))
    }

    fn subscribe<'a>(&'a self, digest: &'a KeyDigest) -> Step<'a, Waiter> {
        Box::pin(async move { Ok(self.listen(digest).await) })
    }
}
