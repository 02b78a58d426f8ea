use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::*;
use crate::domain::{Account, Caller, Currency, Environment, Initiator, Money};

const OPEN: &str = "permit(principal, action, resource);";

fn place() -> (Account, Environment) {
    (Account::new("default").unwrap(), Environment::Live)
}

fn files(rules: &[(&str, &str)], limits: Option<&str>) -> Files {
    let rules = rules.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    Files { rules, limits: limits.map(str::to_owned) }
}

fn policy(rules: &str) -> Policy {
    Policy::new(&files(&[("a.cedar", rules)], None), place()).unwrap()
}

fn complaints(rules: &[(&str, &str)], limits: Option<&str>) -> String {
    let told = Policy::new(&files(rules, limits), place());
    told.err().map(|complaints| complaints.to_string()).unwrap_or_default()
}

fn charge<'a>(caller: &'a Caller, amount: i64, currency: &str) -> Question<'a> {
    let amount = Money::new(amount, Currency::new(currency).unwrap()).unwrap();
    let fields = Fields {
        reference: Some("order-1"),
        amount: Some(amount),
        customer: Some("cust_1"),
        token: Some("tok_1"),
        initiator: Some(Initiator::Customer),
        ..Fields::default()
    };
    Question { caller, action: Action::Charge, fields }
}

fn caller(name: &str) -> Caller {
    Caller::new(name).unwrap()
}

#[test]
fn a_policy_denies_what_no_rule_permits() {
    let policy = policy(
        r#"@id("checkout") permit(principal == Service::"shop/checkout", action == Action::"Charge",
           resource) when { context.currency == "NGN" && context.amount <= 5000 };"#,
    );
    let checkout = caller("shop/checkout");
    let asked = charge(&checkout, 5000, "NGN");
    assert_eq!(policy.decide(&asked).rule_id(), Some("checkout"));
    assert!(policy.decide(&asked).is_permitted());
    assert!(policy.check(&asked).is_ok());
    for (name, amount, currency) in
        [("shop/checkout", 5001, "NGN"), ("shop/checkout", 1, "USD"), ("shop/cart", 1, "NGN")]
    {
        let caller = caller(name);
        let asked = charge(&caller, amount, currency);
        let decision = policy.decide(&asked);
        assert_eq!(decision.verdict, Verdict::NoRule, "{name} {amount} {currency}");
        assert!(!decision.is_permitted());
        assert_eq!(decision.message(&asked), format!("no rule permits {name} to Charge"));
    }
}

#[test]
fn a_forbid_beats_a_permit_and_tells_its_message() {
    let policy = policy(
        r#"permit(principal, action, resource);
           @id("freeze") @message("no payments today")
           forbid(principal, action in Action::"Write", resource);
           @id("later") forbid(principal, action, resource);"#,
    );
    let checkout = caller("shop/checkout");
    let asked = charge(&checkout, 1, "NGN");
    let decision = policy.decide(&asked);
    assert_eq!((decision.verdict, decision.rule_id()), (Verdict::Forbidden, Some("freeze")));
    assert_eq!(decision.rules.len(), 2);
    assert_eq!(decision.message(&asked), "no payments today");
}

/// Cedar passes over a rule that it cannot evaluate: this one would then have forbidden nothing.
#[test]
fn an_overflowing_forbid_denies() {
    let policy = policy(
        r#"permit(principal, action, resource);
           @id("sum") forbid(principal, action == Action::"Charge", resource)
             when { context.amount + 9223372036854775807 > 10 };"#,
    );
    let checkout = caller("shop/checkout");
    let decision = policy.decide(&charge(&checkout, 1, "NGN"));
    assert_eq!((decision.verdict, decision.rule_id()), (Verdict::Failed, Some("sum")));
    let reads =
        Question { caller: &checkout, action: Action::ListCharges, fields: Fields::default() };
    assert!(policy.decide(&reads).is_permitted());
}

#[test]
fn an_overflowing_permit_denies_though_another_permits() {
    let policy = policy(
        r#"permit(principal, action, resource);
           permit(principal, action == Action::"Charge", resource)
             when { context.amount * 9223372036854775807 > 10 };"#,
    );
    let checkout = caller("shop/checkout");
    assert_eq!(policy.decide(&charge(&checkout, 2, "NGN")).verdict, Verdict::Failed);
}

#[test]
fn rules_may_speak_of_namespaces_accounts_and_what_may_be_absent() {
    let policy = policy(
        r#"permit(principal in Namespace::"shop", action, resource == Account::"default")
             when { resource.environment == "live" };
           forbid(principal, action == Action::"Charge", resource)
             when { context has actor && context.actor == "intern" };"#,
    );
    for (name, permitted) in [("shop/cart", true), ("shopping/cart", false), ("shop", false)] {
        let caller = caller(name);
        assert_eq!(policy.decide(&charge(&caller, 1, "NGN")).is_permitted(), permitted, "{name}");
    }
    let cart = caller("shop/cart");
    let asked = charge(&cart, 1, "NGN");
    let fields = Fields { actor: Some("intern"), ..asked.fields };
    assert_eq!(policy.decide(&Question { fields, ..asked }).verdict, Verdict::Forbidden);
}

/// The context as a whole, which no list of attributes stands for.
#[test]
fn a_rule_may_look_at_the_whole_context() {
    let policy = policy(
        r#"permit(principal, action, resource);
           forbid(principal, action == Action::"ListTokens", resource)
             when { context == {customer: "cust_1"} };"#,
    );
    let cart = caller("shop/cart");
    let fields = Fields { customer: Some("cust_1"), ..Fields::default() };
    let asked = Question { caller: &cart, action: Action::ListTokens, fields };
    assert_eq!(policy.decide(&asked).verdict, Verdict::Forbidden);
}

#[test]
fn every_fault_of_rules_is_told_with_its_place() {
    let broken = r#"// A comment; with a semicolon.
permit(principal == User::"alice", action == Action::"Charge", resource);
permit(principal, action == Action::"Chargee", resource);
@id("one") permit(principal, action == Action::"Charge", resource) when { context.amount < "5" };
@id("one") permit(principal, action == Action::"Charge", resource) when { context.colour == "red" };
permit(principal, action == Action::"Refund", resource) when { context.charge_age_seconds < 5 };
@mesage("typo") permit(principal, action == Action::"Charge", resource);
@id("a b") permit(principal, action == Action::"Renew", resource);
permit(principal == ?principal, action, resource);
permit(principal, action, resource) when { context.amount > 5 };
"#;
    let half = "permit(principal, action, resource);\npermit(principal,";
    insta::assert_snapshot!(complaints(&[("broken.cedar", broken), ("half.cedar", half)], None));
}

#[test]
fn every_fault_of_limits_is_told_with_its_place() {
    let limits = r#"
[[limit]]
name = "double"
measure = "amount"
most = 0
window = "0h"
actions = ["Charge"]

[[limit]]
name = "double"
measure = "count"
most = 5
window = "7h"
actions = ["Verify"]

[[limit]]
name = "mixed"
measure = "amount"
most = 9007199254740992
window = "1d"
actions = ["Charge", "Charge"]
by = ["customers"]

[[limit]]
name = "sums"
measure = "amount"
most = 99999999999999999999999999
window = "32d"
actions = ["Refund", "Tokenize"]
by = ["customer"]

[[limit]]
name = "several"
measure = "amount"
most = 5
window = "1d"
actions = ["Charge"]
currencies = ["NGN", "usd"]
per = "caller"

[[limit]]
name = "same"
measure = "amount"
most = 5
window = "1d"
actions = ["Refund", "Tokenize"]
by = ["customer"]

[[limit]]
name = "same"
measure = "count"
most = 5
window = "1d"
actions = ["Charge"]
"#;
    insta::assert_snapshot!(complaints(&[("a.cedar", OPEN)], Some(limits)));
}

#[test]
fn limits_that_are_no_toml_are_complained_of() {
    insta::assert_snapshot!(complaints(
        &[("a.cedar", OPEN)],
        Some("[[limit]]\nname = \"a\nmost = =\n")
    ));
}

#[test]
fn what_is_one_too_many_is_told_with_its_place() {
    let limit = |number: usize| {
        format!(
            "[[limit]]\nname = \"l{number}\"\nmeasure = \"count\"\nmost = 1\nwindow = \"1h\"\n\
             actions = [\"Charge\"]\n"
        )
    };
    let limits = |count: usize| (0..count).map(limit).collect::<String>();
    let told = |count: usize| complaints(&[("a.cedar", OPEN)], Some(&limits(count)));
    assert_eq!(told(31), "");
    let one_more = "limits.toml:187:1: one more limit for Charge: 31 at most are for one action";
    assert_eq!(told(32), one_more);
    let rules = format!("{OPEN}\n").repeat(1001);
    let one_more = "a.cedar:1001:1: one more rule: 1000 are the most";
    assert_eq!(complaints(&[("a.cedar", &rules)], None), one_more);
    assert_eq!(complaints(&[("a.cedar", &rules[..rules.len() - OPEN.len() - 1])], None), "");
}

/// It would deny everything, which nobody writes by leaving things out.
#[test]
fn a_policy_without_rules_is_a_complaint() {
    let told = complaints(&[("a.cedar", "// permit(principal, action, resource);")], None);
    assert!(told.starts_with("the *.cedar files: hold no rule"), "{told}");
}

/// What makes two counts the same, for the names of counters.
#[test]
fn the_definition_of_a_limit_tells_what_it_counts() {
    let definition = |measure: &str, window: &str, by: &str, currencies: &str, rest: &str| {
        let limits = format!(
            "[[limit]]\nname = \"l\"\nmeasure = \"{measure}\"\nwindow = \"{window}\"\n\
             by = [{by}]\ncurrencies = [{currencies}]\n{rest}"
        );
        let files = files(&[("a.cedar", OPEN)], Some(&limits));
        let policy = Policy::new(&files, place()).unwrap_or_else(|faults| panic!("{faults}"));
        policy.limits()[0].definition.clone()
    };
    let rest = "most = 5\nactions = [\"Charge\"]";
    let (by, currencies) = (r#""caller", "currency""#, r#""NGN", "USD""#);
    let one = definition("count", "1h", by, currencies, rest);
    let same = [
        // A list in another order, another bound, and who it is for.
        definition("count", "60m", r#""currency", "caller""#, r#""USD", "NGN""#, rest),
        definition("count", "1h", by, currencies, "most = 6\nactions = [\"Renew\", \"Charge\"]"),
        definition("count", "1h", by, currencies, &format!("{rest}\ncallers = [\"a\"]")),
    ];
    same.iter().for_each(|other| assert_eq!(*other, one));
    let others = [
        definition("amount", "1h", by, currencies, rest),
        definition("count", "2h", by, currencies, rest),
        definition("count", "1h", r#""caller""#, currencies, rest),
        definition("count", "1h", r#""caller", "customer""#, currencies, rest),
        definition("count", "1h", by, r#""NGN""#, rest),
        definition("count", "1h", by, r#""NGN", "EUR""#, rest),
    ];
    for (number, other) in others.iter().enumerate() {
        assert_ne!(*other, one, "{number}");
        assert!(!others[..number].contains(other), "{number}");
    }
}

#[test]
fn a_limit_says_what_a_call_takes_from_which_count() {
    let limits = r#"
[[limit]]
name = "checkout-hour"
measure = "amount"
most = 100
window = "1h"
actions = ["Charge"]
callers = ["shop/checkout"]
by = ["caller", "customer", "currency", "action", "token"]
"#;
    let policy = Policy::new(&files(&[("a.cedar", OPEN)], Some(limits)), place()).unwrap();
    let [limit] = policy.limits() else { panic!("one limit") };
    assert_eq!((limit.window_seconds, limit.window(7200), limit.window(7199)), (3600, 2, 1));
    let checkout = caller("shop/checkout");
    let taking = limit.taking(&charge(&checkout, 40, "NGN")).unwrap();
    assert_eq!((taking.key.as_str(), taking.amount), ("shop/checkout|cust_1|tok_1|NGN|Charge", 40));
    assert_eq!(limit.taking(&charge(&caller("shop/cart"), 40, "NGN")), None);
}

/// A line may end with a carriage return alone, to Cedar too: what stands after it is no comment.
#[test]
fn no_rule_is_lost_behind_a_comment() {
    let open = "@id(\"open\") permit(principal, action, resource);";
    let freeze = "@id(\"freeze\") forbid(principal, action, resource);";
    for line_end in ["\n", "\r", "\r\n", " \r", "\r\r"] {
        for text in [
            format!("{open}\n// frozen{line_end}{freeze}\n"),
            format!("{open} // frozen{line_end}{freeze}"),
            format!("// frozen{line_end}{freeze}\n{open}"),
        ] {
            let files = Files { rules: vec![("rules.cedar".to_owned(), text)], limits: None };
            let policy = Policy::new(&files, place()).unwrap();
            let ids: Vec<_> = policy.rules().iter().map(|rule| &*rule.id).collect();
            assert_eq!(ids.len(), 2, "{line_end:?}: {ids:?}");
        }
        let hidden =
            format!("{open}\n// a{line_end}permit(principal == ?principal, action, resource);");
        let told = complaints(&[("rules.cedar", &hidden)], None);
        assert!(told.contains("is a template"), "{told}");
        // Nor are the bounds on what the parser may be given.
        let deep = format!("{open}\n// a{line_end}{}", "(".repeat(100_000));
        let told = complaints(&[("rules.cedar", &deep)], None);
        assert!(told.contains("brackets within one another"), "{told}");
    }
}

/// Characters that one of the two takes for a space and the other does not.
#[test]
fn a_file_that_reads_differently_to_cedar_is_refused() {
    let open = "permit(principal, action, resource);";
    for space in ["\u{a0}", "\u{2028}", "\u{b}"] {
        let told = complaints(&[("rules.cedar", &format!("{open}\n{space}"))], None);
        assert!(told.starts_with("rules.cedar: has 1 rules to Cedar and 2"), "{space:?}: {told}");
    }
    let told = complaints(&[("rules.cedar", open)], Some("# no limit yet\n"));
    assert!(told.contains("limits.toml: holds no limit"), "{told}");
}

#[test]
fn a_folder_that_is_no_policy_is_complained_of() {
    let told = |folder: &Path| {
        let complaints = Policy::load(folder, place()).err().unwrap().to_string();
        complaints.replace(&folder.display().to_string(), "FOLDER")
    };
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("policy");
    assert_eq!(told(&folder), "FOLDER: cannot be read: No such file or directory (os error 2)");
    std::fs::write(&folder, "").unwrap();
    assert_eq!(told(&folder), "FOLDER: cannot be read: Not a directory (os error 20)");
    std::fs::remove_file(&folder).unwrap();
    std::fs::create_dir(&folder).unwrap();
    assert!(told(&folder).starts_with("FOLDER: holds no rules"));
    std::fs::write(folder.join("big.cedar"), vec![b' '; 300 * 1024]).unwrap();
    assert_eq!(told(&folder), "big.cedar: cannot be read: it is larger than 262144 bytes");
    std::fs::write(folder.join("big.cedar"), [0xff, 0xfe]).unwrap();
    assert_eq!(told(&folder), "big.cedar: cannot be read: it is not UTF-8");
    std::fs::write(folder.join("big.cedar"), " \n").unwrap();
    assert!(told(&folder).starts_with("big.cedar: is empty"));
    std::fs::write(folder.join("limits.toml"), "").unwrap();
    assert!(told(&folder).contains("limits.toml: is empty"));
    std::fs::remove_file(folder.join("limits.toml")).unwrap();
    std::fs::remove_file(folder.join("big.cedar")).unwrap();
    for number in 0..5 {
        std::fs::write(folder.join(format!("large-{number}.cedar")), vec![b'/'; 250 * 1024])
            .unwrap();
    }
    assert_eq!(told(&folder), "large-4.cedar: the files hold more than 1048576 bytes together");
    for number in 0..5 {
        std::fs::remove_file(folder.join(format!("large-{number}.cedar"))).unwrap();
    }
    std::fs::create_dir(folder.join("dir.cedar")).unwrap();
    // What nobody would read: a rule in capitals, an editor's copy, a folder, a name in no script.
    for name in ["limit.toml", "FREEZE.CEDAR", "rules.cedar~", "README.md", "a\u{1b}[2J.txt"] {
        std::fs::write(folder.join(name), OPEN).unwrap();
    }
    std::fs::write(folder.join(OsStr::from_bytes(b"fr\xe9eze.cedar")), OPEN).unwrap();
    std::fs::create_dir(folder.join("rules")).unwrap();
    // What Kubernetes and others keep there for themselves, and scenarios that are none.
    std::fs::create_dir(folder.join("..2026_11_27_10_00_00.1")).unwrap();
    std::os::unix::fs::symlink("..2026_11_27_10_00_00.1", folder.join("..data")).unwrap();
    std::fs::write(folder.join(".gitignore"), "").unwrap();
    std::fs::write(folder.join("tests"), "").unwrap();
    std::os::unix::fs::symlink("nowhere", folder.join("limits.toml")).unwrap();
    insta::assert_snapshot!(told(&folder));
    std::fs::remove_dir(folder.join("dir.cedar")).unwrap();
    std::fs::remove_file(folder.join("tests")).unwrap();
    std::fs::create_dir(folder.join("tests")).unwrap();
    std::fs::write(folder.join("tests/a.TOML"), "").unwrap();
    let told_of_tests = read_scenarios(&folder).unwrap_err().to_string();
    assert!(told_of_tests.starts_with("a.TOML: is no scenario"), "{told_of_tests}");
    for number in 0..=100 {
        std::fs::write(folder.join(format!("{number}.cedar")), "").unwrap();
    }
    assert!(told(&folder).contains("FOLDER: holds more than 100 files ending in .cedar"));
}

#[test]
fn the_hash_tells_every_change() {
    let one = files(&[("a.cedar", "x")], None).hash();
    let others = [
        files(&[("b.cedar", "x")], None),
        files(&[("a.cedar", "y")], None),
        files(&[("a.cedar", "x")], Some("")),
        files(&[("a.cedar", "x"), ("b.cedar", "")], None),
    ];
    others.iter().for_each(|other| assert_ne!(other.hash(), one));
    assert_eq!(one.len(), 64);
}

/// Nesting that a parser could run out of stack on is a complaint.
#[test]
fn deep_nesting_is_a_complaint() {
    let within = |head: &str, tail: &str, times: usize| {
        let (head, tail) = (head.repeat(times), tail.repeat(times));
        format!("permit(principal,action,resource) when {{ {head}true{tail} }};")
    };
    let deep = [within("(", ")", 50_000), within("[", "]", 60), within("true&&", "", 20_000)];
    for rule in deep {
        assert!(complaints(&[("deep.cedar", &rule)], None).starts_with("deep.cedar:1:1: the rule"));
    }
    // As deep as a rule can be, each is read, or complained of.
    for rule in [
        within("(", ")", 45),
        within("true&&", "", 150),
        within("if true then true else ", "", 100),
        within("!", "", 400),
        within("!(", ")", 45),
        within("-", "1", 400),
    ] {
        complaints(&[("deep.cedar", &rule)], None);
    }
}

#[test]
fn the_schema_knows_every_action() {
    for action in Action::ALL {
        let rule = format!(
            r#"permit(principal, action == Action::"{}", resource); permit(principal, action in Action::"{}", resource);"#,
            action.as_str(),
            action.group()
        );
        assert_eq!(complaints(&[("a.cedar", &rule)], None), "");
    }
}
