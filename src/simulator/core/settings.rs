//! What can be chosen about the simulated Zentra, at the start and while it runs.

use std::time::Duration;

use serde::Serialize;

/// The form of success and error bodies; Zentra's documentation shows all three.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum EnvelopeForm {
    /// `{"success":true,"data":…,"pagination":…}`, errors `{"success":false,"error":…}`.
    #[default]
    A,
    /// `{"status":"success","data":…,"pagination":…}`, errors `{"error":…}`.
    B,
    /// `{"data":…,"meta":…}` with camelCase fields, errors with upper-case codes.
    C,
}

/// The form of the header `x-zentra-signature`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum SignatureForm {
    /// The hex HMAC-SHA256 of the raw body.
    Hex,
    /// `t=<unix seconds>,v1=<hex>`, over `"{t}.{raw body}"`.
    #[default]
    Timestamped,
}

/// How a declined charge is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum DeclineForm {
    /// 201 with a charge whose status is `failed`.
    #[default]
    Object,
    /// 422 with the decline's code; no charge is kept, the reference stays free.
    Error,
}

/// Which reference a refund is known by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum RefundReference {
    /// The caller's, where one was sent.
    #[default]
    Caller,
    /// One made here; the caller's is not kept.
    Own,
}

/// All choices of the core.
#[derive(Clone, Debug, Serialize)]
pub struct Settings {
    /// Bearer keys that are accepted.
    #[serde(skip)]
    pub secret_keys: Vec<String>,
    /// Bearer keys that are answered with 401 `expired_api_key`.
    #[serde(skip)]
    pub expired_keys: Vec<String>,
    /// The form of the bodies.
    pub envelope: EnvelopeForm,
    /// Whether a repeated `idempotency_key` gives the first result.
    pub dedupe_by_key: bool,
    /// Whether a reference can be used once only.
    pub dedupe_by_reference: bool,
    /// How long an `idempotency_key` is remembered.
    #[serde(rename = "key_retention_seconds", serialize_with = "seconds")]
    pub key_retention: Duration,
    /// Requests let through in a minute; 0 never refuses.
    pub requests_per_minute: u32,
    /// How a decline is answered.
    pub declines: DeclineForm,
    /// Which reference a refund is known by.
    pub refund_reference: RefundReference,
    /// Whether a refund of more than is left of its charge is refused.
    pub check_refunds: bool,
    /// Where `redirect_url` points: scheme, host and port, without a slash at the end.
    pub public_url: String,
    /// Where events are sent; none, no deliveries.
    pub webhook_url: Option<String>,
    /// Signs the deliveries.
    #[serde(skip)]
    pub webhook_secret: String,
    /// The signature's form.
    pub webhook_signature: SignatureForm,
    /// Keeps deliveries back until it is switched off.
    pub webhook_hold: bool,
    /// Deliveries tried for one event before it is given up.
    pub webhook_attempts: u32,
    /// The wait before the second delivery; doubled for each one after it, up to an hour.
    #[serde(rename = "webhook_backoff_ms", serialize_with = "milliseconds")]
    pub webhook_backoff: Duration,
    /// Rows kept of each kind (charges, refunds, tokens, events, requests seen).
    pub capacity: usize,
    /// Makes ids and chances come out the same each time.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            secret_keys: vec![DEFAULT_KEY.to_owned()],
            expired_keys: Vec::new(),
            envelope: EnvelopeForm::default(),
            dedupe_by_key: true,
            dedupe_by_reference: true,
            key_retention: Duration::from_hours(24),
            requests_per_minute: 0,
            declines: DeclineForm::default(),
            refund_reference: RefundReference::default(),
            check_refunds: true,
            public_url: "http://127.0.0.1:8089".to_owned(),
            webhook_url: None,
            webhook_secret: DEFAULT_WEBHOOK_SECRET.to_owned(),
            webhook_signature: SignatureForm::default(),
            webhook_hold: false,
            webhook_attempts: 6,
            webhook_backoff: Duration::from_secs(1),
            capacity: 100_000,
            seed: 1,
        }
    }
}

/// The bearer key accepted where none is set: local tests need no set-up.
pub(crate) const DEFAULT_KEY: &str = "sk_simulated_0000000000000000";
/// The webhook secret where none is set.
pub(crate) const DEFAULT_WEBHOOK_SECRET: &str = "whsec_simulated_0000000000000000";

fn seconds<S: serde::Serializer>(value: &Duration, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_u64(value.as_secs())
}

fn milliseconds<S: serde::Serializer>(value: &Duration, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_u128(value.as_millis())
}

/// A change of some settings; what is `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct SettingsChange {
    /// See [`Settings::secret_keys`].
    pub secret_keys: Option<Vec<String>>,
    /// See [`Settings::expired_keys`].
    pub expired_keys: Option<Vec<String>>,
    /// See [`Settings::envelope`].
    pub envelope: Option<EnvelopeForm>,
    /// See [`Settings::dedupe_by_key`].
    pub dedupe_by_key: Option<bool>,
    /// See [`Settings::dedupe_by_reference`].
    pub dedupe_by_reference: Option<bool>,
    /// See [`Settings::key_retention`].
    pub key_retention: Option<Duration>,
    /// See [`Settings::requests_per_minute`].
    pub requests_per_minute: Option<u32>,
    /// See [`Settings::declines`].
    pub declines: Option<DeclineForm>,
    /// See [`Settings::refund_reference`].
    pub refund_reference: Option<RefundReference>,
    /// See [`Settings::check_refunds`].
    pub check_refunds: Option<bool>,
    /// See [`Settings::webhook_url`]; an empty text switches deliveries off.
    pub webhook_url: Option<String>,
    /// See [`Settings::webhook_secret`].
    pub webhook_secret: Option<String>,
    /// See [`Settings::webhook_signature`].
    pub webhook_signature: Option<SignatureForm>,
    /// See [`Settings::webhook_hold`].
    pub webhook_hold: Option<bool>,
    /// See [`Settings::webhook_attempts`].
    pub webhook_attempts: Option<u32>,
    /// See [`Settings::webhook_backoff`].
    pub webhook_backoff: Option<Duration>,
}

impl Settings {
    pub(crate) fn apply(&mut self, change: SettingsChange) {
        fn set<T>(place: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *place = value;
            }
        }
        set(&mut self.secret_keys, change.secret_keys);
        set(&mut self.expired_keys, change.expired_keys);
        set(&mut self.envelope, change.envelope);
        set(&mut self.dedupe_by_key, change.dedupe_by_key);
        set(&mut self.dedupe_by_reference, change.dedupe_by_reference);
        set(&mut self.key_retention, change.key_retention);
        set(&mut self.requests_per_minute, change.requests_per_minute);
        set(&mut self.declines, change.declines);
        set(&mut self.refund_reference, change.refund_reference);
        set(&mut self.check_refunds, change.check_refunds);
        if let Some(url) = change.webhook_url {
            self.webhook_url = Some(url).filter(|url| !url.is_empty());
        }
        set(&mut self.webhook_secret, change.webhook_secret);
        set(&mut self.webhook_signature, change.webhook_signature);
        set(&mut self.webhook_hold, change.webhook_hold);
        set(&mut self.webhook_attempts, change.webhook_attempts);
        set(&mut self.webhook_backoff, change.webhook_backoff);
    }
}
