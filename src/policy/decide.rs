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
    conditions: Vec<Condition>,
    needs: Needs,
}

/// What is left of a rule to each call.
struct Condition {
    /// Which rule.
    number: usize,
    /// What it asks for; none where it asks for nothing more.
    expression: Option<Arc<Expr>>,
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
        let policy = Self {
            hash: files.hash().into(),
            rules,
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
    /// Cedar evaluates each condition; what they come to together is Cedar's own way too, but for a
    /// rule that cannot be evaluated: Cedar passes over it, and a `forbid` that overflows would
    /// then allow. Here such a rule denies.
    #[must_use]
    pub fn decide(&self, question: &Question<'_>) -> Decision<'_> {
        let failed = Decision { verdict: Verdict::Failed, rules: Vec::new() };
        let Some(known) = self.known(question.caller) else { return failed };
        let narrowed = known.by_action[question.action as usize]
            .get_or_init(|| self.narrowed(&known, question.action));
        let Some(narrowed) = narrowed else { return failed };
        let context = question.fields.context(&narrowed.needs);
        let [principal, resource] = known.parties.clone();
        let action = narrowed.action.clone();
        let request = ast::Request::new_unchecked(principal, action, resource, Some(context));
        let entities = known.entities.as_ref();
        let evaluator = Evaluator::new(request, entities, Extensions::all_available());
        let (mut permits, mut forbids, mut failures) = (Vec::new(), Vec::new(), Vec::new());
        for Condition { number, expression } in &narrowed.conditions {
            let Some(rule) = self.rules.list.get(*number) else { return failed };
            match expression.as_ref().map_or(Some(true), |it| is_met(&evaluator, it)) {
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
        let (mut conditions, mut needs) = (Vec::new(), Needs::default());
        for id in response.diagnostics().reason() {
            let (number, _) = self.rules.of(id)?;
            let parts = self.rules.parts.get(number)?;
            let policy: &ast::Policy = parts.conditions.as_ref();
            let expression = policy.non_scope_constraints_arc().cloned();
            conditions.push(Condition { number, expression });
            needs.add(&parts.needs);
        }
        conditions.sort_by_key(|condition| condition.number);
        Some(Narrowed { action: entry(&action), conditions, needs })
    }
}

/// Whether a call meets a condition; none where that cannot be evaluated.
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
fn namespace(caller: &Caller) -> Option<&str> {
    let (namespace, account) = caller.as_str().split_once('/')?;
    (!account.contains('/') && !namespace.contains(':')).then_some(namespace)
}

#[cfg(test)]
mod tests;
