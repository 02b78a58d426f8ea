//! The fault plan: which request is hit, and by what.
//!
//! The plan only decides. What it decided is carried out by whoever drives the core.

use std::time::Duration;

use serde::Serialize;

use super::ids::Chance;
use super::{Action, Effect, Fault, Route};

/// The most faults that a plan holds; beyond it the oldest makes room.
const MOST_FAULTS: usize = 1_000;

/// What the plan decided for one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// The wait before the request is applied.
    pub delay_before: Duration,
    /// The wait after it, before its answer.
    pub delay_after: Duration,
    /// Whether and when it is applied.
    pub effect: Effect,
    /// What is done to its answer.
    pub action: Option<Action>,
    /// The kinds of all faults that fired.
    pub fired: Vec<&'static str>,
}

/// Names a fault of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct FaultId(pub u64);

/// A fault of the plan and how often it fired.
#[derive(Clone, Debug, Serialize)]
pub struct FaultView {
    /// Its id.
    pub id: FaultId,
    /// The route's name, or `any`.
    pub route: &'static str,
    /// The reference it is for.
    pub reference: Option<String>,
    /// The key it is for.
    pub key: Option<String>,
    /// Its kind.
    pub kind: &'static str,
    /// Matching requests that pass first.
    pub skip: u32,
    /// How often it fires; 0 is until cleared.
    pub times: u32,
    /// With which probability it fires.
    pub probability: Option<f64>,
    /// Requests that matched so far.
    pub matched: u32,
    /// How often it has fired.
    pub fired: u32,
}

#[derive(Clone, Debug)]
struct Planned {
    id: FaultId,
    fault: Fault,
    matched: u32,
    fired: u32,
}

/// All faults, in the order of their injection.
#[derive(Clone, Debug)]
pub struct FaultPlan {
    planned: Vec<Planned>,
    made: u64,
    chance: Chance,
}

impl FaultPlan {
    /// A plan with no faults; the seed decides those with a probability.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { planned: Vec::new(), made: 0, chance: Chance::new(seed) }
    }

    /// Adds a fault. A plan holds 1,000 of them: beyond that the oldest makes room.
    pub fn inject(&mut self, fault: Fault) -> FaultId {
        if self.planned.len() >= MOST_FAULTS {
            self.planned.remove(0);
        }
        self.made += 1;
        let id = FaultId(self.made);
        self.planned.push(Planned { id, fault, matched: 0, fired: 0 });
        id
    }

    /// Takes all faults away.
    pub fn clear(&mut self) {
        self.planned.clear();
    }

    /// Takes one fault away; false where there is none of this id.
    pub fn remove(&mut self, id: FaultId) -> bool {
        let before = self.planned.len();
        self.planned.retain(|planned| planned.id != id);
        self.planned.len() < before
    }

    /// All faults, those that are used up too.
    #[must_use]
    pub fn view(&self) -> Vec<FaultView> {
        self.planned.iter().map(Planned::view).collect()
    }

    /// Decides what happens to a request.
    ///
    /// Delays add up. Of the other kinds the first one that fires wins, and those after it are
    /// not counted.
    pub fn decide(&mut self, route: Route, reference: Option<&str>, key: Option<&str>) -> Decision {
        let mut decision = Decision::default();
        for planned in &mut self.planned {
            let delays = planned.fault.action.delays();
            if (delays.is_none() && decision.action.is_some())
                || !planned.matches(route, reference, key)
                || !planned.fires(&mut self.chance)
            {
                continue;
            }
            let action = &planned.fault.action;
            decision.fired.push(action.kind());
            if let Some((before, after)) = delays {
                decision.delay_before += before;
                decision.delay_after += after;
            } else {
                decision.effect = action.effect();
                decision.action = Some(action.clone());
            }
        }
        decision
    }
}

impl Planned {
    fn matches(&self, route: Route, reference: Option<&str>, key: Option<&str>) -> bool {
        let fault = &self.fault;
        fault.route.is_none_or(|wanted| wanted == route)
            && (fault.reference.is_none() || fault.reference.as_deref() == reference)
            && (fault.key.is_none() || fault.key.as_deref() == key)
    }

    fn fires(&mut self, chance: &mut Chance) -> bool {
        self.matched = self.matched.saturating_add(1);
        let fires = self.matched > self.fault.skip
            && (self.fault.times == 0 || self.fired < self.fault.times)
            && self.fault.probability.is_none_or(|probability| chance.hits(probability));
        self.fired += u32::from(fires);
        fires
    }

    fn view(&self) -> FaultView {
        let fault = &self.fault;
        FaultView {
            id: self.id,
            route: fault.route.map_or("any", Route::name),
            reference: fault.reference.clone(),
            key: fault.key.clone(),
            kind: fault.action.kind(),
            skip: fault.skip,
            times: fault.times,
            probability: fault.probability,
            matched: self.matched,
            fired: self.fired,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(plan: &mut FaultPlan, route: Route) -> Vec<&'static str> {
        plan.decide(route, Some("r"), Some("k")).fired
    }

    #[test]
    fn a_counted_fault_skips_then_fires_then_is_used_up() {
        let mut plan = FaultPlan::new(1);
        plan.inject(Fault::on(Route::CreateCharge, Action::ResetAfter).skip(1).times(2));
        assert!(kinds(&mut plan, Route::GetCharge).is_empty());
        let fired: Vec<_> = (0..4).map(|_| kinds(&mut plan, Route::CreateCharge).len()).collect();
        assert_eq!(fired, [0, 1, 1, 0]);
        assert_eq!((plan.view()[0].matched, plan.view()[0].fired), (4, 2));
    }

    #[test]
    fn a_fault_keeps_to_its_reference_and_key() {
        let mut plan = FaultPlan::new(1);
        plan.inject(Fault::any(Action::ResetBefore).reference("other"));
        plan.inject(Fault::any(Action::ResetAfter).key("k"));
        assert_eq!(kinds(&mut plan, Route::CreateRefund), ["reset_after"]);
        assert_eq!(plan.decide(Route::ListCharges, None, None), Decision::default());
    }

    #[test]
    fn delays_add_up_and_the_first_of_the_others_wins() {
        let second = Duration::from_secs(1);
        let mut plan = FaultPlan::new(1);
        plan.inject(Fault::any(Action::DelayBefore(second)));
        plan.inject(Fault::any(Action::LateEffect { after: second, status: None, lock: true }));
        plan.inject(Fault::any(Action::ResetBefore));
        plan.inject(Fault::any(Action::DelayBefore(second)));
        let decision = plan.decide(Route::CreateCharge, None, None);
        assert_eq!(decision.delay_before, second * 2);
        assert_eq!(decision.effect, Effect::Later { after: second, lock: true });
        assert_eq!(kinds(&mut plan, Route::CreateCharge), ["reset_before"]);
    }

    #[test]
    fn the_same_seed_hits_the_same_requests() {
        let run = |seed| {
            let mut plan = FaultPlan::new(seed);
            plan.inject(Fault::any(Action::ResetAfter).probability(0.5));
            (0..64).map(|_| kinds(&mut plan, Route::GetCharge).len()).collect::<Vec<_>>()
        };
        assert_eq!(run(3), run(3));
        assert_ne!(run(3), run(4));
    }
}
