//! The rows that effects leave behind, found by number, id or reference.

use std::collections::HashMap;

use super::records::{Charge, Refund, Seen, Token};
use super::table::Table;

/// All rows. Beyond its capacity each table forgets its oldest row, and counts that.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    pub(crate) charges: Table<Charge>,
    pub(crate) refunds: Table<Refund>,
    pub(crate) tokens: Table<Token>,
    pub(crate) seen: Table<Seen>,
    charge_by_reference: HashMap<String, u64>,
    charge_by_id: HashMap<String, u64>,
    refund_by_reference: HashMap<String, u64>,
    token_by_id: HashMap<String, u64>,
}

impl Ledger {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            charges: Table::new(capacity),
            refunds: Table::new(capacity),
            tokens: Table::new(capacity),
            seen: Table::new(capacity),
            charge_by_reference: HashMap::new(),
            charge_by_id: HashMap::new(),
            refund_by_reference: HashMap::new(),
            token_by_id: HashMap::new(),
        }
    }

    pub(crate) fn add_charge(&mut self, charge: Charge) -> u64 {
        let (id, reference) = (charge.id.clone(), charge.reference.clone());
        let (row, dropped) = self.charges.push(charge);
        if let Some(old) = dropped {
            forget(&mut self.charge_by_id, &old.id, row);
            forget(&mut self.charge_by_reference, &old.reference, self.charges.forgotten());
        }
        self.charge_by_id.insert(id, row);
        // Where references may repeat, look-ups find the first charge, as an index would.
        self.charge_by_reference.entry(reference).or_insert(row);
        row
    }

    pub(crate) fn add_refund(&mut self, refund: Refund) -> u64 {
        let reference = refund.reference.clone();
        let (row, dropped) = self.refunds.push(refund);
        if let Some(old) = dropped {
            forget(&mut self.refund_by_reference, &old.reference, self.refunds.forgotten());
        }
        self.refund_by_reference.entry(reference).or_insert(row);
        row
    }

    pub(crate) fn add_token(&mut self, token: Token) -> u64 {
        let id = token.id.clone();
        let (row, dropped) = self.tokens.push(token);
        if let Some(old) = dropped {
            forget(&mut self.token_by_id, &old.id, row);
        }
        self.token_by_id.insert(id, row);
        row
    }

    /// Records an arrival and gives it its number.
    pub(crate) fn add_seen(&mut self, seen: Seen) -> u64 {
        let (number, _) = self.seen.push(seen);
        if let Some(seen) = self.seen.get_mut(number) {
            seen.number = number;
        }
        number
    }

    pub(crate) fn charge_row(&self, reference: &str) -> Option<u64> {
        self.charge_by_reference.get(reference).copied()
    }

    pub(crate) fn charge_row_by_id(&self, id: &str) -> Option<u64> {
        self.charge_by_id.get(id).copied()
    }

    pub(crate) fn charge(&self, reference: &str) -> Option<&Charge> {
        self.charges.get(self.charge_row(reference)?)
    }

    pub(crate) fn refund(&self, reference: &str) -> Option<&Refund> {
        self.refunds.get(*self.refund_by_reference.get(reference)?)
    }

    pub(crate) fn token(&self, id: &str) -> Option<&Token> {
        self.tokens.get(*self.token_by_id.get(id)?)
    }

    pub(crate) fn token_mut(&mut self, id: &str) -> Option<&mut Token> {
        self.tokens.get_mut(*self.token_by_id.get(id)?)
    }
}

/// Drops an index entry that points at a forgotten row, not one that points at a later one.
fn forget(index: &mut HashMap<String, u64>, name: &str, first_kept: u64) {
    if index.get(name).is_some_and(|row| *row < first_kept) {
        index.remove(name);
    }
}
