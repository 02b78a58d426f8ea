//! A policy in force: rules and limits of one folder, and how a call is decided.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::path::Path;
use std::str::FromStr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use cedar_policy::{
    Authorizer, Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet, Request,
    RestrictedExpression,
};
use cedar_policy_core::ast::{self, EntityUIDEntry, Expr, Literal, SlotEnv, Value, ValueKind};
use cedar_policy_core::evaluator::Evaluator;
use cedar_policy_core::extensions::Extensions;
use lru::LruCache;

use super::complaint::Complaints;
use super::decision::{Decision, Verdict};
use super::folder::Files;
use super::limits::{self, Limit};
use super::needs::Needs;
use super::rules::{Parts, Rule, Rules};
use super::schema::schema;
use super::simple::{self, Part};
use super::{Action, Question};
use crate::domain::{Account, Caller, Environment};

/// Callers that are remembered with the rules that can speak of them; each takes some kilobytes.
const CALLERS: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// The stack for reading rules, in bytes; what is not used takes no memory.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// The rules and limits of one folder. It never changes; another one takes its place.
pub struct Policy {
    hash: Arc<str>,
    rules: Rules,
    /// What each rule asks of a call within its scope, in the order of the rules.
    conditions: Vec<Vec<Part>>,
    limits: Vec<Limit>,
    place: (Account, Environment),
    authorizer: Authorizer,
    callers: Mutex<LruCache<Caller, Arc<Known>>>,
}

/// How a rule stands to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weighed {
    /// It is for other callers, actions or accounts.
    OutOfScope,
    /// It is for such calls, but not for this one.
    ConditionsNotMet,
    /// It applies.
    Applies,
    /// It cannot be evaluated.
    Failed,
}

/// A caller, with what the rules come to for it.
struct Known {
    principal: EntityUid,
    resource: EntityUid,
    /// The same two, as the evaluator alone wants them.
    parties: [EntityUIDEntry; 2],
    entities: Entities,
    by_action: [OnceLock<Option<Narrowed>>; Action::ALL.len()],
}

/// The rules whose scope fits a caller and an action, in the order of files and lines.
struct Narrowed {
    action: EntityUIDEntry,
    /// By their numbers.
    rules: Vec<usize>,
    /// What Cedar has to know of a call; what is simple is decided without.
    needs: Needs,
}

impl Policy {
    /// Reads a folder.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn load(folder: &Path, place: (Account, Environment)) -> Result<Self, Complaints> {
        Self::new(&Files::read(folder)?, place)
    }

    /// Reads the files of a folder, for an account and an environment.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn new(files: &Files, place: (Account, Environment)) -> Result<Self, Complaints> {
        let mut complaints = Complaints::default();
        let limits = files.limits.as_deref().map(|text| limits::read(text, &mut complaints));
        let limits = limits.unwrap_or_default();
        let rules = read_rules(files, &mut complaints);
        if rules.list.is_empty() && complaints.is_empty() {
            let text = "hold no rule: a policy without rules would refuse everything; where that is \
                        meant, write forbid (principal, action, resource);";
            complaints.about("the *.cedar files", text);
        }
        let conditions = rules.parts.iter().map(|parts| conditions(parts, place.1)).collect();
        let policy = Self {
            hash: files.hash().into(),
            rules,
            conditions,
            limits,
            place,
            authorizer: Authorizer::new(),
            callers: Mutex::new(LruCache::new(CALLERS)),
        };
        complaints.or(policy)
    }

    /// Its name by its content, in hex.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The same, to be kept.
    #[must_use]
    pub fn hash_kept(&self) -> Arc<str> {
        self.hash.clone()
    }

    /// Its rules, in the order of files and lines.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules.list
    }

    /// Its limits, in the order of their file.
    #[must_use]
    pub fn limits(&self) -> &[Limit] {
        &self.limits
    }

    /// What the rules say. Whatever goes wrong on the way denies.
    ///
    /// Cedar evaluates each condition that is not simple; what they come to together is Cedar's
    /// own way too, but for a rule that cannot be evaluated: Cedar passes over it, and a `forbid`
    /// that overflows would then allow. Here such a rule denies.
    #[must_use]
    pub fn decide(&self, question: &Question<'_>) -> Decision<'_> {
        let failed = Decision { verdict: Verdict::Failed, rules: Vec::new() };
        let Some(known) = self.known(question.caller) else { return failed };
        let narrowed = known.by_action[question.action as usize]
            .get_or_init(|| self.narrowed(&known, question.action));
        let Some(narrowed) = narrowed else { return failed };
        // Made where a rule needs it: for many calls that is none.
        let mut evaluator = None;
        let mut ask = |condition: &Expr| {
            let evaluator = evaluator.get_or_insert_with(|| known.evaluator(narrowed, question));
            is_met(evaluator, condition)
        };
        let (mut permits, mut forbids, mut failures) = (Vec::new(), Vec::new(), Vec::new());
        for number in &narrowed.rules {
            let parts = self.rules.list.get(*number).zip(self.conditions.get(*number));
            let Some((rule, parts)) = parts else { return failed };
            match are_met(parts, question, &mut ask) {
                Some(false) => {}
                Some(true) if rule.forbids => forbids.push(rule),
                Some(true) => permits.push(rule),
                None => failures.push(rule),
            }
        }
        let (verdict, rules) = if !failures.is_empty() {
            (Verdict::Failed, failures)
        } else if !forbids.is_empty() {
            (Verdict::Forbidden, forbids)
        } else if !permits.is_empty() {
            (Verdict::Permitted, permits)
        } else {
            (Verdict::NoRule, Vec::new())
        };
        Decision { verdict, rules }
    }

    /// How each rule stands to a call, for those who want to know why it was decided so.
    #[must_use]
    pub fn weigh(&self, question: &Question<'_>) -> Vec<(&Rule, Weighed)> {
        let weigh = |parts: &Parts| {
            let known = self.known(question.caller)?;
            let action = uid("Action", question.action.as_str())?;
            let ask = |rule: &cedar_policy::Policy, context: Context| {
                let set = PolicySet::from_policies([rule.clone()]).ok()?;
                let request = known.request(&action, context)?;
                let response = self.authorizer.is_authorized(&request, &set, &known.entities);
                let diagnostics = response.diagnostics();
                if diagnostics.errors().next().is_some() {
                    return Some(Weighed::Failed);
                }
                let applies = diagnostics.reason().next().is_some();
                Some(if applies { Weighed::Applies } else { Weighed::ConditionsNotMet })
            };
            if ask(&parts.scope, Context::empty())? != Weighed::Applies {
                return Some(Weighed::OutOfScope);
            }
            ask(&parts.conditions, question.fields.context(&Needs::all()).into())
        };
        let weighed = self.rules.parts.iter().map(|parts| weigh(parts).unwrap_or(Weighed::Failed));
        self.rules.list.iter().zip(weighed).collect()
    }

    /// True where the call has all that the schema asks for, and nothing else: for scenarios,
    /// which people write.
    ///
    /// # Errors
    /// What the schema says.
    pub(super) fn check(&self, question: &Question<'_>) -> Result<(), String> {
        let known = self.known(question.caller).ok_or("the caller cannot be named")?;
        let context = question.fields.context(&Needs::all()).into();
        let (principal, resource) = (known.principal.clone(), known.resource.clone());
        let action = uid("Action", question.action.as_str()).ok_or("no such action")?;
        let request = Request::new(principal, action, resource, context, Some(schema()?));
        request.map(|_| ()).map_err(|fault| fault.to_string())
    }

    fn known(&self, caller: &Caller) -> Option<Arc<Known>> {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = callers.get(caller) {
            return Some(known.clone());
        }
        let known = Arc::new(Known::new(caller, &self.place)?);
        callers.put(caller.clone(), known.clone());
        Some(known)
    }

    /// Asks Cedar which rules' scopes fit.
    fn narrowed(&self, known: &Known, action: Action) -> Option<Narrowed> {
        let scopes = self.rules.parts.iter().map(|parts| parts.scope.clone());
        let scopes = PolicySet::from_policies(scopes).ok()?;
        let action = uid("Action", action.as_str())?;
        let request = known.request(&action, Context::empty())?;
        let response = self.authorizer.is_authorized(&request, &scopes, &known.entities);
        if response.diagnostics().errors().next().is_some() {
            return None;
        }
        let (mut rules, mut needs) = (Vec::new(), Needs::default());
        for id in response.diagnostics().reason() {
            let (number, _) = self.rules.of(id)?;
            rules.push(number);
            if self.conditions.get(number)?.iter().any(|part| matches!(part, Part::Cedar(_))) {
                needs.add(&self.rules.parts.get(number)?.needs);
            }
        }
        rules.sort_unstable();
        Some(Narrowed { action: entry(&action), rules, needs })
    }
}

/// What a rule asks of a call within its scope; nothing where it asks for nothing more.
fn conditions(parts: &Parts, environment: Environment) -> Vec<Part> {
    let policy: &ast::Policy = parts.conditions.as_ref();
    let expression = policy.non_scope_constraints_arc();
    expression.map(|it| simple::parts(it, environment.as_str())).unwrap_or_default()
}

/// Whether a call meets all parts of a condition; none where that cannot be evaluated.
fn are_met(
    parts: &[Part],
    question: &Question<'_>,
    mut ask: impl FnMut(&Expr) -> Option<bool>,
) -> Option<bool> {
    for part in parts {
        let is_met = match part {
            Part::Simple(simple) => simple.holds(question),
            Part::Cedar(condition) => ask(condition),
        };
        if !is_met? {
            return Some(false);
        }
    }
    Some(true)
}

/// Whether a call meets a condition of Cedar's; none where that cannot be evaluated.
fn is_met(evaluator: &Evaluator<'_>, condition: &Expr) -> Option<bool> {
    match evaluator.interpret(condition, &SlotEnv::new()) {
        Ok(Value { value: ValueKind::Lit(Literal::Bool(is_met)), .. }) => Some(is_met),
        Ok(_) | Err(_) => None,
    }
}

/// On a thread with room for the parser, which goes as deep as a rule is long.
fn read_rules(files: &Files, complaints: &mut Complaints) -> Rules {
    std::thread::scope(|scope| {
        let read = || {
            let mut complaints = Complaints::default();
            (Rules::read(&files.rules, &mut complaints), complaints)
        };
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, read);
        let fault = match thread.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok((rules, found))) => {
                complaints.add(found);
                return rules;
            }
            Ok(Err(_)) => "could not be read: the parser gave up".to_owned(),
            Err(fault) => format!("could not be read: {fault}"),
        };
        complaints.about("the rules", fault);
        Rules::default()
    })
}

impl Known {
    fn new(caller: &Caller, place: &(Account, Environment)) -> Option<Self> {
        let (account, environment) = place;
        let principal = uid("Service", caller.as_str())?;
        let resource = uid("Account", account.as_str())?;
        let namespace = namespace(caller).map(|name| uid("Namespace", name));
        let parents: HashSet<_> = namespace.into_iter().flatten().collect();
        let environment = RestrictedExpression::new_string(environment.as_str().to_owned());
        let attributes = HashMap::from([("environment".to_owned(), environment)]);
        let entities = [
            Entity::new_no_attrs(principal.clone(), parents),
            Entity::new(resource.clone(), attributes, HashSet::new()).ok()?,
        ];
        // The schema adds the actions and their groups.
        let entities = Entities::from_entities(entities, Some(schema().ok()?)).ok()?;
        let parties = [entry(&principal), entry(&resource)];
        Some(Self { principal, resource, parties, entities, by_action: Default::default() })
    }

    fn evaluator(&self, narrowed: &Narrowed, question: &Question<'_>) -> Evaluator<'_> {
        let context = question.fields.context(&narrowed.needs);
        let [principal, resource] = self.parties.clone();
        let action = narrowed.action.clone();
        let request = ast::Request::new_unchecked(principal, action, resource, Some(context));
        Evaluator::new(request, self.entities.as_ref(), Extensions::all_available())
    }

    fn request(&self, action: &EntityUid, context: Context) -> Option<Request> {
        let (principal, resource) = (self.principal.clone(), self.resource.clone());
        Request::new(principal, action.clone(), resource, context, None).ok()
    }
}

fn entry(uid: &EntityUid) -> EntityUIDEntry {
    EntityUIDEntry::known(uid.as_ref().clone(), None)
}

fn uid(kind: &str, id: &str) -> Option<EntityUid> {
    let kind = EntityTypeName::from_str(kind).ok()?;
    Some(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

/// The namespace of a caller that is called `namespace/serviceaccount`.
pub(super) fn namespace(caller: &Caller) -> Option<&str> {
    let (namespace, account) = caller.as_str().split_once('/')?;
    (!account.contains('/') && !namespace.contains(':')).then_some(namespace)
}

#[cfg(test)]
mod tests;
