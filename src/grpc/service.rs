//! `PaymentService`: each RPC is read, handed to the gateway, and written back.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::asked::Message as _;
use super::proto::{self, payment_service_server::PaymentService};
use super::told::Told;
use super::{CallSettings, page_token, requests, responses};
use crate::clock::Clock;
use crate::domain::Operation;
use crate::error::Error;
use crate::gateway::{self, Gateway};
use crate::telemetry::Asked;

/// The service behind one listener.
#[derive(Clone)]
pub(super) struct Payments {
    pub(super) gateway: Gateway,
    pub(super) settings: CallSettings,
    pub(super) clock: Arc<dyn Clock>,
}

type Answer<T> = Result<Response<T>, Status>;

impl Payments {
    /// Tells the audit log of a write whose request is none.
    fn accounted<T>(
        &self,
        call: &gateway::Call,
        command: Result<T, Error>,
        asked: impl FnOnce() -> Option<Asked>,
    ) -> Result<T, Error> {
        command.map_err(|error| self.settings.account(&call.caller, asked(), error))
    }
}

#[tonic::async_trait]
impl PaymentService for Payments {
    async fn tokenize(
        &self,
        request: Request<proto::TokenizeRequest>,
    ) -> Answer<proto::TokenizeResponse> {
        let handle = async |call: gateway::Call, message: proto::TokenizeRequest| {
            let asked = message.asked();
            // Before a look at the card: who takes none has nothing to say of one.
            let taken = self.gateway.takes_card_data();
            let command = taken.and_then(|()| requests::tokenize(message, self.clock.now()));
            let command = self.accounted(&call, command, || asked)?;
            let done = self.gateway.tokenize(call, command).await?;
            let told = Told::write("SAVED", &done.execution);
            let token = Some(responses::token(done.value));
            let execution = Some(responses::execution(done.execution));
            Ok(told.with(proto::TokenizeResponse { token, execution }))
        };
        self.settings.run(Operation::Tokenize, request, handle).await
    }

    async fn charge(
        &self,
        request: Request<proto::ChargeRequest>,
    ) -> Answer<proto::ChargeResponse> {
        let handle = async |call, message: proto::ChargeRequest| {
            let command = self.accounted(&call, requests::charge(&message), || message.asked())?;
            let done = self.gateway.charge(call, command).await?;
            let told = Told::write(done.value.status.as_str(), &done.execution);
            let charge = Some(responses::charge(done.value));
            let execution = Some(responses::execution(done.execution));
            Ok(told.with(proto::ChargeResponse { charge, execution }))
        };
        self.settings.run(Operation::Charge, request, handle).await
    }

    async fn verify(
        &self,
        request: Request<proto::VerifyRequest>,
    ) -> Answer<proto::VerifyResponse> {
        let handle = async |call, message: proto::VerifyRequest| {
            let verified = self.gateway.verify(call, requests::verify(&message)?).await?;
            let told = Told::read(verified.charge.status.as_str(), verified.request_id);
            let charge = Some(responses::charge(verified.charge));
            Ok(told.with(proto::VerifyResponse { charge, token_ready: verified.token_ready }))
        };
        self.settings.run(Operation::Verify, request, handle).await
    }

    async fn refund(
        &self,
        request: Request<proto::RefundRequest>,
    ) -> Answer<proto::RefundResponse> {
        let handle = async |call, message: proto::RefundRequest| {
            let command = self.accounted(&call, requests::refund(&message), || message.asked())?;
            let done = self.gateway.refund(call, command).await?;
            let told = Told::write(done.value.status.as_str(), &done.execution);
            let refund = Some(responses::refund(done.value));
            let execution = Some(responses::execution(done.execution));
            Ok(told.with(proto::RefundResponse { refund, execution }))
        };
        self.settings.run(Operation::Refund, request, handle).await
    }

    async fn renew(&self, request: Request<proto::RenewRequest>) -> Answer<proto::RenewResponse> {
        let handle = async |call, message: proto::RenewRequest| {
            let command = self.accounted(&call, requests::renew(&message), || message.asked())?;
            let done = self.gateway.charge(call, command).await?;
            let told = Told::write(done.value.status.as_str(), &done.execution);
            let charge = Some(responses::charge(done.value));
            let execution = Some(responses::execution(done.execution));
            Ok(told.with(proto::RenewResponse { charge, execution }))
        };
        self.settings.run(Operation::Renew, request, handle).await
    }

    async fn get_charge(
        &self,
        request: Request<proto::GetChargeRequest>,
    ) -> Answer<proto::GetChargeResponse> {
        let handle = async |call, message: proto::GetChargeRequest| {
            let reference = requests::reference(&message.reference)?;
            let read = self.gateway.get_charge(call, reference).await?;
            let told = Told::read(read.value.status.as_str(), read.request_id);
            Ok(told.with(proto::GetChargeResponse { charge: Some(responses::charge(read.value)) }))
        };
        self.settings.run(Operation::GetCharge, request, handle).await
    }

    async fn list_charges(
        &self,
        request: Request<proto::ListChargesRequest>,
    ) -> Answer<proto::ListChargesResponse> {
        let handle = async |call, message: proto::ListChargesRequest| {
            let asked = requests::list_charges(&message)?;
            let read = self.gateway.list_charges(call, asked).await?;
            let page = read.value;
            Ok(Told::page(read.request_id).with(proto::ListChargesResponse {
                charges: page.items.into_iter().map(responses::charge).collect(),
                next_page_token: page_token::next(requests::CHARGES, asked, page.has_more),
            }))
        };
        self.settings.run(Operation::ListCharges, request, handle).await
    }

    async fn get_refund(
        &self,
        request: Request<proto::GetRefundRequest>,
    ) -> Answer<proto::GetRefundResponse> {
        let handle = async |call, message: proto::GetRefundRequest| {
            let reference = requests::reference(&message.reference)?;
            let read = self.gateway.get_refund(call, reference).await?;
            let told = Told::read(read.value.status.as_str(), read.request_id);
            Ok(told.with(proto::GetRefundResponse { refund: Some(responses::refund(read.value)) }))
        };
        self.settings.run(Operation::GetRefund, request, handle).await
    }

    async fn list_tokens(
        &self,
        request: Request<proto::ListTokensRequest>,
    ) -> Answer<proto::ListTokensResponse> {
        let handle = async |call, message: proto::ListTokensRequest| {
            let (customer_id, asked) = requests::list_tokens(&message)?;
            let list = requests::tokens_of(customer_id.as_str());
            let read = self.gateway.list_tokens(call, customer_id, asked).await?;
            let page = read.value;
            Ok(Told::page(read.request_id).with(proto::ListTokensResponse {
                tokens: page.items.into_iter().map(responses::token).collect(),
                next_page_token: page_token::next(&list, asked, page.has_more),
            }))
        };
        self.settings.run(Operation::ListTokens, request, handle).await
    }
}
