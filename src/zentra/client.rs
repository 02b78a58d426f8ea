//! The typed operations.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use serde::Serialize;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use tower::ServiceExt;
use zeroize::Zeroizing;

use super::address::{Address, Addresses};
use super::classify::{Opened, classify};
use super::fields::Unreadable;
use super::routes::Route;
use super::trouble::{Trouble, TroubleKind};
use super::{BaseUrl, KeyRing, paging, wire};
use crate::clock::Clock;
use crate::domain::{
    Charge, ChargeCommand, CustomerId, ListPage, Money, Page, PaymentMethod, PaymentToken,
    ProviderText, Reference, Refund, RefundCommand, TokenizeCommand,
};
use crate::upstream::{
    Effect, Repeated, SendFence, StackState, Terms, TransportError, Tries, Upstream,
};

/// Larger than any request body, so that a body with card data is never moved while it grows.
const SECRET_BODY_BYTES: usize = 4096;
/// As large as the bodies of most payments.
const BODY_BYTES: usize = 512;

/// The headers of a request, those among them that stack and client add: a map that has to grow is made
/// anew.
const HEADERS: usize = 6;

/// The same of a request with a body.
const HEADERS_WITH_BODY: usize = 8;

/// How long a call may take whose maker sets no time, its repeats included.
const USUAL_TIME: Duration = Duration::from_secs(15);

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
    /// Takes down its tries.
    pub tries: &'a Tries,
    /// The tries that it may take, all of them together.
    pub most_tries: u32,
    /// Whether it was sent before by the same call, which [`Zentra::pays_for_repeat`] has paid for.
    pub is_repeat: bool,
}

/// Zentra's REST API.
///
/// Each call is one HTTP exchange as far as this module knows; an answer that contradicts what
/// was asked is [`TroubleKind::Conflict`], never a value.
#[derive(Clone)]
pub struct Zentra {
    shared: Arc<Shared>,
    deadline: Option<Instant>,
    reads: Effect,
}

struct Shared {
    addresses: Addresses,
    key: Arc<KeyRing>,
    upstream: Upstream,
    state: StackState,
    clock: Arc<dyn Clock>,
}

impl Zentra {
    /// Speaks to `base_url` with `key` over `upstream`, whose state is `state`.
    #[must_use]
    pub fn new(
        base_url: BaseUrl,
        key: Arc<KeyRing>,
        (upstream, state): (Upstream, StackState),
        clock: Arc<dyn Clock>,
    ) -> Self {
        let addresses = Addresses::below(base_url);
        let shared = Arc::new(Shared { addresses, key, upstream, state, clock });
        Self { shared, deadline: None, reads: Effect::Read }
    }

    /// The same Zentra for a caller whose time ends at `deadline`: nothing new is sent after it.
    #[must_use]
    pub fn by(&self, deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..self.clone() }
    }

    /// The same Zentra for finding out what became of a payment, which is asked even while
    /// nothing else is.
    #[must_use]
    pub fn looking_up(&self) -> Self {
        Self { reads: Effect::LookUp, ..self.clone() }
    }

    /// How long nothing is sent, as Zentra has failed again and again; none where something is.
    #[must_use]
    pub fn refuses_for(&self) -> Option<Duration> {
        self.shared.state.circuit.refuses_for(Instant::now())
    }

    /// Pays for one more try of a payment that may have been processed; false where repeats have
    /// used up their share of the traffic, so that nothing more is to be sent for now.
    #[must_use]
    pub fn pays_for_repeat(&self) -> bool {
        self.shared.state.budget.withdraw()
    }

    /// The key in use.
    #[must_use]
    pub fn key(&self) -> &Arc<KeyRing> {
        &self.shared.key
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
        let body = secret_json(&wire::TokenBody::new(command, attempt.idempotency_key))?;
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
        self.exchange(route, None, self.terms(self.reads)).await
    }

    async fn send(
        &self,
        route: Route<'_>,
        body: Bytes,
        attempt: Attempt<'_>,
    ) -> Result<Opened, Trouble> {
        let terms = Terms {
            tries: attempt.tries.clone(),
            most_tries: Some(attempt.most_tries),
            is_repeat: attempt.is_repeat,
            fence: Some(attempt.fence.clone()),
            ..self.terms(Effect::Write)
        };
        self.exchange(route, Some(body), terms).await
    }

    fn terms(&self, effect: Effect) -> Terms {
        let deadline = self.deadline.unwrap_or_else(|| Instant::now() + USUAL_TIME);
        Terms { effect, deadline: Some(deadline), ..Terms::default() }
    }

    /// Sends a request; once more where Zentra refuses the key, and there is a newer one.
    async fn exchange(
        &self,
        route: Route<'_>,
        body: Option<Bytes>,
        terms: Terms,
    ) -> Result<Opened, Trouble> {
        let address =
            self.shared.addresses.of(route).ok_or_else(|| {
                Trouble::new(TroubleKind::NotSent, "the request could not be built")
            })?;
        let terms = Terms { route: route.template(), url: Some(address.url.clone()), ..terms };
        let key = &self.shared.key;
        let generation = key.generation();
        let first = request(route, &address, body.clone(), terms.clone());
        let opened = self.exchange_once(route, first).await;
        let Err(Trouble { kind: TroubleKind::Unauthorized, .. }) = &opened else { return opened };
        // Zentra refused the key and did nothing, so that this is no repeat of a payment.
        // The file that is read again may be on a mount that hangs; the call's time holds.
        let deadline = self.deadline.unwrap_or_else(|| Instant::now() + USUAL_TIME);
        let newer = timeout_at(deadline, key.is_newer_than(generation)).await;
        let again = newer.unwrap_or(false).then(|| with_another_key(terms)).flatten();
        let opened = match again {
            Some(terms) => self.exchange_once(route, request(route, &address, body, terms)).await,
            None => opened,
        };
        if let Err(Trouble { kind: TroubleKind::Unauthorized, provider, .. }) = &opened {
            // Whatever callers are told, this needs an operator.
            let (status, code, key_id) = (provider.http_status, provider.code, key.id());
            tracing::error!(status, code, key_id, "Zentra refused the sidecar's key");
        }
        opened
    }

    async fn exchange_once(
        &self,
        route: Route<'_>,
        request: Request<Bytes>,
    ) -> Result<Opened, Trouble> {
        let answer = self.shared.upstream.clone().oneshot(request).await;
        let answer = answer.map_err(transport_trouble)?;
        let (parts, body) = answer.into_parts();
        classify(route, parts.status, &parts.headers, &body, self.shared.clock.now())
    }
}

fn request(
    route: Route<'_>,
    address: &Address,
    body: Option<Bytes>,
    terms: Terms,
) -> Request<Bytes> {
    const JSON: HeaderValue = HeaderValue::from_static("application/json");
    let room = if body.is_some() { HEADERS_WITH_BODY } else { HEADERS };
    let mut headers = HeaderMap::with_capacity(room);
    headers.insert(header::ACCEPT, JSON);
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    if body.is_some() {
        headers.insert(header::CONTENT_TYPE, JSON);
    } else if route.method() == Method::POST {
        // Without it proxies on the way may answer 411 to a POST.
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    let mut request = Request::new(body.unwrap_or_default());
    *request.method_mut() = route.method();
    *request.uri_mut() = address.uri.clone();
    *request.headers_mut() = headers;
    request.extensions_mut().insert(terms);
    request
}

/// The terms of the request whose key was refused, as it goes out once more, if it may. It is no new
/// traffic, of which repeats may be a share.
fn with_another_key(terms: Terms) -> Option<Terms> {
    if terms.most_tries.is_some_and(|most| terms.tries.count() >= most) {
        return None;
    }
    terms.tries.note(Repeated::Answered(StatusCode::UNAUTHORIZED));
    Some(Terms { is_repeat: true, ..terms })
}

const USER_AGENT: &str = concat!("zentra-sidecar/", env!("CARGO_PKG_VERSION"));

/// Writes a body.
fn json(body: &impl Serialize) -> Result<Bytes, Trouble> {
    let mut text = Vec::with_capacity(BODY_BYTES);
    write(&mut text, body)?;
    Ok(text.into())
}

/// Writes a body with card data into memory that is wiped when the request is done with.
fn secret_json(body: &impl Serialize) -> Result<Bytes, Trouble> {
    let mut text = Zeroizing::new(Vec::with_capacity(SECRET_BODY_BYTES));
    write(&mut text, body)?;
    Ok(Bytes::from_owner(text))
}

fn write(text: &mut Vec<u8>, body: &impl Serialize) -> Result<(), Trouble> {
    serde_json::to_writer(text, body)
        .map_err(|_| Trouble::new(TroubleKind::NotSent, "the body could not be written"))
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
        TransportError::NoTime => TroubleKind::NoTime,
        TransportError::Ending => TroubleKind::Ending,
        TransportError::CircuitOpen { retry_after } => TroubleKind::CircuitOpen(retry_after),
        TransportError::TimedOut
        | TransportError::Broken
        | TransportError::CutOff { .. }
        | TransportError::TooLarge { .. } => TroubleKind::Doubt,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_scan::Masked;

    /// A body with card data, as it travels through the layers, which clone it for each try.
    #[test]
    fn a_body_is_wiped_with_the_last_that_holds_it() {
        let secret = Masked::new(256);
        let body = secret_json(&secret.text().as_str()).unwrap();
        let clone = body.clone();
        drop(body);
        assert!(secret.is_in_memory(), "one holds it still");
        drop(clone);
        assert!(!secret.is_in_memory());
    }
}
