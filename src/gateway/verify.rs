//! Verify: wait for a final status where asked to, then ask Zentra to verify, once.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Call, Gateway, policy, reads::in_time};
use crate::domain::{
    Charge, ChargeStatus, Initiator, Operation, ProviderText, Reference, VerifyCommand,
};
use crate::error::{Error, MoneyMoved};
use crate::zentra::{Reply, TroubleKind};

/// The first pause between two looks at a pending charge; each next one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The share of the caller's time that is kept for the verify call itself.
const SHARE_FOR_VERIFY: u32 = 4;

/// What Verify found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The charge.
    pub charge: Charge,
    /// True where the token can be tried for renewals. Zentra alone decides on each.
    pub token_ready: bool,
    /// Zentra's id of the verify call.
    pub request_id: Option<ProviderText>,
}

impl Gateway {
    /// Asks Zentra for a charge's final status; waits for one first where the command says so.
    ///
    /// # Errors
    /// As a read's.
    pub async fn verify(&self, call: Call, command: VerifyCommand) -> Result<Verified, Error> {
        let reference = &command.reference;
        self.permit(&call, Operation::Verify, policy::of_reference(reference))?;
        if !command.wait.is_zero() {
            self.wait_until_final(&call, reference, command.wait).await;
            let told = call.admitted.works();
            told.map_err(|error| error.money_moved(MoneyMoved::NotApplicable))?;
        }
        let began = Instant::now();
        let reply = in_time(&call, self.engine().zentra().by(call.answer_by).verify(reference))
            .await
            .map_err(|error| error.reference(reference.as_str()))?;
        self.seen(reference, &reply, began);
        let Reply { value: charge, request_id } = reply;
        let token_ready = charge.status == ChargeStatus::Succeeded
            && charge.initiator == Some(Initiator::Customer)
            && charge.payment_token_id.is_some();
        Ok(Verified { charge, token_ready, request_id })
    }

    /// Looks at the charge with growing pauses until it is final, the time is over, or the end of
    /// the process begins. Whatever goes wrong here, the verify call tells.
    async fn wait_until_final(&self, call: &Call, reference: &Reference, wait: Duration) {
        let now = Instant::now();
        let time_left = call.answer_by.saturating_duration_since(now);
        let until = now + wait.min(time_left - time_left / SHARE_FOR_VERIFY);
        call.admitted.waits();
        tokio::select! {
            biased;
            // The verify call itself is the last look.
            () = self.engine().draining().begun() => {}
            () = self.look_until_final(reference, until) => {}
        }
    }

    async fn look_until_final(&self, reference: &Reference, until: Instant) {
        let zentra = self.engine().zentra().by(until);
        let mut pause = FIRST_PAUSE;
        loop {
            let look = timeout_at(until, zentra.get_charge(reference)).await;
            match look {
                Ok(Ok(reply)) if reply.value.status.is_final() => return,
                Ok(Err(trouble)) if trouble.kind == TroubleKind::NotFound => return,
                Ok(_) => {}
                Err(_) => return,
            }
            let next = Instant::now() + pause;
            if next >= until {
                sleep_until(until).await;
                return;
            }
            sleep_until(next).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
