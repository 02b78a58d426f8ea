//! Tokens, made exactly once. They hold card data, which no record keeps: only the caller can
//! send one again, and nobody can look one up.

use bytes::Bytes;
use zeroize::Zeroizing;

use super::kept::canonical_tokenize;
use super::stored;
use crate::domain::{
    Currency, FailureCode, IdempotencyKey, Operation, PaymentToken, Reference, TokenizeCommand,
};
use crate::engine::{Found, Payment};
use crate::idempotency::{Class, Outcome};
use crate::telemetry::{Asked, Beginning, Came};
use crate::zentra::{Attempt, Reply, Trouble, Zentra};

impl Payment for TokenizeCommand {
    type Value = PaymentToken;

    fn operation(&self) -> Operation {
        Operation::Tokenize
    }

    fn asked(&self) -> Asked {
        Asked {
            operation: Operation::Tokenize,
            actor: self.actor.clone(),
            reference: None,
            charge_reference: None,
            customer_id: Some(self.customer_id.clone()),
            payment_token_id: None,
            amount: None,
            reason: None,
        }
    }

    fn came(token: &PaymentToken) -> Came {
        // A token that exists is ready to be charged.
        let provider_id = Some(token.id.clone());
        Came { status: "SAVED", is_final: true, provider_id, moved: None }
    }

    fn idempotency_key(&self) -> &IdempotencyKey {
        &self.idempotency_key
    }

    fn reference(&self) -> Option<&Reference> {
        None
    }

    fn canonical(&self) -> Zeroizing<Vec<u8>> {
        canonical_tokenize(self)
    }

    fn kept(&self) -> Option<Bytes> {
        None
    }

    fn beginning(_: &[u8]) -> Beginning {
        Beginning::default()
    }

    async fn send(
        &self,
        zentra: &Zentra,
        attempt: Attempt<'_>,
    ) -> Result<Reply<PaymentToken>, Trouble> {
        zentra.tokenize(self, attempt).await
    }

    async fn look_up(&self, _: &Zentra, _: bool) -> Result<Found<PaymentToken>, Trouble> {
        Ok(Found::Nothing)
    }

    fn declined(&self, _: FailureCode) -> Option<PaymentToken> {
        None
    }

    fn outcome(&self, token: &PaymentToken) -> Outcome {
        Outcome {
            payload: stored::write(token),
            provider_id: Some(token.id.to_string()),
            class: Class::Succeeded,
            phase: 1,
        }
    }

    fn currency(&self) -> Option<Currency> {
        None
    }

    fn amount(&self, _: &PaymentToken) -> Option<u64> {
        None
    }

    fn value(&self, outcome: &Outcome) -> Option<PaymentToken> {
        stored::read(&outcome.payload)
    }

    fn fits(&self, _: &PaymentToken) -> bool {
        true
    }

    fn has_own_reference(&self, _: &PaymentToken) -> bool {
        false
    }
}
