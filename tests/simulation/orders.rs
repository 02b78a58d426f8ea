//! What callers ask for, and what they hear.

use std::time::Duration;

use tokio::time::Instant;
use zentra_sidecar::admission::Admitted;
use zentra_sidecar::clock::Clock;
use zentra_sidecar::domain::{
    Caller, Card, CardParts, ChargeCommand, ChargeStatus, Currency, CustomerId, Environment,
    IdempotencyKey, Initiator, Money, Operation, PaymentMethod, PaymentTokenId, Reference,
    RefundCommand, RefundStatus, TokenizeCommand, Violations,
};
use zentra_sidecar::engine::{Executed, Payment, Terms};
use zentra_sidecar::error::{Error, Reason, Retry};
use zentra_sidecar::gateway::Call;
use zentra_sidecar::idempotency::{KeyDigest, Scope};

use super::chance::Chance;
use super::ledger::Kind;
use super::process::{Process, account};
use super::world::{VirtualClock, World};

/// One payment as one caller asks for it.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) caller: Caller,
    pub(crate) operation: Operation,
    key: IdempotencyKey,
    pub(crate) reference: Reference,
    /// None is all that is left, for refunds.
    pub(crate) amount_minor: Option<i64>,
    customer: String,
    pub(crate) digest: String,
}

/// What the caller heard.
#[derive(Clone, Debug)]
pub(crate) enum Heard {
    Payment {
        id: Option<String>,
        amount_minor: i64,
        status: Status,
    },
    Error {
        reason: Reason,
        money_moved: String,
        wait: Option<Duration>,
        #[expect(dead_code, reason = "read in traces")]
        text: String,
    },
    /// The process died, or the caller went away.
    Nothing,
}

/// A payment's status, in the order in which they may follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    Open,
    Succeeded(u8),
    Failed,
}

impl Order {
    fn new(
        caller: &str,
        operation: Operation,
        (key, reference): (&str, &str),
        amount_minor: Option<i64>,
        customer: String,
    ) -> Self {
        let caller = Caller::new(caller).unwrap();
        let key = IdempotencyKey::new(key).unwrap();
        let account = account();
        let environment = Environment::Simulated;
        let scope = Scope { account: &account, environment, caller: &caller, operation };
        let digest = KeyDigest::new(scope, &key).to_string();
        let reference = Reference::new(reference).unwrap();
        Self { caller, operation, key, reference, amount_minor, customer, digest }
    }

    /// All orders of a run.
    pub(crate) fn draw(chance: &mut Chance) -> Vec<Self> {
        let mut orders = Vec::new();
        for number in 0..chance.between(1, 3) {
            let operation = chance.weighed(&[
                (5, Operation::Charge),
                (2, Operation::Renew),
                (3, Operation::Refund),
                (1, Operation::Tokenize),
            ]);
            let (key, reference) = (format!("key-{number}"), format!("ref-{number}"));
            let amount = 1000 + i64::try_from(number).unwrap_or_default();
            let all = operation == Operation::Refund && chance.percent(30);
            let amount = Some(amount).filter(|_| !all);
            let customer = format!("cus-{number}");
            let make = |caller: &str, key: &str, reference: &str, amount, customer: &str| {
                Self::new(caller, operation, (key, reference), amount, customer.to_owned())
            };
            let order = make("shop", &key, &reference, amount, &customer);
            orders.push(order);
            if operation == Operation::Tokenize {
                continue;
            }
            if chance.percent(25) {
                orders.push(make("shop", &key, &reference, Some(1500), &customer));
            }
            if chance.percent(20) {
                let amount = if chance.percent(50) { amount } else { Some(1600) };
                let other = format!("{key}-b");
                orders.push(make("shop", &other, &reference, amount, &customer));
            }
            if chance.percent(20) {
                let reference = if chance.percent(50) { reference } else { format!("{key}-c") };
                orders.push(make("other/shop", &key, &reference, amount, "cus-other"));
            }
        }
        orders
    }

    pub(crate) fn kind(&self) -> Kind {
        match self.operation {
            Operation::Charge | Operation::Renew => Kind::Charge,
            Operation::Refund => Kind::Refund,
            _ => Kind::Token,
        }
    }

    /// The charge that a refund is of: each refund's reference has one of its own.
    pub(crate) fn charge_reference(&self) -> String {
        format!("paid-{}", self.reference)
    }

    pub(crate) fn customer(&self) -> &str {
        &self.customer
    }

    pub(crate) fn token(&self) -> String {
        format!("tok-{}", self.customer)
    }

    fn money(&self) -> Option<Money> {
        Some(Money::new(self.amount_minor?, Currency::new("NGN").ok()?).unwrap())
    }

    fn charge(&self) -> ChargeCommand {
        ChargeCommand {
            idempotency_key: self.key.clone(),
            reference: self.reference.clone(),
            amount: self.money().unwrap(),
            customer_id: CustomerId::new(&self.customer).unwrap(),
            payment_token_id: PaymentTokenId::new(&self.token()).unwrap(),
            initiator: if self.operation == Operation::Renew {
                Initiator::Merchant
            } else {
                Initiator::Customer
            },
            actor: None,
        }
    }

    fn refund(&self) -> RefundCommand {
        RefundCommand {
            idempotency_key: self.key.clone(),
            reference: self.reference.clone(),
            charge_reference: Reference::new(&self.charge_reference()).unwrap(),
            amount: self.money(),
            charge_amount: None,
            reason: None,
            actor: None,
        }
    }

    fn tokenize(&self, world: &World) -> TokenizeCommand {
        let parts = CardParts {
            number: "4242424242424242".into(),
            expiry_month: 12,
            expiry_year: 2030,
            security_code: "".into(),
            holder_name: "".into(),
        };
        let mut violations = Violations::default();
        let card = Card::new(parts, VirtualClock(world.started).now(), &mut violations);
        TokenizeCommand {
            idempotency_key: self.key.clone(),
            customer_id: CustomerId::new(&self.customer).unwrap(),
            payment_method: PaymentMethod::Card(card.unwrap()),
            actor: None,
        }
    }

    /// Asks a process.
    pub(crate) async fn ask(
        &self,
        world: &World,
        process: &Process,
        answer_by: Instant,
        terms: Terms,
    ) -> Heard {
        let call = Call { caller: self.caller.clone(), answer_by, admitted: Admitted::default() };
        let gateway = &process.gateway;
        match self.operation {
            Operation::Refund => {
                let made = match Some(terms).filter(|terms| !is_usual(terms)) {
                    None => gateway.refund(call, self.refund()).await,
                    Some(terms) => on_terms(process, call, self.refund(), terms).await,
                };
                heard(made.map(|made| {
                    let refund = made.value;
                    let status = match refund.status {
                        RefundStatus::Succeeded => Status::Succeeded(1),
                        RefundStatus::Failed => Status::Failed,
                        _ => Status::Open,
                    };
                    (refund.id.map(|it| it.to_string()), refund.amount.amount_minor(), status)
                }))
            }
            Operation::Tokenize => {
                let made = match Some(terms).filter(|terms| !is_usual(terms)) {
                    None => gateway.tokenize(call, self.tokenize(world)).await,
                    Some(terms) => on_terms(process, call, self.tokenize(world), terms).await,
                };
                heard(made.map(|it| (Some(it.value.id.to_string()), 0, Status::Succeeded(1))))
            }
            _ => {
                let made = match Some(terms).filter(|terms| !is_usual(terms)) {
                    None => gateway.charge(call, self.charge()).await,
                    Some(terms) => on_terms(process, call, self.charge(), terms).await,
                };
                heard(made.map(|made| {
                    let charge = made.value;
                    let status = match charge.status {
                        ChargeStatus::Failed | ChargeStatus::Cancelled => Status::Failed,
                        ChargeStatus::Succeeded => Status::Succeeded(1),
                        ChargeStatus::PartiallyRefunded => Status::Succeeded(2),
                        ChargeStatus::Refunded => Status::Succeeded(3),
                        _ => Status::Open,
                    };
                    (charge.id.map(|it| it.to_string()), charge.amount.amount_minor(), status)
                }))
            }
        }
    }
}

fn is_usual(terms: &Terms) -> bool {
    terms.refusal.is_none() && terms.takes.is_empty()
}

/// A call that the gateway would refuse or limit for a reason that the runs do not have.
async fn on_terms<P: Payment>(
    process: &Process,
    call: Call,
    payment: P,
    terms: Terms,
) -> Result<Executed<P::Value>, Error> {
    let Call { caller, answer_by, admitted } = call;
    process.engine.execute(&caller, answer_by, payment, terms, admitted).await
}

fn heard(made: Result<(Option<String>, i64, Status), Error>) -> Heard {
    match made {
        Ok((id, amount_minor, status)) => Heard::Payment { id, amount_minor, status },
        Err(error) => Heard::Error {
            reason: error.reason(),
            money_moved: error
                .metadata()
                .find(|(name, _)| *name == "money_moved")
                .map(|(_, value)| value)
                .unwrap_or_default(),
            wait: match error.retry_advice() {
                Retry::After(wait) => Some(wait),
                Retry::Never => None,
            },
            text: error.to_string(),
        },
    }
}
