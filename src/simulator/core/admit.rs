//! The way into Zentra: the key, the rate, the request's form, and the lock on its idempotency key.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::charges::Applied;
use super::command::{self, Command};
use super::exchange::Asked;
use super::keys::{KeyId, Kind, Known};
use super::{Answer, Outcome, Zentra, status};

/// A request that may be applied. Until then its idempotency key is in use.
#[derive(Clone, Debug)]
pub(crate) struct Admitted {
    command: Command,
    hold: Hold,
}

/// What the command's idempotency key means for it.
#[derive(Clone, Debug)]
enum Hold {
    /// It has no key, or keys do not matter.
    Free,
    /// It is the first with its key, which is in use until it is applied.
    First(KeyId),
    /// A request with its key made this row.
    Again(Kind, u64),
}

impl Zentra {
    /// Checks a request and locks its key.
    pub(crate) fn admit(&mut self, now: Timestamp, asked: &Asked) -> Result<Admitted, Answer> {
        let Some(target) = &asked.target else {
            return Err(Self::not_found("route"));
        };
        self.authorise(asked.request.header("authorization"))?;
        let utc = now.to_zoned(jiff::tz::TimeZone::UTC);
        let year = u64::try_from(utc.year()).unwrap_or_default();
        let month = u64::try_from(utc.month()).unwrap_or_default();
        let seed = self.settings.seed;
        let command = command::read(target, &asked.request, (year, month), seed)?;
        let hold = self.lock(now, &command)?;
        Ok(Admitted { command, hold })
    }

    /// Counts a request towards the rate limit.
    pub(crate) fn pace(&mut self, now: Timestamp) -> Result<(), Answer> {
        if self.limit.take(now, self.settings.requests_per_minute) {
            return Ok(());
        }
        let details = json!({"retry_after": 60});
        Err(Answer::problem(429, "rate_limit_exceeded", "Too many requests")
            .with(None, Some(details)))
    }

    fn authorise(&self, header: Option<&str>) -> Result<(), Answer> {
        let refuse = |code, message: &str| Err(Answer::problem(401, code, message));
        let Some(header) = header else {
            return refuse("unauthorized", "The header Authorization is missing");
        };
        let Some(key) = header.strip_prefix("Bearer ") else {
            return refuse("unauthorized", "The header Authorization must hold a Bearer key");
        };
        let among = |keys: &[String]| keys.iter().any(|known| known == key);
        if among(&self.settings.expired_keys) {
            refuse("expired_api_key", "The key has expired")
        } else if among(&self.settings.secret_keys) {
            Ok(())
        } else if key.starts_with("sk_sandbox_") || key.starts_with("sk_live_") {
            refuse("wrong_environment", "The key belongs to another environment")
        } else {
            refuse("invalid_api_key", "The key is not valid")
        }
    }

    /// Locks the command's key, or finds the row that it made before.
    fn lock(&mut self, now: Timestamp, command: &Command) -> Result<Hold, Answer> {
        let Some((kind, key)) = command.key().filter(|_| self.settings.dedupe_by_key) else {
            return Ok(Hold::Free);
        };
        let key: KeyId = (kind, key.to_owned());
        let print = command.print(self.settings.seed);
        let conflict = |code, message: &str| {
            Err(Answer::problem(409, code, message).with(Some("idempotency_key"), None))
        };
        match self.keys.look(now, self.settings.key_retention, &key, &print) {
            Known::Running => {
                conflict("idempotency_key_in_use", "The first request with this key is running")
            }
            Known::Mismatch => {
                conflict("idempotency_key_mismatch", "This key was used with another body")
            }
            Known::Done(row) if self.made(kind, row).is_some() => Ok(Hold::Again(kind, row)),
            Known::Done(_) | Known::New => {
                self.keys.start(now, key.clone(), print);
                Ok(Hold::First(key))
            }
        }
    }

    /// A row's id and what the API shows of it now. `None` where the ledger has forgotten it.
    fn made(&self, kind: Kind, row: u64) -> Option<(String, Value)> {
        Some(match kind {
            Kind::Charge => {
                self.ledger.charges.get(row).map(|charge| (charge.id.clone(), charge.show()))?
            }
            Kind::Refund => {
                self.ledger.refunds.get(row).map(|refund| (refund.id.clone(), refund.show()))?
            }
            Kind::Token => {
                self.ledger.tokens.get(row).map(|token| (token.id.clone(), token.show()))?
            }
        })
    }

    /// Applies a request: the one place where effects happen.
    pub(crate) fn apply(&mut self, now: Timestamp, admitted: Admitted) -> Applied {
        let Admitted { command, hold } = admitted;
        if let Hold::Again(kind, row) = hold
            && let Some((id, shown)) = self.made(kind, row)
        {
            let outcome = Outcome::Replay { id };
            return Applied { outcome, ..Applied::read(Answer::one(200, shown)) };
        }
        let result = match command {
            Command::CreateCharge(new) => self.create_charge(now, new),
            Command::CreateRefund(new) => self.create_refund(now, new),
            Command::Tokenize(new) => Ok(self.create_token(now, new)),
            Command::Verify(reference) => self.verify(&reference),
            Command::GetCharge(reference) => self.get_charge(&reference),
            Command::GetRefund(reference) => self.get_refund(&reference),
            Command::ListCharges(page) => {
                Ok(Applied::read(page.cut(self.ledger.charges.iter(), |charge| charge.show())))
            }
            Command::ListTokens(customer, page) => Ok(self.list_tokens(&customer, page)),
        };
        if let Hold::First(key) = hold {
            match &result {
                Ok(Applied { row: Some(row), .. }) => self.keys.finish(&key, *row),
                _ => self.keys.forget(&key),
            }
        }
        result.unwrap_or_else(Applied::refused)
    }
}

impl Outcome {
    pub(crate) fn refused(answer: &Answer) -> Self {
        Self::Refused { code: answer.code().unwrap_or(status::FAILED).to_owned() }
    }
}
