//! What the simulated Zentra promises, and how rough a run is.

use super::chance::Chance;

/// By what Zentra tells a repeated request. The product promises one effect in the first three;
/// in the fourth only where nothing takes effect late and the store loses nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mode {
    KeyAndReference,
    Key,
    Reference,
    Neither,
}

impl Mode {
    pub(crate) const ALL: [Self; 4] =
        [Self::KeyAndReference, Self::Key, Self::Reference, Self::Neither];

    pub(crate) fn by_key(self) -> bool {
        matches!(self, Self::KeyAndReference | Self::Key)
    }

    pub(crate) fn by_reference(self) -> bool {
        matches!(self, Self::KeyAndReference | Self::Reference)
    }

    /// Late effects, losses of the store and jumps of its clock: without any dedupe nobody could
    /// stand them.
    pub(crate) fn rough(self) -> bool {
        self != Self::Neither
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::KeyAndReference => "key+reference",
            Self::Key => "key",
            Self::Reference => "reference",
            Self::Neither => "neither",
        }
    }
}

/// How rough a run is; drawn once, so that some runs see one fault alone and some a storm.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    /// Of a hundred steps of the store, how many are disturbed.
    pub(crate) store: u64,
    /// Of a hundred POSTs.
    pub(crate) posts: u64,
    /// Of a hundred reads.
    pub(crate) reads: u64,
    /// Of a thousand steps, after how many a process dies or is stopped.
    pub(crate) process: u64,
    /// Of a hundred effects, how many are declined.
    pub(crate) declines: u64,
    /// Of a hundred charges, how many are pending first.
    pub(crate) pending: u64,
    /// Of a hundred answers, how many tell another amount.
    pub(crate) tampering: u64,
    /// Of a hundred calls, how many are refused by a policy.
    pub(crate) refusals: u64,
    /// Wipes, failovers and clock jumps of the store.
    pub(crate) losses: bool,
    /// A pause longer than Zentra remembers keys.
    pub(crate) long_pause: bool,
    /// Zentra names refunds itself.
    pub(crate) own_references: bool,
    /// Of a hundred moments, before how many somebody makes a charge without the sidecar.
    pub(crate) elsewhere: u64,
    /// Of a hundred moments, before how many somebody reads or verifies a charge.
    pub(crate) readers: u64,
}

impl Weather {
    pub(crate) fn draw(chance: &mut Chance, mode: Mode) -> Self {
        Self {
            store: chance.pick(&[0, 2, 8, 20]),
            posts: chance.pick(&[5, 30, 60, 80]),
            reads: chance.pick(&[0, 10, 25, 40]),
            process: chance.pick(&[0, 10, 40, 80]),
            declines: chance.pick(&[0, 0, 10, 40]),
            pending: chance.pick(&[0, 0, 30]),
            tampering: chance.pick(&[0, 0, 0, 0, 0, 0, 0, 4]),
            refusals: chance.pick(&[0, 15, 30]),
            losses: mode.rough() && chance.percent(50),
            long_pause: mode.rough() && chance.percent(6),
            own_references: mode.by_key() && chance.percent(25),
            elsewhere: if mode.rough() { chance.pick(&[0, 0, 5, 25]) } else { 0 },
            readers: chance.pick(&[0, 5, 40]),
        }
    }
}
