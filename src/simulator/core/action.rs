//! What can go wrong on demand, and for which requests.

use std::time::Duration;

use super::Route;

/// A fault, and the requests that it hits.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// The route; none is any of the nine.
    pub route: Option<Route>,
    /// Only requests with this reference (in the body or the path).
    pub reference: Option<String>,
    /// Only requests with this `idempotency_key`.
    pub key: Option<String>,
    /// Lets this many matching requests pass first.
    pub skip: u32,
    /// Fires at most this often; 0 until it is cleared.
    pub times: u32,
    /// Fires with this probability (0 to 1), by the plan's seed; none is always.
    pub probability: Option<f64>,
    /// What happens.
    pub action: Action,
}

impl Fault {
    /// Hits the next request of a route.
    #[must_use]
    pub fn on(route: Route, action: Action) -> Self {
        Self { route: Some(route), ..Self::any(action) }
    }

    /// Hits the next request of any route.
    #[must_use]
    pub fn any(action: Action) -> Self {
        let (route, reference, key) = (None, None, None);
        Self { route, reference, key, skip: 0, times: 1, probability: None, action }
    }

    /// Only for this reference.
    #[must_use]
    pub fn reference(self, reference: &str) -> Self {
        Self { reference: Some(reference.to_owned()), ..self }
    }

    /// Only for this `idempotency_key`.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self }
    }

    /// After this many matching requests.
    #[must_use]
    pub fn skip(self, skip: u32) -> Self {
        Self { skip, ..self }
    }

    /// This often; 0 until it is cleared.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    /// With this probability, until it is cleared.
    #[must_use]
    pub fn probability(self, probability: f64) -> Self {
        Self { probability: Some(probability), times: 0, ..self }
    }
}

/// What a fault does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Waits before the request is applied; its key is in use meanwhile.
    DelayBefore(Duration),
    /// Waits after the request was applied, before its answer.
    DelayAfter(Duration),
    /// Answers with a status.
    Status {
        /// 200 to 599.
        status: u16,
        /// Whether the request is applied all the same.
        effect: bool,
        /// The error's code; none is the usual one of the status.
        code: Option<String>,
        /// The whole body; none is an error in the chosen envelope form.
        body: Option<String>,
        /// The header `Retry-After`, as it is to stand there.
        retry_after: Option<String>,
    },
    /// Resets the connection (RST); the request is not applied.
    ResetBefore,
    /// Applies the request, then resets the connection (RST).
    ResetAfter,
    /// Applies the request and never answers.
    AnswerLost {
        /// Closes the connection after this time; none leaves it open until the client goes.
        close_after: Option<Duration>,
    },
    /// Applies the request later, on the simulator's clock.
    LateEffect {
        /// How much later.
        after: Duration,
        /// The status answered now; none never answers.
        status: Option<u16>,
        /// Whether its key is in use meanwhile: true is stuck inside Zentra, false is on its way.
        lock: bool,
    },
    /// Applies the request, sends the first bytes of its answer, and closes.
    Truncated {
        /// The bytes sent; none is half of them.
        keep: Option<usize>,
    },
    /// Applies the request, and answers 200 with something that is not JSON.
    NotJson {
        /// The body; none is a page of HTML.
        body: Option<String>,
    },
    /// Applies the request, and answers 200 with valid JSON of this size, up to 1 GiB.
    Huge {
        /// The body's size in bytes.
        bytes: u64,
    },
    /// Answers with a redirect.
    Redirect {
        /// 300 to 399.
        status: u16,
        /// The header `Location`.
        location: String,
        /// Whether the request is applied all the same.
        effect: bool,
    },
    /// Applies the request, and answers with something wrong in it.
    Wrong(Tamper),
}

/// What is wrong in the answer; none stands for a value that differs.
#[derive(Clone, Debug, PartialEq)]
pub enum Tamper {
    /// Another `amount_minor`.
    Amount(Option<i64>),
    /// Another `currency`.
    Currency(Option<String>),
    /// Another `reference`.
    Reference(Option<String>),
}

impl Action {
    /// The name used by the control API and shown in the ledger.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::DelayBefore(_) => "delay_before",
            Self::DelayAfter(_) => "delay_after",
            Self::Status { .. } => "status",
            Self::ResetBefore => "reset_before",
            Self::ResetAfter => "reset_after",
            Self::AnswerLost { .. } => "answer_lost",
            Self::LateEffect { .. } => "late_effect",
            Self::Truncated { .. } => "truncated",
            Self::NotJson { .. } => "not_json",
            Self::Huge { .. } => "huge",
            Self::Redirect { .. } => "redirect",
            Self::Wrong(_) => "wrong",
        }
    }

    /// For the two kinds that only delay: the waits before and after the effect.
    pub(crate) fn delays(&self) -> Option<(Duration, Duration)> {
        if let Self::DelayBefore(by) = self {
            Some((*by, Duration::ZERO))
        } else if let Self::DelayAfter(by) = self {
            Some((Duration::ZERO, *by))
        } else {
            None
        }
    }

    pub(crate) fn effect(&self) -> Effect {
        match self {
            Self::ResetBefore
            | Self::Status { effect: false, .. }
            | Self::Redirect { effect: false, .. } => Effect::Never,
            Self::LateEffect { after, lock, .. } => Effect::Later { after: *after, lock: *lock },
            Self::DelayBefore(_)
            | Self::DelayAfter(_)
            | Self::Status { .. }
            | Self::ResetAfter
            | Self::AnswerLost { .. }
            | Self::Truncated { .. }
            | Self::NotJson { .. }
            | Self::Huge { .. }
            | Self::Redirect { .. }
            | Self::Wrong(_) => Effect::Now,
        }
    }
}

/// Whether and when a request is applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effect {
    /// At once (after the delay before it).
    #[default]
    Now,
    /// Not at all.
    Never,
    /// Later, on the simulator's clock.
    Later {
        /// How much later.
        after: Duration,
        /// Whether its key is in use meanwhile.
        lock: bool,
    },
}
