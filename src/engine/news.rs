//! What a stored outcome is news of, for the metrics: each payment's end and its money count once,
//! wherever the outcome comes from.

use crate::domain::Operation;
use crate::idempotency::Class;
use crate::telemetry::{Came, Measures};

/// An outcome that has just been stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct News {
    /// Of which payment.
    pub(crate) operation: Operation,
    /// What kind it is.
    pub(crate) class: Class,
    /// What kind the one was that it has replaced, as the store tells.
    pub(crate) before: Option<Class>,
}

impl News {
    /// Counts what had not been so before. `came` is what the outcome says.
    pub(crate) fn count(self, measures: &Measures, came: &Came) {
        let Self { operation, class, before } = self;
        if class.is_final() && !before.is_some_and(Class::is_final) {
            measures.ended(operation, came.status);
        }
        if let Some(money) = came.moved
            && class == Class::Succeeded
            && before != Some(Class::Succeeded)
        {
            measures.money_moved(operation, money);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Currency, Money};
    use crate::telemetry::Telemetry;

    fn came(status: &'static str, moved: Option<Money>) -> Came {
        Came { status, is_final: true, provider_id: None, moved }
    }

    #[test]
    fn a_payment_ends_and_moves_its_money_once() {
        let telemetry = Telemetry::quiet();
        let money = Money::new(500, Currency::new("NGN").unwrap()).ok();
        for (before, status) in [
            (None, "PENDING"),
            (Some(Class::Open), "SUCCEEDED"),
            (Some(Class::Succeeded), "PARTIALLY_REFUNDED"),
        ] {
            let is_paid = status != "PENDING";
            let class = if is_paid { Class::Succeeded } else { Class::Open };
            let news = News { operation: Operation::Charge, class, before };
            news.count(telemetry.measures(), &came(status, money.filter(|_| is_paid)));
        }
        let text = telemetry.prometheus_text();
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("zentra_sidecar_payments_ended_total"))
            .chain(text.lines().filter(|line| line.starts_with("zentra_sidecar_money_moved")))
            .collect();
        assert_eq!(
            lines,
            [
                "zentra_sidecar_payments_ended_total{operation=\"charge\",status=\"SUCCEEDED\"} 1",
                "zentra_sidecar_money_moved_minor_total{currency=\"NGN\",operation=\"charge\"} 500",
            ]
        );
    }
}
