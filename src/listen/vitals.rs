//! What is known of a connection that lives, and what follows from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::limits::{
    AGE_GRACE, ASKED_INTERVAL, FLOOD_GRACE, HANDSHAKE, IDLE, MAX_ASKED, MAX_UNWELCOME_CALLS,
};

/// How long a connection may stay.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stay {
    /// When it was accepted. A handshake of TLS has passed since, where there was one.
    pub(super) accepted: Instant,
    /// When its peer is asked to make a new one, from now on.
    pub(super) age: Duration,
    /// How long its calls then have to end.
    pub(super) grace: Duration,
}

/// The signs of life of one connection.
#[derive(Debug)]
pub(super) struct Vitals {
    began: Instant,
    stay: Stay,
    has_preface: AtomicBool,
    calls: AtomicUsize,
    /// Calls of a peer that may not call.
    unwelcome_calls: AtomicU64,
    /// When the last call ended, in milliseconds from the beginning.
    idle_since_ms: AtomicU64,
    /// Frames that asked for an acknowledgement, or for nothing, since the last answer, and when
    /// the first of them came.
    asked: AtomicU64,
    asked_since_ms: AtomicU64,
    /// The turns for which the peer has read nothing of what waits to be written.
    unread_turns: AtomicU8,
    has_said_goodbye: AtomicBool,
    is_flooded: AtomicBool,
    flood: Notify,
}

/// What is to be done with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing before this moment.
    Wait(Instant),
    /// Say goodbye, and close it after this long at the latest.
    Goodbye(Duration, &'static str),
    /// Close it: there is nothing to say.
    Close(&'static str),
}

impl Vitals {
    pub(super) fn new(now: Instant, stay: Stay) -> Self {
        Self {
            began: now,
            stay,
            has_preface: AtomicBool::new(false),
            calls: AtomicUsize::new(0),
            unwelcome_calls: AtomicU64::new(0),
            idle_since_ms: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            asked_since_ms: AtomicU64::new(0),
            unread_turns: AtomicU8::new(0),
            has_said_goodbye: AtomicBool::new(false),
            is_flooded: AtomicBool::new(false),
            flood: Notify::new(),
        }
    }

    /// The peer speaks HTTP/2.
    pub(super) fn has_preface(&self) {
        self.has_preface.store(true, Ordering::Relaxed);
    }

    /// The peer sent a frame that has to be acknowledged, or that comes to nothing.
    pub(super) fn asked(&self) {
        let now_ms = self.now_ms();
        if self.asked.fetch_add(1, Ordering::Relaxed) == 0 {
            self.asked_since_ms.store(now_ms, Ordering::Relaxed);
        }
        let waited_ms = now_ms.saturating_sub(self.asked_since_ms.load(Ordering::Relaxed));
        let by_time = u128::from(waited_ms) / ASKED_INTERVAL.as_millis();
        if u128::from(self.asked.load(Ordering::Relaxed)) > u128::from(MAX_ASKED) + by_time {
            self.floods();
        }
    }

    fn floods(&self) {
        self.is_flooded.store(true, Ordering::Relaxed);
        self.flood.notify_one();
    }

    /// A peer that may not call did so, and was told.
    pub(super) fn unwelcome_call(&self) {
        if self.unwelcome_calls.fetch_add(1, Ordering::Relaxed) >= MAX_UNWELCOME_CALLS {
            self.floods();
        }
    }

    /// This side sent a part of an answer: the peer does more than to ask.
    pub(super) fn answered(&self) {
        self.asked.store(0, Ordering::Relaxed);
    }

    /// The peer has taken bytes.
    pub(super) fn wrote(&self) {
        self.unread_turns.store(0, Ordering::Relaxed);
    }

    /// There are bytes that the peer does not take now.
    pub(super) fn cannot_write(&self) {
        // Only the first of a turn counts.
        let (none, one) = (0, 1);
        let (ok, no) = (Ordering::Relaxed, Ordering::Relaxed);
        let _is_not_first = self.unread_turns.compare_exchange(none, one, ok, no);
    }

    /// Begins another turn. True where the peer has taken nothing for a whole one.
    pub(super) fn reads_nothing(&self) -> bool {
        let (one, two) = (1, 2);
        let (ok, no) = (Ordering::Relaxed, Ordering::Relaxed);
        self.unread_turns.compare_exchange(one, two, ok, no).is_err_and(|turns| turns >= two)
    }

    /// The peer was told goodbye: what is watched from now on is what it does meanwhile.
    pub(super) fn said_goodbye(&self) {
        self.has_said_goodbye.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_said_goodbye(&self) -> bool {
        self.has_said_goodbye.load(Ordering::Relaxed)
    }

    pub(super) fn is_flooded(&self) -> bool {
        self.is_flooded.load(Ordering::Relaxed)
    }

    /// Returns when the peer floods.
    pub(super) async fn flood(&self) {
        self.flood.notified().await;
    }

    /// A call began; it ends when this is dropped.
    pub(super) fn call(self: &Arc<Self>) -> CallUnderWay {
        self.calls.fetch_add(1, Ordering::Relaxed);
        CallUnderWay(self.clone())
    }

    /// What follows from all that.
    pub(super) fn verdict(&self, now: Instant) -> Verdict {
        if self.is_flooded() {
            return Verdict::Goodbye(FLOOD_GRACE, "it floods");
        }
        let handshake_by = self.stay.accepted + HANDSHAKE;
        let is_new = !self.has_preface.load(Ordering::Relaxed);
        if is_new && now >= handshake_by {
            return Verdict::Close("it does not speak HTTP/2");
        }
        if self.has_said_goodbye() {
            return Verdict::Wait(if is_new { handshake_by } else { now + IDLE });
        }
        let old_at = self.began + self.stay.age;
        if now >= old_at {
            return Verdict::Goodbye(self.stay.grace, "it is old");
        }
        let idle_since = match self.calls.load(Ordering::Relaxed) {
            0 => self.began + Duration::from_millis(self.idle_since_ms.load(Ordering::Relaxed)),
            _ => now,
        };
        let idle_at = idle_since + IDLE;
        if now >= idle_at {
            // Calls that cross the goodbye have their time. A connection without one ends by itself.
            return Verdict::Goodbye(AGE_GRACE, "it is idle");
        }
        let next = old_at.min(idle_at);
        Verdict::Wait(if is_new { next.min(handshake_by) } else { next })
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A call, from the arrival of its head to the last byte of its answer.
#[derive(Debug)]
pub(super) struct CallUnderWay(Arc<Vitals>);

impl Drop for CallUnderWay {
    fn drop(&mut self) {
        // Before the count, so that a connection without calls never shows an older moment.
        self.0.idle_since_ms.store(self.0.now_ms(), Ordering::Relaxed);
        self.0.calls.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const AGE: Duration = Duration::from_secs(3600);

    fn vitals() -> Arc<Vitals> {
        let now = Instant::now();
        Arc::new(Vitals::new(now, Stay { accepted: now, age: AGE, grace: AGE_GRACE }))
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_speak_is_closed() {
        let vitals = vitals();
        let began = Instant::now();
        assert_eq!(vitals.verdict(began), Verdict::Wait(began + HANDSHAKE));
        let close = Verdict::Close("it does not speak HTTP/2");
        assert_eq!(vitals.verdict(began + HANDSHAKE), close);
        vitals.has_preface();
        assert_eq!(vitals.verdict(began + HANDSHAKE), Verdict::Wait(began + IDLE));
    }

    /// What TLS took is part of the time.
    #[tokio::test(start_paused = true)]
    async fn the_time_to_speak_runs_from_when_the_connection_was_accepted() {
        let accepted = Instant::now();
        advance(HANDSHAKE / 2).await;
        let stay = Stay { accepted, age: AGE, grace: AGE_GRACE };
        let vitals = Vitals::new(Instant::now(), stay);
        assert_eq!(vitals.verdict(Instant::now()), Verdict::Wait(accepted + HANDSHAKE));
        vitals.has_preface();
        assert_eq!(vitals.verdict(Instant::now()), Verdict::Wait(Instant::now() + IDLE));
    }

    #[test]
    fn a_peer_reads_nothing_once_it_has_taken_no_byte_for_a_whole_turn() {
        let now = Instant::now();
        let vitals = Vitals::new(now, Stay { accepted: now, age: AGE, grace: AGE_GRACE });
        assert!(!vitals.reads_nothing() && !vitals.reads_nothing(), "there is nothing to read");
        vitals.cannot_write();
        assert!(!vitals.reads_nothing(), "less than a turn");
        vitals.wrote();
        vitals.cannot_write();
        assert!(!vitals.reads_nothing());
        vitals.cannot_write();
        assert!(vitals.reads_nothing());
        vitals.wrote();
        assert!(!vitals.reads_nothing());
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_floods_after_the_goodbye_is_closed_all_the_same() {
        let vitals = vitals();
        vitals.has_preface();
        vitals.said_goodbye();
        let late = Instant::now() + AGE;
        assert_eq!(vitals.verdict(late), Verdict::Wait(late + IDLE), "goodbye is said once");
        (0..=MAX_ASKED).for_each(|_| vitals.asked());
        assert_eq!(vitals.verdict(late), Verdict::Goodbye(FLOOD_GRACE, "it floods"));
    }

    #[tokio::test(start_paused = true)]
    async fn idleness_is_counted_from_the_end_of_the_last_call() {
        let vitals = vitals();
        vitals.has_preface();
        let call = vitals.call();
        advance(IDLE * 2).await;
        let wait = Verdict::Wait(Instant::now() + IDLE);
        assert_eq!(vitals.verdict(Instant::now()), wait, "a call is under way");
        drop(call);
        assert_eq!(vitals.verdict(Instant::now()), wait);
        advance(IDLE).await;
        assert_eq!(vitals.verdict(Instant::now()), Verdict::Goodbye(AGE_GRACE, "it is idle"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_connection_is_said_goodbye_to_whatever_it_does() {
        let vitals = vitals();
        vitals.has_preface();
        let _call = vitals.call();
        let old = Verdict::Goodbye(AGE_GRACE, "it is old");
        assert_eq!(vitals.verdict(Instant::now() + AGE), old);
    }

    #[tokio::test(start_paused = true)]
    async fn acknowledgements_are_bounded_between_two_answers() {
        let vitals = vitals();
        for _ in 0..10 {
            (0..MAX_ASKED).for_each(|_| vitals.asked());
            assert!(!vitals.is_flooded());
            vitals.answered();
        }
        (0..MAX_ASKED).for_each(|_| vitals.asked());
        advance(ASKED_INTERVAL * 3).await;
        (0..3).for_each(|_| vitals.asked());
        assert!(!vitals.is_flooded(), "one more for each second");
        vitals.asked();
        assert_eq!(vitals.verdict(Instant::now()), Verdict::Goodbye(FLOOD_GRACE, "it floods"));
    }
}
