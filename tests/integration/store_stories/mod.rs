//! What every store must do, as stories.
//!
//! A lease or retention of 0 ms is over at once, so that no story waits for a clock.

mod claims;
mod evidence;
mod keeping;
mod limits;
mod operating;

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use zentra_sidecar::idempotency::machine::Format;
use zentra_sidecar::idempotency::{Claim, ClaimAnswer, Lookup, Record, Store};

use crate::store_contract::Backend;
use crate::support::payment::Payment;

/// Where a story plays.
pub(crate) struct Stage {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) account: String,
    pub(crate) store: Arc<dyn Store>,
}

impl Stage {
    /// Another process that uses the same account.
    pub(crate) async fn other_process(&self) -> Arc<dyn Store> {
        self.backend.open(&self.account, Format::default()).await
    }

    /// Another release that uses the same account.
    pub(crate) async fn other_release(&self, writes: u32, reads: u32) -> Arc<dyn Store> {
        let format = Format { writes, reads };
        self.backend.open(&self.account, format).await
    }

    pub(crate) async fn disturb(&self) {
        self.backend.disturb(&self.account).await;
    }

    pub(crate) async fn claim(&self, claim: &Claim) -> ClaimAnswer {
        self.store.claim(claim).await.unwrap().answer
    }

    pub(crate) async fn record(&self, payment: &Payment) -> Option<Record> {
        let lookup = Lookup::Digest(payment.subject.digest);
        self.store.read(&lookup).await.unwrap().answer
    }

    /// Claims what nobody has claimed, in a store without losses.
    pub(crate) async fn run(&self, payment: &Payment, by: u128) {
        let answer = self.claim(&payment.claim(by)).await;
        assert!(matches!(answer, ClaimAnswer::Run { epoch: 1, .. }), "{answer:?}");
    }
}

pub(crate) type Story = fn(Stage) -> BoxFuture<'static, ()>;

macro_rules! stories {
    ($($module:ident: $($story:ident)*;)*) => {
        pub(crate) const STORIES: &[(&str, Story)] = &[
            $($((stringify!($story), |stage| $module::$story(stage).boxed()),)*)*
        ];
    };
}

stories! {
    claims:
        a_first_claim_runs_and_says_what_it_holds
        a_duplicate_is_told_to_wait_and_woken
        an_owner_may_claim_again
        a_takeover_fences_the_old_owner
        an_existing_record_beats_a_refusal
        other_content_neither_hears_nor_takes_over
        a_rotated_fingerprint_key_still_matches
        a_reference_is_taken_once
        references_of_charges_and_refunds_are_apart
        one_of_many_at_once_runs
        one_of_two_keys_with_one_reference_runs;
    evidence:
        a_final_outcome_stays
        an_open_outcome_moves_forward_only
        another_id_is_a_conflict
        a_failure_and_a_success_are_a_conflict
        a_contradiction_is_a_conflict
        a_nameless_decline_is_final_when_alone
        a_nameless_decline_proves_nothing_of_an_ambiguous_record
        a_fenced_owner_is_heard
        a_failure_gives_reservations_back
        attempts_are_logged_once_and_bounded
        an_observer_ends_no_payment_under_way
        an_observer_finds_what_an_owner_left
        an_observer_from_before_a_takeover_is_not_heard;
    keeping:
        a_release_frees_key_and_reference
        an_ambiguous_record_is_not_released
        a_doubt_ends_the_lease
        a_doubt_may_leave_the_owner_at_work
        a_finished_record_is_kept_for_its_time
        an_unknown_record_is_not_forgotten
        an_unknown_token_is_forgotten
        a_token_in_conflict_is_forgotten
        a_takeover_calls_off_the_forgetting
        a_wiped_store_looks_up_first
        what_vanished_is_created_again
        an_owner_of_an_earlier_life_completes_no_other_content;
    limits:
        a_limit_is_filled_to_the_last_unit_and_no_further
        nothing_is_taken_where_one_of_two_limits_is_full
        a_limit_that_is_not_enforced_counts_on_and_refuses_nothing
        a_record_beats_a_full_limit_and_counts_once
        what_came_to_nothing_goes_back_once
        refunds_never_exceed_their_charge
        all_that_is_left_counts_as_what_it_came_to
        what_happened_counts_though_a_failure_gave_it_back
        a_stop_covers_what_it_names_until_it_is_lifted
        a_record_beats_a_stop_and_a_stop_ends
        after_a_loss_limits_start_again_or_are_full;
    operating:
        a_new_store_is_declared_once
        pending_records_come_by_their_time
        pending_records_are_counted
        an_abandoned_record_is_seen_as_unknown
        an_operator_settles_what_is_over
        an_operator_cannot_settle_what_may_be_sent
        evidence_against_a_settlement_is_a_conflict
        one_process_reconciles
        a_process_with_another_fingerprint_key_is_not_ready
        a_newer_record_is_left_alone
        a_newer_record_stays_due
        two_releases_finish_each_others_records;
}
