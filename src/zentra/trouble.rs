//! What a call of Zentra's came to when it brought no value.

use std::borrow::Cow;
use std::time::Duration;

use crate::domain::FailureCode;
use crate::error::ProviderNote;

/// A call without a value: what is known of its effect, and what Zentra said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What is known.
    pub kind: TroubleKind,
    /// What Zentra said, as far as it may be shown.
    pub provider: ProviderNote,
    /// For the operator; holds nothing that Zentra wrote.
    pub detail: Cow<'static, str>,
    /// How long Zentra asks to be left alone, where it does (`Retry-After`); an hour at most.
    pub asked_wait: Option<Duration>,
}

/// How long to wait after a 429 that does not say: Zentra's documented `Retry-After`.
const RATE_LIMIT_WAIT: Duration = Duration::from_secs(60);

/// What is known of a call without a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TroubleKind {
    /// Provably nothing was sent.
    NotSent,
    /// Nothing was sent, as this call no longer owns the payment.
    LeaseOver,
    /// Nothing was sent, as the call's time was over before its turn came.
    NoTime,
    /// Nothing was sent, as the process is about to end.
    Ending,
    /// Nothing was sent, as Zentra has failed again and again; with the time until the next probe.
    CircuitOpen(Duration),
    /// Zentra declined the payment: an outcome, not a failure.
    Declined(FailureCode),
    /// 429.
    RateLimited,
    /// 401 or 403: the sidecar's key was refused.
    Unauthorized,
    /// 404.
    NotFound,
    /// 400 or 422: the content was refused.
    Rejected,
    /// The token has not been primed by a verified charge.
    TokenNotReady,
    /// Another payment has this reference.
    DuplicateReference,
    /// The key stands for another payment.
    KeyReused,
    /// The first request with this key is still at work.
    InProgress,
    /// Something may have happened: a timeout, a reset, a 5xx, an unreadable answer.
    Doubt,
    /// The answer contradicts what was asked.
    Conflict,
}

impl TroubleKind {
    /// True where nothing left this process.
    #[must_use]
    pub fn was_kept_back(self) -> bool {
        matches!(
            self,
            Self::NotSent | Self::LeaseOver | Self::NoTime | Self::Ending | Self::CircuitOpen(_)
        )
    }
}

impl Trouble {
    /// Trouble about which Zentra said nothing.
    pub(super) fn new(kind: TroubleKind, detail: impl Into<Cow<'static, str>>) -> Self {
        let (provider, detail) = (ProviderNote::default(), detail.into());
        Self { kind, provider, detail, asked_wait: None }
    }

    /// After how long another try makes sense, where the trouble itself says.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        match self.kind {
            TroubleKind::RateLimited => Some(self.asked_wait.unwrap_or(RATE_LIMIT_WAIT)),
            TroubleKind::CircuitOpen(wait) => Some(wait),
            _ => self.asked_wait,
        }
    }

    /// Whether Zentra asks for fewer requests.
    #[must_use]
    pub fn asks_for_less(&self) -> bool {
        self.kind == TroubleKind::RateLimited || self.asked_wait.is_some()
    }

    /// Adds how long Zentra asks to be left alone.
    pub(super) fn with_asked_wait(mut self, wait: Option<Duration>) -> Self {
        self.asked_wait = wait;
        self
    }

    /// Adds what Zentra said.
    pub(super) fn with_provider(mut self, provider: ProviderNote) -> Self {
        self.provider = provider;
        self
    }
}
