//! The typed operations.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use serde::Serialize;
use serde_json::Value;
use tower::{Service, ServiceExt};
use zeroize::Zeroizing;

use super::classify::{Opened, classify};
use super::fields::Unreadable;
use super::routes::Route;
use super::trouble::{Trouble, TroubleKind};
use super::{BaseUrl, SecretKey, paging, wire};
use crate::clock::Clock;
use crate::domain::{
    Charge, ChargeCommand, CustomerId, ListPage, Money, Page, PaymentMethod, PaymentToken,
    ProviderText, Reference, Refund, RefundCommand, TokenizeCommand,
};
use crate::upstream::{SendFence, TransportError, Upstream};

/// Larger than any request body, so that a body with card data is never moved while it grows.
const BODY_CAPACITY_BYTES: usize = 4096;

/// A value, and Zentra's id of the request that brought it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply<T> {
    /// What Zentra answered.
    pub value: T,
    /// Zentra's id of the request.
    pub request_id: Option<ProviderText>,
}

/// What every POST that makes a payment carries.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// The key that Zentra sees: the same on every attempt.
    pub idempotency_key: &'a str,
    /// Until when it may leave.
    pub fence: &'a SendFence,
}

/// Zentra's REST API.
///
/// Each call is one HTTP exchange as far as this module knows; an answer that contradicts what
/// was asked is [`TroubleKind::Conflict`], never a value.
#[derive(Clone)]
pub struct Zentra {
    base_url: BaseUrl,
    key: Arc<SecretKey>,
    upstream: Upstream,
    clock: Arc<dyn Clock>,
}

impl Zentra {
    /// Speaks to `base_url` with `key` over `upstream`.
    #[must_use]
    pub fn new(
        base_url: BaseUrl,
        key: Arc<SecretKey>,
        upstream: Upstream,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { base_url, key, upstream, clock }
    }

    /// Takes money.
    ///
    /// # Errors
    /// [`Trouble`]; `Doubt` where the charge may have been made.
    pub async fn charge(
        &self,
        command: &ChargeCommand,
        attempt: Attempt<'_>,
    ) -> Result<Reply<Charge>, Trouble> {
        let body = wire::ChargeBody::new(command, attempt.idempotency_key);
        let opened = self.send(Route::CreateCharge, json(&body)?, attempt).await?;
        let (fields, asked) = (&opened.data, command.amount);
        let reply = read(&opened, wire::charge)?;
        same_text(fields, "reference", command.reference.as_str(), &opened)?;
        same_money(asked, reply.value.amount, &opened)?;
        Ok(reply)
    }

    /// Reads a charge by the caller's reference.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn get_charge(&self, reference: &Reference) -> Result<Reply<Charge>, Trouble> {
        self.charge_of(Route::GetCharge(reference), reference).await
    }

    /// Asks Zentra for a charge's final status; for a first charge on a token this also makes
    /// the token ready for renewals.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn verify(&self, reference: &Reference) -> Result<Reply<Charge>, Trouble> {
        self.charge_of(Route::VerifyCharge(reference), reference).await
    }

    async fn charge_of(
        &self,
        route: Route<'_>,
        reference: &Reference,
    ) -> Result<Reply<Charge>, Trouble> {
        let opened = self.read(route).await?;
        let reply = read(&opened, wire::charge)?;
        same_text(&opened.data, "reference", reference.as_str(), &opened)?;
        Ok(reply)
    }

    /// Gives money back.
    ///
    /// # Errors
    /// [`Trouble`]; `Doubt` where the refund may have been made.
    pub async fn refund(
        &self,
        command: &RefundCommand,
        attempt: Attempt<'_>,
    ) -> Result<Reply<Refund>, Trouble> {
        let body = wire::RefundBody::new(command, attempt.idempotency_key);
        let opened = self.send(Route::CreateRefund, json(&body)?, attempt).await?;
        let mut reply = read(&opened, wire::refund)?;
        let charge_reference = command.charge_reference.as_str();
        same_text(&opened.data, "charge_reference", charge_reference, &opened)?;
        if let Some(asked) = command.amount {
            same_money(asked, reply.value.amount, &opened)?;
        }
        if command.charge_amount.is_some_and(|charge| !reply.value.fits(charge)) {
            return Err(conflict("amount than its charge allows", &opened));
        }
        reply.value.name(command.reference.as_str());
        Ok(reply)
    }

    /// Reads a refund by the reference that Zentra knows it by, which may be Zentra's own.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn get_refund(&self, reference: &Reference) -> Result<Reply<Refund>, Trouble> {
        let opened = self.read(Route::GetRefund(reference.as_str())).await?;
        let mut reply = read(&opened, wire::refund)?;
        reply.value.name(reference.as_str());
        Ok(reply)
    }

    /// Saves a payment method.
    ///
    /// # Errors
    /// [`Trouble`]; `Doubt` where it may have been saved.
    pub async fn tokenize(
        &self,
        command: &TokenizeCommand,
        attempt: Attempt<'_>,
    ) -> Result<Reply<PaymentToken>, Trouble> {
        let route = match command.payment_method {
            PaymentMethod::Card(_) => Route::TokenizeCard,
            PaymentMethod::BankAccount(_) => Route::TokenizeBankAccount,
        };
        let body = json(&wire::TokenBody::new(command, attempt.idempotency_key))?;
        let opened = self.send(route, body, attempt).await?;
        read(&opened, wire::token)
    }

    /// Reads a page of the account's charges.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn list_charges(&self, page: ListPage) -> Result<Reply<Page<Charge>>, Trouble> {
        self.list(Route::ListCharges(page), page, wire::charge).await
    }

    /// Reads a page of a customer's saved payment methods.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn list_tokens(
        &self,
        customer_id: &CustomerId,
        page: ListPage,
    ) -> Result<Reply<Page<PaymentToken>>, Trouble> {
        self.list(Route::ListTokens(customer_id, page), page, wire::token).await
    }

    async fn list<T>(
        &self,
        route: Route<'_>,
        page: ListPage,
        item: impl Fn(&Value) -> Result<T, Unreadable>,
    ) -> Result<Reply<Page<T>>, Trouble> {
        let opened = self.read(route).await?;
        let value = paging::read(&opened.data, opened.pagination.as_ref(), page, item)
            .map_err(|fault| unreadable(fault, &opened))?;
        Ok(Reply { value, request_id: opened.note.request_id })
    }

    async fn read(&self, route: Route<'_>) -> Result<Opened, Trouble> {
        self.exchange(route, self.request(route, None)).await
    }

    async fn send(
        &self,
        route: Route<'_>,
        body: Bytes,
        attempt: Attempt<'_>,
    ) -> Result<Opened, Trouble> {
        let mut request = self.request(route, Some(body));
        if let Some(request) = &mut request {
            request.extensions_mut().insert(attempt.fence.clone());
        }
        self.exchange(route, request).await
    }

    async fn exchange(
        &self,
        route: Route<'_>,
        request: Option<Request<Bytes>>,
    ) -> Result<Opened, Trouble> {
        let request = request
            .ok_or_else(|| Trouble::new(TroubleKind::NotSent, "the request could not be built"))?;
        let mut upstream = self.upstream.clone();
        let answer = match upstream.ready().await {
            Ok(ready) => ready.call(request).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) => {
                let (parts, body) = answer.into_parts();
                let opened = classify(route, parts.status, &parts.headers, &body, self.clock.now());
                if let Err(Trouble { kind: TroubleKind::Unauthorized, provider, .. }) = &opened {
                    // Whatever callers are told, this needs an operator.
                    let (status, code) = (provider.http_status, provider.code);
                    tracing::error!(status, code, "Zentra refused the sidecar's key");
                }
                opened
            }
            Err(error) => Err(transport_trouble(error)),
        }
    }

    fn request(&self, route: Route<'_>, body: Option<Bytes>) -> Option<Request<Bytes>> {
        let (segments, query) = route.parts();
        let address = self.base_url.route(&segments, &query)?;
        let mut request = Request::builder()
            .method(route.method())
            .uri(address.as_str())
            .header(header::AUTHORIZATION, self.key.authorization()?)
            .header(header::ACCEPT, HeaderValue::from_static("application/json"))
            .header(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        if body.is_some() {
            let json = HeaderValue::from_static("application/json");
            request = request.header(header::CONTENT_TYPE, json);
        } else if route.method() == Method::POST {
            // Without it proxies on the way may answer 411 to a POST.
            request = request.header(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        request.body(body.unwrap_or_default()).ok()
    }
}

const USER_AGENT: &str = concat!("zentra-sidecar/", env!("CARGO_PKG_VERSION"));

/// Writes a body into memory that is wiped when the request is done with.
fn json(body: &impl Serialize) -> Result<Bytes, Trouble> {
    let mut text = Zeroizing::new(Vec::with_capacity(BODY_CAPACITY_BYTES));
    serde_json::to_writer(&mut *text, body)
        .map_err(|_| Trouble::new(TroubleKind::NotSent, "the body could not be written"))?;
    Ok(Bytes::from_owner(text))
}

fn read<T>(
    opened: &Opened,
    object: impl Fn(&Value) -> Result<T, Unreadable>,
) -> Result<Reply<T>, Trouble> {
    let value = object(&opened.data).map_err(|fault| unreadable(fault, opened))?;
    Ok(Reply { value, request_id: opened.note.request_id.clone() })
}

fn unreadable(fault: Unreadable, opened: &Opened) -> Trouble {
    Trouble::new(TroubleKind::Doubt, format!("{fault} in Zentra's answer"))
        .with_provider(opened.note.clone())
}

fn transport_trouble(error: TransportError) -> Trouble {
    let kind = match error {
        TransportError::NotSent => TroubleKind::NotSent,
        TransportError::LeaseOver => TroubleKind::LeaseOver,
        TransportError::TimedOut | TransportError::Broken | TransportError::TooLarge { .. } => {
            TroubleKind::Doubt
        }
    };
    Trouble::new(kind, error.to_string())
}

fn conflict(what: &'static str, opened: &Opened) -> Trouble {
    Trouble::new(TroubleKind::Conflict, format!("Zentra's answer has another {what}"))
        .with_provider(opened.note.clone())
}

/// Compares a text of the answer as it came, not as it may be shown.
fn same_text(
    data: &Value,
    field: &'static str,
    asked: &str,
    opened: &Opened,
) -> Result<(), Trouble> {
    let answered = super::fields::Fields::of(data, "object").ok().and_then(|it| it.text(field));
    if answered == Some(asked) { Ok(()) } else { Err(conflict(field, opened)) }
}

fn same_money(asked: Money, answered: Money, opened: &Opened) -> Result<(), Trouble> {
    if asked.currency() != answered.currency() {
        return Err(conflict("currency", opened));
    }
    if asked != answered {
        return Err(conflict("amount", opened));
    }
    Ok(())
}
