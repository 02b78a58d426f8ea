use super::*;

const LIMITS: &str = r#"
[[limit]]
name = "hour"
measure = "count"
most = 1
window = "1h"
actions = ["Charge"]

[[limit]]
name = "day"
measure = "count"
most = 1
window = "1d"
actions = ["Charge"]

[[limit]]
name = "given-back"
measure = "amount"
most = 1200
window = "1d"
actions = ["Refund"]
currencies = ["NGN"]
"#;

/// What came otherwise than expected, of one scenario of these calls.
fn failures(calls: &[String]) -> Vec<String> {
    let calls: String = calls.iter().map(|call| format!("[[scenario.call]]\n{call}\n")).collect();
    let text = format!("[[scenario]]\nname = \"one\"\n{calls}");
    let scenarios = read(&[("tests/a.toml".to_owned(), text)]).unwrap();
    let rules = vec![("a.cedar".to_owned(), "permit(principal, action, resource);".to_owned())];
    let files = Files { rules, limits: Some(LIMITS.to_owned()) };
    let mut reports = play(&files, &scenarios, &Account::new("default").unwrap()).unwrap();
    reports.pop().unwrap().failures
}

fn call(action: &str, more: &str) -> String {
    format!("caller = \"shop/checkout\"\naction = \"{action}\"\ncurrency = \"NGN\"\n{more}")
}

#[test]
fn of_two_full_limits_the_one_is_told_that_stays_full_for_longer() {
    let first = || call("Charge", "amount = 1\nexpect = \"permitted\"");
    let by = |name: &str| {
        call("Charge", &format!("amount = 1\nexpect = \"limit_exceeded\"\nby = \"{name}\""))
    };
    assert_eq!(failures(&[first(), by("day")]), [""; 0]);
    let [other] = &failures(&[first(), by("hour")])[..] else { panic!("it is the day") };
    assert!(other.ends_with("was limit_exceeded by day"), "{other}");
}

#[test]
fn refunds_of_one_charge_have_what_is_left_of_it_in_common() {
    let of = |charge: &str, amount: &str, expect: &str| {
        let charge = format!("charge_amount = 1000\ncharge_reference = \"{charge}\"\n{amount}");
        call("Refund", &format!("{charge}\nexpect = \"{expect}\""))
    };
    let calls = [
        of("one", "amount = 800", "permitted"),
        of("one", "amount = 201", "refund_exceeds_charge"),
        // One of all that is left asks the limit for the whole charge.
        of("one", "", "limit_exceeded"),
        of("one", "amount = 200", "permitted"),
        of("one", "", "refund_exceeds_charge"),
        // Another charge's, for as much as the limit has left.
        of("two", "amount = 201", "limit_exceeded"),
        of("two", "amount = 200", "permitted"),
    ];
    assert_eq!(failures(&calls), [""; 0]);
}
