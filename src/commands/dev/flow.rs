//! The payment flow, through a real gRPC client: tokenize, charge, verify, renew, refund, read
//! back. Each step says what it expects; anything else ends the flow.

use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt;

use super::screen;
use crate::clock::{Clock, SystemClock};
use crate::commands::health::connect;
use crate::domain::{Currency, Money};
use crate::grpc::proto::payment_service_client::PaymentServiceClient;
use crate::grpc::proto::{self, tokenize_request::PaymentMethod};

/// A card of the simulator's that always pays.
const GOOD_CARD: &str = "4242424242424242";
const CUSTOMER: &str = "cus_dev";
const AMOUNT_MINOR: i64 = 125_000;
const REFUND_MINOR: i64 = 50_000;

struct Flow {
    client: PaymentServiceClient<Channel>,
    /// Makes references and keys unlike those of an earlier run.
    run: String,
    steps: usize,
}

/// Runs the flow against the sidecar at `address`; the fault names the step.
pub(super) async fn run(address: &str) -> Result<(), String> {
    let parsed = address.parse().map_err(str::to_owned)?;
    let channel = connect(parsed).await.map_err(|fault| format!("cannot connect: {fault}"))?;
    let run = format!("dev-{}", SystemClock.now().as_millisecond());
    let mut flow = Flow { client: PaymentServiceClient::new(channel), run, steps: 0 };
    let token = flow.tokenize().await?;
    flow.charge(&token).await?;
    flow.renew_too_early(&token).await?;
    flow.verify().await?;
    flow.renew(&token).await?;
    flow.refund().await?;
    flow.read_back().await
}

impl Flow {
    async fn tokenize(&mut self) -> Result<String, String> {
        let started = Instant::now();
        let year = SystemClock.now().to_zoned(jiff::tz::TimeZone::UTC).year() + 3;
        let answer = self
            .client
            .tokenize(proto::TokenizeRequest {
                idempotency_key: self.name("token"),
                customer_id: CUSTOMER.to_owned(),
                payment_method: Some(PaymentMethod::Card(proto::Card {
                    number: GOOD_CARD.to_owned(),
                    expiry_month: 12,
                    expiry_year: i32::from(year),
                    cvv: "123".to_owned(),
                    holder_name: "Ada Obi".to_owned(),
                })),
                actor: String::new(),
            })
            .await;
        let token = answer.map(|it| it.into_inner().token.unwrap_or_default());
        let shown = token.as_ref().map_err(described).map(|token| {
            let last4 = match &token.display {
                Some(proto::payment_token::Display::Card(card)) => card.last4.as_str(),
                _ => "",
            };
            format!("{} (card ending in {last4})", token.id)
        });
        self.step("Tokenize", &format!("a card of {CUSTOMER}"), shown, started)?;
        Ok(token.map(|token| token.id).unwrap_or_default())
    }

    async fn charge(&mut self, token: &str) -> Result<(), String> {
        let started = Instant::now();
        let answer = self
            .client
            .charge(proto::ChargeRequest {
                idempotency_key: self.name("charge"),
                reference: self.name("charge"),
                amount: amount(AMOUNT_MINOR),
                customer_id: CUSTOMER.to_owned(),
                payment_token_id: token.to_owned(),
                actor: String::new(),
            })
            .await;
        let shown = charge_shown(answer.map(|it| it.into_inner().charge));
        self.step("Charge", &format!("{}, customer present", money(AMOUNT_MINOR)), shown, started)
    }

    async fn renew_too_early(&mut self, token: &str) -> Result<(), String> {
        let started = Instant::now();
        let answer = self.client.renew(self.renewal("too-early", token)).await;
        let shown = match answer.map(|_| ()) {
            Err(status) if reason(&status).as_deref() == Some("TOKEN_NOT_READY") => {
                Ok("refused: TOKEN_NOT_READY, as expected before the verify".to_owned())
            }
            Err(status) => Err(described(&status)),
            Ok(()) => Err("accepted, though the first charge is not verified".to_owned()),
        };
        self.step("Renew", "before the verify", shown, started)
    }

    async fn verify(&mut self) -> Result<(), String> {
        let started = Instant::now();
        let request = proto::VerifyRequest { reference: self.name("charge"), wait: None };
        let answer = self.client.verify(request).await.map(Response::into_inner);
        let ready = answer.as_ref().is_ok_and(|answer| answer.token_ready);
        let shown = charge_shown(answer.map(|answer| answer.charge)).and_then(|shown| {
            ready.then(|| format!("{shown}, token ready")).ok_or("the token is not ready".into())
        });
        self.step("Verify", "the charge", shown, started)
    }

    async fn renew(&mut self, token: &str) -> Result<(), String> {
        let started = Instant::now();
        let answer = self.client.renew(self.renewal("renewal", token)).await;
        let shown = charge_shown(answer.map(|it| it.into_inner().charge));
        let asked = format!("{}, merchant initiated", money(AMOUNT_MINOR));
        self.step("Renew", &asked, shown, started)
    }

    fn renewal(&self, name: &str, token: &str) -> proto::RenewRequest {
        proto::RenewRequest {
            idempotency_key: self.name(name),
            reference: self.name(name),
            amount: amount(AMOUNT_MINOR),
            customer_id: CUSTOMER.to_owned(),
            payment_token_id: token.to_owned(),
            actor: String::new(),
        }
    }

    async fn refund(&mut self) -> Result<(), String> {
        let started = Instant::now();
        let answer = self
            .client
            .refund(proto::RefundRequest {
                idempotency_key: self.name("refund"),
                reference: self.name("refund"),
                charge_reference: self.name("charge"),
                amount: amount(REFUND_MINOR),
                reason: "a part was sent back".to_owned(),
                actor: String::new(),
            })
            .await;
        let shown = refund_shown(answer.map(|it| it.into_inner().refund));
        self.step("Refund", &format!("{} of the charge", money(REFUND_MINOR)), shown, started)
    }

    async fn read_back(&mut self) -> Result<(), String> {
        let started = Instant::now();
        let request = proto::GetChargeRequest { reference: self.name("charge") };
        let answer = self.client.get_charge(request).await;
        let charge = answer.map(|it| it.into_inner().charge.unwrap_or_default());
        let shown = charge.map_err(|status| described(&status)).and_then(|charge| {
            let status = charge.status();
            let shown = format!("{} {}", charge.id, status.as_str_name());
            if status == proto::ChargeStatus::PartiallyRefunded { Ok(shown) } else { Err(shown) }
        });
        self.step("GetCharge", "the charge, refunded in part", shown, started)?;

        let started = Instant::now();
        let request = proto::GetRefundRequest { reference: self.name("refund") };
        let answer = self.client.get_refund(request).await;
        let shown = refund_shown(answer.map(|it| it.into_inner().refund));
        self.step("GetRefund", "the refund", shown, started)?;

        let started = Instant::now();
        let request = proto::ListChargesRequest { page_size: 20, page_token: String::new() };
        let shown = match self.client.list_charges(request).await.map(Response::into_inner) {
            Ok(page) if page.charges.len() == 2 => Ok("2 charges".to_owned()),
            Ok(page) => Err(format!("{} charges instead of 2", page.charges.len())),
            Err(status) => Err(described(&status)),
        };
        self.step("ListCharges", "the account's charges", shown, started)?;

        let started = Instant::now();
        let customer_id = CUSTOMER.to_owned();
        let request =
            proto::ListTokensRequest { customer_id, page_size: 20, page_token: String::new() };
        let shown = match self.client.list_tokens(request).await.map(Response::into_inner) {
            Ok(page) if page.tokens.len() == 1 => Ok("1 token".to_owned()),
            Ok(page) => Err(format!("{} tokens instead of 1", page.tokens.len())),
            Err(status) => Err(described(&status)),
        };
        self.step("ListTokens", &format!("the tokens of {CUSTOMER}"), shown, started)
    }

    fn name(&self, what: &str) -> String {
        format!("{}-{what}", self.run)
    }

    fn step(
        &mut self,
        rpc: &str,
        asked: &str,
        result: Result<String, String>,
        started: Instant,
    ) -> Result<(), String> {
        self.steps += 1;
        screen::step(self.steps, rpc, asked, &result, started.elapsed());
        result.map(|_| ()).map_err(|fault| format!("{rpc} ({asked}): {fault}"))
    }
}

fn charge_shown(answer: Result<Option<proto::Charge>, Status>) -> Result<String, String> {
    let charge = answer.map_err(|status| described(&status))?.unwrap_or_default();
    let shown = format!("{} {}", charge.id, charge.status().as_str_name());
    if charge.status() == proto::ChargeStatus::Succeeded { Ok(shown) } else { Err(shown) }
}

fn refund_shown(answer: Result<Option<proto::Refund>, Status>) -> Result<String, String> {
    let refund = answer.map_err(|status| described(&status))?.unwrap_or_default();
    let shown = format!("{} {}", refund.id, refund.status().as_str_name());
    if refund.status() == proto::RefundStatus::Succeeded { Ok(shown) } else { Err(shown) }
}

fn reason(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.reason)
}

fn described(status: &Status) -> String {
    let code: Code = status.code();
    let reason = reason(status).unwrap_or_default();
    format!("{code:?} {reason}: {}", status.message())
}

fn amount(amount_minor: i64) -> Option<proto::Money> {
    Some(proto::Money { amount_minor, currency: "NGN".to_owned() })
}

fn money(amount_minor: i64) -> String {
    Currency::new("NGN")
        .and_then(|currency| Money::new(amount_minor, currency))
        .map_or_else(|_| String::new(), |money| money.to_string())
}
