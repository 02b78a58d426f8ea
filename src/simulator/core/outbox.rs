//! Events and their deliveries: at least once, with backoff, in no promised order.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::table::Table;
use super::{Event, Settings, later, sign};

/// The longest wait between two deliveries of one event.
const LONGEST_BACKOFF: Duration = Duration::from_hours(1);

/// A delivery to be tried now.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Where to.
    pub url: String,
    /// The event's id.
    pub event_id: String,
    /// The raw body.
    pub body: String,
    /// The header `x-zentra-signature`.
    pub signature: String,
    row: u64,
    attempt: u32,
}

/// The order in which events are sent again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResendOrder {
    /// The oldest first.
    #[default]
    AsMade,
    /// The newest first.
    Reversed,
}

#[derive(Clone, Copy, Debug)]
struct Due {
    row: u64,
    attempt: u32,
}

/// Events made, and deliveries due.
#[derive(Clone, Debug)]
pub(crate) struct Outbox {
    events: Table<Event>,
    due: BTreeMap<(Timestamp, u64), Due>,
    queued: u64,
    capacity: usize,
}

impl Outbox {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { events: Table::new(capacity), due: BTreeMap::new(), queued: 0, capacity }
    }

    pub(crate) fn events(&self) -> &Table<Event> {
        &self.events
    }

    /// Records an event; it is delivered if a URL is set.
    pub(crate) fn emit(
        &mut self,
        now: Timestamp,
        settings: &Settings,
        id: String,
        kind: String,
        data: Value,
    ) {
        let event = Event { id, kind, created_at: now, data, attempts: 0, accepted: 0 };
        let (row, _) = self.events.push(event);
        if settings.webhook_url.is_some() {
            self.queue(now, Due { row, attempt: 1 });
        }
    }

    fn queue(&mut self, at: Timestamp, due: Due) {
        if self.due.len() >= self.capacity {
            self.due.pop_first();
        }
        self.queued += 1;
        self.due.insert((at, self.queued), due);
    }

    /// Sends events again, each `copies` times. Gives how many were found.
    pub(crate) fn resend(
        &mut self,
        now: Timestamp,
        wanted: impl Fn(&Event) -> bool,
        copies: u32,
        order: ResendOrder,
    ) -> usize {
        let first = self.events.forgotten();
        let mut rows: Vec<u64> = (first..)
            .zip(self.events.iter())
            .filter(|(_, e)| wanted(e))
            .map(|(row, _)| row)
            .collect();
        if order == ResendOrder::Reversed {
            rows.reverse();
        }
        for row in &rows {
            for _ in 0..copies {
                self.queue(now, Due { row: *row, attempt: 1 });
            }
        }
        rows.len()
    }

    /// When the next delivery is due.
    pub(crate) fn next_due(&self, settings: &Settings) -> Option<Timestamp> {
        let sends = settings.webhook_url.is_some() && !settings.webhook_hold;
        self.due.first_key_value().filter(|_| sends).map(|((at, _), _)| *at)
    }

    /// Takes the next delivery that is due.
    pub(crate) fn take(&mut self, now: Timestamp, settings: &Settings) -> Option<Outgoing> {
        while self.next_due(settings)? <= now {
            let (_, due) = self.due.pop_first()?;
            let Some(event) = self.events.get_mut(due.row) else {
                continue;
            };
            event.attempts = event.attempts.saturating_add(1);
            let body = json!({
                "id": event.id,
                "type": event.kind,
                "created_at": event.created_at.to_string(),
                "data": event.data,
            })
            .to_string();
            let secret = &settings.webhook_secret;
            return Some(Outgoing {
                url: settings.webhook_url.clone()?,
                event_id: event.id.clone(),
                signature: sign(
                    settings.webhook_signature,
                    secret,
                    now.as_second(),
                    body.as_bytes(),
                ),
                body,
                row: due.row,
                attempt: due.attempt,
            });
        }
        None
    }

    /// Learns how a delivery ended: whether it was answered with 2xx.
    pub(crate) fn report(
        &mut self,
        now: Timestamp,
        settings: &Settings,
        sent: &Outgoing,
        accepted: bool,
    ) {
        let Some(event) = self.events.get_mut(sent.row) else {
            return;
        };
        if accepted {
            event.accepted = event.accepted.saturating_add(1);
        } else if sent.attempt < settings.webhook_attempts {
            let doubled = 1_u32.checked_shl(sent.attempt - 1).unwrap_or(u32::MAX);
            let wait = settings.webhook_backoff.saturating_mul(doubled).min(LONGEST_BACKOFF);
            self.queue(later(now, wait), Due { row: sent.row, attempt: sent.attempt + 1 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn outbox(events: usize) -> (Outbox, Settings) {
        let url = Some("http://127.0.0.1:1/".to_owned());
        let settings = Settings { webhook_url: url, webhook_attempts: 3, ..Settings::default() };
        let mut outbox = Outbox::new(10);
        for number in 0..events {
            outbox.emit(at(0), &settings, format!("evt_{number}"), "t".to_owned(), json!({}));
        }
        (outbox, settings)
    }

    #[test]
    fn a_refused_delivery_is_tried_again_with_backoff_and_then_given_up() {
        let (mut outbox, settings) = outbox(1);
        let mut tried = Vec::new();
        for second in 0..100 {
            if let Some(sent) = outbox.take(at(second), &settings) {
                tried.push(second);
                outbox.report(at(second), &settings, &sent, false);
            }
        }
        assert_eq!(tried, [0, 1, 3]);
        assert_eq!(outbox.next_due(&settings), None);
    }

    #[test]
    fn resending_can_duplicate_and_reverse() {
        let (mut outbox, settings) = outbox(2);
        while outbox.take(at(0), &settings).is_some() {}
        assert_eq!(outbox.resend(at(1), |_| true, 2, ResendOrder::Reversed), 2);
        let ids: Vec<_> = std::iter::from_fn(|| outbox.take(at(1), &settings))
            .map(|sent| sent.event_id)
            .collect();
        assert_eq!(ids, ["evt_1", "evt_1", "evt_0", "evt_0"]);
    }

    #[test]
    fn a_hold_keeps_deliveries_back() {
        let (mut outbox, mut settings) = outbox(1);
        settings.webhook_hold = true;
        assert!(outbox.take(at(5), &settings).is_none());
        settings.webhook_hold = false;
        assert!(outbox.take(at(5), &settings).is_some());
    }
}
