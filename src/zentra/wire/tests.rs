use proptest::prelude::*;
use serde_json::json;

use super::*;

/// What Zentra may say of a charge, and what has to be read from it.
fn a_charge() -> impl Strategy<Value = (Value, Charge)> {
    let initiator = prop_oneof![
        Just(("customer_action_required", Some(Initiator::Customer))),
        Just(("merchant_initiated", Some(Initiator::Merchant))),
        Just(("something_new", None)),
    ];
    let currency = prop::sample::select(vec!["NGN", "USD", "JPY", "KWD"]);
    let status = "[a-z_]{1,20}|successful|pending";
    let id = "[a-z]{3}_[a-z]{1,20}";
    let fields = (
        id,
        "[a-z-]{1,40}",
        1..=Money::MAX_AMOUNT_MINOR,
        currency,
        status,
        initiator,
        0..i64::from(u32::MAX),
    );
    fields.prop_map(|(id, reference, amount, currency, word, initiator, second)| {
        let create_time = Timestamp::from_second(second).unwrap();
        let value = json!({
            "id": id, "reference": reference, "amount_minor": amount, "currency": currency,
            "status": word, "capture_mode": initiator.0, "customer_id": "cus_1",
            "payment_token_id": "tok_1", "created_at": create_time.to_string(),
        });
        let status = charge_status(&word);
        let failure = match (status, &*word) {
            (ChargeStatus::Cancelled, _) => Some(FailureCode::Cancelled),
            (ChargeStatus::Failed, "expired") => Some(FailureCode::Expired),
            (ChargeStatus::Failed, "declined") => Some(FailureCode::CardDeclined),
            (ChargeStatus::Failed, _) => Some(FailureCode::Other),
            _ => None,
        };
        let charge = Charge {
            id: Some(ProviderText::new(&id)),
            reference: ProviderText::new(&reference),
            amount: Money::new(amount, Currency::new(currency).unwrap()).unwrap(),
            customer_id: Some(ProviderText::new("cus_1")),
            payment_token_id: Some(ProviderText::new("tok_1")),
            initiator: initiator.1,
            status,
            provider_status: ProviderText::new(&word),
            next_action: None,
            failure: failure.map(|code| Failure { code }),
            create_time: Some(create_time),
        };
        (value, charge)
    })
}

fn in_camel_case(value: &Value) -> Value {
    let camel = |name: &String| {
        let mut words = name.split('_');
        let first = words.next().unwrap_or_default().to_owned();
        words.fold(first, |name, word| name + &word[..1].to_uppercase() + &word[1..])
    };
    let fields = value.as_object().unwrap();
    Value::Object(fields.iter().map(|(name, value)| (camel(name), value.clone())).collect())
}

proptest! {
    #[test]
    fn a_charge_reads_as_it_was_written_in_either_case((value, expected) in a_charge()) {
        prop_assert_eq!(charge(&value), Ok(expected.clone()));
        prop_assert_eq!(charge(&in_camel_case(&value)), Ok(expected));
    }

    #[test]
    fn a_word_that_is_not_known_is_never_final_and_never_paid(word in "[a-z_]{1,12}|\\PC{1,9}") {
        let status = charge_status(&word);
        if status == ChargeStatus::Unrecognized {
            prop_assert!(!status.is_final() && !status.was_paid());
        }
        // Spelling matters: nothing is guessed.
        prop_assert_eq!(charge_status(&format!("{word}!")), ChargeStatus::Unrecognized);
        prop_assert_eq!(refund_status(&format!("{word}!")), RefundStatus::Unrecognized);
    }
}
