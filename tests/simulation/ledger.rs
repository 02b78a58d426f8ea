//! A small Zentra that remembers everything and hides nothing from the judge.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::chance::Chance;
use super::mode::{Mode, Weather};

/// What a POST makes; each kind has its own keys and references.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Charge,
    Refund,
    Token,
}

/// A POST that has left a process.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) number: u64,
    /// When the call that sends it was first known to the store.
    pub(crate) begun: u64,
    pub(crate) kind: Kind,
    pub(crate) key: String,
    /// Empty where it has none.
    pub(crate) reference: String,
    pub(crate) body: Value,
}

/// Something that was made.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) kind: Kind,
    pub(crate) id: String,
    pub(crate) key: String,
    /// As [`Post::begun`].
    begun: u64,
    pub(crate) reference: String,
    pub(crate) amount_minor: i64,
    body: Value,
    first: &'static str,
    /// When its status changes, and to what.
    then: Option<(u64, &'static str)>,
    refunded_minor: i64,
}

/// An answer's status and body.
pub(crate) type Answer = (u16, Value);

/// The account at Zentra.
#[derive(Debug)]
pub(crate) struct Ledger {
    mode: Mode,
    weather: Weather,
    pub(crate) objects: Vec<Object>,
    keys: HashMap<(Kind, String), (u64, usize)>,
    running: HashSet<(Kind, String)>,
    under_way: Vec<Post>,
    made: u64,
}

/// For how long Zentra remembers keys.
pub(crate) const KEY_RETENTION_MS: u64 = 24 * 3_600_000;

impl Object {
    pub(crate) fn status(&self, now_ms: u64) -> &'static str {
        let status = match self.then {
            Some((at_ms, then)) if at_ms <= now_ms => then,
            _ => self.first,
        };
        match (status, self.refunded_minor) {
            ("successful", refunded) if refunded >= self.amount_minor => "refunded",
            ("successful", refunded) if refunded > 0 => "partially_refunded",
            _ => status,
        }
    }

    /// True where money moved, or still may.
    pub(crate) fn may_count(&self, now_ms: u64) -> bool {
        self.status(now_ms) != "failed"
    }

    pub(crate) fn is_paid(&self, now_ms: u64) -> bool {
        matches!(self.status(now_ms), "successful" | "partially_refunded" | "refunded")
    }

    fn show(&self, now_ms: u64) -> Value {
        let mut shown = self.body.clone();
        shown["id"] = json!(self.id);
        shown["status"] = json!(self.status(now_ms));
        if self.kind != Kind::Token {
            shown["reference"] = json!(self.reference);
            shown["amount_minor"] = json!(self.amount_minor);
        }
        shown
    }

    pub(crate) fn customer(&self) -> &str {
        self.body["customer_id"].as_str().unwrap_or_default()
    }
}

impl Ledger {
    pub(crate) fn new(mode: Mode, weather: Weather) -> Self {
        Self {
            mode,
            weather,
            objects: Vec::new(),
            keys: HashMap::new(),
            running: HashSet::new(),
            under_way: Vec::new(),
            made: 0,
        }
    }

    /// A charge that was paid before the run began.
    pub(crate) fn paid_before(&mut self, reference: &str, amount_minor: i64) {
        let body = json!({"currency": "NGN", "customer_id": "cus-before"});
        let object = Object {
            kind: Kind::Charge,
            id: format!("chg-{reference}"),
            key: format!("before-{reference}"),
            begun: 0,
            reference: reference.to_owned(),
            amount_minor,
            body,
            first: "successful",
            then: None,
            refunded_minor: 0,
        };
        self.objects.push(object);
    }

    /// A POST will take effect, now or later.
    pub(crate) fn depart(&mut self, post: &Post, locks: bool) {
        self.under_way.push(post.clone());
        if locks && self.mode.by_key() {
            self.running.insert((post.kind, post.key.clone()));
        }
    }

    /// A POST arrives and takes effect, unless it is a repetition or is refused.
    pub(crate) fn apply(&mut self, now_ms: u64, post: &Post, chance: &mut Chance) -> Answer {
        self.under_way.retain(|it| it.number != post.number);
        self.running.remove(&(post.kind, post.key.clone()));
        self.answer(now_ms, post, chance)
    }

    /// What stands in the way of a POST before anything is done; none where nothing does.
    pub(crate) fn refusal(&self, now_ms: u64, post: &Post) -> Option<Answer> {
        let name = (post.kind, post.key.clone());
        if self.mode.by_key() {
            if self.running.contains(&name) {
                return Some(error(409, "idempotency_key_in_use"));
            }
            if let Some((_, row)) = self.remembered(now_ms, &name) {
                let object = &self.objects[row];
                if !same_body(&object.body, &post.body) {
                    return Some(error(409, "idempotency_key_mismatch"));
                }
                return Some((200, data(&object.show(now_ms))));
            }
        }
        if self.is_taken(post) {
            return Some(error(409, "duplicate_reference"));
        }
        None
    }

    fn answer(&mut self, now_ms: u64, post: &Post, chance: &mut Chance) -> Answer {
        if let Some(answer) = self.refusal(now_ms, post) {
            return answer;
        }
        let mut first = "successful";
        let mut then = None;
        if post.kind == Kind::Charge {
            if chance.percent(self.weather.declines) {
                if chance.percent(50) {
                    return error(422, "card_declined");
                }
                first = "failed";
            } else if chance.percent(self.weather.pending) {
                first = chance.pick(&["pending", "requires_action"]);
                let end = chance.weighed(&[(3, "successful"), (1, "failed")]);
                then = Some((now_ms + chance.between(100, 60_000), end));
            }
        }
        let mut amount_minor = post.body["amount_minor"].as_i64().unwrap_or_default();
        if post.kind == Kind::Refund {
            let charge = post.body["charge_reference"].as_str().unwrap_or_default();
            let Some(charge) = self.find_mut(Kind::Charge, charge) else {
                return error(404, "not_found");
            };
            let left = charge.amount_minor - charge.refunded_minor;
            amount_minor = if amount_minor == 0 { left } else { amount_minor };
            if !charge.is_paid(now_ms) || amount_minor > left || left == 0 {
                return error(422, "validation_error");
            }
            charge.refunded_minor += amount_minor;
        }
        self.made += 1;
        let own = post.kind == Kind::Refund && self.weather.own_references;
        let reference = if own { format!("zref-{}", self.made) } else { post.reference.clone() };
        let mut body = post.body.clone();
        if post.kind == Kind::Refund {
            body["currency"] = json!("NGN");
        }
        let object = Object {
            kind: post.kind,
            id: format!("obj-{}", self.made),
            key: post.key.clone(),
            begun: post.begun,
            reference,
            amount_minor,
            body,
            first,
            then,
            refunded_minor: 0,
        };
        let shown = data(&object.show(now_ms));
        self.keys.insert((post.kind, post.key.clone()), (now_ms, self.objects.len()));
        self.objects.push(object);
        (201, shown)
    }

    /// A read by reference.
    pub(crate) fn read(&self, now_ms: u64, kind: Kind, reference: &str) -> Answer {
        match self.find(kind, reference) {
            Some(object) => (200, data(&object.show(now_ms))),
            None => error(404, "not_found"),
        }
    }

    pub(crate) fn find(&self, kind: Kind, reference: &str) -> Option<&Object> {
        self.objects.iter().find(|it| it.kind == kind && it.reference == reference)
    }

    fn find_mut(&mut self, kind: Kind, reference: &str) -> Option<&mut Object> {
        self.objects.iter_mut().find(|it| it.kind == kind && it.reference == reference)
    }

    fn remembered(&self, now_ms: u64, name: &(Kind, String)) -> Option<(u64, usize)> {
        self.keys.get(name).copied().filter(|(since, _)| since + KEY_RETENTION_MS > now_ms)
    }

    fn is_taken(&self, post: &Post) -> bool {
        self.mode.by_reference()
            && post.kind != Kind::Token
            && self.find(post.kind, &post.reference).is_some()
    }

    /// What was made for a payment. Keys that only begin with its name are its too: a defect may
    /// have changed the rest.
    pub(crate) fn made_for<'a>(&'a self, digest: &'a str) -> impl Iterator<Item = &'a Object> {
        self.objects.iter().filter(move |it| it.key.starts_with(digest))
    }

    /// True where money moved for a payment, or may yet.
    pub(crate) fn may_happen(&self, now_ms: u64, digest: &str) -> bool {
        self.may_happen_by(now_ms, digest, u64::MAX)
    }

    /// As [`Ledger::may_happen`], by the calls alone that were known to the store by then.
    pub(crate) fn may_happen_by(&self, now_ms: u64, digest: &str, then: u64) -> bool {
        self.made_for(digest).any(|it| it.begun <= then && it.may_count(now_ms))
            || self.under_way.iter().any(|post| {
                let name = (post.kind, post.key.clone());
                let known = self.mode.by_key() && self.remembered(now_ms, &name).is_some();
                let counts = !known && !self.is_taken(post);
                post.key.starts_with(digest) && post.begun <= then && counts
            })
    }

    pub(crate) fn under_way(&self) -> usize {
        self.under_way.len()
    }
}

/// The fields of the request that a made object shows.
fn same_body(object: &Value, asked: &Value) -> bool {
    ["reference", "amount_minor", "customer_id", "payment_token_id", "charge_reference", "card"]
        .iter()
        .all(|field| object[*field] == asked[*field])
}

fn data(value: &Value) -> Value {
    json!({"success": true, "data": value})
}

/// Zentra's error form.
pub(crate) fn error(status: u16, code: &str) -> Answer {
    (status, json!({"success": false, "error": {"code": code, "message": "no"}}))
}
