//! What a decision costs: rules, and which counters a call takes from. No store is asked.
//!
//! `cargo bench --bench policy`. Three policies, each asked by the same caller for the same charge:
//! as a team's with 5 rules, as a company's with 50 rules and 10 limits, and the worst, where all
//! of 50 rules are for this very caller and action. Machines differ: compare within one run.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up has nothing to say")]

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use zentra_sidecar::domain::{Account, Caller, Currency, Environment, Initiator, Money};
use zentra_sidecar::idempotency::CounterId;
use zentra_sidecar::policy::{Action, Fields, Files, Policy, Question, Taking};

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

/// Rules that all have to be evaluated for each call.
fn worst(rules: usize) -> String {
    let mut text = "permit (principal, action, resource);".to_owned();
    for number in 1..rules {
        writeln!(
            text,
            r#"forbid (principal, action == Action::"Charge", resource)
               when {{ context.currency == "USD" && context.amount > {number} }};"#
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

fn policy(rules: String, limits: Option<String>) -> Policy {
    let files = Files { rules: vec![("rules.cedar".to_owned(), rules)], limits };
    let account = Account::new("default").expect("an account");
    Policy::new(&files, (account, Environment::Live)).expect("a policy")
}

fn decisions(criterion: &mut Criterion) {
    let policies = [
        ("5 rules", policy(company(5), None)),
        ("50 rules, 10 limits", policy(company(50), Some(limits(10)))),
        ("50 rules, all in scope, 10 limits", policy(worst(50), Some(limits(10)))),
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
    let question = Question { caller: &caller, action: Action::Charge, fields };
    let mut group = criterion.benchmark_group("policy");
    for (name, policy) in &policies {
        assert!(policy.decide(&question).is_permitted(), "{name}");
        group.bench_function(*name, |bencher| {
            bencher.iter(|| {
                let decision = policy.decide(black_box(&question));
                let takings = policy.limits().iter().filter_map(|limit| limit.taking(&question));
                // As the gateway names them.
                let counters = takings.map(|Taking { limit, key, amount }| {
                    let window = limit.window_seconds.to_string();
                    let measure = limit.measure.as_str();
                    (CounterId::new(["limit", &limit.name, measure, &window, &key]), amount)
                });
                black_box((decision, counters.collect::<Vec<_>>()))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decisions);
criterion_main!(benches);
