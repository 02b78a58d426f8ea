//! What is decided by rules taken apart is what Cedar itself decides by the whole policy.

use std::collections::BTreeSet;

use cedar_policy::{AuthorizationError, Decision as Effect};
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::domain::Currency;
use crate::policy::Sample;

/// Who may be asked about; the last two are in no namespace.
const CALLERS: [&str; 5] = ["shop/checkout", "shop/cart", "billing/jobs", "shop", "a:b/checkout"];

/// Scopes, and conditions that the schema knows for each action that is in the scope.
const PRINCIPALS: [&str; 6] = [
    "principal",
    r#"principal == Service::"shop/checkout""#,
    r#"principal == Service::"shop""#,
    r#"principal in Namespace::"shop""#,
    "principal is Service",
    r#"principal is Service in Namespace::"billing""#,
];
const RESOURCES: [&str; 4] = [
    "resource",
    r#"resource == Account::"default""#,
    r#"resource == Account::"other""#,
    "resource is Account",
];
const ANYWHERE: [&str; 9] = [
    r#"resource.environment == "live""#,
    r#"principal == Service::"shop/cart""#,
    r#"principal in Namespace::"shop" || action == Action::"Charge""#,
    r#"principal in [Namespace::"shop", Namespace::"billing"] || principal in Service::"shop""#,
    r#"if principal in Namespace::"shop" then principal == Service::"shop/cart" else principal is Service"#,
    r#"!(resource.environment like "s*")"#,
    r#"if principal == Service::"shop" then resource.environment == "live" else true"#,
    r#""live" == resource.environment && principal is Service"#,
    "principal in Namespace::\"shop\" && false || !(true && resource.environment != \"sandbox\")",
];
const OF_MONEY: [&str; 15] = [
    "context.amount <= 3",
    r#"context.currency == "NGN" && context.amount > 1"#,
    r#"context has actor && context.actor like "a*""#,
    // It cannot be evaluated for any amount, or for some.
    "context.amount + 9223372036854775807 > 0",
    "context.amount * 3074457345618258602 > 0 || context.amount == 4",
    r#"["NGN", "EUR"].contains(context.currency)"#,
    "3 > context.amount || 4 <= context.amount && context.currency != \"USD\"",
    "!(context.amount == 2) && 5 >= context.amount",
    // Simple parts before, behind and within what is not.
    r#"context.amount < 3 && context.amount + 9223372036854775807 > 0"#,
    r#"context.amount * 3074457345618258602 > 0 && context.currency == "NGN""#,
    r#"context.currency == "NGN" || context.amount + 9223372036854775807 > 0"#,
    "-context.amount * 2 + 7 > context.amount",
    "-9223372036854775807 - context.amount < 0 && principal is Service",
    r#"if context.amount > 2 then context.currency == "NGN" else context.amount - 1 == 0"#,
    r#"principal is Service && context.amount > 2 || context.amount + 9223372036854775805 > 3"#,
];
const OF_CHARGES: [&str; 3] = [
    r#"context.customer == "customer-1" && context.initiator == "customer""#,
    r#"context.token like "token-*""#,
    r#"context has actor || context.reference == "other""#,
];
const OF_REFUNDS: [&str; 6] = [
    "context.all_that_is_left",
    "context has charge_age_seconds && context.charge_age_seconds < 90",
    r#"!(context has reason) || context.charge_currency == "USD""#,
    "context.charge_amount - context.amount < 2",
    "!context.all_that_is_left && context.amount < context.charge_amount",
    "context.charge_currency == context.currency && !(context has charge_age_seconds)",
];
/// The context as a whole, which stands for no list of attributes.
const OF_LISTS: [&str; 2] =
    [r#"context == {customer: "customer-1"}"#, r#"context.customer == "other""#];
const OF_SUBSCRIPTIONS: [&str; 2] = [
    r#"context has types && context.types.contains("charge.successful")"#,
    r#"context.consumer_group == "group-1" && !(context has types)"#,
];

/// What is decided without Cedar's evaluator, so that the comparison below is one of both.
#[test]
fn common_conditions_need_no_evaluator() {
    let simple = [
        r#"context.currency == "NGN" && context.amount <= 3"#,
        r#"["NGN", "EUR"].contains(context.currency) || !(context.amount > 4)"#,
        r#"context has actor && context.actor like "a*""#,
        r#"resource.environment != "sandbox" && context.initiator == "customer""#,
        "3 > -context.amount * 2 + 7 - context.amount",
        r#"if context.amount > 1 then principal is Service else context.currency == "NGN""#,
        r#"principal == Service::"shop" || context.amount > 1"#,
        r#"!(principal in [Service::"shop", Service::"other"]) && context.amount > 1"#,
    ];
    let mixed = [
        r#"context.amount < 3 && [context.currency].containsAll(["NGN"]) && context.amount + 1 >= 1"#,
    ];
    let cedars = [
        r#"resource == Account::"default" || context.amount > 1"#,
        r#"action == Action::"Charge" || context.amount > 1"#,
        r#"["NGN", "EUR"].containsAny([context.currency])"#,
    ];
    let rule = |condition: &&str| {
        format!(
            "permit(principal, action == Action::\"Charge\", resource) when {{ {condition} }};\n"
        )
    };
    let text: String = simple.iter().chain(&mixed).chain(&cedars).map(rule).collect();
    let files = Files { rules: vec![("a.cedar".to_owned(), text)], limits: None };
    let place = (Account::new("default").unwrap(), Environment::Live);
    let policy = Policy::new(&files, place).unwrap_or_else(|faults| panic!("{faults}"));
    let is_simple = |part: &Part| matches!(part, Part::Simple(_));
    let found: Vec<Vec<bool>> =
        policy.conditions.iter().map(|parts| parts.iter().map(is_simple).collect()).collect();
    assert_eq!(found[..8], vec![vec![true]; 8]);
    assert_eq!(found[8], [true, false, true]);
    assert_eq!(found[9..], vec![vec![false]; 3]);
}

/// The scope of an action, with the conditions that fit it.
fn action() -> impl Strategy<Value = (&'static str, &'static str)> {
    let charges = [&OF_MONEY[..], &OF_CHARGES].concat();
    let refunds = [&OF_MONEY[..], &OF_REFUNDS].concat();
    let all = |scope: &'static str, conditions: &[&'static str]| {
        let conditions = [&ANYWHERE[..], conditions].concat();
        (Just(scope), select(conditions)).boxed()
    };
    prop_oneof![
        2 => all("action", &[]),
        1 => all(r#"action in Action::"Write""#, &[]),
        1 => all(r#"action in [Action::"Read", Action::"Event"]"#, &[]),
        2 => all(r#"action == Action::"Charge""#, &charges),
        2 => all(r#"action in [Action::"Charge", Action::"Renew"]"#, &charges),
        2 => all(r#"action in [Action::"Refund", Action::"Charge"]"#, &OF_MONEY),
        2 => all(r#"action == Action::"Refund""#, &refunds),
        1 => all(r#"action == Action::"ListTokens""#, &OF_LISTS),
        1 => all(r#"action == Action::"Subscribe""#, &OF_SUBSCRIPTIONS),
        1 => all(r#"action == Action::"Verify""#, &[r#"context.reference like "r*""#]),
    ]
}

/// A rule; permits are more frequent than forbids, so that both decide.
fn rule() -> impl Strategy<Value = String> {
    let effect = prop_oneof![3 => Just("permit"), 2 => Just("forbid")];
    let when = prop_oneof![1 => Just(None), 3 => Just(Some("when")), 1 => Just(Some("unless"))];
    (effect, select(&PRINCIPALS[..]), action(), select(&RESOURCES[..]), when).prop_map(
        |(effect, principal, (action, condition), resource, when)| {
            let when = when.map(|when| format!(" {when} {{ {condition} }}")).unwrap_or_default();
            format!("{effect}({principal}, {action}, {resource}){when};\n")
        },
    )
}

fn call() -> impl Strategy<Value = Sample> {
    let amounts = (1..6i64, prop::option::of(1..6i64), prop::option::of(0..200i64));
    let texts = (any::<[bool; 4]>(), select(&["NGN", "USD", "EUR"][..]));
    (select(&CALLERS[..]), select(&Action::ALL[..]), amounts, texts).prop_map(
        |(caller, action, (amount, charge_amount, age), ([actor, other, reason, types], code))| {
            let caller = Caller::new(caller).unwrap();
            let is_all = action == Action::Refund && other;
            Sample {
                amount: (!is_all).then_some(amount),
                charge_amount: charge_amount.or(is_all.then_some(amount)),
                charge_age_seconds: age,
                currency: Currency::new(code).ok(),
                actor: actor.then(|| "ada".to_owned()),
                reason: reason.then(|| "why".to_owned()),
                customer: other.then(|| "other".to_owned()),
                reference: other.then(|| "other".to_owned()),
                types: types.then(|| "charge.successful".to_owned()).into_iter().collect(),
                ..Sample::new(caller, action)
            }
        },
    )
}

/// The decision of Cedar over the whole policy, asked with all that there is to know.
fn plain(rules: &PolicySet, question: &Question<'_>, place: &(Account, Environment)) -> Told {
    let schema = schema().unwrap();
    let named =
        |kind: &str, id: &str| -> EntityUid { format!("{kind}::\"{id}\"").parse().unwrap() };
    let principal = named("Service", question.caller.as_str());
    let resource = named("Account", place.0.as_str());
    let namespace = match question.caller.as_str() {
        "shop/checkout" | "shop/cart" => vec![named("Namespace", "shop")],
        "billing/jobs" => vec![named("Namespace", "billing")],
        _ => Vec::new(),
    };
    let environment = RestrictedExpression::new_string(place.1.as_str().to_owned());
    let entities = [
        Entity::new_no_attrs(principal.clone(), namespace.into_iter().collect()),
        Entity::new(
            resource.clone(),
            HashMap::from([("environment".to_owned(), environment)]),
            HashSet::new(),
        )
        .unwrap(),
    ];
    let entities = Entities::from_entities(entities, Some(schema)).unwrap();
    let context = question.fields.context(&Needs::all()).into();
    let action = named("Action", question.action.as_str());
    let request = Request::new(principal, action, resource, context, Some(schema)).unwrap();
    let response = Authorizer::new().is_authorized(&request, rules, &entities);
    // Cedar calls the rules of one file policy0, policy1 and so on.
    let number =
        |id: &cedar_policy::PolicyId| id.to_string().replace("policy", "").parse().unwrap();
    let errors: BTreeSet<usize> = response
        .diagnostics()
        .errors()
        .map(|AuthorizationError::PolicyEvaluationError(error)| number(error.policy_id()))
        .collect();
    let reason: BTreeSet<usize> = response.diagnostics().reason().map(number).collect();
    match (errors.is_empty(), response.decision(), reason.is_empty()) {
        (false, _, _) => (Verdict::Failed, errors),
        (true, Effect::Allow, _) => (Verdict::Permitted, reason),
        (true, Effect::Deny, false) => (Verdict::Forbidden, reason),
        (true, Effect::Deny, true) => (Verdict::NoRule, reason),
    }
}

type Told = (Verdict, BTreeSet<usize>);

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// Each policy is asked many questions, so that what it remembers of a caller and an action
    /// serves again.
    #[test]
    fn a_narrowed_decision_is_the_one_of_the_whole_policy(
        rules in prop::collection::vec(rule(), 1..8),
        calls in prop::collection::vec(call(), 16),
        environment in select(&[Environment::Live, Environment::Sandbox][..]),
    ) {
        let place = (Account::new("default").unwrap(), environment);
        let text = rules.concat();
        let files = Files { rules: vec![("a.cedar".to_owned(), text.clone())], limits: None };
        let policy = match Policy::new(&files, place.clone()) {
            Ok(policy) => policy,
            // Chance makes a rule now and then that can never apply, which is a fault.
            Err(faults) if faults.iter().all(|it| it.text.contains("impossible")) => {
                return Err(TestCaseError::reject("an impossible rule"));
            }
            Err(faults) => return Err(TestCaseError::fail(format!("{faults} of\n{text}"))),
        };
        let whole = PolicySet::from_str(&text).unwrap();
        for call in &calls {
            let question = call.question().unwrap();
            let decision = policy.decide(&question);
            // One rule a line.
            let by = decision.rules.iter().map(|rule| rule.line - 1).collect();
            let told = (decision.verdict, by);
            prop_assert_eq!(told, plain(&whole, &question, &place), "{:?} under\n{}", call, text);
        }
    }
}
