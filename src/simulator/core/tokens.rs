//! Saved methods. Customers belong to another part of Zentra: every customer id is taken as known.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::charges::Applied;
use super::command::NewToken;
use super::lists::Page;
use super::records::TokenKind;
use super::{Token, Zentra};

impl Zentra {
    pub(crate) fn create_token(&mut self, now: Timestamp, new: NewToken) -> Applied {
        let id = self.ids.next("tok");
        let token = Token {
            id: id.clone(),
            idempotency_key: new.key,
            customer_id: new.customer_id,
            kind: new.kind,
            status: "active".to_owned(),
            instrument: new.instrument,
            bound_by: None,
            created_at: now,
        };
        let shown = token.show();
        let row = self.ledger.add_token(token);
        Applied::made(row, id, shown)
    }

    pub(crate) fn list_tokens(&self, customer: &str, page: Page) -> Applied {
        let own = self.ledger.tokens.iter().filter(|token| token.customer_id == customer);
        let own: Vec<&Token> = own.collect();
        Applied::read(page.cut(own.iter(), |token| token.show()))
    }
}

impl Token {
    /// The token as the API shows it.
    pub(crate) fn show(&self) -> Value {
        let mut shown = json!({
            "id": self.id,
            "customer_id": self.customer_id,
            "status": self.status,
            "created_at": self.created_at.to_string(),
        });
        match &self.kind {
            TokenKind::Card { brand, last4, expiry_month, expiry_year } => {
                shown["type"] = json!("card");
                shown["card"] = json!({
                    "brand": brand,
                    "last4": last4,
                    "expiry_month": expiry_month,
                    "expiry_year": expiry_year,
                });
            }
            TokenKind::BankAccount { bank_code, last4 } => {
                shown["type"] = json!("bank_account");
                shown["bank_account"] = json!({"bank_code": bank_code, "last4": last4});
            }
        }
        shown
    }
}
