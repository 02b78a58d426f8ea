//! Payments as a test tells of them: who claims what, under which key, with which periods.

use bytes::Bytes;
use zentra_sidecar::domain::{
    Account, Caller, Currency, Environment, IdempotencyKey, Operation, Reference,
};
use zentra_sidecar::idempotency::{
    AfterLoss, Attempt, Binding, Claim, Class, CounterId, Doubt, Evidence, Fence, Fingerprint,
    FingerprintKeys, KeyDigest, LimitName, MAX_SUM, Outcome, OwnerId, Periods, Quantity, Release,
    Scope, Source, Subject, Take, Verdict, Work,
};

/// A lease or retention that outlasts every test.
pub(crate) const LONG_MS: u64 = 3_600_000;

/// One payment under one key.
#[derive(Clone, Debug)]
pub(crate) struct Payment {
    pub(crate) subject: Subject,
    pub(crate) fingerprints: Vec<Fingerprint>,
    pub(crate) periods: Periods,
    pub(crate) takes: Vec<Take>,
}

/// A charge with this key and reference, by the caller `shop/checkout`.
pub(crate) fn charge(key: &str, reference: &str) -> Payment {
    Payment::new("shop/checkout", Operation::Charge, key, Some(reference))
}

/// The owner of a number.
pub(crate) fn owner(number: u128) -> OwnerId {
    OwnerId::new(number)
}

/// An outcome of Zentra's object `id` (empty: none).
pub(crate) fn outcome(class: Class, id: &str, phase: u8) -> Outcome {
    Outcome {
        payload: Bytes::from(format!("{class:?}\r\n\0{id} {phase}")),
        provider_id: (!id.is_empty()).then(|| id.to_owned()),
        class,
        phase,
    }
}

/// The key of a number.
pub(crate) fn key_line(number: u8) -> String {
    hex::encode((0..32).map(|it| it ^ number).collect::<Vec<u8>>())
}

/// An amount of a limit per day.
pub(crate) fn daily(amount: u64, most: u64) -> Take {
    Take {
        limit: LimitName::new("daily").unwrap(),
        counter: CounterId::new(["daily"]),
        window_ms: 24 * 3_600_000,
        quantity: Quantity::Amount(amount),
        most,
        binding: Binding::Enforced,
    }
}

impl Payment {
    pub(crate) fn new(
        caller: &str,
        operation: Operation,
        key: &str,
        reference: Option<&str>,
    ) -> Self {
        let caller = Caller::new(caller).unwrap();
        let scope = Scope {
            account: &Account::new("default").unwrap(),
            environment: Environment::Sandbox,
            caller: &caller,
            operation,
        };
        let digest = KeyDigest::new(scope, &IdempotencyKey::new(key).unwrap());
        let has_reference = reference.is_some();
        let subject = Subject {
            digest,
            caller: caller.clone(),
            operation,
            reference: reference.map(|it| Reference::new(it).unwrap()),
            command: has_reference.then(|| Bytes::from_static(b"\x01command\n\0\xff")),
            trace_context: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
        };
        let periods = Periods { lease_ms: LONG_MS, ..Periods::default() };
        let takes = vec![daily(500, MAX_SUM)];
        Self { subject, fingerprints: Vec::new(), periods, takes }.content("500 NGN")
    }

    /// The same key with another command.
    pub(crate) fn content(mut self, content: &str) -> Self {
        self.fingerprints = signed(content, &[1]);
        self
    }

    /// The same command under these fingerprint keys.
    pub(crate) fn keys(mut self, numbers: &[u8]) -> Self {
        self.fingerprints = signed("500 NGN", numbers);
        self
    }

    /// Takes this, and nothing else.
    pub(crate) fn takes(mut self, takes: Vec<Take>) -> Self {
        self.takes = takes;
        self
    }

    /// Leases of this length; one of 0 ms is over at once.
    pub(crate) fn lease_ms(mut self, lease_ms: u64) -> Self {
        self.periods.lease_ms = lease_ms;
        self
    }

    /// Final records are kept this long; 0 ms forgets them at once.
    pub(crate) fn retention_ms(mut self, retention_ms: u64) -> Self {
        self.periods.retention_ms = retention_ms;
        self
    }

    pub(crate) fn claim(&self, by: u128) -> Claim {
        Claim {
            subject: self.subject.clone(),
            fingerprints: self.fingerprints.clone(),
            owner: owner(by),
            refused: false,
            takes: self.takes.clone(),
            currency: Some(Currency::new("NGN").unwrap()),
            after_loss: AfterLoss::Restart,
            periods: self.periods,
        }
    }

    /// A claim that the policy refuses.
    pub(crate) fn refused(&self, by: u128) -> Claim {
        Claim { refused: true, ..self.claim(by) }
    }

    pub(crate) fn work(&self, by: u128, epoch: u64) -> Work {
        Work {
            subject: self.subject.clone(),
            fingerprints: self.fingerprints.clone(),
            fence: fence(by, epoch),
            first_sent_ms: 7,
        }
    }

    pub(crate) fn evidence(&self, by: u128, epoch: u64, outcome: Outcome) -> Evidence {
        Evidence {
            source: Source::Owner(self.work(by, epoch)),
            verdict: Verdict::Outcome(outcome),
            amount: None,
            attempts: vec![Attempt::new(&format!("{by}.{epoch} POST 200"), true)],
            next_check_after_ms: 0,
            periods: self.periods,
        }
    }

    /// What the reconciler, an event or a read found, of the record as this owner had it.
    pub(crate) fn observed(&self, by: u128, epoch: u64, outcome: Outcome) -> Evidence {
        Evidence {
            source: Source::Observer { digest: self.subject.digest, fence: fence(by, epoch) },
            verdict: Verdict::Outcome(outcome),
            amount: None,
            attempts: Vec::new(),
            next_check_after_ms: 0,
            periods: self.periods,
        }
    }

    /// Gives up with an unknown outcome.
    pub(crate) fn doubt(&self, by: u128, epoch: u64) -> Doubt {
        Doubt {
            work: self.work(by, epoch),
            attempts: vec![Attempt::new(&format!("{by}.{epoch} POST timeout"), true)],
            gives_up: true,
            expires: false,
            next_check_after_ms: 0,
            periods: self.periods,
        }
    }

    pub(crate) fn release(&self, by: u128, epoch: u64) -> Release {
        Release {
            digest: self.subject.digest,
            fence: fence(by, epoch),
            look_up_first_ms: self.periods.look_up_first_ms,
        }
    }
}

pub(crate) fn fence(by: u128, epoch: u64) -> Fence {
    Fence { owner: owner(by), epoch }
}

fn signed(content: &str, numbers: &[u8]) -> Vec<Fingerprint> {
    let lines: Vec<String> = numbers.iter().map(|it| key_line(*it)).collect();
    let keys =
        FingerprintKeys::parse(&lines.join("\n")).map_err(|faults| format!("{faults:?}")).unwrap();
    keys.fingerprints(content.as_bytes())
}
