//! What the policy costs a call: all that the gateway does for it (the decision, its metric, its
//! line for the audit log, what is taken from limits), and its arguments of the store's claim. No
//! store is asked.
//!
//! `cargo bench --bench policy`. Each policy is asked by the same caller for the same charge: a
//! team's with 5 rules, a company's with 50 rules and 10 limits, alone and beside another of the same
//! size on trial, and two where all of 50 rules are for this very caller and action: with conditions
//! that need no evaluator, and with such as only Cedar's evaluates. Machines differ: compare within
//! one run.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up has nothing to say")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use zentra_sidecar::domain::{Account, Caller, Currency, Environment, Initiator, Money};
use zentra_sidecar::gateway::Ruler;
use zentra_sidecar::idempotency::redis::takes_argument;
use zentra_sidecar::policy::{Action, Fields, Mode, Policies, Role, Watched};
use zentra_sidecar::telemetry::Telemetry;

/// Rules for so many services, of which the caller is one: each may charge, renew and refund within
/// bounds, and two forbids are for everybody.
fn company(rules: usize) -> String {
    let mut text = r#"
forbid (principal, action == Action::"Charge", resource)
  when { resource.environment == "live" && context.customer like "test-*" };
forbid (principal, action == Action::"Charge", resource) when { context.amount > 900000000 };
"#
    .to_owned();
    for number in 0..rules - 2 {
        let action = ["Charge", "Renew", "Verify"][number % 3];
        let service = number / 3;
        let conditions = match action {
            "Verify" => "",
            _ => r#"when { context.currency == "NGN" && context.amount <= 50000000 }"#,
        };
        writeln!(
            text,
            r#"permit (principal == Service::"shop/service-{service}", action == Action::"{action}",
               resource) {conditions};"#
        )
        .expect("a text takes all");
    }
    text
}

/// Rules that are all for each call, each with this condition of its number.
fn all_in_scope(rules: usize, condition: impl Fn(usize) -> String) -> String {
    let mut text = "permit (principal, action, resource);".to_owned();
    for number in 1..rules {
        let condition = condition(number);
        writeln!(
            text,
            r#"forbid (principal, action == Action::"Charge", resource) when {{ {condition} }};"#
        )
        .expect("a text takes all");
    }
    text
}

fn limits(count: usize) -> String {
    (0..count).fold(String::new(), |mut text, number| {
        writeln!(
            text,
            "[[limit]]\nname = \"limit-{number}\"\nmeasure = \"amount\"\nmost = 1000\n\
             window = \"1h\"\nby = [\"caller\", \"customer\"]\nactions = [\"Charge\"]\n\
             currencies = [\"NGN\"]"
        )
        .expect("a text takes all");
        text
    })
}

/// A policy, as a sidecar has read it from a folder.
fn watched(role: Role, rules: &str, limits: Option<&str>) -> Watched {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
    write("rules.cedar", rules).expect("a file");
    if let Some(limits) = limits {
        write("limits.toml", limits).expect("a file");
    }
    let account = Account::new("default").expect("an account");
    let place = (account, Environment::Live);
    Watched::load(role, folder.path(), place).expect("a policy")
}

fn ruler(rules: &str, limits: Option<&str>) -> Ruler {
    asks(watched(Role::Active, rules, limits), None)
}

fn asks(active: Watched, candidate: Option<Watched>) -> Ruler {
    let policies = Policies::new(Some(active), candidate, Mode::Enforce);
    Ruler::new(Arc::new(policies), Telemetry::quiet())
}

fn calls(criterion: &mut Criterion) {
    let simple = |number| format!(r#"context.currency == "USD" && context.amount > {number}"#);
    let cedars = |number| {
        let sets = r#"["USD"].containsAll([context.currency])"#;
        format!("context.amount > {number} && {sets}")
    };
    let (ten, others) = (limits(10), limits(10).replace("limit-", "other-"));
    let on_trial = watched(Role::Candidate, &company(50), Some(&others));
    let rulers = [
        ("5 rules", ruler(&company(5), None)),
        ("50 rules, 10 limits", ruler(&company(50), Some(&ten))),
        (
            "50 rules, 10 limits, as many on trial",
            asks(watched(Role::Active, &company(50), Some(&ten)), Some(on_trial)),
        ),
        ("50 in scope, 10 limits", ruler(&all_in_scope(50, simple), Some(&ten))),
        ("50 in scope for Cedar, 10 limits", ruler(&all_in_scope(50, cedars), Some(&ten))),
    ];
    let caller = Caller::new("shop/service-0").expect("a caller");
    let currency = Currency::new("NGN").expect("a currency");
    let fields = Fields {
        reference: Some("order-00000001"),
        amount: Money::new(125_000, currency).ok(),
        customer: Some("cust_00000001"),
        token: Some("tok_00000001"),
        initiator: Some(Initiator::Customer),
        actor: Some("checkout-7"),
        ..Fields::default()
    };
    let mut group = criterion.benchmark_group("policy");
    for (name, ruler) in &rulers {
        let ruling = ruler.rule(&caller, Action::Charge, fields);
        let takes = match name {
            it if it.contains("trial") => 20,
            it if it.contains("limits") => 10,
            _ => 0,
        };
        assert!(ruling.refusal.is_none() && ruling.takes.len() == takes, "{name}");
        group.bench_function(*name, |bencher| {
            bencher.iter(|| {
                let ruling = ruler.rule(black_box(&caller), Action::Charge, black_box(fields));
                black_box((takes_argument(&ruling.takes), ruling))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, calls);
criterion_main!(benches);
