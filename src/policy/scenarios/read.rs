//! `tests/*.toml`, read with a place for every complaint.

use toml::de::DeTable;

use super::super::Action;
use super::super::complaint::{Complaints, Source};
use super::super::table::Entry;
use super::{Outcome, Sample, Scenario, Step, place};
use crate::domain::{Caller, Currency, Environment};

/// The most scenarios of a file, and the most calls of one.
const MOST: usize = 1000;
/// The most times that one call is made, and the most seconds between two.
const MOST_TIMES: u64 = 10_000;
const MOST_SECONDS: u64 = 400 * 24 * 3600;
/// The largest number of a call: 2^53 - 1.
const MOST_NUMBER: u64 = (1 << 53) - 1;

pub(super) fn read(source: Source<'_>, into: &mut Vec<Scenario>, complaints: &mut Complaints) {
    let (table, faults) = DeTable::parse_recoverable(source.text);
    if !faults.is_empty() {
        for fault in faults {
            complaints.within(source, fault.span(), fault.message());
        }
        return;
    }
    let mut root = Entry::of(table, source, complaints);
    let entries = root.tables("scenario", MOST);
    root.end();
    if entries.is_empty() {
        complaints.about(source.file, "holds no [[scenario]]");
    }
    for entry in entries {
        let mut entry = Entry::of(entry, source, complaints);
        let name = entry.text("name", true, |text| Ok(text.to_owned()));
        let environment = entry.text("environment", false, |text| match text {
            "simulated" => Ok(Environment::Simulated),
            "sandbox" => Ok(Environment::Sandbox),
            "live" => Ok(Environment::Live),
            _ => Err("must be \"simulated\", \"sandbox\" or \"live\"".to_owned()),
        });
        let calls = entry.tables("call", MOST);
        if calls.is_empty() {
            entry.complain("call", "is missing: a scenario has one [[scenario.call]] or more");
        }
        entry.end();
        let count = calls.len();
        let steps: Vec<_> = calls
            .into_iter()
            .filter_map(|call| {
                let (line, column) = place(source.text, call.span().start);
                let place = format!("{}:{line}:{column}", source.file);
                read_step(Entry::of(call, source, complaints), place)
            })
            .collect();
        if let Some(name) = name.filter(|_| steps.len() == count) {
            let environment = environment.unwrap_or(Environment::Live);
            into.push(Scenario { name, environment, steps });
        }
    }
}

fn read_step(mut entry: Entry<'_, '_>, place: String) -> Option<Step> {
    let text = |text: &str| Ok(text.to_owned());
    let caller = entry.text("caller", true, |text| {
        Caller::new(text).map_err(|_| "must be a caller's name, such as shop/checkout".to_owned())
    });
    let action = entry.text("action", true, |text| {
        let names = Action::ALL.map(Action::as_str).join(", ");
        Action::named(text).ok_or_else(|| format!("must be of {names}"))
    });
    let expect = entry.text("expect", true, |text| {
        let names = Outcome::ALL.map(Outcome::as_str).join(", ");
        let outcome = Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == text);
        outcome.ok_or_else(|| format!("must be of {names}"))
    });
    let reference = entry.text("reference", false, text);
    let currency = entry
        .text("currency", false, |text| Currency::new(text).map_err(|fault| fault.to_string()));
    let customer = entry.text("customer", false, text);
    let token = entry.text("token", false, text);
    let method = entry.text("method", false, |text| match text {
        "card" => Ok(false),
        "bank_account" => Ok(true),
        _ => Err("must be \"card\" or \"bank_account\"".to_owned()),
    });
    let charge_reference = entry.text("charge_reference", false, text);
    let reason = entry.text("reason", false, text);
    let actor = entry.text("actor", false, text);
    let by = entry.text("by", false, text);
    let consumer_group = entry.text("consumer_group", false, text);
    let types = entry.texts("types", MOST, false, text);
    let mut number = |name, most| {
        let number = entry.number_or_none(name, 0..=most)?;
        i64::try_from(number).ok()
    };
    let amount = number("amount", MOST_NUMBER);
    let charge_amount = number("charge_amount", MOST_NUMBER);
    let charge_age_seconds = number("charge_age_seconds", MOST_NUMBER);
    let times = entry.number_or_none("times", 1..=MOST_TIMES);
    let after_seconds = entry.number_or_none("after_seconds", 0..=MOST_SECONDS);
    let call = Sample {
        reference,
        amount,
        currency,
        customer,
        token,
        is_bank_account: method.unwrap_or(false),
        reason,
        actor,
        charge_reference,
        charge_amount,
        charge_age_seconds,
        consumer_group,
        types: types.unwrap_or_default(),
        ..Sample::new(caller?, action?)
    };
    if let Err(fault) = call.question() {
        entry.complain("action", fault);
    }
    entry.end();
    Some(Step {
        call,
        times: times.unwrap_or(1),
        after_seconds: after_seconds.unwrap_or(0),
        expect: expect?,
        by,
        place,
    })
}
