//! Ids that are unique, look random, and come out the same for the same seed.

/// Makes prefixed ids from a seed and a counter.
#[derive(Clone, Debug)]
pub(crate) struct Ids {
    seed: u64,
    made: u64,
}

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, made: 0 }
    }

    /// The next id, such as `chg_9f3a…`. The counter is shared by all prefixes.
    ///
    /// None holds as many digits in a row as a card number does: whoever looks out for those
    /// would withhold it.
    pub(crate) fn next(&mut self, prefix: &str) -> String {
        loop {
            self.made += 1;
            // The mix is a bijection, so that two counts never share an id.
            let mixed = mix(self.seed.wrapping_add(self.made.wrapping_mul(GOLDEN)));
            let text = format!("{mixed:016x}");
            let mut runs = text.split(|it: char| !it.is_ascii_digit());
            if !runs.any(|run| run.len() >= SHORTEST_CARD_NUMBER) {
                return format!("{prefix}_{text}");
            }
        }
    }
}

/// In digits.
const SHORTEST_CARD_NUMBER: usize = 13;

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finaliser of splitmix64 (Steele, Lea, Flood 2014).
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A small seeded generator: its only use is to decide whether a fault fires.
#[derive(Clone, Debug)]
pub(crate) struct Chance {
    state: u64,
}

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// True with this probability (0 to 1).
    pub(crate) fn hits(&mut self, probability: f64) -> bool {
        self.state = self.state.wrapping_add(GOLDEN);
        // 53 bits: all that a double holds exactly.
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
        let unit = (mix(self.state) >> 11) as f64 / (1_u64 << 53) as f64;
        unit < probability
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_ids_and_another_gives_others() {
        let ids = |seed| {
            let mut ids = Ids::new(seed);
            (0..1000).map(|_| ids.next("chg")).collect::<Vec<_>>()
        };
        assert_eq!(ids(1), ids(1));
        let mut all = ids(1);
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 1000);
        assert_ne!(ids(1), ids(2));
    }

    #[test]
    fn no_id_can_be_taken_for_a_card_number() {
        let mut ids = Ids::new(1);
        for id in (0..100_000).map(|_| ids.next("chg")) {
            let mut runs = id.split(|it: char| !it.is_ascii_digit());
            assert!(runs.all(|run| run.len() < 13), "{id}");
        }
    }

    #[test]
    fn chance_keeps_to_its_probability() {
        let mut chance = Chance::new(7);
        let hits = (0..10_000).filter(|_| chance.hits(0.25)).count();
        assert!((2_300..2_700).contains(&hits), "{hits}");
        assert!((0..100).all(|_| chance.hits(1.0)));
        assert!(!(0..100).any(|_| chance.hits(0.0)));
    }
}
